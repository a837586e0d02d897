/* experiment_find.c: where experiment files lie, and what `assay list` says of them. */
#include "experiment_impl.h"
#include "file.h"
#include "ini.h"

#include <assay/error.h>
#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Folder number i, or NULL after the last. */
static char *folder(int i)
{
    const char *home = getenv("ASSAY_HOME");
    if (home && *home && i == 0)
        return file_text("%s/experiments", home);
#ifdef ASSAY_DATADIR
    if (i == (home && *home))
        return file_text("%s/experiments", ASSAY_DATADIR);
#endif
    return NULL;
}

char *experiment_path(const char *name)
{
    char *dir;
    if (strchr(name, '/'))
        return file_text("%s", name);
    for (int i = 0; (dir = folder(i)); i++) {
        char *path = file_text("%s/%s.ini", dir, name);
        free(dir);
        if (file_exists(path))
            return path;
        free(path);
    }
    return NULL;
}

const char *experiment_missing(const char *name)
{
    int n;
    struct experiment_line *line = experiment_list(&n);
    const char **names = more(NULL, n, sizeof *names);
    for (int i = 0; i < n; i++)
        names[i] = line[i].name;
    names[n] = NULL;
    const char *nearest = as_nearest(name, names);
    const char *why = nearest ? as_say("there is no experiment %s: did you mean %s?", name, nearest)
                              : as_say("there is no experiment %s; `assay list experiments` shows all", name);
    free(names);
    experiment_list_free(line, n);
    return why;
}

static int by_name(const void *a, const void *b)
{
    const struct experiment_line *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* Title, papers and minutes only; a broken file is listed with its complaint as title. */
static struct experiment_line read_line(const char *path, const char *name)
{
    struct experiment_line line = { .name = file_text("%s", name), .minutes = (double)NAN };
    const char *why;
    struct ini *ini = ini_read(path, &why);
    if (!ini)
        line.title = file_text("(unreadable) %s", why);
    for (int i = 0; ini && i < ini->n; i++) {
        const struct ini_entry *e = &ini->entry[i];
        if (strcmp(e->section, "experiment"))
            continue;
        if (!strcmp(e->key, "title"))
            line.title = file_text("%s", e->value);
        if (!strcmp(e->key, "papers"))
            line.papers = file_text("%s", e->value);
        if (!strcmp(e->key, "minutes"))
            as_parse_num(e->value, &line.minutes);
    }
    ini_free(ini);
    if (!line.title)
        line.title = file_text("(no title)");
    if (!line.papers)
        line.papers = file_text("%s", "");
    return line;
}

/* The name of an experiment file that is shown, or NULL. Files that begin with '_' are there to be included. */
static char *shown_name(const char *file)
{
    size_t m = strlen(file);
    return m < 5 || strcmp(file + m - 4, ".ini") || strchr("._", *file) ? NULL : file_text("%.*s", (int)m - 4, file);
}

struct experiment_line *experiment_list(int *n)
{
    struct experiment_line *line = more(NULL, 0, sizeof *line);
    char *dir;
    *n = 0;
    for (int i = 0; (dir = folder(i)); i++) {
        DIR *d = opendir(dir);
        for (struct dirent *entry; d && (entry = readdir(d));) {
            char *name = shown_name(entry->d_name);
            bool known = !name;
            for (int k = 0; k < *n && !known; k++)
                known = !strcmp(line[k].name, name);
            if (!known) {
                char *path = file_text("%s/%s", dir, entry->d_name);
                line = more(line, *n, sizeof *line);
                line[(*n)++] = read_line(path, name);
                free(path);
            }
            free(name);
        }
        if (d)
            closedir(d);
        free(dir);
    }
    qsort(line, (size_t)*n, sizeof *line, by_name);
    return line;
}

void experiment_list_free(struct experiment_line *line, int n)
{
    for (int i = 0; i < n; i++) {
        free(line[i].name);
        free(line[i].title);
        free(line[i].papers);
    }
    free(line);
}

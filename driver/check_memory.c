/* check_memory.c: see check_memory.h. */
#include "check_memory.h"

#include "fetch.h"
#include "file.h"
#include "key.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <build_info.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

extern const struct as_entry as_mock_entries[] __attribute__((weak));
extern const char as_checks_hash[];                  /* generated, obj/checks.c: of the checks' sources */

static void add(char **text, char *line)
{
    char *longer = file_text("%s%s", *text, line);
    free(*text);
    free(line);
    *text = longer;
}

static const struct as_entry *table_of(const struct as_entry *plugin)
{
    for (const struct as_entry *e = as_mock_entries; e && e->path; e++)
        if (e == plugin)
            return as_mock_entries;
    return as_entries;
}

/* The plug-in with its kernels, then what its slots hold by default. Depth is bounded: a slot may hold its own kind. */
static void add_sources(char **text, const struct as_entry *plugin, int depth)
{
    if (strstr(*text, as_say("\n%s ", plugin->path)))
        return;
    for (const struct as_entry *e = table_of(plugin); e->path; e++)
        if (!strcmp(e->family, plugin->family) && !strcmp(e->name, plugin->name))
            add(text, file_text("%s %s %d\n", e->path, e->hash, e->level));
    const struct as_variant *v = plugin->plugin->variant;
    for (const struct as_slot *s = v ? v->slots : NULL; s && s->name && depth < 8; s++) {
        const struct as_entry *child = s->def ? as_registry_find("layer", s->def, NULL) : NULL;
        if (child)
            add_sources(text, child, depth + 1);
    }
}

static int is_array(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 3 && !strcmp(d->d_name + n - 3, ".h5");
}

/* The golden arrays by name, size and time: reading them all would take as long as checking. */
static void add_golden(char **text)
{
    const char *home = getenv("ASSAY_HOME");
    char *folder = file_text("%s/tests/golden", home && *home ? home : ".");
    struct dirent **file;
    int n = scandir(folder, &file, is_array, alphasort);
    for (int i = 0; i < n; i++) {
        char *path = file_text("%s/%s", folder, file[i]->d_name);
        struct stat s;
        if (!stat(path, &s))
            add(text, file_text("golden %s %lld %lld.%09ld\n", file[i]->d_name, (long long)s.st_size,
                                (long long)s.st_mtim.tv_sec, s.st_mtim.tv_nsec));
        free(path);
        free(file[i]);
    }
    if (n >= 0)
        free(file);
    free(folder);
}

/* A converter is unproved without its raw files, and checked with them: the two are not the same pass. */
static void add_surroundings(char **text, const struct as_entry *plugin)
{
    const char *mirror = getenv("ASSAY_MIRROR");
    if (check_kind_of(plugin) == CHECK_SOURCE)
        add(text, file_text("mirror %s\n", mirror ? mirror : ""));
    else if (check_kind_of(plugin) != CHECK_STUDY)
        add_golden(text);
}

char *check_memory_text(const struct as_entry *plugin)
{
    char *text = file_text("assay check, form 1: %s/%s\n", plugin->family, plugin->name);
    add_sources(&text, plugin, 0);
    add(&text, file_text("core %s\ncompiler %s\nflags %s\nlevels %s\nlibraries %s\nlevel %s\nchecks %s\n", ASSAY_CORE_HASH,
                         ASSAY_CC, ASSAY_CFLAGS, ASSAY_LEVELS, ASSAY_LIBRARIES, as_level_name(as_level()),
                         as_checks_hash));
    add_surroundings(&text, plugin);
    return text;
}

/* Where the pass is kept; NULL without a cache folder. malloc'd. */
static char *place_of(const struct as_entry *plugin)
{
    const char *why;
    char *cache = fetch_cache(&why), hex[65];
    if (!cache)
        return NULL;
    char *text = check_memory_text(plugin);
    key_sha256(text, strlen(text), hex);
    char *path = file_text("%s/checks/%s--%s-%.24s", cache, plugin->family, plugin->name, hex);
    free(text);
    free(cache);
    return path;
}

bool check_remembered(const struct as_entry *plugin, char *unproved, size_t room)
{
    char *path = place_of(plugin);
    size_t n;
    char *text = path && file_exists(path) ? file_read(path, &n, NULL) : NULL;
    bool passed = text && !strncmp(text, "pass\n", 5);
    if (unproved && room)
        snprintf(unproved, room, "%s", passed ? text + 5 : "");
    free(text);
    free(path);
    return passed;
}

void check_remember(const struct as_entry *plugin, const char *unproved)
{
    char *path = place_of(plugin);
    char *slash = path ? strrchr(path, '/') : NULL;
    if (!slash)
        return;
    *slash = 0;
    const char *why = file_make_folder(path);
    *slash = '/';
    char *text = file_text("pass\n%s", unproved);
    if (!why)
        why = file_replace(path, text, strlen(text));        /* not remembered: checked again next time, no more */
    free(text);
    free(path);
}

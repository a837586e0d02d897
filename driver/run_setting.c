/* run_setting.c: what a run finds before it starts: processors, memory, the state of the source tree. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A word for the shell: as it is when harmless, else in single quotes. malloc'd. */
static char *quoted(const char *word)
{
    if (*word && !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./=,:+-")])
        return file_text("%s", word);
    size_t n = 0;
    char *text = malloc(4 * strlen(word) + 3);
    if (!text) as_fail(AS_NO_MEMORY, "no memory for a command line");
    text[n++] = '\'';
    for (; *word; word++) {
        if (*word == '\'') n += (size_t)sprintf(text + n, "'\\''");
        else text[n++] = *word;
    }
    text[n++] = '\'';
    text[n] = 0;
    return text;
}

char *run_line(const struct command_line *line, const char *command, const struct experiment *e)
{
    bool home = getenv("ASSAY_HOME") != NULL, run = !strcmp(command, "run"), verify = !strcmp(command, "verify");
    bool script = home && (run || verify);
    char *name = quoted(line->n_words ? line->word[0] : e->name);
    char *text = script ? file_text("./run_experiment %s%s", name, verify ? " --verify" : "")
                        : file_text("assay %s %s", command, name);
    free(name);
    if (line->quick) {
        char *more = file_text("%s --quick", text);
        free(text);
        text = more;
    }
    for (int i = 0; i < line->n_set; i++) {
        char *word = quoted(line->set[i]), *more = file_text("%s --set %s", text, word);
        free(word);
        free(text);
        text = more;
    }
    if (line->unchecked && run) {
        char *more = file_text("%s --unchecked", text);
        free(text);
        text = more;
    }
    const char *set = getenv("ASSAY_RESULTS");
    if (line->results && strcmp(line->results, set && *set ? set : "results") != 0) {
        char *word = quoted(line->results), *more = file_text("%s --results %s", text, word);
        free(word);
        free(text);
        text = more;
    }
    return text;
}

/* The first line that a command prints; "" when it fails. malloc'd. */
static char *first_line(const char *command, bool *ok)
{
    char line[512] = "";
    FILE *f = popen(command, "re");
    *ok = false;
    if (!f) return file_text("%s", "");
    if (!fgets(line, sizeof line, f)) line[0] = 0;
    char rest[512];
    while (fgets(rest, sizeof rest, f)) continue;
    *ok = pclose(f) == 0;
    line[strcspn(line, "\n")] = 0;
    return file_text("%s", line);
}

struct source_state source_state(const struct experiment *e)
{
    struct source_state s = { 0 };
    const char *home = getenv("ASSAY_HOME");
    char *folder = file_text("%s", home && *home ? home : e->path);
    if (!(home && *home)) {
        char *slash = strrchr(folder, '/');
        if (slash) *slash = 0;
        else strcpy(folder, ".");
    }
    char *at = quoted(folder);
    char *ask = file_text("git -C %s rev-parse HEAD 2>/dev/null", at);
    bool ok;
    s.commit = first_line(ask, &ok);
    if (!ok) s.commit[0] = 0;
    free(ask);
    ask = file_text("git -C %s status --porcelain -- ':(top)' ':(top,exclude)results' 2>/dev/null", at);
    char *changes = first_line(ask, &ok);
    s.dirty = ok && changes[0] != 0;
    free(changes);
    free(ask);
    free(at);
    free(folder);
    return s;
}

void run_limits(const struct command_line *line, struct supervisor *s, int *threads)
{
    enum { HOUR = 3600 };
    int allowed = processors_allowed();
    *threads = line->threads > 0 ? line->threads : 1;
    int most = allowed / *threads > 0 ? allowed / *threads : 1;
    s->jobs = line->jobs > 0 && line->jobs < most ? line->jobs : most;
    if (line->jobs > most && !line->json)
        printf("%d jobs of %d threads are more than the %d processors allowed: %d at a time\n", line->jobs, *threads,
               allowed, most);
    s->limit_time = line->limit_time > 0 ? line->limit_time : HOUR;
    s->limit_memory = line->limit_memory > 0 ? (double)line->limit_memory * 1048576 : 0.9 * memory_allowed() / s->jobs;
}

#include <driver/job.h>

#include <assay/error.h>
#include <driver/file.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct job *job_new(void)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j) as_fail(AS_NO_MEMORY, "no memory for a job");
    j->config = as_config_new();
    return j;
}

static void axis_free(struct axis *a)
{
    for (int i = 0; i < a->n; i++) free(a->value[i]);
    free(a->value);
    free(a->key);
}

void job_free(struct job *j)
{
    if (!j) return;
    char *own[] = { j->experiment, j->key, j->eval_key, j->record, j->checkpoint, j->again };
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) free(own[i]);
    for (int i = 0; i < j->n_metrics; i++) free(j->metric[i]);
    for (int i = 0; i < j->n_facts; i++) {
        free(j->fact[i].name);
        free(j->fact[i].text);
    }
    for (int i = 0; i < j->n_evals; i++) {
        for (int k = 0; k < j->eval[i].n_axes; k++) axis_free(&j->eval[i].axis[k]);
        free(j->eval[i].axis);
        free(j->eval[i].name);
        as_config_free(j->eval[i].set);
    }
    free(j->metric);
    free(j->fact);
    free(j->eval);
    as_config_free(j->config);
    free(j);
}

static void *more(void *list, int n, size_t size)
{
    void *p = realloc(list, (size_t)(n + 1) * size);
    if (!p) as_fail(AS_NO_MEMORY, "no memory for a job");
    memset((char *)p + (size_t)n * size, 0, size);
    return p;
}

void job_fact(struct job *j, const char *name, const char *text)
{
    j->fact = more(j->fact, j->n_facts, sizeof *j->fact);
    j->fact[j->n_facts++] = (struct text){ file_text("%s", name), file_text("%s", text) };
}

/* ---- as text: one line a thing, fields parted by tabs, which are written \t inside a field ------------------- */

static void put(FILE *f, const char *first, ...)
{
    va_list list;
    va_start(list, first);
    for (const char *s = first, *sep = ""; s; s = va_arg(list, const char *), sep = "\t") {
        fputs(sep, f);
        for (; *s; s++) {
            if (*s == '\t') fputs("\\t", f);
            else if (*s == '\n') fputs("\\n", f);
            else if (*s == '\\') fputs("\\\\", f);
            else putc(*s, f);
        }
    }
    va_end(list);
    putc('\n', f);
}
#define PUT(...) put(__VA_ARGS__, (char *)NULL)

static void put_evals(FILE *f, const struct eval *eval, int n)
{
    for (int i = 0; i < n; i++) {
        const struct eval *e = &eval[i];
        PUT(f, "eval", e->name, as_say("%ld", e->examples));
        for (size_t k = 0; e->set && k < e->set->n; k++) PUT(f, "set", e->set->entry[k].key, e->set->entry[k].text);
        for (int k = 0; k < e->n_axes; k++) {
            PUT(f, "axis", e->axis[k].key);
            for (int v = 0; v < e->axis[k].n; v++) PUT(f, "at", e->axis[k].value[v]);
        }
    }
}

static FILE *to_memory(char **text, size_t *n)
{
    FILE *f = open_memstream(text, n);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for a text");
    return f;
}

const char *job_write(const struct job *j, const char *path)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = to_memory(&text, &n);
    PUT(f, "experiment", j->experiment);
    PUT(f, "key", j->key);
    PUT(f, "eval_key", j->eval_key);
    PUT(f, "record", j->record);
    PUT(f, "checkpoint", j->checkpoint);
    PUT(f, "again", j->again);
    PUT(f, "role", as_say("%d", (int)j->role));
    PUT(f, "seed", as_say("%ld", j->seed));
    PUT(f, "threads", as_say("%d", j->threads));
    PUT(f, "memory", as_say("%.0f", j->memory));
    PUT(f, "parent", as_say("%ld", j->parent));
    PUT(f, "evaluate_only", j->evaluate_only ? "1" : "0");
    for (int i = 0; i < j->n_metrics; i++) PUT(f, "metric", j->metric[i]);
    for (int i = 0; i < j->n_facts; i++) PUT(f, "fact", j->fact[i].name, j->fact[i].text);
    for (size_t i = 0; i < j->config->n; i++) {
        const struct as_config_entry *e = &j->config->entry[i];
        PUT(f, "config", e->key, e->text, e->given ? "1" : "0");
    }
    put_evals(f, j->eval, j->n_evals);
    fclose(f);
    const char *why = file_replace(path, text, n);
    free(text);
    return why;
}

enum { FIELDS = 4 };

/* Cuts a line at its tabs and takes the escapes out, in place. */
static int cut(char *line, char *field[FIELDS])
{
    int n = 1;
    field[0] = line;
    char *to = line;
    for (char *s = line; *s; s++) {
        char c = *s;
        if (c == '\t' && n < FIELDS) {
            *to++ = 0;
            field[n++] = to;
            continue;
        }
        if (c == '\\' && s[1]) c = *++s == 't' ? '\t' : *s == 'n' ? '\n' : *s;
        *to++ = c;
    }
    *to = 0;
    for (int i = n; i < FIELDS; i++) field[i] = to;
    return n;
}

static struct eval *last_eval(struct job *j) { return j->n_evals ? &j->eval[j->n_evals - 1] : NULL; }
static struct axis *last_axis(struct job *j)
{
    struct eval *e = last_eval(j);
    return e && e->n_axes ? &e->axis[e->n_axes - 1] : NULL;
}

static bool take_plain(struct job *j, char *const *field)
{
    const struct { const char *name; char **at; } texts[] = {
        { "experiment", &j->experiment }, { "key", &j->key }, { "eval_key", &j->eval_key }, { "record", &j->record },
        { "checkpoint", &j->checkpoint }, { "again", &j->again },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (!strcmp(field[0], texts[i].name)) {
            free(*texts[i].at);
            *texts[i].at = file_text("%s", field[1]);
            return true;
        }
    const char *w = field[0];
    if (!strcmp(w, "role")) j->role = strtol(field[1], NULL, 10) == CELL_FINAL ? CELL_FINAL : CELL_TUNE;
    else if (!strcmp(w, "seed")) j->seed = strtol(field[1], NULL, 10);
    else if (!strcmp(w, "threads")) j->threads = (int)strtol(field[1], NULL, 10);
    else if (!strcmp(w, "memory")) j->memory = (double)strtoll(field[1], NULL, 10);
    else if (!strcmp(w, "parent")) j->parent = strtol(field[1], NULL, 10);
    else if (!strcmp(w, "evaluate_only")) j->evaluate_only = field[1][0] == '1';
    else return false;
    return true;
}

static bool take_list(struct job *j, char *const *field)
{
    const char *w = field[0];
    struct eval *e = last_eval(j);
    struct axis *a = last_axis(j);
    if (!strcmp(w, "metric")) {
        j->metric = more(j->metric, j->n_metrics, sizeof *j->metric);
        j->metric[j->n_metrics++] = file_text("%s", field[1]);
    } else if (!strcmp(w, "fact")) {
        job_fact(j, field[1], field[2]);
    } else if (!strcmp(w, "config")) {
        as_config_set(j->config, field[1], field[2], field[3][0] == '1');
    } else if (!strcmp(w, "eval")) {
        j->eval = more(j->eval, j->n_evals, sizeof *j->eval);
        e = &j->eval[j->n_evals++];
        *e = (struct eval){ .name = file_text("%s", field[1]), .set = as_config_new(),
                            .examples = strtol(field[2], NULL, 10) };
    } else if (!strcmp(w, "set") && e) {
        as_config_set(e->set, field[1], field[2], true);
    } else if (!strcmp(w, "axis") && e) {
        e->axis = more(e->axis, e->n_axes, sizeof *e->axis);
        e->axis[e->n_axes++].key = file_text("%s", field[1]);
    } else if (!strcmp(w, "at") && a) {
        a->value = more(a->value, a->n, sizeof *a->value);
        a->value[a->n++] = file_text("%s", field[1]);
    } else {
        return false;
    }
    return true;
}

struct job *job_read(const char *path, const char **why)
{
    char *text = file_read(path, NULL, why), *field[FIELDS];
    if (!text) return NULL;
    struct job *j = job_new();
    for (char *line = text, *end; *line; line = end) {
        end = strchr(line, '\n');
        if (end) *end++ = 0;
        else end = line + strlen(line);
        cut(line, field);
        if (take_plain(j, field) || take_list(j, field)) continue;
        *why = as_say("%s: no job for `assay cell`: the line \"%.60s\" is unknown; it is written by `assay run`", path,
                      field[0]);
        break;
    }
    if (!*why && (!j->key || !j->record || !j->checkpoint || !j->experiment))
        *why = as_say("%s: no job for `assay cell`; it is written by `assay run`", path);
    free(text);
    if (!*why) return j;
    job_free(j);
    return NULL;
}

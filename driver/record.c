#include <driver/record.h>

#include <assay/error.h>
#include <driver/file.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const outcomes[] = { "ok", "diverged", "timeout", "out-of-memory", "crashed", "refused", "failed",
                                        "missing" };

const char *outcome_name(enum outcome o) { return outcomes[o]; }
enum outcome outcome_of(const char *name)
{
    int o = 0;
    while (o < CELL_MISSING && strcmp(outcomes[o], name) != 0) o++;
    return (enum outcome)o;
}
bool outcome_final(enum outcome o) { return o == CELL_OK || o == CELL_DIVERGED; }

const char *results_folder(const char *option)
{
    if (option && *option) return option;
    const char *set = getenv("ASSAY_RESULTS");
    return set && *set ? set : "results";
}

/* Room for one more element at the end of a list of n. */
static void *grow(void *list, int n, size_t size)
{
    if (n & (n - 1)) return list;                 /* grows at powers of two only */
    void *more = realloc(list, (n ? 2 * (size_t)n : 1) * size);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for a record");
    return more;
}

struct record *record_new(const char *key)
{
    struct record *r = calloc(1, sizeof *r);
    if (!r) as_fail(AS_NO_MEMORY, "no memory for a record");
    strncpy(r->key, key, sizeof r->key - 1);
    r->outcome = CELL_MISSING;
    r->reason = file_text("%s", "");
    r->config = file_text("%s", "");
    r->again = file_text("%s", "");
    return r;
}

void record_clear_values(struct record *r)
{
    for (int i = 0; i < r->n_values; i++) {
        struct value *v = &r->value[i];
        for (int k = 0; k < v->n_keys; k++) {
            free(v->key[k]);
            free(v->text[k]);
        }
        free(v->key);
        free(v->text);
        free(v->metric);
        free(v->per_example);
    }
    free(r->value);
    r->value = NULL;
    r->n_values = 0;
}

void record_free(struct record *r)
{
    if (!r) return;
    record_clear_values(r);
    for (int i = 0; i < r->n_curves; i++) {
        free(r->curve[i].name);
        free(r->curve[i].x);
        free(r->curve[i].y);
    }
    for (int i = 0; i < r->n_texts; i++) {
        free(r->text[i].name);
        free(r->text[i].text);
    }
    for (int i = 0; i < r->n_numbers; i++) free(r->number[i].name);
    free(r->curve);
    free(r->text);
    free(r->number);
    free(r->weight);
    free(r->reason);
    free(r->config);
    free(r->again);
    free(r);
}

void record_outcome(struct record *r, enum outcome o, const char *reason)
{
    char *copy = file_text("%s", reason ? reason : "");
    for (char *s = copy; *s; s++)
        if (*s == '\n' || *s == '\t' || *s == '\r') *s = ' ';     /* it becomes a column of cells.tsv */
    free(r->reason);
    r->reason = copy;
    r->outcome = o;
}

void record_text(struct record *r, const char *name, const char *text)
{
    char *copy = file_text("%s", text ? text : "");
    for (int i = 0; i < r->n_texts; i++)
        if (!strcmp(r->text[i].name, name)) {
            free(r->text[i].text);
            r->text[i].text = copy;
            return;
        }
    r->text = grow(r->text, r->n_texts, sizeof *r->text);
    r->text[r->n_texts++] = (struct text){ file_text("%s", name), copy };
}

void record_number(struct record *r, const char *name, double number)
{
    for (int i = 0; i < r->n_numbers; i++)
        if (!strcmp(r->number[i].name, name)) {
            r->number[i].number = number;
            return;
        }
    r->number = grow(r->number, r->n_numbers, sizeof *r->number);
    r->number[r->n_numbers++] = (struct number){ file_text("%s", name), number };
}

struct value *record_value(struct record *r, const char *metric, double value, long examples, float *per_example)
{
    r->value = grow(r->value, r->n_values, sizeof *r->value);
    struct value *v = &r->value[r->n_values++];
    *v = (struct value){ .metric = file_text("%s", metric), .value = value, .examples = examples,
                         .per_example = per_example };
    return v;
}

void value_key(struct value *v, const char *key, const char *text)
{
    v->key = grow(v->key, v->n_keys, sizeof *v->key);
    v->text = grow(v->text, v->n_keys, sizeof *v->text);
    v->key[v->n_keys] = file_text("%s", key);
    v->text[v->n_keys++] = file_text("%s", text);
}

struct curve *record_curve(struct record *r, const char *name)
{
    for (int i = 0; i < r->n_curves; i++)
        if (!strcmp(r->curve[i].name, name)) return &r->curve[i];
    r->curve = grow(r->curve, r->n_curves, sizeof *r->curve);
    r->curve[r->n_curves] = (struct curve){ .name = file_text("%s", name) };
    return &r->curve[r->n_curves++];
}

void curve_point(struct curve *c, double x, double y)
{
    c->x = grow(c->x, c->n, sizeof *c->x);
    c->y = grow(c->y, c->n, sizeof *c->y);
    c->x[c->n] = x;
    c->y[c->n++] = y;
}

const char *record_text_of(const struct record *r, const char *name)
{
    for (int i = 0; i < r->n_texts; i++)
        if (!strcmp(r->text[i].name, name)) return r->text[i].text;
    return NULL;
}

double record_number_of(const struct record *r, const char *name)
{
    for (int i = 0; i < r->n_numbers; i++)
        if (!strcmp(r->number[i].name, name)) return r->number[i].number;
    return (double)NAN;
}

const struct curve *record_curve_of(const struct record *r, const char *name)
{
    for (int i = 0; i < r->n_curves; i++)
        if (!strcmp(r->curve[i].name, name)) return &r->curve[i];
    return NULL;
}

static bool has_key(const struct value *v, const char *key, const char *text)
{
    for (int i = 0; i < v->n_keys; i++)
        if (!strcmp(v->key[i], key)) return !strcmp(v->text[i], text);
    return false;
}

const struct value *record_value_of(const struct record *r, const char *metric, int n, const char *const *keys,
                                    const char *const *texts)
{
    for (int i = 0; i < r->n_values; i++) {
        const struct value *v = &r->value[i];
        bool same = v->n_keys == n && !strcmp(v->metric, metric);
        for (int k = 0; same && k < n; k++) same = has_key(v, keys[k], texts[k]);
        if (same) return v;
    }
    return NULL;
}

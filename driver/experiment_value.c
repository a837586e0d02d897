/* experiment_value.c: lists, ranges, axes and keys of experiment files. */
#include "experiment_impl.h"
#include "file.h"
#include "stages.h"

#include <assay/error.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define MAX_VALUES 10000

void *more(void *array, int n, size_t size)
{
    char *p = realloc(array, ((size_t)n + 1) * size);
    if (!p)
        as_fail(AS_NO_MEMORY, "out of memory for an experiment");
    size_t first = array ? (size_t)n : 0;
    memset(p + first * size, 0, ((size_t)n + 1 - first) * size);
    return p;
}

void texts_free(char **text, int n)
{
    for (int i = 0; i < n; i++)
        free(text[i]);
    free(text);
}

/* "3..40" as two whole numbers. */
static bool is_range(const char *text, long *lo, long *hi)
{
    char *end;
    if (!isdigit((unsigned char)*text) && *text != '-')
        return false;
    *lo = strtol(text, &end, 10);
    if (end[0] != '.' || end[1] != '.' || (!isdigit((unsigned char)end[2]) && end[2] != '-'))
        return false;
    *hi = strtol(end + 2, &end, 10);
    return !*end;
}

static const char *add_value(char ***value, int *n, char *text)
{
    for (int i = 0; i < *n; i++) {
        if (!strcmp((*value)[i], text)) {
            const char *why = as_say("the value %s stands there twice; remove one", text);
            free(text);
            return why;
        }
    }
    *value = more(*value, *n, sizeof **value);
    (*value)[(*n)++] = text;
    return *n > MAX_VALUES ? as_say("more than %d values", MAX_VALUES) : NULL;
}

static const char *add_piece(char ***value, int *n, const char *piece, bool expand)
{
    long lo, hi;
    const char *why = NULL;
    if (!*piece)
        return "an empty place between commas; remove it";
    if (!expand || !is_range(piece, &lo, &hi))
        return add_value(value, n, file_text("%s", piece));
    if (lo > hi)
        return as_say("the range %s runs backwards; write the smaller end first", piece);
    if (hi - lo >= MAX_VALUES)
        return as_say("the range %s has more than %d values", piece, MAX_VALUES);
    for (long v = lo; v <= hi && !why; v++)
        why = add_value(value, n, file_text("%ld", v));
    return why;
}

const char *value_list(const char *text, bool ranges, bool lone, char ***value, int *n)
{
    const char *why = NULL;
    bool expand = ranges || (lone && !strchr(text, ','));
    *value = NULL;
    *n = 0;
    for (const char *at = text; at && !why;) {
        at += strspn(at, " \t");
        const char *comma = strchr(at, ',');
        size_t m = comma ? (size_t)(comma - at) : strlen(at);
        while (m > 0 && isspace((unsigned char)at[m - 1]))
            m--;
        char *piece = file_text("%.*s", (int)m, at);
        why = add_piece(value, n, piece, expand);
        free(piece);
        at = comma ? comma + 1 : NULL;
    }
    if (why) {
        texts_free(*value, *n);
        *value = NULL;
        *n = 0;
    }
    return why;
}

static const char *const train_keys[] = { "steps", "batch", "lr", "decay", "decay_on", "clip", "schedule", "warmup",
                                          "final", "select", "eval_every", "freeze", NULL };

const char *full_key(const char *key)
{
    const char *rest = stage_key(key, NULL, 0);
    bool bare = !strncmp(rest, "factor.", 7);
    for (int i = 0; train_keys[i]; i++)
        bare = bare || !strcmp(rest, train_keys[i]);
    return bare ? as_say("%.*strain.%s", (int)(rest - key), key, rest) : key;
}

bool is_model_key(const char *key)
{
    static const char *const other[] = { "data", "train", "rule", "objective", "valid", "test", "seed", NULL };
    key = stage_key(key, NULL, 0);
    size_t n = strcspn(key, ".");
    for (int i = 0; other[i]; i++)
        if (strlen(other[i]) == n && !strncmp(key, other[i], n))
            return false;
    return true;
}

struct axis *axis_find(struct axis *axis, int n, const char *key)
{
    for (int i = 0; i < n; i++)
        if (!strcmp(axis[i].key, key))
            return &axis[i];
    return NULL;
}

void axis_set(struct axis **axis, int *n, const char *key, char **value, int n_values)
{
    struct axis *a = axis_find(*axis, *n, key);
    if (!a) {
        *axis = more(*axis, *n, sizeof **axis);
        a = &(*axis)[(*n)++];
        a->key = file_text("%s", key);
    }
    texts_free(a->value, a->n);
    a->value = value;
    a->n = n_values;
}

void axis_remove(struct axis *axis, int *n, struct axis *a)
{
    free(a->key);
    texts_free(a->value, a->n);
    memmove(a, a + 1, (size_t)(axis + *n - (a + 1)) * sizeof *a);
    --*n;
}

const char *config_find(const struct as_config *cfg, const char *key)
{
    for (size_t i = 0; i < cfg->n; i++)
        if (!strcmp(cfg->entry[i].key, key))
            return cfg->entry[i].text;
    return NULL;
}

bool config_remove(struct as_config *cfg, const char *key)
{
    for (size_t i = 0; i < cfg->n; i++) {
        if (strcmp(cfg->entry[i].key, key))
            continue;
        free(cfg->entry[i].key);
        free(cfg->entry[i].text);
        memmove(&cfg->entry[i], &cfg->entry[i + 1], (cfg->n - i - 1) * sizeof *cfg->entry);
        cfg->n--;
        return true;
    }
    return false;
}

/* --- the points of an evaluation ---------------------------------------------------------------------------- */

int eval_points(const struct eval *v)
{
    int n = 1;
    for (int i = 0; i < v->n_axes; i++)
        n *= v->axis[i].n;
    return n;
}

int eval_keys(const struct eval *v)
{
    return (int)v->set->n + v->n_axes;
}

void eval_point(const struct eval *v, int i, const char **keys, const char **texts)
{
    int fixed = (int)v->set->n;
    for (int k = 0; k < fixed; k++) {
        keys[k] = v->set->entry[k].key;
        texts[k] = v->set->entry[k].text;
    }
    for (int k = v->n_axes - 1; k >= 0; k--) {
        keys[fixed + k] = v->axis[k].key;
        texts[fixed + k] = v->axis[k].value[i % v->axis[k].n];
        i /= v->axis[k].n;
    }
}

const char *eval_axis_name(const struct eval *v, const struct axis *a)
{
    return as_say("%s.%s", v->name, strncmp(a->key, "data.", 5) ? a->key : a->key + 5);
}

/* A record as a file:
 *
 *   /                 format, version, key, outcome, reason, config, again
 *   /texts, /numbers  one attribute each
 *   /values/0000      metric, value, examples, keys; key0, text0, ...; the array `per_example` when there is one
 *   /curves/0000      name; the arrays x and y
 *   /weights          final weights
 */
#include <driver/record.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/h5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FORMAT[] = "assay record";
enum { VERSION = 1, NAME = 64 };

static void write_value(struct h5 *f, const struct value *v, int i)
{
    char at[NAME], name[2 * NAME];
    snprintf(at, sizeof at, "values/%04d", i);
    h5_write_text(f, at, "metric", v->metric);
    h5_write_number(f, at, "value", v->value);
    h5_write_number(f, at, "examples", (double)v->examples);
    h5_write_number(f, at, "keys", v->n_keys);
    for (int k = 0; k < v->n_keys; k++) {
        snprintf(name, sizeof name, "key%d", k);
        h5_write_text(f, at, name, v->key[k]);
        snprintf(name, sizeof name, "text%d", k);
        h5_write_text(f, at, name, v->text[k]);
    }
    if (!v->per_example) return;
    snprintf(name, sizeof name, "%s/per_example", at);
    h5_write_floats(f, name, 1, (ptrdiff_t[]){ v->examples }, v->per_example);
}

static void write_curve(struct h5 *f, const struct curve *c, int i)
{
    char at[NAME], name[2 * NAME];
    snprintf(at, sizeof at, "curves/%04d", i);
    h5_write_text(f, at, "name", c->name);
    snprintf(name, sizeof name, "%s/x", at);
    h5_write_doubles(f, name, 1, (ptrdiff_t[]){ c->n }, c->x);
    snprintf(name, sizeof name, "%s/y", at);
    h5_write_doubles(f, name, 1, (ptrdiff_t[]){ c->n }, c->y);
}

const char *record_write(const struct record *r, const char *path)
{
    struct h5 *f = h5_create(path);
    h5_write_text(f, "/", "format", FORMAT);
    h5_write_number(f, "/", "version", VERSION);
    h5_write_text(f, "/", "key", r->key);
    h5_write_text(f, "/", "outcome", outcome_name(r->outcome));
    h5_write_text(f, "/", "reason", r->reason);
    h5_write_text(f, "/", "config", r->config);
    h5_write_text(f, "/", "again", r->again);
    for (int i = 0; i < r->n_texts; i++) h5_write_text(f, "texts", r->text[i].name, r->text[i].text);
    for (int i = 0; i < r->n_numbers; i++) h5_write_number(f, "numbers", r->number[i].name, r->number[i].number);
    for (int i = 0; i < r->n_values; i++) write_value(f, &r->value[i], i);
    for (int i = 0; i < r->n_curves; i++) write_curve(f, &r->curve[i], i);
    if (r->weight) h5_write_floats(f, "weights", 1, &r->n_weights, r->weight);
    return h5_commit(f);
}

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* A text that must be there: "" and an error otherwise is the handle's business, so "" will do. */
static char *text_of(struct h5 *f, const char *at, const char *name)
{
    char *text = h5_read_text(f, at, name);
    return text ? text : file_text("%s", "");
}

static void read_value(struct h5 *f, struct record *r, const char *group, bool arrays)
{
    char at[2 * NAME], name[4 * NAME];
    snprintf(at, sizeof at, "values/%s", group);
    char *metric = text_of(f, at, "metric");
    struct value *v = record_value(r, metric, h5_read_number(f, at, "value", 0),
                                   (long)h5_read_number(f, at, "examples", 0), NULL);
    free(metric);
    int keys = (int)h5_read_number(f, at, "keys", 0);
    for (int k = 0; k < keys && !h5_error(f); k++) {
        snprintf(name, sizeof name, "key%d", k);
        char *key = text_of(f, at, name);
        snprintf(name, sizeof name, "text%d", k);
        char *text = text_of(f, at, name);
        value_key(v, key, text);
        free(key);
        free(text);
    }
    snprintf(name, sizeof name, "%s/per_example", at);
    ptrdiff_t n = 0;
    if (arrays && h5_has(f, name)) v->per_example = h5_read_floats(f, name, &n);
    if (v->per_example) v->examples = (long)n;
}

static void read_curve(struct h5 *f, struct record *r, const char *group)
{
    char at[2 * NAME], name[4 * NAME];
    snprintf(at, sizeof at, "curves/%s", group);
    char *title = text_of(f, at, "name");
    struct curve *c = record_curve(r, title);
    free(title);
    ptrdiff_t nx = 0, ny = 0;
    snprintf(name, sizeof name, "%s/x", at);
    double *x = h5_read_doubles(f, name, &nx);
    snprintf(name, sizeof name, "%s/y", at);
    double *y = h5_read_doubles(f, name, &ny);
    for (ptrdiff_t i = 0; x && y && i < nx && i < ny; i++) curve_point(c, x[i], y[i]);
    free(x);
    free(y);
}

static void read_lists(struct h5 *f, struct record *r, bool arrays)
{
    int n;
    char **names = h5_attributes(f, "texts", &n);
    for (int i = 0; i < n; i++) {
        char *text = text_of(f, "texts", names[i]);
        record_text(r, names[i], text);
        free(text);
    }
    h5_names_free(names, n);
    names = h5_attributes(f, "numbers", &n);
    for (int i = 0; i < n; i++) record_number(r, names[i], h5_read_number(f, "numbers", names[i], 0));
    h5_names_free(names, n);
    names = h5_names(f, "values", &n);
    for (int i = 0; i < n; i++) read_value(f, r, names[i], arrays);
    h5_names_free(names, n);
    names = h5_names(f, "curves", &n);
    for (int i = 0; i < n; i++) read_curve(f, r, names[i]);
    h5_names_free(names, n);
    if (arrays && h5_has(f, "weights")) r->weight = h5_read_floats(f, "weights", &r->n_weights);
}

struct record *record_read(const char *path, bool arrays, const char **why)
{
    struct h5 *f = h5_open(path, "delete it, and the same command makes it again", why);
    if (!f) return NULL;
    char *format = text_of(f, "/", "format"), *key = text_of(f, "/", "key");
    char *outcome = text_of(f, "/", "outcome"), *reason = text_of(f, "/", "reason");
    struct record *r = NULL;
    if (strcmp(format, FORMAT) != 0 || h5_read_number(f, "/", "version", 0) > VERSION) {
        *why = h5_error(f) ? as_say("%s", h5_error(f))
                           : as_say("%s: no record of this version of assay; move it away", path);
    } else {
        r = record_new(key);
        record_outcome(r, outcome_of(outcome), reason);
        free(r->config);
        free(r->again);
        r->config = text_of(f, "/", "config");
        r->again = text_of(f, "/", "again");
        read_lists(f, r, arrays);
        if (h5_error(f)) {
            *why = as_say("%s", h5_error(f));
            record_free(r);
            r = NULL;
        }
    }
    free(format);
    free(key);
    free(outcome);
    free(reason);
    h5_close(f);
    return r;
}

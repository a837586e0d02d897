/* check_source.c: see check/source.h. */
#include "check/source.h"

#include <assay/error.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTINGS = 128, GUARD = 64, PATTERN = 0x7b, MOST_BYTES = 1 << 26 };

static const uint32_t role[AS_SPLITS] = { AS_ROLE_DATA, AS_ROLE_VALID, AS_ROLE_TEST };

const char *source_split_name(enum as_split split)
{
    static const char *const name[AS_SPLITS] = { "train", "valid", "test" };
    return name[split];
}

const char *source_text(const struct source_try *t)
{
    const struct check_setting *s = t->setting;
    return as_say("with %s%s%s", s ? s->row->key : "the defaults", s ? "=" : "", s ? s->value : "");
}

static bool timed(const struct as_data_field *f) { return f->rank > 0 && f->dim[0] == AS_TIME; }

static ptrdiff_t items(const struct as_data_field *f, ptrdiff_t length)
{
    ptrdiff_t n = 1;
    for (int i = 0; i < f->rank; i++)
        n *= f->dim[i] == AS_TIME ? length : f->dim[i];
    return n;
}

ptrdiff_t source_items(const struct source_try *t, int field) { return items(&t->shape.field[field], t->e.length); }

int source_field(const struct source_try *t, const char *name)
{
    for (int f = 0; f < t->shape.n_fields; f++)
        if (!strcmp(t->shape.field[f].name, name))
            return f;
    return -1;
}

int source_examples(const struct source_try *t, int most)
{
    enum { STEPS = 6000 };                   /* of all examples together */
    ptrdiff_t n = STEPS / t->shape.max_length;
    return n < 2 ? 2 : n < most ? (int)n : most;
}

static const unsigned char *field_bytes(const struct source_try *t, int f)
{
    return t->shape.field[f].integer ? (const void *)t->e.i[f] : (const void *)t->e.x[f];
}

uint64_t source_hash(const struct source_try *t, int fields)
{
    uint64_t h = 14695981039346656037U ^ (uint64_t)t->e.length;
    for (int f = 0; f < fields; f++) {
        const unsigned char *p = field_bytes(t, f);
        for (ptrdiff_t j = 0; j < source_items(t, f) * 4; j++)
            h = (h ^ p[j]) * 1099511628211U;
    }
    return h;
}

/* ---- one setting ----------------------------------------------------------------------------------------------- */

static bool make_room(struct source_try *t)
{
    double total = 0;
    for (int f = 0; f < t->shape.n_fields; f++)
        total += 4.0 * (double)items(&t->shape.field[f], 1) * (timed(&t->shape.field[f]) ? (double)t->shape.max_length : 1);
    if (total > MOST_BYTES)
        return false;
    for (int f = 0; f < t->shape.n_fields; f++) {
        t->bytes[f] = 4 * (size_t)items(&t->shape.field[f], t->shape.max_length);
        t->block[f] = malloc(t->bytes[f] + 2 * GUARD);
        if (!t->block[f])
            as_fail(AS_NO_MEMORY, "no memory for a check");
        void *at = (char *)t->block[f] + GUARD;
        if (t->shape.field[f].integer)
            t->e.i[f] = at;
        else
            t->e.x[f] = at;
    }
    return true;
}

static void try_free(struct source_try *t)
{
    for (int f = 0; f < AS_MAX_FIELDS; f++)
        free(t->block[f]);
    free(t->opt);
}

static void try_one(struct check_run *r, const struct check_setting *s,
                    void (*body)(struct check_run *r, struct source_try *t))
{
    struct source_try t = { .source = r->entry->plugin->source, .setting = s };
    t.opt = calloc(1, t.source->opt_size + 1);
    if (!t.opt)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    const char *why = check_options_with(t.source->options, s, t.opt, t.source->opt_size);
    if (why && !s)
        check_fail(r, "its defaults are refused: %s", why);
    if (!why && (!t.source->check || !t.source->check(t.opt))) {
        t.source->shape(t.opt, &t.shape);
        if (t.shape.n_fields < 2 || t.shape.n_fields > AS_MAX_FIELDS || t.shape.max_length < 1)
            check_fail(r, "%s its shape has %d fields and a longest length of %td", source_text(&t), t.shape.n_fields,
                       t.shape.max_length);
        else if (make_room(&t))
            body(r, &t);
    }
    try_free(&t);
}

static void try_sweep(struct check_run *r, const struct as_option *row,
                      void (*body)(struct check_run *r, struct source_try *t))
{
    for (const char *at = row->sweep; at && *at && !r->failures; at += *at == ',') {
        struct check_setting s = { .row = row };
        size_t n = strcspn(at, ",");
        snprintf(s.value, sizeof s.value, "%.*s", (int)n, at);
        try_one(r, &s, body);
        at += n;
    }
}

void source_each(struct check_run *r, void (*body)(struct check_run *r, struct source_try *t))
{
    const struct as_source *source = r->entry->plugin->source;
    struct check_setting s[SETTINGS];
    if (!source->example) {
        check_no_matter(r, "is a converter");
        return;
    }
    int n = check_settings(source->options, s, SETTINGS);
    try_one(r, NULL, body);
    for (int k = 0; k < n && k < SETTINGS && !r->failures; k++)
        if (!s[k].beyond)
            try_one(r, &s[k], body);
    for (const struct as_option *row = source->options; row && row->key && !r->failures; row++)
        try_sweep(r, row, body);
}

/* ---- one example ----------------------------------------------------------------------------------------------- */

static bool guards_hold(const struct source_try *t, int f)
{
    const unsigned char *p = t->block[f];
    for (size_t i = 0; i < GUARD; i++)
        if (p[i] != PATTERN || p[GUARD + t->bytes[f] + i] != PATTERN)
            return false;
    return true;
}

bool source_make(struct check_run *r, struct source_try *t, enum as_split split, uint64_t seed, uint64_t index,
                 int rubbish)
{
    struct as_key key = { seed, role[split], 0 };
    for (int f = 0; f < t->shape.n_fields; f++) {
        memset(t->block[f], PATTERN, t->bytes[f] + 2 * GUARD);
        memset((char *)t->block[f] + GUARD, rubbish, t->bytes[f]);
    }
    t->e.length = -1;
    t->source->example(t->opt, split, key, index, &t->e);
    if (t->e.length < 1 || t->e.length > t->shape.max_length) {
        check_fail(r, "%s, %s example %llu of seed %llu has length %td; its shape says 1 to %td", source_text(t),
                   source_split_name(split), (unsigned long long)index, (unsigned long long)seed, t->e.length,
                   t->shape.max_length);
        return false;
    }
    for (int f = 0; f < t->shape.n_fields; f++)
        if (!guards_hold(t, f)) {
            check_fail(r, "%s, %s example %llu writes beside the field %s of %td steps at most", source_text(t),
                       source_split_name(split), (unsigned long long)index, t->shape.field[f].name, t->shape.max_length);
            return false;
        }
    return true;
}

/* A value that cannot be, or NULL. */
static const char *bad_value(const struct as_data_field *f, const struct as_example *e, int field, ptrdiff_t j)
{
    bool target = !strcmp(f->name, "target"), weight = !strcmp(f->name, "weight");
    if (f->integer) {
        int32_t v = e->i[field][j];
        if (v < (target ? -1 : 0) || v >= f->vocab)
            return as_say("%s[%td] is %d, outside of %d..%td", f->name, j, (int)v, target ? -1 : 0, f->vocab - 1);
    } else if (!isfinite(e->x[field][j]) || (weight && e->x[field][j] < 0)) {
        return as_say("%s[%td] is %g", f->name, j, (double)e->x[field][j]);
    }
    return NULL;
}

const char *source_misfit(const struct as_data_shape *shape, const struct as_example *e)
{
    const char *why = NULL;
    if (e->length < 1 || e->length > shape->max_length)
        return as_say("its length %td is outside of 1..%td", e->length, shape->max_length);
    for (int f = 0; f < shape->n_fields && !why; f++)
        for (ptrdiff_t j = 0, n = items(&shape->field[f], e->length); j < n && !why; j++)
            why = bad_value(&shape->field[f], e, f, j);
    return why;
}

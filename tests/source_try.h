/* source_try.h: making examples of any source, for the tests of sources. */
#ifndef ASSAY_TESTS_SOURCE_TRY_H
#define ASSAY_TESTS_SOURCE_TRY_H

#include <assay/config.h>
#include <assay/registry.h>
#include <assay/source.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint32_t role[AS_SPLITS] = { AS_ROLE_DATA, AS_ROLE_VALID, AS_ROLE_TEST };

struct setup { const struct as_entry *entry; const struct as_source *s; void *opt; struct as_data_shape shape; };

static inline bool timed(const struct as_data_field *f) { return f->rank > 0 && f->dim[0] == AS_TIME; }
static inline ptrdiff_t items(const struct as_data_field *f, ptrdiff_t length)
{
    ptrdiff_t n = 1;
    for (int i = 0; i < f->rank; i++)
        n *= f->dim[i] == AS_TIME ? length : f->dim[i];
    return n;
}
static inline int field_of(const struct setup *u, const char *name)
{
    for (int f = 0; f < u->shape.n_fields; f++)
        if (!strcmp(u->shape.field[f].name, name))
            return f;
    return -1;
}

static inline void *defaults(const struct as_source *s)
{
    struct as_config *cfg = as_config_new();
    void *opt = calloc(1, s->opt_size ? s->opt_size : 1);
    assert_non_null(opt);
    if (s->options)
        assert_null(as_options_read(s->options, opt, s->opt_size, cfg, "data"));
    as_config_free(cfg);
    return opt;
}

static inline void shape_of(struct setup *u)
{
    memset(&u->shape, 0, sizeof u->shape);
    u->s->shape(u->opt, &u->shape);
}

/* One source with `KEY VALUE` pairs set. */
static inline struct setup find(const char *name, int n, const char *const *pairs)
{
    struct setup u = { .entry = as_registry_find("source", name, NULL) };
    assert_non_null(u.entry);
    u.s = u.entry->plugin->source;
    u.opt = defaults(u.s);
    for (int i = 0; i < n; i++)
        for (const struct as_option *row = u.s->options; row->key; row++)
            if (!strcmp(row->key, pairs[2 * i]))
                assert_null(as_option_set(row, u.opt, pairs[2 * i + 1]));
    if (u.s->check)
        assert_null(u.s->check(u.opt));
    shape_of(&u);
    return u;
}

static inline struct as_example new_example(const struct setup *u)
{
    struct as_example e = { 0 };
    for (int f = 0; f < u->shape.n_fields; f++) {
        size_t n = (size_t)items(&u->shape.field[f], u->shape.max_length);
        if (u->shape.field[f].integer)
            e.i[f] = malloc(n * sizeof *e.i[f]);
        else
            e.x[f] = malloc(n * sizeof *e.x[f]);
    }
    return e;
}
static inline void free_example(struct as_example *e)
{
    for (int f = 0; f < AS_MAX_FIELDS; f++) {
        free(e->i[f]);
        free(e->x[f]);
    }
}

/* Makes an example in arrays full of rubbish, so that what is not written shows. */
static inline void make(const struct setup *u, enum as_split split, uint64_t seed, uint64_t index, int rubbish,
                 struct as_example *e)
{
    struct as_key key = { seed, role[split], 0 };
    for (int f = 0; f < u->shape.n_fields; f++) {
        size_t n = (size_t)items(&u->shape.field[f], u->shape.max_length) * 4;
        memset(u->shape.field[f].integer ? (void *)e->i[f] : (void *)e->x[f], rubbish, n);
    }
    e->length = -1;
    u->s->example(u->opt, split, key, index, e);
}

static inline bool same(const struct setup *u, const struct as_example *a, const struct as_example *b, int fields)
{
    if (a->length != b->length)
        return false;
    for (int f = 0; f < fields; f++) {
        const void *p = u->shape.field[f].integer ? (const void *)a->i[f] : a->x[f];
        const void *q = u->shape.field[f].integer ? (const void *)b->i[f] : b->x[f];
        if (memcmp(p, q, (size_t)items(&u->shape.field[f], a->length) * 4) != 0)
            return false;
    }
    return true;
}

#endif

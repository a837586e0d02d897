/* data.c: examples of a generator or of stored data, gathered into padded batches. */
#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct as_data {
    const struct as_entry *entry;
    const struct as_source *source;
    const struct as_stored *stored;      /* NULL: generated */
    void *opt;
    struct as_data_shape shape;
    uint64_t seed;
    bool by_class;                       /* training examples come class by class */
};

static const struct as_entry *find_source(struct as_config *cfg)
{
    const char *name = as_config_get(cfg, "data.source"), *nearest;
    const struct as_entry *e;

    if (!name)
        as_fail(AS_REFUSED, "no data: add 'source = NAME' to [data] (see: assay list sources)");
    e = as_registry_find("source", name, &nearest);
    if (!e)
        as_fail(AS_REFUSED, "data.source = %s: there is no such source%s%s", name, nearest ? "; nearest is " : "",
                nearest ? nearest : "");
    return e;
}

/* data.order: how training examples follow one another. NULL, or the refusal. */
static const char *read_order(struct as_data *d, struct as_config *cfg)
{
    const char *text = as_config_word(cfg, "data.order", "shuffled");

    d->by_class = strcmp(text, "classes") == 0;
    if (d->by_class || strcmp(text, "shuffled") == 0)
        return NULL;
    return as_say("data.order = %s: it is shuffled or classes", text);
}

struct as_data *as_data_open(struct as_config *cfg, uint64_t seed, const struct as_stored *stored)
{
    const struct as_entry *e = find_source(cfg);
    const struct as_source *s = e->plugin->source;
    struct as_data *d = calloc(1, sizeof *d);
    const char *why = NULL;

    if (!d || !(d->opt = calloc(1, s->opt_size ? s->opt_size : 1))) {
        free(d);
        as_fail(AS_NO_MEMORY, "out of memory for a data source");
    }
    d->entry = e;
    d->source = s;
    d->stored = stored;
    d->seed = seed;
    if (s->options)
        why = as_options_read(s->options, d->opt, s->opt_size, cfg, "data");
    if (!why && s->check)
        why = s->check(d->opt);
    if (!why)
        why = read_order(d, cfg);
    if (!why && !s->example && !stored)
        why = as_say("data.source = %s is stored data and was not loaded", e->name);
    if (why) {
        as_data_close(d);
        as_fail(AS_REFUSED, "%s", why);
    }
    s->shape(d->opt, &d->shape);
    if (stored)
        d->shape = stored->shape;
    return d;
}

struct as_data *as_data_changed(struct as_config *cfg, uint64_t seed, const struct as_stored *stored,
                                const char *const *keys, const char *const *texts, int n)
{
    struct as_config *copy = as_config_copy(cfg);
    struct as_data *d;

    for (int i = 0; i < n; i++)
        as_config_set(copy, keys[i], texts[i], true);
    d = as_data_open(copy, seed, stored);
    as_config_free(copy);
    return d;
}

void as_data_close(struct as_data *d)
{
    if (!d)
        return;
    free(d->opt);
    free(d);
}

const struct as_data_shape *as_data_describe(const struct as_data *d) { return &d->shape; }

/* Elements of one step (sequence fields) or of one example (others). */
static ptrdiff_t unit(const struct as_data_field *f)
{
    ptrdiff_t n = 1;

    for (int i = 0; i < f->rank; i++)
        if (f->dim[i] != AS_TIME)
            n *= f->dim[i];
    return n;
}

static bool timed(const struct as_data_field *f) { return f->rank > 0 && f->dim[0] == AS_TIME; }

const int32_t *data_class_targets(const struct as_data *d, ptrdiff_t *classes)
{
    if (!d->by_class)
        return NULL;
    if (!d->stored)
        as_fail(AS_REFUSED, "data.order = classes: %s makes its examples as it goes, so they cannot be sorted; take a "
                            "source of stored data, or leave it at shuffled", d->entry->name);
    for (int f = 0; f < d->shape.n_fields; f++) {
        const struct as_data_field *field = &d->shape.field[f];

        if (strcmp(field->name, "target") != 0 || !field->integer || timed(field) || unit(field) != 1)
            continue;
        *classes = field->vocab > 0 ? field->vocab : d->shape.classes;
        return d->stored->i[AS_TRAIN][f];
    }
    as_fail(AS_REFUSED, "data.order = classes: examples of %s have no class of their own (one integer as target); leave "
                        "it at shuffled", d->entry->name);
}

/* What padding holds: no class for targets, zero for the rest. */
static int32_t pad_value(const struct as_data_field *f) { return strcmp(f->name, "target") == 0 ? -1 : 0; }

static void generate(struct as_data *d, struct as_arena *a, enum as_split split, uint64_t index, ptrdiff_t room,
                     struct as_example *e)
{
    static const uint32_t role[AS_SPLITS] = { AS_ROLE_DATA, AS_ROLE_VALID, AS_ROLE_TEST };
    struct as_key key = { d->seed, role[split], 0 };

    for (int f = 0; f < d->shape.n_fields; f++) {
        const struct as_data_field *field = &d->shape.field[f];
        size_t n = as_size((size_t)(timed(field) ? room : 1), (size_t)unit(field));

        if (field->integer)
            e->i[f] = as_arena_zero(a, as_size(n, sizeof(int32_t)));
        else
            e->x[f] = as_arena_zero(a, as_size(n, sizeof(float)));
    }
    d->source->example(d->opt, split, key, index, e);
    if (e->length < 0 || e->length > d->shape.max_length)
        as_fail(AS_FAILED, "source %s made an example of %td steps; it declared at most %td", d->entry->name, e->length,
                d->shape.max_length);
}

static void look_up(const struct as_data *d, enum as_split split, uint64_t index, struct as_example *e)
{
    const struct as_stored *s = d->stored;
    ptrdiff_t from = s->offset[split][index];

    e->length = s->offset[split][index + 1] - from;
    for (int f = 0; f < s->shape.n_fields; f++) {
        const struct as_data_field *field = &s->shape.field[f];
        ptrdiff_t at = (timed(field) ? from : (ptrdiff_t)index) * unit(field);

        if (field->integer)
            e->i[f] = s->i[split][f] + at;
        else
            e->x[f] = s->x[split][f] + at;
    }
}

/* One field of all examples into its padded place. */
static void gather(struct as_batch *b, int f, const struct as_example *e)
{
    const struct as_data_field *field = &b->field[f];
    ptrdiff_t u = unit(field), row = (timed(field) ? b->time : 1) * u;
    const int32_t pad = pad_value(field);

    for (ptrdiff_t r = 0; r < b->batch; r++) {
        ptrdiff_t n = (timed(field) ? e[r].length : 1) * u;

        if (field->integer) {
            memcpy(b->i[f] + r * row, e[r].i[f], (size_t)n * sizeof(int32_t));
            for (ptrdiff_t j = n; j < row; j++)
                b->i[f][r * row + j] = pad;
            continue;
        }
        for (ptrdiff_t j = 0; j < n; j++)
            b->x[f][r * row + j] = (real)e[r].x[f][j];
        for (ptrdiff_t j = n; j < row; j++)
            b->x[f][r * row + j] = R(0.0);
    }
}

struct as_batch *as_batch_fill(struct as_data *d, struct as_arena *a, enum as_split split, uint64_t first, ptrdiff_t n,
                               const uint64_t *index)
{
    struct as_batch *b = as_arena_zero(a, sizeof *b);
    struct as_example *e = as_arena_zero(a, as_size((size_t)n, sizeof *e));

    b->batch = n;
    b->n_fields = d->shape.n_fields;
    memcpy(b->field, d->shape.field, sizeof b->field);
    b->length = as_arena_take(a, as_size((size_t)n, sizeof *b->length));
    for (ptrdiff_t r = 0; r < n; r++) {
        uint64_t at = index ? index[r] : first + (uint64_t)r;

        if (d->stored)
            look_up(d, split, at, &e[r]);
        else
            generate(d, a, split, at, d->shape.max_length, &e[r]);
        b->length[r] = (int32_t)e[r].length;
        b->time = e[r].length > b->time ? e[r].length : b->time;
    }
    for (int f = 0; f < b->n_fields; f++) {
        size_t row = as_size((size_t)(timed(&b->field[f]) ? b->time : 1), (size_t)unit(&b->field[f]));

        if (b->field[f].integer)
            b->i[f] = as_arena_take(a, as_size(as_size(row, (size_t)n), sizeof(int32_t)));
        else
            b->x[f] = as_arena_take(a, as_size(as_size(row, (size_t)n), sizeof(real)));
        gather(b, f, e);
    }
    return b;
}

/* counting.h: a source that is right: symbols 0..3, and as target of each step the number of ones so far, modulo 3. The
 * mocks that include this spoil one thing of it. Sequences are long, so that no two are alike by chance.
 */
#ifndef ASSAY_MOCK_COUNTING_H
#define ASSAY_MOCK_COUNTING_H

#include <assay/registry.h>
#include <assay/source.h>

struct options { struct as_range length; };
enum { X, TARGET };

static const struct as_option options[] = {
    { .key = "length", .type = AS_RANGE, .offset = offsetof(struct options, length), .words = "30..40", .min = 30,
      .max = 4096, .help = "symbols per sequence, drawn uniformly" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;

    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME }, .vocab = 4 };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->field[TARGET].vocab = 3;
    s->n_fields = 2;
    s->max_length = o->length.hi;
    s->classes = 3;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* An example as it should be. */
static void draw(struct as_range length, struct as_key own, struct as_example *e)
{
    int32_t ones = 0;

    e->length = as_range_draw(length, own, 0);
    for (ptrdiff_t t = 0; t < e->length; t++) {
        e->i[X][t] = (int32_t)as_below(own, 1 + (uint64_t)t, 4);
        ones += e->i[X][t] == 1;
        e->i[TARGET][t] = ones % 3;
    }
}

/* Counts the ones of each prefix from its start. */
static const char *answer(const void *opt, const struct as_example *e)
{
    (void)opt;
    for (ptrdiff_t t = 0; t < e->length; t++) {
        int32_t ones = 0;

        for (ptrdiff_t s = 0; s <= t; s++)
            ones += e->i[X][s] == 1;
        if (e->i[TARGET][t] != ones % 3)
            return as_say("%d ones up to step %td, but the target is %d", (int)ones, t, (int)e->i[TARGET][t]);
    }
    return NULL;
}

#endif

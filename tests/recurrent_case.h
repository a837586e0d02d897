/* recurrent_case.h: the cells of test_recurrent.c with their kernels, and a run of one of them in either precision. */
#ifndef TESTS_RECURRENT_CASE_H
#define TESTS_RECURRENT_CASE_H

#include <assay/layer.h>
#include <assay/parallel.h>
#include <assay/random.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../impl/recurrent/gru.h"
#include "../impl/recurrent/lstm.h"
#include "../impl/recurrent/rnn.h"
#include "numbers.h"

/* The double build's hooks take the same structs with pointers to double in them; here they are filled by cast. */
extern const struct as_plugin as_plugin_recurrent__rnn_d, as_plugin_recurrent__lstm_d, as_plugin_recurrent__gru_d;
#define KERNELS(level) \
    extern const struct as_plugin as_plugin_recurrent__rnn__fused__##level, as_plugin_recurrent__lstm__fused__##level, \
        as_plugin_recurrent__gru__fused__##level, as_plugin_recurrent__rnn__newton__##level, \
        as_plugin_recurrent__gru__newton__##level
KERNELS(portable);
#ifdef __x86_64__
KERNELS(avx2);
KERNELS(avx512);
#define LEVELS(file) { &as_plugin_recurrent__##file##__portable, &as_plugin_recurrent__##file##__avx2, \
                       &as_plugin_recurrent__##file##__avx512 }
#else
#define LEVELS(file) { &as_plugin_recurrent__##file##__portable, NULL, NULL }
#endif

#define MOST_WEIGHTS 4

struct cell {                            /* one cell with its options, and the sizes of its weights in units of h */
    const char *name;
    const struct as_plugin *ref, *kernel[3];
    const void *opt;
    int gates, vectors[2];               /* b and the last weight: multiples of h, 0: absent */
    enum { FUSED, SWEEP, NEWTON } form;
};

static const struct rnn rnn_tanh = { .bias = 1 }, rnn_relu = { .bias = 1, .nonlinearity = RNN_RELU }, rnn_bare = { 0 };
static const struct lstm lstm_plain = { .bias = 1 }, lstm_peep = { .bias = 1, .peepholes = 1 }, lstm_bare = { 0 };
static const struct gru gru_before = { .bias = 1 }, gru_after = { .bias = 1, .reset = GRU_AFTER },
                        gru_bare = { .reset = GRU_AFTER };
static const struct rnn rnn_diagonal = { .bias = 1, .recurrence = RNN_DIAGONAL },
                        rnn_relu_diagonal = { .nonlinearity = RNN_RELU, .recurrence = RNN_DIAGONAL };
static const struct gru gru_before_diagonal = { .bias = 1, .recurrence = GRU_DIAGONAL },
                        gru_after_diagonal = { .bias = 1, .reset = GRU_AFTER, .recurrence = GRU_DIAGONAL },
                        gru_bare_diagonal = { .reset = GRU_AFTER, .recurrence = GRU_DIAGONAL };

#define BOTH(name, cell, ...) \
    { name ", sweep", &as_plugin_recurrent__##cell##_d, LEVELS(cell##__newton), __VA_ARGS__, SWEEP }, \
    { name ", newton", &as_plugin_recurrent__##cell##_d, LEVELS(cell##__newton), __VA_ARGS__, NEWTON }
static const struct cell cells[] = {
    { "rnn", &as_plugin_recurrent__rnn_d, LEVELS(rnn__fused), &rnn_tanh, 1, { 1, 0 }, FUSED },
    { "rnn relu", &as_plugin_recurrent__rnn_d, LEVELS(rnn__fused), &rnn_relu, 1, { 1, 0 }, FUSED },
    { "rnn without bias", &as_plugin_recurrent__rnn_d, LEVELS(rnn__fused), &rnn_bare, 1, { 0, 0 }, FUSED },
    { "lstm", &as_plugin_recurrent__lstm_d, LEVELS(lstm__fused), &lstm_plain, 4, { 4, 0 }, FUSED },
    { "lstm with peepholes", &as_plugin_recurrent__lstm_d, LEVELS(lstm__fused), &lstm_peep, 4, { 4, 3 }, FUSED },
    { "lstm without bias", &as_plugin_recurrent__lstm_d, LEVELS(lstm__fused), &lstm_bare, 4, { 0, 0 }, FUSED },
    { "gru before", &as_plugin_recurrent__gru_d, LEVELS(gru__fused), &gru_before, 3, { 3, 0 }, FUSED },
    { "gru after", &as_plugin_recurrent__gru_d, LEVELS(gru__fused), &gru_after, 3, { 3, 1 }, FUSED },
    { "gru without bias", &as_plugin_recurrent__gru_d, LEVELS(gru__fused), &gru_bare, 3, { 0, 0 }, FUSED },
    BOTH("diagonal rnn", rnn, &rnn_diagonal, 1, { 1, 0 }),
    BOTH("diagonal rnn relu", rnn, &rnn_relu_diagonal, 1, { 0, 0 }),
    BOTH("diagonal gru before", gru, &gru_before_diagonal, 3, { 3, 0 }),
    BOTH("diagonal gru after", gru, &gru_after_diagonal, 3, { 3, 1 }),
    BOTH("diagonal gru without bias", gru, &gru_bare_diagonal, 3, { 0, 0 }),
};
enum { CELLS = sizeof cells / sizeof *cells };

struct sizes { ptrdiff_t batch, time, d, h; };

/* Everything of one run, in one precision: `width` bytes a number. */
struct run {
    const struct cell *cell;
    const struct as_impl *impl;
    struct as_spec in, out;
    size_t width;
    ptrdiff_t n[MOST_WEIGHTS];
    void *x, *y, *dy, *dx, *w[MOST_WEIGHTS], *dw[MOST_WEIGHTS], *saved[8], *scratch[8];
};

static ptrdiff_t weight_size(const struct cell *c, struct sizes s, int i)
{
    return i == 0 ? c->gates * s.h * s.d : i == 1 ? c->gates * s.h * (c->form ? 1 : s.h) : c->vectors[i - 2] * s.h;
}

/* The same numbers for both precisions: normal draws, floats by nature. */
static void *drawn(size_t width, ptrdiff_t n, uint64_t stream, double scale)
{
    struct as_key key = { 7, AS_ROLE_TEST_HARNESS, stream };
    void *v = malloc((size_t)(n + 1) * width);

    assert_non_null(v);
    for (ptrdiff_t i = 0; i < n; i++)
        put(v, width, i, (double)(float)(scale * (double)as_normal(key, (uint64_t)i)));
    return v;
}

static struct run new_run(const struct cell *c, const struct as_impl *impl, struct sizes s, size_t width, bool grad)
{
    struct run r = { .cell = c, .impl = impl, .width = width,
                     .in = { .dtype = AS_REALS, .rank = 3, .dim = { s.batch, s.time, s.d } },
                     .out = { .dtype = AS_REALS, .rank = 3, .dim = { s.batch, s.time, s.h } } };
    struct as_room room = { .opt = c->opt, .n_in = 1, .in = &r.in, .out = &r.out, .gradients = grad };

    r.x = drawn(width, s.batch * s.time * s.d, 1, 1.0);
    r.dy = drawn(width, s.batch * s.time * s.h, 2, 1.0);
    r.y = zeros(width, s.batch * s.time * s.h);
    r.dx = drawn(width, s.batch * s.time * s.d, 3, 0.1);         /* added to, not overwritten */
    for (int i = 0; i < MOST_WEIGHTS; i++) {
        r.n[i] = weight_size(c, s, i);
        if (!r.n[i])
            continue;
        r.w[i] = drawn(width, r.n[i], 10 + (uint64_t)i,
                       i == 1 && c->form ? 0.3 : i < 2 ? 1 / sqrt((double)s.h) : 0.5);
        r.dw[i] = drawn(width, r.n[i], 20 + (uint64_t)i, 0.1);
    }
    impl->plan(&room);
    for (int i = 0; i < 8; i++) {
        r.saved[i] = drawn(width, (ptrdiff_t)room.saved[i], 30, 1e30);       /* nothing may rely on zeros */
        r.scratch[i] = drawn(width, (ptrdiff_t)room.scratch[i], 31, 1e30);
    }
    return r;
}

static void free_run(struct run *r)
{
    free(r->x), free(r->y), free(r->dy), free(r->dx);
    for (int i = 0; i < MOST_WEIGHTS; i++)
        free(r->w[i]), free(r->dw[i]);
    for (int i = 0; i < 8; i++)
        free(r->saved[i]), free(r->scratch[i]);
}

static struct as_call call_of(struct run *r, bool grad)
{
    return (struct as_call){ .opt = r->cell->opt, .n_in = 1, .in = &r->in, .out = &r->out,
                             .x = (const real *const *)&r->x, .y = r->y, .dy = r->dy, .dx = (real *const *)&r->dx,
                             .w = (const real *const *)r->w, .dw = (real *const *)r->dw,
                             .saved = grad ? r->saved : NULL, .scratch = r->scratch, .training = grad };
}

static void run_both(struct run *r)
{
    struct as_call c = call_of(r, true);

    r->impl->forward(&c);
    r->impl->backward(&c);
}

#endif

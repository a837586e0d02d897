/* test_recurrent.c: rnn, lstm and gru. Three forms of each are held against each other: the fused kernel of every
 * processor level (float), the reference (double), and central differences of the reference. The hooks are called
 * directly; the graphs are compared by the conformance suite.
 */
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

/* The double build's hooks take the same structs with pointers to double in them; here they are filled by cast. */
extern const struct as_plugin as_plugin_recurrent__rnn_d, as_plugin_recurrent__lstm_d, as_plugin_recurrent__gru_d;
extern const struct as_plugin as_plugin_recurrent__rnn__fused__portable, as_plugin_recurrent__lstm__fused__portable,
    as_plugin_recurrent__gru__fused__portable;
#ifdef __x86_64__
extern const struct as_plugin as_plugin_recurrent__rnn__fused__avx2, as_plugin_recurrent__lstm__fused__avx2,
    as_plugin_recurrent__gru__fused__avx2;
extern const struct as_plugin as_plugin_recurrent__rnn__fused__avx512, as_plugin_recurrent__lstm__fused__avx512,
    as_plugin_recurrent__gru__fused__avx512;
#define LEVELS(cell) { &as_plugin_recurrent__##cell##__fused__portable, &as_plugin_recurrent__##cell##__fused__avx2, \
                       &as_plugin_recurrent__##cell##__fused__avx512 }
#else
#define LEVELS(cell) { &as_plugin_recurrent__##cell##__fused__portable, NULL, NULL }
#endif

#define MOST_WEIGHTS 4

struct cell {                            /* one cell with its options, and the sizes of its weights in units of h */
    const char *name;
    const struct as_plugin *ref, *fused[3];
    const void *opt;
    int gates, vectors[2];               /* b and the last weight: multiples of h, 0: absent */
    int states;
};

static const struct rnn rnn_tanh = { .bias = 1 }, rnn_relu = { .bias = 1, .nonlinearity = RNN_RELU }, rnn_bare = { 0 };
static const struct lstm lstm_plain = { .bias = 1 }, lstm_peep = { .bias = 1, .peepholes = 1 }, lstm_bare = { 0 };
static const struct gru gru_before = { .bias = 1 }, gru_after = { .bias = 1, .reset = GRU_AFTER },
                        gru_bare = { .reset = GRU_AFTER };

static const struct cell cells[] = {
    { "rnn", &as_plugin_recurrent__rnn_d, LEVELS(rnn), &rnn_tanh, 1, { 1, 0 }, 1 },
    { "rnn relu", &as_plugin_recurrent__rnn_d, LEVELS(rnn), &rnn_relu, 1, { 1, 0 }, 1 },
    { "rnn without bias", &as_plugin_recurrent__rnn_d, LEVELS(rnn), &rnn_bare, 1, { 0, 0 }, 1 },
    { "lstm", &as_plugin_recurrent__lstm_d, LEVELS(lstm), &lstm_plain, 4, { 4, 0 }, 2 },
    { "lstm with peepholes", &as_plugin_recurrent__lstm_d, LEVELS(lstm), &lstm_peep, 4, { 4, 3 }, 2 },
    { "lstm without bias", &as_plugin_recurrent__lstm_d, LEVELS(lstm), &lstm_bare, 4, { 0, 0 }, 2 },
    { "gru before", &as_plugin_recurrent__gru_d, LEVELS(gru), &gru_before, 3, { 3, 0 }, 1 },
    { "gru after", &as_plugin_recurrent__gru_d, LEVELS(gru), &gru_after, 3, { 3, 1 }, 1 },
    { "gru without bias", &as_plugin_recurrent__gru_d, LEVELS(gru), &gru_bare, 3, { 0, 0 }, 1 },
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
    return i == 0 ? c->gates * s.h * s.d : i == 1 ? c->gates * s.h * s.h : c->vectors[i - 2] * s.h;
}

static void put(void *to, size_t width, ptrdiff_t i, double v)
{
    if (width == sizeof(float))
        ((float *)to)[i] = (float)v;
    else
        ((double *)to)[i] = v;
}

static double get(const void *from, size_t width, ptrdiff_t i)
{
    return width == sizeof(float) ? (double)((const float *)from)[i] : ((const double *)from)[i];
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

static void *zeros(size_t width, ptrdiff_t n)
{
    void *v = calloc((size_t)(n + 1), width);

    assert_non_null(v);
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
        r.w[i] = drawn(width, r.n[i], 10 + (uint64_t)i, i < 2 ? 1 / sqrt((double)s.h) : 0.5);
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

/* Largest difference over the largest value. */
static double apart(const void *a, size_t wa, const void *b, size_t wb, ptrdiff_t n)
{
    double worst = 0, most = 1e-30;

    for (ptrdiff_t i = 0; i < n; i++) {
        double d = fabs(get(a, wa, i) - get(b, wb, i));

        worst = d > worst || isnan(d) ? d : worst;
        most = fmax(most, fabs(get(b, wb, i)));
    }
    return worst / most;
}

static void assert_close(const struct run *a, const struct run *b, double limit, const char *what, int level)
{
    ptrdiff_t n = a->in.dim[0] * a->in.dim[1];
    double d[2 + MOST_WEIGHTS] = { apart(a->y, a->width, b->y, b->width, n * a->out.dim[2]),
                                   apart(a->dx, a->width, b->dx, b->width, n * a->in.dim[2]) };

    for (int i = 0; i < MOST_WEIGHTS; i++)
        d[2 + i] = a->n[i] ? apart(a->dw[i], a->width, b->dw[i], b->width, a->n[i]) : 0;
    for (int i = 0; i < 2 + MOST_WEIGHTS; i++)
        if (!(d[i] < limit))
            fail_msg("%s, %s, level %d, (batch %td, time %td, in %td, hidden %td): array %d is %.3g apart, allowed %g",
                     a->cell->name, what, level, a->in.dim[0], a->in.dim[1], a->in.dim[2], a->out.dim[2], i, d[i],
                     limit);
}

static const struct sizes shapes[] = {
    { 1, 1, 1, 1 }, { 3, 5, 7, 11 }, { 17, 9, 16, 32 }, { 8, 6, 5, 46 }, { 2, 40, 8, 36 }, { 21, 4, 30, 75 },
    { 16, 3, 3, 16 }, { 5, 12, 1, 48 }, { 1, 150, 9, 20 }, { 6, 70, 33, 40 }, { 9, 300, 3, 5 },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void fused_against_reference(void **state)
{
    (void)state;
    for (int c = 0; c < CELLS; c++)
        for (int k = 0; k < SHAPES; k++) {
            struct run ref = new_run(&cells[c], cells[c].ref->impl[0], shapes[k], sizeof(double), true);

            run_both(&ref);
            for (int level = 0; level < 3 && level <= (int)as_level(); level++) {
                struct run r;

                if (!cells[c].fused[level])
                    continue;
                r = new_run(&cells[c], cells[c].fused[level]->impl[0], shapes[k], sizeof(float), true);
                run_both(&r);
                assert_close(&r, &ref, 3e-6, "fused against the reference", level);
                free_run(&r);
            }
            free_run(&ref);
        }
}

static double loss(struct run *r)
{
    struct as_call c = call_of(r, false);
    double sum = 0;

    r->impl->forward(&c);
    for (ptrdiff_t i = 0; i < r->in.dim[0] * r->in.dim[1] * r->out.dim[2]; i++)
        sum += ((double *)r->y)[i] * ((double *)r->dy)[i];
    return sum;
}

static void check_slope(struct run *r, double *v, const double *got, const double *start, ptrdiff_t n, int array)
{
    const double eps = 1e-5;

    for (ptrdiff_t i = 0; i < n; i++) {
        double keep = v[i], up, down, want;

        v[i] = keep + eps;
        up = loss(r);
        v[i] = keep - eps;
        down = loss(r);
        v[i] = keep;
        want = (up - down) / (2 * eps);
        if (!(fabs(got[i] - start[i] - want) <= 1e-7 * (1 + fabs(want))))
            fail_msg("%s: array %d, element %td: gradient %.12g, central difference %.12g", r->cell->name, array, i,
                     got[i] - start[i], want);
    }
}

static void reference_against_differences(void **state)
{
    const struct sizes s = { 2, 4, 3, 5 };

    (void)state;
    for (int c = 0; c < CELLS; c++) {
        struct run r = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);
        struct run fresh = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);

        run_both(&r);
        check_slope(&r, r.x, r.dx, fresh.dx, s.batch * s.time * s.d, 0);
        for (int i = 0; i < MOST_WEIGHTS; i++)
            if (r.n[i])
                check_slope(&r, r.w[i], r.dw[i], fresh.dw[i], r.n[i], 1 + i);
        free_run(&r);
        free_run(&fresh);
    }
}

static void steps_are_the_forward_pass(void **state)
{
    const struct sizes s = { 3, 6, 4, 5 };

    (void)state;
    for (int c = 0; c < CELLS; c++) {
        struct run r = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);
        double held[2][3 * 5] = { 0 }, x[3 * 4], y[3 * 5];
        void *states[2] = { held[0], held[1] }, *xp = x;
        struct as_call one = call_of(&r, true);

        r.impl->forward(&one);
        one = call_of(&r, false);
        one.x = (const real *const *)&xp;
        one.y = (real *)(void *)y;
        one.state = (real *const *)states;
        for (ptrdiff_t t = 0; t < s.time; t++) {
            for (ptrdiff_t b = 0; b < s.batch; b++)
                memcpy(x + b * s.d, (double *)r.x + (b * s.time + t) * s.d, (size_t)s.d * sizeof *x);
            one.position = t;
            r.impl->step(&one);
            for (ptrdiff_t b = 0; b < s.batch; b++)
                assert_memory_equal(y + b * s.h, (double *)r.y + (b * s.time + t) * s.h, (size_t)s.h * sizeof *y);
        }
        free_run(&r);
    }
}

/* Large enough for the team to be used; the same bits at 1 to 4 threads, with gradients and without. */
static void same_bits(struct sizes s)
{
    ptrdiff_t steps = s.batch * s.time;

    for (int c = 0; c < CELLS; c++) {
        const struct as_impl *impl = cells[c].fused[as_level()]->impl[0];
        struct run one = new_run(&cells[c], impl, s, sizeof(float), true);

        as_threads_set(1);
        run_both(&one);
        for (int team = 2; team <= 4; team++) {
            struct run r = new_run(&cells[c], impl, s, sizeof(float), true);
            struct run bare = new_run(&cells[c], impl, s, sizeof(float), false);
            struct as_call call = call_of(&bare, false);

            as_threads_set(team);
            run_both(&r);
            impl->forward(&call);
            assert_memory_equal(one.y, bare.y, (size_t)(steps * s.h) * sizeof(float));
            assert_memory_equal(one.y, r.y, (size_t)(steps * s.h) * sizeof(float));
            assert_memory_equal(one.dx, r.dx, (size_t)(steps * s.d) * sizeof(float));
            for (int i = 0; i < MOST_WEIGHTS; i++)
                if (r.n[i])
                    assert_memory_equal(one.dw[i], r.dw[i], (size_t)r.n[i] * sizeof(float));
            free_run(&r);
            free_run(&bare);
        }
        as_threads_set(1);
        free_run(&one);
    }
}

/* Many tiles of rows; one tile, whose input products are cut over time. */
static void same_bits_at_any_team(void **state)
{
    (void)state;
    same_bits((struct sizes){ 37, 20, 24, 40 });
    same_bits((struct sizes){ 7, 200, 24, 20 });
}

/* Frozen weights and an input without gradient are left alone. */
static void frozen_weights_stay(void **state)
{
    const struct sizes s = { 9, 5, 6, 20 };

    (void)state;
    for (int c = 0; c < CELLS; c++) {
        struct run r = new_run(&cells[c], cells[c].fused[as_level()]->impl[0], s, sizeof(float), true);
        struct as_call call = call_of(&r, true);
        void *none[MOST_WEIGHTS] = { 0 };

        call.dw = (real *const *)none;
        call.dx = (real *const *)none;
        r.impl->forward(&call);
        r.impl->backward(&call);
        free_run(&r);
    }
}

/* Saturated gates are as in the reference, and a NaN is not hidden. */
static void extremes(void **state)
{
    static const float most[] = { 30.0f, 90.0f, 200.0f, 1e4f };
    const struct sizes s = { 2, 3, 1, 16 };
    ptrdiff_t n = s.batch * s.time * s.h;

    (void)state;
    for (int level = 0; level < 3 && level <= (int)as_level(); level++)
        for (int c = 0; c < CELLS; c++)
            for (int k = 0; k < 4 && cells[c].fused[level]; k++) {
                struct run r = new_run(&cells[c], cells[c].fused[level]->impl[0], s, sizeof(float), true);
                struct run ref = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);
                struct as_call call = call_of(&r, true), truth = call_of(&ref, true);

                for (int i = 0; i < 6; i++) {
                    put(r.x, r.width, i, (double)(i % 2 ? -most[k] : most[k]));
                    put(ref.x, ref.width, i, (double)(i % 2 ? -most[k] : most[k]));
                }
                r.impl->forward(&call);
                ref.impl->forward(&truth);
                if (!(apart(r.y, r.width, ref.y, ref.width, n) < 1e-5))
                    fail_msg("%s, level %d, inputs of %g: outputs are %g apart", cells[c].name, level, (double)most[k],
                             apart(r.y, r.width, ref.y, ref.width, n));
                put(r.x, r.width, 0, (double)NAN);
                r.impl->forward(&call);
                for (ptrdiff_t j = 0; j < s.h; j++)
                    assert_true(isnan(get(r.y, r.width, j)));
                free_run(&r);
                free_run(&ref);
            }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_against_differences), cmocka_unit_test(steps_are_the_forward_pass),
        cmocka_unit_test(fused_against_reference),       cmocka_unit_test(same_bits_at_any_team),
        cmocka_unit_test(frozen_weights_stay),           cmocka_unit_test(extremes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_past.c: the way back of scans, depthwise convolutions and normalisations written past the caches gives the bits
 * of the usual one, at every level that this processor has, and touches nothing else; rows that do not fit go the usual
 * way.
 */
#include "core/kernel/kernels.h"
#include "core/kernel/sequence.h"
#include "core/real/tape.h"
#include <assay/ops.h>
#include <assay/parallel.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct as_sequence_kernels as_sequence_kernels_portable;
extern const struct as_row_kernels as_row_kernels_portable;
#if defined(__x86_64__)
extern const struct as_sequence_kernels as_sequence_kernels_avx2, as_sequence_kernels_avx512;
extern const struct as_row_kernels as_row_kernels_avx2, as_row_kernels_avx512;
static const struct as_sequence_kernels *const level[] = { &as_sequence_kernels_portable, &as_sequence_kernels_avx2,
                                                           &as_sequence_kernels_avx512 };
static const struct as_row_kernels *const rows[] = { &as_row_kernels_portable, &as_row_kernels_avx2,
                                                     &as_row_kernels_avx512 };
#else
static const struct as_sequence_kernels *const level[] = { &as_sequence_kernels_portable };
static const struct as_row_kernels *const rows[] = { &as_row_kernels_portable };
#endif

enum { TIME = 7, MOST = 96, SIZE = TIME * MOST + 64 };
enum take { NONE, WRITE, ADD, IN_PLACE };

/* What one call gave; the spaces behind show what was touched beside it. */
struct given { _Alignas(64) float dx[SIZE]; _Alignas(64) float da[SIZE]; float dh0[MOST]; };

struct way { ptrdiff_t width, from, to, off; bool complex, constant; enum take x, a; };

static float number(ptrdiff_t i, int which)
{
    return (float)((i * 37 + which * 101) % 211) / 105.5f - 1.0f;
}

static void give(const struct as_sequence_kernels *k, const struct way *w, bool past, struct given *g)
{
    static _Alignas(64) float a[SIZE], x[SIZE], h[SIZE], dh[SIZE];
    float *given = w->x == IN_PLACE ? dh : g->dx;
    for (ptrdiff_t i = 0; i < SIZE; i++) {
        a[i] = number(i, 1);
        x[i] = number(i, 2);
        h[i] = number(i, 3);
        dh[i] = number(i, 4);
        g->dx[i] = number(i, 5);
        g->da[i] = number(i, 6);
    }
    memset(g->dh0, 0, sizeof g->dh0);
    const struct as_scan_piece p = { .time = TIME, .width = w->width, .from = w->from, .to = w->to,
                                     .step_a = w->constant ? 0 : w->width, .a = a, .x = x, .h = h, .dh = dh,
                                     .dx = w->x == NONE ? NULL : w->x == IN_PLACE ? dh : g->dx + w->off,
                                     .da = w->a == NONE ? NULL : g->da + w->off, .dh0 = g->dh0,
                                     .fresh_x = w->x == WRITE || w->x == IN_PLACE, .fresh_a = w->a == WRITE,
                                     .fresh_h0 = true, .past = past };
    (w->complex ? k->scan_complex_backward : k->scan_backward)(&p);
    if (w->x == IN_PLACE)
        memcpy(g->dx, given, sizeof g->dx);
}

static void same(const struct way *w)
{
    static struct given plain, past;
    for (int l = 0; l <= (int)as_level(); l++) {
        give(level[l], w, false, &plain);
        give(level[l], w, true, &past);
        if (memcmp(&plain, &past, sizeof plain))
            fail_msg("level %d, width %td, channels %td to %td, offset %td, %s, x %d, a %d%s: other numbers past the "
                     "caches", l, w->width, w->from, w->to, w->off, w->complex ? "complex" : "real", (int)w->x,
                     (int)w->a, w->constant ? " (constant)" : "");
    }
}

static void test_past_the_caches(void **state)
{
    (void)state;
    for (int kind = 0; kind < 4; kind++)
        for (enum take x = NONE; x <= IN_PLACE; x++)
            for (enum take a = NONE; a <= ADD; a++) {
                const struct way w = { .width = 32, .to = 32, .complex = kind & 1, .constant = kind & 2, .x = x, .a = a };
                same(&w);
            }
}

static void test_rows_that_do_not_fit(void **state)
{
    static const ptrdiff_t cuts[][4] = {             /* width, from, to, offset */
        { 96, 32, 64, 0 }, { 96, 16, 96, 0 }, { 40, 0, 32, 0 }, { 32, 0, 24, 0 }, { 32, 0, 32, 2 }, { 32, 2, 18, 0 },
        { 6, 0, 6, 0 }, { 32, 0, 32, 4 },
    };
    (void)state;
    for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
        for (int complex = 0; complex < 2; complex++)
            for (enum take x = NONE; x <= WRITE; x++)
                for (enum take a = NONE; a <= ADD; a++)
                    same(&(struct way){ cuts[i][0], cuts[i][1], cuts[i][2], cuts[i][3], complex, false, x, a });
}

/* A depthwise convolution's dx and shares of dw; dx may be dy. */
static void convolve(const struct as_sequence_kernels *k, ptrdiff_t width, ptrdiff_t taps, ptrdiff_t off, enum take how,
                     bool past, struct given *g)
{
    static _Alignas(64) float x[SIZE], dy[SIZE];
    float w[6 * MOST];
    for (ptrdiff_t i = 0; i < SIZE; i++) {
        x[i] = number(i, 1);
        dy[i] = number(i, 2);
        g->dx[i] = number(i, 3);
        g->da[i] = number(i, 4);
    }
    for (ptrdiff_t i = 0; i < 6 * MOST; i++)
        w[i] = number(i, 5);
    k->depthwise_backward(&(struct as_depthwise_piece){ .time = TIME, .width = width, .taps = taps, .start = 0, .stop = TIME,
                                                        .w = w, .x = x, .dy = dy,
                                                        .dx = how == IN_PLACE ? dy : g->dx + off, .part = g->da,
                                                        .fresh_x = how != ADD, .past = past });
    if (how == IN_PLACE)
        memcpy(g->dx, dy, sizeof g->dx);
}

static void test_depthwise(void **state)
{
    static const ptrdiff_t cuts[][2] = { { 32, 0 }, { 96, 0 }, { 32, 4 }, { 32, 2 }, { 40, 0 }, { 21, 0 }, { 6, 0 } };
    static struct given plain, past;
    (void)state;
    for (int l = 0; l <= (int)as_level(); l++)
        for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
            for (ptrdiff_t taps = 1; taps <= 5; taps++)
                for (enum take how = WRITE; how <= (taps <= AS_DEPTHWISE_IN_PLACE ? IN_PLACE : ADD); how++) {
                    convolve(level[l], cuts[i][0], taps, cuts[i][1], how, false, &plain);
                    convolve(level[l], cuts[i][0], taps, cuts[i][1], how, true, &past);
                    if (memcmp(plain.dx, past.dx, sizeof plain.dx) || memcmp(plain.da, past.da, sizeof plain.da))
                        fail_msg("level %d, width %td, offset %td, %td taps, how %d: other numbers past the caches", l,
                                 cuts[i][0], cuts[i][1], taps, (int)how);
                }
}

/* A normalisation's dx and sums of dgain and dbias; dx may be dy, or NONE. */
static void normalise(const struct as_row_kernels *k, bool centred, ptrdiff_t d, ptrdiff_t off, enum take how, bool past,
                      struct given *g)
{
    static _Alignas(64) float x[SIZE], dy[SIZE];
    float gain[MOST], mean[TIME], r[TIME];
    for (ptrdiff_t i = 0; i < SIZE; i++) {
        x[i] = number(i, 1);
        dy[i] = number(i, 2);
        g->dx[i] = number(i, 3);
        g->da[i] = number(i, 4);
    }
    for (ptrdiff_t i = 0; i < MOST; i++)
        gain[i] = number(i, 5);
    for (ptrdiff_t i = 0; i < TIME; i++) {
        mean[i] = number(i, 6);
        r[i] = 1.5f + number(i, 7);
    }
    const struct as_norm_rows c = { .d = d, .centred = centred, .count = (float)d, .x = x, .gain = gain, .mean = mean,
                                    .r = r, .dy = dy, .dx = how == NONE ? NULL : how == IN_PLACE ? dy : g->dx + off,
                                    .dgain = g->da, .dbias = g->da + d, .fresh = how != ADD, .past = past };
    k->norm_backward(&c, 1, TIME - 1);
    if (how == IN_PLACE)
        memcpy(g->dx, dy, sizeof g->dx);
}

static void test_normalisation(void **state)
{
    static const ptrdiff_t cuts[][2] = { { 32, 0 }, { 96, 0 }, { 32, 4 }, { 32, 2 }, { 40, 0 }, { 21, 0 }, { 16, 0 },
                                         { 8, 0 } };
    static struct given plain, past;
    (void)state;
    for (int l = 0; l <= (int)as_level(); l++)
        for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++)
            for (int centred = 0; centred < 2; centred++)
                for (enum take how = NONE; how <= IN_PLACE; how++) {
                    normalise(rows[l], centred, cuts[i][0], cuts[i][1], how, false, &plain);
                    normalise(rows[l], centred, cuts[i][0], cuts[i][1], how, true, &past);
                    if (memcmp(plain.dx, past.dx, sizeof plain.dx) || memcmp(plain.da, past.da, sizeof plain.da))
                        fail_msg("level %d, width %td, offset %td, %s, how %d: other numbers past the caches", l,
                                 cuts[i][0], cuts[i][1], centred ? "centred" : "not centred", (int)how);
                }
}

enum { B = 6, T = 1024, D = 512, ROW = T * D };      /* 63 MB on the way back, one sequence 10 MB */

/* h of `batch` sequences from number `first` on, and the gradients of a and x under the loss sum of h^2. */
static void scan(ptrdiff_t first, ptrdiff_t batch, float *a, float *x, float *da, float *dx)
{
    struct as_tape *t = as_tape_new();
    const ptrdiff_t sizes[] = { batch, T, D };
    struct as_node *na = as_node_wrap(t, 3, sizes, a + first * ROW, da + first * ROW);
    struct as_node *nx = as_node_wrap(t, 3, sizes, x + first * ROW, dx + first * ROW);
    struct as_node *h = as_scan(t, as_scale(t, na, 1.0), as_scale(t, nx, 1.0), NULL);
    as_backward(t, as_sum_all(t, as_square(t, as_scale(t, h, 1.0))), 1);
    as_tape_free(t);
}

/* The operator: many sequences, which go past the caches, and each alone, which do not. */
static void test_sequences_together(void **state)
{
    float *all = calloc(6 * B * ROW, sizeof *all), *a = all, *x = a + B * ROW, *da = x + B * ROW, *dx = da + B * ROW;
    (void)state;
    assert_non_null(all);
    for (ptrdiff_t i = 0; i < B * ROW; i++) {
        a[i] = 0.5f * number(i, 1);
        x[i] = number(i, 2);
    }
    scan(0, B, a, x, da, dx);
    for (int b = 0; b < B; b++)
        scan(b, 1, a, x, da + 2 * B * ROW, dx + 2 * B * ROW);
    assert_memory_equal(da, da + 2 * B * ROW, 2 * B * ROW * sizeof *da);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_past_the_caches),
        cmocka_unit_test(test_rows_that_do_not_fit),
        cmocka_unit_test(test_depthwise),
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_sequences_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

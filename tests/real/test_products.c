/* test_products.c: products, convolutions, scans, dropout and rotary positions: values against the plainest loops,
 * gradients against differences.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../gradcheck.h"
#include <assay/parallel.h>

#define OP(name, expression)                                                        \
    static struct as_node *f_##name(struct as_tape *t, struct as_node *const *in)   \
    {                                                                               \
        return expression;                                                          \
    }
/* The same input behind an operator: then its gradient is fresh memory instead of the caller's. */
#define S(k) as_scale(t, in[k], 1.0)

static const struct as_conv strided = { .stride = { 2 }, .dilation = { 3 }, .pad_before = { 4 }, .pad_after = { 1 } };
static const struct as_conv plain;
static const struct as_conv flat = { .stride = { 2, 1 }, .dilation = { 1, 2 }, .pad_before = { 1, 0 },
                                     .pad_after = { 0, 2 }, .groups = 2 };
static const struct as_conv one_tap = { .groups = 2 };

OP(matmul, as_matmul(t, in[0], in[1]))
OP(matmul_fresh, as_matmul(t, S(0), S(1)))
OP(matmul_self, as_matmul(t, in[0], in[0]))
OP(matmul_t, as_matmul_t(t, S(0), in[1]))
OP(linear, as_linear(t, in[0], in[1], in[2]))
OP(linear_fresh, as_linear(t, S(0), S(1), S(2)))
OP(linear_few, as_slice(t, as_linear(t, in[0], in[1], in[2]), 0, 100, 7))
OP(linear_few_fresh, as_slice(t, as_linear(t, S(0), S(1), S(2)), 0, 100, 7))
OP(matmul_few, as_slice(t, as_matmul(t, S(0), in[1]), 0, 100, 7))
OP(linear_none, as_scale(t, as_linear(t, S(0), S(1), in[2]), 0.0))
OP(bmm, as_bmm(t, in[0], false, in[1], false))
OP(bmm_t, as_bmm(t, S(0), false, S(1), true))
OP(bmm_tn, as_bmm(t, in[0], true, S(1), false))
OP(bmm_tt, as_bmm(t, S(0), true, in[1], true))
OP(bmm_self, as_bmm(t, in[0], true, in[0], false))
OP(conv1d, as_conv1d(t, in[0], in[1], in[2], plain))
OP(conv1d_strided, as_conv1d(t, S(0), S(1), S(2), strided))
OP(conv2d, as_conv2d(t, in[0], in[1], NULL, plain))
OP(conv2d_full, as_conv2d(t, S(0), in[1], S(2), flat))
OP(conv2d_one, as_conv2d(t, S(0), in[1], NULL, one_tap))
OP(causal, as_conv_causal(t, in[0], in[1], in[2]))
OP(causal_fresh, as_conv_causal(t, S(0), S(1), NULL))
OP(conv_silu, as_conv_silu(t, in[0], in[1]))
OP(conv_silu_fresh, as_conv_silu(t, S(0), S(1)))
OP(scan, as_scan(t, in[0], in[1], in[2]))
OP(scan_fresh, as_scan(t, S(0), S(1), S(2)))
OP(scan_constant, as_scan(t, S(0), S(1), NULL))
OP(scan_self, as_scan(t, in[0], in[0], NULL))
OP(scan_self_fresh, as_scan(t, S(0), S(0), NULL))
OP(scan_complex, as_scan_complex(t, in[0], in[1], in[2]))
OP(scan_complex_fresh, as_scan_complex(t, S(0), S(1), S(2)))
OP(scan_complex_constant, as_scan_complex(t, in[0], S(1), in[2]))
OP(dropout, as_dropout(t, S(0), 0.3, (struct as_key){ 1, AS_ROLE_DROPOUT, 2 }))
OP(dropout_zero, as_dropout(t, in[0], 0.0, (struct as_key){ 1, AS_ROLE_DROPOUT, 2 }))
OP(rotary, as_rotary(t, S(0), 100.0, 3))
OP(rotary_leaf, as_rotary(t, in[0], 10000.0, 0))

static struct as_node *f_scan_shared(struct as_tape *t, struct as_node *const *in)
{
    struct as_node *s = S(0);            /* one fresh node in both places */
    return as_scan(t, s, s, NULL);
}

/* Some sizes go beyond one piece: 64 channels of a scan, 64 steps of conv_causal, a block of positions. */
static const struct gc_case gradients[] = {
    { "matmul", f_matmul, { { 3, { 2, 3, 4 }, 0, 0, 0 }, { 2, { 4, 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "matmul, fresh", f_matmul_fresh, { { 3, { 70, 2, 31 }, 0, 0, 0 }, { 2, { 31, 45 }, 0, 0, 0 } }, 0, 0, 0 },
    { "matmul, row", f_matmul, { { 1, { 4 }, 0, 0, 0 }, { 2, { 4, 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "matmul, column", f_matmul, { { 2, { 6, 4 }, 0, 0, 0 }, { 2, { 4, 1 }, 0, 0, 0 } }, 0, 0, 0 },
    { "matmul, with itself", f_matmul_self, { { 2, { 5, 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "matmul_t", f_matmul_t, { { 4, { 2, 3, 2, 4 }, 0, 0, 0 }, { 2, { 5, 4 }, 0, 0, 0 } }, 0, 0, 0 },
    { "linear", f_linear, { { 3, { 3, 7, 4 }, 0, 0, 0 }, { 2, { 5, 4 }, 0, 0, 0 }, { 1, { 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "linear, fresh", f_linear_fresh, { { 2, { 130, 40 }, 0, 0, 0 }, { 2, { 70, 40 }, 0, 0, 0 }, { 1, { 70 }, 0, 0, 0 } },
      0, 0, 0 },
    { "linear, no rows", f_linear, { { 3, { 0, 7, 4 }, 0, 0, 0 }, { 2, { 5, 4 }, 0, 0, 0 }, { 1, { 5 }, 0, 0, 0 } }, 0, 0,
      1 },
    { "linear, few rows count", f_linear_few,
      { { 2, { 300, 4 }, 0, 0, 0 }, { 2, { 5, 4 }, 0, 0, 0 }, { 1, { 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "linear, few rows count, fresh", f_linear_few_fresh,
      { { 2, { 300, 4 }, 0, 0, 0 }, { 2, { 5, 4 }, 0, 0, 0 }, { 1, { 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "matmul, few rows count", f_matmul_few, { { 2, { 300, 4 }, 0, 0, 0 }, { 2, { 4, 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "linear, no row counts", f_linear_none,
      { { 2, { 300, 4 }, 0, 0, 0 }, { 2, { 5, 4 }, 0, 0, 0 }, { 1, { 5 }, 0, 0, 0 } }, 0, 0, 1 },
    { "bmm", f_bmm, { { 4, { 2, 3, 4, 5 }, 0, 0, 0 }, { 4, { 2, 3, 5, 6 }, 0, 0, 0 } }, 0, 0, 0 },
    { "bmm, b transposed", f_bmm_t, { { 3, { 3, 4, 5 }, 0, 0, 0 }, { 3, { 3, 6, 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "bmm, a transposed", f_bmm_tn, { { 3, { 3, 5, 4 }, 0, 0, 0 }, { 3, { 3, 5, 6 }, 0, 0, 0 } }, 0, 0, 0 },
    { "bmm, both", f_bmm_tt, { { 3, { 3, 5, 4 }, 0, 0, 0 }, { 3, { 3, 6, 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "bmm, with itself", f_bmm_self, { { 3, { 3, 5, 4 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv1d", f_conv1d, { { 3, { 2, 9, 3 }, 0, 0, 0 }, { 3, { 4, 3, 3 }, 0, 0, 0 }, { 1, { 4 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv1d, strided", f_conv1d_strided,
      { { 3, { 3, 11, 3 }, 0, 0, 0 }, { 3, { 4, 3, 3 }, 0, 0, 0 }, { 1, { 4 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv2d", f_conv2d, { { 4, { 2, 5, 6, 3 }, 0, 0, 0 }, { 4, { 4, 3, 2, 3 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv2d, everything", f_conv2d_full,
      { { 4, { 3, 6, 7, 4 }, 0, 0, 0 }, { 4, { 6, 2, 3, 2 }, 0, 0, 0 }, { 1, { 6 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv2d, one tap", f_conv2d_one, { { 4, { 3, 6, 7, 4 }, 0, 0, 0 }, { 4, { 6, 2, 1, 1 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv2d, many blocks", f_conv2d, { { 4, { 3, 24, 25, 2 }, 0, 0, 0 }, { 4, { 2, 2, 3, 3 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_causal", f_causal, { { 3, { 2, 9, 3 }, 0, 0, 0 }, { 2, { 3, 4 }, 0, 0, 0 }, { 1, { 3 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_causal, 7 taps", f_causal,
      { { 3, { 2, 5, 3 }, 0, 0, 0 }, { 2, { 3, 7 }, 0, 0, 0 }, { 1, { 3 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_causal, many blocks", f_causal_fresh, { { 3, { 2, 150, 300 }, 0, 0, 0 }, { 2, { 300, 3 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_silu", f_conv_silu, { { 3, { 2, 9, 3 }, 0, 0, 0 }, { 2, { 3, 4 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_silu, over its gradient", f_conv_silu_fresh, { { 3, { 2, 40, 16 }, 0, 0, 0 }, { 2, { 16, 4 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_silu, many blocks", f_conv_silu_fresh, { { 3, { 2, 150, 300 }, 0, 0, 0 }, { 2, { 300, 3 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_silu, one tap", f_conv_silu, { { 3, { 2, 9, 3 }, 0, 0, 0 }, { 2, { 3, 1 }, 0, 0, 0 } }, 0, 0, 0 },
    { "conv_silu, too wide", f_conv_silu_fresh, { { 3, { 1, 3, 513 }, 0, 0, 0 }, { 2, { 513, 2 }, 0, 0, 0 } }, 0, 0, 0 },
    { "scan", f_scan, { { 3, { 2, 6, 5 }, -1, 1, 0 }, { 3, { 2, 6, 5 }, 0, 0, 0 }, { 2, { 2, 5 }, 0, 0, 0 } }, 0, 0, 0 },
    { "scan, fresh", f_scan_fresh,
      { { 3, { 2, 6, 70 }, -1, 1, 0 }, { 3, { 2, 6, 70 }, 0, 0, 0 }, { 2, { 2, 70 }, 0, 0, 0 } }, 0, 0, 0 },
    { "scan, constant", f_scan_constant, { { 1, { 70 }, -1, 1, 0 }, { 3, { 3, 6, 70 }, 0, 0, 0 } }, 0, 0, 0 },
    { "scan, h0 alone wants", f_scan, { { 3, { 2, 6, 5 }, -1, 1, 1 }, { 3, { 2, 6, 5 }, 0, 0, 1 }, { 2, { 2, 5 }, 0, 0, 0 } },
      0, 0, 0 },
    { "scan, constant leaf", f_scan, { { 1, { 5 }, -1, 1, 0 }, { 3, { 3, 6, 5 }, 0, 0, 0 }, { 2, { 3, 5 }, 0, 0, 0 } }, 0,
      0, 0 },
    { "scan, a is x", f_scan_self, { { 3, { 2, 6, 5 }, -1, 1, 0 } }, 0, 0, 0 },
    { "scan, copies", f_scan_self_fresh, { { 3, { 2, 6, 5 }, -1, 1, 0 } }, 0, 0, 0 },
    { "scan, a is x, fresh", f_scan_shared, { { 3, { 2, 6, 5 }, -1, 1, 0 } }, 0, 0, 0 },
    { "scan_complex", f_scan_complex,
      { { 4, { 2, 6, 5, 2 }, -1, 1, 0 }, { 4, { 2, 6, 5, 2 }, 0, 0, 0 }, { 3, { 2, 5, 2 }, 0, 0, 0 } }, 0, 0, 0 },
    { "scan_complex, fresh", f_scan_complex_fresh,
      { { 4, { 2, 6, 35, 2 }, -1, 1, 0 }, { 4, { 2, 6, 35, 2 }, 0, 0, 0 }, { 3, { 2, 35, 2 }, 0, 0, 0 } }, 0, 0, 0 },
    { "scan_complex, constant", f_scan_complex_constant,
      { { 2, { 5, 2 }, -1, 1, 0 }, { 4, { 2, 6, 5, 2 }, 0, 0, 0 }, { 3, { 2, 5, 2 }, 0, 0, 0 } }, 0, 0, 0 },
    { "dropout", f_dropout, { { 3, { 2, 30, 7 }, 0, 0, 0 } }, 0, 0, 0 },
    { "dropout of nothing", f_dropout_zero, { { 2, { 3, 4 }, 0, 0, 0 } }, 0, 0, 0 },
    { "rotary", f_rotary, { { 4, { 2, 5, 3, 6 }, 0, 0, 0 } }, 0, 0, 0 },
    { "rotary, leaf", f_rotary_leaf, { { 4, { 2, 5, 1, 2 }, 0, 0, 0 } }, 0, 0, 0 },
};

static void gradients_are_right(void **state)
{
    (void)state;
    assert_int_equal(gc_check(gradients, sizeof gradients / sizeof *gradients), 0);
}

/* ---- Values ---- */

static struct as_node *random_node(struct as_tape *t, int rank, const ptrdiff_t *dims, uint64_t stream)
{
    struct as_node *a = as_node_new(t, rank, dims);
    for (ptrdiff_t i = 0; i < as_node_size(a); i++)
        a->x[i] = (real)gc_draw(stream, i, -1.0, 1.0);
    return a;
}
#define NODE(stream, ...) random_node(t, (int)(sizeof((ptrdiff_t[]){ __VA_ARGS__ }) / sizeof(ptrdiff_t)), \
                                      (ptrdiff_t[]){ __VA_ARGS__ }, stream)

/* terms: how many products were summed. */
static void near(real got, double want, double terms)
{
    if (!(fabs((double)got - want) <= (double)AS_REAL_EPSILON * (terms + 4) * 2))
        fail_msg("%.17g instead of %.17g", (double)got, want);
}

static void values_of_products(struct as_tape *t)
{
    struct as_node *a = NODE(1, 3, 4, 5), *b = NODE(2, 5, 6), *w = NODE(3, 6, 5), *bias = NODE(4, 6);
    struct as_node *y = as_matmul(t, a, b), *z = as_linear(t, a, w, bias), *v = as_matmul_t(t, a, w);
    struct as_node *left = NODE(5, 12, 2, 5), *right = NODE(6, 12, 5, 3);
    struct as_node *bmm = as_bmm(t, left, false, right, false);
    int same = 0;
    for (int i = 0; i < 12; i++)
        for (int j = 0; j < 6; j++) {
            double s = 0, u = 0;
            for (int k = 0; k < 5; k++) {
                s += (double)a->x[i * 5 + k] * (double)b->x[k * 6 + j];
                u += (double)a->x[i * 5 + k] * (double)w->x[j * 5 + k];
            }
            near(y->x[i * 6 + j], s, 5);
            near(v->x[i * 6 + j], u, 5);
            near(z->x[i * 6 + j], u + (double)bias->x[j], 6);
            same += s == u;
        }
    assert_true(same == 0);
    for (int b3 = 0; b3 < 12; b3++)
        for (int i = 0; i < 2; i++)
            for (int j = 0; j < 3; j++) {
                double s = 0;
                for (int k = 0; k < 5; k++)
                    s += (double)left->x[(b3 * 2 + i) * 5 + k] * (double)right->x[(b3 * 5 + k) * 3 + j];
                near(bmm->x[(b3 * 2 + i) * 3 + j], s, 5);
            }
}

/* Rows so long that the product is cut along them: the bias comes in once. */
static void values_of_long_rows(struct as_tape *t)
{
    enum { ROWS = 40, LONG = 3000 };
    struct as_node *a = NODE(1, ROWS, LONG), *w = NODE(2, ROWS, LONG), *bias = NODE(3, ROWS);
    struct as_node *y = as_linear(t, a, w, bias);
    for (int i = 0; i < ROWS; i++)
        for (int j = 0; j < ROWS; j++) {
            double s = (double)bias->x[j];
            for (int k = 0; k < LONG; k++)
                s += (double)a->x[i * LONG + k] * (double)w->x[j * LONG + k];
            near(y->x[i * ROWS + j], s, LONG);
        }
}

static void values_of_conv2d(struct as_tape *t)
{
    struct as_node *x = NODE(1, 2, 6, 7, 4), *w = NODE(2, 6, 2, 3, 2), *bias = NODE(3, 6);
    struct as_node *y = as_conv2d(t, x, w, bias, flat);
    ptrdiff_t hs = (6 + 1 - 3) / 2 + 1, ws = (7 + 2 - 3) + 1;
    assert_true(y->dim[0] == 2 && y->dim[1] == hs && y->dim[2] == ws && y->dim[3] == 6);
    for (ptrdiff_t b = 0; b < 2; b++)
        for (ptrdiff_t h = 0; h < hs; h++)
            for (ptrdiff_t v = 0; v < ws; v++)
                for (ptrdiff_t o = 0; o < 6; o++) {
                    double s = (double)bias->x[o];
                    for (ptrdiff_t c = 0; c < 2; c++)
                        for (ptrdiff_t i = 0; i < 3; i++)
                            for (ptrdiff_t j = 0; j < 2; j++) {
                                ptrdiff_t ph = h * 2 - 1 + i, pv = v + j * 2, from = o / 3 * 2 + c;
                                if (ph >= 0 && ph < 6 && pv >= 0 && pv < 7)
                                    s += (double)x->x[((b * 6 + ph) * 7 + pv) * 4 + from] *
                                         (double)w->x[((o * 2 + c) * 3 + i) * 2 + j];
                            }
                    near(y->x[((b * hs + h) * ws + v) * 6 + o], s, 13);
                }
}

static void values_of_conv1d(struct as_tape *t)
{
    struct as_node *x = NODE(1, 2, 11, 3), *w = NODE(2, 4, 3, 3), *bias = NODE(3, 4);
    struct as_node *y = as_conv1d(t, x, w, bias, strided);
    ptrdiff_t ts = (11 + 5 - 7) / 2 + 1;
    assert_true(y->rank == 3 && y->dim[1] == ts && y->dim[2] == 4);
    for (ptrdiff_t b = 0; b < 2; b++)
        for (ptrdiff_t s = 0; s < ts; s++)
            for (ptrdiff_t o = 0; o < 4; o++) {
                double sum = (double)bias->x[o];
                for (ptrdiff_t c = 0; c < 3; c++)
                    for (ptrdiff_t j = 0; j < 3; j++) {
                        ptrdiff_t p = s * 2 - 4 + j * 3;
                        if (p >= 0 && p < 11)
                            sum += (double)x->x[(b * 11 + p) * 3 + c] * (double)w->x[(o * 3 + c) * 3 + j];
                    }
                near(y->x[(b * ts + s) * 4 + o], sum, 10);
            }
}

static void values_of_causal(struct as_tape *t)
{
    for (ptrdiff_t taps = 1; taps <= 11; taps++) {
        struct as_node *x = NODE(1, 2, 9, 19), *w = NODE(2, 19, taps), *bias = NODE(3, 19);
        struct as_node *y = as_conv_causal(t, x, w, bias);
        for (ptrdiff_t b = 0; b < 2; b++)
            for (ptrdiff_t s = 0; s < 9; s++)
                for (ptrdiff_t c = 0; c < 19; c++) {
                    double sum = (double)bias->x[c];
                    for (ptrdiff_t j = 0; j < taps; j++)
                        if (s - (taps - 1) + j >= 0)
                            sum += (double)w->x[c * taps + j] * (double)x->x[(b * 9 + s - (taps - 1) + j) * 19 + c];
                    near(y->x[(b * 9 + s) * 19 + c], sum, (double)taps);
                }
    }
}

/* The same bits as one after the other: over the ends of blocks and rows, and where it is done apart. */
static void values_of_conv_silu(struct as_tape *t)
{
    static const ptrdiff_t size[][3] = { { 9, 19, 4 }, { 9, 16, 2 }, { 150, 300, 3 }, { 40, 16, 1 }, { 5, 513, 4 }, { 9, 7, 6 } };

    for (size_t i = 0; i < sizeof size / sizeof *size; i++) {
        struct as_node *x = NODE(1, 2, size[i][0], size[i][1]), *w = NODE(2, size[i][1], size[i][2]);
        struct as_node *y = as_conv_silu(t, x, w), *z = as_silu(t, as_conv_causal(t, x, w, NULL));

        assert_memory_equal(y->x, z->x, (size_t)as_node_size(y) * sizeof *y->x);
    }
}

static void values_of_scans(struct as_tape *t)
{
    struct as_node *a = NODE(1, 2, 9, 70), *x = NODE(2, 2, 9, 70), *h0 = NODE(3, 2, 70), *k = NODE(4, 70);
    struct as_node *y = as_scan(t, a, x, h0), *z = as_scan(t, k, x, NULL);
    for (int b = 0; b < 2; b++)
        for (int c = 0; c < 70; c++) {
            double h = (double)h0->x[b * 70 + c], g = 0;
            for (int s = 0; s < 9; s++) {
                int i = (b * 9 + s) * 70 + c;
                h = (double)a->x[i] * h + (double)x->x[i];
                g = (double)k->x[c] * g + (double)x->x[i];
                near(y->x[i], h, 18);
                near(z->x[i], g, 18);
            }
        }
    a = NODE(1, 2, 9, 35, 2), x = NODE(2, 2, 9, 35, 2), h0 = NODE(3, 2, 35, 2);
    y = as_scan_complex(t, a, x, h0);
    for (int b = 0; b < 2; b++)
        for (int c = 0; c < 35; c++) {
            const real *p = h0->x + (b * 35 + c) * 2;
            double hr = (double)p[0], hi = (double)p[1];
            for (int s = 0; s < 9; s++) {
                int i = ((b * 9 + s) * 35 + c) * 2;
                double ar = (double)a->x[i], ai = (double)a->x[i + 1], old = hr;
                hr = ar * hr - ai * hi + (double)x->x[i];
                hi = ar * hi + ai * old + (double)x->x[i + 1];
                double terms = 72 * (1 + hypot(hr, hi));
                near(y->x[i], hr, terms);
                near(y->x[i + 1], hi, terms);
            }
        }
}

/* Angles stay with the tape: longer, shorter, other bases and widths must each get their own, after a reset as well. */
static void values_of_rotary(struct as_tape *t)
{
    static const struct { int time, half, from; double base; } turn[] = {
        { 5, 3, 3, 100 }, { 5, 3, 0, 100 }, { 40, 3, 0, 100 }, { 7, 3, 0, 100 }, { 7, 3, 0, 1000 }, { 7, 2, 0, 100 }
    };
    for (size_t n = 0; n < 2 * sizeof turn / sizeof *turn; n++) {
        int k = (int)(n % (sizeof turn / sizeof *turn)), half = turn[k].half, d = 2 * half;
        struct as_node *x = NODE(1, 2, turn[k].time, 3, d), *y = as_rotary(t, x, turn[k].base, turn[k].from);
        for (int i = 0; i < 6 * turn[k].time; i++)
            for (int j = 0; j < half; j++) {
                double angle = (i / 3 % turn[k].time + turn[k].from) * pow(turn[k].base, -2.0 * j / d);
                double u = (double)x->x[i * d + j], v = (double)x->x[i * d + j + half];
                near(y->x[i * d + j], u * cos(angle) - v * sin(angle), 4);
                near(y->x[i * d + j + half], u * sin(angle) + v * cos(angle), 4);
            }
        as_tape_reset(t);
    }
}

static void values_of_dropout(struct as_tape *t)
{
    struct as_key key = { 1, AS_ROLE_DROPOUT, 2 };
    struct as_node *x = NODE(5, 100, 999), *y = as_dropout(t, x, 0.25, key);
    int dropped = 0;
    for (int i = 0; i < 99900; i++) {
        bool drop = as_bits(key, (uint64_t)i) < UINT32_C(0x40000000);
        dropped += drop;
        near(y->x[i], drop ? 0.0 : (double)x->x[i] / 0.75, 1);
    }
    assert_true(abs(dropped - 24975) < 700);
}

static void values(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    as_arena_poison(as_tape_arena(t), 1);
    values_of_products(t);
    values_of_long_rows(t);
    values_of_conv1d(t);
    values_of_conv2d(t);
    values_of_causal(t);
    values_of_conv_silu(t);
    values_of_scans(t);
    values_of_rotary(t);
    values_of_dropout(t);
    as_tape_free(t);
}

/* ---- Wrong shapes end in a sentence with both shapes; lengths go along ---- */

struct bad { struct as_tape *t; int which; };

static void misuse(void *ctx)
{
    struct bad *bad = ctx;
    struct as_tape *t = bad->t;
    switch (bad->which) {
    case 0: as_matmul(t, NODE(1, 2, 3), NODE(2, 4, 5)); break;
    case 1: as_linear(t, NODE(1, 2, 3), NODE(2, 4, 5), NULL); break;
    case 2: as_bmm(t, NODE(1, 2, 3, 4), false, NODE(2, 3, 4, 5), false); break;
    case 3: as_conv1d(t, NODE(1, 2, 3, 4), NODE(2, 4, 4, 5), NULL, plain); break;
    case 4: as_conv_causal(t, NODE(1, 2, 3, 4), NODE(2, 5, 3), NULL); break;
    case 5: as_scan(t, NODE(1, 2, 3, 5), NODE(2, 2, 3, 4), NULL); break;
    case 6: as_dropout(t, NODE(1, 2), 1.0, (struct as_key){ 0, 0, 0 }); break;
    case 7: as_rotary(t, NODE(1, 2, 3, 4, 5), 10.0, 0); break;
    default: break;
    }
}

static void misuse_is_named(void **state)
{
    (void)state;
    static const char *const said[] = { "(2, 3)", "(4, 5)", "(3, 4, 5)", "5 positions", "(5, 3)", "(2, 3, 5)",
                                        "probability 1", "(2, 3, 4, 5)" };
    struct bad bad = { as_tape_new(), 0 };
    for (; bad.which < 8; bad.which++) {
        assert_int_not_equal(as_try(misuse, &bad), AS_OK);
        if (!strstr(as_failure_text(), said[bad.which]))
            fail_msg("case %d says: %s", bad.which, as_failure_text());
    }
    as_tape_free(bad.t);
}

static void lengths_go_along(void **state)
{
    (void)state;
    static const int32_t length[] = { 3, 1 };
    struct as_tape *t = as_tape_new();
    struct as_node *x = NODE(1, 2, 4, 6);
    x->length = length;
    assert_ptr_equal(as_linear(t, x, NODE(2, 5, 6), NULL)->length, length);
    assert_ptr_equal(as_scan(t, NODE(3, 6), x, NULL)->length, length);
    assert_ptr_equal(as_conv_causal(t, x, NODE(4, 6, 3), NULL)->length, length);
    assert_ptr_equal(as_bmm(t, x, false, NODE(5, 2, 6, 4), false)->length, length);
    assert_null(as_bmm(t, x, true, NODE(5, 2, 4, 4), false)->length);
    as_tape_free(t);
}

int main(void)
{
    as_threads_set(2);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_right),
        cmocka_unit_test(values),
        cmocka_unit_test(misuse_is_named),
        cmocka_unit_test(lengths_go_along),
    };
    return cmocka_run_group_tests_name("products", tests, NULL, NULL);
}

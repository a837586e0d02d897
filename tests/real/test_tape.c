/* The tape: accumulation, no-gradient mode, resets, memory, recomputing (also nested, and with outside nodes). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../gradcheck.h"
#include "core/real/tape.h"

#define D(...) (const ptrdiff_t[]){ __VA_ARGS__ }

static void fill(ptrdiff_t n, real *x, double from)
{
    for (ptrdiff_t i = 0; i < n; i++)
        x[i] = (real)(from + 0.01 * (double)i);
}

/* Gradients of leaves are added to over walks and resets; those of inner nodes start afresh. */
static void test_accumulates(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    real x = 3, dx = 0;
    for (int step = 0; step < 2; step++) {
        as_tape_reset(t);
        struct as_node *a = as_node_wrap(t, 1, D(1), &x, &dx), *y = as_square(t, as_square(t, a));
        as_backward(t, y, 1);
        as_backward(t, y, 1);
        as_backward(t, y, 0.5);
    }
    assert_true(dx == 2 * (real)2.5 * 4 * 27);
    as_tape_free(t);
}

enum { G_BATCH = 2, G_TIME = 3, G_WIDTH = 16, G_SIZE = G_BATCH * G_TIME * G_WIDTH };

static struct as_node *end_norm(struct as_tape *t, struct as_node *y)
{
    return as_layernorm(t, y, NULL, NULL, 1e-5);
}

static struct as_node *end_scan(struct as_tape *t, struct as_node *y)
{
    static real a[G_SIZE];
    fill(G_SIZE, a, 0.1);
    return as_scan(t, as_node_wrap(t, 3, D(G_BATCH, G_TIME, G_WIDTH), a, NULL), y, NULL);
}

static struct as_node *end_rotary(struct as_tape *t, struct as_node *y)
{
    return as_rotary(t, as_reshape(t, y, 4, D(G_BATCH, G_TIME, 2, G_WIDTH / 2)), 100, 0);
}

static struct as_node *end_conv(struct as_tape *t, struct as_node *y)
{
    static real w[G_WIDTH * 2];
    fill(G_WIDTH * 2, w, -0.1);
    return as_conv_causal(t, y, as_node_wrap(t, 2, D(G_WIDTH, 2), w, NULL), NULL);
}

static struct as_node *end_normaliser(struct as_tape *t, struct as_node *y)
{
    struct as_node *x = as_reshape(t, y, 4, D(G_BATCH, G_TIME, 2, G_WIDTH / 2)), *q = as_node_new(t, 4, x->dim);
    fill(G_SIZE, q->x, 0.2);
    return as_normaliser(t, x, q, q, NULL, 1e-3);
}

static struct as_node *end_reshape(struct as_tape *t, struct as_node *y)
{
    return as_reshape(t, y, 1, D(G_SIZE));
}

static struct as_node *end_residual(struct as_tape *t, struct as_node *y)
{
    return as_add(t, y, as_gelu(t, y));
}

static struct as_node *end_gate(struct as_tape *t, struct as_node *y)
{
    return as_mul(t, as_sigmoid(t, y), y);
}

static void give(struct as_tape *t, struct as_note *note)
{
    (void)t;
    note->in[0]->dx = note->saved;
}

/* A gradient that a caller's array gives to a result is the caller's: nothing writes there, whatever operator came
 * last, and no other node gets that array. */
static void test_given_gradient_stays(void **state)
{
    enum { ROUNDS = 3 };
    static struct as_node *(*const ends[])(struct as_tape *, struct as_node *) = {
        as_gelu, as_softmax, end_norm, end_scan, end_rotary, end_conv, end_normaliser, end_reshape, end_residual, end_gate,
    };
    real x[G_SIZE], w[G_WIDTH * G_WIDTH], dw[G_WIDTH * G_WIDTH] = { 0 }, dy[G_SIZE], kept[G_SIZE];
    struct as_tape *t = as_tape_new();

    (void)state;
    fill(G_SIZE, x, 0.5);
    fill(G_WIDTH * G_WIDTH, w, -0.3);
    fill(G_SIZE, dy, 0.1);
    memcpy(kept, dy, sizeof dy);
    for (size_t which = 0; which <= sizeof ends / sizeof ends[0]; which++)
        for (int round = 0; round < ROUNDS; round++) {
            as_tape_reset(t);
            struct as_node *a = as_node_wrap(t, 2, D(G_WIDTH, G_WIDTH), w, dw), *end = as_node_new(t, 1, D(1));
            struct as_node *y = as_node_wrap(t, 3, D(G_BATCH, G_TIME, G_WIDTH), x, NULL);
            for (int depth = 0; depth < 4; depth++)
                y = as_matmul(t, y, a);
            if (which > 0)
                y = ends[which - 1](t, as_tanh(t, y));   /* no slope of 1 */
            end->x[0] = 0;
            as_note_new(t, give, end, 1, &y)->saved = dy;
            as_backward(t, end, 1);
            assert_memory_equal(dy, kept, sizeof dy);
        }
    as_tape_free(t);
}

static void test_no_gradient(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    real x = 3, dx = 0;
    struct as_node *a = as_node_wrap(t, 1, D(1), &x, &dx);
    assert_true(as_tape_recording(t));
    assert_true(as_tape_record(t, false));
    struct as_node *y = as_square(t, a);
    assert_false(as_tape_record(t, true));
    assert_false(y->wants);
    assert_null(as_gradient(t, y));
    as_backward(t, as_square(t, y), 1);
    assert_true(dx == 0);
    as_tape_free(t);
}

/* --- recomputing ------------------------------------------------------------------------------------------ */

enum { B = 3, T = 50, W = 17 };

/* A piece with weights, and a node from outside that wants a gradient. */
struct block { struct as_node *gain, *side; int depth; };

static struct as_node *piece(struct as_tape *t, void *ctx, struct as_node *x)
{
    struct block *b = ctx;
    struct as_node *h = as_layernorm(t, x, b->gain, NULL, 1e-5);
    if (b->depth > 0) {
        struct block *inner = as_arena_take(as_tape_arena(t), sizeof *inner);
        *inner = (struct block){ b->gain, b->side, b->depth - 1 };
        h = as_add(t, h, as_recompute(t, piece, inner, as_tanh(t, h)));
    }
    h = as_add(t, as_mul(t, as_silu(t, h), b->side), as_softmax(t, h));
    return as_reshape(t, as_add(t, x, h), 3, x->dim);
}

struct result { double loss; real dx[B * T * W], dgain[W]; size_t peak; };

static void run(struct result *r, int depth, bool again)
{
    struct as_tape *t = as_tape_new();
    static real x[B * T * W], gain[W];
    static const int32_t lengths[B] = { 50, 7, 0 };
    fill(B * T * W, x, -2);
    fill(W, gain, 0.5);
    memset(r, 0, sizeof *r);
    as_arena_poison(as_tape_arena(t), 1);
    struct as_node *a = as_node_wrap(t, 3, D(B, T, W), x, r->dx), *g = as_node_wrap(t, 1, D(W), gain, r->dgain);
    a->length = lengths;
    struct as_node *h = as_scale(t, a, 1.5), *side = as_sin(t, h);
    struct block b = { g, side, depth };
    for (int layer = 0; layer < 6; layer++)
        h = again ? as_recompute(t, piece, &b, h) : piece(t, &b, h);
    assert_ptr_equal(h->length, lengths);
    struct as_node *loss = as_sum_all(t, as_square(t, h));
    r->loss = (double)loss->x[0];
    as_backward(t, loss, 1);
    r->peak = as_arena_peak(as_tape_arena(t));
    as_tape_free(t);
}

static void test_recompute(void **state)
{
    (void)state;
    static struct result plain, again;
    for (int depth = 0; depth < 3; depth++) {
        run(&plain, depth, false);
        run(&again, depth, true);
        assert_true(plain.loss == again.loss);
        assert_true(plain.dx[5] != 0 && plain.dgain[3] != 0);
        assert_memory_equal(plain.dx, again.dx, sizeof plain.dx);
        assert_memory_equal(plain.dgain, again.dgain, sizeof plain.dgain);
        assert_true(again.peak < plain.peak);
    }
}

static struct as_node *same(struct as_tape *t, void *ctx, struct as_node *x)
{
    (void)t;
    (void)ctx;
    return x;
}

static struct as_node *weight_only(struct as_tape *t, void *ctx, struct as_node *x)
{
    return as_mul(t, x, *(struct as_node **)ctx);
}

/* A piece that does nothing, and one in which only the weight wants a gradient. */
static void test_recompute_edges(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    real x[3] = { 1, 2, 3 }, w[3] = { 4, 5, 6 }, dw[3] = { 0 };
    struct as_node *a = as_node_wrap(t, 1, D(3), x, NULL), *g = as_node_wrap(t, 1, D(3), w, dw);
    assert_ptr_equal(as_recompute(t, same, NULL, a), a);
    as_backward(t, as_sum_all(t, as_recompute(t, weight_only, &g, a)), 1);
    assert_memory_equal(dw, x, sizeof x);
    assert_false(a->wants);
    as_tape_free(t);
}

/* A repeated step takes the same places and no more. */
static void test_steady(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    static real x[B * T * W], dx[B * T * W];
    size_t peak = 0;
    for (int step = 0; step < 3; step++) {
        as_tape_reset(t);
        struct as_node *a = as_node_wrap(t, 3, D(B, T, W), x, dx);
        as_backward(t, as_sum_all(t, as_softmax(t, as_exp(t, a))), 1);
        if (step > 0)
            assert_int_equal(as_arena_peak(as_tape_arena(t)), peak);
        peak = as_arena_peak(as_tape_arena(t));
    }
    as_tape_free(t);
}

static void bad_backward(void *ctx)
{
    as_backward(ctx, as_node_new(ctx, 1, D(3)), 1);
}

static void bad_size(void *ctx)
{
    as_node_new(ctx, 3, D(PTRDIFF_MAX, 3, 2));
}

static void test_refuses(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    assert_int_equal(as_try(bad_backward, t), AS_FAILED);
    assert_non_null(strstr(as_failure_text(), "size 3"));
    assert_int_equal(as_try(bad_size, t), AS_NO_MEMORY);
    as_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accumulates), cmocka_unit_test(test_given_gradient_stays), cmocka_unit_test(test_no_gradient),
        cmocka_unit_test(test_recompute), cmocka_unit_test(test_recompute_edges), cmocka_unit_test(test_steady),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* test_normaliser.c: linear attention's normaliser: values against the sums as they are written, gradients against
 * differences, padding, and what it refuses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../gradcheck.h"

#define OP(name, expression)                                                        \
    static struct as_node *f_##name(struct as_tape *t, struct as_node *const *in)   \
    {                                                                               \
        return expression;                                                          \
    }
/* The same input behind an operator: then its gradient is fresh memory instead of the caller's. */
#define S(k) as_scale(t, in[k], 1.0)

OP(leaves, as_normaliser(t, in[0], in[1], in[2], in[3], 1e-3))
OP(fresh, as_normaliser(t, S(0), S(1), S(2), NULL, 1e-3))
OP(fresh_z0, as_normaliser(t, S(0), S(1), S(2), S(3), 1e-3))
OP(fresh_but_k, as_normaliser(t, S(0), S(1), in[2], NULL, 1e-3))
OP(fresh_but_q, as_normaliser(t, S(0), in[1], S(2), NULL, 1e-3))
OP(fresh_but_x, as_normaliser(t, in[0], S(1), S(2), NULL, 1e-3))
OP(one, as_normaliser(t, in[0], in[0], in[0], NULL, 1e-3))

static struct as_node *f_one_fresh(struct as_tape *t, struct as_node *const *in)
{
    struct as_node *s = S(0);

    return as_normaliser(t, s, s, s, NULL, 1e-3);
}

static const int32_t lengths[] = { 3, 0, 9, 7, 1 };

#define X(...) { 4, { __VA_ARGS__ }, 0, 0, 0 }
#define Q(...) { 4, { __VA_ARGS__ }, 0.5, 1.5, 0 }
#define K(...) { 4, { __VA_ARGS__ }, 0.5, 1.5, 0 }
#define Z(...) { 3, { __VA_ARGS__ }, 0.5, 1.5, 0 }
#define FIXED(...) { 4, { __VA_ARGS__ }, 0.5, 1.5, 1 }

/* Heads alone (fewer than four sequences) and together; more steps than a block; widths of 16 and around it. */
static const struct gc_case cases[] = {
    { "leaves", f_leaves, { X(2, 5, 3, 7), Q(2, 5, 3, 4), K(2, 5, 3, 4), Z(2, 3, 4) }, 0, 0, 0 },
    { "leaves of 16", f_leaves, { X(4, 5, 2, 16), Q(4, 5, 2, 16), K(4, 5, 2, 16), Z(4, 2, 16) }, 0, 0, 0 },
    { "blocks", f_fresh, { X(1, 131, 2, 3), Q(1, 131, 2, 5), K(1, 131, 2, 5) }, 0, 0, 0 },
    { "blocks of 16", f_fresh, { X(4, 131, 1, 16), Q(4, 131, 1, 16), K(4, 131, 1, 16) }, 0, 0, 0 },
    { "wide", f_fresh, { X(5, 3, 2, 37), Q(5, 3, 2, 70), K(5, 3, 2, 70) }, 0, 0, 0 },
    { "z0, fresh", f_fresh_z0, { X(2, 66, 1, 4), Q(2, 66, 1, 6), K(2, 66, 1, 6), Z(2, 1, 6) }, 0, 0, 0 },
    { "z0 of 16, fresh", f_fresh_z0, { X(4, 66, 2, 16), Q(4, 66, 2, 16), K(4, 66, 2, 16), Z(4, 2, 16) }, 0, 0, 0 },
    { "k a leaf", f_fresh_but_k, { X(4, 5, 3, 16), Q(4, 5, 3, 16), K(4, 5, 3, 16) }, 0, 0, 0 },
    { "q a leaf", f_fresh_but_q, { X(2, 5, 3, 8), Q(2, 5, 3, 8), K(2, 5, 3, 8) }, 0, 0, 0 },
    { "x a leaf", f_fresh_but_x, { X(2, 5, 3, 8), Q(2, 5, 3, 8), K(2, 5, 3, 8) }, 0, 0, 0 },
    { "k fixed", f_leaves, { X(2, 5, 3, 4), Q(2, 5, 3, 4), FIXED(2, 5, 3, 4) }, 0, 0, 0 },
    { "q fixed", f_leaves, { X(2, 5, 3, 4), FIXED(2, 5, 3, 4), K(2, 5, 3, 4) }, 0, 0, 0 },
    { "x fixed", f_leaves, { FIXED(2, 5, 3, 4), Q(2, 5, 3, 4), K(2, 5, 3, 4) }, 0, 0, 0 },
    { "q and k fixed", f_leaves, { X(2, 5, 3, 4), FIXED(2, 5, 3, 4), FIXED(2, 5, 3, 4), Z(2, 3, 4) }, 0, 0, 0 },
    { "one node", f_one, { Q(2, 6, 2, 5) }, 0, 0, 0 },
    { "one node, fresh", f_one_fresh, { Q(4, 6, 2, 16) }, 0, 0, 0 },
    { "padded", f_fresh, { X(5, 9, 2, 16), Q(5, 9, 2, 16), K(5, 9, 2, 16) }, lengths, 0, 0 },
    { "padded leaves", f_leaves, { X(5, 9, 2, 4), Q(5, 9, 2, 3), K(5, 9, 2, 3), Z(5, 2, 3) }, lengths, 0, 0 },
    { "no heads", f_fresh, { X(2, 5, 0, 7), Q(2, 5, 0, 4), K(2, 5, 0, 4) }, 0, 0, 1 },
};

static void gradients(void **state)
{
    (void)state;
    assert_int_equal(gc_check(cases, sizeof cases / sizeof cases[0]), 0);
}

/* --- values ------------------------------------------------------------------------------------------------ */

struct sizes { ptrdiff_t batch, time, heads, d, wide; const int32_t *length; bool z0; };

static struct as_node *drawn(struct as_tape *t, int rank, const ptrdiff_t *dims, uint64_t stream)
{
    struct as_node *a = as_node_new(t, rank, dims);

    a->dx = as_arena_take(as_tape_arena(t), (size_t)(as_node_size(a) + 1) * sizeof(real));
    a->wants = true;
    for (ptrdiff_t i = 0; i < as_node_size(a); i++) {
        a->x[i] = (real)gc_draw(stream, i, 0.1, 1.0);
        a->dx[i] = 0;
    }
    return a;
}

/* What is not a step must not be read: the worst that can stand there. */
static void spoil(struct as_node *a, const int32_t *length)
{
    ptrdiff_t width = a->dim[2] * a->dim[3];

    for (ptrdiff_t b = 0; length && b < a->dim[0]; b++)
        for (ptrdiff_t i = length[b] * width; i < a->dim[1] * width; i++)
            a->x[b * a->dim[1] * width + i] = (real)NAN;
}

static double divisor(const struct sizes *s, const struct as_node *q, const struct as_node *k, const struct as_node *z0,
                      ptrdiff_t b, ptrdiff_t t, ptrdiff_t h)
{
    double den = 1e-6;

    for (ptrdiff_t c = 0; c < s->d; c++) {
        double z = z0 ? (double)z0->x[(b * s->heads + h) * s->d + c] : 0.0;

        for (ptrdiff_t i = 0; i <= t; i++)
            z += (double)k->x[((b * s->time + i) * s->heads + h) * s->d + c];
        den += (double)q->x[((b * s->time + t) * s->heads + h) * s->d + c] * z;
    }
    return den;
}

static void check_values(struct as_tape *t, const struct sizes *s)
{
    ptrdiff_t wide[] = { s->batch, s->time, s->heads, s->wide }, keys[] = { s->batch, s->time, s->heads, s->d };
    ptrdiff_t state[] = { s->batch, s->heads, s->d };
    struct as_node *x = drawn(t, 4, wide, 1), *q = drawn(t, 4, keys, 2), *k = drawn(t, 4, keys, 3), *y;
    struct as_node *z0 = s->z0 ? drawn(t, 3, state, 4) : NULL;

    spoil(x, s->length);
    spoil(q, s->length);
    spoil(k, s->length);
    k->length = s->length;
    y = as_normaliser(t, x, q, k, z0, 1e-6);
    assert_ptr_equal(y->length, s->length);
    for (ptrdiff_t i = 0; i < as_node_size(y); i++) {
        ptrdiff_t h = i / s->wide % s->heads, at = i / s->wide / s->heads % s->time, b = i / s->wide / s->heads / s->time;
        double want = s->length && at >= s->length[b] ? 0.0 : (double)x->x[i] / divisor(s, q, k, z0, b, at, h);

        assert_true(fabs((double)y->x[i] - want) <= (sizeof(real) == sizeof(double) ? 1e-14 : 2e-6) * (1.0 + fabs(want)));
    }
    as_backward(t, as_sum_all(t, as_mul(t, y, y)), 1);
    for (ptrdiff_t i = 0; i < as_node_size(x); i++)
        assert_true(isfinite(x->dx[i]));
    for (ptrdiff_t i = 0; i < as_node_size(q); i++)
        assert_true(isfinite(q->dx[i]) && isfinite(k->dx[i]));
}

static void values_job(void *ctx)
{
    static const struct sizes all[] = {
        { 2, 5, 3, 4, 7, NULL, false }, { 5, 9, 2, 16, 16, lengths, false }, { 5, 9, 2, 3, 4, lengths, true },
        { 1, 200, 2, 16, 16, NULL, true }, { 4, 130, 1, 33, 18, NULL, false },
    };

    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        as_tape_reset(ctx);
        check_values(ctx, &all[i]);
    }
}

static void values(void **state)
{
    struct as_tape *t = as_tape_new();

    (void)state;
    as_arena_poison(as_tape_arena(t), 1);
    if (as_try(values_job, t) != AS_OK)
        fail_msg("%s", as_failure_text());
    as_tape_free(t);
}

/* --- refusals ---------------------------------------------------------------------------------------------- */

struct refused { struct as_tape *t; int i; };

static void refused_job(void *ctx)
{
    static const struct { ptrdiff_t x[4], q[4], k[4], z0[3]; } wrong[] = {
        { { 2, 5, 3, 7 }, { 2, 5, 4, 4 }, { 2, 5, 4, 4 }, { 0 } }, { { 2, 5, 3, 7 }, { 2, 5, 3, 4 }, { 2, 5, 3, 5 }, { 0 } },
        { { 2, 5, 3, 7 }, { 2, 6, 3, 4 }, { 2, 6, 3, 4 }, { 0 } }, { { 2, 5, 3, 7 }, { 2, 5, 3, 4 }, { 2, 5, 3, 4 }, { 2, 3, 5 } },
        { { 2, 5, 3, 7 }, { 2, 5, 3, 4 }, { 2, 5, 3, 4 }, { 3, 3, 4 } },
    };
    struct as_tape *t = ((struct refused *)ctx)->t;
    int i = ((struct refused *)ctx)->i;

    as_normaliser(t, drawn(t, 4, wrong[i].x, 1), drawn(t, 4, wrong[i].q, 2), drawn(t, 4, wrong[i].k, 3),
                  wrong[i].z0[0] ? drawn(t, 3, wrong[i].z0, 4) : NULL, 1e-6);
}

static void refusals(void **state)
{
    struct as_tape *t = as_tape_new();

    (void)state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(as_try(refused_job, &(struct refused){ t, i }), AS_FAILED);
        assert_non_null(strstr(as_failure_text(), i == 0 || i == 2 ? "alike but for the width" : "must have the sizes of q"));
    }
    as_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(gradients), cmocka_unit_test(values), cmocka_unit_test(refusals) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

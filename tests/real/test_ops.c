/* Gradients of the element-wise operators, reductions and norms, over sizes with 1, primes and stretching. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../gradcheck.h"

#define ONE(name, call) \
    static struct as_node *name(struct as_tape *t, struct as_node *const *in) { return call; }
#define X in[0]
#define Y in[1]
#define Z in[2]

ONE(exp_of, as_exp(t, X))
ONE(log_of, as_log(t, X))
ONE(sqrt_of, as_sqrt(t, X))
ONE(rsqrt_of, as_rsqrt(t, X))
ONE(square_of, as_square(t, X))
ONE(abs_of, as_abs(t, X))
ONE(sin_of, as_sin(t, X))
ONE(cos_of, as_cos(t, X))
ONE(tanh_of, as_tanh(t, X))
ONE(sigmoid_of, as_sigmoid(t, X))
ONE(logsigmoid_of, as_logsigmoid(t, X))
ONE(softplus_of, as_softplus(t, X))
ONE(log1mexp_of, as_log1mexp(t, X))
ONE(relu_of, as_relu(t, X))
ONE(silu_of, as_silu(t, X))
ONE(gelu_of, as_gelu(t, X))
ONE(gelu_tanh_of, as_gelu_tanh(t, X))
ONE(erf_of, as_erf(t, X))
ONE(elu_of, as_elu(t, X))
ONE(elu_one_of, as_elu_one(t, X))
ONE(clip_of, as_clip(t, X, -0.5, 0.75))
ONE(scale_of, as_scale(t, X, -2.5))
ONE(shift_of, as_shift_by(t, X, 3.25))
ONE(neg_of, as_neg(t, X))
ONE(add_of, as_add(t, X, Y))
ONE(sub_of, as_sub(t, X, Y))
ONE(mul_of, as_mul(t, X, Y))
ONE(div_of, as_div(t, X, Y))
ONE(max_of, as_max2(t, X, Y))
ONE(min_of, as_min2(t, X, Y))
ONE(twice, as_mul(t, X, as_add(t, X, X)))
ONE(sum0, as_sum(t, X, 0, false))
ONE(sum1, as_sum(t, X, 1, true))
ONE(sum_last, as_sum(t, X, -1, false))
ONE(mean1, as_mean(t, X, 1, false))
ONE(max0, as_max(t, X, 0, false))
ONE(max_last, as_max(t, X, -1, true))
ONE(sum_all, as_sum_all(t, X))
ONE(softmax_of, as_softmax(t, X))
ONE(logsoftmax_of, as_logsoftmax(t, X))
ONE(lse1, as_logsumexp(t, X, 1, true))
ONE(lse_last, as_logsumexp(t, X, -1, false))
ONE(cumsum1, as_cumsum(t, X, 1))
ONE(cumsum_last, as_cumsum(t, X, -1))
ONE(cumprod1, as_cumprod(t, X, 1))
ONE(cumprod_last, as_cumprod(t, X, -1))
ONE(logcum1, as_logcumsumexp(t, X, 1))
ONE(logcum_last, as_logcumsumexp(t, X, -1))
ONE(layernorm_of, as_layernorm(t, X, Y, Z, 1e-3))
ONE(layernorm_bare, as_layernorm(t, X, NULL, NULL, 1e-3))
ONE(layernorm_gain, as_layernorm(t, X, Y, NULL, 1e-3))
ONE(rmsnorm_of, as_rmsnorm(t, X, Y, 1e-3))
ONE(rmsnorm_bare, as_rmsnorm(t, X, NULL, 1e-3))
ONE(l2norm_of, as_l2norm(t, X, 1e-3))

static struct as_node *where_of(struct as_tape *t, struct as_node *const *in)
{
    struct as_node *mask = as_node_ints(t, 2, (ptrdiff_t[]){ 5, 1 });
    for (int i = 0; i < 5; i++)
        mask->i[i] = i % 2;
    return as_where(t, mask, in[0], in[1]);
}

static struct as_node *softmax_masked(struct as_tape *t, struct as_node *const *in)
{
    struct as_node *mask = as_node_like(t, in[0]);
    for (ptrdiff_t i = 0; i < as_node_size(mask); i++)
        mask->x[i] = i % 3 == 0 || i < 7 ? -(real)INFINITY : 0;     /* the first row has nothing */
    return as_softmax(t, as_add(t, in[0], mask));
}

#define S(...) { sizeof((ptrdiff_t[]){ __VA_ARGS__ }) / sizeof(ptrdiff_t), { __VA_ARGS__ }, 0, 0, false }
#define IN(lo, hi, ...) { sizeof((ptrdiff_t[]){ __VA_ARGS__ }) / sizeof(ptrdiff_t), { __VA_ARGS__ }, lo, hi, false }
#define SMOOTH(f, ...) { #f, f, { __VA_ARGS__ }, NULL, false, false }
#define KINKED(f, ...) { #f, f, { __VA_ARGS__ }, NULL, true, false }

static const struct gc_case unary[] = {
    SMOOTH(exp_of, S(3, 7)), SMOOTH(log_of, IN(0.5, 2.0, 3, 7)), SMOOTH(sqrt_of, IN(0.5, 2.0, 3, 7)),
    SMOOTH(rsqrt_of, IN(0.5, 2.0, 3, 7)), SMOOTH(square_of, S(1)), KINKED(abs_of, S(3, 7)), SMOOTH(sin_of, S(5)),
    SMOOTH(cos_of, S(5)), SMOOTH(tanh_of, S(300)), SMOOTH(sigmoid_of, S(3, 7)), SMOOTH(logsigmoid_of, S(3, 101)),
    SMOOTH(softplus_of, S(3, 101)), SMOOTH(log1mexp_of, IN(-3.0, -0.2, 3, 101)), KINKED(relu_of, S(3, 7)),
    SMOOTH(silu_of, S(3, 101)), SMOOTH(gelu_of, S(3, 101)), SMOOTH(gelu_tanh_of, S(3, 101)), SMOOTH(erf_of, S(3, 101)),
    KINKED(elu_of, S(3, 101)), KINKED(elu_one_of, S(3, 101)),
    KINKED(clip_of, S(3, 7)), SMOOTH(scale_of, S(3, 1, 7)), SMOOTH(shift_of, S(7)),
    SMOOTH(neg_of, S(7)), SMOOTH(exp_of, S(2, 0, 3)), SMOOTH(tanh_of, S(17, 1031)),
};

static const struct gc_case binary[] = {
    SMOOTH(add_of, S(3, 7), S(3, 7)), SMOOTH(add_of, S(3, 7), S(7)), SMOOTH(add_of, S(7), S(3, 7)),
    SMOOTH(sub_of, S(3, 1, 5), S(2, 1)), SMOOTH(sub_of, S(1), S(3, 5)), SMOOTH(mul_of, S(2, 3, 5), S(2, 1, 5)),
    SMOOTH(mul_of, S(2, 3, 1), S(2, 3, 5)), SMOOTH(mul_of, S(5, 1), S(1, 7)), SMOOTH(mul_of, S(2, 1, 3, 1), S(5, 1, 7)),
    SMOOTH(mul_of, S(1, 1), S(1)), SMOOTH(mul_of, S(2, 3, 1, 2, 1), S(1, 3, 5, 1, 7)), SMOOTH(twice, S(3, 7)),
    SMOOTH(div_of, S(3, 7), IN(0.5, 2.0, 3, 7)), SMOOTH(div_of, S(3, 7), IN(0.5, 2.0, 1)),
    SMOOTH(div_of, S(3, 1), IN(-2.0, -0.5, 7)), KINKED(max_of, S(3, 7), S(3, 7)), KINKED(max_of, S(3, 7), S(3, 1)),
    KINKED(min_of, S(3, 7), S(7)), KINKED(where_of, S(3, 5, 7), S(5, 7)), KINKED(where_of, S(1), S(3, 5, 7)),
    KINKED(where_of, S(5, 1), S(7)), SMOOTH(mul_of, S(700, 53), S(53)), SMOOTH(mul_of, S(3, 20011), S(3, 1)),
    SMOOTH(mul_of, S(40009), S(1)), SMOOTH(mul_of, S(5, 61, 127), S(5, 1, 127)), SMOOTH(mul_of, S(61, 2, 3, 127), S(2, 1, 127)),
};

static const struct gc_case reductions[] = {
    SMOOTH(sum0, S(7, 3, 5)), SMOOTH(sum1, S(3, 7, 5)), SMOOTH(sum1, S(3, 1, 5)), SMOOTH(sum_last, S(3, 7)),
    SMOOTH(sum_last, S(3, 1)), SMOOTH(mean1, S(3, 7, 5)), SMOOTH(sum_all, S(3, 7, 5)), SMOOTH(sum_all, S(40009)),
    SMOOTH(sum0, S(20011, 3)), KINKED(max0, S(7, 5)), KINKED(max_last, S(3, 7)), SMOOTH(softmax_of, S(3, 7)),
    { "softmax of one", softmax_of, { S(3, 1) }, NULL, false, true }, SMOOTH(softmax_masked, S(3, 7)), SMOOTH(logsoftmax_of, S(3, 7)),
    SMOOTH(logsoftmax_of, S(2, 300)), SMOOTH(lse1, S(3, 7, 5)), SMOOTH(lse1, S(2, 3, 300)), SMOOTH(lse_last, S(3, 7)),
    SMOOTH(lse_last, S(2, 523)), SMOOTH(cumsum1, S(3, 7, 5)), SMOOTH(cumsum_last, S(37, 7)), SMOOTH(cumprod1, S(3, 5, 300)),
    SMOOTH(cumprod_last, S(37, 5)), SMOOTH(logcum1, S(3, 7, 5)), SMOOTH(logcum_last, S(37, 7)),
};

static const struct gc_case norms[] = {
    SMOOTH(layernorm_of, S(2, 3, 7), S(7), S(7)), SMOOTH(layernorm_of, S(3, 300), S(300), S(300)),
    SMOOTH(layernorm_of, S(1000, 37), S(37), S(37)), SMOOTH(layernorm_bare, S(3, 7)), SMOOTH(layernorm_gain, S(3, 7), S(7)),
    SMOOTH(rmsnorm_of, S(2, 3, 7), S(7)), SMOOTH(rmsnorm_of, S(3, 1), S(1)), SMOOTH(rmsnorm_bare, S(3, 300)),
    SMOOTH(l2norm_of, S(3, 7)), SMOOTH(l2norm_of, S(3, 300)),
};

#define COUNT(table) (sizeof(table) / sizeof(table)[0])

#define GRADIENTS(test, table)                                  \
    static void test(void **state)                              \
    {                                                           \
        (void)state;                                            \
        assert_int_equal(gc_check(table, COUNT(table)), 0);     \
    }

GRADIENTS(test_unary, unary)
GRADIENTS(test_binary, binary)
GRADIENTS(test_reductions, reductions)
GRADIENTS(test_norms, norms)

/* Stopped: the gradient is none, though the values go on. */
static void test_stop(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    real x = 3, dx = 0;
    struct as_node *a = as_node_wrap(t, 1, (ptrdiff_t[]){ 1 }, &x, &dx);
    as_backward(t, as_mul(t, a, as_stop(t, a)), 1);
    assert_true(dx == 3);
    as_tape_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unary), cmocka_unit_test(test_binary), cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_norms), cmocka_unit_test(test_stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

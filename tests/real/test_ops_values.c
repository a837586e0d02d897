/* Values of the operators at ordinary and extreme places, sentences of their refusals, and same bits at any team. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../gradcheck.h"

#include <assay/parallel.h>

#define D(...) (const ptrdiff_t[]){ __VA_ARGS__ }
#define COUNT(table) (sizeof(table) / sizeof(table)[0])

/* --- against libm in double ------------------------------------------------------------------------------- */

static double r_rsqrt(double x) { return 1.0 / sqrt(x); }
static double r_square(double x) { return x * x; }
static double r_sigmoid(double x) { return 1.0 / (1.0 + exp(-x)); }
static double r_softplus(double x) { return (x > 0 ? x : 0) + log1p(exp(-fabs(x))); }
static double r_logsigmoid(double x) { return -r_softplus(-x); }
static double r_log1mexp(double x) { return x > -0.693 ? log(-expm1(x)) : log1p(-exp(x)); }
static double r_relu(double x) { return x > 0 ? x : 0; }
static double r_silu(double x) { return x * r_sigmoid(x); }
static double r_gelu(double x) { return 0.5 * x * (1 + erf(x / sqrt(2))); }
static double r_gelu_tanh(double x) { return 0.5 * x * (1 + tanh(sqrt(2 / 3.14159265358979323846) * (x + 0.044715 * x * x * x))); }
static double r_elu(double x) { return x > 0 ? x : expm1(x); }
static double r_elu_one(double x) { return x > 0 ? x + 1 : exp(x); }
static double r_neg(double x) { return -x; }

/* Errors allowed in units of epsilon, of the value and of `level`: cancellation in the formula itself. */
static const struct {
    const char *name;
    struct as_node *(*f)(struct as_tape *, struct as_node *);
    double (*reference)(double), lo, hi, level;
} functions[] = {
    { "exp", as_exp, exp, -20, 20, 0 }, { "log", as_log, log, 0.01, 9, 0 }, { "sqrt", as_sqrt, sqrt, 0, 9, 0 },
    { "rsqrt", as_rsqrt, r_rsqrt, 0.01, 9, 0 }, { "square", as_square, r_square, -9, 9, 0 },
    { "abs", as_abs, fabs, -9, 9, 0 }, { "sin", as_sin, sin, -9, 9, 0 }, { "cos", as_cos, cos, -9, 9, 0 },
    { "tanh", as_tanh, tanh, -9, 9, 0 }, { "sigmoid", as_sigmoid, r_sigmoid, -30, 30, 0 },
    { "softplus", as_softplus, r_softplus, -30, 30, 0 }, { "logsigmoid", as_logsigmoid, r_logsigmoid, -30, 30, 0 },
    { "log1mexp", as_log1mexp, r_log1mexp, -9, -0.01, 0 }, { "log1mexp", as_log1mexp, r_log1mexp, -1e-3, -1e-7, 0 },
    { "relu", as_relu, r_relu, -9, 9, 0 }, { "silu", as_silu, r_silu, -20, 20, 0 }, { "erf", as_erf, erf, -4, 4, 0 },
    { "gelu", as_gelu, r_gelu, -4, 4, 4 }, { "gelu_tanh", as_gelu_tanh, r_gelu_tanh, -4, 4, 4 },
    { "elu", as_elu, r_elu, -9, 9, 0 }, { "elu", as_elu, r_elu, -1e-4, 1e-4, 0 }, { "elu_one", as_elu_one, r_elu_one, -80, 9, 0 },
    { "neg", as_neg, r_neg, -9, 9, 0 },
};

static void test_functions(void **state)
{
    (void)state;
    struct as_tape *t = as_tape_new();
    for (size_t f = 0; f < COUNT(functions); f++) {
        as_tape_reset(t);
        struct as_node *a = as_node_new(t, 1, D(1013));
        for (ptrdiff_t i = 0; i < 1013; i++)
            a->x[i] = (real)gc_draw(f, i, functions[f].lo, functions[f].hi);
        struct as_node *y = functions[f].f(t, a);
        for (ptrdiff_t i = 0; i < 1013; i++) {
            const double want = functions[f].reference((double)a->x[i]), got = (double)y->x[i];
            if (!(fabs(got - want) <= 24 * (double)AS_REAL_EPSILON * (fabs(want) + functions[f].level)))
                fail_msg("%s(%.9g) = %.9g, not %.9g", functions[f].name, (double)a->x[i], got, want);
        }
    }
    as_tape_free(t);
}

/* --- far out ---------------------------------------------------------------------------------------------- */

/* f and its derivative at one place; NAN: not looked at. */
static void extreme(struct as_node *(*f)(struct as_tape *, struct as_node *), double x, double y, double slope)
{
    struct as_tape *t = as_tape_new();
    real at = (real)x, dx = 0;
    struct as_node *a = as_node_wrap(t, 1, D(1), &at, &dx), *out = f(t, a);
    as_backward(t, as_sum_all(t, out), 1);
    const double got = (double)out->x[0], back = (double)dx;
    if (!(got == y || fabs(got - y) <= 1e-6 * fabs(y)))
        fail_msg("at %g: %.9g, not %.9g", x, got, y);
    if (!isnan(slope) && !(back == slope || fabs(back - slope) <= 1e-6 * fabs(slope)))
        fail_msg("slope at %g: %.9g, not %.9g", x, back, slope);
    as_tape_free(t);
}

static void test_extremes(void **state)
{
    (void)state;
    const double inf = (double)INFINITY, tiny = exp(-80);
    extreme(as_softplus, -80, tiny, tiny), extreme(as_softplus, 0, log(2), 0.5), extreme(as_softplus, 80, 80, 1);
    extreme(as_softplus, -inf, 0, 0), extreme(as_softplus, inf, inf, 1);
    extreme(as_logsigmoid, -80, -80, 1), extreme(as_logsigmoid, 0, -log(2), 0.5);
    extreme(as_logsigmoid, 80, -tiny, tiny), extreme(as_logsigmoid, -inf, -inf, 1), extreme(as_logsigmoid, inf, 0, 0);
    extreme(as_log1mexp, -80, -tiny, -tiny), extreme(as_log1mexp, -inf, 0, 0);
    extreme(as_log1mexp, -1e-6, log(-expm1((double)(real)-1e-6)), -1 / expm1(1e-6));
    extreme(as_log1mexp, 0, -inf, -inf);
    extreme(as_sigmoid, -inf, 0, 0), extreme(as_sigmoid, inf, 1, 0), extreme(as_tanh, -inf, -1, 0);
    extreme(as_silu, -inf, 0, 0), extreme(as_silu, inf, inf, 1), extreme(as_gelu, -inf, 0, 0);
    extreme(as_gelu, inf, inf, 1), extreme(as_gelu_tanh, -inf, 0, 0), extreme(as_gelu_tanh, 0, 0, 0.5);
    extreme(as_silu, 0, 0, 0.5), extreme(as_gelu, 0, 0, 0.5), extreme(as_gelu, 80, 80, 1), extreme(as_elu, -inf, -1, 0);
    extreme(as_elu_one, -inf, 0, 0), extreme(as_elu_one, inf, inf, 1), extreme(as_elu_one, 0, 1, 1);
    extreme(as_relu, 0, 0, 0), extreme(as_abs, 0, 0, 0), extreme(as_relu, -inf, 0, 0);
}

/* Reductions over logits of -inf, and of a mixture; the gradient has no NaN. */
static void test_no_weight(void **state)
{
    (void)state;
    const real low = -(real)INFINITY;
    real x[8] = { low, low, low, low, low, 80, -80, 80 }, dx[8] = { 0 };
    struct as_tape *t = as_tape_new();
    struct as_node *a = as_node_wrap(t, 2, D(2, 4), x, dx);
    struct as_node *s = as_softmax(t, a), *l = as_logsumexp(t, a, -1, false), *c = as_logcumsumexp(t, a, 1);
    struct as_node *across = as_logsumexp(t, a, 0, false);
    for (int i = 0; i < 5; i++)
        assert_true(s->x[i] == 0);
    assert_true(s->x[5] == (real)0.5 && s->x[7] == (real)0.5);
    assert_true(l->x[0] == low && fabs((double)l->x[1] - 80 - log(2)) < 1e-5);
    assert_true(c->x[3] == low && c->x[4] == low && c->x[5] == 80 && c->x[7] == l->x[1]);
    assert_true(across->x[0] == low && across->x[1] == 80 && across->x[2] == -80);
    as_backward(t, as_sum_all(t, s), 1);
    as_backward(t, as_sum_all(t, l), 1);
    as_backward(t, as_sum_all(t, c), 1);
    as_backward(t, as_sum_all(t, across), 1);
    for (int i = 0; i < 5; i++)
        assert_true(dx[i] == 0);
    assert_true(fabs((double)dx[5] - 4) < 1e-5 && fabs((double)dx[7] - 2) < 1e-5);
    as_tape_free(t);
}

static void test_losses(void **state)
{
    (void)state;
    const real inf = (real)INFINITY;
    real x[5] = { 80, -80, 80, inf, -inf }, target[5] = { 1, 0, 0, 1, 0 }, dx[5] = { 0 };
    struct as_tape *t = as_tape_new();
    struct as_node *a = as_node_wrap(t, 2, D(5, 1), x, dx);
    struct as_node *y = as_bernoulli_nll(t, a, as_node_wrap(t, 2, D(5, 1), target, NULL));
    assert_int_equal(y->rank, 1);
    assert_true(fabs((double)y->x[0] / exp(-80) - 1) < 1e-5 && fabs((double)y->x[1] / exp(-80) - 1) < 1e-5);
    assert_true(y->x[2] == 80 && y->x[3] == 0 && y->x[4] == 0);
    as_backward(t, as_sum_all(t, y), 1);
    assert_true(dx[2] == 1 && dx[3] == 0 && dx[4] == 0 && fabs((double)dx[0] / -exp(-80) - 1) < 1e-5);

    real logits[6] = { 1000, 0, -1000, 1, 2, 3 }, dl[6] = { 0 };
    struct as_node *index = as_node_ints(t, 1, D(2));
    index->i[0] = 1;
    index->i[1] = -1;
    y = as_cross_entropy(t, as_node_wrap(t, 2, D(2, 3), logits, dl), index);
    assert_true(y->x[0] == 1000 && y->x[1] == 0);
    as_backward(t, as_sum_all(t, y), 1);
    assert_memory_equal(dl, ((real[]){ 1, -1, 0, 0, 0, 0 }), sizeof dl);
    as_tape_free(t);
}

/* --- refusals --------------------------------------------------------------------------------------------- */

struct wrong { struct as_tape *t; int which; };

static void do_wrong(void *ctx)
{
    struct wrong *w = ctx;
    struct as_tape *t = w->t;
    struct as_node *a = as_node_new(t, 2, D(3, 4)), *b = as_node_new(t, 2, D(3, 5)), *i = as_node_ints(t, 1, D(1));
    i->i[0] = 3;
    switch (w->which) {
    case 0: as_add(t, a, b); break;
    case 1: as_reshape(t, a, 2, D(5, -1)); break;
    case 2: as_slice(t, a, 1, 2, 3); break;
    case 3: as_concat(t, 2, (struct as_node *[]){ a, b }, 0); break;
    case 4: as_sum(t, a, 2, false); break;
    case 5: as_gather(t, a, i); break;
    case 6: as_layernorm(t, a, as_node_new(t, 1, D(5)), NULL, 1e-5); break;
    case 7: as_squared_error(t, a, b); break;
    case 8: as_topk(t, a, 5, NULL); break;
    case 9: as_exp(t, i); break;
    case 10: as_repeat(t, a, 0, 2); break;
    default: as_cross_entropy(t, a, i); break;
    }
}

static void test_sentences(void **state)
{
    (void)state;
    static const char *const parts[][3] = {
        { "add", "(3, 4)", "(3, 5)" }, { "reshape", "(3, 4)", "(5, 2)" }, { "slice", "axis 1", "(3, 4)" },
        { "concat", "(3, 4)", "(3, 5)" }, { "sum", "axis 2", "(3, 4)" }, { "gather", "index 3", "0..2" },
        { "layernorm", "(5)", "(3, 4)" }, { "squared_error", "(3, 5)", "(3, 4)" }, { "topk", "5", "(3, 4)" },
        { "exp", "integers", "(1)" }, { "repeat", "axis 0", "(3, 4)" }, { "cross_entropy", "(1)", "(3, 4)" },
    };
    struct as_tape *t = as_tape_new();
    for (int which = 0; which < (int)COUNT(parts); which++) {
        assert_int_equal(as_try(do_wrong, &(struct wrong){ t, which }), AS_FAILED);
        for (int j = 0; j < 3; j++)
            if (!strstr(as_failure_text(), parts[which][j]))
                fail_msg("\"%s\" lacks \"%s\"", as_failure_text(), parts[which][j]);
    }
    as_tape_free(t);
}

/* --- same bits at any team -------------------------------------------------------------------------------- */

enum { B = 8, T = 97, W = 129 };
struct bits { real y[B * W], dx[B * T * W], dv[W], dg[W], ds[1]; };

static void everything(struct bits *r)
{
    static real x[B * T * W], v[W], g[W], s[1] = { (real)0.7 };
    struct as_tape *t = as_tape_new();
    memset(r, 0, sizeof *r);
    for (ptrdiff_t i = 0; i < B * T * W; i++)
        x[i] = (real)gc_draw(1, i, -1, 1);
    for (ptrdiff_t i = 0; i < W; i++)
        v[i] = g[i] = (real)gc_draw(2, i, -1, 1);
    struct as_node *a = as_node_wrap(t, 3, D(B, T, W), x, r->dx), *h;
    h = as_add(t, a, as_node_wrap(t, 1, D(W), v, r->dv));
    h = as_mul(t, as_layernorm(t, h, as_node_wrap(t, 1, D(W), g, r->dg), NULL, 1e-5), as_node_wrap(t, 1, D(1), s, r->ds));
    h = as_softmax(t, as_swap(t, as_cumsum(t, as_gelu(t, h), 1), 1, 2));
    h = as_logsumexp(t, as_mul(t, h, as_mean(t, h, 0, true)), -1, false);
    memcpy(r->y, h->x, sizeof r->y);
    as_backward(t, as_sum_all(t, h), 1);
    as_tape_free(t);
}

static void test_teams(void **state)
{
    (void)state;
    static struct bits one, more;
    as_threads_set(1);
    everything(&one);
    for (int team = 2; team <= 4; team++) {
        as_threads_set(team);
        everything(&more);
        assert_memory_equal(&one, &more, sizeof one);
    }
    as_threads_set(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_functions), cmocka_unit_test(test_extremes), cmocka_unit_test(test_no_weight),
        cmocka_unit_test(test_losses), cmocka_unit_test(test_sentences), cmocka_unit_test(test_teams),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

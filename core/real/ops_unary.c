/* ops_unary.c: element-wise operators of one input. Each is two loops: values, and the derivative times what
 * comes back. Transcendental functions go through kernel.h in blocks. */
#include "ops_unary.h"

struct run { const struct as_unary *op; const real *x, *dy; real *y, *dx; const double *a; bool fresh; };

static void value_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct run *c = ctx;
    c->op->value(to - from, c->x + from, c->y + from, c->a);
}

static void back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct run *c = ctx;
    if (c->fresh)
        memset(c->dx + from, 0, (size_t)(to - from) * sizeof *c->dx);
    c->op->back(to - from, c->x + from, c->y + from, c->dy + from, c->dx + from, c->a);
}

static void unary_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0];
    struct run c = { .op = note->saved, .x = a->x, .y = note->out->x, .dy = note->out->dx, .a = note->a };
    c.dx = as_gradient_open(t, a, &c.fresh);
    if (c.dx)
        as_op_rows(as_node_size(a), 1, c.op->cost, back_run, &c);
}

struct as_node *as_op_unary(struct as_tape *t, struct as_node *a, const struct as_unary *op, double a0, double a1)
{
    as_op_reals(op->name, a);
    const double numbers[2] = { a0, a1 };
    struct as_node *out = as_node_like(t, a);
    struct run c = { .op = op, .x = a->x, .y = out->x, .a = numbers };
    as_op_rows(as_node_size(a), 1, op->cost, value_run, &c);
    struct as_note *note = as_note_new(t, unary_back, out, 1, (struct as_node *[]){ a });
    if (note) {
        note->saved = (void *)(uintptr_t)op;     /* constant; only read */
        note->a[0] = a0;
        note->a[1] = a1;
    }
    return out;
}

/* name, expression of xi (and of k0, k1: numbers), derivative in terms of xi, yi. */
#define SIMPLE(name, value_expression, derivative)                                                                   \
    static void name##_value(ptrdiff_t n, const real *x, real *y, const double *a)                                   \
    {                                                                                                                \
        const real k0 = (real)a[0], k1 = (real)a[1];                                                                 \
        AS_UNUSED(k0), AS_UNUSED(k1);                                                                                \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                                                        \
        {                                                                                                            \
            const real xi = x[i];                                                                                    \
            y[i] = (value_expression);                                                                               \
        }                                                                                                            \
    }                                                                                                                \
    static void name##_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)    \
    {                                                                                                                \
        const real k0 = (real)a[0], k1 = (real)a[1];                                                                 \
        AS_UNUSED(k0), AS_UNUSED(k1);                                                                                \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                                                        \
        {                                                                                                            \
            const real xi = x[i], yi = y[i];                                                                         \
            AS_UNUSED(xi), AS_UNUSED(yi);                                                                            \
            dx[i] += dy[i] * (derivative);                                                                           \
        }                                                                                                            \
    }                                                                                                                \
    static const struct as_unary name = { #name, 2, name##_value, name##_back };

SIMPLE(scale, xi *k0, k0)
SIMPLE(shift_by, xi + k0, R(1.0))
SIMPLE(neg, -xi, R(-1.0))
SIMPLE(square, xi *xi, R(2.0) * xi)
SIMPLE(root, sqrt(xi), R(0.5) / yi)
SIMPLE(rsqrt, R(1.0) / sqrt(xi), R(-0.5) * yi * yi * yi)
SIMPLE(absolute, fabs(xi), (real)((xi > 0) - (xi < 0)))
SIMPLE(relu, xi > 0 ? xi : (xi <= 0 ? R(0.0) : xi), xi > 0 ? R(1.0) : R(0.0))
SIMPLE(clip, xi < k0 ? k0 : (xi > k1 ? k1 : xi), xi < k0 || xi > k1 ? R(0.0) : R(1.0))
SIMPLE(sine, sin(xi), cos(xi))
SIMPLE(cosine, cos(xi), -sin(xi))

struct as_node *as_scale(struct as_tape *t, struct as_node *a, double factor)
{
    return as_op_unary(t, a, &scale, factor, 0);
}

struct as_node *as_shift_by(struct as_tape *t, struct as_node *a, double term)
{
    return as_op_unary(t, a, &shift_by, term, 0);
}

struct as_node *as_clip(struct as_tape *t, struct as_node *a, double lo, double hi)
{
    if (!(lo <= hi))
        as_fail(AS_FAILED, "clip: the lower bound %g is above the upper %g", lo, hi);
    return as_op_unary(t, a, &clip, lo, hi);
}

AS_UNARY(as_neg, neg)
AS_UNARY(as_square, square)
AS_UNARY(as_sqrt, root)
AS_UNARY(as_rsqrt, rsqrt)
AS_UNARY(as_abs, absolute)
AS_UNARY(as_relu, relu)
AS_UNARY(as_sin, sine)
AS_UNARY(as_cos, cosine)

/* --- through kernel.h ------------------------------------------------------------------------------------- */

/* A derivative that follows from the value alone. */
#define FROM_VALUE(name, kernel, derivative)                                                                         \
    static void name##_value(ptrdiff_t n, const real *x, real *y, const double *a)                                   \
    {                                                                                                                \
        AS_UNUSED(a);                                                                                                \
        kernel(n, x, y);                                                                                             \
    }                                                                                                                \
    static void name##_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)    \
    {                                                                                                                \
        AS_UNUSED(a);                                                                                                \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                                                        \
        {                                                                                                            \
            const real xi = x[i], yi = y[i];                                                                         \
            AS_UNUSED(xi), AS_UNUSED(yi);                                                                            \
            dx[i] += dy[i] * (derivative);                                                                           \
        }                                                                                                            \
    }                                                                                                                \
    static const struct as_unary name = { #name, 12, name##_value, name##_back };

FROM_VALUE(exponential, as_vexp, yi)
FROM_VALUE(logarithm, as_vlog, R(1.0) / xi)
FROM_VALUE(tangent, as_vtanh, R(1.0) - yi * yi)
FROM_VALUE(sigmoid, as_vsigmoid, yi *(R(1.0) - yi))

AS_UNARY(as_exp, exponential)
AS_UNARY(as_log, logarithm)
AS_UNARY(as_tanh, tangent)
AS_UNARY(as_sigmoid, sigmoid)

static void softplus_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    AS_UNUSED(a);
    as_vsoftplus(n, x, y);
}

static void softplus_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    real s[AS_BLOCK];
    AS_UNUSED(y), AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        as_vsigmoid(m, x + at, s);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            dx[at + i] += dy[at + i] * s[i];
    }
}

/* log sigmoid(x) = -softplus(-x) */
static void logsigmoid_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    AS_UNUSED(a);
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = -x[i];
    as_vsoftplus(n, y, y);
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = -y[i];
}

static void logsigmoid_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    real s[AS_BLOCK];
    AS_UNUSED(y), AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        for (ptrdiff_t i = 0; i < m; i++)
            s[i] = -x[at + i];
        as_vsigmoid(m, s, s);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            dx[at + i] += dy[at + i] * s[i];
    }
}

static const struct as_unary softplus = { "softplus", 20, softplus_value, softplus_back };
static const struct as_unary logsigmoid = { "logsigmoid", 20, logsigmoid_value, logsigmoid_back };
AS_UNARY(as_softplus, softplus)
AS_UNARY(as_logsigmoid, logsigmoid)

/* u = exp(x); the return value e = exp(x) - 1, for x <= 0: (u - 1) * x / log(u) takes back the rounding of u
 * (Kahan), so that e is accurate near 0. */
static void exp_minus_1(ptrdiff_t n, const real *x, real *u, real *e)
{
    as_vexp(n, x, u);
    as_vlog(n, u, e);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++) {
        const real d = u[i] - R(1.0), fixed = d * x[i] / e[i];
        e[i] = d == 0 ? x[i] : (d == R(-1.0) ? d : fixed);
    }
}

static void elu_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    real u[AS_BLOCK], e[AS_BLOCK], low[AS_BLOCK];
    AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        for (ptrdiff_t i = 0; i < m; i++)
            low[i] = x[at + i] > 0 ? R(0.0) : x[at + i];
        exp_minus_1(m, low, u, e);
        for (ptrdiff_t i = 0; i < m; i++)
            y[at + i] = x[at + i] > 0 ? x[at + i] : e[i];
    }
}

static void elu_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    AS_UNUSED(a);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        dx[i] += dy[i] * (x[i] > 0 ? R(1.0) : y[i] + R(1.0));
}

static const struct as_unary elu = { "elu", 30, elu_value, elu_back };
AS_UNARY(as_elu, elu)

/* log(1 - e^x): log(-(e^x - 1)) above -log 2, log1p(-e^x) below (Maechler 2012, "Accurately computing
 * log(1 - exp(-|a|))"). log1p(-u) = log(w) * u / (1 - w) with w = 1 - u takes back the rounding of w. */
static void log1mexp_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    real u[AS_BLOCK], e[AS_BLOCK], w[AS_BLOCK];
    const real half = R(-0.69314718055994531);
    AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        exp_minus_1(m, x + at, u, e);
        for (ptrdiff_t i = 0; i < m; i++)
            w[i] = x[at + i] > half ? -e[i] : R(1.0) - u[i];
        as_vlog(m, w, e);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++) {
            const real d = R(1.0) - w[i], fixed = e[i] * u[i] / d;
            y[at + i] = x[at + i] > half ? e[i] : (d == 0 ? -u[i] : fixed);
        }
    }
}

/* Derivative -e^x / (1 - e^x); -inf at 0, where nothing that comes back stays nothing. */
static void log1mexp_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    real u[AS_BLOCK], e[AS_BLOCK];
    AS_UNUSED(y), AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        exp_minus_1(m, x + at, u, e);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++) {
            const real slope = x[at + i] == 0 ? -(real)INFINITY : u[i] / e[i], back = dy[at + i];
            dx[at + i] += back == 0 ? R(0.0) : back * slope;
        }
    }
}

static const struct as_unary log1mexp = { "log1mexp", 40, log1mexp_value, log1mexp_back };
AS_UNARY(as_log1mexp, log1mexp)

struct as_node *as_stop(struct as_tape *t, struct as_node *a)
{
    struct as_node *out = as_node_wrap(t, a->rank, a->dim, a->x, NULL);
    out->dtype = a->dtype;
    out->i = a->i;
    out->length = a->length;
    return out;
}

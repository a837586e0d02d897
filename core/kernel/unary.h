/* unary.h: the loops of the element-wise operators of one input: values, and the derivative times what comes back.
 * Transcendental functions go through kernel.h in blocks.
 *
 * Plain C in terms of `real`. core/kernel/unary.c compiles it once per processor level in float; in double it is
 * included by the operators themselves.
 */
#ifndef ASSAY_KERNEL_UNARY_H
#define ASSAY_KERNEL_UNARY_H

#include <assay/kernel.h>
#include <stdbool.h>
#include <tgmath.h>

enum as_unary_name {
    AS_SCALE, AS_SHIFT_BY, AS_NEG, AS_SQUARE, AS_SQRT, AS_RSQRT, AS_ABS, AS_RELU, AS_CLIP, AS_SIN, AS_COS, AS_EXP,
    AS_LOG, AS_TANH, AS_SIGMOID, AS_SOFTPLUS, AS_LOGSIGMOID, AS_ELU, AS_ELU_ONE, AS_LOG1MEXP, AS_SILU, AS_GELU, AS_GELU_TANH,
    AS_ERF, AS_UNARIES
};

struct as_unary {
    const char *name;
    double cost;                     /* operations a number */
    void (*value)(ptrdiff_t n, const real *x, real *y, const double *a);
    /* dx += dy * derivative; y = value(x). fresh: dx is undefined before and starts from zero. */
    void (*back)(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh, const double *a);
};

#ifdef AS_UNARY_LOOPS

enum { BLOCK = 256 };                /* numbers of a buffer on the stack */

#define UNUSED(x) ((void)(x))
#define INTO(place, v) (place) = (fresh ? R(0.0) : (place)) + (v)

/* Blocks of m <= BLOCK numbers from place `at` on. */
#define BLOCKS(n, at, m) for (ptrdiff_t at = 0, m; (m = (n) - at < BLOCK ? (n) - at : BLOCK) > 0; at += m)

/* name, expression of xi (and of k0, k1: numbers), derivative in terms of xi, yi. */
#define SIMPLE(name, value_expression, derivative)                                                                   \
    static void name##_value(ptrdiff_t n, const real *x, real *y, const double *a)                                   \
    {                                                                                                                \
        const real k0 = (real)a[0], k1 = (real)a[1];                                                                 \
        UNUSED(k0), UNUSED(k1);                                                                                      \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                                                        \
        {                                                                                                            \
            const real xi = x[i];                                                                                    \
            y[i] = (value_expression);                                                                               \
        }                                                                                                            \
    }                                                                                                                \
    static void name##_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,         \
                            const double *a)                                                                         \
    {                                                                                                                \
        const real k0 = (real)a[0], k1 = (real)a[1];                                                                 \
        UNUSED(k0), UNUSED(k1);                                                                                      \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                                                        \
        {                                                                                                            \
            const real xi = x[i], yi = y[i];                                                                         \
            UNUSED(xi), UNUSED(yi);                                                                                  \
            INTO(dx[i], dy[i] * (derivative));                                                                       \
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

/* A derivative that follows from the value alone. */
#define FROM_VALUE(name, kernel, derivative)                                                                         \
    static void name##_value(ptrdiff_t n, const real *x, real *y, const double *a)                                   \
    {                                                                                                                \
        UNUSED(a);                                                                                                   \
        kernel(n, x, y);                                                                                             \
    }                                                                                                                \
    static void name##_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,         \
                            const double *a)                                                                         \
    {                                                                                                                \
        UNUSED(a);                                                                                                   \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                                                        \
        {                                                                                                            \
            const real xi = x[i], yi = y[i];                                                                         \
            UNUSED(xi), UNUSED(yi);                                                                                  \
            INTO(dx[i], dy[i] * (derivative));                                                                       \
        }                                                                                                            \
    }                                                                                                                \
    static const struct as_unary name = { #name, 12, name##_value, name##_back };

FROM_VALUE(exponential, as_vexp, yi)
FROM_VALUE(logarithm, as_vlog, R(1.0) / xi)
FROM_VALUE(tangent, as_vtanh, R(1.0) - yi * yi)
FROM_VALUE(sigmoid, as_vsigmoid, yi *(R(1.0) - yi))

static void softplus_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    (void)a;
    as_vsoftplus(n, x, y);
}

static void softplus_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                          const double *a)
{
    real s[BLOCK];
    (void)y;
    (void)a;
    BLOCKS(n, at, m) {
        as_vsigmoid(m, x + at, s);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            INTO(dx[at + i], dy[at + i] * s[i]);
    }
}

/* log sigmoid(x) = -softplus(-x) */
static void logsigmoid_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    (void)a;
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = -x[i];
    as_vsoftplus(n, y, y);
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = -y[i];
}

static void logsigmoid_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                            const double *a)
{
    real s[BLOCK];
    (void)y;
    (void)a;
    BLOCKS(n, at, m) {
        for (ptrdiff_t i = 0; i < m; i++)
            s[i] = -x[at + i];
        as_vsigmoid(m, s, s);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            INTO(dx[at + i], dy[at + i] * s[i]);
    }
}

static const struct as_unary softplus = { "softplus", 20, softplus_value, softplus_back };
static const struct as_unary logsigmoid = { "logsigmoid", 20, logsigmoid_value, logsigmoid_back };

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
    real u[BLOCK], e[BLOCK], low[BLOCK];
    (void)a;
    BLOCKS(n, at, m) {
        for (ptrdiff_t i = 0; i < m; i++)
            low[i] = x[at + i] > 0 ? R(0.0) : x[at + i];
        exp_minus_1(m, low, u, e);
        for (ptrdiff_t i = 0; i < m; i++)
            y[at + i] = x[at + i] > 0 ? x[at + i] : e[i];
    }
}

static void elu_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                     const double *a)
{
    (void)a;
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        INTO(dx[i], dy[i] * (x[i] > 0 ? R(1.0) : y[i] + R(1.0)));
}

static const struct as_unary elu = { "elu", 30, elu_value, elu_back };

/* elu(x) + 1 as e^min(x, 0) + max(x, 0): far below zero e^x is less than the rounding of elu(x). */
static void elu_one_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    real low[BLOCK];
    (void)a;
    BLOCKS(n, at, m) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            low[i] = x[at + i] > 0 ? R(0.0) : x[at + i];
        as_vexp(m, low, low);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            y[at + i] = x[at + i] > 0 ? x[at + i] + R(1.0) : low[i];
    }
}

static void elu_one_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                         const double *a)
{
    (void)a;
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        INTO(dx[i], dy[i] * (x[i] > 0 ? R(1.0) : y[i]));
}

static const struct as_unary elu_one = { "elu_one", 18, elu_one_value, elu_one_back };

/* log(1 - e^x): log(-(e^x - 1)) above -log 2, log1p(-e^x) below (Maechler 2012, "Accurately computing
 * log(1 - exp(-|a|))"). log1p(-u) = log(w) * u / (1 - w) with w = 1 - u takes back the rounding of w. */
static void log1mexp_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    real u[BLOCK], e[BLOCK], w[BLOCK];
    const real half = R(-0.69314718055994531);
    (void)a;
    BLOCKS(n, at, m) {
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
static void log1mexp_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                          const double *a)
{
    real u[BLOCK], e[BLOCK];
    (void)y;
    (void)a;
    BLOCKS(n, at, m) {
        exp_minus_1(m, x + at, u, e);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++) {
            const real slope = x[at + i] == 0 ? -(real)INFINITY : u[i] / e[i], back = dy[at + i];
            INTO(dx[at + i], back == 0 ? R(0.0) : back * slope);
        }
    }
}

static const struct as_unary log1mexp = { "log1mexp", 40, log1mexp_value, log1mexp_back };

/* x * s, with the limit 0 where s has vanished (x may be -inf). */
static inline real gated(real x, real s)
{
    return s == 0 ? R(0.0) : x * s;
}

/* The gate again, from x and y = x * gate(x): cheaper than the function. Where the quotient would lose its bits
 * the gate is at its middle or at an end. */
static inline real gate_of(real x, real y)
{
    const real size = fabs(x);
    return size > R(1e30) ? (x > 0 ? R(1.0) : R(0.0)) : (size < R(1e-30) ? R(0.5) : y / x);
}

static void silu_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    (void)a;
    as_vsigmoid(n, x, y);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = gated(x[i], y[i]);
}

static void silu_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                      const double *a)
{
    (void)a;
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++) {
        const real s = gate_of(x[i], y[i]);
        INTO(dx[i], dy[i] * (s + gated(y[i], R(1.0) - s)));
    }
}

/* Phi(x) = (1 + erf(x / sqrt 2)) / 2, and exp(-x^2 / 2). In float both stand in the loop, so that a pass is one pass:
 * Phi is 1/2 + x P(x^2) / Q(x^2), fitted to within 4e-8 of Phi - 1/2 up to |x| = 5.8, behind which it is 0 or 1. */
#ifdef ASSAY_DOUBLE
static inline real normal_cdf(real x)
{
    return R(0.5) + R(0.5) * erf(x * R(0.70710678118654752));
}

static inline real bell(real x)
{
    return exp(R(-0.5) * x * x);
}
#else
static inline float normal_cdf(float x)
{
    const float end = 5.8f, z = x < -end ? -end : (x > end ? end : x), s = z * z;
    float p = AS_FMA(2.11318243896e-08f, s, 6.30068875566e-06f), q = AS_FMA(1.14618264674e-06f, s, 7.62642544079e-05f);
    p = AS_FMA(p, s, 1.79059368527e-04f);
    q = AS_FMA(q, s, 1.94366108587e-03f);
    p = AS_FMA(p, s, 4.73910700110e-03f);
    q = AS_FMA(q, s, 2.92741774849e-02f);
    p = AS_FMA(p, s, 3.49855311094e-02f);
    q = AS_FMA(q, s, 2.54361855429e-01f);
    p = AS_FMA(p, s, 3.98942266855e-01f);
    q = AS_FMA(q, s, 1.0f);
    p = AS_FMA(z, p / q, 0.5f);
    return x < -end ? 0.0f : (x > end ? 1.0f : p);
}

/* exp(v) = 2^k exp(r), |r| <= log(2) / 2, by its series up to r^7; k by adding what leaves no room for a fraction. */
static inline float bell(float x)
{
    const float room = 12582912.0f, minus = -0.5f * x * x, v = minus < -87.0f ? -87.0f : minus;
    const float k = AS_FMA(v, 1.44269504f, room) - room;
    const float r = AS_FMA(k, 1.43241613e-06f, AS_FMA(k, -0.693148613f, v));
    float e = AS_FMA(1.98412698e-04f, r, 1.38888889e-03f), power;
    int32_t bits;
    e = AS_FMA(e, r, 8.33333333e-03f);
    e = AS_FMA(e, r, 4.16666667e-02f);
    e = AS_FMA(e, r, 1.66666667e-01f);
    e = AS_FMA(e, r, 0.5f);
    e = AS_FMA(e, r, 1.0f);
    e = AS_FMA(e, r, 1.0f);
    bits = ((int32_t)k + 127) * (1 << 23);
    __builtin_memcpy(&power, &bits, sizeof power);
    return minus < -87.0f ? 0.0f : e * power;
}
#endif

static void gelu_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    (void)a;
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = gated(x[i], normal_cdf(x[i]));
}

static void gelu_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                      const double *a)
{
    real d[BLOCK];
    (void)a;
    BLOCKS(n, at, m) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            d[i] = bell(x[at + i]);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            INTO(dx[at + i], dy[at + i] * (gate_of(x[at + i], y[at + i]) +
                                           gated(x[at + i], d[i]) * R(0.39894228040143268)));
    }
}

/* x / 2 * (1 + tanh(z)) = x * sigmoid(2 z), z = sqrt(2 / pi) * (x + 0.044715 x^3) */
static void gelu_tanh_gate(ptrdiff_t n, const real *x, real *s)
{
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        s[i] = R(1.5957691216057307) * x[i] * (R(1.0) + R(0.044715) * x[i] * x[i]);
    as_vsigmoid(n, s, s);
}

static void gelu_tanh_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    (void)a;
    gelu_tanh_gate(n, x, y);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = gated(x[i], y[i]);
}

static void gelu_tanh_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                           const double *a)
{
    (void)a;
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++) {
        const real xi = x[i], s = gate_of(xi, y[i]), flat = s * (R(1.0) - s);
        const real slope = xi * R(1.5957691216057307) * (R(1.0) + R(0.134145) * xi * xi);
        INTO(dx[i], dy[i] * (s + gated(slope, flat)));
    }
}

static void erf_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    (void)a;
    as_verf(n, x, y);
}

static void erf_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, bool fresh,
                     const double *a)
{
    real d[BLOCK];
    (void)y;
    (void)a;
    BLOCKS(n, at, m) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            d[i] = -x[at + i] * x[at + i];
        as_vexp(m, d, d);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            INTO(dx[at + i], dy[at + i] * d[i] * R(1.1283791670955126));
    }
}

static const struct as_unary silu = { "silu", 15, silu_value, silu_back };
static const struct as_unary gelu = { "gelu", 25, gelu_value, gelu_back };
static const struct as_unary gelu_tanh = { "gelu_tanh", 20, gelu_tanh_value, gelu_tanh_back };
static const struct as_unary error_function = { "erf", 20, erf_value, erf_back };

static const struct as_unary *const unary_loops[AS_UNARIES] = {
    [AS_SCALE] = &scale,
    [AS_SHIFT_BY] = &shift_by,
    [AS_NEG] = &neg,
    [AS_SQUARE] = &square,
    [AS_SQRT] = &root,
    [AS_RSQRT] = &rsqrt,
    [AS_ABS] = &absolute,
    [AS_RELU] = &relu,
    [AS_CLIP] = &clip,
    [AS_SIN] = &sine,
    [AS_COS] = &cosine,
    [AS_EXP] = &exponential,
    [AS_LOG] = &logarithm,
    [AS_TANH] = &tangent,
    [AS_SIGMOID] = &sigmoid,
    [AS_SOFTPLUS] = &softplus,
    [AS_LOGSIGMOID] = &logsigmoid,
    [AS_ELU] = &elu,
    [AS_ELU_ONE] = &elu_one,
    [AS_LOG1MEXP] = &log1mexp,
    [AS_SILU] = &silu,
    [AS_GELU] = &gelu,
    [AS_GELU_TANH] = &gelu_tanh,
    [AS_ERF] = &error_function,
};

#endif
#endif

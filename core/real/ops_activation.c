/* ops_activation.c: activations of the form x * gate(x), and erf, in blocks through kernel.h. */
#include "ops_unary.h"

/* x * s, with the limit 0 where s has vanished (x may be -inf). */
static inline real gated(real x, real s)
{
    return s == 0 ? R(0.0) : x * s;
}

static void silu_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    AS_UNUSED(a);
    as_vsigmoid(n, x, y);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = gated(x[i], y[i]);
}

static void silu_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    real s[AS_BLOCK];
    AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        as_vsigmoid(m, x + at, s);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            dx[at + i] += dy[at + i] * (s[i] + gated(y[at + i], R(1.0) - s[i]));
    }
}

/* Phi(x) = (1 + erf(x / sqrt 2)) / 2 */
static void normal_cdf(ptrdiff_t n, const real *x, real *p)
{
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        p[i] = x[i] * R(0.70710678118654752);
    as_verf(n, p, p);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        p[i] = R(0.5) + R(0.5) * p[i];
}

static void gelu_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    AS_UNUSED(a);
    normal_cdf(n, x, y);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = gated(x[i], y[i]);
}

static void gelu_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    real p[AS_BLOCK], d[AS_BLOCK];
    AS_UNUSED(y), AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        normal_cdf(m, x + at, p);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            d[i] = R(-0.5) * x[at + i] * x[at + i];
        as_vexp(m, d, d);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            dx[at + i] += dy[at + i] * (p[i] + gated(x[at + i], d[i]) * R(0.39894228040143268));
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
    AS_UNUSED(a);
    gelu_tanh_gate(n, x, y);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = gated(x[i], y[i]);
}

static void gelu_tanh_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    real s[AS_BLOCK];
    AS_UNUSED(y), AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
        gelu_tanh_gate(m, x + at, s);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++) {
            const real xi = x[at + i], flat = s[i] * (R(1.0) - s[i]);
            const real slope = xi * R(1.5957691216057307) * (R(1.0) + R(0.134145) * xi * xi);
            dx[at + i] += dy[at + i] * (s[i] + gated(slope, flat));
        }
    }
}

static void erf_value(ptrdiff_t n, const real *x, real *y, const double *a)
{
    AS_UNUSED(a);
    as_verf(n, x, y);
}

static void erf_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    real d[AS_BLOCK];
    AS_UNUSED(y), AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            d[i] = -x[at + i] * x[at + i];
        as_vexp(m, d, d);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            dx[at + i] += dy[at + i] * d[i] * R(1.1283791670955126);
    }
}

static const struct as_unary silu = { "silu", 15, silu_value, silu_back };
static const struct as_unary gelu = { "gelu", 25, gelu_value, gelu_back };
static const struct as_unary gelu_tanh = { "gelu_tanh", 20, gelu_tanh_value, gelu_tanh_back };
static const struct as_unary error_function = { "erf", 20, erf_value, erf_back };
AS_UNARY(as_silu, silu)
AS_UNARY(as_gelu, gelu)
AS_UNARY(as_gelu_tanh, gelu_tanh)
AS_UNARY(as_erf, error_function)

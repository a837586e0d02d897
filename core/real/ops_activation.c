/* ops_activation.c: activations of the form x * gate(x), and erf, in blocks through kernel.h. */
#include "ops_unary.h"

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
    AS_UNUSED(a);
    as_vsigmoid(n, x, y);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = gated(x[i], y[i]);
}

static void silu_back(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a)
{
    AS_UNUSED(a);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++) {
        const real s = gate_of(x[i], y[i]);
        dx[i] += dy[i] * (s + gated(y[i], R(1.0) - s));
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
    real d[AS_BLOCK];
    AS_UNUSED(a);
    AS_BLOCKS(n, at, m) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            d[i] = R(-0.5) * x[at + i] * x[at + i];
        as_vexp(m, d, d);
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            dx[at + i] += dy[at + i] * (gate_of(x[at + i], y[at + i]) + gated(x[at + i], d[i]) * R(0.39894228040143268));
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
    AS_UNUSED(a);
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++) {
        const real xi = x[i], s = gate_of(xi, y[i]), flat = s * (R(1.0) - s);
        const real slope = xi * R(1.5957691216057307) * (R(1.0) + R(0.134145) * xi * xi);
        dx[i] += dy[i] * (s + gated(slope, flat));
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

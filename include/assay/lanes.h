/* lanes.h: numbers side by side, for kernel files (NAME.KERNEL.c, compiled once per processor level): the compilers'
 * vector types, and a * b + c on them in one instruction where the level has it.
 *
 * The instruction is named, not left to the compiler: a loop over lanes with AS_FMA in it becomes one instruction with
 * some compilers and sixteen scalar ones with others (gcc 14).
 */
#ifndef ASSAY_LANES_H
#define ASSAY_LANES_H

#include <assay/kernel.h>
#include <stdint.h>
#include <string.h>

#if ASSAY_LEVEL > 0
#include <immintrin.h>
#endif

typedef float as_eight __attribute__((vector_size(32)));

#if ASSAY_LEVEL == 2
enum { AS_LANES = 16 };
#elif ASSAY_LEVEL == 1
enum { AS_LANES = 8 };
#else
enum { AS_LANES = 4 };
#endif
typedef float as_lanes __attribute__((vector_size(AS_LANES * sizeof(float))));      /* one register of the level */
typedef uint32_t as_lane_bits __attribute__((vector_size(AS_LANES * sizeof(float))));

#pragma GCC diagnostic ignored "-Wpsabi"     /* everything that passes a vector is inlined: no call, no ABI */

/* Before a loop of at most 16 turns, known at compile time. */
#if defined(__clang__)
#define AS_UNROLLED _Pragma("unroll")
#else
#define AS_UNROLLED _Pragma("GCC unroll 16")
#endif

#define AS_INLINED static inline __attribute__((always_inline))

AS_INLINED as_lanes as_load(const float *x)
{
    as_lanes v;

    memcpy(&v, x, sizeof v);
    return v;
}

AS_INLINED void as_store(float *x, as_lanes v) { memcpy(x, &v, sizeof v); }
AS_INLINED as_lanes as_all(float a) { return a - (as_lanes){ 0 }; }

AS_INLINED as_eight as_eight_load(const float *x)
{
    as_eight v;

    memcpy(&v, x, sizeof v);
    return v;
}

AS_INLINED as_eight as_eight_all(float a) { return a - (as_eight){ 0 }; }

/* The sum of the eight. */
AS_INLINED float as_eight_sum(as_eight v)
{
    as_eight w = v + __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);

    w += __builtin_shufflevector(w, w, 2, 3, 0, 1, 6, 7, 4, 5);
    return w[0] + w[1];
}

AS_INLINED as_lanes as_fma(as_lanes a, as_lanes b, as_lanes c)
{
#if ASSAY_LEVEL == 2
    return (as_lanes)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif ASSAY_LEVEL == 1
    return (as_lanes)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

/* e^x for x up to about 0, as weights of a softmax and gates have it: 2^n e^r with x = n log 2 + r, |r| <= log(2) / 2,
 * e^r by a polynomial (relative error 1.1e-8: interpolation at Chebyshev nodes). 0 below -87, where the result leaves
 * the normal numbers; NaN stays NaN. Above 88 the result means nothing. */
AS_INLINED as_lanes as_lanes_exp(as_lanes x)
{
    const float whole = 12582912.0f;             /* 1.5 2^23: a float of that size has no fraction */
    as_lanes t = as_fma(x, as_all(1.44269504f), as_all(whole)), n = t - as_all(whole);
    as_lanes r = as_fma(n, as_all(-1.42860682e-6f), as_fma(n, as_all(-0.693145752f), x)), p = as_all(1.3926213e-3f);

    p = as_fma(p, r, as_all(8.3632031e-3f));
    p = as_fma(p, r, as_all(4.1666556e-2f));
    p = as_fma(p, r, as_all(0.16666576f));
    p = as_fma(p, r, as_all(0.5f));
    p = as_fma(p, r * r, r) + as_all(1.0f);
    return (as_lanes)(((as_lane_bits)p + ((as_lane_bits)t << 23)) & ~(as_lane_bits)(x < as_all(-87.0f)));
}

/* 1 / x within about a rounding, for x and 1 / x that are normal numbers. A division holds up the register's unit for
 * sixteen cycles; where there is an estimate of 14 bits, a step of Newton's method is sooner. */
AS_INLINED as_lanes as_lanes_reciprocal(as_lanes x)
{
#if ASSAY_LEVEL == 2
    as_lanes r = (as_lanes)_mm512_rcp14_ps((__m512)x);

    return as_fma(r, as_fma(-x, r, as_all(1.0f)), r);
#else
    return as_all(1.0f) / x;
#endif
}

AS_INLINED as_eight as_eight_fma(as_eight a, as_eight b, as_eight c)
{
#if ASSAY_LEVEL > 0
    return (as_eight)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

#endif

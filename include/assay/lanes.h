/* lanes.h: numbers side by side, for kernel files (NAME.KERNEL.c, compiled once per processor level): the compilers'
 * vector types, and a * b + c on them in one instruction where the level has it.
 *
 * The instruction is named, not left to the compiler: a loop over lanes with AS_FMA in it becomes one instruction with
 * some compilers and sixteen scalar ones with others (gcc 14).
 */
#ifndef ASSAY_LANES_H
#define ASSAY_LANES_H

#include <assay/kernel.h>
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

AS_INLINED as_eight as_eight_fma(as_eight a, as_eight b, as_eight c)
{
#if ASSAY_LEVEL > 0
    return (as_eight)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#else
    return a * b + c;
#endif
}

#endif

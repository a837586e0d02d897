/* vector.h: one vector register of floats at the level under compilation. For the files in core/kernel/ only:
 * each is compiled once per level, and each function that others see ends in the level's name.
 *
 * vf_fma() fuses where the level has it in one instruction, and rounds twice at the portable level, like AS_FMA.
 */
#ifndef ASSAY_KERNEL_VECTOR_H
#define ASSAY_KERNEL_VECTOR_H

#include <assay/kernel.h>
#include <string.h>

#define AS_LEVELLED(name) AS_PASTE(AS_PASTE(name, _), ASSAY_LEVEL_NAME)

#if ASSAY_LEVEL == 2
#include <immintrin.h>
#define VF_WIDTH 16
typedef __m512 vf;
#define vf_load(p) _mm512_loadu_ps(p)
#define vf_store(p, v) _mm512_storeu_ps(p, v)
#define vf_set1(a) _mm512_set1_ps(a)
#define vf_fma(a, b, c) _mm512_fmadd_ps(a, b, c)
#define vf_max(a, b) _mm512_max_ps(a, b)        /* b where either is NaN */
#define vf_minus_abs(a) \
    _mm512_castsi512_ps(_mm512_or_si512(_mm512_castps_si512(a), _mm512_set1_epi32((int)0x80000000u)))
#elif ASSAY_LEVEL == 1
#include <immintrin.h>
#define VF_WIDTH 8
typedef __m256 vf;
#define vf_load(p) _mm256_loadu_ps(p)
#define vf_store(p, v) _mm256_storeu_ps(p, v)
#define vf_set1(a) _mm256_set1_ps(a)
#define vf_fma(a, b, c) _mm256_fmadd_ps(a, b, c)
#define vf_max(a, b) _mm256_max_ps(a, b)
#define vf_minus_abs(a) _mm256_or_ps(a, _mm256_set1_ps(-0.0f))
#elif defined(__SSE2__)
#include <emmintrin.h>
#define VF_WIDTH 4
typedef __m128 vf;
#define vf_load(p) _mm_loadu_ps(p)
#define vf_store(p, v) _mm_storeu_ps(p, v)
#define vf_set1(a) _mm_set1_ps(a)
#define vf_fma(a, b, c) ((a) * (b) + (c))
#define vf_max(a, b) _mm_max_ps(a, b)
#define vf_minus_abs(a) _mm_or_ps(a, _mm_set1_ps(-0.0f))
#else
#define VF_WIDTH 4                              /* the compiler's own vectors: four lanes on any processor */
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vf_bits __attribute__((vector_size(16)));

static inline vf vf_load(const float *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void vf_store(float *p, vf v)
{
    memcpy(p, &v, sizeof v);
}

static inline vf vf_set1(float a)
{
    return (vf){ a, a, a, a };
}

static inline vf vf_max(vf a, vf b)
{
    vf_bits above = a > b;
    return (vf)(((vf_bits)a & above) | ((vf_bits)b & ~above));
}

static inline vf vf_minus_abs(vf a)
{
    return (vf)((vf_bits)a | (vf_bits){ INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN });
}
#define vf_fma(a, b, c) ((a) * (b) + (c))
#endif

#endif

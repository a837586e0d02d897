/* vector.h: one vector register of floats at the level under compilation. For the files in core/kernel/ only:
 * each is compiled once per level, and each function that others see ends in the level's name.
 *
 * vf_fma() fuses where the level has it in one instruction, and rounds twice at the portable level, like AS_FMA.
 * vf_store_past() writes past the caches, to places at multiples of a register's bytes; vf_past_done() has to follow
 * before another thread may read them.
 */
#ifndef ASSAY_KERNEL_VECTOR_H
#define ASSAY_KERNEL_VECTOR_H

#include <assay/kernel.h>
#include <stdint.h>
#include <string.h>

#define AS_LEVELLED(name) AS_PASTE(AS_PASTE(name, _), ASSAY_LEVEL_NAME)

#if ASSAY_LEVEL == 2
#include <immintrin.h>
#define VF_WIDTH 16
typedef __m512 vf;
#define vf_load_part(p, n) _mm512_maskz_loadu_ps((__mmask16)((1U << (n)) - 1U), p)
#define vf_store_part(p, n, v) _mm512_mask_storeu_ps(p, (__mmask16)((1U << (n)) - 1U), v)
#define vf_load(p) _mm512_loadu_ps(p)
#define vf_store(p, v) _mm512_storeu_ps(p, v)
#define vf_store_past(p, v) _mm512_stream_ps(p, v)
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
#define vf_store_past(p, v) _mm256_stream_ps(p, v)
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
#define vf_store_past(p, v) _mm_stream_ps(p, v)
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

#define vf_store_past(p, v) vf_store(p, v)

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

/* May vf_store_past() write at p? */
static inline int vf_fits(const float *p)
{
    return (uintptr_t)p % sizeof(vf) == 0;
}

static inline void vf_past_done(void)
{
#if defined(__SSE2__)
    _mm_sfence();
#endif
}

/* The first n < VF_WIDTH numbers; the others are zero, and left alone. */
#if ASSAY_LEVEL == 1
static inline __m256i vf_first(ptrdiff_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
#define vf_load_part(p, n) _mm256_maskload_ps(p, vf_first(n))
#define vf_store_part(p, n, v) _mm256_maskstore_ps(p, vf_first(n), v)
#elif ASSAY_LEVEL < 1
static inline vf vf_load_part(const float *p, ptrdiff_t n)
{
    float part[VF_WIDTH] = { 0 };
    memcpy(part, p, (size_t)n * sizeof *p);
    return vf_load(part);
}

static inline void vf_store_part(float *p, ptrdiff_t n, vf v)
{
    float part[VF_WIDTH];
    vf_store(part, v);
    memcpy(p, part, (size_t)n * sizeof *p);
}
#endif

/* The lanes added up: halves onto halves. */
static inline float vf_sum(vf v)
{
#if ASSAY_LEVEL > 0
#if ASSAY_LEVEL == 2
    __m256 w = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
    __m256 w = v;
#endif
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(w), _mm256_extractf128_ps(w, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
#else
    float a[VF_WIDTH];
    vf_store(a, v);
    return (a[0] + a[2]) + (a[1] + a[3]);
#endif
}

#endif

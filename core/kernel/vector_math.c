/* vector_math.c: exp, log, tanh, sigmoid, softplus and erf on arrays of floats, one vector register at a time.
 *
 * Over SLEEF's deterministic functions: finz (with fused multiply-add, the same bits on every processor that has
 * it), cinz where there is none. Up to 3.8 they carry their own names; later releases made every function
 * deterministic under the plain name. A tail goes through the same routine, padded, so that a value does not
 * depend on its place. Without SLEEF, loops over libm.
 *
 * Errors, measured in tests/test_vector_math.c over [-87, 87]: exp, log, tanh, erf 1.0 ulp; softplus 2 ulp;
 * sigmoid 2.5 ulp. Denormal results and arguments are zero, by the policy of parallel.c.
 */
#include "kernels.h"
#include "vector.h"

#if defined(HAVE_SLEEF)
#include <sleef.h>
#if SLEEF_VERSION_MAJOR > 3 || (SLEEF_VERSION_MAJOR == 3 && SLEEF_VERSION_MINOR > 8)
#define FINZ(name) Sleef_##name
#define CINZ(name) Sleef_##name
#else
#define FINZ(name) Sleef_finz_##name
#define CINZ(name) Sleef_cinz_##name
#endif
#if ASSAY_LEVEL == 2
#define vf_exp FINZ(expf16_u10avx512f)
#define vf_log FINZ(logf16_u10avx512f)
#define vf_log1p FINZ(log1pf16_u10avx512f)
#define vf_tanh FINZ(tanhf16_u10avx512f)
#define vf_erf FINZ(erff16_u10avx512f)
#define VECTORS 1
#elif ASSAY_LEVEL == 1
#define vf_exp FINZ(expf8_u10avx2)
#define vf_log FINZ(logf8_u10avx2)
#define vf_log1p FINZ(log1pf8_u10avx2)
#define vf_tanh FINZ(tanhf8_u10avx2)
#define vf_erf FINZ(erff8_u10avx2)
#define VECTORS 1
#elif defined(__SSE2__)
#define vf_exp CINZ(expf4_u10sse2)
#define vf_log CINZ(logf4_u10sse2)
#define vf_log1p CINZ(log1pf4_u10sse2)
#define vf_tanh CINZ(tanhf4_u10sse2)
#define vf_erf CINZ(erff4_u10sse2)
#define VECTORS 1
#elif defined(__aarch64__)
#define vf_exp(x) (vf) FINZ(expf4_u10advsimd)((float32x4_t)(x))
#define vf_log(x) (vf) FINZ(logf4_u10advsimd)((float32x4_t)(x))
#define vf_log1p(x) (vf) FINZ(log1pf4_u10advsimd)((float32x4_t)(x))
#define vf_tanh(x) (vf) FINZ(tanhf4_u10advsimd)((float32x4_t)(x))
#define vf_erf(x) (vf) FINZ(erff4_u10advsimd)((float32x4_t)(x))
#define VECTORS 1
#endif
#endif

#ifdef VECTORS

static inline vf map_exp(vf x)
{
    return vf_exp(x);
}

static inline vf map_log(vf x)
{
    return vf_log(x);
}

static inline vf map_tanh(vf x)
{
    return vf_tanh(x);
}

static inline vf map_erf(vf x)
{
    return vf_erf(x);
}

/* exp(-x) overflows to inf for x below -88.7, and 1 / inf is the 0 that is wanted. */
static inline vf map_sigmoid(vf x)
{
    vf one = vf_set1(1.0f);
    return one / (one + vf_exp(vf_set1(0.0f) - x));
}

/* max(x, 0) + log(1 + exp(-|x|)): nothing overflows, and NaN comes through the second term. */
static inline vf map_softplus(vf x)
{
    return vf_max(x, vf_set1(0.0f)) + vf_log1p(vf_exp(vf_minus_abs(x)));
}

#define ARRAY_FUNCTION(name)                                                            \
    static void array_##name(ptrdiff_t n, const float *x, float *y)                     \
    {                                                                                   \
        ptrdiff_t i = 0;                                                                \
        for (; i + VF_WIDTH <= n; i += VF_WIDTH)                                        \
            vf_store(y + i, map_##name(vf_load(x + i)));                                \
        if (i < n) {                                                                    \
            float rest[VF_WIDTH] = { 0 };                                               \
            memcpy(rest, x + i, (size_t)(n - i) * sizeof *x);                           \
            vf_store(rest, map_##name(vf_load(rest)));                                  \
            memcpy(y + i, rest, (size_t)(n - i) * sizeof *y);                           \
        }                                                                               \
    }

#else

#include <math.h>

#define map_exp expf
#define map_log logf
#define map_tanh tanhf
#define map_erf erff

static inline float map_sigmoid(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

static inline float map_softplus(float x)
{
    return (x > 0.0f ? x : 0.0f) + log1pf(expf(-fabsf(x)));
}

#define ARRAY_FUNCTION(name)                                                            \
    static void array_##name(ptrdiff_t n, const float *x, float *y)                     \
    {                                                                                   \
        for (ptrdiff_t i = 0; i < n; i++)                                               \
            y[i] = map_##name(x[i]);                                                    \
    }

#endif

ARRAY_FUNCTION(exp)
ARRAY_FUNCTION(log)
ARRAY_FUNCTION(tanh)
ARRAY_FUNCTION(sigmoid)
ARRAY_FUNCTION(softplus)
ARRAY_FUNCTION(erf)

void AS_LEVELLED(as_adam_pass)(ptrdiff_t n, const struct as_adam *a, const float *g, float *m, float *v, float *w);
void AS_LEVELLED(as_small_product)(const struct as_product *p);
void AS_LEVELLED(as_vector_product)(const struct as_product *p);
extern const struct as_kernels AS_LEVELLED(as_kernels);

const struct as_kernels AS_LEVELLED(as_kernels) = {
    .vexp = array_exp,
    .vlog = array_log,
    .vtanh = array_tanh,
    .vsigmoid = array_sigmoid,
    .vsoftplus = array_softplus,
    .verf = array_erf,
    .adam = AS_LEVELLED(as_adam_pass),
    .small_product = AS_LEVELLED(as_small_product),
    .vector_product = AS_LEVELLED(as_vector_product),
};

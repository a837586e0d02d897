/* test_vector_math.c: the array functions of kernel.h, at every level that this processor has, against libm in
 * double; and that a value depends neither on its offset nor on the tail it falls into.
 */
#include "core/kernel/kernels.h"
#include <assay/kernel.h>
#include <assay/parallel.h>
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

extern const struct as_kernels as_kernels_portable;
#if defined(__x86_64__)
extern const struct as_kernels as_kernels_avx2, as_kernels_avx512;
static const struct as_kernels *const level[] = { &as_kernels_portable, &as_kernels_avx2, &as_kernels_avx512 };
#else
static const struct as_kernels *const level[] = { &as_kernels_portable };
#endif

static double exact_sigmoid(double x)
{
    return 1 / (1 + exp(-x));
}

static double exact_softplus(double x)
{
    return fmax(x, 0) + log1p(exp(-fabs(x)));
}

struct function {
    const char *name;
    size_t at;                                   /* in struct as_kernels */
    double (*exact)(double);
    double ulp;                                  /* promised */
    float from, to;
    float at_minus_inf, at_plus_inf, at_zero;
};

static const struct function functions[] = {
    { "exp", offsetof(struct as_kernels, vexp), exp, 1.01, -87.0f, 88.0f, 0.0f, INFINITY, 1.0f },
    { "log", offsetof(struct as_kernels, vlog), log, 1.01, FLT_MIN, 1e6f, NAN, INFINITY, -INFINITY },
    { "tanh", offsetof(struct as_kernels, vtanh), tanh, 1.01, -80.0f, 80.0f, -1.0f, 1.0f, 0.0f },
    { "sigmoid", offsetof(struct as_kernels, vsigmoid), exact_sigmoid, 2.5, -86.0f, 80.0f, 0.0f, 1.0f, 0.5f },
    { "softplus", offsetof(struct as_kernels, vsoftplus), exact_softplus, 2.0, -86.0f, 80.0f, 0.0f, INFINITY,
      0.69314718f },
    { "erf", offsetof(struct as_kernels, verf), erf, 1.01, -80.0f, 80.0f, -1.0f, 1.0f, 0.0f },
};
enum { FUNCTIONS = sizeof functions / sizeof *functions };

typedef void apply_t(ptrdiff_t n, const float *x, float *y);

static apply_t *function_of(const struct as_kernels *k, const struct function *f)
{
    apply_t *g;
    memcpy(&g, (const char *)k + f->at, sizeof g);
    return g;
}

static double ulps(float got, double exact)
{
    int e;
    frexp(exact, &e);
    return fabs((double)got - exact) / ldexp(1, (e < -125 ? -125 : e) - 24);
}

enum { POINTS = 200001 };
static float x[POINTS + 64], y[POINTS + 64], z[POINTS + 64];

/* Half of the points evenly over the range, half of them crowding at zero. */
static void fill(const struct function *f)
{
    for (int i = 0; i < POINTS; i++) {
        float u = (float)i / (POINTS - 1), v = f->from + (f->to - f->from) * u;
        x[i] = i % 2 ? v : (v < 0 ? -1.0f : 1.0f) * exp2f(-30.0f * u) * (f->from < 0 && i % 4 ? -4.0f : 4.0f);
    }
}

static void accuracy(void **state)
{
    (void)state;
    for (int l = 0; l <= (int)as_level(); l++)
        for (int j = 0; j < FUNCTIONS; j++) {
            const struct function *f = functions + j;
            double worst = 0;
            int where = 0;
            fill(f);
            function_of(level[l], f)(POINTS, x, y);
            for (int i = 0; i < POINTS; i++) {
                double u = ulps(y[i], f->exact((double)x[i]));
                if (!(u <= worst)) {
                    worst = u;
                    where = i;
                }
            }
            print_message("# %-8s %-8s %.3f ulp at %.9g\n", as_level_name((enum as_level)l), f->name, worst,
                          (double)x[where]);
            assert_true(worst <= f->ulp);
        }
}

static void same_value(float got, float want)
{
    if (isnan(want))
        assert_true(isnan(got));
    else
        assert_true(got == want);
}

static void limits(void **state)
{
    (void)state;
    for (int l = 0; l <= (int)as_level(); l++)
        for (int j = 0; j < FUNCTIONS; j++) {
            const struct function *f = functions + j;
            const float special[] = { -INFINITY, INFINITY, 0.0f, -0.0f, NAN, FLT_MIN / 4, -FLT_MIN / 4, 200.0f, -200.0f };
            float out[9];
            function_of(level[l], f)(9, special, out);
            same_value(out[0], f->at_minus_inf);
            same_value(out[1], f->at_plus_inf);
            same_value(out[2], f->at_zero);
            same_value(out[3], f->at_zero);
            same_value(out[4], NAN);
            if (f->at_zero > -INFINITY) {        /* denormals count as zero, or as what they are */
                assert_true(fabsf(out[5] - f->at_zero) <= FLT_MIN);
                assert_true(fabsf(out[6] - f->at_zero) <= FLT_MIN);
            }
            if (f->exact != log) {               /* far out: the limits again, or exact */
                assert_true(out[7] == f->at_plus_inf || (f->exact == exact_softplus && out[7] == 200.0f));
                assert_true(out[8] == f->at_minus_inf);
            }
        }
}

/* Every length from 0 to 70 at every offset from 0 to 17 gives the bits of the long run; nothing else is touched. */
static void place_does_not_matter(void **state)
{
    (void)state;
    for (int l = 0; l <= (int)as_level(); l++)
        for (int j = 0; j < FUNCTIONS; j++) {
            const struct function *f = functions + j;
            apply_t *g = function_of(level[l], f);
            fill(f);
            for (int i = 0; i < 128; i++)        /* from all over the range */
                x[i] = x[i * 1543];
            g(128, x, y);
            for (int offset = 0; offset < 18; offset++)
                for (int n = 0; n <= 70; n++) {
                    memset(z, 0x5a, 160 * sizeof *z);
                    g(n, x + offset, z + 3);
                    assert_memory_equal(z + 3, y + offset, (size_t)n * sizeof *z);
                    uint32_t before, after;
                    memcpy(&before, z + 2, 4);
                    memcpy(&after, z + 3 + n, 4);
                    assert_true(before == 0x5a5a5a5a && after == 0x5a5a5a5a);
                    memcpy(z, x + offset, (size_t)n * sizeof *z);
                    g(n, z, z);                  /* in place */
                    assert_memory_equal(z, y + offset, (size_t)n * sizeof *z);
                }
        }
}

static void public_functions_use_the_level(void **state)
{
    (void)state;
    fill(functions);
    as_vexp(1000, x, y);
    level[as_level()]->vexp(1000, x, z);
    assert_memory_equal(y, z, 1000 * sizeof *y);
}

int main(void)
{
    as_threads_set(1);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accuracy),
        cmocka_unit_test(limits),
        cmocka_unit_test(place_does_not_matter),
        cmocka_unit_test(public_functions_use_the_level),
    };
    return cmocka_run_group_tests_name("vector_math", tests, NULL, NULL);
}

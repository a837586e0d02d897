/* kernels.c: products and whole-array functions, each compared with a plain double loop before it is timed. */
#include "bench/bench.h"

#include <assay/error.h>
#include <assay/kernel.h>
#include <assay/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct gemm { ptrdiff_t m, n, k; float *a, *b, *c; };

static float *drawn(ptrdiff_t n, uint64_t stream)
{
    float *x = malloc((size_t)n * sizeof *x);
    struct as_key key = { 1, AS_ROLE_TEST_HARNESS, stream };

    for (ptrdiff_t i = 0; x && i < n; i++)
        x[i] = as_normal(key, (uint64_t)i);
    return x;
}

static void gemm_run(void *ctx)
{
    struct gemm *g = ctx;

    as_gemm(0, 0, g->m, g->n, g->k, 1, g->a, g->k, g->b, g->n, 0, g->c, g->n);
}

/* A scattering of elements: all of them would take longer than the timing. */
static const char *gemm_agrees(void *ctx)
{
    struct gemm *g = ctx;

    if (!g->a && (!(g->a = drawn(g->m * g->k, 1)) || !(g->b = drawn(g->k * g->n, 2)) || !(g->c = drawn(g->m * g->n, 3))))
        return "out of memory";
    gemm_run(g);
    for (ptrdiff_t p = 0; p < 64; p++) {
        ptrdiff_t i = p * 7919 % g->m, j = p * 104729 % g->n;
        double sum = 0, size = 0;

        for (ptrdiff_t l = 0; l < g->k; l++) {
            double term = (double)g->a[i * g->k + l] * (double)g->b[l * g->n + j];

            sum += term;
            size += fabs(term);
        }
        if (fabs(sum - (double)g->c[i * g->n + j]) > 1.2e-7 * (double)g->k * size)
            return "disagrees with the plain product in double";
    }
    return NULL;
}

struct array { ptrdiff_t n; void (*f)(ptrdiff_t, const float *, float *); double (*truth)(double); float *x, *y; };

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return log1p(exp(x)); }

static void array_run(void *ctx)
{
    struct array *a = ctx;

    a->f(a->n, a->x, a->y);
}

static const char *array_agrees(void *ctx)
{
    struct array *a = ctx;

    if (!a->x && (!(a->x = drawn(a->n, 4)) || !(a->y = drawn(a->n, 5))))
        return "out of memory";
    array_run(a);
    for (ptrdiff_t i = 0; i < a->n; i++) {
        double t = a->truth((double)a->x[i]);

        if (!(fabs(t - (double)a->y[i]) <= 5e-7 * fabs(t) + 1e-37))
            return "disagrees with libm in double";
    }
    return NULL;
}

void bench_register_kernels(void)
{
    static struct gemm gemm[] = { { .m = 64, .n = 64, .k = 64 }, { .m = 2560, .n = 96, .k = 32 },
                                  { .m = 256, .n = 256, .k = 256 }, { .m = 8192, .n = 256, .k = 256 },
                                  { .m = 1, .n = 1024, .k = 1024 }, { .m = 1024, .n = 1, .k = 1024 } };
    static struct array array[] = { { .n = 65536, .f = as_vexp, .truth = exp }, { .n = 65536, .f = as_vtanh, .truth = tanh },
                                    { .n = 65536, .f = as_vsigmoid, .truth = sigmoid },
                                    { .n = 65536, .f = as_vsoftplus, .truth = softplus },
                                    { .n = 65536, .f = as_verf, .truth = erf } };
    static const char *const names[] = { "exp", "tanh", "sigmoid", "softplus", "erf" };

    for (size_t i = 0; i < sizeof gemm / sizeof *gemm; i++) {
        struct gemm *g = &gemm[i];
        double m = (double)g->m, n = (double)g->n, k = (double)g->k;

        bench_register(&(struct bench){ .name = as_say("gemm/%tdx%tdx%td", g->m, g->n, g->k), .prepare = gemm_agrees,
                                        .run = gemm_run, .ctx = g, .flop = 2 * m * n * k,
                                        .bytes = 4 * (m * k + k * n + m * n) });
    }
    for (size_t i = 0; i < sizeof array / sizeof *array; i++)
        bench_register(&(struct bench){ .name = as_say("%s/%td", names[i], array[i].n), .prepare = array_agrees,
                                        .run = array_run, .ctx = &array[i], .bytes = 8 * (double)array[i].n });
}

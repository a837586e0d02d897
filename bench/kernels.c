/* kernels.c: products and whole-array functions, each compared with a plain double loop before it is timed. */
#include "bench/bench.h"

#include <assay/error.h>
#include <assay/kernel.h>
#include <assay/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static float *drawn(ptrdiff_t n, uint64_t stream)
{
    float *x = malloc((size_t)n * sizeof *x);
    struct as_key key = { 1, AS_ROLE_TEST_HARNESS, stream };

    for (ptrdiff_t i = 0; x && i < n; i++)
        x[i] = as_normal(key, (uint64_t)i);
    return x;
}

/* --- products: (rows n, columns, inner): 0 is the size ------------------------------------- */

struct gemm { const char *name; ptrdiff_t rows, columns, inner; const long *sizes; ptrdiff_t m, n, k; float *a, *b, *c; };

static void gemm_run(void *ctx)
{
    struct gemm *g = ctx;

    as_gemm(0, 0, g->m, g->n, g->k, 1, g->a, g->k, g->b, g->n, 0, g->c, g->n);
}

/* A scattering of elements: all of them would take longer than the timing. */
static const char *gemm_agrees(struct gemm *g)
{
    gemm_run(g);
    for (ptrdiff_t p = 0; p < 64; p++) {
        ptrdiff_t i = p * 7919 % g->m, j = p * 104729 % g->n;
        double sum = 0, size = 0;

        for (ptrdiff_t l = 0; l < g->k; l++) {
            double term = (double)g->a[i * g->k + l] * (double)g->b[l * g->n + j];

            sum += term;
            size += fabs(term);
        }
        if (!(fabs(sum - (double)g->c[i * g->n + j]) <= 1.2e-7 * (double)g->k * size))
            return "disagrees with the plain product in double";
    }
    return NULL;
}

static const char *gemm_prepare(void *ctx, long size)
{
    struct gemm *g = ctx;

    free(g->a);
    free(g->b);
    free(g->c);
    g->m = g->rows ? g->rows : size;
    g->n = g->columns ? g->columns : size;
    g->k = g->inner ? g->inner : size;
    g->a = drawn(g->m * g->k, 1);
    g->b = drawn(g->k * g->n, 2);
    g->c = drawn(g->m * g->n, 3);
    return g->a && g->b && g->c ? gemm_agrees(g) : "out of memory";
}

static void gemm_count(void *ctx, double *flop, double *bytes)
{
    const struct gemm *g = ctx;
    double m = (double)g->m, n = (double)g->n, k = (double)g->k;

    *flop = 2 * m * n * k;
    *bytes = 4 * (m * k + k * n + m * n);
}

/* --- functions of whole arrays ------------------------------------------------------------------------------------ */

struct array { const char *name; void (*f)(ptrdiff_t, const float *, float *); double (*truth)(double); ptrdiff_t n; float *x, *y; };

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double softplus(double x) { return log1p(exp(x)); }

static void array_run(void *ctx)
{
    struct array *a = ctx;

    a->f(a->n, a->x, a->y);
}

static const char *array_prepare(void *ctx, long size)
{
    struct array *a = ctx;

    free(a->x);
    free(a->y);
    a->n = size;
    a->x = drawn(size, 4);
    a->y = drawn(size, 5);
    if (!a->x || !a->y)
        return "out of memory";
    array_run(a);
    for (ptrdiff_t i = 0; i < a->n; i++) {
        double t = a->truth((double)a->x[i]);

        if (!(fabs(t - (double)a->y[i]) <= 5e-7 * fabs(t) + 1e-37))
            return "disagrees with libm in double";
    }
    return NULL;
}

static void array_count(void *ctx, double *flop, double *bytes)
{
    *flop = 0;
    *bytes = 8 * (double)((struct array *)ctx)->n;
}

void bench_register_kernels(void)
{
    static const long square[] = { 64, 128, 256, 512, 0 }, rows[] = { 1024, 2048, 4096, 8192, 0 }, long_[] = { 4096, 65536, 1048576, 0 };
    static struct gemm gemm[] = {
        { "gemm/square", .sizes = square }, { "gemm/rows-by-256x256", .columns = 256, .inner = 256, .sizes = rows },
        { "gemm/rows-by-32x96", .columns = 96, .inner = 32, .sizes = rows }, { "gemm/one-row", .rows = 1, .sizes = square },
        { "gemm/one-column", .columns = 1, .sizes = square },
    };
    static struct array array[] = { { "exp", .f = as_vexp, .truth = exp }, { "tanh", .f = as_vtanh, .truth = tanh },
                                    { "sigmoid", .f = as_vsigmoid, .truth = sigmoid },
                                    { "softplus", .f = as_vsoftplus, .truth = softplus }, { "erf", .f = as_verf, .truth = erf } };

    for (size_t i = 0; i < sizeof gemm / sizeof *gemm; i++)
        bench_register(&(struct bench){ .name = gemm[i].name, .prepare = gemm_prepare, .run = gemm_run, .count = gemm_count,
                                        .ctx = &gemm[i], .sizes = gemm[i].sizes });
    for (size_t i = 0; i < sizeof array / sizeof *array; i++)
        bench_register(&(struct bench){ .name = array[i].name, .prepare = array_prepare, .run = array_run, .count = array_count,
                                        .ctx = &array[i], .sizes = long_ });
}

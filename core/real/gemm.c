/* gemm.c: matrix products with the same bits at any thread count.
 *
 * A product is cut into pieces along m, n and, where that leaves too few, along k. The cut is a function of
 * (m, n, k) alone. Each piece is one call of a library (or of our own kernel) on one thread. Pieces along k are
 * written apart and added in order. as_gemm() and as_gemm_one() run the same pieces with the same arguments;
 * only who runs them differs. A product in as_bgemm() has the bits that as_gemm() would give it.
 *
 * Method, by size alone too: m = 1 or n = 1 our vector kernel; small products, where a call of the library costs
 * more than the work (measured: up to about 64 x 64 x 64), our small kernel; else the library; in double always
 * plain loops in a fixed order.
 */
#include "gemm.h"
#include "../kernel/kernels.h"
#include "../parallel_private.h"
#include <assay/error.h>
#include <assay/kernel.h>
#include <assay/parallel.h>
#include <omp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#ifndef ASSAY_DOUBLE
#include "../lib/library.h"
#endif

#define SMALL (64.0 * 64 * 64)          /* m n k up to which our own kernel is faster than a library's call */
#define FLIGHT 256                      /* steps of k a call, of long products with a transposed A (run_flights) */
#define PIECE_FLOP 4e6                  /* about the least that a piece should do: some 40 us */
#define MAX_WANTED 8                    /* pieces wanted of a product that has the work for it */
#define GROUP_FLOP 4e5                  /* products of a batch handed out together */
#define FLOP_PER_COST 8.0               /* as_parallel() counts slower operations than these */

enum method { OWN, VECTOR, LIBRARY };

struct cut {
    ptrdiff_t rows, columns, steps;     /* sizes of a piece; the last ones may be smaller */
    ptrdiff_t nm, nn, nk;               /* how many */
    enum method method;
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

static ptrdiff_t most(ptrdiff_t a, ptrdiff_t b)
{
    return a > b ? a : b;
}

/* Pieces of `size` so that about `count` cover `total`: equal, rounded up to 16. */
static void divide(ptrdiff_t total, ptrdiff_t count, ptrdiff_t *size, ptrdiff_t *pieces)
{
    *size = (total + count - 1) / count;
    if (*size < total)
        *size = (*size + 15) / 16 * 16;
    *pieces = total ? (total + *size - 1) / *size : 1;
}

static struct cut cut_of(ptrdiff_t m, ptrdiff_t n, ptrdiff_t k)
{
    struct cut c = { m, n, k, 1, 1, 1, LIBRARY };
    double flop = 2.0 * (double)m * (double)n * (double)k;
    if (flop <= 2 * SMALL && m != 1 && n != 1) {
        c.method = OWN;
        return c;
    }
    ptrdiff_t wanted, nm, nn, nk = 1;
    if (m == 1 || n == 1) {             /* limited by memory: pieces by what is read */
        c.method = VECTOR;
        wanted = (ptrdiff_t)(flop / 5e5 < MAX_WANTED ? flop / 5e5 : MAX_WANTED);
        ptrdiff_t parts = most(1, least(wanted, most(m, n) / 64));
        nm = n == 1 ? parts : 1;
        nn = n == 1 ? 1 : parts;
        nk = most(1, least(wanted / parts, k / 1024));
    } else {
        wanted = (ptrdiff_t)(flop / PIECE_FLOP < MAX_WANTED ? flop / PIECE_FLOP : MAX_WANTED);
        nn = (n + 767) / 768;
        double rows = PIECE_FLOP / 2 / ((double)n / (double)nn) / (double)k;
        ptrdiff_t tall = rows > 256 ? (ptrdiff_t)least((ptrdiff_t)rows, m) : 256;
        nm = most((m + tall - 1) / tall, least(wanted / nn, m / 96));
        nm = nm > 1 ? (nm + 1) / 2 * 2 : 1;             /* even: two threads end together */
        if (nm * nn < least(wanted, 4))
            nk = most(1, least(least(wanted, 4) / (nm * nn), k / 256));
    }
    divide(m, nm, &c.rows, &c.nm);
    divide(n, nn, &c.columns, &c.nn);
    divide(k, nk, &c.steps, &c.nk);
    return c;
}

/* ---- One piece ---- */

#ifdef ASSAY_DOUBLE

const char *as_products_by(void)
{
    return "plain loops";
}

static void plain_row(const struct as_product *p, ptrdiff_t i)
{
    real *c = p->C + i * p->ldc;
    for (ptrdiff_t j = 0; j < p->n; j++)
        c[j] = p->bias ? p->bias[j] : p->beta == R(0.0) ? R(0.0) : p->beta * c[j];
    if (p->tb) {
        for (ptrdiff_t j = 0; j < p->n; j++) {
            real sum = R(0.0);
            for (ptrdiff_t s = 0; s < p->k; s++)
                sum += p->A[p->ta ? s * p->lda + i : i * p->lda + s] * p->B[j * p->ldb + s];
            c[j] += p->alpha * sum;
        }
        return;
    }
    for (ptrdiff_t s = 0; s < p->k; s++) {
        real a = p->alpha * p->A[p->ta ? s * p->lda + i : i * p->lda + s];
        for (ptrdiff_t j = 0; j < p->n; j++)
            c[j] += a * p->B[s * p->ldb + j];
    }
}

static void run(enum method method, const struct as_product *p)
{
    (void)method;
    for (ptrdiff_t i = 0; i < p->m; i++)
        plain_row(p, i);
}

#else

static pthread_once_t once = PTHREAD_ONCE_INIT;
static const struct as_kernels *kernels;
static void (*library_sgemm)(const struct as_product *p);
static const char *about;
static bool unusable;

static void open_library(void)
{
    const struct as_library *l = as_library_onednn.sgemm ? &as_library_onednn : &as_library_blas;
    kernels = as_kernels();
    if (!l->sgemm) {
        library_sgemm = kernels->small_product;
        about = "own kernels";
    } else if (l->open(&about))
        library_sgemm = l->sgemm;
    else
        unusable = true;
}

const char *as_products_by(void)
{
    pthread_once(&once, open_library);
    if (unusable)
        as_fail(AS_FAILED, "%s", about);
    return about;
}

/* oneDNN reads a transposed A, as in gradients of weights, in strips along m; beyond some hundred steps it falls out of
 * the caches on the way. Several calls, each adding to C, are up to a third faster (measured at m, n 128 to 512). */
static void run_flights(struct as_product q)
{
    const ptrdiff_t all = q.k;
    for (ptrdiff_t s = 0; s < all; s += FLIGHT, q.A += FLIGHT * q.lda, q.B += FLIGHT * q.ldb, q.beta = R(1.0)) {
        q.k = least(FLIGHT, all - s);
        library_sgemm(&q);
    }
}

static void run(enum method method, const struct as_product *p)
{
    struct as_product q = *p;
    if (method == OWN) {
        kernels->small_product(p);
        return;
    }
    for (ptrdiff_t i = 0; q.bias && i < q.m; i++)
        memcpy(q.C + i * q.ldc, q.bias, (size_t)q.n * sizeof *q.C);
    if (q.bias)
        q.beta = R(1.0);
    if (method == LIBRARY && q.ta && !q.tb && q.k >= 4 * FLIGHT && q.m * q.n >= 8192)
        run_flights(q);
    else
        (method == VECTOR ? kernels->vector_product : library_sgemm)(&q);
}

#endif

/* A team that shrinks ends threads: their scratch goes with them, by the key's destructor. */
static pthread_key_t scratch_key;
static pthread_once_t scratch_once = PTHREAD_ONCE_INIT;
static void make_scratch_key(void) { pthread_key_create(&scratch_key, free); }

/* Scratch of this thread, grown when needed and kept: never in a loop that has run before. */
static real *scratch(size_t count)
{
    static _Thread_local real *kept;
    static _Thread_local size_t size;
    size_t bytes = (count * sizeof(real) + 63) / 64 * 64;
    if (bytes > size) {
        pthread_once(&scratch_once, make_scratch_key);
        free(kept);
        kept = aligned_alloc(64, bytes);
        size = kept ? bytes : 0;
        pthread_setspecific(scratch_key, kept);
    }
    return kept;
}

/* Piece (im, in, ik). Pieces of a product that is not cut along k write to C; others to `part`, dense. */
static void run_piece(const struct as_product *p, const struct cut *c, ptrdiff_t im, ptrdiff_t in, ptrdiff_t ik,
                      real *part)
{
    struct as_product q = *p;
    ptrdiff_t i = im * c->rows, j = in * c->columns, s = ik * c->steps;
    q.m = least(c->rows, p->m - i);
    q.n = least(c->columns, p->n - j);
    q.k = least(c->steps, p->k - s);
    q.A += p->ta ? s * p->lda + i : i * p->lda + s;
    q.B += p->tb ? j * p->ldb + s : s * p->ldb + j;
    if (part) {
        q.C = part + i * p->n + j;
        q.ldc = p->n;
        q.beta = R(0.0);
        q.bias = NULL;
    } else {
        q.C += i * p->ldc + j;
        q.bias = p->bias ? p->bias + j : NULL;
    }
    run(c->method, &q);
}

/* Rows i..i+rows-1 of C = beta C (or the bias) + the pieces along k, in order; parts lie `apart` elements from each
 * other. */
static void add_parts(const struct as_product *p, ptrdiff_t i, ptrdiff_t rows, const real *part, ptrdiff_t parts,
                      real beta, const real *bias)
{
    ptrdiff_t apart = p->m * p->n;
    for (ptrdiff_t r = i; r < i + rows; r++) {
        real *c = p->C + r * p->ldc;
        const real *q = part + r * p->n;
        for (ptrdiff_t j = 0; j < p->n; j++)
            c[j] = (bias ? bias[j] : beta == R(0.0) ? R(0.0) : beta * c[j]) + q[j];
        for (ptrdiff_t ik = 1; ik < parts; ik++)
            for (ptrdiff_t j = 0; j < p->n; j++)
                c[j] += q[ik * apart + j];
    }
}

/* The whole product on the calling thread. */
static void run_here(const struct as_product *p, const struct cut *c)
{
    real *part = NULL;
    if (c->nk > 1 && !(part = scratch((size_t)p->m * (size_t)p->n))) {
        as_parallel_no_memory();
        return;
    }
    for (ptrdiff_t ik = 0; ik < c->nk; ik++) {
        for (ptrdiff_t im = 0; im < c->nm; im++)
            for (ptrdiff_t in = 0; in < c->nn; in++)
                run_piece(p, c, im, in, ik, part);
        if (part)
            add_parts(p, 0, p->m, part, 1, ik == 0 ? p->beta : R(1.0), ik == 0 ? p->bias : NULL);
    }
}

/* ---- On the team ---- */

struct job {
    struct as_product p;
    struct cut cut;
    ptrdiff_t count, stride_a, stride_b, stride_c, group;
    real *parts;
};

static void piece_of_one(void *ctx, ptrdiff_t i)
{
    const struct job *job = ctx;
    const struct cut *c = &job->cut;
    ptrdiff_t in = i % c->nn, im = i / c->nn % c->nm, ik = i / c->nn / c->nm;
    run_piece(&job->p, c, im, in, ik, job->parts ? job->parts + ik * job->p.m * job->p.n : NULL);
}

static void rows_of_sum(void *ctx, ptrdiff_t i)
{
    const struct job *job = ctx;
    ptrdiff_t rows = (job->p.m + MAX_WANTED - 1) / MAX_WANTED, from = i * rows;
    if (from < job->p.m)
        add_parts(&job->p, from, least(rows, job->p.m - from), job->parts, job->cut.nk, job->p.beta,
                  job->p.bias);
}

static void group_of_products(void *ctx, ptrdiff_t g)
{
    const struct job *job = ctx;
    for (ptrdiff_t i = g * job->group; i < least(job->count, (g + 1) * job->group); i++) {
        struct as_product q = job->p;
        q.A += i * job->stride_a;
        q.B += i * job->stride_b;
        q.C += i * job->stride_c;
        run_here(&q, &job->cut);
    }
}

static double flop_of(const struct as_product *p)
{
    return 2.0 * (double)p->m * (double)p->n * (double)p->k;
}

static void run_on_team(struct job *job)
{
    const struct as_product *p = &job->p;
    const struct cut *c = &job->cut;
    ptrdiff_t pieces = c->nm * c->nn * c->nk;
    job->parts = NULL;
    if (pieces == 1 || as_threads() == 1 || omp_in_parallel()) {
        job->count = job->group = 1;
        as_parallel(1, 0.0, group_of_products, job);
        return;
    }
    if (c->nk > 1 && !(job->parts = scratch((size_t)p->m * (size_t)p->n * (size_t)c->nk)))
        as_fail(AS_NO_MEMORY, "no memory for a matrix product of %td x %td x %td", p->m, p->n, p->k);
    as_parallel(pieces, flop_of(p) / FLOP_PER_COST, piece_of_one, job);
    if (job->parts)
        as_parallel(MAX_WANTED, (double)(p->m * p->n * c->nk), rows_of_sum, job);
}

/* ---- Entries ---- */

static _Thread_local double made;        /* operations of all products that this thread was asked for */

double as_products_made(void) { return made; }

static bool prepare(struct job *job)
{
    (void)as_products_by();
    made += flop_of(&job->p) * (double)job->count;
    job->cut = cut_of(job->p.m, job->p.n, job->p.k);
    return job->p.m > 0 && job->p.n > 0;
}

void as_gemm(int ta, int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *A, ptrdiff_t lda,
             const real *B, ptrdiff_t ldb, real beta, real *C, ptrdiff_t ldc)
{
    struct job job = { .p = { ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc, NULL }, .count = 1, .group = 1 };
    if (prepare(&job))
        run_on_team(&job);
}

void as_gemm_bias(int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *A, ptrdiff_t lda, const real *B,
                  ptrdiff_t ldb, const real *bias, real *C, ptrdiff_t ldc)
{
    struct job job = { .p = { 0, tb, m, n, k, R(1.0), A, lda, B, ldb, R(0.0), C, ldc, bias }, .count = 1, .group = 1 };
    if (prepare(&job))
        run_on_team(&job);
}

void as_gemm_one(int ta, int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *A, ptrdiff_t lda,
                 const real *B, ptrdiff_t ldb, real beta, real *C, ptrdiff_t ldc)
{
    struct job job = { .p = { ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc, NULL }, .count = 1, .group = 1 };
    if (prepare(&job))
        as_parallel(1, 0.0, group_of_products, &job);
}

void as_bgemm(ptrdiff_t count, int ta, int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *A,
              ptrdiff_t lda, ptrdiff_t stride_a, const real *B, ptrdiff_t ldb, ptrdiff_t stride_b, real beta,
              real *C, ptrdiff_t ldc, ptrdiff_t stride_c)
{
    struct job job = { .p = { ta, tb, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc, NULL }, .count = count,
                       .stride_a = stride_a, .stride_b = stride_b, .stride_c = stride_c };
    if (count <= 0 || !prepare(&job))
        return;
    if (count < MAX_WANTED && job.cut.nm * job.cut.nn * job.cut.nk > 1) {
        for (ptrdiff_t i = 0; i < count; i++) {
            struct job one = job;
            one.p.A += i * stride_a;
            one.p.B += i * stride_b;
            one.p.C += i * stride_c;
            run_on_team(&one);
        }
        return;
    }
    double flop = flop_of(&job.p);
    job.group = flop < GROUP_FLOP ? 1 + (ptrdiff_t)(GROUP_FLOP / (flop + 1e3)) : 1;
    as_parallel((count + job.group - 1) / job.group, flop * (double)count / FLOP_PER_COST + (double)count * 500,
                group_of_products, &job);
}

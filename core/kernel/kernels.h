/* kernels.h: the table of core's own kernels at one processor level. core/kernel_dispatch.c picks one by
 * as_level(); nothing else knows the levels' names. Float only; all run on the calling thread.
 */
#ifndef ASSAY_KERNEL_KERNELS_H
#define ASSAY_KERNEL_KERNELS_H

#include <assay/kernel.h>
#include <stdbool.h>

/* One product, or one piece of one: C (m, n) = alpha op(A) op(B) + beta C, as as_gemm() in kernel.h. With a bias (n)
 * each row of C starts from it, in place of beta C; libraries do not know it. */
struct as_product {
    int ta, tb;
    ptrdiff_t m, n, k;
    real alpha;
    const real *A;
    ptrdiff_t lda;
    const real *B;
    ptrdiff_t ldb;
    real beta;
    real *C;
    ptrdiff_t ldc;
    const real *bias;                   /* or NULL */
};

struct as_kernels {
    void (*vexp)(ptrdiff_t n, const float *x, float *y);
    void (*vlog)(ptrdiff_t n, const float *x, float *y);
    void (*vtanh)(ptrdiff_t n, const float *x, float *y);
    void (*vsigmoid)(ptrdiff_t n, const float *x, float *y);
    void (*vsoftplus)(ptrdiff_t n, const float *x, float *y);
    void (*verf)(ptrdiff_t n, const float *x, float *y);

    void (*adam)(ptrdiff_t n, const struct as_adam *a, const float *g, float *m, float *v, float *w);

    /* Any sizes; meant for small ones. Each entry of C is one chain of multiply-adds in order of k. */
    void (*small_product)(const struct as_product *p);
    /* m or n is 1. */
    void (*vector_product)(const struct as_product *p);
};

const struct as_kernels *as_kernels(void);

/* The loops along time of sequence.h and normaliser.h. */
struct as_scan_piece;
struct as_depthwise_piece;
struct as_normaliser_piece;

struct as_sequence_kernels {
    void (*scan_forward)(const struct as_scan_piece *p);
    void (*scan_backward)(const struct as_scan_piece *p);
    void (*scan_complex_forward)(const struct as_scan_piece *p);
    void (*scan_complex_backward)(const struct as_scan_piece *p);
    void (*depthwise_forward)(const struct as_depthwise_piece *p);
    void (*depthwise_backward)(const struct as_depthwise_piece *p);
    void (*normaliser_forward)(const struct as_normaliser_piece *p);
    void (*normaliser_backward)(const struct as_normaliser_piece *p);
};

const struct as_sequence_kernels *as_sequence_kernels(void);

/* Sums and rows. A dense row of `d` numbers is what is normalised, or one position's logits. */
struct as_norm_rows {
    ptrdiff_t d;
    bool centred;                       /* subtract the mean (layer norm) */
    float count, eps;                   /* r = 1 / sqrt(sum of squares / count + eps) */
    const float *x, *gain, *bias;       /* (rows, d), (d) or NULL */
    float *y, *mean, *r;                /* (rows, d), (rows), (rows) */
    const float *dy;                    /* backward: */
    float *dx, *dgain, *dbias;          /* (rows, d), (d), (d); NULL where none is wanted */
    bool fresh;                         /* dx is undefined before and is written, else added to */
    bool past;                          /* what is written afresh goes past the caches, where rows fit */
};

/* Rotary positions: each head's halves (u, v) become (u cos - v sin, u sin + v cos), or the other way round. */
struct as_rotation {
    ptrdiff_t time, heads, half;
    const float *cosine, *sine;         /* (time, half) */
    const float *x;                     /* (rows, heads, 2, half), a row is one step of one sequence */
    float *y;                           /* may be x */
    bool add, back;                     /* add to y; turn back */
};

struct as_row_kernels {
    float (*sum)(ptrdiff_t n, const float *x);
    float (*dot)(ptrdiff_t n, const float *x, const float *y);
    void (*add)(ptrdiff_t n, const float *x, float *y, bool fresh);         /* y += x, or y = x + 0 */
    float (*top)(ptrdiff_t n, const float *x);                              /* the largest; NaN when there is one */
    void (*shift)(ptrdiff_t n, const float *x, float by, float *y);         /* y = x - by */
    void (*more)(ptrdiff_t n, const float *x, float factor, float *y, bool fresh);  /* y = or += factor x */
    /* y = or += p (g - by), the way back through a softmax p; y may be g */
    void (*weigh)(ptrdiff_t n, const float *p, const float *g, float by, float *y, bool fresh);
    void (*sum_rows)(ptrdiff_t rows, ptrdiff_t d, const float *x, float *y);        /* y (d), in order of the rows */
    void (*norm_forward)(const struct as_norm_rows *c, ptrdiff_t from, ptrdiff_t to);
    void (*norm_backward)(const struct as_norm_rows *c, ptrdiff_t from, ptrdiff_t to);
    void (*rotate)(const struct as_rotation *c, ptrdiff_t from, ptrdiff_t to);
};

const struct as_row_kernels *as_row_kernels(void);

/* The loops of unary.h and binary.h, by their names there. */
struct as_unary;
struct as_binary;

const struct as_unary *const *as_unary_loops(void);
const struct as_binary *const *as_binary_loops(void);

#endif

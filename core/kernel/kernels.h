/* kernels.h: the table of core's own kernels at one processor level. core/kernel_dispatch.c picks one by
 * as_level(); nothing else knows the levels' names. Float only; all run on the calling thread.
 */
#ifndef ASSAY_KERNEL_KERNELS_H
#define ASSAY_KERNEL_KERNELS_H

#include <assay/real.h>

/* One product, or one piece of one: C (m, n) = alpha op(A) op(B) + beta C, as as_gemm() in kernel.h. */
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
};

struct as_kernels {
    void (*vexp)(ptrdiff_t n, const float *x, float *y);
    void (*vlog)(ptrdiff_t n, const float *x, float *y);
    void (*vtanh)(ptrdiff_t n, const float *x, float *y);
    void (*vsigmoid)(ptrdiff_t n, const float *x, float *y);
    void (*vsoftplus)(ptrdiff_t n, const float *x, float *y);
    void (*verf)(ptrdiff_t n, const float *x, float *y);

    /* Any sizes; meant for small ones. Each entry of C is one chain of multiply-adds in order of k. */
    void (*small_product)(const struct as_product *p);
    /* m or n is 1. */
    void (*vector_product)(const struct as_product *p);
};

const struct as_kernels *as_kernels(void);

/* The loops along time of sequence.h. */
struct as_scan_piece;
struct as_depthwise_piece;

struct as_sequence_kernels {
    void (*scan_forward)(const struct as_scan_piece *p);
    void (*scan_backward)(const struct as_scan_piece *p);
    void (*scan_complex_forward)(const struct as_scan_piece *p);
    void (*scan_complex_backward)(const struct as_scan_piece *p);
    void (*depthwise_forward)(const struct as_depthwise_piece *p);
    void (*depthwise_backward)(const struct as_depthwise_piece *p);
};

const struct as_sequence_kernels *as_sequence_kernels(void);

#endif

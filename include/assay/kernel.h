/* kernel.h: what kernels are made of: whole-array mathematics and products with the same bits at any thread
 * count, any offset and any tail. Double builds use libm and plain loops in a fixed order.
 *
 * All arrays are dense, row-major, not overlapping unless the same pointer is given for in and out.
 */
#ifndef ASSAY_KERNEL_H
#define ASSAY_KERNEL_H

#include <assay/real.h>

#define as_vexp AS_REAL(as_vexp)
#define as_vlog AS_REAL(as_vlog)
#define as_vtanh AS_REAL(as_vtanh)
#define as_vsigmoid AS_REAL(as_vsigmoid)
#define as_vsoftplus AS_REAL(as_vsoftplus)
#define as_verf AS_REAL(as_verf)
#define as_vadam AS_REAL(as_vadam)
#define as_gemm AS_REAL(as_gemm)
#define as_gemm_one AS_REAL(as_gemm_one)
#define as_bgemm AS_REAL(as_bgemm)

/* y[i] = f(x[i]), i < n; y may be x. Accurate to about 1 ulp; exact limits at +-inf; tails go through the same
 * vector routine, so a value does not depend on its place. */
void as_vexp(ptrdiff_t n, const real *x, real *y);
void as_vlog(ptrdiff_t n, const real *x, real *y);
void as_vtanh(ptrdiff_t n, const real *x, real *y);
void as_vsigmoid(ptrdiff_t n, const real *x, real *y);      /* 1 / (1 + exp(-x)) without overflow */
void as_vsoftplus(ptrdiff_t n, const real *x, real *y);     /* log(1 + exp(x)) without overflow */
void as_verf(ptrdiff_t n, const real *x, real *y);

/* One step of Adam on n weights, in one pass over them:
 *     m <- beta1 m + (1 - beta1) g,  v <- beta2 v + (1 - beta2) g^2,  w <- keep w - rate m / (sqrt(v) unbias + eps)
 * couple: first g <- g + couple w, for weight decay that goes through the moments. g is read only. */
struct as_adam { double beta1, beta2, rate, unbias, eps, keep, couple; };
void as_vadam(ptrdiff_t n, const struct as_adam *a, const real *g, real *m, real *v, real *w);

/* C (m, n) = alpha * op(A) op(B) + beta * C, row-major; op is transposition when ta or tb is non-zero.
 * lda, ldb, ldc: leading dimensions as stored. beta = 0 ignores what C held. Cut by size, run on the team. */
void as_gemm(int ta, int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *A, ptrdiff_t lda,
             const real *B, ptrdiff_t ldb, real beta, real *C, ptrdiff_t ldc);

/* The same on the calling thread only: for use inside as_parallel() pieces. Same bits as as_gemm(). */
void as_gemm_one(int ta, int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *A, ptrdiff_t lda,
                 const real *B, ptrdiff_t ldb, real beta, real *C, ptrdiff_t ldc);

/* count products with fixed strides between them (in elements; stride 0 shares an operand, C's must not be 0). */
void as_bgemm(ptrdiff_t count, int ta, int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, real alpha, const real *A,
              ptrdiff_t lda, ptrdiff_t stride_a, const real *B, ptrdiff_t ldb, ptrdiff_t stride_b, real beta,
              real *C, ptrdiff_t ldc, ptrdiff_t stride_c);

/* a * b + c: fused where the processor level has it in one instruction, two roundings where it would be a call. */
#if defined(ASSAY_LEVEL) && ASSAY_LEVEL > 0
#define AS_FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define AS_FMA(a, b, c) ((a) * (b) + (c))
#endif

#endif

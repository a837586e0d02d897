/* gemm.h: for core itself: what runs the matrix products, and a product with a bias. */
#ifndef ASSAY_CORE_GEMM_H
#define ASSAY_CORE_GEMM_H

#include <assay/real.h>

#define as_products_by AS_REAL(as_products_by)
#define as_products_made AS_REAL(as_products_made)
#define as_gemm_bias AS_REAL(as_gemm_bias)

/* Library, version and level, for records: "oneDNN 2.6.3 (avx512)". Fails when the library cannot be used. */
const char *as_products_by(void);

/* Operations (2 m n k) of all products that the calling thread has asked for so far: checks compare what layers declare
 * with it. */
double as_products_made(void);

/* C (m, n) = A op(B) + bias (n) in each row; bias may be NULL. Else as as_gemm(). */
void as_gemm_bias(int tb, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, const real *A, ptrdiff_t lda, const real *B,
                  ptrdiff_t ldb, const real *bias, real *C, ptrdiff_t ldc);

#endif

/* gemm.h: for core itself: what runs the matrix products. */
#ifndef ASSAY_CORE_GEMM_H
#define ASSAY_CORE_GEMM_H

#include <assay/real.h>

#define as_products_by AS_REAL(as_products_by)

/* Library, version and level, for records: "oneDNN 2.6.3 (avx512)". Fails when the library cannot be used. */
const char *as_products_by(void);

#endif

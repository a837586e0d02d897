/* kernel_dispatch.c: the public kernels of kernel.h in float, sent to the table of the processor level. */
#include "kernel/kernels.h"
#include <assay/kernel.h>
#include <assay/parallel.h>

extern const struct as_kernels as_kernels_portable;
extern const struct as_sequence_kernels as_sequence_kernels_portable;
#if defined(__x86_64__)
extern const struct as_kernels as_kernels_avx2, as_kernels_avx512;
extern const struct as_sequence_kernels as_sequence_kernels_avx2, as_sequence_kernels_avx512;
static const struct as_kernels *const table[] = { &as_kernels_portable, &as_kernels_avx2, &as_kernels_avx512 };
static const struct as_sequence_kernels *const sequence_table[] = {
    &as_sequence_kernels_portable, &as_sequence_kernels_avx2, &as_sequence_kernels_avx512
};
#else
static const struct as_kernels *const table[] = { &as_kernels_portable };
static const struct as_sequence_kernels *const sequence_table[] = { &as_sequence_kernels_portable };
#endif

const struct as_kernels *as_kernels(void)
{
    return table[as_level()];
}

const struct as_sequence_kernels *as_sequence_kernels(void)
{
    return sequence_table[as_level()];
}

void as_vexp(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vexp(n, x, y);
}

void as_vlog(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vlog(n, x, y);
}

void as_vtanh(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vtanh(n, x, y);
}

void as_vsigmoid(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vsigmoid(n, x, y);
}

void as_vsoftplus(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vsoftplus(n, x, y);
}

void as_verf(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->verf(n, x, y);
}

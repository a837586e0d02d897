/* kernel.c: the array functions of kernel.h in double, over libm, for the oracle. The float ones are one kernel a
 * processor level, and live in core/kernel/vector_math.c.
 */
#include <assay/kernel.h>

#ifdef ASSAY_DOUBLE
#include "../kernel/adam.h"
#include <math.h>

void as_vadam(ptrdiff_t n, const struct as_adam *a, const real *g, real *m, real *v, real *w)
{
    adam_pass(n, a, g, m, v, w);
}

void as_vexp(ptrdiff_t n, const real *x, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = exp(x[i]);
}

void as_vlog(ptrdiff_t n, const real *x, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = log(x[i]);
}

void as_vtanh(ptrdiff_t n, const real *x, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = tanh(x[i]);
}

void as_vsigmoid(ptrdiff_t n, const real *x, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = 1.0 / (1.0 + exp(-x[i]));
}

void as_vsoftplus(ptrdiff_t n, const real *x, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (x[i] > 0.0 ? x[i] : 0.0) + log1p(exp(-fabs(x[i])));
}

void as_verf(ptrdiff_t n, const real *x, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = erf(x[i]);
}
#endif

/* adam.h: the loop of as_vadam() in kernel.h. Plain C in terms of `real`: core/kernel/adam.c compiles it once per
 * processor level in float; in double it is included by core/real/kernel.c.
 */
#ifndef ASSAY_KERNEL_ADAM_H
#define ASSAY_KERNEL_ADAM_H

#include <assay/kernel.h>
#include <tgmath.h>

static inline void adam_pass(ptrdiff_t n, const struct as_adam *a, const real *restrict g, real *restrict m,
                             real *restrict v, real *restrict w)
{
    const real beta1 = (real)a->beta1, beta2 = (real)a->beta2, rest1 = (real)(1 - a->beta1), rest2 = (real)(1 - a->beta2);
    const real rate = (real)a->rate, unbias = (real)a->unbias, eps = (real)a->eps, keep = (real)a->keep;
    const real couple = (real)a->couple;

#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++) {
        real d = g[i] + couple * w[i];

        m[i] = beta1 * m[i] + rest1 * d;
        v[i] = beta2 * v[i] + rest2 * d * d;
        w[i] = keep * w[i] - rate * m[i] / (sqrt(v[i]) * unbias + eps);
    }
}

#endif

/* matrix.h: what studies ask of a matrix as a whole: singular values, and how evenly they are spread. In double in
 * either build, on the calling thread, in one fixed order: the same bits everywhere.
 */
#ifndef ASSAY_MATRIX_H
#define ASSAY_MATRIX_H

#include <stdbool.h>
#include <stddef.h>

/* The singular values of a (m, n), row-major, in falling order: s (min(m, n)). a is overwritten. One-sided Jacobi
 * (Hestenes 1958): small values keep their relative accuracy as far as those of a do. False when 60 sweeps did not
 * bring all pairs to right angles, or a holds what is not a number; s is then not to be used. */
bool as_singular_values(ptrdiff_t m, ptrdiff_t n, double *a, double *s);

/* -sum_i q_i log q_i / log n with q_i = s_i^2 / sum s^2: 1 when all n values are equal, 0 when one is alone. n < 2 or
 * all zero: 0. Its exponential before the division, n^entropy, is the effective rank (Roy & Vetterli 2007, with
 * squares). */
double as_spectral_entropy(ptrdiff_t n, const double *s);

#endif

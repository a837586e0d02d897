/* distance.h: how far two samples are from each other, for studies of what generates. A sample is n points in d
 * dimensions, one a row: x (n, d). In double whatever the build, sums in one fixed order: the same bits everywhere.
 */
#ifndef ASSAY_DISTANCE_H
#define ASSAY_DISTANCE_H

#include <assay/arena.h>
#include <assay/random.h>
#include <assay/real.h>

/* Maximum mean discrepancy (Gretton et al. 2012) with a kernel that is a mean of Gaussians of several widths,
 *     k(x, y) = mean over j < octaves of exp(-|x - y|^2 / (2 s_j^2)),   s_j = width / 2^j,
 * by random Fourier features (Rahimi and Recht 2007): k is the mean of cos(w.(x - y)) over `features` draws of w in each
 * octave, so the distance is between two means of cosines and sines, in time linear in n. A drawn kernel is a kernel:
 * the distance is a metric between samples, which is 0 for equal ones and, unlike its unbiased square, never negative;
 * two samples of one distribution are about sqrt(2 / n) apart or less. Measure that, and take it as the floor. */
struct as_mmd { ptrdiff_t d; int features, octaves; double width; struct as_key key; };

/* Numbers of a mean embedding: 2 * features * octaves. */
ptrdiff_t as_mmd_size(const struct as_mmd *m);
/* The mean embedding of a sample, n > 0: mean (as_mmd_size()), written. Scratch is taken from `a` and given back. */
#define as_mmd_mean AS_REAL(as_mmd_mean)
void as_mmd_mean(const struct as_mmd *m, struct as_arena *a, ptrdiff_t n, const real *x, double *mean);
/* The distance (not squared) of two samples, from their embeddings by the same m. */
double as_mmd_between(const struct as_mmd *m, const double *mean, const double *other);

/* Sliced 2-Wasserstein distance (Bonneel et al. 2015) of two samples of n points: the root of the mean, over
 * `directions` random unit vectors and over ranks, of the squared difference of projected points of one rank. */
#define as_sliced_wasserstein AS_REAL(as_sliced_wasserstein)
double as_sliced_wasserstein(struct as_arena *a, ptrdiff_t d, ptrdiff_t n, const real *x, const real *y, int directions,
                             struct as_key key);

#endif

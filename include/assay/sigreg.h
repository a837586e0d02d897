/* sigreg.h: how far embeddings are from an isotropic Gaussian, as a loss (SIGReg of LeJEPA: Balestriero and LeCun 2025,
 * arXiv 2511.08544): a layer hands it to as_auxiliary(), a study adds it to its own loss.
 */
#ifndef ASSAY_SIGREG_H
#define ASSAY_SIGREG_H

#include <assay/ops.h>

/* The statistic of Epps and Pulley (1983) against N(0, 1), a mean over the columns of p and, where p has them, over
 * groups: p (n, columns) or (groups, n, columns) -> (1),
 *
 *   T = n times the integral of |1/n sum_r exp(i t p_r) - exp(-t^2/2)|^2 exp(-t^2/2) dt
 *
 * by the trapezoid rule with 17 points on [-5, 5], as in the paper. (The integrand is even, so 9 of them are computed.)
 * Draws of N(0, 1) have sqrt(2 pi) - sqrt(2 pi / 3), about 1.06, on average; a constant has 0.4 n and more. */
#define as_epps_pulley AS_REAL(as_epps_pulley)
struct as_node *as_epps_pulley(struct as_tape *t, struct as_node *p);

/* T of z a, a mean over `directions` random unit vectors a: z (n, width) or (groups, n, width) -> (1). The directions
 * follow from the key and are the same for all groups; the paper draws them anew at every step. */
#define as_sigreg AS_REAL(as_sigreg)
struct as_node *as_sigreg(struct as_tape *t, struct as_node *z, ptrdiff_t directions, struct as_key key);

#endif

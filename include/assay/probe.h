/* probe.h: a linear read-out of frozen features: what a representation makes easy. Features x (n, d) and classes
 * label (n), 0..classes-1, are given; each feature is centred and divided by its deviation first (one that is constant
 * counts for nothing), so the ridge means the same for all features. In double whatever the build, sums in one fixed
 * order: the same bits everywhere.
 */
#ifndef ASSAY_PROBE_H
#define ASSAY_PROBE_H

#include <assay/arena.h>
#include <assay/real.h>

/* iterations = 0: ridge regression to one-hot targets, minimal (1/2n) sum |W z - y|^2 + ridge/2 |W|^2, by the normal
 * equations. Above: logistic regression, (1/n) sum of cross-entropies + ridge/2 |W|^2, by so many Newton steps with a
 * bound in place of the curvature (Boehning 1992), which never changes and needs one factorisation, and with Nesterov's
 * momentum. The bias is free of the ridge in both. */
struct as_probe_how { double ridge; int iterations; };

struct as_probe { ptrdiff_t d; int classes; double *mean, *scale /* (d) */, *w /* (classes, d) */, *bias /* (classes) */; };

/* Everything is in `a`, until that is reset. n, d >= 1, classes >= 2, ridge > 0. Raises when a feature is not finite or a
 * label is no class. */
#define as_probe_fit AS_REAL(as_probe_fit)
struct as_probe *as_probe_fit(struct as_arena *a, ptrdiff_t n, ptrdiff_t d, const real *x, const int32_t *label,
                              int classes, struct as_probe_how how);

/* Share of rows whose class has the largest output (ties: the lower class). n >= 1. */
#define as_probe_accuracy AS_REAL(as_probe_accuracy)
double as_probe_accuracy(const struct as_probe *p, ptrdiff_t n, const real *x, const int32_t *label);

#endif

/* field.h: random functions of one variable, drawn from a Gaussian random field: what operators are learned on.
 *
 * Mean 0, covariance exp(-(x - x')^2 / (2 l^2)) on an interval of length `extent`, l the length scale. The field is
 * made periodic with a period P so far beyond the interval that its images do not meet, and a periodic field is a
 * Fourier sum
 *     u(x) = a_0 xi_0 + sum_j a_j (xi_j cos(j w x) + eta_j sin(j w x)),   w = 2 pi / P,
 * with a_j^2 = 2 sqrt(2 pi) l / P exp(-(j w l)^2 / 2), half of it for j = 0, and independent normal draws. Images and
 * higher modes are left out from 6.5 l and 6.5 / l on, where they are below 1e-9. So a draw is a function, known at
 * every point with its integral, and not values on a grid; the numbers xi, eta are all that it needs.
 * In double; float draws, so that they can be stored in data as they are. Nothing is allocated.
 */
#ifndef ASSAY_FIELD_H
#define ASSAY_FIELD_H

#include <assay/random.h>
#include <stddef.h>

#define AS_FIELD_MODES 128           /* most modes: extent / l up to about 115 */

struct as_field { int modes; double w, a[AS_FIELD_MODES + 1]; };

/* Modes that a field takes; above AS_FIELD_MODES it cannot be drawn. */
int as_field_modes(double extent, double scale);
/* Fills f; more than AS_FIELD_MODES modes raise AS_REFUSED. */
void as_field_open(struct as_field *f, double extent, double scale);

/* The 2 modes + 1 numbers of one function: xi_0, then xi_j, eta_j for j = 1... */
void as_field_draw(const struct as_field *f, struct as_key key, float *xi);

double as_field_at(const struct as_field *f, const float *xi, double x);             /* u(x) */
double as_field_integral(const struct as_field *f, const float *xi, double x);       /* of u from 0 to x */
/* u at from + i step, i < n, by rotations: as as_field_at() but for some roundings a step. */
void as_field_sample(const struct as_field *f, const float *xi, double from, double step, ptrdiff_t n, double *u);

#endif

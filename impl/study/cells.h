/* cells.h: f of two recurrences h_t = f(h_{t-1}, x_t) and its Jacobian, for one step in double, without biases:
 *
 *   rnn: f = tanh(W x + U h)                                                                     one gate
 *   gru: r, z = sigmoid(W x + U h),  n = tanh(W_n x + r * (U_n h)),  f = z * h + (1 - z) * n     three
 *
 * U is a matrix, or (diagonal) a vector.
 */
#ifndef STUDY_CELLS_H
#define STUDY_CELLS_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

enum { MOST_UNITS = 64, RESET = 0, Z, N };

struct net { ptrdiff_t n; int gates; bool diagonal; const double *u; };    /* u: (gates, n, n), or (gates, n) */
struct gates { double r[MOST_UNITS], z[MOST_UNITS], m[MOST_UNITS], c[MOST_UNITS]; };

static inline double product(const struct net *w, int gate, ptrdiff_t i, const double *h)
{
    const double *u = w->u + gate * w->n * w->n + i * w->n;
    double sum = 0;

    if (w->diagonal)
        return w->u[gate * w->n + i] * h[i];
    for (ptrdiff_t j = 0; j < w->n; j++)
        sum += u[j] * h[j];
    return sum;
}

/* p: W x of the step, (gates, n). f (n) may be h. */
static inline void step(const struct net *w, const double *p, const double *h, struct gates *q, double *f)
{
    ptrdiff_t n = w->n;

    for (ptrdiff_t i = 0; i < n; i++) {
        if (w->gates == 1) {
            q->c[i] = tanh(p[i] + product(w, 0, i, h));
            continue;
        }
        q->r[i] = 1 / (1 + exp(-(p[i] + product(w, RESET, i, h))));
        q->z[i] = 1 / (1 + exp(-(p[n + i] + product(w, Z, i, h))));
        q->m[i] = product(w, N, i, h);
        q->c[i] = tanh(p[2 * n + i] + q->r[i] * q->m[i]);
    }
    for (ptrdiff_t i = 0; i < n; i++)
        f[i] = w->gates == 1 ? q->c[i] : q->z[i] * h[i] + (1 - q->z[i]) * q->c[i];
}

/* J (n, n), or (n) when it is diagonal or only its diagonal is asked for. */
static inline void jacobian(const struct net *w, const double *h, const struct gates *q, bool diagonal, double *jac)
{
    ptrdiff_t n = w->n;

    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = diagonal ? i : 0, end = diagonal ? i + 1 : n; k < end; k++) {
            ptrdiff_t at = w->diagonal ? i : i * n + k, gate = w->diagonal ? n : n * n;
            const double *u = w->u + at;
            double slope = 1 - q->c[i] * q->c[i], r = q->r[i], z = q->z[i], sum;

            if (w->gates == 1)
                sum = slope * u[0];
            else
                sum = (i == k ? z : 0) + (h[i] - q->c[i]) * z * (1 - z) * u[Z * gate]
                    + (1 - z) * slope * (r * u[N * gate] + q->m[i] * r * (1 - r) * u[RESET * gate]);
            jac[diagonal ? i : i * n + k] = sum;
        }
}

/* From g = dL/df: d (gates, n), the gradients of W x; meets, those of the products with U; back (n), what goes to h other
 * than through these. */
static inline void step_back(const struct net *w, const double *h, const struct gates *q, const double *g, double *d,
                             double (*meets)[MOST_UNITS], double *back)
{
    ptrdiff_t n = w->n;

    for (ptrdiff_t i = 0; i < n; i++) {
        double r = q->r[i], z = q->z[i], c = q->c[i], slope = 1 - c * c;

        back[i] = w->gates == 1 ? 0 : g[i] * z;
        d[w->gates == 1 ? i : 2 * n + i] = w->gates == 1 ? g[i] * slope : g[i] * (1 - z) * slope;
        meets[w->gates - 1][i] = w->gates == 1 ? d[i] : d[2 * n + i] * r;
        if (w->gates == 1)
            continue;
        meets[RESET][i] = d[i] = d[2 * n + i] * q->m[i] * r * (1 - r);
        meets[Z][i] = d[n + i] = g[i] * (h[i] - c) * z * (1 - z);
    }
}

#endif

/* trace.h: the sensitivities of an element-wise recurrence with two gates (elstm.c has the equations): how they go on by
 * one step, and how an error at c becomes the gradient of the whole past.
 */
#ifndef RECURRENT_TRACE_H
#define RECURRENT_TRACE_H

#include <assay/layer.h>
#include <tgmath.h>

struct trace {
    ptrdiff_t h, d, rows;
    const real *x, *a, *w;                        /* (rows, d); (rows, 2h) W x + b; (2, h) */
    const real *w_x;                              /* W */
    real *c, *s_w, *s_r, *s_b;                    /* states, of all rows */
    real *direct;                                 /* (rows, 2, h): dc/da of this step alone */
};

/* c and its sensitivities of one row become the next ones. */
static inline void trace_row(void *ctx, ptrdiff_t r)
{
    const struct trace *s = ctx;
    ptrdiff_t h = s->h, d = s->d;
    const real *x = s->x + r * d;

    for (ptrdiff_t k = 0; k < h; k++) {
        real *c = s->c + r * h + k, old = *c, *sf = s->s_w + (r * 2 * h + k) * d, *sz = sf + h * d;
        real f = 1 / (1 + exp(-(s->a[r * 2 * h + k] + s->w[k] * old)));
        real z = tanh(s->a[r * 2 * h + h + k] + s->w[h + k] * old);
        real df = (old - z) * f * (1 - f), dz = (1 - f) * (1 - z * z), J = f + df * s->w[k] + dz * s->w[h + k];
        ptrdiff_t at = r * 2 * h + k;

        for (ptrdiff_t j = 0; j < d; j++) {
            sf[j] = J * sf[j] + df * x[j];
            sz[j] = J * sz[j] + dz * x[j];
        }
        s->s_r[at] = J * s->s_r[at] + df * old;
        s->s_r[at + h] = J * s->s_r[at + h] + dz * old;
        s->s_b[at] = J * s->s_b[at] + df;
        s->s_b[at + h] = J * s->s_b[at + h] + dz;
        s->direct[at] = df;
        s->direct[at + h] = dz;
        *c = f * old + (1 - f) * z;
    }
}

/* dtheta += dc * dc/dtheta, rows in order; x gets what this step alone says. */
static inline void trace_back(struct as_tape *t, struct as_note *note)
{
    const struct trace *s = note->saved;
    const real *dc = note->out->dx;
    real *dx = as_gradient(t, note->in[0]), *dw = as_gradient(t, note->in[1]), *dr = as_gradient(t, note->in[2]);
    real *db = as_gradient(t, note->in[3]);
    ptrdiff_t h = s->h, d = s->d;

    for (ptrdiff_t i = 0; i < s->rows * 2 * h; i++) {
        ptrdiff_t r = i / (2 * h), u = i % (2 * h);
        real g = dc[r * h + u % h], at = g * s->direct[i];

        for (ptrdiff_t j = 0; dw && j < d; j++)
            dw[u * d + j] += g * s->s_w[i * d + j];
        for (ptrdiff_t j = 0; dx && j < d; j++)
            dx[r * d + j] += at * s->w_x[u * d + j];
        if (dr)
            dr[u] += g * s->s_r[i];
        if (db)
            db[u] += g * s->s_b[i];
    }
}

#endif

/* stream.h: what one step of a stream takes in rnn, lstm and gru: their products for all rows of the batch at once,
 * where the reference goes row by row and sum by sum. Float only.
 */
#ifndef RECURRENT_STREAM_H
#define RECURRENT_STREAM_H

#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>

#define GATE_COST 20.0               /* operations a gate and unit, roughly: an exponential and a quotient */

/* A step of n units in `gates` gates; z: sums, then gates, of each row. */
struct step {
    const struct as_call *call;
    ptrdiff_t batch, in, n, gates;
    float *z;                        /* (batch, gates * n) */
};

static inline struct step step_of(const struct as_call *c, ptrdiff_t gates)
{
    return (struct step){ c, c->in->dim[0], c->in->dim[c->in->rank - 1], c->out->dim[c->out->rank - 1], gates,
                          c->scratch[0] };
}

/* Each row of `to` (batch, m) becomes b (m), or zero when b is NULL. */
static inline void start_rows(const struct step *s, ptrdiff_t m, const float *b, float *to)
{
    for (ptrdiff_t r = 0; r < s->batch; r++)
        if (b)
            memcpy(to + r * m, b, (size_t)m * sizeof *b);
        else
            memset(to + r * m, 0, (size_t)m * sizeof *to);
}

/* z = x W^T + b; b (gates * n) may be NULL. */
static inline void sums_of_input(const struct step *s, const float *W, const float *b)
{
    const ptrdiff_t m = s->gates * s->n;

    start_rows(s, m, b, s->z);
    as_gemm(0, 1, s->batch, m, s->in, 1, s->call->x[0], s->in, W, s->in, 1, s->z, m);
}

/* to (batch, rows; leading ld) += h (batch, n) U^T, U (rows, n); diagonal: U (rows), row i meets unit i mod n of h. */
static inline void add_recurrent(const struct step *s, ptrdiff_t rows, int diagonal, const float *h, const float *U,
                                 float *to, ptrdiff_t ld)
{
    if (!diagonal)
        as_gemm(0, 1, s->batch, rows, s->n, 1, h, s->n, U, s->n, 1, to, ld);
    for (ptrdiff_t r = 0; diagonal && r < s->batch; r++)
        for (ptrdiff_t i = 0; i < rows; i++)
            to[r * ld + i] = AS_FMA(U[i], h[r * s->n + i % s->n], to[r * ld + i]);
}

/* piece(s, r) for each row. */
static inline void each_row(struct step *s, void (*piece)(void *ctx, ptrdiff_t r))
{
    as_parallel(s->batch, (double)s->batch * (double)(s->gates * s->n) * GATE_COST, piece, s);
}

#endif

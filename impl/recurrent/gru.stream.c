/* gru.stream.c: a step of a stream with the products by W and U for all rows, and the gates by whole arrays. */
#include "gru.h"
#include "stream.h"

enum { RESET, Z, N };                          /* blocks of z */
enum { R_Z, R_MET };                           /* scratch: (batch, 3n); what the reset gate met (batch, n) */

static void plan(struct as_room *r)
{
    size_t units = (size_t)(r->in->dim[0] * r->out->dim[r->out->rank - 1]);

    r->scratch[R_Z] = 3 * units;
    r->scratch[R_MET] = units;
}

static void gates_row(void *ctx, ptrdiff_t r)
{
    const struct step *s = ctx;
    const ptrdiff_t n = s->n;
    float *reset = s->z + r * 3 * n, *met = (float *)s->call->scratch[R_MET] + r * n;
    const float *h = s->call->state[0] + r * n;

    as_vsigmoid(2 * n, reset, reset);
    for (ptrdiff_t j = 0; ((const struct gru *)s->call->opt)->reset == GRU_BEFORE && j < n; j++)
        met[j] = reset[j] * h[j];
}

static void state_row(void *ctx, ptrdiff_t r)
{
    const struct step *s = ctx;
    const ptrdiff_t n = s->n;
    float *reset = s->z + r * 3 * n, *z = reset + Z * n, *new = reset + N * n, *h = s->call->state[0] + r * n;
    const float *met = (const float *)s->call->scratch[R_MET] + r * n;

    for (ptrdiff_t j = 0; ((const struct gru *)s->call->opt)->reset == GRU_AFTER && j < n; j++)
        new[j] = AS_FMA(reset[j], met[j], new[j]);
    as_vtanh(n, new, new);
    for (ptrdiff_t j = 0; j < n; j++)
        h[j] = AS_FMA(z[j], h[j] - new[j], new[j]);
    memcpy(s->call->y + r * n, h, (size_t)n * sizeof *h);
}

static void step(const struct as_call *c)
{
    const struct gru *o = c->opt;
    struct step s = step_of(c, 3);
    const int diagonal = o->recurrence == GRU_DIAGONAL;
    const float *u = c->w[GRU_U], *un = u + N * s.n * (diagonal ? 1 : s.n);
    float *met = c->scratch[R_MET], *h = c->state[0];

    sums_of_input(&s, c->w[GRU_W], o->bias ? c->w[GRU_B] : NULL);
    add_recurrent(&s, 2 * s.n, diagonal, h, u, s.z, 3 * s.n);
    each_row(&s, gates_row);
    if (o->reset == GRU_BEFORE)
        add_recurrent(&s, s.n, diagonal, met, un, s.z + N * s.n, 3 * s.n);
    else {
        start_rows(&s, s.n, o->bias ? c->w[GRU_C] : NULL, met);
        add_recurrent(&s, s.n, diagonal, h, un, met, s.n);
    }
    each_row(&s, state_row);
}

static const struct as_impl stream = { .abi = ASSAY_ABI, .name = "stream", .rank = 5, .plan = plan, .step = step };

const struct as_plugin AS_PLUGIN(recurrent__gru__stream) = { .abi = ASSAY_ABI, .impl = { &stream } };

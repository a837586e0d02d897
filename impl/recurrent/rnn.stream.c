/* rnn.stream.c: a step of a stream with one product by W and one by U for all rows. */
#include "rnn.h"
#include "stream.h"

static void plan(struct as_room *r)
{
    r->scratch[0] = (size_t)(r->in->dim[0] * r->out->dim[r->out->rank - 1]);
}

static void state_row(void *ctx, ptrdiff_t r)
{
    const struct step *s = ctx;
    const ptrdiff_t n = s->n;
    const float *z = s->z + r * n;
    float *h = s->call->state[0] + r * n;

    if (((const struct rnn *)s->call->opt)->nonlinearity == RNN_TANH)
        as_vtanh(n, z, h);
    else
        for (ptrdiff_t j = 0; j < n; j++)
            h[j] = z[j] < 0.0f ? 0.0f : z[j];  /* a NaN stays one */
    memcpy(s->call->y + r * n, h, (size_t)n * sizeof *h);
}

static void step(const struct as_call *c)
{
    const struct rnn *o = c->opt;
    struct step s = step_of(c, 1);

    sums_of_input(&s, c->w[RNN_W], o->bias ? c->w[RNN_B] : NULL);
    add_recurrent(&s, s.n, o->recurrence == RNN_DIAGONAL, c->state[0], c->w[RNN_U], s.z, s.n);
    each_row(&s, state_row);
}

static const struct as_impl stream = { .abi = ASSAY_ABI, .name = "stream", .rank = 5, .plan = plan, .step = step };

const struct as_plugin AS_PLUGIN(recurrent__rnn__stream) = { .abi = ASSAY_ABI, .impl = { &stream } };

/* lstm.stream.c: a step of a stream with one product by W and one by U for all rows, and the gates by whole arrays. */
#include "lstm.h"
#include "stream.h"

enum { IN, FORGET, OUT, NEW };                 /* blocks of z */

static void plan(struct as_room *r)
{
    r->scratch[0] = (size_t)(4 * r->in->dim[0] * r->out->dim[r->out->rank - 1]);
}

/* z_i += p_i * c for each unit of a gate. */
static void see_cell(ptrdiff_t n, const float *p, const float *c, float *z)
{
    for (ptrdiff_t j = 0; j < n; j++)
        z[j] = AS_FMA(p[j], c[j], z[j]);
}

static void gates_row(void *ctx, ptrdiff_t r)
{
    const struct step *s = ctx;
    const ptrdiff_t n = s->n;
    const float *p = ((const struct lstm *)s->call->opt)->peepholes ? s->call->w[LSTM_P] : NULL;
    float *z = s->z + r * 4 * n, *in = z + IN * n, *forget = z + FORGET * n, *out = z + OUT * n, *new = z + NEW * n;
    float *h = s->call->state[LSTM_H] + r * n, *c = s->call->state[LSTM_C] + r * n;

    if (p) {
        see_cell(n, p, c, in);
        see_cell(n, p + n, c, forget);
    }
    as_vsigmoid(2 * n, in, in);
    as_vtanh(n, new, new);
    for (ptrdiff_t j = 0; j < n; j++)
        c[j] = AS_FMA(forget[j], c[j], in[j] * new[j]);
    if (p)
        see_cell(n, p + 2 * n, c, out);
    as_vsigmoid(n, out, out);
    as_vtanh(n, c, h);
    for (ptrdiff_t j = 0; j < n; j++)
        h[j] *= out[j];
    memcpy(s->call->y + r * n, h, (size_t)n * sizeof *h);
}

static void step(const struct as_call *c)
{
    const struct lstm *o = c->opt;
    struct step s = step_of(c, 4);

    sums_of_input(&s, c->w[LSTM_W], o->bias ? c->w[LSTM_B] : NULL);
    add_recurrent(&s, 4 * s.n, 0, c->state[LSTM_H], c->w[LSTM_U], s.z, 4 * s.n);
    each_row(&s, gates_row);
}

static const struct as_impl stream = { .abi = ASSAY_ABI, .name = "stream", .rank = 5, .plan = plan, .step = step };

const struct as_plugin AS_PLUGIN(recurrent__lstm__stream) = { .abi = ASSAY_ABI, .impl = { &stream } };

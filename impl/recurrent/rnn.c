/* rnn.c: the simple (Elman) recurrent network.
 *
 *   h_t = phi(W x_t + U h_{t-1} + b),   h_0 = 0,   phi = tanh or relu
 *
 * Elman 1990, "Finding structure in time"; the form of Chung et al. 2014, eq. 2, with a bias. Matrices start
 * uniform in +-1/sqrt(hidden), biases at zero; U may start orthogonal, or as the identity with relu (Le,
 * Jaitly and Hinton 2015).
 *
 * recurrence = diagonal: U is a vector u, h_t = phi(W x_t + u * h_{t-1} + b), as in Li et al. 2018 (IndRNN), eq. 2.
 * Each unit meets its own state only, so all steps can be solved at once: rnn.newton.c. u starts uniform in +-1, or
 * at 1 (start = identity).
 */
#include "rnn.h"

#include <string.h>
#include <tgmath.h>

enum { START_UNIFORM, START_ORTHOGONAL, START_IDENTITY };

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct rnn, hidden), 0, 0, 65536, NULL, "32,64,128",
      "units of h; 0: the width of the input" },
    { "bias", AS_BOOL, offsetof(struct rnn, bias), 1, 0, 0, NULL, NULL, "with b" },
    { "nonlinearity", AS_WORD, offsetof(struct rnn, nonlinearity), RNN_TANH, 0, 0, "tanh|relu", "tanh,relu", "phi" },
    { "start", AS_WORD, offsetof(struct rnn, start), START_UNIFORM, 0, 0, "uniform|orthogonal|identity",
      "uniform,orthogonal", "initial U" },
    { "recurrence", AS_WORD, offsetof(struct rnn, recurrence), RNN_FULL, 0, 0, "full|diagonal", "full,diagonal",
      "U: a matrix, or a vector, with which each unit meets its own state only" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct rnn *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on (batch, time, width)";
    if (o->recurrence == RNN_DIAGONAL && o->start == START_ORTHOGONAL)
        return "start = orthogonal is for matrices; with recurrence = diagonal there are uniform and identity";
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct rnn *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->hidden ? o->hidden : d;
    double limit = 1 / sqrt((double)h);
    struct as_init uniform = { .spread = AS_UNIFORM, .a = -limit, .b = limit }, u = uniform;

    if (o->start == START_ORTHOGONAL)
        u = (struct as_init){ .spread = AS_ORTHOGONAL };
    if (o->start == START_IDENTITY)
        u = (struct as_init){ .spread = AS_IDENTITY };
    as_weight(p, RNN_W, "W", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ h, d });
    if (o->recurrence == RNN_DIAGONAL) {
        u = (struct as_init){ .spread = AS_UNIFORM, .a = -1, .b = 1 };
        if (o->start == START_IDENTITY)
            u = (struct as_init){ .spread = AS_CONSTANT, .a = 1 };
        as_weight(p, RNN_U, "U", AS_RECURRENCE, u, 1, (ptrdiff_t[]){ h });
    } else
        as_weight(p, RNN_U, "U", AS_MATRIX, u, 2, (ptrdiff_t[]){ h, h });
    if (o->bias)
        as_weight(p, RNN_B, "b", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ h });
    as_state(p, 0, "h", (struct as_init){ .spread = AS_ZERO }, 2, (ptrdiff_t[]){ AS_ANY, h });
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, h });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct rnn *o = g->opt;
    struct as_tape *t = g->t;
    ptrdiff_t batch = x->dim[0], time = x->dim[1], h = as_w(g, RNN_U)->dim[0];
    struct as_node *pre = as_linear(t, x, as_w(g, RNN_W), o->bias ? as_w(g, RNN_B) : NULL), *state = NULL, *y;
    struct as_node **all = as_arena_take(as_tape_arena(t), (size_t)(time + 1) * sizeof *all);

    for (ptrdiff_t s = 0; s < time; s++) {
        struct as_node *a = as_reshape(t, as_slice(t, pre, 1, s, 1), 2, (ptrdiff_t[]){ batch, h });

        if (state)
            a = as_add(t, a, o->recurrence == RNN_DIAGONAL ? as_mul(t, state, as_w(g, RNN_U))
                                                           : as_matmul_t(t, state, as_w(g, RNN_U)));
        all[s] = state = o->nonlinearity == RNN_RELU ? as_relu(t, a) : as_tanh(t, a);
    }
    y = as_stack(t, (int)time, all, 1);
    y->length = x->length;
    return y;
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    const struct rnn *o = opt;
    double d = (double)in->dim[2], h = o->hidden ? o->hidden : d;

    (void)n_in;
    return (struct as_cost){ .flop = (double)in->dim[0] * (double)in->dim[1] * h
                                     * (2 * d + (o->recurrence == RNN_DIAGONAL ? 2 : 2 * h) + 2) };
}

/* --- reference: one row after the other, one step after the other ----------------------------------------- */

struct sizes { ptrdiff_t batch, time, d, h; };

static struct sizes sizes_of(const struct as_spec *in, const struct as_spec *out)
{
    return (struct sizes){ in->dim[0], in->dim[1], in->dim[in->rank - 1], out->dim[out->rank - 1] };
}

static void ref_plan(struct as_room *r)
{
    struct sizes s = sizes_of(r->in, r->out);

    if (r->gradients)
        r->saved[0] = (size_t)(s.batch * s.time * s.h);          /* h_t */
    r->scratch[0] = (size_t)(3 * s.h);
}

/* h becomes the next h; now (h) takes it first, for every unit needs the old ones. */
static void advance(const struct as_call *c, struct sizes s, const real *x, real *h, real *now)
{
    const struct rnn *o = c->opt;

    for (ptrdiff_t i = 0; i < s.h; i++) {
        real a = o->bias ? c->w[RNN_B][i] : 0;

        for (ptrdiff_t j = 0; j < s.d; j++)
            a += c->w[RNN_W][i * s.d + j] * x[j];
        if (o->recurrence == RNN_DIAGONAL)
            a += c->w[RNN_U][i] * h[i];
        else
            for (ptrdiff_t j = 0; j < s.h; j++)
                a += c->w[RNN_U][i * s.h + j] * h[j];
        now[i] = o->nonlinearity == RNN_RELU ? (a < 0 ? 0 : a) : tanh(a);
    }
    memcpy(h, now, (size_t)s.h * sizeof *h);
}

static void ref_forward(const struct as_call *c)
{
    struct sizes s = sizes_of(c->in, c->out);
    real *h = c->scratch[0], *saved = c->saved ? c->saved[0] : NULL;

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(h, 0, (size_t)s.h * sizeof *h);
        for (ptrdiff_t t = b * s.time; t < (b + 1) * s.time; t++) {
            advance(c, s, c->x[0] + t * s.d, h, h + s.h);
            memcpy(c->y + t * s.h, h, (size_t)s.h * sizeof *h);
            if (saved)
                memcpy(saved + t * s.h, h, (size_t)s.h * sizeof *h);
        }
    }
}

static void ref_step(const struct as_call *c)
{
    struct sizes s = sizes_of(c->in, c->out);

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        advance(c, s, c->x[0] + b * s.d, c->state[0] + b * s.h, c->scratch[0]);
        memcpy(c->y + b * s.h, c->state[0] + b * s.h, (size_t)s.h * sizeof *c->y);
    }
}

/* One step back for one row: da is the gradient before phi; dh_before gets U' da. */
static void retreat(const struct as_call *c, struct sizes s, ptrdiff_t t, const real *before, const real *da,
                    real *dh_before)
{
    const struct rnn *o = c->opt;
    const real *x = c->x[0] + t * s.d;
    bool diagonal = o->recurrence == RNN_DIAGONAL;

    for (ptrdiff_t i = 0; i < s.h; i++) {
        for (ptrdiff_t j = 0; j < s.d; j++) {
            if (c->dw[RNN_W])
                c->dw[RNN_W][i * s.d + j] += da[i] * x[j];
            if (c->dx[0])
                c->dx[0][t * s.d + j] += da[i] * c->w[RNN_W][i * s.d + j];
        }
        for (ptrdiff_t j = diagonal ? i : 0, end = diagonal ? i + 1 : s.h; before && j < end; j++) {
            ptrdiff_t at = diagonal ? i : i * s.h + j;

            if (c->dw[RNN_U])
                c->dw[RNN_U][at] += da[i] * before[j];
            dh_before[j] += da[i] * c->w[RNN_U][at];
        }
        if (o->bias && c->dw[RNN_B])
            c->dw[RNN_B][i] += da[i];
    }
}

static void ref_backward(const struct as_call *c)
{
    struct sizes s = sizes_of(c->in, c->out);
    const real *saved = c->saved[0];
    real *dh = c->scratch[0], *da = dh + s.h;
    int relu = ((const struct rnn *)c->opt)->nonlinearity == RNN_RELU;

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(dh, 0, (size_t)s.h * sizeof *dh);
        for (ptrdiff_t t = (b + 1) * s.time - 1; t >= b * s.time; t--) {
            const real *h = saved + t * s.h;

            for (ptrdiff_t i = 0; i < s.h; i++) {
                real d = dh[i] + c->dy[t * s.h + i];

                da[i] = relu ? (h[i] > 0 ? d : 0) : d * (1 - h[i] * h[i]);
                dh[i] = 0;
            }
            retreat(c, s, t, t > b * s.time ? h - s.h : NULL, da, dh);
        }
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = ref_forward, .backward = ref_backward,
    .step = ref_step,
};

static const struct as_variant rnn = {
    .abi = ASSAY_ABI,
    .summary = "simple recurrent network, tanh or relu, with a full or a diagonal recurrence",
    .paper = { .key = "elman1990", .title = "Finding structure in time",
               .url = "https://doi.org/10.1207/s15516709cog1402_1", .year = 1990,
               .where = "figure 2; as eq. 2 of Chung et al. 2014 (arXiv 1412.3555)",
               .departs = "trained through all steps; a bias; the read-out is another layer; recurrence = diagonal "
                          "puts a vector for U (Li et al. 2018, arXiv 1803.04831, eq. 2, without bounds on it)" },
    .options = options, .opt_size = sizeof(struct rnn),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(recurrent__rnn) = { .abi = ASSAY_ABI, .variant = &rnn, .impl = { &ref } };

/* Linear attention as a fast-weight memory: what is written under a key is added to what was there.
 *
 * Katharopoulos et al. 2020, "Transformers are RNNs", eq. 16-20 without the normaliser; with a decay per head the
 * retention of Sun et al. 2023 (eq. 6) and the scalar gate of Mamba-2 (Dao & Gu 2024). Per head, S (dk, dv):
 *     S_t = a_t S_{t-1} + k_t^T v_t         a_t = exp(g_t) <= 1; 1 without the port g
 *     o_t = q_t S_t
 * Departs: feature map and normaliser belong to the layer around it (as_normaliser() in ops.h is the latter).
 *
 * `graph` is the parallel form, O = (Q K^T o G) V with G_ij = exp(g_{j+1} + ... + g_i) for j <= i; `ref` the
 * recurrence, with dS_t += q_t^T do_t, dv_t = k_t dS_t, dk_t = v_t dS_t^T, dg_t = a_t <dS_t, S_{t-1}>.
 */
#include "memory.h"

#include <tgmath.h>

enum { G = V + 1, PORTS };                   /* g (batch, time, heads) */

static const char *const ports[] = { "q", "k", "v", "g", NULL };
static const struct as_sample samples[] = {
    { 2, { 2, 5 }, .sd = 0.5 }, { 2, { 2, 5 }, .sd = 0.5 }, { 2, { 2, 3 }, .sd = 0.5 },
    { 1, { 2 }, .lo = -0.5, .optional = true },
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (n_in != PORTS && n_in != PORTS - 1)
        return "the linear rule takes q, k, v and, when it forgets, g";
    for (int i = 0; i < n_in; i++)
        if (in[i].dtype != AS_REALS || in[i].rank != (i < G ? 4 : 3) || in[i].dim[2] != in[Q].dim[2])
            return "the linear rule takes q, k, v as (batch, time, heads, width) and g as (batch, time, heads)";
    return in[K].dim[3] == in[Q].dim[3] ? NULL : "q and k of the linear rule have the same width";
}

static struct as_node *lower(struct as_tape *t, ptrdiff_t n)
{
    struct as_node *mask = as_node_ints(t, 2, (ptrdiff_t[]){ n, n });

    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < n; j++)
            mask->i[i * n + j] = j <= i;
    return mask;
}

static struct as_node *constant(struct as_tape *t, real value)
{
    struct as_node *c = as_node_new(t, 1, (ptrdiff_t[]){ 1 });

    c->x[0] = value;
    return c;
}

/* One time step from the state, for streaming. */
static struct as_node *one_step(struct as_graph *g, struct as_node *q)
{
    struct as_tape *t = g->t;
    struct as_node *s = as_graph_state(g, S);
    struct as_node *k = as_swap(t, g->in[K], 1, 2), *v = as_swap(t, g->in[V], 1, 2);

    if (g->n_in > G)
        s = as_mul(t, s, as_exp(t, as_reshape(t, g->in[G], 4, (ptrdiff_t[]){ q->dim[0], q->dim[2], 1, 1 })));
    s = as_add(t, s, as_bmm(t, k, true, v, false));
    as_graph_state_set(g, S, s);
    return as_swap(t, as_bmm(t, as_swap(t, q, 1, 2), false, s, false), 1, 2);
}

static struct as_node *graph(struct as_graph *g, struct as_node *q)
{
    struct as_tape *t = g->t;
    struct as_node *k = as_swap(t, g->in[K], 1, 2), *v = as_swap(t, g->in[V], 1, 2), *scores, *y;
    struct as_node *mask = lower(t, q->dim[1]);

    if (g->streaming)
        return one_step(g, q);
    scores = as_bmm(t, as_swap(t, q, 1, 2), false, k, true);                 /* (batch, heads, time, time) */
    if (g->n_in > G) {
        struct as_node *b = as_swap(t, as_cumsum(t, g->in[G], 1), 1, 2);      /* (batch, heads, time) */
        ptrdiff_t column[] = { b->dim[0], b->dim[1], b->dim[2], 1 }, row[] = { b->dim[0], b->dim[1], 1, b->dim[2] };
        struct as_node *d = as_sub(t, as_reshape(t, b, 4, column), as_reshape(t, b, 4, row));

        scores = as_mul(t, scores, as_exp(t, as_where(t, mask, d, constant(t, -(real)INFINITY))));
    } else
        scores = as_where(t, mask, scores, constant(t, R(0.0)));
    y = as_swap(t, as_bmm(t, scores, false, v, false), 1, 2);
    y->length = q->length;
    return y;
}

/* --- ref: the recurrence ----------------------------------------------------------------------------------- */

static real decay(const struct as_call *c, ptrdiff_t position)
{
    return c->n_in > G ? exp(c->x[G][position]) : R(1.0);
}

static void advance(const struct as_call *c, struct memory z, ptrdiff_t p, real *s)
{
    const real *q = c->x[Q] + p * z.dk, *k = c->x[K] + p * z.dk, *v = c->x[V] + p * z.dv;
    real a = decay(c, p), *o = c->y + p * z.dv;

    memset(o, 0, (size_t)z.dv * sizeof *o);
    for (ptrdiff_t i = 0; i < z.dk; i++)
        for (ptrdiff_t j = 0; j < z.dv; j++) {
            s[i * z.dv + j] = a * s[i * z.dv + j] + k[i] * v[j];
            o[j] += q[i] * s[i * z.dv + j];
        }
}

static void retreat(const struct as_call *c, struct memory z, ptrdiff_t p, const real *before, const real *after,
                    real *ds)
{
    const real *q = c->x[Q] + p * z.dk, *k = c->x[K] + p * z.dk, *v = c->x[V] + p * z.dv, *dy = c->dy + p * z.dv;
    real a = decay(c, p), dg = 0;

    for (ptrdiff_t i = 0; i < z.dk; i++) {
        real dq = 0, dk = 0;

        for (ptrdiff_t j = 0; j < z.dv; j++) {
            real *d = &ds[i * z.dv + j];

            dq += dy[j] * after[i * z.dv + j];
            *d += q[i] * dy[j];
            dk += v[j] * *d;
            if (c->dx[V])
                c->dx[V][p * z.dv + j] += k[i] * *d;
            *d *= a;
            dg += *d * before[i * z.dv + j];
        }
        if (c->dx[Q])
            c->dx[Q][p * z.dk + i] += dq;
        if (c->dx[K])
            c->dx[K][p * z.dk + i] += dk;
    }
    if (c->n_in > G && c->dx[G])
        c->dx[G][p] += dg;
}

static void ref_forward(const struct as_call *c) { memory_forward(c, advance); }
static void ref_backward(const struct as_call *c) { memory_backward(c, retreat); }
static void ref_step(const struct as_call *c) { memory_step(c, advance); }

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return memory_cost(in, 4, 0);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "additive fast-weight memory on given q, k, v, with or without decay",
    .paper = { .key = "katharopoulos2020linear", .title = "Transformers are RNNs: Fast Autoregressive Transformers with "
               "Linear Attention", .url = "https://arxiv.org/abs/2006.16236", .where = "eq. 16-20; Sun et al. 2023, eq. 6",
               .departs = "feature map and normaliser are the layer's", .year = 2020 },
    .ports = ports, .samples = samples,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = memory_plan,
    .graph = graph,
    .cost = cost,
};

static const struct as_impl ref = {
    .abi = ASSAY_ABI,
    .name = "ref",
    .plan = memory_room,
    .forward = ref_forward,
    .backward = ref_backward,
    .step = ref_step,
};

const struct as_plugin AS_PLUGIN(core__linear_rule) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

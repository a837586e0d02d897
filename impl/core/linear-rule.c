/* Linear attention as a fast-weight memory: what is written under a key is added to what was there.
 *
 * Katharopoulos et al. 2020, "Transformers are RNNs", eq. 16-20 without the normaliser; with a decay per head the
 * retention of Sun et al. 2023 (eq. 6) and the scalar gate of Mamba-2 (Dao & Gu 2024). Per head, S (dk, dv):
 *     S_t = a_t S_{t-1} + k_t^T v_t         a_t = exp(g_t) <= 1; 1 without the port g
 *     o_t = q_t S_t
 * Departs: feature map and normaliser belong to the layer around it (append a column of ones to v).
 *
 * `graph` is the parallel form, O = (Q K^T o G) V with G_ij = exp(g_{j+1} + ... + g_i) for j <= i; `ref` the
 * recurrence, with dS_t += q_t^T do_t, dv_t = k_t dS_t, dk_t = v_t dS_t^T, dg_t = a_t <dS_t, S_{t-1}>.
 */
#include <assay/layer.h>
#include <string.h>
#include <tgmath.h>

enum { Q, K, V, G, PORTS };                  /* q, k (batch, time, heads, dk), v (.., dv), g (batch, time, heads) */
enum { S };

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

static void plan(struct as_plan *p)
{
    ptrdiff_t out[] = { AS_ANY, AS_ANY, p->in[V].dim[2], p->in[V].dim[3] };
    ptrdiff_t state[] = { AS_ANY, p->in[K].dim[2], p->in[K].dim[3], p->in[V].dim[3] };

    as_output(p, 0, 4, out);
    as_state(p, S, "S", (struct as_init){ .spread = AS_ZERO }, 4, state);
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

struct size { ptrdiff_t batch, time, heads, dk, dv; };

static struct size size_of(const struct as_spec *in)
{
    return (struct size){ in[Q].dim[0], in[Q].dim[1], in[Q].dim[2], in[Q].dim[3], in[V].dim[3] };
}

static void ref_plan(struct as_room *r)
{
    struct size z = size_of(r->in);
    size_t s = as_size((size_t)z.dk, (size_t)z.dv);

    if (r->gradients)                        /* every state, S_0 = 0 first: (batch, heads, time + 1, dk, dv) */
        r->saved[0] = as_size(as_size(s, (size_t)(z.batch * z.heads)), (size_t)(z.time + 1));
    r->scratch[0] = s;
}

static real decay(const struct as_call *c, ptrdiff_t position)
{
    return c->n_in > G ? exp(c->x[G][position]) : R(1.0);
}

static void advance(const struct as_call *c, ptrdiff_t dk, ptrdiff_t dv, ptrdiff_t p, real *s)
{
    const real *q = c->x[Q] + p * dk, *k = c->x[K] + p * dk, *v = c->x[V] + p * dv;
    real a = decay(c, p), *o = c->y + p * dv;

    memset(o, 0, (size_t)dv * sizeof *o);
    for (ptrdiff_t i = 0; i < dk; i++)
        for (ptrdiff_t j = 0; j < dv; j++) {
            s[i * dv + j] = a * s[i * dv + j] + k[i] * v[j];
            o[j] += q[i] * s[i * dv + j];
        }
}

static void ref_forward(const struct as_call *c)
{
    struct size z = size_of(c->in);
    size_t bytes = (size_t)(z.dk * z.dv) * sizeof(real);
    real *s = c->scratch[0];

    for (ptrdiff_t row = 0; row < z.batch * z.heads; row++) {
        real *all = c->saved ? (real *)c->saved[0] + row * (z.time + 1) * z.dk * z.dv : NULL;

        memset(s, 0, bytes);
        if (all)
            memset(all, 0, bytes);
        for (ptrdiff_t t = 0; t < z.time; t++) {
            advance(c, z.dk, z.dv, (row / z.heads * z.time + t) * z.heads + row % z.heads, s);
            if (all)
                memcpy(all + (t + 1) * z.dk * z.dv, s, bytes);
        }
    }
}

static void retreat(const struct as_call *c, struct size z, ptrdiff_t p, const real *before, const real *after,
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

static void ref_backward(const struct as_call *c)
{
    struct size z = size_of(c->in);
    ptrdiff_t ss = z.dk * z.dv;
    real *ds = c->scratch[0];

    for (ptrdiff_t row = 0; row < z.batch * z.heads; row++) {
        const real *all = (const real *)c->saved[0] + row * (z.time + 1) * ss;

        memset(ds, 0, (size_t)ss * sizeof *ds);
        for (ptrdiff_t t = z.time - 1; t >= 0; t--)
            retreat(c, z, (row / z.heads * z.time + t) * z.heads + row % z.heads, all + t * ss, all + (t + 1) * ss, ds);
    }
}

static void ref_step(const struct as_call *c)
{
    ptrdiff_t rows = c->in[Q].dim[0] * c->in[Q].dim[2], dk = c->in[Q].dim[3], dv = c->in[V].dim[3];

    for (ptrdiff_t p = 0; p < rows; p++)
        advance(c, dk, dv, p, c->state[S] + p * dk * dv);
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    struct size z = size_of(in);
    double steps = (double)z.batch * (double)z.time * (double)z.heads;

    (void)opt;
    (void)n_in;
    return (struct as_cost){ .flop = steps * 4.0 * (double)z.dk * (double)z.dv,
                             .bytes = steps * 4.0 * (2.0 * (double)z.dk + 2.0 * (double)z.dv) };
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
    .plan = plan,
    .graph = graph,
    .cost = cost,
};

static const struct as_impl ref = {
    .abi = ASSAY_ABI,
    .name = "ref",
    .plan = ref_plan,
    .forward = ref_forward,
    .backward = ref_backward,
    .step = ref_step,
};

const struct as_plugin AS_PLUGIN(core__linear_rule) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

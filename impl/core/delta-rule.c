/* The (gated) delta rule: a fast-weight memory that erases what it held under a key before it writes.
 *
 * Schlag et al. 2021 (eq. 23-24), Yang et al. 2024 "Parallelizing linear transformers with the delta rule over
 * sequence length" (eq. 2-4); with a decay Yang et al. 2025 "Gated delta networks" (eq. 10). Per head, state
 * S (dk, dv), row vectors:
 *     S' = a_t S_{t-1}                           a_t = exp(g_t) <= 1; a_t = 1 without the port g
 *     u_t = beta_t (v_t - k_t S')                what is to change under the key k_t
 *     S_t = S' + k_t^T u_t                       = a_t (I - beta_t k_t^T k_t) S_{t-1} + beta_t k_t^T v_t
 *     o_t = q_t S_t
 * Departs: the papers write S transposed; q is used as given (scale it outside).
 *
 * Two forms here: `graph` is the recurrence in operators, `ref` the same with its gradient worked out by hand:
 *     dS_t += q_t^T do_t      dq_t = do_t S_t^T      du = k_t dS_t       dk_t = u_t dS_t^T + de S'^T
 *     dbeta = du . (v - e)    dv_t = beta du         de = -beta du       dS' = dS_t + k_t^T de
 *     dg_t = <dS', S'>        dS_{t-1} = a_t dS'     (e = k_t S')
 */
#include "memory.h"

#include <tgmath.h>

enum { BETA = V + 1, G, PORTS };             /* beta, g (batch, time, heads) */

static const char *const ports[] = { "q", "k", "v", "beta", "g", NULL };
static const struct as_sample samples[] = {
    { 2, { 2, 5 }, .sd = 0.5 }, { 2, { 2, 5 }, .sd = 0.5 }, { 2, { 2, 3 }, .sd = 0.5 }, { 1, { 2 }, .hi = 1.9 },
    { 1, { 2 }, .lo = -0.5, .optional = true },
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (n_in != PORTS && n_in != PORTS - 1)
        return "the delta rule takes q, k, v, beta and, when it forgets, g";
    for (int i = 0; i < n_in; i++)
        if (in[i].dtype != AS_REALS || in[i].rank != (i < BETA ? 4 : 3) || in[i].dim[2] != in[Q].dim[2])
            return "the delta rule takes q, k, v as (batch, time, heads, width) and beta, g as (batch, time, heads)";
    return in[K].dim[3] == in[Q].dim[3] ? NULL : "q and k of the delta rule have the same width";
}

/* One step of one field, (batch, heads, 1, width) or (batch, heads, 1, 1). */
static struct as_node *at(struct as_tape *t, struct as_node *x, ptrdiff_t s)
{
    ptrdiff_t dims[] = { x->dim[0], x->dim[2], 1, x->rank == 4 ? x->dim[3] : 1 };

    return as_reshape(t, as_slice(t, x, 1, s, 1), 4, dims);
}

static struct as_node *graph(struct as_graph *g, struct as_node *q)
{
    struct as_tape *t = g->t;
    struct as_node *k = g->in[K], *v = g->in[V], *state = NULL;
    ptrdiff_t batch = q->dim[0], time = q->dim[1], heads = q->dim[2], dv = v->dim[3];
    ptrdiff_t dims[] = { batch, time, heads, dv };
    struct as_node **o = as_arena_take(as_tape_arena(t), as_size((size_t)time, sizeof *o)), *y;

    if (g->streaming)
        state = as_graph_state(g, S);
    for (ptrdiff_t s = 0; s < time; s++) {
        struct as_node *k_t = at(t, k, s), *u = at(t, v, s);

        if (state && g->n_in > G)
            state = as_mul(t, state, as_exp(t, at(t, g->in[G], s)));
        if (state)
            u = as_sub(t, u, as_bmm(t, k_t, false, state, false));
        u = as_mul(t, u, at(t, g->in[BETA], s));
        u = as_bmm(t, k_t, true, u, false);
        state = state ? as_add(t, state, u) : u;
        o[s] = as_bmm(t, at(t, q, s), false, state, false);
    }
    if (g->streaming)
        as_graph_state_set(g, S, state);
    y = as_reshape(t, as_stack(t, (int)time, o, 1), 4, dims);
    y->length = q->length;
    return y;
}

/* --- ref: step by step, every state kept for the way back -------------------------------------------------- */

static void ref_plan(struct as_room *r)
{
    memory_room(r);
    r->scratch[SCRATCH_STEP] = 2 * (size_t)memory_of(r->in).dv;
}

static real decay(const struct as_call *c, ptrdiff_t position)
{
    return c->n_in > G ? exp(c->x[G][position]) : R(1.0);
}

static void advance(const struct as_call *c, struct memory z, ptrdiff_t p, real *s)
{
    const real *q = c->x[Q] + p * z.dk, *k = c->x[K] + p * z.dk, *v = c->x[V] + p * z.dv;
    real a = decay(c, p), beta = c->x[BETA][p], *u = c->scratch[SCRATCH_STEP], *o = c->y + p * z.dv;

    for (ptrdiff_t j = 0; j < z.dv; j++)
        u[j] = v[j];
    for (ptrdiff_t i = 0; i < z.dk; i++)
        for (ptrdiff_t j = 0; j < z.dv; j++) {
            s[i * z.dv + j] *= a;
            u[j] -= k[i] * s[i * z.dv + j];
        }
    for (ptrdiff_t j = 0; j < z.dv; j++)
        u[j] *= beta;
    memset(o, 0, (size_t)z.dv * sizeof *o);
    for (ptrdiff_t i = 0; i < z.dk; i++)
        for (ptrdiff_t j = 0; j < z.dv; j++) {
            s[i * z.dv + j] += k[i] * u[j];
            o[j] += q[i] * s[i * z.dv + j];
        }
}

static void retreat(const struct as_call *c, struct memory z, ptrdiff_t p, const real *before, const real *after,
                    real *ds)
{
    const real *q = c->x[Q] + p * z.dk, *k = c->x[K] + p * z.dk, *v = c->x[V] + p * z.dv, *dy = c->dy + p * z.dv;
    real a = decay(c, p), beta = c->x[BETA][p], dg = 0, dbeta = 0, *e = c->scratch[SCRATCH_STEP], *du = e + z.dv;

    for (ptrdiff_t j = 0; j < z.dv; j++)
        e[j] = du[j] = 0;
    for (ptrdiff_t i = 0; i < z.dk; i++) {
        real dq = 0;

        for (ptrdiff_t j = 0; j < z.dv; j++) {
            dq += after[i * z.dv + j] * dy[j];
            ds[i * z.dv + j] += q[i] * dy[j];
            e[j] += k[i] * (a * before[i * z.dv + j]);
            du[j] += k[i] * ds[i * z.dv + j];
        }
        if (c->dx[Q])
            c->dx[Q][p * z.dk + i] += dq;
    }
    for (ptrdiff_t j = 0; j < z.dv; j++) {
        dbeta += du[j] * (v[j] - e[j]);
        if (c->dx[V])
            c->dx[V][p * z.dv + j] += beta * du[j];
    }
    for (ptrdiff_t i = 0; i < z.dk; i++) {
        real dk = 0;

        for (ptrdiff_t j = 0; j < z.dv; j++) {
            real old = a * before[i * z.dv + j], *d = &ds[i * z.dv + j];

            dk += beta * (v[j] - e[j]) * *d - beta * du[j] * old;
            *d -= k[i] * beta * du[j];
            dg += *d * old;
            *d *= a;
        }
        if (c->dx[K])
            c->dx[K][p * z.dk + i] += dk;
    }
    if (c->dx[BETA])
        c->dx[BETA][p] += dbeta;
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
    return memory_cost(in, 6, 0);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "the (gated) delta rule on given q, k, v, beta and decay",
    .paper = { .key = "yang2024deltanet", .title = "Parallelizing Linear Transformers with the Delta Rule over Sequence "
               "Length", .url = "https://arxiv.org/abs/2406.06484", .where = "eq. 2-4; Yang et al. 2025, eq. 10",
               .departs = "the state is written (dk, dv), transposed against the paper", .year = 2024, .id = 8 },
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
    .plan = ref_plan,
    .forward = ref_forward,
    .backward = ref_backward,
    .step = ref_step,
};

const struct as_plugin AS_PLUGIN(core__delta_rule) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

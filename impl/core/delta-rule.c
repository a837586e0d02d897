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
#include <assay/layer.h>
#include <string.h>
#include <tgmath.h>

enum { Q, K, V, BETA, G, PORTS };            /* q, k (batch, time, heads, dk), v (.., dv), beta, g (batch, time, heads) */
enum { S };

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

static void plan(struct as_plan *p)
{
    ptrdiff_t out[] = { AS_ANY, AS_ANY, p->in[V].dim[2], p->in[V].dim[3] };
    ptrdiff_t state[] = { AS_ANY, p->in[K].dim[2], p->in[K].dim[3], p->in[V].dim[3] };

    as_output(p, 0, 4, out);
    as_state(p, S, "S", (struct as_init){ .spread = AS_ZERO }, 4, state);
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

struct size { ptrdiff_t batch, time, heads, dk, dv; };

static struct size size_of(const struct as_spec *in)
{
    return (struct size){ in[Q].dim[0], in[Q].dim[1], in[Q].dim[2], in[Q].dim[3], in[V].dim[3] };
}

enum { STATES };                             /* saved: (batch, heads, time + 1, dk, dv), S_0 = 0 first */
enum { SCRATCH_S = 0, SCRATCH_U };

static void ref_plan(struct as_room *r)
{
    struct size z = size_of(r->in);
    size_t s = as_size((size_t)z.dk, (size_t)z.dv);

    if (r->gradients)
        r->saved[STATES] = as_size(as_size(s, (size_t)(z.batch * z.heads)), (size_t)(z.time + 1));
    r->scratch[SCRATCH_S] = 2 * s;
    r->scratch[SCRATCH_U] = 2 * (size_t)z.dv;
}

/* S <- a S; u = beta (v - k S); S <- S + k^T u; o = q S. u: scratch (dv). o may be NULL. */
static void advance(ptrdiff_t dk, ptrdiff_t dv, const real *q, const real *k, const real *v, real beta, real a,
                    real *s, real *u, real *o)
{
    for (ptrdiff_t j = 0; j < dv; j++)
        u[j] = v[j];
    for (ptrdiff_t i = 0; i < dk; i++)
        for (ptrdiff_t j = 0; j < dv; j++) {
            s[i * dv + j] *= a;
            u[j] -= k[i] * s[i * dv + j];
        }
    for (ptrdiff_t j = 0; j < dv; j++)
        u[j] *= beta;
    if (o)
        memset(o, 0, (size_t)dv * sizeof *o);
    for (ptrdiff_t i = 0; i < dk; i++)
        for (ptrdiff_t j = 0; j < dv; j++) {
            s[i * dv + j] += k[i] * u[j];
            if (o)
                o[j] += q[i] * s[i * dv + j];
        }
}

static real decay(const struct as_call *c, ptrdiff_t position)
{
    return c->n_in > G ? exp(c->x[G][position]) : R(1.0);
}

static void ref_forward(const struct as_call *c)
{
    struct size z = size_of(c->in);
    ptrdiff_t ss = z.dk * z.dv;
    real *s = c->scratch[SCRATCH_S], *u = c->scratch[SCRATCH_U];

    for (ptrdiff_t b = 0; b < z.batch; b++)
        for (ptrdiff_t h = 0; h < z.heads; h++) {
            real *all = c->saved ? (real *)c->saved[STATES] + (b * z.heads + h) * (z.time + 1) * ss : NULL;

            memset(s, 0, (size_t)ss * sizeof *s);
            if (all)
                memcpy(all, s, (size_t)ss * sizeof *s);
            for (ptrdiff_t t = 0; t < z.time; t++) {
                ptrdiff_t p = (b * z.time + t) * z.heads + h;

                advance(z.dk, z.dv, c->x[Q] + p * z.dk, c->x[K] + p * z.dk, c->x[V] + p * z.dv, c->x[BETA][p],
                        decay(c, p), s, u, c->y + p * z.dv);
                if (all)
                    memcpy(all + (t + 1) * ss, s, (size_t)ss * sizeof *s);
            }
        }
}

/* The way back through one step. before, after: S_{t-1}, S_t; ds: dS_t, becomes dS_{t-1}; e, du: scratch (dv). */
static void retreat(const struct as_call *c, struct size z, ptrdiff_t p, const real *before, const real *after,
                    real *ds, real *e, real *du)
{
    const real *q = c->x[Q] + p * z.dk, *k = c->x[K] + p * z.dk, *v = c->x[V] + p * z.dv, *dy = c->dy + p * z.dv;
    real a = decay(c, p), beta = c->x[BETA][p], dg = 0, dbeta = 0;

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

static void ref_backward(const struct as_call *c)
{
    struct size z = size_of(c->in);
    ptrdiff_t ss = z.dk * z.dv;
    real *ds = c->scratch[SCRATCH_S], *e = c->scratch[SCRATCH_U], *du = e + z.dv;

    for (ptrdiff_t b = 0; b < z.batch; b++)
        for (ptrdiff_t h = 0; h < z.heads; h++) {
            const real *all = (const real *)c->saved[STATES] + (b * z.heads + h) * (z.time + 1) * ss;

            memset(ds, 0, (size_t)ss * sizeof *ds);
            for (ptrdiff_t t = z.time - 1; t >= 0; t--)
                retreat(c, z, (b * z.time + t) * z.heads + h, all + t * ss, all + (t + 1) * ss, ds, e, du);
        }
}

static void ref_step(const struct as_call *c)
{
    ptrdiff_t batch = c->in[Q].dim[0], heads = c->in[Q].dim[2], dk = c->in[Q].dim[3], dv = c->in[V].dim[3];
    real *u = c->scratch[SCRATCH_U];

    for (ptrdiff_t p = 0; p < batch * heads; p++)
        advance(dk, dv, c->x[Q] + p * dk, c->x[K] + p * dk, c->x[V] + p * dv, c->x[BETA][p], decay(c, p),
                c->state[S] + p * dk * dv, u, c->y + p * dv);
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    struct size z = size_of(in);
    double steps = (double)z.batch * (double)z.time * (double)z.heads;

    (void)opt;
    (void)n_in;
    return (struct as_cost){ .flop = steps * 6.0 * (double)z.dk * (double)z.dv,
                             .bytes = steps * 4.0 * (2.0 * (double)z.dk + 2.0 * (double)z.dv) };
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

const struct as_plugin AS_PLUGIN(core__delta_rule) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

/* Gated linear attention as a fast-weight memory: each dimension of the key forgets at its own, given rate.
 *
 * Yang et al. 2024, "Gated linear attention transformers with hardware-efficient training", eq. 3 and section 4.1. Per
 * head, S (dk, dv), all vectors rows:
 *     S_t = diag(a_t) S_{t-1} + k_t^T v_t       a_t = exp(log_a_t) in (0, 1]^dk
 *     o_t = q_t S_t
 * Departs: q is used as given (scale it outside); the gate comes as its logarithm.
 *
 * `ref` is the recurrence; back: dS_t += q_t^T do_t, dq_t = do_t S_t^T, dv_t = k_t dS_t, dk_t = v_t dS_t^T,
 * dlog_a_t = rows of (diag(a_t) S_{t-1} o dS_t) summed, dS_{t-1} = diag(a_t) dS_t.
 */
#include <assay/layer.h>
#include <string.h>
#include <tgmath.h>

enum { Q, K, V, LOG_A, PORTS };              /* q, k, log_a (batch, time, heads, dk), v (batch, time, heads, dv) */
enum { S };

static const char *const ports[] = { "q", "k", "v", "log_a", NULL };
static const struct as_sample samples[] = {
    { 2, { 2, 5 }, .sd = 0.5 }, { 2, { 2, 5 }, .sd = 0.5 }, { 2, { 2, 3 }, .sd = 0.5 }, { 2, { 2, 5 }, .lo = -0.5 },
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (n_in != PORTS)
        return "the gated linear rule takes q, k, v and log_a";
    for (int i = 0; i < n_in; i++)
        if (in[i].dtype != AS_REALS || in[i].rank != 4 || in[i].dim[2] != in[Q].dim[2])
            return "the gated linear rule takes q, k, v and log_a as (batch, time, heads, width)";
    return in[K].dim[3] == in[Q].dim[3] && in[LOG_A].dim[3] == in[Q].dim[3] ? NULL :
           "q, k and log_a of the gated linear rule have the same width";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t out[] = { AS_ANY, AS_ANY, p->in[V].dim[2], p->in[V].dim[3] };
    ptrdiff_t state[] = { AS_ANY, p->in[K].dim[2], p->in[K].dim[3], p->in[V].dim[3] };

    as_output(p, 0, 4, out);
    as_state(p, S, "S", (struct as_init){ .spread = AS_ZERO }, 4, state);
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

static void advance(const struct as_call *c, ptrdiff_t dk, ptrdiff_t dv, ptrdiff_t p, real *s)
{
    const real *q = c->x[Q] + p * dk, *k = c->x[K] + p * dk, *v = c->x[V] + p * dv, *log_a = c->x[LOG_A] + p * dk;
    real *o = c->y + p * dv;

    memset(o, 0, (size_t)dv * sizeof *o);
    for (ptrdiff_t i = 0; i < dk; i++) {
        real a = exp(log_a[i]);

        for (ptrdiff_t j = 0; j < dv; j++) {
            s[i * dv + j] = a * s[i * dv + j] + k[i] * v[j];
            o[j] += q[i] * s[i * dv + j];
        }
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

    for (ptrdiff_t i = 0; i < z.dk; i++) {
        real a = exp(c->x[LOG_A][p * z.dk + i]), dq = 0, dk = 0, da = 0;

        for (ptrdiff_t j = 0; j < z.dv; j++) {
            real *d = &ds[i * z.dv + j];

            dq += dy[j] * after[i * z.dv + j];
            *d += q[i] * dy[j];
            dk += v[j] * *d;
            if (c->dx[V])
                c->dx[V][p * z.dv + j] += k[i] * *d;
            *d *= a;
            da += *d * before[i * z.dv + j];
        }
        if (c->dx[Q])
            c->dx[Q][p * z.dk + i] += dq;
        if (c->dx[K])
            c->dx[K][p * z.dk + i] += dk;
        if (c->dx[LOG_A])
            c->dx[LOG_A][p * z.dk + i] += da;
    }
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
                             .bytes = steps * 4.0 * (3.0 * (double)z.dk + 2.0 * (double)z.dv) };
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "additive fast-weight memory on given q, k, v whose key dimensions forget one by one",
    .paper = { .key = "yang2024gla", .title = "Gated Linear Attention Transformers with Hardware-Efficient Training",
               .url = "https://arxiv.org/abs/2312.06635", .where = "eq. 3, section 4.1",
               .departs = "the gate is given as its logarithm", .year = 2024 },
    .ports = ports, .samples = samples,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
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

const struct as_plugin AS_PLUGIN(core__gated_linear_rule) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

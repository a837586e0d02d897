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
#include "memory.h"

#include <tgmath.h>

enum { LOG_A = V + 1, PORTS };               /* log_a (batch, time, heads, dk) */

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

/* --- ref: the recurrence ----------------------------------------------------------------------------------- */

static void advance(const struct as_call *c, struct memory z, ptrdiff_t p, real *s)
{
    const real *q = c->x[Q] + p * z.dk, *k = c->x[K] + p * z.dk, *v = c->x[V] + p * z.dv;
    const real *log_a = c->x[LOG_A] + p * z.dk;
    real *o = c->y + p * z.dv;

    memset(o, 0, (size_t)z.dv * sizeof *o);
    for (ptrdiff_t i = 0; i < z.dk; i++) {
        real a = exp(log_a[i]);

        for (ptrdiff_t j = 0; j < z.dv; j++) {
            s[i * z.dv + j] = a * s[i * z.dv + j] + k[i] * v[j];
            o[j] += q[i] * s[i * z.dv + j];
        }
    }
}

static void retreat(const struct as_call *c, struct memory z, ptrdiff_t p, const real *before, const real *after,
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

static void ref_forward(const struct as_call *c) { memory_forward(c, advance); }
static void ref_backward(const struct as_call *c) { memory_backward(c, retreat); }
static void ref_step(const struct as_call *c) { memory_step(c, advance); }

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return memory_cost(in, 4, 1);
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
    .plan = memory_plan,
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

const struct as_plugin AS_PLUGIN(core__gated_linear_rule) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

/* gru.newton.c: the GRU with a diagonal recurrence, step after step (sweep) or all steps at once by Newton's method
 * (newton): diagonal.h.
 *
 *   r, z = sigmoid(W x + u h + b),  m = u_n h + c,  n = tanh(W_n x + r m + b_n),  f = z h + (1 - z) n
 *   df/dh = z + (h - n) z (1 - z) u_z + (1 - z) (1 - n^2) (r u_n + m r (1 - r) u_r)
 *
 * With vectors for U the reset gate may as well come before the product: that is c = 0.
 */
#define GATES 3
#define VECTORS 7            /* db_r, db_z, db_n, dc, du_r, du_z, du_n */
#define STATE_MOST 1.0f

#include "diagonal.h"
#include "gru.h"

/* All that the cell is made of. Both gates share one division, as in fused.h. */
struct parts { float r, z, n, m; };

INLINE struct parts parts_of(struct vectors v, ptrdiff_t j, const float *g, float h)
{
    ptrdiff_t s = v.stride;
    float below_r = below_sigmoid(AS_FMA(v.u[j], h, g[0] + v.b[j]));
    float below_z = below_sigmoid(AS_FMA(v.u[s + j], h, g[s] + v.b[s + j])), q = 1.0f / (below_r * below_z);
    struct parts p = { .r = below_z * q, .z = below_r * q, .m = AS_FMA(v.u[2 * s + j], h, v.b[3 * s + j]) };

    p.n = tangent(AS_FMA(p.r, p.m, g[2 * s] + v.b[2 * s + j]));
    return p;
}

INLINE float cell_value(struct vectors v, ptrdiff_t j, const float *g, float h)
{
    struct parts p = parts_of(v, j, g, h);

    return AS_FMA(p.z, h - p.n, p.n);
}

INLINE float cell(struct vectors v, ptrdiff_t j, const float *g, float h, float *slope)
{
    ptrdiff_t s = v.stride;
    struct parts p = parts_of(v, j, g, h);
    float r = p.r, z = p.z, n = p.n, dz = (h - n) * (z * (1.0f - z)), dn = (1.0f - z) * AS_FMA(-n, n, 1.0f);

    *slope = z + dz * v.u[s + j] + dn * (r * v.u[2 * s + j] + p.m * (r * (1.0f - r)) * v.u[j]);
    return AS_FMA(z, h - n, n);
}

INLINE float cell_back(struct vectors v, ptrdiff_t j, const float *g, float h, float now, float d, float *dg,
                       float *sums)
{
    ptrdiff_t s = v.stride;
    struct parts p = parts_of(v, j, g, h);
    float r = p.r, z = p.z, n = p.n, dz = d * (h - n) * (z * (1.0f - z)), dn = d * (1.0f - z) * AS_FMA(-n, n, 1.0f);
    float dr = dn * p.m * (r * (1.0f - r)), dm = dn * r;

    (void)now;
    dg[0] = dr;
    dg[s] = dz;
    dg[2 * s] = dn;
    sums[0] += dr;
    sums[s] += dz;
    sums[2 * s] += dn;
    sums[3 * s] += dm;
    sums[4 * s] += dr * h;
    sums[5 * s] += dz * h;
    sums[6 * s] += dm * h;
    return d * z + dr * v.u[j] + dz * v.u[s + j] + dm * v.u[2 * s + j];
}

static struct job job_of(const struct as_call *c)
{
    const struct gru *o = c->opt;

    return new_job(c, c->w[GRU_U], o->bias ? c->w[GRU_B] : NULL,
                   o->bias && o->reset == GRU_AFTER ? c->w[GRU_C] : NULL, 0);
}

static const char *can(const void *opt, int n_in, const struct as_spec *in)
{
    (void)n_in;
    (void)in;
    return ((const struct gru *)opt)->recurrence == GRU_DIAGONAL ? NULL : "it needs recurrence = diagonal";
}

static void sweep_forward(const struct as_call *c)
{
    struct job w = job_of(c);

    run_sweep(&w);
}

static void newton_forward(const struct as_call *c)
{
    struct job w = job_of(c);

    run_newton(&w);
}

static void backward(const struct as_call *c)
{
    struct job w = job_of(c);
    const struct gru *o = c->opt;

    run_back(&w);
    add_sums(&w, 0, 3, o->bias ? c->dw[GRU_B] : NULL);
    add_sums(&w, 3, 1, o->bias && o->reset == GRU_AFTER ? c->dw[GRU_C] : NULL);
    add_sums(&w, 4, 3, c->dw[GRU_U]);
}

static const struct as_impl sweep = {
    .abi = ASSAY_ABI, .name = "sweep", .rank = 10, .can = can, .plan = plan_sweep, .forward = sweep_forward,
    .backward = backward,
};

static const struct as_impl newton = {
    .abi = ASSAY_ABI, .name = "newton", .rank = 5, .can = can, .plan = plan_newton, .forward = newton_forward,
    .backward = backward, .counts = newton_counts,
};

const struct as_plugin AS_PLUGIN(recurrent__gru__newton) = { .abi = ASSAY_ABI, .impl = { &sweep, &newton } };

/* rnn.newton.c: the Elman cell with a diagonal recurrence, step after step (sweep) or all steps at once by Newton's
 * method (newton): diagonal.h.
 *
 *   f = phi(a),  a = W x + u h + b;   df/dh = u (1 - f^2), or u where a > 0 (relu)
 */
#define GATES 1
#define VECTORS 2            /* db, du */
#define STATE_MOST (v.relu ? 3.4e38f : 1.0f)

#include "diagonal.h"
#include "rnn.h"

INLINE float cell_value(struct vectors v, ptrdiff_t j, const float *g, float h)
{
    float a = AS_FMA(v.u[j], h, g[0] + v.b[j]);

    return v.relu ? (a < 0.0f ? 0.0f : a) : tangent(a);        /* a NaN stays one */
}

INLINE float cell(struct vectors v, ptrdiff_t j, const float *g, float h, float *slope)
{
    float f = cell_value(v, j, g, h);

    *slope = v.relu ? (f > 0.0f ? v.u[j] : 0.0f) : v.u[j] * AS_FMA(-f, f, 1.0f);
    return f;
}

INLINE float cell_back(struct vectors v, ptrdiff_t j, const float *g, float h, float now, float d, float *dg,
                       float *sums)
{
    float da = v.relu ? (now > 0.0f ? d : 0.0f) : d * AS_FMA(-now, now, 1.0f);

    (void)g;
    dg[0] = da;
    sums[0] += da;
    sums[v.stride] += da * h;
    return da * v.u[j];
}

static struct job job_of(const struct as_call *c)
{
    const struct rnn *o = c->opt;

    return new_job(c, c->w[RNN_U], o->bias ? c->w[RNN_B] : NULL, NULL, o->nonlinearity == RNN_RELU);
}

static const char *can(const void *opt, int n_in, const struct as_spec *in)
{
    (void)n_in;
    (void)in;
    return ((const struct rnn *)opt)->recurrence == RNN_DIAGONAL ? NULL : "it needs recurrence = diagonal";
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

    run_back(&w);
    add_sums(&w, 0, 1, ((const struct rnn *)c->opt)->bias ? c->dw[RNN_B] : NULL);
    add_sums(&w, 1, 1, c->dw[RNN_U]);
}

static const struct as_impl sweep = {
    .abi = ASSAY_ABI, .name = "sweep", .rank = 10, .can = can, .plan = plan_sweep, .forward = sweep_forward,
    .backward = backward,
};

static const struct as_impl newton = {
    .abi = ASSAY_ABI, .name = "newton", .rank = 5, .can = can, .plan = plan_newton, .forward = newton_forward,
    .backward = backward, .counts = newton_counts,
};

const struct as_plugin AS_PLUGIN(recurrent__rnn__newton) = { .abi = ASSAY_ABI, .impl = { &sweep, &newton } };

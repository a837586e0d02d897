/* depthwise.c: a short causal convolution over time, one filter a channel.
 *
 *   y_t = b + sum over j < kernel of w_j * x_{t - (kernel - 1) + j},   x = 0 before the start
 *
 * The depthwise half of a separable convolution (Chollet 2017, section 2), and the short convolution of Mamba and
 * of linear-attention layers. w (width, kernel) starts uniform in +-1/sqrt(kernel), b at zero.
 */
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>

struct depthwise { int kernel, bias; };
enum { W, B };
enum { PAST };

static const struct as_option options[] = {
    { "kernel", AS_INT, offsetof(struct depthwise, kernel), 4, 1, 4096, NULL, "2,4,8", "taps of each filter" },
    { "bias", AS_BOOL, offsetof(struct depthwise, bias), 1, 0, 0, NULL, NULL, "with a bias" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    const struct depthwise *o = p->opt;
    ptrdiff_t d = p->in->dim[2];

    as_plan_conv(p, W, PAST, "w", d, o->kernel);
    if (o->bias)
        as_weight(p, B, "b", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct depthwise *o = g->opt;
    struct as_node *y;

    if (!g->streaming)
        return as_conv_causal(g->t, x, as_w(g, W), o->bias ? as_w(g, B) : NULL);
    y = as_graph_conv(g, W, PAST, x);
    return o->bias ? as_add(g->t, y, as_w(g, B)) : y;
}

/* --- ref: the sum as it stands ----------------------------------------------------------------------------- */

struct size { ptrdiff_t batch, time, d, taps; };

static struct size size_of(const struct as_call *c)
{
    return (struct size){ c->in->dim[0], c->in->dim[1], c->in->dim[2], ((const struct depthwise *)c->opt)->kernel };
}

static const real *bias_of(const struct as_call *c)
{
    return ((const struct depthwise *)c->opt)->bias ? c->w[B] : NULL;
}

static void forward_row(void *ctx, ptrdiff_t b)
{
    const struct as_call *call = ctx;
    struct size z = size_of(call);
    const real *bias = bias_of(call);

    for (ptrdiff_t t = 0; t < z.time; t++)
        for (ptrdiff_t c = 0; c < z.d; c++) {
            real sum = bias ? bias[c] : 0;

            for (ptrdiff_t j = 0; j < z.taps; j++)
                if (t - (z.taps - 1) + j >= 0)
                    sum += call->w[W][c * z.taps + j] * call->x[0][(b * z.time + t - (z.taps - 1) + j) * z.d + c];
            call->y[(b * z.time + t) * z.d + c] = sum;
        }
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c);

    as_parallel(z.batch, 2 * (double)(z.batch * z.time * z.d * z.taps), forward_row, (void *)(uintptr_t)c);
}

/* Channel c on its own: all rows and steps in order. */
static void backward_channel(void *ctx, ptrdiff_t c)
{
    const struct as_call *call = ctx;
    struct size z = size_of(call);

    for (ptrdiff_t at = 0; at < z.batch * z.time; at++) {
        ptrdiff_t t = at % z.time;
        real dy = call->dy[at * z.d + c];

        for (ptrdiff_t j = t < z.taps - 1 ? z.taps - 1 - t : 0; j < z.taps; j++) {
            ptrdiff_t from = (at - (z.taps - 1) + j) * z.d + c;

            if (call->dx[0])
                call->dx[0][from] += call->w[W][c * z.taps + j] * dy;
            if (call->dw[W])
                call->dw[W][c * z.taps + j] += call->x[0][from] * dy;
        }
        if (bias_of(call) && call->dw[B])
            call->dw[B][c] += dy;
    }
}

static void backward(const struct as_call *c)
{
    struct size z = size_of(c);

    as_parallel(z.d, 4 * (double)(z.batch * z.time * z.d * z.taps), backward_channel, (void *)(uintptr_t)c);
}

static void step(const struct as_call *c)
{
    ptrdiff_t batch = c->in->dim[0], d = c->in->dim[2], taps = ((const struct depthwise *)c->opt)->kernel;

    for (ptrdiff_t b = 0; b < batch; b++) {
        real *past = c->state[PAST] + b * (taps - 1) * d;          /* (taps - 1, d), the oldest first */
        const real *x = c->x[0] + b * d;

        for (ptrdiff_t i = 0; i < d; i++) {
            real sum = bias_of(c) ? c->w[B][i] : 0;

            for (ptrdiff_t j = 0; j < taps; j++)
                sum += c->w[W][i * taps + j] * (j < taps - 1 ? past[j * d + i] : x[i]);
            c->y[b * d + i] = sum;
        }
        if (taps > 1) {
            memmove(past, past + d, (size_t)((taps - 2) * d) * sizeof *past);
            memcpy(past + (taps - 2) * d, x, (size_t)d * sizeof *past);
        }
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .rank = -1, .forward = forward, .backward = backward, .step = step,
};

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    double n = (double)in->dim[0] * (double)in->dim[1] * (double)in->dim[2];

    (void)n_in;
    return (struct as_cost){ .flop = 2 * n * ((const struct depthwise *)opt)->kernel, .bytes = 8 * n };
}

static const struct as_variant depthwise = {
    .abi = ASSAY_ABI,
    .summary = "short causal convolution over time, one filter a channel",
    .paper = { .key = "chollet2017xception", .title = "Xception: Deep Learning with Depthwise Separable Convolutions",
               .url = "https://arxiv.org/abs/1610.02357", .year = 2017, .where = "section 2",
               .departs = "over time, causal; the pointwise half is a linear map of its own" },
    .options = options, .opt_size = sizeof(struct depthwise),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(convolution__depthwise) = { .abi = ASSAY_ABI, .variant = &depthwise, .impl = { &ref } };

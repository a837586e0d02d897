/* conv-bn.c: a convolution over images and the batch normalisation behind it, as one block in four modes.
 *
 *   z = W * x                                        (batch, height, width, out), sides kept, zeros around
 *   train    y = gamma (z - m) / sqrt(s2 + eps) + beta     m, s2: mean and variance of each channel over this batch,
 *                                                    which running statistics mu, sigma2 follow
 *   eval     y = gamma (z - mu) / sqrt(sigma2 + eps) + beta      mu, sigma2 stay; W, gamma, beta are trained
 *   tune     W' = W gamma / sqrt(sigma2 + eps),  b' = beta - mu gamma / sqrt(sigma2 + eps),  y = W' * x + b'
 *                                                    folded anew at each step, inside the graph: function and gradients
 *                                                    of eval, without z
 *   deploy   y = W * x + b                           W, b are trained: what tune's W', b' start as, set from outside
 *
 * You et al. 2023, "Efficient ConvBN blocks for transfer learning and beyond", section 3 (table 1 of modes); batch
 * normalisation: Ioffe and Szegedy 2015. Without training, train is eval. Running statistics as usual: a share of
 * `momentum` of the batch's, the variance divided by n - 1. W ~ N(0, 2 / inputs) (He et al. 2015).
 * Departs: the convolution has no bias of its own, which mu would take out again; strides and groups are not there.
 * Images are (batch, height, width, channels): what is called time elsewhere is the height.
 */
#include "conv-bn-im2col.h"

static const struct as_option options[] = {
    { "channels", AS_INT, offsetof(struct conv_bn, channels), 0, 0, 4096, NULL, "8,16,32",
      "that come out; 0: as many as come in" },
    { "kernel", AS_INT, offsetof(struct conv_bn, kernel), 3, 1, 15, NULL, "1,3,5", "pixels a side, odd" },
    { "mode", AS_WORD, offsetof(struct conv_bn, mode), TRAIN, 0, 0, "train|eval|deploy|tune", "train,eval,deploy,tune",
      "what normalises, and what is trained" },
    { "eps", AS_NUM, offsetof(struct conv_bn, eps), 1e-5, 1e-8, 1, NULL, NULL, "added to the variance" },
    { "momentum", AS_NUM, offsetof(struct conv_bn, momentum), 0.1, 0.0001, 1, NULL, NULL,
      "share of a batch in the running statistics" },
    { 0 }
};

static const struct as_sample samples[] = { { .rank = 2, .dim = { 6, 3 } } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct conv_bn *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 4)
        return "it works on real images (batch, height, width, channels)";
    if (o->kernel % 2 == 0)
        return as_say("kernel = %d: it must be odd, so that the sides stay", o->kernel);
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct conv_bn *o = p->opt;
    ptrdiff_t in = p->in->dim[3], out = conv_bn_channels(o, in), k = o->kernel;
    struct as_init he = { .spread = AS_NORMAL, .b = sqrt(2 / (double)(k * k * in)) };
    struct as_init zero = { .spread = AS_ZERO }, one = { .spread = AS_CONSTANT, .a = 1 };

    as_weight(p, W, "W", AS_MATRIX, he, 4, (ptrdiff_t[]){ out, k, k, in });
    as_output(p, 0, 4, (ptrdiff_t[]){ AS_ANY, p->in->dim[1], p->in->dim[2], out });
    if (o->mode == DEPLOY) {
        as_weight(p, B, "b", AS_BIAS, zero, 1, &out);
        return;
    }
    as_weight(p, GAMMA, "gamma", AS_GAIN, one, 1, &out);
    as_weight(p, BETA, "beta", AS_BIAS, zero, 1, &out);
    as_statistic(p, MEAN, "mean", zero, 1, &out);
    as_statistic(p, VARIANCE, "variance", one, 1, &out);
}

static struct as_node *convolve(struct as_graph *g, struct as_node *x, struct as_node *w, struct as_node *b)
{
    ptrdiff_t pad = ((const struct conv_bn *)g->opt)->kernel / 2;
    struct as_conv c = { .pad_before = { pad, pad }, .pad_after = { pad, pad } };

    return as_conv2d(g->t, x, as_permute(g->t, w, (int[]){ 0, 3, 1, 2 }), b, c);
}

/* gamma / sqrt(sigma2 + eps). */
static struct as_node *coefficient(struct as_graph *g)
{
    const struct conv_bn *o = g->opt;

    return as_mul(g->t, as_w(g, GAMMA), as_rsqrt(g->t, as_shift_by(g->t, as_w(g, VARIANCE), o->eps)));
}

static struct as_node *evaluate(struct as_graph *g, struct as_node *x)
{
    struct as_node *z = as_sub(g->t, convolve(g, x, as_w(g, W), NULL), as_w(g, MEAN));

    return as_add(g->t, as_mul(g->t, z, coefficient(g)), as_w(g, BETA));
}

static struct as_node *tune(struct as_graph *g, struct as_node *x)
{
    struct as_node *c = coefficient(g), *w = as_w(g, W);
    struct as_node *scale = as_reshape(g->t, c, 4, (ptrdiff_t[]){ w->dim[0], 1, 1, 1 });

    return convolve(g, x, as_mul(g->t, w, scale), as_sub(g->t, as_w(g, BETA), as_mul(g->t, as_w(g, MEAN), c)));
}

static void follow(struct as_graph *g, const struct as_node *mean, const struct as_node *variance, ptrdiff_t n)
{
    real *mu = as_graph_statistic(g, MEAN), *sigma2 = as_graph_statistic(g, VARIANCE);
    real share = (real)((const struct conv_bn *)g->opt)->momentum;
    real unbias = n > 1 ? (real)((double)n / (double)(n - 1)) : 1;

    for (ptrdiff_t j = 0; j < as_node_size(mean); j++) {
        mu[j] += share * (mean->x[j] - mu[j]);
        sigma2[j] += share * (variance->x[j] * unbias - sigma2[j]);
    }
}

static struct as_node *train(struct as_graph *g, struct as_node *x)
{
    const struct conv_bn *o = g->opt;
    struct as_node *z = convolve(g, x, as_w(g, W), NULL);
    ptrdiff_t out = z->dim[3], n = as_node_size(z) / out;
    struct as_node *row = as_reshape(g->t, z, 2, (ptrdiff_t[]){ n, out });
    struct as_node *mean = as_mean(g->t, row, 0, true), *u = as_sub(g->t, row, mean);
    struct as_node *variance = as_mean(g->t, as_square(g->t, u), 0, true);

    follow(g, mean, variance, n);
    u = as_mul(g->t, u, as_rsqrt(g->t, as_shift_by(g->t, variance, o->eps)));
    u = as_add(g->t, as_mul(g->t, u, as_w(g, GAMMA)), as_w(g, BETA));
    return as_reshape(g->t, u, 4, z->dim);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct conv_bn *o = g->opt;

    if (o->mode == DEPLOY)
        return convolve(g, x, as_w(g, W), as_w(g, B));
    if (o->mode == TUNE)
        return tune(g, x);
    return o->mode == TRAIN && g->training ? train(g, x) : evaluate(g, x);
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    const struct conv_bn *o = opt;
    double pixels = (double)in->dim[0] * (double)in->dim[1] * (double)in->dim[2], side = o->kernel;
    double out = (double)conv_bn_channels(o, in->dim[3]), from = (double)in->dim[3];

    (void)n_in;
    return (struct as_cost){ .flop = 2 * pixels * out * from * side * side, .bytes = 4 * pixels * (from + out) };
}

static const struct as_variant conv_bn = {
    .abi = ASSAY_ABI,
    .summary = "convolution over images with its batch normalisation: train, eval, deploy or tune",
    .paper = { .key = "you2023convbn", .title = "Efficient ConvBN blocks for transfer learning and beyond",
               .url = "https://arxiv.org/abs/2305.11624", .year = 2023, .id = 118,
               .where = "section 3: the modes train, eval, deploy and tune",
               .departs = "the convolution has no bias; no strides, no groups" },
    .options = options, .opt_size = sizeof(struct conv_bn), .samples = samples, .promises = AS_BATCH_STATISTICS,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(convolution__conv_bn) = {
    .abi = ASSAY_ABI, .variant = &conv_bn, .impl = { &im2col },
};

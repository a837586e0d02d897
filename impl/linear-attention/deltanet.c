/* DeltaNet: linear attention that erases before it writes.
 *
 * Yang et al. 2024, "Parallelizing linear transformers with the delta rule over sequence length" (sections 2.2, 3.3)
 * and Schlag et al. 2021; the range of beta after Grazzi et al. 2025, "Unlocking state-tracking in linear RNNs
 * through negative eigenvalues" (section 4.2). Per head:
 *     q, k = l2norm(silu(conv(W_q x))), l2norm(silu(conv(W_k x)))        v = silu(conv(W_v x))
 *     beta = beta_max * sigmoid(W_beta x)                                 beta_max = 2: eigenvalues in (-1, 1)
 *     S_t = (I - beta k^T k) S_{t-1} + beta k^T v       o_t = dk^{-1/2} q_t S_t       (slot `core`)
 *     y = W_o rmsnorm(o)                                                  per head, with a gain
 * l2norm(x) = x / sqrt(sum x^2 + 1e-6); the RMS norm has 1e-5; the convolution is depthwise, causal, without bias.
 * Departs: projections start Glorot uniform with gain 1 (published code scales the gain by 2^-2.5).
 */
#include <assay/layer.h>
#include <tgmath.h>

struct opt { int heads, conv, key_width, value_width, act, qk_norm, out_norm; double beta_max; };

static const struct as_option options[] = {
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 4, .min = 1, .max = 1024,
      .sweep = "1,2,4", .help = "number of heads" },
    { .key = "key_width", .type = AS_INT, .offset = offsetof(struct opt, key_width), .def = 0, .min = 0, .max = 4096,
      .help = "d_k: width of a head's key; 0: width / heads" },
    { .key = "value_width", .type = AS_INT, .offset = offsetof(struct opt, value_width), .def = 0, .min = 0,
      .max = 4096, .help = "d_v: width of a head's value; 0: width / heads" },
    { .key = "beta_max", .type = AS_NUM, .offset = offsetof(struct opt, beta_max), .def = 1, .min = 0, .max = 2,
      .sweep = "1,2", .help = "upper end of beta; 2 allows negative eigenvalues" },
    { .key = "conv", .type = AS_INT, .offset = offsetof(struct opt, conv), .def = 4, .min = 0, .max = 64,
      .sweep = "0,4", .help = "kernel of the short convolution on q, k, v; 0: none" },
    { .key = "act", .type = AS_WORD, .offset = offsetof(struct opt, act), .def = 0, .words = "silu|none",
      .help = "activation of q, k, v after the convolution" },
    { .key = "qk_norm", .type = AS_WORD, .offset = offsetof(struct opt, qk_norm), .def = 0, .words = "l2|none",
      .sweep = "l2,none", .help = "normalisation of q and k" },
    { .key = "out_norm", .type = AS_WORD, .offset = offsetof(struct opt, out_norm), .def = 0, .words = "rms|none",
      .sweep = "rms,none", .help = "normalisation of a head's output" },
    { 0 }
};

enum { CORE };
static const struct as_slot slots[] = { { "core", "delta-rule", "the recurrence on q, k, v, beta" }, { 0 } };

enum { W_Q, W_K, W_V, W_BETA, CONV_Q, CONV_K, CONV_V, NORM, W_O };
enum { PAST_Q, PAST_K, PAST_V };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "deltanet reads a sequence (batch, time, width)";
    if (in->dim[2] % o->heads != 0 && (!o->key_width || !o->value_width))
        return as_say("the width %td cannot be cut into %d heads; set heads, or key_width and value_width", in->dim[2],
                      o->heads);
    return NULL;
}

static ptrdiff_t key_width(const struct opt *o, ptrdiff_t width) { return o->key_width ? o->key_width : width / o->heads; }
static ptrdiff_t value_width(const struct opt *o, ptrdiff_t width)
{
    return o->value_width ? o->value_width : width / o->heads;
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->heads, dk = key_width(o, d), dv = value_width(o, d);
    struct as_init glorot = { .spread = AS_GLOROT }, one = { .spread = AS_CONSTANT, .a = 1 };
    struct as_spec core[4] = { 0 };

    as_weight(p, W_Q, "W_q", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_K, "W_k", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_V, "W_v", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dv, d });
    as_weight(p, W_BETA, "W_beta", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h, d });
    if (o->conv) {
        as_plan_conv(p, CONV_Q, PAST_Q, "conv_q", h * dk, o->conv);
        as_plan_conv(p, CONV_K, PAST_K, "conv_k", h * dk, o->conv);
        as_plan_conv(p, CONV_V, PAST_V, "conv_v", h * dv, o->conv);
    }
    if (o->out_norm == 0)
        as_weight(p, NORM, "norm", AS_GAIN, one, 1, &dv);
    as_weight(p, W_O, "W_o", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, h * dv });
    for (int i = 0; i < 4; i++)
        core[i] = (struct as_spec){ AS_REALS, i < 3 ? 4 : 3, { AS_ANY, AS_ANY, h, i < 2 ? dk : dv }, 0 };
    as_plan_child(p, CORE, 0, 4, core);
}

/* W x, through the short convolution and the activation, cut into heads: (batch, time, heads, width). */
static struct as_node *branch(struct as_graph *g, struct as_node *x, int w, int conv, int past)
{
    const struct opt *o = g->opt;
    struct as_node *y = as_linear(g->t, x, as_w(g, w), NULL);
    ptrdiff_t dims[] = { x->dim[0], x->dim[1], o->heads, -1 };

    if (o->conv && o->act == 0)
        y = as_graph_conv_silu(g, conv, past, y);
    else if (o->conv)
        y = as_graph_conv(g, conv, past, y);
    else if (o->act == 0)
        y = as_silu(g->t, y);
    return as_reshape(g->t, y, 4, dims);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *q = branch(g, x, W_Q, CONV_Q, PAST_Q), *k = branch(g, x, W_K, CONV_K, PAST_K);
    struct as_node *v = branch(g, x, W_V, CONV_V, PAST_V), *beta, *y;
    ptrdiff_t flat[] = { x->dim[0], x->dim[1], -1 };

    if (o->qk_norm == 0) {
        q = as_l2norm(t, q, 1e-6);
        k = as_l2norm(t, k, 1e-6);
    }
    q = as_scale(t, q, 1 / sqrt((double)q->dim[3]));
    beta = as_scale(t, as_sigmoid(t, as_linear(t, x, as_w(g, W_BETA), NULL)), o->beta_max);
    y = as_child_ports(g, CORE, 0, 4, (struct as_node *[]){ q, k, v, beta });
    if (o->out_norm == 0)
        y = as_rmsnorm(t, y, as_w(g, NORM), 1e-5);
    return as_linear(t, as_reshape(t, y, 3, flat), as_w(g, W_O), NULL);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "linear attention with the delta rule; beta_max = 2 extends its eigenvalues to (-1, 1)",
    .paper = { .key = "yang2024deltanet", .title = "Parallelizing Linear Transformers with the Delta Rule over Sequence "
               "Length", .url = "https://arxiv.org/abs/2406.06484",
               .where = "section 2.2, eq. 2-4; section 3.3; range of beta: Grazzi et al. 2025, section 4.2",
               .departs = "projections start Glorot uniform with gain 1", .year = 2024, .id = 8 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_attention__deltanet) = { .abi = ASSAY_ABI, .variant = &variant };

/* Linear attention: softmax replaced by a feature map, so that keys and values fit in a state.
 *
 * Katharopoulos et al. 2020, "Transformers are RNNs" (eq. 5-9, 16-20); the Taylor map after Arora et al. 2024,
 * "Simple linear attention language models balance the recall-throughput tradeoff" (section 4.1). Per head:
 *     o_t = phi(q_t) S_t / (phi(q_t) z_t + 1e-6)     S_t = S_{t-1} + phi(k_t)^T v_t,   z_t = z_{t-1} + phi(k_t)^T
 * phi: elu(x) + 1, x (identity), or the Taylor map of exp(q.k / sqrt(d)): [1, x / d^{1/4}, x x^T / (sqrt(2) sqrt(d))].
 * `normalise = sum` divides as above; `rms` takes an RMS norm per head instead, as retention does, for maps whose sum
 * may vanish; `none` leaves o as it is.
 * Departs: q and k are scaled by nothing but the map; projections start Glorot uniform.
 */
#include <assay/layer.h>
#include <tgmath.h>

struct opt { int heads, feature, normalise, key_width, conv; };
enum { ELU, IDENTITY, TAYLOR };
enum { BY_SUM, BY_RMS, BY_NOTHING };

static const struct as_option options[] = {
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 4, .min = 1, .max = 1024,
      .sweep = "1,2,4", .help = "number of heads" },
    { .key = "feature", .type = AS_WORD, .offset = offsetof(struct opt, feature), .def = ELU,
      .words = "elu|identity|taylor", .sweep = "elu,identity,taylor", .help = "phi: feature map of q and k" },
    { .key = "normalise", .type = AS_WORD, .offset = offsetof(struct opt, normalise), .def = BY_SUM,
      .words = "sum|rms|none", .sweep = "sum,rms,none", .help = "what the read-out is divided by" },
    { .key = "key_width", .type = AS_INT, .offset = offsetof(struct opt, key_width), .def = 0, .min = 0, .max = 4096,
      .help = "d_k before the feature map; 0: width / heads" },
    { .key = "conv", .type = AS_INT, .offset = offsetof(struct opt, conv), .def = 0, .min = 0, .max = 64,
      .sweep = "0,4", .help = "kernel of a short convolution (then SiLU) on q, k, v; 0: none" },
    { 0 }
};

enum { CORE };
static const struct as_slot slots[] = { { "core", "linear-rule", "the memory on phi(q), phi(k), v" }, { 0 } };

enum { W_Q, W_K, W_V, CONV_Q, CONV_K, CONV_V, NORM, W_O };
enum { PAST_Q, PAST_K, PAST_V, Z };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "linear attention reads a sequence (batch, time, width)";
    if (in->dim[2] % o->heads != 0)
        return as_say("the width %td cannot be cut into %d heads", in->dim[2], o->heads);
    if (o->feature == IDENTITY && o->normalise == BY_SUM)
        return "the identity map can be negative, so its sum is no normaliser; set normalise = rms or none";
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->heads, dk = o->key_width ? o->key_width : d / h, dv = d / h;
    ptrdiff_t wide = o->feature == TAYLOR ? 1 + dk + dk * dk : dk, z[] = { AS_ANY, h, wide };
    struct as_init glorot = { .spread = AS_GLOROT }, one = { .spread = AS_CONSTANT, .a = 1 };
    struct as_spec core[3] = { 0 };

    as_weight(p, W_Q, "W_q", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_K, "W_k", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_V, "W_v", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dv, d });
    if (o->conv) {
        as_plan_conv(p, CONV_Q, PAST_Q, "conv_q", h * dk, o->conv);
        as_plan_conv(p, CONV_K, PAST_K, "conv_k", h * dk, o->conv);
        as_plan_conv(p, CONV_V, PAST_V, "conv_v", h * dv, o->conv);
    }
    if (o->normalise == BY_SUM)
        as_state(p, Z, "z", (struct as_init){ .spread = AS_ZERO }, 3, z);
    if (o->normalise == BY_RMS)
        as_weight(p, NORM, "norm", AS_GAIN, one, 1, &dv);
    as_weight(p, W_O, "W_o", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, h * dv });
    for (int i = 0; i < 3; i++)
        core[i] = (struct as_spec){ AS_REALS, 4, { AS_ANY, AS_ANY, h, i < 2 ? wide : dv }, 0 };
    as_plan_child(p, CORE, 0, 3, core);
}

static struct as_node *branch(struct as_graph *g, struct as_node *x, int w, int conv, int past)
{
    const struct opt *o = g->opt;
    struct as_node *y = as_linear(g->t, x, as_w(g, w), NULL);
    ptrdiff_t dims[] = { x->dim[0], x->dim[1], o->heads, -1 };

    if (o->conv)
        y = as_graph_conv_silu(g, conv, past, y);
    return as_reshape(g->t, y, 4, dims);
}

/* x (batch, time, heads, 1) filled with ones, without a gradient. */
static struct as_node *ones(struct as_tape *t, const struct as_node *like)
{
    ptrdiff_t dims[] = { like->dim[0], like->dim[1], like->dim[2], 1 };
    struct as_node *one = as_node_new(t, 4, dims);

    for (ptrdiff_t i = 0; i < as_node_size(one); i++)
        one->x[i] = R(1.0);
    one->length = like->length;
    return one;
}

static struct as_node *features(struct as_tape *t, const struct opt *o, struct as_node *x)
{
    ptrdiff_t d = x->dim[3], column[] = { -1, d, 1 }, row[] = { -1, 1, d }, wide[] = { x->dim[0], x->dim[1], x->dim[2], -1 };
    struct as_node *square, *parts[3];

    if (o->feature == ELU)
        return as_elu_one(t, x);
    if (o->feature == IDENTITY)
        return x;
    x = as_scale(t, x, pow((double)d, -0.25));
    square = as_mul(t, as_reshape(t, x, 3, column), as_reshape(t, x, 3, row));
    parts[0] = ones(t, x);
    parts[1] = x;
    parts[2] = as_scale(t, as_reshape(t, square, 4, wide), sqrt(0.5));
    return as_concat(t, 3, parts, 3);
}

/* y over the sum of its weights; a stream has the sum of the keys so far as its state. */
static struct as_node *over_sum(struct as_graph *g, struct as_node *y, struct as_node *q, struct as_node *k)
{
    struct as_node *z = g->streaming ? as_graph_state(g, Z) : NULL;

    y = as_normaliser(g->t, y, q, k, z, 1e-6);
    if (z)                                   /* last: it writes where z stands */
        as_graph_state_set(g, Z, as_add(g->t, z, as_reshape(g->t, k, 3, z->dim)));
    return y;
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *q = features(t, o, branch(g, x, W_Q, CONV_Q, PAST_Q));
    struct as_node *k = features(t, o, branch(g, x, W_K, CONV_K, PAST_K)), *v = branch(g, x, W_V, CONV_V, PAST_V), *y;
    ptrdiff_t flat[] = { x->dim[0], x->dim[1], -1 };

    y = as_child_ports(g, CORE, 0, 3, (struct as_node *[]){ q, k, v });
    if (o->normalise == BY_SUM)
        y = over_sum(g, y, q, k);
    else if (o->normalise == BY_RMS)
        y = as_rmsnorm(t, y, as_w(g, NORM), 1e-5);
    return as_linear(t, as_reshape(t, y, 3, flat), as_w(g, W_O), NULL);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "linear attention with a feature map: additive memory",
    .paper = { .key = "katharopoulos2020linear", .title = "Transformers are RNNs: Fast Autoregressive Transformers with "
               "Linear Attention", .url = "https://arxiv.org/abs/2006.16236", .where = "eq. 5-9, 16-20",
               .departs = "options for other maps and normalisers; projections start Glorot uniform", .year = 2020 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_attention__linear) = { .abi = ASSAY_ABI, .variant = &variant };

/* Retention: linear attention with positions by rotation and a fixed rate of forgetting for each head.
 *
 * Sun et al. 2023, "Retentive network: a successor to transformer for large language models" (eq. 1-8). Per head h:
 *     q, k = rotate(W_q x), rotate(W_k x) / sqrt(dk)      v = W_v x          rotate: by the angle t theta_j, as xPos
 *     S_t = gamma_h S_{t-1} + k_t^T v_t                   gamma_h = 1 - 2^{-5 - h},  h = 0, 1, ...
 *     o_t = q_t S_t                                       (slot `core`)
 *     y = W_o (swish(W_g x) * groupnorm(o))               each head is a group, without gain and bias
 * Departs: the paper's normalisations of the scores (section 2.1, "retention score normalization") are left out: the
 * group norm undoes them but for its epsilon; the decay of xPos is gamma itself, so only its rotation is left, in pairs
 * (j, j + dk/2); projections start Glorot uniform with gain 1.
 */
#include <assay/layer.h>
#include <tgmath.h>

struct opt { int heads, gate; double expand; };

static const struct as_option options[] = {
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 4, .min = 1, .max = 40,
      .sweep = "1,2,4", .help = "number of heads" },
    { .key = "expand", .type = AS_NUM, .offset = offsetof(struct opt, expand), .def = 1, .min = 0.125, .max = 16,
      .sweep = "1,2", .help = "d_v / d_k" },
    { .key = "gate", .type = AS_BOOL, .offset = offsetof(struct opt, gate), .def = 1, .sweep = "on,off",
      .help = "the swish gate on the normalised output" },
    { 0 }
};

enum { CORE };
static const struct as_slot slots[] = { { "core", "linear-rule", "the recurrence on q, k, v and log gamma" }, { 0 } };

enum { W_Q, W_K, W_V, W_G, W_O };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "retention reads a sequence (batch, time, width)";
    if (in->dim[2] % (2 * o->heads) != 0)
        return as_say("the width %td cannot be cut into %d heads of even width; set heads", in->dim[2], o->heads);
    return NULL;
}

static ptrdiff_t value_width(const struct opt *o, ptrdiff_t d)
{
    return (ptrdiff_t)((double)(d / o->heads) * o->expand + 0.5);
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->heads, dv = value_width(o, d);
    struct as_init glorot = { .spread = AS_GLOROT };
    struct as_spec core[4] = { { 0 } };

    as_weight(p, W_Q, "W_q", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, d });
    as_weight(p, W_K, "W_k", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, d });
    as_weight(p, W_V, "W_v", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dv, d });
    if (o->gate)
        as_weight(p, W_G, "W_g", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dv, d });
    as_weight(p, W_O, "W_o", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, h * dv });
    for (int i = 0; i < 4; i++)
        core[i] = (struct as_spec){ AS_REALS, i < 3 ? 4 : 3, { AS_ANY, AS_ANY, h, i < 2 ? d / h : dv }, 0 };
    as_plan_child(p, CORE, 0, 4, core);
}

/* W x cut into heads. */
static struct as_node *heads(struct as_graph *g, struct as_node *x, int w)
{
    const struct opt *o = g->opt;

    return as_reshape(g->t, as_linear(g->t, x, as_w(g, w), NULL), 4, (ptrdiff_t[]){ x->dim[0], x->dim[1], o->heads, -1 });
}

/* log gamma_h at every step (batch, time, heads), without a gradient. */
static struct as_node *decays(struct as_graph *g, const struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_node *y = as_node_new(g->t, 3, (ptrdiff_t[]){ x->dim[0], x->dim[1], o->heads });

    for (int h = 0; h < o->heads; h++) {
        real log_gamma = (real)log1p(-exp2(-5.0 - h));

        for (ptrdiff_t i = h; i < as_node_size(y); i += o->heads)
            y->x[i] = log_gamma;
    }
    y->length = x->length;
    return y;
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_tape *t = g->t;
    ptrdiff_t from = as_graph_position(g);
    struct as_node *q = as_rotary(t, heads(g, x, W_Q), 10000, from), *k = as_rotary(t, heads(g, x, W_K), 10000, from), *y;

    k = as_scale(t, k, 1 / sqrt((double)k->dim[3]));
    y = as_child_ports(g, CORE, 0, 4, (struct as_node *[]){ q, k, heads(g, x, W_V), decays(g, x) });
    y = as_reshape(t, as_layernorm(t, y, NULL, NULL, 1e-5), 3, (ptrdiff_t[]){ x->dim[0], x->dim[1], -1 });
    if (o->gate)
        y = as_mul(t, y, as_silu(t, as_linear(t, x, as_w(g, W_G), NULL)));
    return as_linear(t, y, as_w(g, W_O), NULL);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "linear attention with rotated positions and a fixed decay for each head",
    .paper = { .key = "sun2023retentive", .title = "Retentive Network: A Successor to Transformer for Large Language Models",
               .url = "https://arxiv.org/abs/2307.08621", .where = "eq. 1-8",
               .departs = "no normalisation of scores, which the group norm undoes; projections start Glorot uniform",
               .year = 2023 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_attention__retention) = { .abi = ASSAY_ABI, .variant = &variant };

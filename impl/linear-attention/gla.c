/* Gated linear attention: each dimension of the key forgets at a rate that the input sets.
 *
 * Yang et al. 2024, "Gated linear attention transformers with hardware-efficient training" (eq. 3-5, section 4.4). Per
 * head, all vectors rows:
 *     q, k, v = W_q x, W_k x, W_v x             log a = logsigmoid(W_2 W_1 x + b) / tau
 *     S_t = diag(a_t) S_{t-1} + k_t^T v_t       o_t = dk^{-1/2} q_t S_t                        (slot `core`)
 *     y = W_o (swish(W_r x + b_r) * layernorm(o))                    the norm per head, with gain and bias of width dv
 * W_1 has `rank` rows. The keys of all heads together are half as wide as the input, the values as wide.
 * Departs: projections start Glorot uniform with gain 1; q is divided by the root of its width, as the authors' code
 * does; the gain and bias of the norm are shared by the heads.
 */
#include <assay/layer.h>
#include <tgmath.h>

struct opt { int heads, rank; double tau, key_share, expand; };

static const struct as_option options[] = {
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 4, .min = 1, .max = 1024,
      .sweep = "1,2,4", .help = "number of heads" },
    { .key = "rank", .type = AS_INT, .offset = offsetof(struct opt, rank), .def = 16, .min = 1, .max = 4096,
      .sweep = "4,16", .help = "rank of the gate's projection" },
    { .key = "tau", .type = AS_NUM, .offset = offsetof(struct opt, tau), .def = 16, .min = 0.01, .max = 1e6,
      .sweep = "1,16", .help = "temperature: the gate is the sigmoid to the power 1 / tau" },
    { .key = "key_share", .type = AS_NUM, .offset = offsetof(struct opt, key_share), .def = 0.5, .min = 0.01, .max = 16,
      .sweep = "0.5,1", .help = "width of all keys as a share of the input's" },
    { .key = "expand", .type = AS_NUM, .offset = offsetof(struct opt, expand), .def = 1, .min = 0.01, .max = 16,
      .help = "width of all values as a share of the input's" },
    { 0 }
};

enum { CORE };
static const struct as_slot slots[] = { { "core", "gated-linear-rule", "the recurrence on q, k, v and log_a" }, { 0 } };

enum { W_Q, W_K, W_V, W_1, W_2, B_GATE, W_R, B_R, GAIN, BIAS, W_O };

/* Width of a head whose heads together are `share` as wide as the input; 0: that is no whole number. */
static ptrdiff_t head_width(ptrdiff_t d, double share, int heads)
{
    double width = (double)d * share / heads;
    ptrdiff_t whole = (ptrdiff_t)(width + 0.5);

    return fabs(width - (double)whole) < 1e-6 ? whole : 0;
}

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "gla reads a sequence (batch, time, width)";
    if (head_width(in->dim[2], o->key_share, o->heads) < 1)
        return as_say("keys of %g times the width %td cannot be cut into %d heads; set key_share or heads",
                      o->key_share, in->dim[2], o->heads);
    if (head_width(in->dim[2], o->expand, o->heads) < 1)
        return as_say("values of %g times the width %td cannot be cut into %d heads; set expand or heads",
                      o->expand, in->dim[2], o->heads);
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->heads, r = o->rank;
    ptrdiff_t dk = head_width(d, o->key_share, o->heads), dv = head_width(d, o->expand, o->heads);
    ptrdiff_t keys = h * dk, values = h * dv;
    struct as_init glorot = { .spread = AS_GLOROT }, one = { .spread = AS_CONSTANT, .a = 1 }, zero = { .spread = AS_ZERO };
    struct as_spec core[4] = { { 0 } };

    as_weight(p, W_Q, "W_q", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ keys, d });
    as_weight(p, W_K, "W_k", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ keys, d });
    as_weight(p, W_V, "W_v", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ values, d });
    as_weight(p, W_1, "W_1", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ r, d });
    as_weight(p, W_2, "W_2", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ keys, r });
    as_weight(p, B_GATE, "b_gate", AS_BIAS, zero, 1, &keys);
    as_weight(p, W_R, "W_r", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ values, d });
    as_weight(p, B_R, "b_r", AS_BIAS, zero, 1, &values);
    as_weight(p, GAIN, "gain", AS_GAIN, one, 1, &dv);
    as_weight(p, BIAS, "bias", AS_BIAS, zero, 1, &dv);
    as_weight(p, W_O, "W_o", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, values });
    for (int i = 0; i < 4; i++)
        core[i] = (struct as_spec){ AS_REALS, 4, { AS_ANY, AS_ANY, h, i == 2 ? dv : dk }, 0 };
    as_plan_child(p, CORE, 0, 4, core);
}

/* x (batch, time, ...) cut into heads. */
static struct as_node *heads(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;

    return as_reshape(g->t, x, 4, (ptrdiff_t[]){ x->dim[0], x->dim[1], o->heads, -1 });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *q = heads(g, as_linear(t, x, as_w(g, W_Q), NULL)), *k = heads(g, as_linear(t, x, as_w(g, W_K), NULL));
    struct as_node *v = heads(g, as_linear(t, x, as_w(g, W_V), NULL)), *y;
    struct as_node *gate = as_linear(t, as_linear(t, x, as_w(g, W_1), NULL), as_w(g, W_2), as_w(g, B_GATE));
    struct as_node *log_a = as_scale(t, as_logsigmoid(t, gate), 1 / o->tau);

    q = as_scale(t, q, 1 / sqrt((double)q->dim[3]));
    y = as_child_ports(g, CORE, 0, 4, (struct as_node *[]){ q, k, v, heads(g, log_a) });
    y = as_layernorm(t, y, as_w(g, GAIN), as_w(g, BIAS), 1e-5);
    y = as_reshape(t, y, 3, (ptrdiff_t[]){ x->dim[0], x->dim[1], -1 });
    y = as_mul(t, y, as_silu(t, as_linear(t, x, as_w(g, W_R), as_w(g, B_R))));
    return as_linear(t, y, as_w(g, W_O), NULL);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "linear attention whose key dimensions forget at data-dependent rates, with a gated output",
    .paper = { .key = "yang2024gla", .title = "Gated Linear Attention Transformers with Hardware-Efficient Training",
               .url = "https://arxiv.org/abs/2312.06635", .where = "eq. 3-5, section 4.4",
               .departs = "projections start Glorot uniform with gain 1; q is scaled by its width, as in the authors' code",
               .year = 2024 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_attention__gla) = { .abi = ASSAY_ABI, .variant = &variant };

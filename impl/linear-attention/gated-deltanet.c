/* Gated DeltaNet: the delta rule with a gate that forgets.
 *
 * Yang et al. 2025, "Gated delta networks: improving Mamba2 with delta rule" (eq. 10, section 3.4). Per head:
 *     q, k = l2norm(silu(conv(W_q x))), l2norm(silu(conv(W_k x)))        v = silu(conv(W_v x))
 *     beta = beta_max * sigmoid(W_beta x)            log a = -exp(A_log) * softplus(W_a x + dt_bias)
 *     S_t = a_t (I - beta k^T k) S_{t-1} + beta k^T v                o_t = dk^{-1/2} q_t S_t     (slot `core`)
 *     y = W_o (rmsnorm(o) * silu(W_g x))                              per head, with a gain
 * The state decays first, then erases and writes. A ~ U(0, 16); dt log-uniform in [1e-3, 0.1] through the inverse
 * softplus; neither decays in training (they are of kind `recurrence`). The value is `expand` times the key wide.
 * Departs: projections start Glorot uniform with gain 1; `beta_max`, `gate` and `erase` are switches of ours.
 */
#include <assay/layer.h>
#include <tgmath.h>

struct opt { int heads, conv, key_width, gate, out_gate, erase; double beta_max, expand; };

static const struct as_option options[] = {
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 4, .min = 1, .max = 1024,
      .sweep = "1,2,4", .help = "number of heads" },
    { .key = "key_width", .type = AS_INT, .offset = offsetof(struct opt, key_width), .def = 0, .min = 0, .max = 4096,
      .help = "d_k: width of a head's key; 0: width / heads" },
    { .key = "expand", .type = AS_NUM, .offset = offsetof(struct opt, expand), .def = 2, .min = 0.125, .max = 16,
      .sweep = "1,2", .help = "d_v / d_k" },
    { .key = "beta_max", .type = AS_NUM, .offset = offsetof(struct opt, beta_max), .def = 1, .min = 0, .max = 2,
      .sweep = "1,2", .help = "upper end of beta; 2 allows negative eigenvalues" },
    { .key = "conv", .type = AS_INT, .offset = offsetof(struct opt, conv), .def = 4, .min = 0, .max = 64,
      .sweep = "0,4", .help = "kernel of the short convolution on q, k, v; 0: none" },
    { .key = "gate", .type = AS_BOOL, .offset = offsetof(struct opt, gate), .def = 1, .sweep = "on,off",
      .help = "the decay a; off: DeltaNet" },
    { .key = "erase", .type = AS_BOOL, .offset = offsetof(struct opt, erase), .def = 1, .sweep = "on,off",
      .help = "the term -beta k k^T; off: a gated additive memory (Mamba-2 like)" },
    { .key = "out_gate", .type = AS_BOOL, .offset = offsetof(struct opt, out_gate), .def = 1, .sweep = "on,off",
      .help = "the gate on the normalised output" },
    { 0 }
};

enum { CORE, ADDITIVE };
static const struct as_slot slots[] = {
    { "core", "delta-rule", "the recurrence on q, k, v, beta and g" },
    { "additive", "linear-rule", "the recurrence when erase is off" },
    { 0 }
};

enum { W_Q, W_K, W_V, W_BETA, W_A, A_LOG, DT_BIAS, W_G, CONV_Q, CONV_K, CONV_V, NORM, W_O };
enum { PAST_Q, PAST_K, PAST_V };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "gated-deltanet reads a sequence (batch, time, width)";
    if (in->dim[2] % o->heads != 0 && !o->key_width)
        return as_say("the width %td cannot be cut into %d heads; set heads or key_width", in->dim[2], o->heads);
    return NULL;
}

static void draw_a_log(const void *opt, struct as_key key, ptrdiff_t n, float *w)
{
    (void)opt;
    for (ptrdiff_t i = 0; i < n; i++)
        w[i] = log(16.0f * as_uniform(key, (uint64_t)i));
}

/* dt = exp(U(log 1e-3, log 0.1)); its inverse softplus is dt + log(1 - exp(-dt)). */
static void draw_dt(const void *opt, struct as_key key, ptrdiff_t n, float *w)
{
    (void)opt;
    for (ptrdiff_t i = 0; i < n; i++) {
        double u = (double)as_uniform(key, (uint64_t)i), dt = exp(log(1e-3) + u * (log(0.1) - log(1e-3)));

        w[i] = (float)(dt + log(-expm1(-dt)));
    }
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->heads, dk = o->key_width ? o->key_width : d / h;
    ptrdiff_t dv = (ptrdiff_t)((double)dk * o->expand + 0.5);
    struct as_init glorot = { .spread = AS_GLOROT }, one = { .spread = AS_CONSTANT, .a = 1 };
    struct as_spec core[5] = { 0 };

    as_weight(p, W_Q, "W_q", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_K, "W_k", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_V, "W_v", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dv, d });
    if (o->gate) {
        as_weight(p, W_A, "W_a", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h, d });
        as_weight(p, A_LOG, "A_log", AS_RECURRENCE, (struct as_init){ .spread = AS_DRAWN, .draw = draw_a_log }, 1, &h);
        as_weight(p, DT_BIAS, "dt_bias", AS_RECURRENCE, (struct as_init){ .spread = AS_DRAWN, .draw = draw_dt }, 1, &h);
    }
    if (o->out_gate)
        as_weight(p, W_G, "W_g", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dv, d });
    if (o->conv) {
        as_plan_conv(p, CONV_Q, PAST_Q, "conv_q", h * dk, o->conv);
        as_plan_conv(p, CONV_K, PAST_K, "conv_k", h * dk, o->conv);
        as_plan_conv(p, CONV_V, PAST_V, "conv_v", h * dv, o->conv);
    }
    as_weight(p, NORM, "norm", AS_GAIN, one, 1, &dv);
    as_weight(p, W_O, "W_o", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, h * dv });
    for (int i = 0; i < 5; i++)
        core[i] = (struct as_spec){ AS_REALS, i < 3 ? 4 : 3, { AS_ANY, AS_ANY, h, i < 2 ? dk : dv }, 0 };
    if (o->erase) {
        as_weight(p, W_BETA, "W_beta", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h, d });
        as_plan_child(p, CORE, 0, o->gate ? 5 : 4, core);
    } else
        as_plan_child(p, ADDITIVE, 0, o->gate ? 4 : 3, core);
}

/* W x, through the short convolution and the activation, cut into heads: (batch, time, heads, width). */
static struct as_node *branch(struct as_graph *g, struct as_node *x, int w, int conv, int past)
{
    const struct opt *o = g->opt;
    struct as_node *y = as_linear(g->t, x, as_w(g, w), NULL);
    ptrdiff_t dims[] = { x->dim[0], x->dim[1], o->heads, -1 };

    y = o->conv ? as_graph_conv_silu(g, conv, past, y) : as_silu(g->t, y);
    return as_reshape(g->t, y, 4, dims);
}

/* log a (batch, time, heads), never positive. */
static struct as_node *log_decay(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    struct as_node *dt = as_softplus(t, as_linear(t, x, as_w(g, W_A), as_w(g, DT_BIAS)));

    return as_neg(t, as_mul(t, dt, as_exp(t, as_w(g, A_LOG))));
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *q = as_l2norm(t, branch(g, x, W_Q, CONV_Q, PAST_Q), 1e-6);
    struct as_node *k = as_l2norm(t, branch(g, x, W_K, CONV_K, PAST_K), 1e-6);
    struct as_node *in[5] = { as_scale(t, q, 1 / sqrt((double)q->dim[3])), k, branch(g, x, W_V, CONV_V, PAST_V) }, *y;
    ptrdiff_t flat[] = { x->dim[0], x->dim[1], -1 };
    int n = 3;

    if (o->erase)
        in[n++] = as_scale(t, as_sigmoid(t, as_linear(t, x, as_w(g, W_BETA), NULL)), o->beta_max);
    if (o->gate)
        in[n++] = log_decay(g, x);
    y = as_child_ports(g, o->erase ? CORE : ADDITIVE, 0, n, in);
    y = as_reshape(t, as_rmsnorm(t, y, as_w(g, NORM), 1e-5), 3, flat);
    if (o->out_gate)
        y = as_mul(t, y, as_silu(t, as_linear(t, x, as_w(g, W_G), NULL)));
    return as_linear(t, y, as_w(g, W_O), NULL);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "the delta rule with a data-dependent decay and a gated output",
    .paper = { .key = "yang2025gated", .title = "Gated Delta Networks: Improving Mamba2 with Delta Rule",
               .url = "https://arxiv.org/abs/2412.06464", .where = "eq. 10, section 3.4",
               .departs = "projections start Glorot uniform with gain 1", .year = 2025, .id = 249 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_attention__gated_deltanet) = { .abi = ASSAY_ABI, .variant = &variant };

/* HGRN2: a gated linear recurrence whose state is a matrix a head, with a key tied to the forget gate.
 *
 * Qin et al. 2024, "HGRN2: gated linear RNNs with state expansion" (arXiv 2404.07904), section 3. Per head of width d,
 * all vectors columns, S (d, d):
 *     i = W_i x     o = silu(W_o x)     f = lb + (1 - lb) sigmoid(W_f x)          f, lb in (0, 1)^d
 *     S_t = diag(f_t) S_{t-1} + (1 - f_t) i_t^T        s_t = S_t^T o_t            (slot `core`: q = o, k = 1 - f, v = i)
 *     y = W_y (gain * s / sqrt(mean(s^2) + 1e-5))                                 the mean over all heads together
 * With as many heads as the width d is 1 and the recurrence is that of HGRN (without its rotation): h = f h + (1 - f) i.
 * The number of weights is the same for any number of heads.
 *
 * For lb = sigmoid(gamma) and z = W_f x the key is sigmoid(-gamma) sigmoid(-z); its logarithm is a sum of two
 * logsigmoids, and log f is log(1 - e^that), which keeps its digits where f is near 0 and where it is near 1.
 *
 * Departs: in the paper lb rises from layer to layer, by a cumulative softmax of one learned matrix (layers, width), from
 * 0 at the first. A layer here knows neither its depth nor its neighbours' weights, so each has a gamma of its own, which
 * starts at logit(lower) in every layer: two layers of the paper have 0 and a trained lb that starts at 1/2. From memory
 * are the section's number and, of the authors' program: silu on o, none on i, no biases, the norm over the whole width.
 * o is not scaled, since the norm undoes it. Projections start Glorot uniform with gain 1.
 */
#include <assay/layer.h>
#include <tgmath.h>

struct opt { int heads; double lower; };

static const struct as_option options[] = {
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 4, .min = 1, .max = 1024,
      .sweep = "1,2,4", .help = "number of heads; as many as the width: the vector recurrence of HGRN" },
    { .key = "lower", .type = AS_NUM, .offset = offsetof(struct opt, lower), .def = 0.5, .min = 0, .max = 0.999,
      .sweep = "0,0.5,0.9", .help = "lower bound of the forget gate at the start, then trained; 0: none" },
    { 0 }
};

enum { CORE };
static const struct as_slot slots[] = { { "core", "gated-linear-rule", "the recurrence on o, 1 - f, i and log f" }, { 0 } };

enum { W_I, W_O, W_F, W_Y, GAIN, GAMMA };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "hgrn2 reads a sequence (batch, time, width)";
    if (in->dim[2] % o->heads)
        return as_say("the width %td cannot be cut into %d heads; set heads", in->dim[2], o->heads);
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t d = p->in->dim[2];
    struct as_init glorot = { .spread = AS_GLOROT }, one = { .spread = AS_CONSTANT, .a = 1 };
    struct as_spec core = { AS_REALS, 4, { AS_ANY, AS_ANY, o->heads, d / o->heads }, 0 };

    as_weight(p, W_I, "W_i", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, d });
    as_weight(p, W_O, "W_o", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, d });
    as_weight(p, W_F, "W_f", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, d });
    as_weight(p, W_Y, "W_y", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, d });
    as_weight(p, GAIN, "gain", AS_GAIN, one, 1, &d);
    if (o->lower > 0)
        as_weight(p, GAMMA, "gamma", AS_RECURRENCE,
                  (struct as_init){ .spread = AS_CONSTANT, .a = log(o->lower / (1 - o->lower)) }, 1, &d);
    as_plan_child(p, CORE, 0, 4, (struct as_spec[]){ core, core, core, core });
}

/* W x (batch, time, width) cut into heads. */
static struct as_node *heads(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;

    return as_reshape(g->t, x, 4, (ptrdiff_t[]){ x->dim[0], x->dim[1], o->heads, -1 });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *opt = g->opt;
    struct as_tape *t = g->t;
    struct as_node *i = as_linear(t, x, as_w(g, W_I), NULL), *o = as_silu(t, as_linear(t, x, as_w(g, W_O), NULL));
    struct as_node *z = as_linear(t, x, as_w(g, W_F), NULL), *log_k = as_logsigmoid(t, as_neg(t, z)), *log_f, *y;

    if (opt->lower > 0) {
        log_k = as_add(t, log_k, as_logsigmoid(t, as_neg(t, as_w(g, GAMMA))));
        log_f = as_log1mexp(t, log_k);
    } else {
        log_f = as_logsigmoid(t, z);
    }
    y = as_child_ports(g, CORE, 0, 4, (struct as_node *[]){ heads(g, o), heads(g, as_exp(t, log_k)), heads(g, i),
                                                            heads(g, log_f) });
    y = as_reshape(t, y, 3, (ptrdiff_t[]){ x->dim[0], x->dim[1], -1 });
    return as_linear(t, as_rmsnorm(t, y, as_w(g, GAIN), 1e-5), as_w(g, W_Y), NULL);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "gated linear recurrence with a matrix for a state, whose key is one minus the forget gate",
    .paper = { .key = "qin2024hgrn2", .title = "HGRN2: Gated Linear RNNs with State Expansion",
               .url = "https://arxiv.org/abs/2404.07904", .where = "section 3", .year = 2024, .id = 190,
               .departs = "each layer has a trained lower bound of its own instead of one that rises with the depth; "
                          "activations, norm and biases from memory of the authors' program" },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_attention__hgrn2) = { .abi = ASSAY_ABI, .variant = &variant };

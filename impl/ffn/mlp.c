/* mlp.c: two linear maps with an activation between them, at each position:
 *
 *   y = W_2 act(W_1 x + b_1) + b_2          (Vaswani et al. 2017, eq. 2, with any activation)
 *
 * Matrices start uniform in +-1/sqrt(inputs), biases at zero.
 */
#include <assay/layer.h>
#include <math.h>

struct mlp { double ratio; int bias; };
enum { W_1, B_1, W_2, B_2 };
enum { ACT };

static const struct as_option options[] = {
    { "ratio", AS_NUM, offsetof(struct mlp, ratio), 4, 0.001, 1024, NULL, "2,4", "hidden width over width" },
    { "bias", AS_BOOL, offsetof(struct mlp, bias), 1, 0, 0, NULL, NULL, "with b_1 and b_2" },
    { 0 }
};

static const struct as_slot slots[] = { { "act", "gelu", "activation between the two maps" }, { 0 } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank < 2)
        return "it works on real (..., width)";
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct mlp *o = p->opt;
    struct as_spec hidden = *p->in;
    const struct as_spec *out;
    ptrdiff_t d = hidden.dim[hidden.rank - 1], h = (ptrdiff_t)fmax(1, round(o->ratio * (double)d)), after = h;
    struct as_init matrix = { .spread = AS_FAN_IN }, zero = { .spread = AS_ZERO };

    hidden.dim[hidden.rank - 1] = h;
    out = as_plan_child(p, ACT, 0, 1, &hidden);
    if (out)
        after = out->dim[out->rank - 1];              /* gated activations halve the width */
    as_weight(p, W_1, "W_1", AS_MATRIX, matrix, 2, (ptrdiff_t[]){ h, d });
    as_weight(p, W_2, "W_2", AS_MATRIX, matrix, 2, (ptrdiff_t[]){ d, after });
    if (o->bias) {
        as_weight(p, B_1, "b_1", AS_BIAS, zero, 1, (ptrdiff_t[]){ h });
        as_weight(p, B_2, "b_2", AS_BIAS, zero, 1, (ptrdiff_t[]){ d });
    }
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct mlp *o = g->opt;
    struct as_node *h = as_linear(g->t, x, as_w(g, W_1), o->bias ? as_w(g, B_1) : NULL);

    return as_linear(g->t, as_child(g, ACT, 0, h), as_w(g, W_2), o->bias ? as_w(g, B_2) : NULL);
}

static const struct as_variant mlp = {
    .abi = ASSAY_ABI,
    .summary = "two linear maps with an activation between them, at each position",
    .paper = { .key = "vaswani2017attention", .title = "Attention is all you need",
               .url = "https://arxiv.org/abs/1706.03762", .year = 2017, .where = "eq. 2",
               .departs = "the activation is a slot, GELU by default" },
    .options = options, .opt_size = sizeof(struct mlp), .slots = slots,
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(ffn__mlp) = { .abi = ASSAY_ABI, .variant = &mlp };

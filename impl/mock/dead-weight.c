/* dead-weight.c: wrong on purpose: the unit is shifted by -10000, so it is never on: W has no gradient and nothing is
 * tested.
 */
#include <assay/layer.h>

enum { W };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, W, "W", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ d, d });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_node *inner = as_shift_by(g->t, as_linear(g->t, x, as_w(g, W), NULL), -1e4);

    return as_add(g->t, x, as_relu(g->t, inner));
}

static void forward(const struct as_call *c)
{
    ptrdiff_t n = c->in->dim[0] * c->in->dim[1] * c->in->dim[2];

    for (ptrdiff_t i = 0; i < n; i++)
        c->y[i] = c->x[0][i];
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the unit is shifted by -10000, so it is never on: W has no gradient and nothing is tested",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "weight-gradient",
    .truth = "y = x + max(W x, 0)",
    .wrong = "The unit is shifted by -10000, so it is never on: W has no gradient and nothing is tested",
};

const struct as_plugin AS_PLUGIN(mock__dead_weight) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

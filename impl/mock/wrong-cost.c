/* wrong-cost.c: wrong on purpose: the cost leaves the time out. */
#include <assay/layer.h>

enum { W, BIAS };

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
    as_weight(p, BIAS, "bias", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_linear(g->t, x, as_w(g, W), as_w(g, BIAS));
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    double d = (double)in->dim[2];

    (void)opt;
    (void)n_in;
    return (struct as_cost){ .flop = 2 * (double)in->dim[0] * d * d, .bytes = sizeof(real) * d * d };
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the cost leaves the time out",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

static const struct as_mock mock = {
    .caught_by = "cost",
    .truth = "2 * batch * time * width^2 operations for the product",
    .wrong = "The cost leaves the time out",
};

const struct as_plugin AS_PLUGIN(mock__wrong_cost) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

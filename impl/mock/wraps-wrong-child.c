/* wraps-wrong-child.c: wrong on purpose: a wrapper, right by itself, whose child (forgotten-bias) has a form that
 * leaves the bias out.
 */
#include <assay/layer.h>

enum { INNER };

static const struct as_slot slots[] = { { "inner", "mock/forgotten-bias", "added to x" }, { 0 } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    as_plan_child(p, INNER, 0, 1, p->in);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_add(g->t, x, as_child(g, INNER, 0, x));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: a wrapper, right by itself, whose child (forgotten-bias) has a form that leaves the bias out",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .slots = slots,
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "composition",
    .truth = "each implementation of a child gives what its graph gives",
    .wrong = "A wrapper, right by itself, whose child (forgotten-bias) has a form that leaves the bias out",
};

const struct as_plugin AS_PLUGIN(mock__wraps_wrong_child) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

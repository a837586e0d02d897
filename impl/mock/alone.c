/* alone.c: wrong on purpose: there is one form only, of the wrong function, and so it is unproved: there is nothing
 * to compare it with.
 */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_mul(g->t, x, as_sigmoid(g->t, as_scale(g->t, x, 1.702)));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: Gaussian error linear unit",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "second-form",
    .truth = "x * sigmoid(1.702 x) is an approximation of x * Phi(x), off by up to 0.02",
    .wrong = "There is one form only, of the wrong function, and so it is unproved: there is nothing to compare it "
             "with",
};

const struct as_plugin AS_PLUGIN(mock__alone) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

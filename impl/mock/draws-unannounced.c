/* draws-unannounced.c: wrong on purpose: it has dropout and does not say so. */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_dropout(g->t, x, g->training ? 0.1 : 0, g->key);
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: it has dropout and does not say so",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "draws",
    .truth = "a layer that draws while training promises AS_DRAWS",
    .wrong = "It has dropout and does not say so",
};

const struct as_plugin AS_PLUGIN(mock__draws_unannounced) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

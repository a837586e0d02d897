/* redraws.c: wrong on purpose: the mask depends on how often the layer has been run. */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    static uint64_t runs;

    return as_dropout(g->t, x, g->training ? 0.5 : 0, as_subkey(g->key, runs++));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the mask depends on how often the layer has been run",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE | AS_DRAWS,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "recompute",
    .truth = "a recomputed segment draws what it drew the first time",
    .wrong = "The mask depends on how often the layer has been run",
};

const struct as_plugin AS_PLUGIN(mock__redraws) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

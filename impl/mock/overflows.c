/* overflows.c: wrong on purpose: it takes e^x as it is: infinite in float from 89 on. */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_log(g->t, as_shift_by(g->t, as_exp(g->t, x), 1));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: it takes e^x as it is: infinite in float from 89 on",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "finite",
    .truth = "log(1 + e^x), which is x for large x",
    .wrong = "It takes e^x as it is: infinite in float from 89 on",
};

const struct as_plugin AS_PLUGIN(mock__overflows) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

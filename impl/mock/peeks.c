/* peeks.c: wrong on purpose: it promises to be causal and takes x_{t+1}. */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_add(g->t, x, as_scale(g->t, as_time_shift(g->t, x, -1, NULL), 0.1));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: it promises to be causal and takes x_{t+1}",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "causal",
    .truth = "y_t = x_t + x_{t-1} / 10",
    .wrong = "It promises to be causal and takes x_{t+1}",
};

const struct as_plugin AS_PLUGIN(mock__peeks) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

/* padding-leaks.c: wrong on purpose: the mean is taken over all steps, padding among them. */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_sub(g->t, x, as_mean(g->t, x, 1, true));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the mean is taken over all steps, padding among them",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "padding",
    .truth = "the mean over the valid steps is taken away",
    .wrong = "The mean is taken over all steps, padding among them",
};

const struct as_plugin AS_PLUGIN(mock__padding_leaks) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

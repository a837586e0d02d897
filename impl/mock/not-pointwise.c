/* not-pointwise.c: wrong on purpose: it promises to work on each position by itself and adds a tenth of the one
 * before.
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
    return as_add(g->t, x, as_scale(g->t, as_time_shift(g->t, x, 1, NULL), 0.1));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: it promises to work on each position by itself and adds a tenth of the one before",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "pointwise",
    .truth = "y_t = x_t",
    .wrong = "It promises to work on each position by itself and adds a tenth of the one before",
};

const struct as_plugin AS_PLUGIN(mock__not_pointwise) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

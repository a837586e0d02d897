/* rows-see-each-other.c: wrong on purpose: the mean over the batch is taken away, without the promise
 * AS_BATCH_STATISTICS.
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
    return as_sub(g->t, x, as_mean(g->t, x, 0, true));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the mean over the batch is taken away, without the promise AS_BATCH_STATISTICS",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "batch",
    .truth = "y = x",
    .wrong = "The mean over the batch is taken away, without the promise AS_BATCH_STATISTICS",
};

const struct as_plugin AS_PLUGIN(mock__rows_see_each_other) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

/* counts-evaluation.c: wrong on purpose: evaluation changes the running mean. */
#include <assay/layer.h>

enum { GAIN, MEAN };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, GAIN, "gain", AS_GAIN, (struct as_init){ .spread = AS_CONSTANT, .a = 1 }, 1, &d);
    as_statistic(p, MEAN, "mean", (struct as_init){ .spread = AS_ZERO }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    ptrdiff_t d = x->dim[2], rows = x->dim[0] * x->dim[1];
    real *mean = as_graph_statistic(g, MEAN);
    struct as_node *now = as_node_new(g->t, 1, &d);

    for (ptrdiff_t i = 0; i < d; i++)
        now->x[i] = mean[i];
    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            mean[i] += (x->x[p * d + i] - mean[i]) / 1000;
    return as_mul(g->t, as_sub(g->t, x, now), as_w(g, GAIN));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: evaluation changes the running mean",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_BATCH_STATISTICS,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "statistics",
    .truth = "running statistics change while training only",
    .wrong = "Evaluation changes the running mean",
};

const struct as_plugin AS_PLUGIN(mock__counts_evaluation) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

/* plan-differs.c: wrong on purpose: every second plan gives W one more row. */
#include <assay/layer.h>

enum { W };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    static int calls;
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, W, "W", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ d + calls++ % 2, d });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_linear(g->t, x, as_slice(g->t, as_w(g, W), 0, 0, x->dim[2]), NULL);
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: every second plan gives W one more row",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "plan",
    .truth = "W (width, width), whenever it is planned",
    .wrong = "Every second plan gives W one more row",
};

const struct as_plugin AS_PLUGIN(mock__plan_differs) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

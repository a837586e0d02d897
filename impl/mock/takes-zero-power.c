/* takes-zero-power.c: wrong on purpose: the row of the option lets 0 in, and x is divided by it. */
#include <assay/layer.h>

struct opt { double scale; };

static const struct as_option options[] = {
    { .key = "scale", .type = AS_NUM, .offset = offsetof(struct opt, scale), .def = 1, .min = 0, .max = 100,
      .help = "what x is divided by" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;

    return as_scale(g->t, x, 1 / o->scale);
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the row of the option lets 0 in, and x is divided by it",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .options = options, .opt_size = sizeof(struct opt),
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "options",
    .truth = "every value that the row lets in can be computed, or is refused by check()",
    .wrong = "The row of the option lets 0 in, and x is divided by it",
};

const struct as_plugin AS_PLUGIN(mock__takes_zero_power) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

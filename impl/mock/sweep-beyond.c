/* sweep-beyond.c: wrong on purpose: the option takes 1 to 8, and its sweep has 16. */
#include <assay/layer.h>

struct opt { int groups; };

static const struct as_option options[] = {
    { .key = "groups", .type = AS_INT, .offset = offsetof(struct opt, groups), .def = 1, .min = 1, .max = 8,
      .sweep = "1,4,16", .help = "what x is divided by" },
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

    return as_scale(g->t, x, 1.0 / o->groups);
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the option takes 1 to 8, and its sweep has 16",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .options = options, .opt_size = sizeof(struct opt),
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "descriptor",
    .truth = "the values of a sweep are values that the option takes",
    .wrong = "The option takes 1 to 8, and its sweep has 16",
};

const struct as_plugin AS_PLUGIN(mock__sweep_beyond) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

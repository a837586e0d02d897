/* one-level.c: wrong on purpose: its kernel leaves the bias out at the level avx2 and is right at all others. */
#include <assay/layer.h>

enum { GAIN, BIAS };

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
    as_weight(p, BIAS, "bias", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_add(g->t, as_mul(g->t, x, as_w(g, GAIN)), as_w(g, BIAS));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: its kernel leaves the bias out at the level avx2 and is right at all others",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "y = gain * x + bias, at every processor level",
    .wrong = "Its kernel leaves the bias out at the level avx2 and is right at all others",
};

const struct as_plugin AS_PLUGIN(mock__one_level) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

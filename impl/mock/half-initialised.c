/* half-initialised.c: wrong on purpose: the initialiser of its own fills the first half. */
#include <assay/layer.h>

enum { GAIN };

static void draw_half(const void *opt, struct as_key key, ptrdiff_t n, float *w)
{
    (void)opt;
    for (ptrdiff_t i = 0; i < n / 2; i++)
        w[i] = as_uniform(key, (uint64_t)i);
}

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, GAIN, "gain", AS_GAIN, (struct as_init){ .spread = AS_DRAWN, .draw = draw_half }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_mul(g->t, x, as_w(g, GAIN));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the initialiser of its own fills the first half",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "initial",
    .truth = "every number of a weight gets its initial value",
    .wrong = "The initialiser of its own fills the first half",
};

const struct as_plugin AS_PLUGIN(mock__half_initialised) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

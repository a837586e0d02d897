/* wrong-tanh.c: wrong on purpose: both of its forms have tanh(1.01 x), so they agree with each other. */
#include <assay/layer.h>
#include <tgmath.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_tanh(g->t, as_scale(g->t, x, 1.01));
}

static void forward(const struct as_call *c)
{
    ptrdiff_t n = c->in->dim[0] * c->in->dim[1] * c->in->dim[2];

    for (ptrdiff_t i = 0; i < n; i++)
        c->y[i] = tanh(R(1.01) * c->x[0][i]);
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: both of its forms have tanh(1.01 x), so they agree with each other",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "golden",
    .truth = "tanh(x)",
    .wrong = "Both of its forms have tanh(1.01 x), so they agree with each other",
};

const struct as_plugin AS_PLUGIN(mock__wrong_tanh) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

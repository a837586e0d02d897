/* crude-tanh.c: wrong on purpose: the second form is a quotient of polynomials, right to three or four digits. */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_tanh(g->t, x);
}

static void forward(const struct as_call *c)
{
    ptrdiff_t n = c->in->dim[0] * c->in->dim[1] * c->in->dim[2];

    for (ptrdiff_t i = 0; i < n; i++) {
        real x = c->x[0][i], s = x * x;
        real y = x * (10395 + s * (1260 + s * 21)) / (10395 + s * (4725 + s * (210 + s)));

        c->y[i] = x > 4 ? 1 : x < -4 ? -1 : y;
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form is a quotient of polynomials, right to three or four digits",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "y = tanh(x)",
    .wrong = "The second form is a quotient of polynomials, right to three or four digits",
};

const struct as_plugin AS_PLUGIN(mock__crude_tanh) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

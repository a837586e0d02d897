/* relu.c: max(x, 0); the gradient at 0 is 0. */
#include "blocks.h"

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return wants_reals(in);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_relu(g->t, x);
}

static void forward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from;
    real *y = c->y + from;

    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = x[i] < 0 ? 0 : x[i];          /* a NaN stays one */
}

static void backward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from, *dy = c->dy + from;
    real *dx = c->dx[0] + from;

    for (ptrdiff_t i = 0; i < n; i++)
        dx[i] += x[i] > 0 ? dy[i] : 0;
}

static void forward(const struct as_call *c)
{
    run_blocks(c, forward_block);
}

static void backward(const struct as_call *c)
{
    if (c->dx[0])
        run_blocks(c, backward_block);
}

static const struct as_impl ref = { .abi = ASSAY_ABI, .name = "ref", .rank = -1, .forward = forward, .backward = backward };

static const struct as_variant relu_layer = {
    .abi = ASSAY_ABI,
    .summary = "max(x, 0)",
    .paper = { .key = "nair2010relu", .title = "Rectified linear units improve restricted Boltzmann machines",
               .url = "https://icml.cc/Conferences/2010/papers/432.pdf", .year = 2010, .where = "section 2",
               .departs = "without the noise of the paper's noisy units" },
    .kinks = "x = 0",
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

const struct as_plugin AS_PLUGIN(activation__relu) = {
    .abi = ASSAY_ABI, .variant = &relu_layer, .impl = { &ref },
};

/* silu.c: x sigmoid(x), also called swish with beta = 1. */
#include "blocks.h"

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return wants_reals(in);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_silu(g->t, x);
}

static void forward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from;
    real *y = c->y + from;
    real s[BLOCK];

    as_vsigmoid(n, x, s);
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = x[i] * s[i];
}

static void backward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from, *dy = c->dy + from;
    real *dx = c->dx[0] + from, s[BLOCK];

    as_vsigmoid(n, x, s);
    for (ptrdiff_t i = 0; i < n; i++)
        dx[i] += dy[i] * (s[i] + x[i] * s[i] * (1 - s[i]));
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

static const struct as_variant silu_layer = {
    .abi = ASSAY_ABI,
    .summary = "x sigmoid(x)",
    .paper = { .key = "elfwing2018silu",
               .title = "Sigmoid-weighted linear units for neural network function approximation in reinforcement "
                        "learning",
               .url = "https://arxiv.org/abs/1702.03118", .year = 2017, .where = "eq. 5", .departs = "nothing" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

const struct as_plugin AS_PLUGIN(activation__silu) = {
    .abi = ASSAY_ABI, .variant = &silu_layer, .impl = { &ref },
};

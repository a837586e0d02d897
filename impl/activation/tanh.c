/* tanh.c: hyperbolic tangent. */
#include "blocks.h"

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return wants_reals(in);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_tanh(g->t, x);
}

static void forward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from;
    real *y = c->y + from;

    as_vtanh(n, x, y);
}

static void backward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from, *dy = c->dy + from;
    real *dx = c->dx[0] + from, t[BLOCK];

    as_vtanh(n, x, t);
    for (ptrdiff_t i = 0; i < n; i++)
        dx[i] += dy[i] * (1 - t[i] * t[i]);
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

static const struct as_variant tanh_layer = {
    .abi = ASSAY_ABI,
    .summary = "hyperbolic tangent",
    .paper = { .key = "lecun1998efficient", .title = "Efficient BackProp",
               .url = "https://doi.org/10.1007/3-540-49430-8_2", .year = 1998, .where = "section 4.4",
               .departs = "tanh(x), not 1.7159 tanh(2x/3)" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

const struct as_plugin AS_PLUGIN(activation__tanh) = {
    .abi = ASSAY_ABI, .variant = &tanh_layer, .impl = { &ref },
};

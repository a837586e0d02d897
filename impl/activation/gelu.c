/* gelu.c: x Phi(x), or 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))). */
#include "blocks.h"

enum { EXACT, TANH };
struct gelu { int form; };

static const struct as_option options[] = {
    { "form", AS_WORD, offsetof(struct gelu, form), EXACT, 0, 0, "exact|tanh", "exact,tanh",
      "by erf, or the tanh form" },
    { 0 }
};

#define ROOT_HALF R(0.70710678118654752)             /* sqrt(1/2) */
#define NORM R(0.39894228040143268)                  /* 1 / sqrt(2 pi) */
#define K0 R(0.79788456080286536)                    /* sqrt(2 / pi) */
#define K1 R(0.044715)

/* Phi(x), the distribution function of the normal, or what the tanh form has in its place. */
static void gate(const struct as_call *c, ptrdiff_t n, const real *x, real *p)
{
    if (((const struct gelu *)c->opt)->form == EXACT) {
        for (ptrdiff_t i = 0; i < n; i++)
            p[i] = x[i] * ROOT_HALF;
        as_verf(n, p, p);
    } else {
        for (ptrdiff_t i = 0; i < n; i++)
            p[i] = K0 * (x[i] + K1 * x[i] * x[i] * x[i]);
        as_vtanh(n, p, p);
    }
    for (ptrdiff_t i = 0; i < n; i++)
        p[i] = R(0.5) * (1 + p[i]);
}

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return wants_reals(in);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return ((const struct gelu *)g->opt)->form == EXACT ? as_gelu(g->t, x) : as_gelu_tanh(g->t, x);
}

static void forward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from;
    real *y = c->y + from;
    real p[BLOCK];

    gate(c, n, x, p);
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = x[i] * p[i];
}

static void backward_block(const struct as_call *c, ptrdiff_t from, ptrdiff_t n)
{
    const real *x = c->x[0] + from, *dy = c->dy + from;
    real *dx = c->dx[0] + from, p[BLOCK], e[BLOCK];

    gate(c, n, x, p);
    if (((const struct gelu *)c->opt)->form == EXACT) {
        for (ptrdiff_t i = 0; i < n; i++)
            e[i] = R(-0.5) * x[i] * x[i];
        as_vexp(n, e, e);
        for (ptrdiff_t i = 0; i < n; i++)
            dx[i] += dy[i] * (p[i] + x[i] * e[i] * NORM);
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++)                /* p (1 - p) is a quarter of 1 - tanh^2 */
        dx[i] += dy[i] * (p[i] + x[i] * 2 * p[i] * (1 - p[i]) * K0 * (1 + 3 * K1 * x[i] * x[i]));
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

static const struct as_variant gelu_layer = {
    .abi = ASSAY_ABI,
    .summary = "x Phi(x), exact or in the tanh form",
    .paper = { .key = "hendrycks2016gelu", .title = "Gaussian error linear units (GELUs)",
               .url = "https://arxiv.org/abs/1606.08415", .year = 2016, .where = "section 2", .departs = "nothing" },
    .options = options, .opt_size = sizeof(struct gelu),
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

const struct as_plugin AS_PLUGIN(activation__gelu) = {
    .abi = ASSAY_ABI, .variant = &gelu_layer, .impl = { &ref },
};

/* gcn.c: the propagation of the graph convolutional network: a mean over neighbours that weighs by degree.
 *
 * Kipf & Welling 2017, "Semi-supervised classification with graph convolutional networks", eq. 2 and 9: a layer is
 * act(A^ X W) with
 *     A^ = D^-1/2 (A + I) D^-1/2,    d_i = 1 + (edges that end at i)
 *     y_i = d_i^-1/2 (sum over edges (j, i) of d_j^-1/2 x_j  +  d_i^-1/2 x_i)
 * Here is A^ alone; W and act belong to who propagates (model `nodes`), so that the same model without it is a
 * multi-layer perceptron. Nodes stand along time. edges (batch, edges, 2): pairs (from, to), numbers of nodes of their
 * own graph; an undirected graph has both directions, and an edge given twice counts twice. Pairs of a node with itself
 * (I is there already) and with a number that is no node are padding.
 */
#include "edges.h"

#include <string.h>
#include <tgmath.h>

enum { X, EDGES };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (n_in != 2 || in[X].dtype != AS_REALS || in[X].rank != 3)
        return "it works on nodes (batch, nodes, width) and edges";
    if (in[EDGES].dtype != AS_INTS || in[EDGES].rank != 3 || in[EDGES].dim[2] != 2)
        return "its edges are whole numbers (batch, edges, 2): from, to";
    return NULL;
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    ptrdiff_t all = x->dim[0] * x->dim[1];
    struct as_node *from = edge_places(t, g->in[EDGES], 0, x->dim[1]), *to = edge_places(t, g->in[EDGES], 1, x->dim[1]);
    struct as_node *one = as_node_new(t, 2, (ptrdiff_t[]){ from->dim[0], 1 }), *flat, *scale, *sum;

    for (ptrdiff_t k = 0; k < from->dim[0]; k++)
        one->x[k] = 1;
    scale = as_rsqrt(t, as_shift_by(t, as_scatter_add(t, one, to, all), 1));                 /* d^-1/2, (all, 1) */
    flat = as_mul(t, as_reshape(t, x, 2, (ptrdiff_t[]){ all, x->dim[2] }), scale);
    sum = as_add(t, as_scatter_add(t, as_gather(t, flat, from), to, all), flat);
    sum = as_reshape(t, as_mul(t, sum, scale), 3, x->dim);
    sum->length = x->length;
    return sum;
}

/* --- another way: one graph after the other, in place ---------------------------------------------------------- */

static void ref_plan(struct as_room *r)
{
    r->scratch[0] = (size_t)(r->in[X].dim[1] * (1 + r->in[X].dim[2]));       /* d^-1/2, and a copy of x or dy by it */
}

/* y += A^ x for one graph; A^ is its own transpose only when edges go both ways, so `back` swaps their ends. */
static void propagate(const struct as_call *c, ptrdiff_t b, bool back, const real *x, real *y)
{
    ptrdiff_t nodes = c->in[X].dim[1], d = c->in[X].dim[2], n = c->in[EDGES].dim[1];
    const int32_t *edge = c->ix[EDGES] + b * n * 2;
    real *scale = c->scratch[0], *z = scale + nodes;

    for (ptrdiff_t i = 0; i < nodes; i++)
        scale[i] = 1;
    for (ptrdiff_t k = 0; k < n; k++)
        if (is_edge(edge, k, nodes))
            scale[edge[2 * k + 1]] += 1;
    for (ptrdiff_t i = 0; i < nodes; i++) {
        scale[i] = 1 / sqrt(scale[i]);
        for (ptrdiff_t j = 0; j < d; j++) {
            z[i * d + j] = scale[i] * x[i * d + j];
            y[i * d + j] += scale[i] * z[i * d + j];
        }
    }
    for (ptrdiff_t k = 0; k < n; k++) {
        ptrdiff_t from = edge[2 * k + back], to = edge[2 * k + !back];

        for (ptrdiff_t j = 0; j < d && is_edge(edge, k, nodes); j++)
            y[to * d + j] += scale[to] * z[from * d + j];
    }
}

static void forward(const struct as_call *c)
{
    ptrdiff_t size = c->in[X].dim[1] * c->in[X].dim[2];

    memset(c->y, 0, (size_t)(c->in[X].dim[0] * size) * sizeof *c->y);
    for (ptrdiff_t b = 0; b < c->in[X].dim[0]; b++)
        propagate(c, b, false, c->x[X] + b * size, c->y + b * size);
}

static void backward(const struct as_call *c)
{
    ptrdiff_t size = c->in[X].dim[1] * c->in[X].dim[2];

    for (ptrdiff_t b = 0; b < c->in[X].dim[0] && c->dx[X]; b++)
        propagate(c, b, true, c->dy + b * size, c->dx[X] + b * size);
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    double d = (double)in[X].dim[2], n = n_in > 1 ? (double)in[EDGES].dim[1] : 0, nodes = (double)in[X].dim[1];

    (void)opt;
    return (struct as_cost){ .flop = (double)in[X].dim[0] * d * (2 * n + 3 * nodes),
                             .bytes = (double)in[X].dim[0] * d * sizeof(real) * (2 * n + 2 * nodes) };
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = forward, .backward = backward,
};

static const struct as_variant gcn = {
    .abi = ASSAY_ABI,
    .summary = "normalised sum over a node and its neighbours",
    .paper = { .key = "kipf2017gcn", .title = "Semi-Supervised Classification with Graph Convolutional Networks",
               .url = "https://arxiv.org/abs/1609.02907", .year = 2017, .where = "eq. 2 and 9",
               .departs = "A^ alone: weights and activation are those of the model around it" },
    .ports = (const char *const[]){ "x", "edges", NULL },
    .samples = (const struct as_sample[]){ { .rank = 1, .dim = { 16 } }, { .rank = 1, .dim = { 2 }, .vocab = 8 } },
    .promises = AS_LINEAR,
    .check = check, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(graph__gcn) = { .abi = ASSAY_ABI, .variant = &gcn, .impl = { &ref } };

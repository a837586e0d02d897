/* rrn.c: recurrent relational network: nodes of a graph send messages to their neighbours, over and over.
 *
 * With h_i^0 = x_i, for t = 1 .. steps:
 *     m_ij = f(h_i^(t-1), h_j^(t-1))                            for each edge (i, j)
 *     m_j  = sum over edges (i, j) of m_ij
 *     h_j^t = LSTM(g(m_j, x_j)),  the LSTM's own state (h, c) being 0 before the first step     update = lstm
 *     h_j^t = g(m_j, x_j, h_j^(t-1))                                                            update = mlp
 * f and g are perceptrons: `layers` hidden layers of relu units, then a linear one, all as wide as x. Weights are the
 * same at all steps. The output is h_j^t of every step, (batch, nodes, steps, width), since the loss is taken at each
 * of them.
 *
 * Palm, Paquet & Winther 2018, eq. 1-3, and the authors' code for sudoku: three hidden layers, width 96, 32 steps,
 * Glorot's weights. Two products are done once a node instead of once an edge, which is the same in exact arithmetic:
 * the first layer of f is a sum of a part that sees h_i and one that sees h_j; its last layer is linear, so that
 * messages can be added up before it, b counting as often as there are edges. Nodes stand along time; which pairs are
 * edges: edges.h.
 */
#include "edges.h"
#include "rrn.h"

#include <string.h>
#include <tgmath.h>

static const struct as_option options[] = {
    { "steps", AS_INT, offsetof(struct rrn, steps), 8, 1, 64, NULL, "1,4,16,32", "T, rounds of messages" },
    { "layers", AS_INT, offsetof(struct rrn, layers), 1, 1, RRN_LAYERS, NULL, "1,3", "hidden layers of f and of g" },
    { "update", AS_WORD, offsetof(struct rrn, update), RRN_LSTM, 0, 0, "lstm|mlp", "lstm,mlp", "how nodes change" },
    { "forget_bias", AS_NUM, offsetof(struct rrn, forget_bias), 1, -20, 20, NULL, "0,1", "initial b_f of the LSTM" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (n_in != 2 || in[RRN_X].dtype != AS_REALS || in[RRN_X].rank != 3)
        return "it works on nodes (batch, nodes, width) and edges";
    if (in[RRN_EDGES].dtype != AS_INTS || in[RRN_EDGES].rank != 3 || in[RRN_EDGES].dim[2] != 2)
        return "its edges are whole numbers (batch, edges, 2): from, to";
    return NULL;
}

static void draw_bias(const void *opt, struct as_key key, ptrdiff_t n, float *b)
{
    (void)key;
    for (ptrdiff_t i = 0; i < n; i++)
        b[i] = i / (n / 4) == 1 ? (float)((const struct rrn *)opt)->forget_bias : 0.0f;
}

/* The perceptron whose first layer reads `wide` numbers. */
static void plan_mlp(struct as_plan *p, int first, char name, ptrdiff_t wide, ptrdiff_t n)
{
    for (int l = 0; l <= ((const struct rrn *)p->opt)->layers; l++) {
        as_weight(p, first + 2 * l, as_say("W_%c%d", name, l), AS_MATRIX, (struct as_init){ .spread = AS_GLOROT }, 2,
                  (ptrdiff_t[]){ n, l ? n : wide });
        as_weight(p, first + 2 * l + 1, as_say("b_%c%d", name, l), AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1,
                  &n);
    }
}

static void plan(struct as_plan *p)
{
    const struct rrn *o = p->opt;
    ptrdiff_t n = p->in[RRN_X].dim[2];
    double limit = 1 / sqrt((double)n);              /* Glorot's for W and U side by side, (4 n, 2 n) */
    struct as_init uniform = { .spread = AS_UNIFORM, .a = -limit, .b = limit };

    plan_mlp(p, RRN_F, 'f', 2 * n, n);
    plan_mlp(p, RRN_G, 'g', o->update == RRN_MLP ? 3 * n : 2 * n, n);
    if (o->update == RRN_LSTM) {
        as_weight(p, RRN_W, "W", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ 4 * n, n });
        as_weight(p, RRN_U, "U", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ 4 * n, n });
        as_weight(p, RRN_B, "b", AS_BIAS, (struct as_init){ .spread = AS_DRAWN, .draw = draw_bias }, 1,
                  (ptrdiff_t[]){ 4 * n });
    }
    as_output(p, 0, 4, (ptrdiff_t[]){ AS_ANY, AS_ANY, o->steps, n });
}

/* --- the graph --------------------------------------------------------------------------------------------------- */

/* What does not change from step to step. Nodes of all graphs stand one behind the other: (all, n). */
struct net {
    struct as_node *from, *to;                       /* (edges) */
    struct as_node *f_from, *f_to, *g_m, *g_h;       /* (n, n): columns of the first layers; g_h: mlp only */
    struct as_node *given;                           /* (all, n): what x gives to the first layer of g, bias included */
    struct as_node *biases;                          /* (all, n): b of f's last layer, once an edge */
};

static struct as_node *columns(struct as_graph *g, int place, ptrdiff_t which)
{
    ptrdiff_t n = as_w(g, place)->dim[0];

    return as_slice(g->t, as_w(g, place), 1, which * n, n);
}

static struct net prepare(struct as_graph *g, struct as_node *x)
{
    const struct rrn *o = g->opt;
    struct as_tape *t = g->t;
    ptrdiff_t nodes = g->in[RRN_X]->dim[1];
    struct net net = {
        .from = edge_places(t, g->in[RRN_EDGES], 0, nodes), .to = edge_places(t, g->in[RRN_EDGES], 1, nodes),
        .f_from = columns(g, RRN_F, 0), .f_to = columns(g, RRN_F, 1), .g_m = columns(g, RRN_G, 0),
        .g_h = o->update == RRN_MLP ? columns(g, RRN_G, 2) : NULL,
        .given = as_linear(t, x, columns(g, RRN_G, 1), as_w(g, RRN_G + 1)),
    };
    struct as_node *one = as_node_new(t, 2, (ptrdiff_t[]){ net.to->dim[0], 1 });

    for (ptrdiff_t k = 0; k < one->dim[0]; k++)
        one->x[k] = 1;
    net.biases = as_mul(t, as_scatter_add(t, one, net.to, x->dim[0]), as_w(g, RRN_F + 2 * o->layers + 1));
    return net;
}

/* A perceptron from the sum z of its first layer to the output of its last hidden one. */
static struct as_node *hidden(struct as_graph *g, int first, struct as_node *z)
{
    z = as_relu(g->t, z);
    for (int l = 1; l < ((const struct rrn *)g->opt)->layers; l++)
        z = as_relu(g->t, as_linear(g->t, z, as_w(g, first + 2 * l), as_w(g, first + 2 * l + 1)));
    return z;
}

/* h, c: the state before, NULL at the first step; c becomes the next one, which h the caller gets. */
static struct as_node *lstm(struct as_graph *g, struct as_node *z, struct as_node *h, struct as_node **c)
{
    struct as_tape *t = g->t;
    ptrdiff_t n = z->dim[1];
    struct as_node *a = as_linear(t, z, as_w(g, RRN_W), as_w(g, RRN_B)), *new;

    if (h)
        a = as_add(t, a, as_matmul_t(t, h, as_w(g, RRN_U)));
    new = as_mul(t, as_sigmoid(t, as_slice(t, a, 1, 0, n)), as_tanh(t, as_slice(t, a, 1, 3 * n, n)));
    *c = h ? as_add(t, as_mul(t, as_sigmoid(t, as_slice(t, a, 1, n, n)), *c), new) : new;
    return as_mul(t, as_sigmoid(t, as_slice(t, a, 1, 2 * n, n)), as_tanh(t, *c));
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct rrn *o = g->opt;
    struct as_tape *t = g->t;
    ptrdiff_t all = x->dim[0] * x->dim[1], n = x->dim[2];
    struct as_node *h = as_reshape(t, x, 2, (ptrdiff_t[]){ all, n }), *c = NULL, *y;
    struct as_node **out = as_arena_take(as_tape_arena(t), as_size((size_t)o->steps, sizeof *out));
    struct net net = prepare(g, h);

    for (int s = 0; s < o->steps; s++) {
        struct as_node *m = as_add(t, as_gather(t, as_matmul_t(t, h, net.f_from), net.from),
                                   as_gather(t, as_linear(t, h, net.f_to, as_w(g, RRN_F + 1)), net.to)), *z;

        m = as_scatter_add(t, hidden(g, RRN_F, m), net.to, all);
        m = as_add(t, as_matmul_t(t, m, as_w(g, RRN_F + 2 * o->layers)), net.biases);
        z = as_add(t, as_matmul_t(t, m, net.g_m), net.given);
        if (net.g_h)
            z = as_add(t, z, as_matmul_t(t, h, net.g_h));
        z = as_linear(t, hidden(g, RRN_G, z), as_w(g, RRN_G + 2 * o->layers), as_w(g, RRN_G + 2 * o->layers + 1));
        out[s] = h = o->update == RRN_MLP ? z : lstm(g, z, s ? h : NULL, &c);
    }
    y = as_reshape(t, as_stack(t, o->steps, out, 1), 4, (ptrdiff_t[]){ x->dim[0], x->dim[1], o->steps, n });
    y->length = x->length;
    return y;
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    const struct rrn *o = opt;
    double n = (double)in[RRN_X].dim[2], nodes = (double)in[RRN_X].dim[1];
    double edges = n_in > 1 ? (double)in[RRN_EDGES].dim[1] : 0;
    double products = 5 + (o->layers - 1) + (o->update == RRN_LSTM ? 8 : 1);     /* of n x n numbers, a node and step */
    double step = nodes * (2 * n * n * products + 20 * n) + edges * (2 * n * n * (o->layers - 1) + 3 * n);

    return (struct as_cost){ .flop = (double)in[RRN_X].dim[0] * (o->steps * step + 2 * n * n * nodes) };
}

/* --- ref: edge by edge, as the equations stand ------------------------------------------------------------------- */

/* Scratch: h before and after a step, c (all, n); sums of messages (all, n); the rest of one edge or node. */
static void ref_plan(struct as_room *r)
{
    ptrdiff_t n = r->in[RRN_X].dim[2], all = r->in[RRN_X].dim[0] * r->in[RRN_X].dim[1];

    r->scratch[0] = (size_t)(4 * all * n);
    r->scratch[1] = (size_t)(10 * n);
}

/* z (m) = b + W a,  W (m, k), added to what stands in z when b is NULL. */
static void affine(ptrdiff_t m, ptrdiff_t k, const real *W, const real *b, const real *a, real *z)
{
    for (ptrdiff_t i = 0; i < m; i++) {
        z[i] = b ? b[i] : z[i];
        for (ptrdiff_t j = 0; j < k; j++)
            z[i] += W[i * k + j] * a[j];
    }
}

/* The perceptron at `first` of a (wide numbers), which is lost; z (n) gets the result. */
static void perceptron(const struct as_call *c, int first, ptrdiff_t wide, ptrdiff_t n, real *a, real *z)
{
    int layers = ((const struct rrn *)c->opt)->layers;

    for (int l = 0; l <= layers; l++) {
        affine(n, l ? n : wide, c->w[first + 2 * l], c->w[first + 2 * l + 1], a, z);
        for (ptrdiff_t j = 0; j < n && l < layers; j++)
            a[j] = z[j] > 0 ? z[j] : 0;
    }
}

/* One node: a holds (m, x) or (m, x, h), room for 3 n; z room for n, gates for 4 n. c and h become the next ones. */
static void change(const struct as_call *call, bool first, ptrdiff_t n, real *a, real *z, real *gates, real *c, real *h)
{
    const struct rrn *o = call->opt;

    if (o->update == RRN_MLP) {
        perceptron(call, RRN_G, 3 * n, n, a, h);
        return;
    }
    perceptron(call, RRN_G, 2 * n, n, a, z);
    affine(4 * n, n, call->w[RRN_W], call->w[RRN_B], z, gates);
    if (!first)
        affine(4 * n, n, call->w[RRN_U], NULL, h, gates);
    for (ptrdiff_t j = 0; j < n; j++) {
        real in = 1 / (1 + exp(-gates[j])), forget = 1 / (1 + exp(-gates[n + j]));

        c[j] = (first ? 0 : forget * c[j]) + in * tanh(gates[3 * n + j]);
        h[j] = tanh(c[j]) / (1 + exp(-gates[2 * n + j]));
    }
}

static void forward(const struct as_call *call)
{
    const struct rrn *o = call->opt;
    ptrdiff_t batch = call->in[RRN_X].dim[0], nodes = call->in[RRN_X].dim[1], n = call->in[RRN_X].dim[2];
    ptrdiff_t edges = call->in[RRN_EDGES].dim[1], all = batch * nodes;
    real *h = call->scratch[0], *old = h + all * n, *c = old + all * n, *sum = c + all * n;
    real *a = call->scratch[1], *z = a + 3 * n, *gates = z + n;
    size_t row = (size_t)n * sizeof *h;

    memcpy(h, call->x[RRN_X], (size_t)all * row);
    for (int t = 0; t < o->steps; t++) {
        memcpy(old, h, (size_t)all * row);
        memset(sum, 0, (size_t)all * row);
        for (ptrdiff_t k = 0; k < batch * edges; k++) {
            const int32_t *edge = call->ix[RRN_EDGES] + 2 * k;
            ptrdiff_t graph = k / edges * nodes;

            if (!is_edge(edge, 0, nodes))
                continue;
            memcpy(a, old + (graph + edge[0]) * n, row);
            memcpy(a + n, old + (graph + edge[1]) * n, row);
            perceptron(call, RRN_F, 2 * n, n, a, z);
            for (ptrdiff_t j = 0; j < n; j++)
                sum[(graph + edge[1]) * n + j] += z[j];
        }
        for (ptrdiff_t i = 0; i < all; i++) {
            memcpy(a, sum + i * n, row);
            memcpy(a + n, call->x[RRN_X] + i * n, row);
            memcpy(a + 2 * n, old + i * n, row);
            change(call, t == 0, n, a, z, gates, c + i * n, h + i * n);
            memcpy(call->y + (i * o->steps + t) * n, h + i * n, row);
        }
    }
}

static const struct as_impl ref = { .abi = ASSAY_ABI, .name = "ref", .rank = -1, .plan = ref_plan, .forward = forward };

static const struct as_variant rrn = {
    .abi = ASSAY_ABI,
    .summary = "rounds of messages along the edges of a graph, into an LSTM at each node",
    .paper = { .key = "palm2018rrn", .title = "Recurrent Relational Networks",
               .url = "https://arxiv.org/abs/1711.08028", .year = 2018, .id = 279, .where = "section 2, eq. 1-3",
               .departs = "one hidden layer in f and g unless `layers` says 3, as in the authors' code; no features of "
                          "edges" },
    .options = options, .opt_size = sizeof(struct rrn),
    .ports = (const char *const[]){ "x", "edges", NULL },
    .samples = (const struct as_sample[]){ { .rank = 1, .dim = { 16 } }, { .rank = 1, .dim = { 2 }, .vocab = 8 } },
    .kinks = "relu at 0",
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(graph__rrn) = { .abi = ASSAY_ABI, .variant = &rrn, .impl = { &ref } };

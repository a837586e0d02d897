/* nodes.c: a class for each node of a graph.
 *
 *   h_0 = x,   h_(l+1) = drop(relu(P(h_l W_l) + b_l)),   the last layer without relu and drop
 *
 * P is what the slot `graph` does along the edges: gcn gives the graph convolutional network of Kipf & Welling 2017
 * (act(A^ H W)); none gives the multi-layer perceptron of the same sizes, which never sees an edge. Products come first,
 * since they make rows shorter: A^ (H W) = (A^ H) W. Nodes stand along time; W is Glorot's.
 */
#include <assay/layer.h>

enum { MOST = 12 };
enum { X, EDGES };
enum { GRAPH };

struct nodes { int depth, width; double dropout; };

static const struct as_option options[] = {
    { "depth", AS_INT, offsetof(struct nodes, depth), 2, 1, MOST, NULL, "1,2,3", "layers" },
    { "width", AS_INT, offsetof(struct nodes, width), 64, 1, 65536, NULL, "16,64,256", "of the hidden layers" },
    { "dropout", AS_NUM, offsetof(struct nodes, dropout), 0, 0, 0.95, NULL, "0,0.5", "behind each hidden layer" },
    { 0 }
};

static const struct as_slot slots[] = { { "graph", "gcn", "what happens along the edges; none: nothing" }, { 0 } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (in[X].dtype != AS_REALS || in[X].rank != 3)
        return "it reads the features of nodes (batch, nodes, width)";
    return n_in < 2 || in[EDGES].dtype == AS_INTS ? NULL : "its edges are whole numbers (batch, edges, 2)";
}

static void plan(struct as_plan *p)
{
    const struct nodes *o = p->opt;
    struct as_spec in[2] = { p->in[X], p->in[EDGES] };

    if (p->classes < 1)
        as_plan_refuse(p, "the data names no number of outputs");
    for (int l = 0; l < o->depth; l++) {
        ptrdiff_t wide = l + 1 < o->depth ? o->width : p->classes;

        as_weight(p, 2 * l, as_say("W_%d", l), AS_MATRIX, (struct as_init){ .spread = AS_GLOROT }, 2,
                  (ptrdiff_t[]){ wide, in[X].dim[2] });
        as_weight(p, 2 * l + 1, as_say("b_%d", l), AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &wide);
        in[X].dim[2] = wide;
        as_plan_child(p, GRAPH, l, 2, in);
    }
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct nodes *o = g->opt;
    struct as_tape *t = g->t;

    for (int l = 0; l < o->depth; l++) {
        struct as_node *in[2] = { as_linear(t, x, as_w(g, 2 * l), NULL), g->in[EDGES] };

        x = as_add(t, as_child_ports(g, GRAPH, l, 2, in), as_w(g, 2 * l + 1));
        if (l + 1 == o->depth)
            break;
        x = as_relu(t, x);
        if (g->training)
            x = as_dropout(t, x, o->dropout, as_subkey(g->key, (uint64_t)l));
    }
    return x;
}

static const struct as_variant nodes = {
    .abi = ASSAY_ABI,
    .summary = "a class for each node, by layers along the edges of a graph",
    .paper = { .key = "kipf2017gcn", .title = "Semi-Supervised Classification with Graph Convolutional Networks",
               .url = "https://arxiv.org/abs/1609.02907", .year = 2017, .where = "eq. 2 and 9",
               .departs = "any propagation, or none; biases; dropout behind hidden layers, not on the input" },
    .options = options, .opt_size = sizeof(struct nodes), .slots = slots, .promises = AS_FLAT | AS_DRAWS,
    .ports = (const char *const[]){ "x", "edges", NULL },
    .samples = (const struct as_sample[]){ { .rank = 1, .dim = { 16 } }, { .rank = 1, .dim = { 2 }, .vocab = 8 } },
    .kinks = "relu at 0",
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__nodes) = { .abi = ASSAY_ABI, .variant = &nodes };

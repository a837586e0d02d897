/* relational.c: a symbol at each node of a graph in, a class for each node out, after each step that the layer between
 * them takes.
 *
 *   x_i = p(e_i)          e: embedding of the symbol; p: `layers` hidden layers of relu units, then a linear one
 *   h_i^1 .. h_i^T        what the slot `graph` makes of all x and the edges: rrn gives one h a step; others give one
 *   o_i^t = W h_i^t + b   logits
 *
 * The output is o_i^T; the further output `answers` is all of them, (batch, nodes, T, classes), for a loss at every
 * step: objective = ce(answers). Palm et al. 2018, section 3.3, and the authors' code: embedding of 16, three hidden
 * layers, width 96; the embedding of row and column, which the paper names, is multiplied by zero in the code and left
 * out here.
 */
#include <assay/layer.h>

enum { MOST = 4 };
enum { X, EDGES };
enum { GRAPH };
enum { EMBEDDING, HEAD, HEAD_B, P };                 /* W_l and b_l of p: P + 2 l and the next */

struct relational { int width, embedding, layers; };

static const struct as_option options[] = {
    { "width", AS_INT, offsetof(struct relational, width), 32, 4, 65536, NULL, "32,64,96", "of x and h" },
    { "embedding", AS_INT, offsetof(struct relational, embedding), 16, 1, 65536, NULL, "8,16", "width of e" },
    { "layers", AS_INT, offsetof(struct relational, layers), 1, 0, MOST, NULL, "0,1,3", "hidden layers of p" },
    { 0 }
};

static const struct as_slot slots[] = { { "graph", "rrn", "what happens along the edges; none: nothing" }, { 0 } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (in[X].dtype != AS_INTS || in[X].rank != 2)
        return "it reads a symbol for each node, whole numbers (batch, nodes)";
    return n_in < 2 || in[EDGES].dtype == AS_INTS ? NULL : "its edges are whole numbers (batch, edges, 2)";
}

static void plan(struct as_plan *p)
{
    const struct relational *o = p->opt;
    struct as_init glorot = { .spread = AS_GLOROT }, zero = { .spread = AS_ZERO };
    struct as_spec in[2] = { { .dtype = AS_REALS, .rank = 3, .dim = { AS_ANY, AS_ANY, o->width } }, p->in[EDGES] };
    const struct as_spec *h;

    if (p->classes < 1)
        as_plan_refuse(p, "the data names no number of outputs");
    as_weight(p, EMBEDDING, "embedding", AS_EMBEDDING, glorot, 2, (ptrdiff_t[]){ p->in[X].vocab, o->embedding });
    for (int l = 0; l <= o->layers; l++) {
        as_weight(p, P + 2 * l, as_say("W_%d", l), AS_MATRIX, glorot, 2,
                  (ptrdiff_t[]){ o->width, l ? o->width : o->embedding });
        as_weight(p, P + 2 * l + 1, as_say("b_%d", l), AS_BIAS, zero, 1, (ptrdiff_t[]){ o->width });
    }
    h = as_plan_child(p, GRAPH, 0, 2, in);
    h = h ? h : &in[X];
    if (h->rank != 3 && h->rank != 4)
        as_plan_refuse(p, "what fills `graph` must give (batch, nodes, width) or (batch, nodes, steps, width)");
    as_weight(p, HEAD, "W_head", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ p->classes, h->dim[h->rank - 1] });
    as_weight(p, HEAD_B, "b_head", AS_BIAS, zero, 1, (ptrdiff_t[]){ p->classes });
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct relational *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *h = as_embed(t, x, as_w(g, EMBEDDING)), *answers, *last;
    ptrdiff_t classes = as_w(g, HEAD)->dim[0], steps;

    for (int l = 0; l <= o->layers; l++) {
        h = as_linear(t, h, as_w(g, P + 2 * l), as_w(g, P + 2 * l + 1));
        if (l < o->layers)
            h = as_relu(t, h);
    }
    h = as_child_ports(g, GRAPH, 0, 2, (struct as_node *[]){ h, g->in[EDGES] });
    steps = h->rank == 4 ? h->dim[2] : 1;
    answers = as_reshape(t, as_linear(t, h, as_w(g, HEAD), as_w(g, HEAD_B)), 4,
                         (ptrdiff_t[]){ x->dim[0], x->dim[1], steps, classes });
    answers->length = x->length;
    as_extra_output(g, "answers", answers);
    last = as_reshape(t, as_slice(t, answers, 2, steps - 1, 1), 3, (ptrdiff_t[]){ x->dim[0], x->dim[1], classes });
    last->length = x->length;
    return last;
}

static const struct as_variant relational = {
    .abi = ASSAY_ABI,
    .summary = "symbols at the nodes of a graph to a class for each node, after each step of a layer along the edges",
    .paper = { .key = "palm2018rrn", .title = "Recurrent Relational Networks",
               .url = "https://arxiv.org/abs/1711.08028", .year = 2018, .id = 279, .where = "section 3.3; eq. 4",
               .departs = "no embedding of row and column, as in the authors' code; width 32 and one hidden layer "
                          "unless options say 96 and 3" },
    .options = options, .opt_size = sizeof(struct relational), .slots = slots, .promises = AS_FLAT | AS_EXTRAS,
    .ports = (const char *const[]){ "x", "edges", NULL },
    .samples = (const struct as_sample[]){ { .rank = 0, .vocab = 7 }, { .rank = 1, .dim = { 2 }, .vocab = 8 } },
    .kinks = "relu at 0",
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__relational) = { .abi = ASSAY_ABI, .variant = &relational };

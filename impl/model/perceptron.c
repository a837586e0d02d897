/* perceptron.c: the multi-layer perceptron, at each step by itself:
 *
 *   h_0 = x,   h_(i+1) = act(W_i h_i + b_i),  i = 0 .. depth-1,   y = W_depth h_depth + b_depth
 *
 * Images come as one step of all their pixels. W ~ N(0, gain^2 / inputs), b = 0: gain 1 is LeCun's, sqrt(2) He's.
 */
#include <assay/layer.h>
#include <math.h>

enum { MOST = 12 };                  /* hidden layers */
enum { EVERY, LAST, MEAN };
enum { ACT };

struct perceptron { int depth, width, read; double gain; };

static const struct as_option options[] = {
    { "depth", AS_INT, offsetof(struct perceptron, depth), 2, 1, MOST, NULL, "1,2,3", "hidden layers" },
    { "width", AS_INT, offsetof(struct perceptron, width), 64, 1, 65536, NULL, "64,256,512", "units of each of them" },
    { "gain", AS_NUM, offsetof(struct perceptron, gain), 1, 0.001, 100, NULL, "1,1.4142", "of the initial weights" },
    { "read", AS_WORD, offsetof(struct perceptron, read), EVERY, 0, 0, "every|last|mean", NULL,
      "outputs at every step, or one row a sequence: of the last step, of the mean over time" },
    { 0 }
};

static const struct as_slot slots[] = { { "act", "relu", "activation of the hidden layers" }, { 0 } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it reads real vectors (batch, time, width)";
}

static void map(struct as_plan *p, int i, ptrdiff_t out, ptrdiff_t in)
{
    const struct perceptron *o = p->opt;
    struct as_init normal = { .spread = AS_NORMAL, .b = o->gain / sqrt((double)in) };

    as_weight(p, 2 * i, as_say("W_%d", i), AS_MATRIX, normal, 2, (ptrdiff_t[]){ out, in });
    as_weight(p, 2 * i + 1, as_say("b_%d", i), AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &out);
}

static void plan(struct as_plan *p)
{
    const struct perceptron *o = p->opt;
    struct as_spec h = *p->in;

    if (p->classes < 1)
        as_plan_refuse(p, "the data names no number of outputs");
    for (int i = 0; i < o->depth; i++) {
        const struct as_spec *out;

        map(p, i, o->width, h.dim[2]);
        h.dim[2] = o->width;
        out = as_plan_child(p, ACT, i, 1, &h);
        if (out)
            h = *out;
        if (h.rank != 3)
            as_plan_refuse(p, "act must give (batch, time, width)");
    }
    map(p, o->depth, p->classes, h.dim[2]);
    if (o->read == EVERY)
        as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
    else
        as_output(p, 0, 2, (ptrdiff_t[]){ AS_ANY, p->classes });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct perceptron *o = g->opt;

    for (int i = 0; i < o->depth; i++)
        x = as_child(g, ACT, i, as_linear(g->t, x, as_w(g, 2 * i), as_w(g, 2 * i + 1)));
    if (o->read == LAST)
        x = as_time_last(g->t, x);
    if (o->read == MEAN)
        x = as_time_mean(g->t, x);
    return as_linear(g->t, x, as_w(g, 2 * o->depth), as_w(g, 2 * o->depth + 1));
}

static const struct as_variant perceptron = {
    .abi = ASSAY_ABI,
    .summary = "multi-layer perceptron at each step",
    .paper = { .key = "rumelhart1986", .title = "Learning representations by back-propagating errors",
               .url = "https://doi.org/10.1038/323533a0", .year = 1986, .where = "eq. 1 and 2",
               .departs = "the activation is a slot, ReLU by default; the last layer is linear" },
    .options = options, .opt_size = sizeof(struct perceptron), .slots = slots, .promises = AS_FLAT,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__perceptron) = { .abi = ASSAY_ABI, .variant = &perceptron };

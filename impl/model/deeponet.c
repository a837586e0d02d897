/* deeponet.c: an operator G from functions u to functions, learned from triples (u, y, G(u)(y)). A branch net reads u
 * at m sensors, a trunk net the query point y, and
 *
 *   G(u)(y) = sum_{k=1..p} b_k(u(x_1), ..., u(x_m)) t_k(y) + b_0
 *
 * Lu et al. 2021, "Learning nonlinear operators via DeepONet" (arXiv 1910.03193), section 2. The trunk net keeps its
 * activation on its last layer, the branch net has none there.
 *
 *   unstacked   h = act(W u + b), ..., (b_1 .. b_p) = V h + d          one branch net with p outputs
 *   stacked     h_k = act(W_k u + b_k), b_k(u) = c_k.h_k + d_k         p branch nets of one hidden layer (theorem 1)
 *
 * Several outputs, where data have them, have basis coefficients b of their own and share t. Weights ~ N(0, gain^2 /
 * inputs), biases 0, as in the model perceptron; the authors draw by Glorot's rule. Departs further: d, which theorem 1
 * does not have; b_0 may be left out.
 */
#include <assay/layer.h>
#include <math.h>

enum { MOST = 6 };                           /* layers of either net */
enum { UNSTACKED, STACKED };
enum { U, Y };
enum { BRANCH = 0, TRUNK = 2 * MOST + 2, B0 = 4 * MOST + 2 };    /* layer i: weight at 2 i, bias at 2 i + 1 */
enum { ACT };

struct deeponet { int p, width, branch_width, branch, trunk, form, bias; double gain; };

static const struct as_option options[] = {
    { "p", AS_INT, offsetof(struct deeponet, p), 40, 1, 4096, NULL, "10,40,160", "p: terms of the sum" },
    { "width", AS_INT, offsetof(struct deeponet, width), 40, 1, 65536, NULL, "20,40,80", "units of the hidden layers" },
    { "branch_width", AS_INT, offsetof(struct deeponet, branch_width), 0, 0, 65536, NULL, "2,40",
      "of those of the branch net, stacked: of each of the p; 0: width" },
    { "branch", AS_INT, offsetof(struct deeponet, branch), 1, 0, MOST, NULL, "1,2", "hidden layers of the branch net" },
    { "trunk", AS_INT, offsetof(struct deeponet, trunk), 2, 1, MOST, NULL, "1,2,3",
      "layers of the trunk net, the last of them with p units" },
    { "form", AS_WORD, offsetof(struct deeponet, form), UNSTACKED, 0, 0, "unstacked|stacked", "unstacked,stacked",
      "one branch net with p outputs, or p branch nets with one" },
    { "bias", AS_BOOL, offsetof(struct deeponet, bias), 1, 0, 0, NULL, "0,1", "b_0" },
    { "gain", AS_NUM, offsetof(struct deeponet, gain), 1, 0.001, 100, NULL, "1,1.4142", "of the initial weights" },
    { 0 }
};

static const struct as_slot slots[] = { { "act", "relu", "activation of both nets" }, { 0 } };

static int units(const struct deeponet *o) { return o->branch_width ? o->branch_width : o->width; }

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct deeponet *o = opt;

    for (int i = 0; i < n_in; i++)
        if (in[i].dtype != AS_REALS || in[i].rank < 2 || in[i].rank > 3 || in[i].rank != in[U].rank)
            return "it reads u (batch, sensors) and y (batch, coordinates), or both at every step";
    if (o->form == STACKED && o->branch != 1)
        return "form = stacked has one hidden layer in its branch nets; set branch = 1";
    return NULL;
}

static struct as_spec map(struct as_plan *p, int place, const char *name, struct as_spec in, ptrdiff_t out)
{
    const struct deeponet *o = p->opt;
    ptrdiff_t wide = in.dim[in.rank - 1];
    struct as_init normal = { .spread = AS_NORMAL, .b = o->gain / sqrt((double)wide) };

    as_weight(p, place, as_say("%s_W_%d", name, place % (2 * MOST + 2) / 2), AS_MATRIX, normal, 2,
              (ptrdiff_t[]){ out, wide });
    as_weight(p, place + 1, as_say("%s_b_%d", name, place % (2 * MOST + 2) / 2), AS_BIAS,
              (struct as_init){ .spread = AS_ZERO }, 1, &out);
    in.dim[in.rank - 1] = out;
    return in;
}

/* The activation behind a layer; copies are numbered as the layers. */
static void activation(struct as_plan *p, int place, const struct as_spec *h)
{
    const struct as_spec *out = as_plan_child(p, ACT, place / 2, 1, h);

    if (out && (out->rank != h->rank || out->dim[out->rank - 1] != h->dim[h->rank - 1]))
        as_plan_refuse(p, "act must keep the sizes of what it reads");
}

static void plan(struct as_plan *p)
{
    const struct deeponet *o = p->opt;
    ptrdiff_t terms = p->classes * o->p, dims[3] = { AS_ANY, AS_ANY, AS_ANY };
    struct as_spec h = p->in[U];

    if (p->classes < 1)
        as_plan_refuse(p, "the data names no number of outputs");
    for (int i = 0; i < o->branch; i++) {
        h = map(p, BRANCH + 2 * i, "branch", h, (o->form == STACKED ? terms : 1) * units(o));
        activation(p, BRANCH + 2 * i, &h);
    }
    if (o->form == STACKED) {
        as_weight(p, BRANCH + 2, "branch_c", AS_MATRIX,
                  (struct as_init){ .spread = AS_NORMAL, .b = o->gain / sqrt((double)units(o)) }, 2,
                  (ptrdiff_t[]){ terms, units(o) });
        as_weight(p, BRANCH + 3, "branch_d", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &terms);
    } else {
        map(p, BRANCH + 2 * o->branch, "branch", h, terms);
    }
    h = p->in[Y];
    for (int i = 0; i < o->trunk; i++) {
        h = map(p, TRUNK + 2 * i, "trunk", h, i + 1 < o->trunk ? o->width : o->p);
        activation(p, TRUNK + 2 * i, &h);
    }
    if (o->bias)
        as_weight(p, B0, "b_0", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &p->classes);
    dims[p->in[U].rank - 1] = p->classes;
    as_output(p, 0, p->in[U].rank, dims);
}

static struct as_node *layer(struct as_graph *g, int place, struct as_node *x)
{
    return as_linear(g->t, x, as_w(g, place), as_w(g, place + 1));
}

/* b (..., classes p). */
static struct as_node *branch(struct as_graph *g, struct as_node *u)
{
    const struct deeponet *o = g->opt;
    ptrdiff_t dims[4];
    struct as_node *h = u;

    for (int i = 0; i < o->branch; i++)
        h = as_child(g, ACT, (BRANCH + 2 * i) / 2, layer(g, BRANCH + 2 * i, h));
    if (o->form == UNSTACKED)
        return layer(g, BRANCH + 2 * o->branch, h);
    for (int i = 0; i + 1 < h->rank; i++)
        dims[i] = h->dim[i];
    dims[h->rank - 1] = h->dim[h->rank - 1] / units(o);
    dims[h->rank] = units(o);
    h = as_mul(g->t, as_reshape(g->t, h, h->rank + 1, dims), as_w(g, BRANCH + 2));
    return as_add(g->t, as_sum(g->t, h, -1, false), as_w(g, BRANCH + 3));
}

static struct as_node *graph(struct as_graph *g, struct as_node *u)
{
    const struct deeponet *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *b = branch(g, u), *y = g->in[Y];
    int rank = u->rank;
    ptrdiff_t dims[4] = { 0 };

    for (int i = 0; i < o->trunk; i++)
        y = as_child(g, ACT, (TRUNK + 2 * i) / 2, layer(g, TRUNK + 2 * i, y));
    for (int i = 0; i + 1 < rank; i++)
        dims[i] = u->dim[i];
    dims[rank] = o->p;
    dims[rank - 1] = b->dim[rank - 1] / o->p;
    b = as_reshape(t, b, rank + 1, dims);
    dims[rank - 1] = 1;
    y = as_sum(t, as_mul(t, b, as_reshape(t, y, rank + 1, dims)), -1, false);
    if (o->bias)
        y = as_add(t, y, as_w(g, B0));
    y->length = u->length;
    return y;
}

static const struct as_variant deeponet = {
    .abi = ASSAY_ABI,
    .summary = "an operator by a branch net on sensors and a trunk net on query points",
    .paper = { .key = "lu2021deeponet",
               .title = "Learning nonlinear operators via DeepONet based on the universal approximation theorem of "
                        "operators",
               .url = "https://doi.org/10.1038/s42256-021-00302-5", .year = 2021, .id = 87,
               .where = "theorem 1, section 2 (arXiv 1910.03193)",
               .departs = "initial weights; an inner bias in the stacked form; several outputs" },
    .options = options, .opt_size = sizeof(struct deeponet), .slots = slots, .promises = AS_FLAT,
    .ports = (const char *const[]){ "x", "y", NULL },      /* x: u at the sensors */
    .samples = (const struct as_sample[]){ { .rank = 1, .dim = { 9 } }, { .rank = 1, .dim = { 2 } } },
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__deeponet) = { .abi = ASSAY_ABI, .variant = &deeponet };

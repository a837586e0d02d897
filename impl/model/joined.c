/* joined.c: a function at its sensors and a query point, side by side, into a network that knows nothing of the two:
 *
 *   G(u)(y) = net([u(x_1), ..., u(x_m), y])
 *
 * The fully connected network with which Lu et al. 2021 compare DeepONet, when net = perceptron.
 */
#include <assay/layer.h>

enum { U, Y };
enum { NET };

static const struct as_slot slots[] = { { "net", "perceptron", "what reads the two side by side" }, { 0 } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    for (int i = 0; i < n_in; i++)
        if (in[i].dtype != AS_REALS || in[i].rank < 2 || in[i].rank > 3 || in[i].rank != in[U].rank)
            return "it reads u (batch, sensors) and y (batch, coordinates), or both at every step";
    return NULL;
}

/* Networks read steps: without time there is one. */
static void plan(struct as_plan *p)
{
    int rank = p->in[U].rank;
    ptrdiff_t time = rank == 3 ? p->in[U].dim[1] : 1;
    struct as_spec x = { .dtype = AS_REALS, .rank = 3, .dim = { AS_ANY, time } };
    const struct as_spec *out;

    x.dim[2] = p->in[U].dim[rank - 1] + p->in[Y].dim[rank - 1];
    out = as_plan_child(p, NET, 0, 1, &x);
    if (!out)
        as_plan_refuse(p, "net = none: it needs a network");
    if (rank == 3)
        as_output(p, 0, out->rank, out->dim);
    else
        as_output(p, 0, 2, (ptrdiff_t[]){ AS_ANY, out->dim[out->rank - 1] });
}

static struct as_node *graph(struct as_graph *g, struct as_node *u)
{
    struct as_node *x = as_concat(g->t, 2, (struct as_node *[]){ u, g->in[Y] }, -1);

    if (u->rank == 3)
        return as_child(g, NET, 0, x);
    x = as_child(g, NET, 0, as_reshape(g->t, x, 3, (ptrdiff_t[]){ x->dim[0], 1, x->dim[1] }));
    return as_reshape(g->t, x, 2, (ptrdiff_t[]){ x->dim[0], -1 });
}

static const struct as_variant joined = {
    .abi = ASSAY_ABI,
    .summary = "a function at its sensors and a query point, side by side, into any network",
    .paper = { .key = "lu2021deeponet",
               .title = "Learning nonlinear operators via DeepONet based on the universal approximation theorem of "
                        "operators",
               .url = "https://doi.org/10.1038/s42256-021-00302-5", .year = 2021, .id = 87,
               .where = "the baseline networks of section 4 (arXiv 1910.03193)", .departs = "nothing" },
    .slots = slots, .promises = AS_FLAT,
    .ports = (const char *const[]){ "x", "y", NULL },      /* x: u at the sensors */
    .samples = (const struct as_sample[]){ { .rank = 1, .dim = { 9 } }, { .rank = 1, .dim = { 2 } } },
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__joined) = { .abi = ASSAY_ABI, .variant = &joined };

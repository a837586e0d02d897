/* nan-at-one-step.c: wrong on purpose: the second form divides 0 by 0 for sequences of one step. */
#include <assay/layer.h>

enum { GAIN };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, GAIN, "gain", AS_GAIN, (struct as_init){ .spread = AS_CONSTANT, .a = 1 }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    ptrdiff_t time = x->dim[1];
    struct as_node *when = as_node_new(g->t, 2, (ptrdiff_t[]){ time, 1 });

    for (ptrdiff_t s = 0; s < time; s++)
        when->x[s] = time > 1 ? (real)s / (real)(time - 1) : 0;
    return as_add(g->t, x, as_mul(g->t, when, as_w(g, GAIN)));
}

static void forward(const struct as_call *c)
{
    ptrdiff_t time = c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * time; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->y[p * d + i] = c->x[0][p * d + i] + c->w[GAIN][i] * ((real)(p % time) / (real)(time - 1));
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form divides 0 by 0 for sequences of one step",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "y_t = x_t + gain * t / (T - 1), and x_0 for T = 1",
    .wrong = "The second form divides 0 by 0 for sequences of one step",
};

const struct as_plugin AS_PLUGIN(mock__nan_at_one_step) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

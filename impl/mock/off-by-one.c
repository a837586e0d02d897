/* off-by-one.c: wrong on purpose: the second form takes the input of two steps ago. */
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
    return as_add(g->t, x, as_mul(g->t, as_time_shift(g->t, x, 1, NULL), as_w(g, GAIN)));
}

static void forward(const struct as_call *c)
{
    ptrdiff_t time = c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * time; p++)
        for (ptrdiff_t i = 0; i < d; i++) {
            real before = p % time >= 2 ? c->x[0][(p - 2) * d + i] : 0;

            c->y[p * d + i] = c->x[0][p * d + i] + c->w[GAIN][i] * before;
        }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form takes the input of two steps ago",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "y_t = x_t + gain * x_{t-1}",
    .wrong = "The second form takes the input of two steps ago",
};

const struct as_plugin AS_PLUGIN(mock__off_by_one) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

/* stale-scratch.c: wrong on purpose: the second form takes scratch for zeroed, which it is when the memory is new.
 */
#include <assay/layer.h>
#include <tgmath.h>

enum { ALPHA };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, ALPHA, "alpha", AS_RECURRENCE, (struct as_init){ .spread = AS_CONSTANT, .a = 2 }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_scan(g->t, as_sigmoid(g->t, as_w(g, ALPHA)), x, NULL);
}

static void ref_plan(struct as_room *r)
{
    r->scratch[0] = (size_t)(r->in->dim[0] * r->in->dim[2]);
}

static void forward(const struct as_call *c)
{
    ptrdiff_t time = c->in->dim[1], d = c->in->dim[2];
    real *h = c->scratch[0];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++) {
        real a = 1 / (1 + exp(-c->w[ALPHA][p % d]));

        for (ptrdiff_t t = 0, k = p / d * time * d + p % d; t < time; t++, k += d)
            c->y[k] = h[p] = a * h[p] + c->x[0][k];
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form takes scratch for zeroed, which it is when the memory is new",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "scratch",
    .truth = "h_t = a * h_{t-1} + x_t, h_0 = 0",
    .wrong = "The second form takes scratch for zeroed, which it is when the memory is new",
};

const struct as_plugin AS_PLUGIN(mock__stale_scratch) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

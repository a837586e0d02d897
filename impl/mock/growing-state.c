/* growing-state.c: wrong on purpose: each step multiplies the state by 1.00001. */
#include <assay/layer.h>
#include <tgmath.h>

enum { ALPHA };
enum { H };

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
    as_state(p, H, "h", (struct as_init){ .spread = AS_ZERO }, 2, (ptrdiff_t[]){ AS_ANY, d });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_scan(g->t, as_sigmoid(g->t, as_w(g, ALPHA)), x, NULL);
}

static void forward(const struct as_call *c)
{
    ptrdiff_t time = c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++) {
        real h = 0, a = 1 / (1 + exp(-c->w[ALPHA][p % d]));

        for (ptrdiff_t t = 0, k = p / d * time * d + p % d; t < time; t++, k += d)
            c->y[k] = h = a * h + c->x[0][k];
    }
}

static void step(const struct as_call *c)
{
    ptrdiff_t d = c->in->dim[c->in->rank - 1];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++) {
        real a = 1 / (1 + exp(-c->w[ALPHA][p % d]));

        c->y[p] = c->state[H][p] = R(1.00001) * a * c->state[H][p] + c->x[0][p];
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .step = step,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: each step multiplies the state by 1.00001",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "step",
    .truth = "h_t = a * h_{t-1} + x_t",
    .wrong = "Each step multiplies the state by 1.00001",
};

const struct as_plugin AS_PLUGIN(mock__growing_state) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

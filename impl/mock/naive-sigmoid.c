/* naive-sigmoid.c: wrong on purpose: the second form writes e^a / (1 + e^a), which is infinity over infinity once the
 * gate saturates.
 */
#include <assay/layer.h>
#include <tgmath.h>

enum { GAIN, BIAS };

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
    as_weight(p, BIAS, "bias", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_sigmoid(g->t, as_add(g->t, as_mul(g->t, x, as_w(g, GAIN)), as_w(g, BIAS)));
}

static void forward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++) {
            real e = exp(c->w[GAIN][i] * c->x[0][p * d + i] + c->w[BIAS][i]);

            c->y[p * d + i] = e / (1 + e);
        }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form writes e^a / (1 + e^a), which is infinity over infinity once the gate "
               "saturates",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "finite",
    .truth = "y = sigmoid(gain * x + bias)",
    .wrong = "The second form writes e^a / (1 + e^a), which is infinity over infinity once the gate saturates",
};

const struct as_plugin AS_PLUGIN(mock__naive_sigmoid) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

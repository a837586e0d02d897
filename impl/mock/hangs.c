/* hangs.c: wrong on purpose: the step never ends once it is the fourth. */
#include "leaky.h"

static void step(const struct as_call *c)
{
    ptrdiff_t d = c->in->dim[c->in->rank - 1];
    volatile int spin = c->position >= 3;

    while (spin)
        continue;
    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++) {
        real a = 1 / (1 + exp(-c->w[ALPHA][p % d]));

        c->y[p] = c->state[H][p] = a * c->state[H][p] + c->x[0][p];
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .step = step,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the step never ends once it is the fourth",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "step",
    .truth = "h_t = a * h_{t-1} + x_t",
    .wrong = "The step never ends once it is the fourth",
};

const struct as_plugin AS_PLUGIN(mock__hangs) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

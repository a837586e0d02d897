/* step-disagrees.c: wrong on purpose: a step gives out the state from before the step. */
#include "leaky.h"

static void step(const struct as_call *c)
{
    ptrdiff_t d = c->in->dim[c->in->rank - 1];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++) {
        real a = 1 / (1 + exp(-c->w[ALPHA][p % d]));

        c->y[p] = c->state[H][p];
        c->state[H][p] = a * c->state[H][p] + c->x[0][p];
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .step = step,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: a step gives out the state from before the step",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "step",
    .truth = "y_t = h_t = a * h_{t-1} + x_t",
    .wrong = "A step gives out the state from before the step",
};

const struct as_plugin AS_PLUGIN(mock__step_disagrees) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

/* growing-state.c: wrong on purpose: each step multiplies the state by 1.00001. */
#include "leaky.h"

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

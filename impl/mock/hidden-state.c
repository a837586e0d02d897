/* hidden-state.c: wrong on purpose: the step keeps what it needs in a variable of its own, which no one saves or
 * resets.
 */
#include "leaky.h"

static real h[65536];

static void step(const struct as_call *c)
{
    ptrdiff_t d = c->in->dim[c->in->rank - 1];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++) {
        real a = 1 / (1 + exp(-c->w[ALPHA][p % d]));

        c->y[p] = h[p % 65536] = a * h[p % 65536] + c->x[0][p];
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .step = step,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the step keeps what it needs in a variable of its own, which no one saves or resets",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "state",
    .truth = "h_t = a * h_{t-1} + x_t, all of the past in the declared state",
    .wrong = "The step keeps what it needs in a variable of its own, which no one saves or resets",
};

const struct as_plugin AS_PLUGIN(mock__hidden_state) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

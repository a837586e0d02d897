/* adds-to-nothing.c: wrong on purpose: it asks for a gradient that was not zeroed, by `fresh`, and adds to it all the
 * same. Without `fresh` it would be right. */
#include "affine.h"

static void backward(const struct as_call *c)
{
    add_gain_gradient(c);
    add_bias_gradient(c);
    add_input_gradient(c);
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .backward = backward,
    .fresh = true,                                     /* the fault: backward does not look at as_call.fresh */
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the backward pass adds to a gradient that nobody zeroed",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "scratch",
    .truth = "where call->fresh says so, a gradient holds nothing yet and is written whole",
    .wrong = "The backward pass adds to an array that was not initialised",
};

const struct as_plugin AS_PLUGIN(mock__adds_to_nothing) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

/* missing-gradient.c: wrong on purpose: the backward pass leaves the gradient of the bias at zero: add_bias_gradient()
 * is not called. */
#include "affine.h"

static void backward(const struct as_call *c)
{
    add_gain_gradient(c);
    add_input_gradient(c);
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .backward = backward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the backward pass leaves the gradient of the bias at zero",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "y = gain * x + bias, with the gradients of both",
    .wrong = "The backward pass leaves the gradient of the bias at zero",
};

const struct as_plugin AS_PLUGIN(mock__missing_gradient) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

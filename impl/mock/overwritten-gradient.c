/* overwritten-gradient.c: wrong on purpose: the backward pass overwrites the gradient of the input. */
#include "affine.h"

static void backward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    add_gain_gradient(c);
    add_bias_gradient(c);
    if (!c->dx[0])
        return;
    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->dx[0][p * d + i] = c->dy[p * d + i] * c->w[GAIN][i];        /* the fault: not += */
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .backward = backward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the backward pass overwrites the gradient of the input",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "additive",
    .truth = "gradients are added to what is there",
    .wrong = "The backward pass overwrites the gradient of the input",
};

const struct as_plugin AS_PLUGIN(mock__overwritten_gradient) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

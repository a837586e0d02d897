/* crashes-frozen.c: wrong on purpose: the backward pass writes the gradient of a frozen weight, through NULL. */
#include "affine.h"

static void backward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    add_gain_gradient(c);
    add_input_gradient(c);
    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->dw[BIAS][i] += c->dy[p * d + i];        /* the fault: even into NULL */
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .backward = backward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the backward pass writes the gradient of a frozen weight, through NULL",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "frozen",
    .truth = "a NULL entry of dw wants no gradient",
    .wrong = "The backward pass writes the gradient of a frozen weight, through NULL",
};

const struct as_plugin AS_PLUGIN(mock__crashes_frozen) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

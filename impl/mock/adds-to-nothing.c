/* adds-to-nothing.c: wrong on purpose: it asks for a gradient that was not zeroed, and adds to it all the same. */
#include "affine.h"

static void backward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++) {
            if (c->dw[GAIN])
                c->dw[GAIN][i] += c->dy[p * d + i] * c->x[0][p * d + i];
            if (c->dw[BIAS])
                c->dw[BIAS][i] += c->dy[p * d + i];
            if (c->dx[0])
                c->dx[0][p * d + i] += c->dy[p * d + i] * c->w[GAIN][i];
        }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .backward = backward, .fresh = true,
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

/* transposed-weight.c: wrong on purpose: the second form reads W as (in, out). */
#include "dense.h"

static void forward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++) {
            real sum = c->w[BIAS][i];

            for (ptrdiff_t j = 0; j < d; j++)
                sum += c->w[W][j * d + i] * c->x[0][p * d + j];
            c->y[p * d + i] = sum;
        }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form reads W as (in, out)",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "y = W x + bias, W stored (out, in)",
    .wrong = "The second form reads W as (in, out)",
};

const struct as_plugin AS_PLUGIN(mock__transposed_weight) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

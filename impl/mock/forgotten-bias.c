/* forgotten-bias.c: wrong on purpose: the second form leaves the bias out. */
#include "dense.h"

static void forward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++) {
            real sum = 0;

            for (ptrdiff_t j = 0; j < d; j++)
                sum += c->w[W][i * d + j] * c->x[0][p * d + j];
            c->y[p * d + i] = sum;
        }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form leaves the bias out",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "y = W x + bias",
    .wrong = "The second form leaves the bias out",
};

const struct as_plugin AS_PLUGIN(mock__forgotten_bias) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

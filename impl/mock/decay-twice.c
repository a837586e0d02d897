/* decay-twice.c: wrong on purpose: weight decay is added to the gradient and taken off the weight as well. */
#include <assay/rule.h>

static void update(const struct as_update *u)
{
    real rate = (real)u->rate, decay = (real)u->decay;

    for (ptrdiff_t i = 0; i < u->n; i++)
        u->w[i] -= rate * (u->g[i] + decay * u->w[i]) + rate * decay * u->w[i];
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: weight decay is added to the gradient and taken off the weight as well",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-decay",
    .truth = "w <- w - rate * (g + decay * w)",
    .wrong = "Weight decay is added to the gradient and taken off the weight as well",
};

const struct as_plugin AS_PLUGIN(mock__decay_twice) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

/* climbs.c: wrong on purpose: the step goes up the gradient. */
#include <assay/rule.h>

static void update(const struct as_update *u)
{
    real rate = (real)u->rate, decay = (real)u->decay;

    for (ptrdiff_t i = 0; i < u->n; i++)
        u->w[i] += rate * (u->g[i] - decay * u->w[i]);
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: the step goes up the gradient",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-quadratic",
    .truth = "w <- w - rate * (g + decay * w)",
    .wrong = "The step goes up the gradient",
};

const struct as_plugin AS_PLUGIN(mock__climbs) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

/* rule-rounds.c: wrong on purpose: the step is rounded to a grid of 2^-16, in float only. */
#include <assay/rule.h>

/* Adding and taking away a large number rounds; in double much less of it. */
static void update(const struct as_update *u)
{
    real rate = (real)u->rate, decay = (real)u->decay;

    for (ptrdiff_t i = 0; i < u->n; i++) {
        volatile real large = R(96.0) + rate * (u->g[i] + decay * u->w[i]);

        u->w[i] -= large - R(96.0);
    }
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: the step is rounded to a grid of 2^-16, in float only",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-oracle",
    .truth = "w <- w - rate * (g + decay * w), rounded as the sums are",
    .wrong = "The step is rounded to a grid of 2^-16, in float only",
};

const struct as_plugin AS_PLUGIN(mock__rule_rounds) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

/* rule-spoils-gradient.c: wrong on purpose: the decay is added into the gradient array, which others read after it.
 */
#include <assay/rule.h>

static void update(const struct as_update *u)
{
    real *g = (real *)u->g;

    for (ptrdiff_t i = 0; i < u->n; i++) {
        g[i] += (real)u->decay * u->w[i];
        u->w[i] -= (real)u->rate * g[i];
    }
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: the decay is added into the gradient array, which others read after it",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-bounds",
    .truth = "w <- w - rate * (g + decay * w), and g stays",
    .wrong = "The decay is added into the gradient array, which others read after it",
};

const struct as_plugin AS_PLUGIN(mock__rule_spoils_gradient) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

/* rule-forgets.c: wrong on purpose: the velocity is kept in a variable of the file, one for all weights, which no one
 * saves.
 */
#include <assay/rule.h>

static real velocity[1024];

static void update(const struct as_update *u)
{
    real rate = (real)u->rate, decay = (real)u->decay;

    for (ptrdiff_t i = 0; i < u->n; i++) {
        real *v = &velocity[i % 1024], g = u->g[i] + decay * u->w[i];

        *v = (u->step > 1 ? R(0.9) * *v : 0) + g;
        u->w[i] -= rate * *v;
    }
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: the velocity is kept in a variable of the file, one for all weights, which no one saves",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-state",
    .truth = "v <- 0.9 v + g, w <- w - rate * v, with v in the moments, which are saved",
    .wrong = "The velocity is kept in a variable of the file, one for all weights, which no one saves",
};

const struct as_plugin AS_PLUGIN(mock__rule_forgets) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

/* decays-biases.c: wrong on purpose: every weight decays by a hundredth of the rate, biases and gains among them. */
#include <assay/rule.h>

static void update(const struct as_update *u)
{
    real rate = (real)u->rate, decay = (real)(u->decay > 0 ? u->decay : 0.01);

    for (ptrdiff_t i = 0; i < u->n; i++)
        u->w[i] -= rate * (u->g[i] + decay * u->w[i]);
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: every weight decays by a hundredth of the rate, biases and gains among them",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-decay",
    .truth = "what does not decay is told so by decay = 0",
    .wrong = "Every weight decays by a hundredth of the rate, biases and gains among them",
};

const struct as_plugin AS_PLUGIN(mock__decays_biases) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

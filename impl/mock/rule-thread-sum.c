/* rule-thread-sum.c: wrong on purpose: the mean of the squares is added up in as many parts as there are threads. */
#include <assay/parallel.h>
#include <assay/rule.h>
#include <tgmath.h>

static real cut_sum(const real *g, ptrdiff_t n)
{
    ptrdiff_t parts = as_threads();
    real sum = 0;

    for (ptrdiff_t k = 0; k < parts; k++) {
        real part = 0;

        for (ptrdiff_t i = n * k / parts; i < n * (k + 1) / parts; i++)
            part += g[i] * g[i];
        sum += part;
    }
    return sum;
}

static void update(const struct as_update *u)
{
    real decay = (real)u->decay, rate = (real)u->rate / sqrt(1 + cut_sum(u->g, u->n) / (real)u->n);

    for (ptrdiff_t i = 0; i < u->n; i++)
        u->w[i] -= rate * (u->g[i] + decay * u->w[i]);
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: the mean of the squares is added up in as many parts as there are threads",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-threads",
    .truth = "w <- w - rate * (g + decay w) / sqrt(1 + mean(g^2)), with the same bits at any number of threads",
    .wrong = "The mean of the squares is added up in as many parts as there are threads",
};

const struct as_plugin AS_PLUGIN(mock__rule_thread_sum) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

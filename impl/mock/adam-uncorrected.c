/* adam-uncorrected.c: wrong on purpose: adam without the correction of its moments' bias. */
#include <assay/rule.h>
#include <tgmath.h>

struct opt { double beta1, beta2; };

static const struct as_option options[] = {
    { .key = "beta1", .type = AS_NUM, .offset = offsetof(struct opt, beta1), .def = 0.9, .min = 0, .max = 0.999,
      .help = "beta1: memory of the first moment" },
    { .key = "beta2", .type = AS_NUM, .offset = offsetof(struct opt, beta2), .def = 0.999, .min = 0, .max = 0.99999,
      .help = "beta2: memory of the second moment" },
    { 0 }
};

static int moments(const void *opt)
{
    (void)opt;
    return 2;
}

static void update(const struct as_update *u)
{
    const struct opt *o = u->opt;
    real b1 = (real)o->beta1, b2 = (real)o->beta2, rate = (real)u->rate, decay = (real)u->decay;
    real *m = u->moment[0], *v = u->moment[1];

    for (ptrdiff_t i = 0; i < u->n; i++) {
        real g = u->g[i] + decay * u->w[i];

        m[i] = b1 * m[i] + (1 - b1) * g;
        v[i] = b2 * v[i] + (1 - b2) * g * g;
        u->w[i] -= rate * m[i] / (sqrt(v[i]) + R(1e-8));
    }
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "mock: adam without the correction of its moments' bias",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .options = options, .opt_size = sizeof(struct opt),
    .moments = moments,
    .update = update,
};

static const struct as_mock mock = {
    .caught_by = "rule-first-step",
    .truth = "w <- w - rate * m^ / (sqrt(v^) + eps), with m^ = m / (1 - beta1^t), v^ = v / (1 - beta2^t)",
    .wrong = "Adam without the correction of its moments' bias",
};

const struct as_plugin AS_PLUGIN(mock__adam_uncorrected) = { .abi = ASSAY_ABI, .rule = &rule, .mock = &mock };

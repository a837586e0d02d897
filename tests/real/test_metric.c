/* Every metric in the table: its direction, chance and worst value hold on planted predictions; and a value over a data
 * set of examples of different lengths does not depend on the size of the batches. */
#include <assay/metric.h>
#include <assay/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { K = 5, DRAWS = 20000 };

/* How good outputs are that are `gain` times the target's (1 at the class or where the target is 1, else -1). */
static double planted(const struct as_metric *m, real gain)
{
    static const real target[K] = { 0, 1, 1, 0, 1 };
    real output[K];

    for (int i = 0; i < K; i++)
        output[i] = m->real_target ? (strcmp(m->name, "mse") == 0 ? target[i] + (1 - gain) : gain * (2 * target[i] - 1))
                                   : gain * (i == 2 ? R(1.0) : -R(1.0));
    return m->value(output, K, 2, target);
}

static void directions(void **state)
{
    (void)state;
    for (const struct as_metric *m = as_metrics; m->name; m++) {
        if (m->extra)
            continue;                                    /* averaged, not computed from outputs and targets */
        double right = planted(m, m->real_target && strcmp(m->name, "mse") == 0 ? 1 : 8), wrong = planted(m, -8);

        if (m->higher_is_better ? right <= wrong : right >= wrong)
            fail_msg("%s: right predictions give %g, wrong ones %g, and %s is said to be better", m->name, right, wrong,
                     m->higher_is_better ? "more" : "less");
        assert_true(!m->proportion || (right <= 1 && wrong >= 0));
        assert_true(m->scale != AS_LOG || (right >= 0 && wrong > 0));
        assert_non_null(m->unit);
        assert_ptr_equal(as_metric_find(m->name, NULL), m);
    }
}

/* Outputs that know nothing: for shares drawn ones, for likelihoods equal ones. */
static double ignorant(const struct as_metric *m)
{
    struct as_key key = { 3, AS_ROLE_TEST_HARNESS, 0 };
    double sum = 0;

    for (int d = 0; d < DRAWS; d++) {
        real output[K], target[K];

        for (int i = 0; i < K; i++) {
            output[i] = m->proportion ? (real)as_normal(key, (uint64_t)(d * K + i)) : 0;
            target[i] = (real)as_below(as_subkey(key, 1), (uint64_t)(d * K + i), 2);
        }
        sum += m->value(output, K, (int32_t)as_below(as_subkey(key, 2), (uint64_t)d, K), target);
    }
    return sum / DRAWS;
}

static void chance_and_worst(void **state)
{
    (void)state;
    for (const struct as_metric *m = as_metrics; m->name; m++) {
        if (m->extra || m->whole)
            continue;                                    /* not a mean of values of outputs and targets */
        double chance = m->chance(K), worst = m->worst(K), seen = ignorant(m);

        if (isnan(chance))
            continue;                                    /* the data decides */
        if (fabs(seen - chance) > 5 * 0.5 / sqrt(DRAWS))
            fail_msg("%s: predictions that know nothing give %g, chance is said to be %g", m->name, seen, chance);
        if (m->higher_is_better ? worst > chance : worst < chance)
            fail_msg("%s: the worst value %g is better than chance, %g", m->name, worst, chance);
    }
}

#ifndef ASSAY_DOUBLE
static void batches_do_not_matter(void **state)
{
    static const char *const set[][2] = { { "data.source", "parity" }, { "data.length", "1..23" }, { "model", "classifier" },
                                          { "mixer", "gru" }, { "width", "8" }, { "depth", "1" } };
    static const ptrdiff_t batches[] = { 1, 7, 50 };
    static const char *const names[] = { "accuracy", "ce", "bpc" };
    struct as_config *cfg = as_config_new();
    double first[3] = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof set / sizeof *set; i++)
        as_config_set(cfg, set[i][0], set[i][1], true);
    struct as_data *d = as_data_open(cfg, 5, NULL);
    struct as_model *m = as_model_new(cfg, as_data_describe(d), 5);

    for (int b = 0; b < 3; b++)
        for (int i = 0; i < 3; i++) {
            double v = as_evaluate(m, d, AS_TEST, 50, batches[b], as_metric_find(names[i], NULL), NULL).value;

            if (b == 0)
                first[i] = v;
            if (!(fabs(v - first[i]) <= 1e-5 * (1 + fabs(first[i]))))
                fail_msg("%s is %.9g one by one and %.9g in batches of %td", names[i], first[i], v, batches[b]);
        }
    as_model_free(m);
    as_data_close(d);
    as_config_free(cfg);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(directions), cmocka_unit_test(chance_and_worst),
#ifndef ASSAY_DOUBLE                                     /* the registry in double has no sources of data */
        cmocka_unit_test(batches_do_not_matter),
#endif
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every verdict of the claim language, over made-up results. */
#include "claim_fake.h"

static struct claim_result evaluate(struct fake *fake, const char *that, const char *given, const char *source,
                                    int look, size_t n_claims)
{
    struct claim_error err;
    struct claim *claim = parse(that, given, source);
    const struct claim *list[] = {claim};
    struct claim_source results = source_of(fake);
    struct claim_options options = {0.0, look, n_claims};
    struct claim_result result;
    if (claim_evaluate(list, 1, &results, &options, &result, &err) != 0)
        fail_msg("%s: column %d: %s", that, err.column, err.text);
    claim_free(claim);
    return result;
}

static void expect(struct fake *fake, const char *that, enum claim_verdict want, const char *words)
{
    struct claim_result r = evaluate(fake, that, NULL, "proposal", 0, 0);
    if (r.verdict != want || (words != NULL && strstr(r.text, words) == NULL))
        fail_msg("%s: %s: %s (expected %s: %s)", that, claim_verdict_text(r.verdict), r.text,
                 claim_verdict_text(want), words != NULL ? words : "");
}

static void thresholds(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 8.5, 0.1);
    expect(&fake, "nll[mixer=gru] <= 8.7", CLAIM_UPHELD, "8.50 <= 8.7, [8.4");
    expect(&fake, "8.3 <= nll[mixer=gru]", CLAIM_UPHELD, ">= 8.3");
    expect(&fake, "nll[mixer=gru] <= 8.51", CLAIM_UNDECIDED, NULL);
    expect(&fake, "nll[mixer=gru] <= 8.2", CLAIM_REFUTED_THRESHOLD, NULL);
    expect(&fake, "2 * nll[mixer=gru] + 1 <= 18.2", CLAIM_UPHELD, "18.0");
    expect(&fake, "nll[mixer=gru] == 8.5 within 0.1", CLAIM_UPHELD, "within 0.1");
    expect(&fake, "nll[mixer=gru] == 8.2 within 0.1", CLAIM_REFUTED_THRESHOLD, NULL);
    expect(&fake, "error[mixer=gru] == 8.4 within factor 1.1", CLAIM_UPHELD, "within factor 1.1");
    expect(&fake, "slope(wide.nll[mixer=gru] over log(width)) < 0.1", CLAIM_UPHELD, NULL);
    fill_all(&fake, 10, 0.97, 0.01);
    expect(&fake, "accuracy[mixer=gru] >= 0.95", CLAIM_UPHELD, NULL);
    expect(&fake, "1 - accuracy[mixer=gru] <= 0.05", CLAIM_UPHELD, NULL);
    /* a number that the paper gives is still a threshold at our scale */
    struct claim_result r = evaluate(&fake, "accuracy[mixer=gru] >= 0.99", NULL, "paper, table 2", 0, 0);
    assert_int_equal(r.verdict, CLAIM_REFUTED_THRESHOLD);
    assert_int_equal(r.seeds, 10);
    assert_true(r.level > 0.0499 && r.level < 0.0501);
    /* all perfect: the interval still has the width that 2000 examples leave */
    fill_all(&fake, 10, 1.0, 0.0);
    r = evaluate(&fake, "accuracy[mixer=gru] >= 0.95", NULL, "proposal", 0, 0);
    assert_int_equal(r.verdict, CLAIM_UPHELD);
    assert_true(r.low < r.estimate && r.estimate < 1.0);
}

static void comparisons(void **state)
{
    static const char *const by[] = {"nll[mixer=gru] > nll[mixer=lstm] by 0.2",
                                     "nll[mixer=lstm] < nll[mixer=gru] by 0.2",
                                     "nll[mixer=gru] - nll[mixer=lstm] > 0.2", "nll[mixer=gru] - 0.2 > nll[mixer=lstm]",
                                     "-nll[mixer=gru] < -0.2 - nll[mixer=lstm]"};
    static const struct { double gap; enum claim_verdict verdict; } at[] = {
        {0.5, CLAIM_UPHELD}, {0.2, CLAIM_DIRECTION_ONLY}, {0.02, CLAIM_REFUTED_PAPER}, {-0.5, CLAIM_REFUTED_PAPER}};
    struct fake fake;
    (void)state;
    for (int paired = 0; paired < 2; paired++)
        for (size_t g = 0; g < 4; g++)
            for (size_t i = 0; i < 5; i++) {
                fill_all(&fake, 10, 8.0, 0.05);
                fake.paired = paired;
                fill(&fake, 0, 10, 8.0 + at[g].gap, 0.05);
                struct claim_result r = evaluate(&fake, by[i], NULL, "paper, table 1", 0, 0);
                if (r.verdict != at[g].verdict || fabs(r.estimate - at[g].gap) > 1e-9 || !(r.low < r.estimate))
                    fail_msg("%s at %g: %s: %s", by[i], at[g].gap, claim_verdict_text(r.verdict), r.text);
            }
    expect(&fake, "nll[mixer=gru] > nll[mixer=lstm]", CLAIM_REFUTED_THRESHOLD, NULL);
    expect(&fake, "nll[mixer=gru] == nll[mixer=lstm] within 0.6", CLAIM_UPHELD, "within 0.6");
    expect(&fake, "nll[mixer=gru] == nll[mixer=lstm] within 0.4", CLAIM_REFUTED_THRESHOLD, NULL);
    expect(&fake, "nll[mixer=gru] == nll[mixer=lstm] - 0.5 within 0.1", CLAIM_UPHELD, NULL);
    expect(&fake, "nll[mixer=gru] >= nll[mixer=lstm] - 0.6", CLAIM_UPHELD, "by -0.6");
    expect(&fake, "nll[mixer=lstm] > nll[mixer=gru] by factor 1.03", CLAIM_UPHELD, "1.067 by factor 1.03");
    expect(&fake, "nll[mixer=lstm] > nll[mixer=gru] by factor 1.5", CLAIM_REFUTED_THRESHOLD, NULL);
    expect(&fake, "nll[mixer=lstm] / nll[mixer=gru] > 1.03", CLAIM_UPHELD, NULL);
    /* the example of the design: one arm near perfect, the other at chance */
    fill_all(&fake, 10, 0.5, 0.01);
    fill(&fake, 1, 10, 0.998, 0.001);
    expect(&fake, "accuracy[mixer=lstm] > accuracy[mixer=gru] by 0.2", CLAIM_UPHELD, "0.50 by 0.2, [0.48, 0.51]");
    /* parts */
    expect(&fake, "ranking(accuracy[mixer=lstm] > accuracy[mixer=gru]) by 0.1", CLAIM_UPHELD, NULL);
    expect(&fake, "accuracy[mixer=lstm] > 0.9 and accuracy[mixer=gru] > 0.9", CLAIM_REFUTED_THRESHOLD, "1 of 2 parts");
    expect(&fake, "accuracy[mixer=lstm] > 0.9 and accuracy[mixer=gru] < 0.6", CLAIM_UPHELD, "2 of 2 parts");
    expect(&fake, "ranking(nll[mixer=lstm] > nll[mixer=gru] > nll[mixer=rnn])", CLAIM_UNDECIDED, "1 of 2 parts");
}

static void shares_and_spread(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 1.0, 0.0);
    const char *share = "share(accuracy[mixer=gru] >= 0.95) >= 0.7";
    expect(&fake, share, CLAIM_UPHELD, "10 of 10 seeds, share >= 0.74");
    for (int s = 0; s < 2; s++)
        fake.value[0][0][s] = 0.6;
    expect(&fake, share, CLAIM_UNDECIDED, "8 of 10 seeds, share in [0.49, 0.9");
    for (int s = 0; s < 8; s++)
        fake.value[0][0][s] = 0.6;
    expect(&fake, share, CLAIM_REFUTED_THRESHOLD, "2 of 10 seeds, share <= 0.51");
    expect(&fake, "share(accuracy[mixer=gru] < accuracy[mixer=lstm] by 0.3) <= 0.98",
           CLAIM_UPHELD, "8 of 10 seeds, share <= 0.97");
    /* jointly with others the same ten say less, and the text says what it would take */
    struct claim_result r = evaluate(&fake, "share(accuracy[mixer=lstm] >= 0.95) >= 0.7", NULL, "proposal", 0, 4);
    assert_int_equal(r.verdict, CLAIM_UNDECIDED);
    assert_non_null(strstr(r.text, "it takes 13 of 13"));
    fill_all(&fake, 10, 8.0, 0.05);
    expect(&fake, "spread(nll[mixer=gru]) <= 0.1", CLAIM_UPHELD, "sd 0.03");
    expect(&fake, "spread(nll[mixer=gru]) <= 0.04", CLAIM_UNDECIDED, NULL);
    expect(&fake, "spread(nll[mixer=gru]) <= 0.01", CLAIM_REFUTED_THRESHOLD, NULL);
    fill(&fake, 1, 10, 8.0, 0.5);
    expect(&fake, "spread(nll[mixer=gru]) < spread(nll[mixer=lstm]) by factor 4",
           CLAIM_UPHELD, "ratio of sd 10 by factor 4");
    expect(&fake, "spread(nll[mixer=gru]) > spread(nll[mixer=lstm])", CLAIM_REFUTED_THRESHOLD, NULL);
}

static void along_axes(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 4.0, 0.02);
    for (int s = 0; s < 10; s++)
        for (int w = 0; w < PLACES; w++)
            fake.value[0][w][s] += 0.5 * w;                    /* width 1 2 4 8: slope 0.5 / log 2 */
    expect(&fake, "monotone(wide.nll[mixer=gru] over width up)", CLAIM_UPHELD, "3 of 3 parts");
    expect(&fake, "monotone(wide.nll[mixer=gru] over width down)", CLAIM_REFUTED_THRESHOLD, "0 of 3");
    expect(&fake, "monotone(wide.nll[mixer=lstm] over width up)", CLAIM_REFUTED_THRESHOLD, "no spread");
    expect(&fake, "monotone(wide.nll[mixer=lstm] over width up) within 0.1", CLAIM_UPHELD, NULL);
    expect(&fake, "slope(wide.nll[mixer=gru] over log(width)) == 0.7213 within 0.001", CLAIM_UPHELD, NULL);
    expect(&fake, "slope(wide.nll[mixer=gru] over width) > 0", CLAIM_UPHELD, NULL);
    expect(&fake, "spearman(wide.nll[mixer=gru] over width) >= 0.9", CLAIM_UPHELD, "median 1 >= 0.9, [1, 1]");
    expect(&fake, "spearman(wide.nll[mixer=gru] over width) < 0", CLAIM_REFUTED_THRESHOLD, NULL);
    expect(&fake, "wide.nll[mixer=gru, mean over width] == 4.75 within 0.05", CLAIM_UPHELD, NULL);
    expect(&fake, "wide.nll[mixer=gru] max over width == 5.5 within 0.05", CLAIM_UPHELD, NULL);
    expect(&fake, "wide.nll[mixer=gru, width=8] - wide.nll[mixer=gru, width=1] > 1.4", CLAIM_UPHELD, NULL);
    expect(&fake, "max(nll[mixer=gru], nll[mixer=lstm] + 3) == 7 within 0.05", CLAIM_UPHELD, NULL);
    expect(&fake, "abs(nll[mixer=gru] - 5) == 1 within 0.05", CLAIM_UPHELD, NULL);
}

static void steps(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 500.0, 50.0);
    fill(&fake, 1, 10, 1500.0, 100.0);
    expect(&fake, "steps_to(nll[mixer=gru] <= 2) <= 600", CLAIM_UPHELD, "median 500");
    expect(&fake, "steps_to(nll[mixer=gru] <= 2) <= 400", CLAIM_REFUTED_THRESHOLD, NULL);
    expect(&fake, "steps_to(nll[mixer=gru] <= 2) < steps_to(nll[mixer=lstm] <= 2) by factor 2", CLAIM_UPHELD, NULL);
    expect(&fake, "steps_to(nll[mixer=gru] <= 2) < steps_to(nll[mixer=lstm] <= 2) by 2000",
           CLAIM_REFUTED_THRESHOLD, NULL);
    for (int s = 0; s < 10; s++)
        fake.value[1][0][s] = -2000.0;                         /* none of them arrived */
    expect(&fake, "steps_to(nll[mixer=lstm] <= 2) > 1800", CLAIM_UPHELD, "at least 2000");
    expect(&fake, "steps_to(nll[mixer=lstm] <= 2) > 2500", CLAIM_UNDECIDED, NULL);
    expect(&fake, "steps_to(nll[mixer=gru] <= 2) < steps_to(nll[mixer=lstm] <= 2) by factor 3",
           CLAIM_UPHELD, "at least");
    expect(&fake, "share(steps_to(nll[mixer=gru] <= 2) <= 600) >= 0.7", CLAIM_UPHELD, NULL);
    expect(&fake, "share(steps_to(nll[mixer=lstm] <= 2) > 2500) >= 0.7", CLAIM_UNDECIDED_INCOMPLETE, "long enough");
}

static void outcomes(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 8.0, 0.1);
    fake.outcome[0][0][3] = CLAIM_DIVERGED;
    expect(&fake, "nll[mixer=gru] <= 9", CLAIM_UNDECIDED, "1 diverged");       /* one seed has the worst value, 100 */
    expect(&fake, "fragile[mixer=gru] <= 9", CLAIM_NOT_TESTABLE, "no worst value");
    expect(&fake, "share(nll[mixer=gru] <= 9) >= 0.5", CLAIM_UPHELD, "9 of 10");
    fake.outcome[0][0][3] = CLAIM_OK;
    fake.value[0][0][3] = STATS_NAN;
    expect(&fake, "nll[mixer=gru] <= 9", CLAIM_UNDECIDED, "1 diverged");
    fake.outcome[0][0][3] = CLAIM_INCOMPLETE;
    expect(&fake, "nll[mixer=gru] <= 9", CLAIM_UNDECIDED_INCOMPLETE, "1 of 10 seeds of nll[mixer=gru] incomplete");
    expect(&fake, "nll[mixer=lstm] <= 9", CLAIM_UPHELD, NULL);
    expect(&fake, "nll[mixer=lstm] < nll[mixer=gru]", CLAIM_UNDECIDED_INCOMPLETE, NULL);
    expect(&fake, "seconds[mixer=gru] > 5", CLAIM_UNDECIDED, NULL);            /* a cost: the worst, 100, counts */
    fake.value[0][0][3] = 10.0;
    expect(&fake, "seconds[mixer=gru] > 5", CLAIM_UPHELD, NULL);               /* or the limit that it reached */
    fill_all(&fake, 10, -1.0, 0.0);
    expect(&fake, "error[mixer=gru] < 1", CLAIM_NOT_TESTABLE, "no logarithm");
    expect(&fake, "log(nll[mixer=gru]) < 1", CLAIM_NOT_TESTABLE, "not defined");
}

static void counts(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 5, 8.0, 0.1);
    expect(&fake, "nll[mixer=gru] <= 9", CLAIM_UNDECIDED_N, "5 seeds; a verdict takes 6");
    fill_all(&fake, 6, 8.0, 0.1);
    expect(&fake, "nll[mixer=gru] <= 9", CLAIM_UPHELD, NULL);
    fill_all(&fake, 7, 8.0, 0.1);
    struct claim_result r = evaluate(&fake, "nll[mixer=gru] <= 9", NULL, "proposal", 0, 2);
    assert_int_equal(r.verdict, CLAIM_UNDECIDED_N);
    assert_non_null(strstr(r.text, "a verdict takes 8 where there are 2 claims"));
    fill_all(&fake, 8, 8.0, 0.1);
    r = evaluate(&fake, "nll[mixer=gru] <= 9", NULL, "proposal", 0, 2);
    assert_int_equal(r.verdict, CLAIM_UPHELD);
    assert_true(fabs(r.level - 0.025) < 1e-12);
    static const double looks[] = {0.05, 0.01, 0.015, 0.025};
    for (int look = 0; look < 4; look++) {
        r = evaluate(&fake, "nll[mixer=gru] <= 9", NULL, "proposal", look, 0);
        assert_true(fabs(r.level - looks[look]) < 1e-12);
    }
    r = evaluate(&fake, "spearman(wide.nll[mixer=gru] over width) > 0", NULL, "proposal", 1, 3);
    assert_int_equal(r.verdict, CLAIM_UNDECIDED_N);            /* eight seeds: 2^-7 is more than 0.0033 */
    /* what has no seeds needs none, and takes no share of alpha */
    fill_all(&fake, 1, 1000.0, 0.0);
    expect(&fake, "parameters[mixer=gru] <= 1000", CLAIM_UPHELD, NULL);
    expect(&fake, "parameters[mixer=gru] < parameters[mixer=lstm]", CLAIM_REFUTED_THRESHOLD, NULL);
    fake.identity = 3e-7;
    expect(&fake, "identity(chunk-equals-step) <= 1e-5", CLAIM_UPHELD, "largest error 3e-07 <= 1e-05 over 12 cases");
    fake.identity = 3e-3;
    expect(&fake, "identity(chunk-equals-step) <= 1e-5", CLAIM_REFUTED_THRESHOLD, NULL);
    r = evaluate(&fake, "identity(chunk-equals-step) <= 1e-5", NULL, "paper, equation 3", 0, 0);
    assert_int_equal(r.verdict, CLAIM_REFUTED_PAPER);
    fake.identity = -1.0;
    expect(&fake, "identity(chunk-equals-step) <= 1e-5", CLAIM_UNDECIDED_INCOMPLETE, NULL);
}

static void ceilings(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 0.998, 0.001);
    fill(&fake, 0, 10, 0.9999, 0.0001);
    const char *better = "accuracy[mixer=lstm] > accuracy[mixer=gru] by 0.01";
    expect(&fake, better, CLAIM_NOT_TESTABLE, "both at the ceiling: 0.9980 and 0.9999");
    expect(&fake, "accuracy[mixer=gru] > accuracy[mixer=lstm]", CLAIM_NOT_TESTABLE, NULL);
    expect(&fake, "accuracy[mixer=lstm] >= accuracy[mixer=gru] - 0.01", CLAIM_UPHELD, NULL);   /* not superiority */
    fill(&fake, 0, 10, 0.99, 0.001);
    expect(&fake, better, CLAIM_REFUTED_THRESHOLD, NULL);
    fill_all(&fake, 10, 0.503, 0.02);
    expect(&fake, better, CLAIM_NOT_TESTABLE, "chance");
    expect(&fake, "nll[mixer=gru] > nll[mixer=lstm] by 1", CLAIM_REFUTED_THRESHOLD, NULL);
    fill_all(&fake, 10, 50.0, 0.02);
    expect(&fake, "nll[mixer=gru] > nll[mixer=lstm] by 1", CLAIM_NOT_TESTABLE, "chance");
}

static void preconditions(void **state)
{
    struct fake fake;
    (void)state;
    fill_all(&fake, 10, 0.6, 0.02);
    fill(&fake, 1, 10, 0.8, 0.02);
    const char *better = "accuracy[mixer=lstm] > accuracy[mixer=gru] by 0.1";
    struct claim_result r = evaluate(&fake, better, "accuracy[mixer=lstm] >= 0.99", "paper, figure 3", 0, 0);
    assert_int_equal(r.verdict, CLAIM_NOT_LEARNED);
    assert_string_equal(r.text, "given 0.8 >= 0.99: fails");
    assert_string_equal(claim_verdict_text(r.verdict), "untested: not learned");
    r = evaluate(&fake, better, "accuracy[mixer=lstm] >= 0.75 and accuracy[mixer=gru] <= 0.65", "proposal", 0, 0);
    assert_int_equal(r.verdict, CLAIM_UPHELD);
    r = evaluate(&fake, better, "share(accuracy[mixer=lstm] >= 0.75) >= 0.95", "proposal", 0, 0);
    assert_int_equal(r.verdict, CLAIM_UPHELD);
    r = evaluate(&fake, better, "accuracy[mixer=rnn] > accuracy[mixer=gru] by 0.1", "proposal", 0, 0);
    assert_int_equal(r.verdict, CLAIM_NOT_LEARNED);
    fake.outcome[2][0][1] = CLAIM_INCOMPLETE;
    r = evaluate(&fake, better, "accuracy[mixer=rnn] >= 0.5", "proposal", 0, 0);
    assert_int_equal(r.verdict, CLAIM_UNDECIDED_INCOMPLETE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds), cmocka_unit_test(comparisons), cmocka_unit_test(shares_and_spread),
        cmocka_unit_test(along_axes), cmocka_unit_test(steps),       cmocka_unit_test(outcomes),
        cmocka_unit_test(counts),     cmocka_unit_test(ceilings),    cmocka_unit_test(preconditions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

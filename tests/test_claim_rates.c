/* How often the claim language is wrong: planted false claims must not come out upheld, nor planted true ones refuted,
 * more often than alpha. Each claim stands on the edge of what it says, where the rate is greatest. */
#include "claim_fake.h"

enum { DRAWS = 3000 };

static uint64_t at;                          /* position in the stream of random numbers */

static double uniform(void)
{
    return stats_uniform(20240, at++);
}

static double normal(void)
{
    double u = uniform(), v = uniform();
    return sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v);
}

/* Share of n examples, each correct with probability p. */
static double proportion(double p, int n)
{
    int k = 0;
    for (int i = 0; i < n; i++)
        k += uniform() < p;
    return (double)k / n;
}

struct rates {
    double upheld, refuted, direction, covered;
};

/* `draw` fills the results anew; `truth` is where the interval should be. */
static struct rates simulate(const char *that, int n, int paired, void (*draw)(struct fake *), double truth,
                             size_t n_claims)
{
    static struct fake fake;
    struct claim_error err;
    struct rates rates = {0};
    struct claim *claim = parse(that, NULL, "paper, table 1");
    const struct claim *list[] = {claim};
    struct claim_source source = source_of(&fake);
    struct claim_options options = {0.0, 0, n_claims};
    for (int d = 0; d < DRAWS; d++) {
        fill_all(&fake, n, 0.0, 0.0);
        fake.paired = paired;
        draw(&fake);
        struct claim_result r;
        if (claim_evaluate(list, 1, &source, &options, &r, &err) != 0)
            fail_msg("%s: %s", that, err.text);
        rates.upheld += (r.verdict == CLAIM_UPHELD) / (double)DRAWS;
        rates.refuted += (r.verdict == CLAIM_REFUTED_PAPER || r.verdict == CLAIM_REFUTED_THRESHOLD) / (double)DRAWS;
        rates.direction += (r.verdict == CLAIM_DIRECTION_ONLY) / (double)DRAWS;
        rates.covered += (r.low <= truth && r.high >= truth) / (double)DRAWS;
    }
    claim_free(claim);
    print_message("%-86s upheld %.4f refuted %.4f covered %.4f\n", that, rates.upheld, rates.refuted, rates.covered);
    return rates;
}

static double most(double alpha)
{
    return alpha + 3.0 * sqrt(alpha * (1.0 - alpha) / DRAWS);
}

static void at_most(double got, double alpha)
{
    if (!(got <= most(alpha)))
        fail_msg("%.4f is more than %.4f (alpha %.4f)", got, most(alpha), alpha);
}

/* of a nominal 95 % */
static void covers(double got, double slack)
{
    double least = 0.95 - 3.0 * sqrt(0.05 * 0.95 / DRAWS) - slack;
    if (!(got >= least))
        fail_msg("coverage %.4f is less than %.4f", got, least);
}

static double mu_high = 4.0, mu_low = 2.5;   /* logits: proportions 0.982 and 0.924 */

static void raw(struct fake *f)
{
    for (int s = 0; s < SEEDS; s++) {
        double shared = normal();
        f->value[0][0][s] = 8.0 + 0.3 * (shared + normal());
        f->value[1][0][s] = 7.5 + 0.3 * (shared + normal());
        f->value[2][0][s] = 7.5 + 0.9 * normal();
    }
    f->n[2] = f->n[2] > 8 ? f->n[2] - 2 : f->n[2];
}

static void near_ceiling(struct fake *f)
{
    for (int s = 0; s < f->n[0]; s++) {
        double shared = normal();
        f->value[0][0][s] = proportion(stats_expit(mu_high + 0.6 * shared + 0.6 * normal()), 2000);
        f->value[1][0][s] = proportion(stats_expit(mu_low + 0.6 * shared + 0.3 * normal()), 2000);
    }
}

static void log_normal(struct fake *f)
{
    for (int s = 0; s < f->n[0]; s++) {
        double shared = normal();
        f->value[0][0][s] = exp(-3.0 + 0.5 * shared + 0.3 * normal());
        f->value[1][0][s] = 2.0 * exp(-3.0 + 0.5 * shared + 0.5 * normal());
    }
}

static void thresholds(void **state)
{
    (void)state;
    struct rates r = simulate("nll[mixer=gru] <= 8", 6, 1, raw, 8.0, 0);
    at_most(r.upheld, 0.025);
    at_most(r.refuted, 0.025);
    covers(r.covered, 0.0);
    r = simulate("accuracy[mixer=gru] > 0.98201379", 10, 1, near_ceiling, stats_expit(4.0), 0);
    at_most(r.upheld, 0.025);
    at_most(r.refuted, 0.025);
    covers(r.covered, 0.0);
    r = simulate("error[mixer=gru] < 0.049787068", 10, 1, log_normal, exp(-3.0), 0);
    at_most(r.upheld, 0.025);
    covers(r.covered, 0.0);
    r = simulate("nll[mixer=gru] == 7.5 within 0.5", 10, 1, raw, 8.0, 0);
    at_most(r.upheld, 0.025);
}

static void comparisons(void **state)
{
    double gap = stats_expit(mu_high) - stats_expit(mu_low);
    (void)state;
    struct rates r = simulate("nll[mixer=gru] > nll[mixer=lstm] by 0.5", 10, 1, raw, 0.5, 0);
    at_most(r.upheld, 0.025);
    at_most(r.refuted, 0.025);
    covers(r.covered, 0.0);
    r = simulate("nll[mixer=gru] > nll[mixer=rnn] by 0.5", 10, 0, raw, 0.5, 0);
    at_most(r.upheld, 0.03);                               /* Welch, unequal spreads and sizes */
    covers(r.covered, 0.01);
    r = simulate("accuracy[mixer=gru] > accuracy[mixer=lstm] by 0.057873", 10, 1, near_ceiling, gap, 0);
    at_most(r.upheld, 0.03);                               /* recovered variances are an approximation too */
    at_most(r.refuted, 0.03);
    covers(r.covered, 0.01);
    r = simulate("nll[mixer=gru] == nll[mixer=lstm] within 0.5", 10, 1, raw, 0.5, 0);
    at_most(r.upheld, 0.025);
    r = simulate("error[mixer=lstm] > error[mixer=gru] by factor 2", 10, 1, log_normal, 2.0, 0);
    at_most(r.upheld, 0.025);
    at_most(r.refuted, 0.025);
    covers(r.covered, 0.0);
    r = simulate("error[mixer=lstm] > error[mixer=gru] by 0.049787068", 10, 1, log_normal, exp(-3.0), 0);
    at_most(r.upheld, 0.03);
    covers(r.covered, 0.01);
    r = simulate("nll[mixer=lstm] / nll[mixer=gru] > 0.9387", 10, 1, raw, 0.9387, 0);
    at_most(r.upheld, 0.03);
}

static void solved_or_not(struct fake *f)
{
    for (int s = 0; s < f->n[0]; s++)
        f->value[0][0][s] = uniform() < 0.699 ? 1.0 : 0.5;
}

static void shares_and_spread(void **state)
{
    (void)state;
    struct rates r = simulate("share(accuracy[mixer=gru] >= 0.95) >= 0.7", 10, 1, solved_or_not, 0.699, 0);
    at_most(r.upheld, 0.05);
    assert_true(r.upheld > 0.01);                          /* ten of ten does count: 0.699^10 = 0.028 */
    r = simulate("share(accuracy[mixer=gru] >= 0.95) <= 0.698", 20, 1, solved_or_not, 0.699, 0);
    at_most(r.upheld, 0.05);
    r = simulate("spread(nll[mixer=rnn]) <= 0.9", 12, 1, raw, 0.9, 0);
    at_most(r.upheld, 0.05);
    assert_true(r.upheld > 0.03);
    at_most(r.refuted, 0.05);
    r = simulate("spread(nll[mixer=rnn]) > spread(nll[mixer=gru]) by factor 2.12133", 10, 0, raw, 2.12132, 0);
    at_most(r.upheld, 0.05);
    at_most(r.refuted, 0.05);
}

/* Widths 1 2 4 8: arm 0 is flat from the second to the third, arm 1 rises by 2 each time. */
static void staircase(struct fake *f)
{
    static const double level[] = {0.0, 1.0, 1.0, 3.0};
    for (int s = 0; s < f->n[0]; s++) {
        double shared = normal();
        for (int w = 0; w < PLACES; w++) {
            f->value[0][w][s] = level[w] + 0.3 * (shared + normal());
            f->value[1][w][s] = 2.0 * w + 0.3 * normal();
        }
        f->value[2][0][s] = f->value[0][0][s] + 0.3 * normal();
    }
}

/* Rank correlation 1 in 49 of 100 seeds, 0.8 in the others. */
static void nearly_ordered(struct fake *f)
{
    for (int s = 0; s < f->n[0]; s++) {
        int swap = uniform() < 0.51;
        for (int w = 0; w < PLACES; w++)
            f->value[0][w][s] = swap && w > 1 ? 5 - w : w;
    }
}

static void along_axes(void **state)
{
    (void)state;
    struct rates r = simulate("monotone(wide.nll[mixer=gru] over width up)", 10, 1, staircase, 0.0, 0);
    at_most(r.upheld, 0.05);
    r = simulate("monotone(wide.nll[mixer=lstm] over width up) by 2", 10, 1, staircase, 2.0, 0);
    at_most(r.refuted, 0.05);                              /* true, three parts of it on the edge */
    r = simulate("ranking(wide.nll[mixer=lstm, width=8] > nll[mixer=rnn] > nll[mixer=gru])", 10, 1, staircase, 0.0, 0);
    at_most(r.upheld, 0.05);
    r = simulate("slope(wide.nll[mixer=lstm] over log(width)) > 2.885390", 10, 1, staircase, 2.0 / log(2.0), 0);
    at_most(r.upheld, 0.025);
    covers(r.covered, 0.0);
    r = simulate("spearman(wide.nll[mixer=gru] over width) >= 0.9", 10, 1, nearly_ordered, 0.8, 0);
    at_most(r.upheld, 0.025);
    r = simulate("spearman(wide.nll[mixer=gru] over width) < 0.8", 10, 1, nearly_ordered, 0.8, 0);
    at_most(r.upheld, 0.025);
}

/* Median 1000 and, by seed, a ratio with median 2; the runs end at 3000. */
static void censored(struct fake *f)
{
    for (int s = 0; s < f->n[0]; s++) {
        double a = 1000.0 * exp(0.4 * normal()), b = 2.0 * a * exp(0.3 * normal());
        f->value[0][0][s] = a > 3000.0 ? -3000.0 : a;
        f->value[1][0][s] = b > 3000.0 ? -3000.0 : b;
    }
}

static void steps(void **state)
{
    (void)state;
    struct rates r = simulate("steps_to(nll[mixer=gru] <= 2) < 1000", 12, 1, censored, 1000.0, 0);
    at_most(r.upheld, 0.025);
    at_most(r.refuted, 0.025);
    covers(r.covered, 0.0);
    r = simulate("steps_to(nll[mixer=gru] <= 2) < steps_to(nll[mixer=lstm] <= 2) by factor 2", 12, 1, censored, 2.0, 0);
    at_most(r.upheld, 0.025);
    at_most(r.refuted, 0.025);
    covers(r.covered, 0.0);
}

/* Three true nulls at once: one or more false verdicts in at most 5 % of experiments. And three looks at one. */
static void together(void **state)
{
    static const char *const nulls[] = {"nll[mixer=gru] < 8", "nll[mixer=lstm] > 7.5", "nll[mixer=rnn] <= 7.5"};
    static struct fake fake;
    struct claim_source source = source_of(&fake);
    struct claim_error err;
    struct claim *claim[3];
    (void)state;
    for (int i = 0; i < 3; i++)
        claim[i] = parse(nulls[i], NULL, "proposal");
    double wrong = 0.0, wrong_looking = 0.0;
    for (int d = 0; d < DRAWS; d++) {
        static const int sizes[] = {10, 20, 40};
        struct claim_result r[3];
        int any = 0, looking = 0;
        fill_all(&fake, 40, 0.0, 0.0);
        raw(&fake);
        for (int look = 0; look < 3; look++) {
            struct claim_options options = {0.0, look + 1, 0};
            fake.n[0] = fake.n[1] = fake.n[2] = sizes[look];
            assert_int_equal(claim_evaluate((const struct claim *const *)claim, 3, &source, &options, r, &err), 0);
            for (int i = 0; i < 3; i++)
                looking |= r[i].verdict != CLAIM_UNDECIDED;
        }
        struct claim_options options = {0};
        fake.n[0] = fake.n[1] = fake.n[2] = 10;
        assert_int_equal(claim_evaluate((const struct claim *const *)claim, 3, &source, &options, r, &err), 0);
        for (int i = 0; i < 3; i++)
            any |= r[i].verdict != CLAIM_UNDECIDED;
        wrong += any / (double)DRAWS;
        wrong_looking += looking / (double)DRAWS;
    }
    print_message("three nulls: some false verdict %.4f; with three looks %.4f\n", wrong, wrong_looking);
    at_most(wrong, 0.05);
    at_most(wrong_looking, 0.05);
    assert_true(wrong > 0.02);
    for (int i = 0; i < 3; i++)
        claim_free(claim[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(thresholds), cmocka_unit_test(comparisons), cmocka_unit_test(shares_and_spread),
        cmocka_unit_test(along_axes), cmocka_unit_test(steps),       cmocka_unit_test(together)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

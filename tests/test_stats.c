/* Statistics against printed tables, against exact sums, and against simulation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <math.h>
#include <string.h>

#include "../driver/stats.h"

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance))
        fail_msg("got %.12g, expected %.12g within %g", got, want, tolerance);
}

/* Standard normal draws from the counter-based generator. */
static double normal(uint64_t key, uint64_t index)
{
    double u = stats_uniform(key, 2 * index), v = stats_uniform(key, 2 * index + 1);
    return sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v);
}

/* NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2: critical values of Student's t, three decimals. The last
 * column follows Federighi (Journal of the American Statistical Association 54, 1959) where the handbook's last digit
 * differs: 318.309 for 318.313, 4.297 for 4.296. */
static void t_table(void **state)
{
    static const double p[] = {0.90, 0.95, 0.975, 0.99, 0.995, 0.999};
    static const struct { double df, t[6]; } row[] = {
        {1, {3.078, 6.314, 12.706, 31.821, 63.657, 318.309}}, {2, {1.886, 2.920, 4.303, 6.965, 9.925, 22.327}},
        {4, {1.533, 2.132, 2.776, 3.747, 4.604, 7.173}},      {9, {1.383, 1.833, 2.262, 2.821, 3.250, 4.297}},
        {30, {1.310, 1.697, 2.042, 2.457, 2.750, 3.385}},     {100, {1.290, 1.660, 1.984, 2.364, 2.626, 3.174}}};
    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        for (size_t j = 0; j < 6; j++) {
            near(stats_t_quantile(p[j], row[i].df), row[i].t[j], 0.0006);
            near(stats_t_quantile(1.0 - p[j], row[i].df), -row[i].t[j], 0.0006);
            near(stats_t_cdf(stats_t_quantile(p[j], row[i].df), row[i].df), p[j], 1e-13);
        }
    /* df = 1 is the Cauchy distribution, df = 2 has a closed form */
    near(stats_t_cdf(3.0, 1.0), 0.5 + atan(3.0) / 3.141592653589793, 1e-14);
    near(stats_t_cdf(-1.5, 2.0), 0.5 - 1.5 / (2.0 * sqrt(2.0 + 1.5 * 1.5)), 1e-14);
    assert_true(isnan(stats_t_quantile(1.5, 3.0)) && isnan(stats_t_quantile(0.5, -1.0)));
}

/* NIST/SEMATECH e-Handbook, 1.3.6.7.4 (chi-square) and 1.3.6.7.3 (F, 5 %); the normal from 1.3.6.7.1. */
static void other_tables(void **state)
{
    static const struct { double df, low, high; } chi2[] = {      /* lower and upper 2.5 % */
        {1, 0.001, 5.024}, {5, 0.831, 12.833}, {9, 2.700, 19.023}, {10, 3.247, 20.483}, {30, 16.791, 46.979}};
    (void)state;
    for (size_t i = 0; i < sizeof chi2 / sizeof *chi2; i++) {
        near(stats_chi2_quantile(0.025, chi2[i].df), chi2[i].low, 0.0006);
        near(stats_chi2_quantile(0.975, chi2[i].df), chi2[i].high, 0.0006);
    }
    near(stats_chi2_cdf(3.0, 2.0), 1.0 - exp(-1.5), 1e-15);
    near(stats_f_quantile(0.95, 1, 1), 161.448, 0.0006);
    near(stats_f_quantile(0.95, 5, 10), 3.326, 0.0006);
    near(stats_f_quantile(0.95, 9, 9), 3.179, 0.0006);
    near(stats_normal_quantile(0.975), 1.959963984540054, 1e-12);
    near(stats_normal_quantile(0.001), -3.090232306167814, 1e-12);
}

/* Clopper and Pearson 1934 by their definition: the bound is where the exact binomial tail is alpha. The tails are
 * summed here term by term; the two values at n = 5 and 10 are those of alpha^(1/n). */
static double binomial_sum(long from, long to, long n, double p)
{
    double sum = 0.0;
    for (long k = from; k <= to; k++) {
        double term = 1.0;
        for (long i = 0; i < k; i++)
            term *= (double)(n - i) / (double)(i + 1) * p;
        sum += term * pow(1.0 - p, (double)(n - k));
    }
    return sum;
}

static void clopper_pearson(void **state)
{
    (void)state;
    for (long n = 1; n <= 25; n += 3)
        for (long k = 0; k <= n; k++) {
            double low = stats_binomial_low(k, n, 0.025), high = stats_binomial_high(k, n, 0.025);
            if (k > 0)
                near(binomial_sum(k, n, n, low), 0.025, 1e-10);
            if (k < n)
                near(binomial_sum(0, k, n, high), 0.025, 1e-10);
            near(stats_binomial_cdf(k, n, 0.3), binomial_sum(0, k, n, 0.3), 1e-12);
        }
    near(stats_binomial_low(5, 5, 0.05), 0.549, 0.0005);
    near(stats_binomial_low(10, 10, 0.05), 0.741, 0.0005);
    assert_true(stats_binomial_low(0, 10, 0.05) == 0.0 && stats_binomial_high(10, 10, 0.05) == 1.0);
    assert_int_equal(stats_share_needs(0.7, 0.05), 9);
    for (double c = 0.05; c < 0.999; c += 0.05) {
        long n = stats_share_needs(c, 0.01);
        assert_true(stats_binomial_low(n, n, 0.01) >= c - 1e-9);
        assert_true(n == 1 || stats_binomial_low(n - 1, n - 1, 0.01) < c);
    }
}

static void summaries(void **state)
{
    static const double five[] = {0.0, 3.0, 100.0, 1.0, 2.0};
    static const double same[] = {0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1};
    (void)state;
    near(stats_iqm(five, 5), 2.0, 1e-15);
    near(stats_median(five, 5), 2.0, 1e-15);
    near(stats_mean(five, 5), 21.2, 1e-13);
    near(stats_sd(five, 5), 44.0647251, 1e-6);       /* sqrt of the sum of squared deviations 7766.8 over 4 */
    assert_true(stats_sd(same, 7) == 0.0);           /* exactly: a zero spread must be recognised */
    assert_true(isnan(stats_sd(same, 1)));
    /* ranks whose order statistics hold the median: Conover, Practical Nonparametric Statistics, and plain sums */
    assert_int_equal(stats_median_rank(5, 0.05), 0);
    assert_int_equal(stats_median_rank(6, 0.05), 1);
    assert_int_equal(stats_median_rank(10, 0.05), 2);
    assert_int_equal(stats_median_rank(20, 0.05), 6);
}

static void scales(void **state)
{
    (void)state;
    for (double p = 0.001; p < 1.0; p += 0.05)
        near(stats_expit(stats_logit(p)), p, 1e-14);
    near(stats_smoothed(1.0, 1000.0), 1000.5 / 1001.0, 1e-15);
    near(stats_smoothed(0.0, 1000.0), 0.5 / 1001.0, 1e-15);
    assert_true(stats_resolves(0.99, 300.0) && !stats_resolves(0.99, 299.0));
    assert_true(stats_resolves(0.01, 300.0) && !stats_resolves(0.01, 299.0));
    assert_false(stats_resolves(1.0, 1e12));
}

/* Coverage within three standard errors of nominal, at the seeds that experiments use. */
static void coverage(void **state)
{
    static const size_t sizes[] = {6, 10, 20};
    enum { DRAWS = 4000 };
    (void)state;
    for (size_t s = 0; s < 3; s++) {
        size_t n = sizes[s];
        int mean = 0, paired = 0, welch = 0, sd = 0;
        for (uint64_t d = 0; d < DRAWS; d++) {
            double x[20], y[20], both[20];
            for (uint64_t i = 0; i < n; i++) {
                double shared = normal(4, d * 100 + i);
                x[i] = 3.0 + normal(5, d * 100 + i);
                both[i] = 3.0 + normal(6, d * 100 + i) + 2.0 * shared;
                y[i] = 1.0 + 3.0 * normal(7, d * 100 + i);
                x[i] += 2.0 * shared;
            }
            struct stats_interval m = stats_mean_interval(y, n, 0.05);
            mean += m.low <= 1.0 && m.high >= 1.0;
            m = stats_paired_interval(x, both, n, 0.05);
            paired += m.low <= 0.0 && m.high >= 0.0;
            m = stats_welch_interval(x, n, y, n / 2 + 1, 0.05);
            welch += m.low <= 2.0 && m.high >= 2.0;
            sd += stats_sd_high(stats_sd(y, n), n, 0.05) >= 3.0;
        }
        double three = 3.0 * sqrt(0.05 * 0.95 / DRAWS);
        near((double)mean / DRAWS, 0.95, three);
        near((double)paired / DRAWS, 0.95, three);
        near((double)welch / DRAWS, 0.95, three + 0.01);          /* Welch is an approximation */
        near((double)sd / DRAWS, 0.95, three);
    }
}

/* The planning formula against the power that simulation finds. */
static void power(void **state)
{
    enum { DRAWS = 4000 };
    (void)state;
    for (int paired = 0; paired < 2; paired++) {
        double effect = stats_detectable(10, paired, 0.05, 0.8);
        int found = 0;
        for (uint64_t d = 0; d < DRAWS; d++) {
            double x[10], y[10];
            for (uint64_t i = 0; i < 10; i++) {
                x[i] = effect + normal(8, d * 20 + i);
                y[i] = paired ? 0.0 : normal(9, d * 20 + i);
            }
            struct stats_interval m = paired ? stats_paired_interval(x, y, 10, 0.05)
                                             : stats_welch_interval(x, 10, y, 10, 0.05);
            found += m.low > 0.0;
        }
        near((double)found / DRAWS, 0.8, 0.03);
    }
}

/* For display: the same for the same key, another for another key; each stratum keeps its own values. */
static void bootstrap(void **state)
{
    double x[20];
    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        x[i] = i < 10 ? 0.0 : 10.0 + normal(3, i);
    struct stats_interval a = stats_bootstrap(x, 2, 10, 0, 1000, 0.05, 1);
    struct stats_interval b = stats_bootstrap(x, 2, 10, 0, 1000, 0.05, 1);
    struct stats_interval c = stats_bootstrap(x, 2, 10, 0, 1000, 0.05, 2);
    assert_true(a.low == b.low && a.high == b.high);
    assert_true(a.low != c.low);
    assert_true(a.low < a.estimate && a.estimate < a.high);
    assert_true(a.high - a.low < 1.0);               /* unstratified, the halves would mix: about 4.4 wide */
    assert_true(isnan(stats_bootstrap(x, 0, 10, 0, 10, 0.05, 1).low));
    /* this key mixes to 0, and the stream from state 0 is known from the generator's reference code */
    uint64_t zero = -UINT64_C(0x9e3779b97f4a7c15);
    assert_true(stats_draw(zero, 0) == UINT64_C(0xe220a8397b1dcdaf));
    assert_true(stats_draw(zero, 1) == UINT64_C(0x6e789e6aa1b965f4));
    double mean = 0.0;
    for (uint64_t i = 0; i < 10000; i++)
        mean += stats_uniform(11, i) / 10000.0;
    near(mean, 0.5, 3.0 * sqrt(1.0 / 12.0 / 10000.0));
}

static void parse_one(const char *s, double want, size_t length)
{
    double got = -1.0;
    const char *end = stats_parse(s, &got);
    assert_int_equal((size_t)(end - s), length);
    if (length > 0)
        assert_true(got == want);
}

static void numbers(void **state)
{
    char text[64];
    (void)state;
    parse_one("0.1", 0.1, 3);
    parse_one("1e-3]", 1e-3, 4);
    parse_one("-2.50e+02,", -250.0, 9);
    parse_one(".5", 0.5, 2);
    parse_one("5.", 5.0, 2);
    parse_one("000.000123", 0.000123, 10);
    parse_one("9007199254740993", 9007199254740992.0, 16);
    parse_one("123456789012345678901234567890", 123456789012345678901234567890.0, 30);
    parse_one("1e", 1.0, 1);
    parse_one("1.2.3", 1.2, 3);
    parse_one("", 0.0, 0);
    parse_one("-", 0.0, 0);
    parse_one(".", 0.0, 0);
    parse_one("nan", 0.0, 0);
    stats_format(text, sizeof text, 0.5, 2);
    assert_string_equal(text, "0.50");
    stats_format(text, sizeof text, -0.001, 2);
    assert_string_equal(text, "0.00");
    stats_format_down(text, sizeof text, 0.6996, 2);
    assert_string_equal(text, "0.69");
    stats_format_up(text, sizeof text, 0.6912, 2);
    assert_string_equal(text, "0.70");
    stats_format_down(text, sizeof text, 0.29, 2);
    assert_string_equal(text, "0.29");
    stats_format_short(text, sizeof text, 3e-7);
    assert_string_equal(text, "3e-07");
    assert_int_equal(stats_decimals(0.05), 2);
    assert_int_equal(stats_decimals(0.014), 3);
    assert_int_equal(stats_decimals(30.0), 0);
}

/* A locale with a decimal comma, where the system has one. */
static void comma(void **state)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "de_DE", "fr_FR"};
    size_t i = 0;
    (void)state;
    while (i < sizeof names / sizeof *names && setlocale(LC_NUMERIC, names[i]) == NULL)
        i++;
    if (i == sizeof names / sizeof *names) {
        print_message("no locale with a decimal comma on this system\n");
        skip();
    }
    numbers(state);
    setlocale(LC_NUMERIC, "C");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(t_table),   cmocka_unit_test(other_tables), cmocka_unit_test(clopper_pearson),
        cmocka_unit_test(summaries), cmocka_unit_test(scales),       cmocka_unit_test(coverage),
        cmocka_unit_test(power),     cmocka_unit_test(bootstrap),    cmocka_unit_test(numbers),
        cmocka_unit_test(comma)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "stats.h"

#include <math.h>
#include <string.h>

double stats_mean(const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    return n > 0 ? sum / (double)n : STATS_NAN;
}

double stats_covariance(const double *x, const double *y, size_t n)
{
    if (n < 2)
        return STATS_NAN;
    /* Taken from the first values, so that equal values give exactly zero whatever the mean rounds to. */
    double mx = 0.0, my = 0.0, sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        mx += x[i] - x[0];
        my += y[i] - y[0];
    }
    mx /= (double)n;
    my /= (double)n;
    for (size_t i = 0; i < n; i++)
        sum += (x[i] - x[0] - mx) * (y[i] - y[0] - my);
    return sum / ((double)n - 1.0);
}

double stats_sd(const double *x, size_t n)
{
    return sqrt(stats_covariance(x, x, n));
}

static void sort(double *x, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        double v = x[i];
        size_t j = i;
        for (; j > 0 && x[j - 1] > v; j--)
            x[j] = x[j - 1];
        x[j] = v;
    }
}

double stats_median(const double *x, size_t n)
{
    double sorted[STATS_MAX];
    if (n == 0 || n > STATS_MAX)
        return STATS_NAN;
    memcpy(sorted, x, n * sizeof *x);
    sort(sorted, n);
    if (n % 2 == 1 || sorted[n / 2 - 1] == sorted[n / 2])   /* equal ones may be infinite */
        return sorted[n / 2];
    return (sorted[n / 2 - 1] + sorted[n / 2]) / 2.0;
}

static struct stats_interval around(double estimate, double half)
{
    return (struct stats_interval){estimate, estimate - half, estimate + half};
}

struct stats_interval stats_mean_interval(const double *x, size_t n, double alpha)
{
    if (n < 2)
        return (struct stats_interval){stats_mean(x, n), -STATS_INF, STATS_INF};
    double t = stats_t_quantile(1.0 - alpha / 2.0, (double)n - 1.0);
    return around(stats_mean(x, n), t * stats_sd(x, n) / sqrt((double)n));
}

struct stats_interval stats_paired_interval(const double *x, const double *y, size_t n, double alpha)
{
    double d = stats_mean(x, n) - stats_mean(y, n);
    if (n < 2)
        return (struct stats_interval){d, -STATS_INF, STATS_INF};
    /* the variance of the differences, from the two rows */
    double var = stats_covariance(x, x, n) + stats_covariance(y, y, n) - 2.0 * stats_covariance(x, y, n);
    double t = stats_t_quantile(1.0 - alpha / 2.0, (double)n - 1.0);
    return around(d, t * sqrt(fmax(var, 0.0) / (double)n));
}

double stats_welch_df(double var_x, size_t nx, double var_y, size_t ny)
{
    double ex = var_x / (double)nx, ey = var_y / (double)ny;
    double bottom = ex * ex / ((double)nx - 1.0) + ey * ey / ((double)ny - 1.0);
    if (!(bottom > 0.0))
        return (double)(nx < ny ? nx : ny) - 1.0;
    return (ex + ey) * (ex + ey) / bottom;
}

struct stats_interval stats_welch_interval(const double *x, size_t nx, const double *y, size_t ny, double alpha)
{
    double d = stats_mean(x, nx) - stats_mean(y, ny);
    if (nx < 2 || ny < 2)
        return (struct stats_interval){d, -STATS_INF, STATS_INF};
    double vx = stats_covariance(x, x, nx), vy = stats_covariance(y, y, ny);
    double t = stats_t_quantile(1.0 - alpha / 2.0, stats_welch_df(vx, nx, vy, ny));
    return around(d, t * sqrt(vx / (double)nx + vy / (double)ny));
}

double stats_binomial_low(long k, long n, double alpha)
{
    return k <= 0 ? 0.0 : stats_beta_quantile(alpha, (double)k, (double)(n - k) + 1.0);
}

double stats_binomial_high(long k, long n, double alpha)
{
    return k >= n ? 1.0 : stats_beta_quantile(1.0 - alpha, (double)k + 1.0, (double)(n - k));
}

double stats_sd_low(double sd, size_t n, double alpha)
{
    double df = (double)n - 1.0;
    return n < 2 ? 0.0 : sd * sqrt(df / stats_chi2_quantile(1.0 - alpha, df));
}

double stats_sd_high(double sd, size_t n, double alpha)
{
    double df = (double)n - 1.0;
    return n < 2 ? STATS_INF : sd * sqrt(df / stats_chi2_quantile(alpha, df));
}

size_t stats_median_rank(size_t n, double alpha)
{
    size_t rank = 0;
    while (rank < (n + 1) / 2 && 2.0 * stats_binomial_cdf((long)rank, (long)n, 0.5) <= alpha)
        rank++;
    return rank;
}

long stats_share_needs(double c, double alpha)
{
    if (!(c > 0.0))
        return 1;
    if (!(c < 1.0))
        return -1;
    double n = log(alpha) / log(c);
    /* an exact integer must not be pushed up by the rounding of the logarithms */
    return (long)fmax(1.0, ceil(n - 1e-9));
}

double stats_logit(double p)
{
    return log(p) - log1p(-p);
}

double stats_expit(double x)
{
    return x >= 0.0 ? 1.0 / (1.0 + exp(-x)) : exp(x) / (1.0 + exp(x));
}

double stats_smoothed(double v, double n)
{
    return (v * n + 0.5) / (n + 1.0);
}

double stats_logit_variance(double p, double n)
{
    return 1.0 / (n * p * (1.0 - p));
}

double stats_resolves_needs(double c)
{
    double rare = fmin(c, 1.0 - c);
    return rare > 0.0 ? ceil(3.0 / rare * (1.0 - 1e-9)) : STATS_INF;
}

int stats_resolves(double c, double n)
{
    return n >= stats_resolves_needs(c);
}

double stats_detectable(size_t n, int paired, double alpha, double power)
{
    if (n < 2)
        return STATS_INF;
    double df = paired ? (double)n - 1.0 : 2.0 * (double)n - 2.0;
    double se = sqrt((paired ? 1.0 : 2.0) / (double)n);
    return (stats_t_quantile(1.0 - alpha / 2.0, df) + stats_t_quantile(power, df)) * se;
}

double stats_iqm(const double *x, size_t n)
{
    double sorted[STATS_MAX];
    if (n == 0 || n > STATS_MAX)
        return STATS_NAN;
    memcpy(sorted, x, n * sizeof *x);
    sort(sorted, n);
    return stats_mean(sorted + n / 4, n - 2 * (n / 4));
}

uint64_t stats_draw(uint64_t key, uint64_t index)
{
    /* SplitMix64 (Steele, Lea and Flood 2014) with the index as its counter; the key is mixed first, so that two
     * neighbouring keys are not two neighbouring positions of one stream. */
    uint64_t z = key;
    for (int round = 0; round < 2; round++) {
        z += UINT64_C(0x9e3779b97f4a7c15) * (round == 0 ? 1 : index + 1);
        z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
        z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
        z ^= z >> 31;
    }
    return z;
}

double stats_uniform(uint64_t key, uint64_t index)
{
    return (double)(stats_draw(key, index) >> 11) * 0x1p-53;
}

/* Linear interpolation between order statistics. */
static double percentile(const double *sorted, size_t n, double p)
{
    double at = p * ((double)n - 1.0);
    size_t i = (size_t)at;
    if (i + 1 >= n)
        return sorted[n - 1];
    return sorted[i] + (at - (double)i) * (sorted[i + 1] - sorted[i]);
}

struct stats_interval stats_bootstrap(const double *x, size_t n_strata, size_t size, int iqm, size_t draws,
                                      double alpha, uint64_t key)
{
    double row[STATS_MAX], result[STATS_MAX];
    if (n_strata == 0 || size == 0 || size > STATS_MAX / n_strata || draws == 0 || draws > STATS_MAX)
        return (struct stats_interval){STATS_NAN, STATS_NAN, STATS_NAN};
    size_t n = n_strata * size;
    uint64_t index = 0;
    for (size_t d = 0; d < draws; d++) {
        for (size_t i = 0; i < n; i++) {
            size_t pick = (size_t)(stats_uniform(key, index++) * (double)size);
            row[i] = x[i / size * size + pick];
        }
        result[d] = iqm ? stats_iqm(row, n) : stats_mean(row, n);
    }
    sort(result, draws);
    return (struct stats_interval){iqm ? stats_iqm(x, n) : stats_mean(x, n),
                                   percentile(result, draws, alpha / 2.0),
                                   percentile(result, draws, 1.0 - alpha / 2.0)};
}

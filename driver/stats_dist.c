#include "stats.h"

#include <math.h>

/* Continued fractions and series stop at full double precision; this bounds them when an argument is absurd. */
enum { MAX_TERMS = 100000 };
static const double tiny = 1e-300;
static const double close_enough = 1e-16;

/* Modified Lentz: one step of the fraction f = b0 + a1 / (b1 + a2 / (b2 + ...)). Returns the factor on f. */
static double lentz(double a, double b, double *c, double *d)
{
    *d = b + a * *d;
    if (fabs(*d) < tiny)
        *d = tiny;
    *c = b + a / *c;
    if (fabs(*c) < tiny)
        *c = tiny;
    *d = 1.0 / *d;
    return *c * *d;
}

/* DLMF 8.17.22, which converges fast for x < (a + 1) / (a + b + 2). */
static double beta_fraction(double x, double a, double b)
{
    double f = 1.0, c = 1.0 / tiny, d = 1.0;
    for (int k = 1; k < MAX_TERMS; k++) {
        double m = floor(k / 2.0);
        double term;
        if (k % 2 == 0)
            term = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        else
            term = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        double step = lentz(term, 1.0, &c, &d);
        f *= step;
        if (fabs(step - 1.0) < close_enough)
            break;
    }
    return f;
}

double stats_beta_cdf(double x, double a, double b)
{
    if (!(a > 0.0) || !(b > 0.0) || isnan(x))
        return STATS_NAN;
    if (x <= 0.0)
        return 0.0;
    if (x >= 1.0)
        return 1.0;
    double front = exp(a * log(x) + b * log1p(-x) + lgamma(a + b) - lgamma(a) - lgamma(b));
    double p;
    if (x < (a + 1.0) / (a + b + 2.0))
        p = front * beta_fraction(x, a, b) / a;
    else
        p = 1.0 - front * beta_fraction(1.0 - x, b, a) / b;
    return fmin(fmax(p, 0.0), 1.0);
}

/* A function of x that never falls. */
struct curve {
    double (*at)(double x, const double *arg);
    double arg[2];
};

/* Where it passes p: bisection down to neighbouring doubles. */
static double invert(const struct curve *curve, double p, double low, double high)
{
    for (;;) {
        double mid = low + (high - low) / 2.0;
        if (!(mid > low) || !(mid < high))
            return mid;
        if (curve->at(mid, curve->arg) < p)
            low = mid;
        else
            high = mid;
    }
}

static double invert_unbounded(const struct curve *curve, double p)
{
    double high = 1.0;
    while (curve->at(high, curve->arg) < p) {
        high *= 2.0;
        if (isinf(high))
            return STATS_INF;
    }
    return invert(curve, p, 0.0, high);
}

static double beta_at(double x, const double *arg)
{
    return stats_beta_cdf(x, arg[0], arg[1]);
}

double stats_beta_quantile(double p, double a, double b)
{
    if (!(p >= 0.0) || !(p <= 1.0) || !(a > 0.0) || !(b > 0.0))
        return STATS_NAN;
    if (p == 0.0 || p == 1.0)
        return p;
    struct curve curve = {beta_at, {a, b}};
    return invert(&curve, p, 0.0, 1.0);
}

static double gamma_series(double x, double a)
{
    double term = 1.0 / a, sum = term;
    for (int k = 1; k < MAX_TERMS; k++) {
        term *= x / (a + k);
        sum += term;
        if (term < sum * close_enough)
            break;
    }
    return sum;
}

/* Upper function over its front factor: 1/(x + 1 - a - 1(1 - a)/(x + 3 - a - ...)). */
static double gamma_fraction(double x, double a)
{
    double b = x + 1.0 - a;
    double c = 1.0 / tiny, d = 1.0 / b, f = d;
    for (int k = 1; k < MAX_TERMS; k++) {
        b += 2.0;
        double step = lentz(-k * (k - a), b, &c, &d);
        f *= step;
        if (fabs(step - 1.0) < close_enough)
            break;
    }
    return f;
}

double stats_gamma_cdf(double x, double a)
{
    if (!(a > 0.0) || isnan(x))
        return STATS_NAN;
    if (x <= 0.0)
        return 0.0;
    if (isinf(x))
        return 1.0;
    double front = exp(a * log(x) - x - lgamma(a));
    double p = x < a + 1.0 ? front * gamma_series(x, a) : 1.0 - front * gamma_fraction(x, a);
    return fmin(fmax(p, 0.0), 1.0);
}

/* P(T > t) for t >= 0, exact far out where 1 - cdf would be rounding. */
static double t_tail(double t, double df)
{
    return 0.5 * stats_beta_cdf(df / (df + t * t), df / 2.0, 0.5);
}

double stats_t_cdf(double t, double df)
{
    if (!(df > 0.0) || isnan(t))
        return STATS_NAN;
    if (isinf(df))
        return stats_normal_cdf(t);
    return t < 0.0 ? t_tail(-t, df) : 1.0 - t_tail(t, df);
}

static double t_at(double t, const double *arg)
{
    return -t_tail(t, arg[0]);
}

double stats_t_quantile(double p, double df)
{
    if (!(p >= 0.0) || !(p <= 1.0) || !(df > 0.0))
        return STATS_NAN;
    if (isinf(df))
        return stats_normal_quantile(p);
    if (p == 0.5)
        return 0.0;
    struct curve curve = {t_at, {df, 0.0}};
    double t = invert_unbounded(&curve, -(p < 0.5 ? p : 1.0 - p));
    return p < 0.5 ? -t : t;
}

double stats_chi2_cdf(double x, double df)
{
    return stats_gamma_cdf(x / 2.0, df / 2.0);
}

static double chi2_at(double x, const double *arg)
{
    return stats_chi2_cdf(x, arg[0]);
}

double stats_chi2_quantile(double p, double df)
{
    if (!(p >= 0.0) || !(p <= 1.0) || !(df > 0.0))
        return STATS_NAN;
    if (p == 0.0 || p == 1.0)
        return p == 0.0 ? 0.0 : STATS_INF;
    struct curve curve = {chi2_at, {df, 0.0}};
    return invert_unbounded(&curve, p);
}

double stats_f_quantile(double p, double df1, double df2)
{
    double x = stats_beta_quantile(p, df1 / 2.0, df2 / 2.0);
    return df2 * x / (df1 * (1.0 - x));
}

double stats_normal_cdf(double z)
{
    return 0.5 * erfc(-z / sqrt(2.0));
}

static double normal_at(double z, const double *arg)
{
    (void)arg;
    return -0.5 * erfc(z / sqrt(2.0));
}

double stats_normal_quantile(double p)
{
    if (!(p >= 0.0) || !(p <= 1.0))
        return STATS_NAN;
    if (p == 0.5)
        return 0.0;
    struct curve curve = {normal_at, {0.0, 0.0}};
    double z = invert_unbounded(&curve, -(p < 0.5 ? p : 1.0 - p));
    return p < 0.5 ? -z : z;
}

double stats_binomial_cdf(long k, long n, double p)
{
    if (n < 0 || !(p >= 0.0) || !(p <= 1.0))
        return STATS_NAN;
    if (k < 0)
        return 0.0;
    if (k >= n)
        return 1.0;
    return stats_beta_cdf(1.0 - p, (double)(n - k), (double)k + 1.0);
}

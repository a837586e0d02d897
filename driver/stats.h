/* Statistics: distributions, intervals for verdicts, and summaries for display. Only libc and libm; all in double.
 *
 * Distributions rest on the regularised incomplete beta and gamma functions, written here from their series and
 * continued fractions (Abramowitz and Stegun 6.5.29, 6.5.31, 26.5.8; DLMF 8.9, 8.17.22). Quantiles invert the
 * distribution function by bisection on the whole range: slow, monotone, and never wrong by a bad start.
 * Arguments out of range give NAN. Nothing here allocates unless it says so.
 */
#ifndef ASSAY_DRIVER_STATS_H
#define ASSAY_DRIVER_STATS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

/* The standard macros are float, and would widen silently wherever they stand. */
#define STATS_NAN ((double)NAN)
#define STATS_INF ((double)INFINITY)

/* ---- distributions ----------------------------------------------------------------------------------------------- */

double stats_beta_cdf(double x, double a, double b);     /* regularised incomplete beta I_x(a, b) */
double stats_beta_quantile(double p, double a, double b);
double stats_gamma_cdf(double x, double a);              /* regularised lower incomplete gamma P(a, x) */
double stats_t_cdf(double t, double df);
double stats_t_quantile(double p, double df);
double stats_chi2_cdf(double x, double df);
double stats_chi2_quantile(double p, double df);
double stats_f_quantile(double p, double df1, double df2);
double stats_normal_cdf(double z);
double stats_normal_quantile(double p);
double stats_binomial_cdf(long k, long n, double p);     /* P(X <= k) */

/* ---- intervals --------------------------------------------------------------------------------------------------- */

struct stats_interval {
    double estimate, low, high;
};

double stats_mean(const double *x, size_t n);
double stats_sd(const double *x, size_t n);              /* divisor n - 1; NAN for n < 2 */
double stats_covariance(const double *x, const double *y, size_t n);
double stats_median(const double *x, size_t n);          /* n up to STATS_MAX; NAN beyond */

enum { STATS_MAX = 4096 };

/* Student t interval of the mean; alpha is both sides together, already divided by any Bonferroni count. */
struct stats_interval stats_mean_interval(const double *x, size_t n, double alpha);
/* of mean(x) - mean(y): by pairs, or Welch */
struct stats_interval stats_paired_interval(const double *x, const double *y, size_t n, double alpha);
struct stats_interval stats_welch_interval(const double *x, size_t nx, const double *y, size_t ny, double alpha);
double stats_welch_df(double var_x, size_t nx, double var_y, size_t ny);   /* variances of single observations */

/* Clopper-Pearson: each bound has error alpha by itself. */
double stats_binomial_low(long k, long n, double alpha);
double stats_binomial_high(long k, long n, double alpha);
/* of the standard deviation of a normal sample, each bound with error alpha by itself */
double stats_sd_low(double sd, size_t n, double alpha);
double stats_sd_high(double sd, size_t n, double alpha);

/* Exact interval of the median: the order statistics x(j) and x(n + 1 - j), 1 <= j, of the largest j whose error
 * (both sides) is at most alpha; 0 when n is too small for any. Holds for discrete distributions also. */
size_t stats_median_rank(size_t n, double alpha);

/* Least n whose n of n successes put the lower bound at c or above; how many the claim "share >= c" needs. */
long stats_share_needs(double c, double alpha);

/* ---- scales ------------------------------------------------------------------------------------------------------ */

double stats_logit(double p);
double stats_expit(double x);
/* A proportion v of n examples as (k + 1/2) / (n + 1), so that 0 and 1 have a logit. */
double stats_smoothed(double v, double n);
/* Variance of that logit from the n examples alone: 1 / (n p (1 - p)). */
double stats_logit_variance(double p, double n);
/* n examples resolve a threshold c: n >= 3 / min(c, 1 - c) (the rule of three). c outside (0, 1): never. */
int stats_resolves(double c, double n);
double stats_resolves_needs(double c);                   /* that least n, INFINITY for 0 and 1 */

/* ---- planning ---------------------------------------------------------------------------------------------------- */

/* Least effect, in standard deviations (of the difference when paired, of one arm else), that a two-sided test of
 * error alpha finds with the given power. n per arm. From central t quantiles: (t(1 - alpha/2) + t(power)) * se. */
double stats_detectable(size_t n, int paired, double alpha, double power);

/* ---- display ----------------------------------------------------------------------------------------------------- */

/* Interquartile mean: floor(n / 4) values cut at each end; of five, the mean of the middle three. */
double stats_iqm(const double *x, size_t n);             /* n up to STATS_MAX */

/* Counter-based numbers: the SplitMix64 finaliser of key and index, so any draw can be had in any order. */
uint64_t stats_draw(uint64_t key, uint64_t index);
double stats_uniform(uint64_t key, uint64_t index);      /* [0, 1) with 53 bits */

/* Percentile bootstrap of the IQM or the mean, for display only: at few seeds it covers too little for a verdict.
 * x holds n_strata rows of `size` each; each row is resampled within itself. Deterministic in `key`. At most
 * STATS_MAX values and STATS_MAX draws; else NANs. */
struct stats_interval stats_bootstrap(const double *x, size_t n_strata, size_t size, int iqm, size_t draws,
                                      double alpha, uint64_t key);

/* ---- text -------------------------------------------------------------------------------------------------------- */

/* A decimal number, whatever the locale: returns the end of the longest number at s, or s when there is none. No
 * hexadecimal, no infinity, no blanks. */
const char *stats_parse(const char *s, double *out);
/* Fixed decimals, point as the decimal sign whatever the locale. size >= 32. */
void stats_format(char *out, size_t size, double x, int decimals);
/* Down and up instead of nearest, so that a printed bound never says more than the bound. */
void stats_format_down(char *out, size_t size, double x, int decimals);
void stats_format_up(char *out, size_t size, double x, int decimals);
void stats_format_short(char *out, size_t size, double x);        /* %.4g */
/* Decimals that show an interval of this width with about two digits, 0 to 9. */
int stats_decimals(double width);

#endif

/* metric.c: what is measured. One row a metric; chance and worst where they follow from the task. */
#include <assay/error.h>
#include <assay/kernel.h>
#include <assay/metric.h>

#include <math.h>
#include <string.h>

static double log_sum_exp(const real *x, ptrdiff_t k)
{
    double max = -(double)INFINITY, sum = 0;

    for (ptrdiff_t i = 0; i < k; i++)
        max = (double)x[i] > max ? (double)x[i] : max;
    for (ptrdiff_t i = 0; i < k; i++)
        sum += exp((double)x[i] - max);
    return max + log(sum);
}

/* Ties go against the model: an output that is the same for all classes is not right by luck. */
static double accuracy(const real *output, ptrdiff_t k, int32_t target, const real *target_real)
{
    (void)target_real;
    for (ptrdiff_t i = 0; i < k; i++)
        if (i != target && !(output[target] > output[i]))
            return 0;
    return 1;
}

static double cross_entropy(const real *output, ptrdiff_t k, int32_t target, const real *target_real)
{
    (void)target_real;
    return log_sum_exp(output, k) - (double)output[target];
}

static double bits(const real *output, ptrdiff_t k, int32_t target, const real *target_real)
{
    return cross_entropy(output, k, target, target_real) / 0.69314718055994530942;
}

/* -sum_k log p(target_k), p = sigmoid(output): max(o, 0) - o y + log(1 + exp(-|o|)). */
static double bernoulli(const real *output, ptrdiff_t k, int32_t target, const real *target_real)
{
    enum { BLOCK = 128 };
    real tail[BLOCK];
    double sum = 0;

    (void)target;
    for (ptrdiff_t at = 0, m; at < k; at += m) {
        m = k - at < BLOCK ? k - at : BLOCK;
        for (ptrdiff_t i = 0; i < m; i++)
            tail[i] = output[at + i] > 0 ? -output[at + i] : output[at + i];
        as_vsoftplus(m, tail, tail);
        for (ptrdiff_t i = 0; i < m; i++) {
            double o = (double)output[at + i];

            sum += (o > 0 ? o : 0) - o * (double)target_real[at + i] + (double)tail[i];
        }
    }
    return sum;
}

static double squared_error(const real *output, ptrdiff_t k, int32_t target, const real *target_real)
{
    double sum = 0;

    (void)target;
    for (ptrdiff_t i = 0; i < k; i++) {
        double e = (double)output[i] - (double)target_real[i];

        sum += e * e;
    }
    return k ? sum / (double)k : 0;
}

static double uniform_chance(ptrdiff_t classes) { return classes ? 1.0 / (double)classes : 0; }
static double uniform_nats(ptrdiff_t classes) { return classes ? log((double)classes) : 0; }
static double uniform_bits(ptrdiff_t classes) { return classes ? log2((double)classes) : 0; }
static double nothing(ptrdiff_t classes) { (void)classes; return 0; }
static double uniform_bernoulli(ptrdiff_t classes) { return (double)classes * 0.69314718055994530942; }
static double unknown(ptrdiff_t classes) { (void)classes; return (double)NAN; }

const struct as_metric as_metrics[] = {
    { .name = "accuracy", .unit = "share", .help = "share of targets whose class has the strictly largest output",
      .scale = AS_LOGIT, .higher_is_better = true, .proportion = true, .chance = uniform_chance,
      .worst = uniform_chance, .value = accuracy },
    { .name = "solved", .unit = "share", .help = "share of examples all of whose targets are right",
      .scale = AS_LOGIT, .higher_is_better = true, .proportion = true, .whole = true, .chance = nothing,
      .worst = nothing, .value = accuracy },
    { .name = "ce", .unit = "nats", .help = "cross-entropy per target", .scale = AS_RAW, .chance = uniform_nats,
      .worst = uniform_nats, .value = cross_entropy },
    { .name = "bpc", .unit = "bits", .help = "cross-entropy per target in bits (per character)", .scale = AS_RAW,
      .chance = uniform_bits, .worst = uniform_bits, .value = bits },
    { .name = "nll", .unit = "nats per frame", .help = "Bernoulli negative log-likelihood summed over the outputs",
      .scale = AS_RAW, .chance = uniform_bernoulli, .worst = uniform_bernoulli, .real_target = true,
      .value = bernoulli },
    { .name = "mse", .unit = "squared", .help = "mean squared error over the outputs", .scale = AS_LOG,
      .chance = unknown, .worst = unknown, .real_target = true, .value = squared_error },
    { .name = "ponder_time", .unit = "steps", .help = "inner steps a position, of layers that decide on them",
      .scale = AS_LOG, .chance = unknown, .worst = unknown, .extra = "ponder_time" },
    { 0 }
};

const struct as_metric *as_metric_find(const char *name, const char **nearest)
{
    const char *names[sizeof as_metrics / sizeof *as_metrics];
    int n = 0;

    for (; as_metrics[n].name; n++) {
        if (strcmp(as_metrics[n].name, name) == 0)
            return &as_metrics[n];
        names[n] = as_metrics[n].name;
    }
    names[n] = NULL;
    if (nearest)
        *nearest = as_nearest(name, names);
    return NULL;
}

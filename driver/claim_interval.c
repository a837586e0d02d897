#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <string.h>

/* The scale on which one side is averaged. LOG_RATIO is for "by factor": logarithms whatever the metric's scale. */
enum measure { MEASURE_RAW, MEASURE_LOGIT, MEASURE_LOG, MEASURE_LOG_RATIO };

/* One side of a comparison: k times the mean on its scale, given back. */
struct arm {
    enum measure measure;
    double k;
    struct series series;
    double *g;                       /* values on the scale */
    size_t n;
    double mean, sd;                 /* of g; sd is not less than what the test set's size alone would give */
    double estimate, low, high;      /* k * back(mean), and its own interval */
};

static double back(enum measure measure, double x)
{
    switch (measure) {
    case MEASURE_LOGIT: return stats_expit(x);
    case MEASURE_LOG: return exp(x);
    default: return x;
    }
}

static const char *no_value(struct reader *r, const struct value *v, const char *why)
{
    char *at = pool_alloc(&r->pool, 120, 1);
    char number[32];
    struct text text = {at, 120, 0};
    stats_format_short(number, sizeof number, v->low);
    text_add(&text, "seed %ld has the value %s: %s", v->seed, number, why);
    return at;
}

/* g of one value, and the variance that the number of examples alone gives it. NULL, or why there is none. */
static const char *to_scale(struct reader *r, const struct arm *arm, int proportion, const struct value *v, double *g,
                            double *floor_variance)
{
    double x = v->low, n = v->examples;
    *floor_variance = 0.0;
    if (proportion && !(x >= 0.0 && x <= 1.0))
        return no_value(r, v, "not a proportion");
    if (proportion && n > 0.0 && arm->measure != MEASURE_RAW) {
        x = stats_smoothed(x, n);
        *floor_variance = stats_logit_variance(x, n);
    }
    switch (arm->measure) {
    case MEASURE_LOGIT:
        if (!(x > 0.0 && x < 1.0))
            return no_value(r, v, "without the number of examples it has no logit");
        *g = stats_logit(x);
        break;
    case MEASURE_LOG:
        if (!(x > 0.0))
            return no_value(r, v, "it has no logarithm");
        *g = log(x);
        break;
    case MEASURE_LOG_RATIO:
        if (!(x > 0.0))
            return no_value(r, v, "it has no ratio");
        *g = log(arm->k * x);
        *floor_variance *= (1.0 - x) * (1.0 - x);        /* var log p = (1 - p)^2 var logit p */
        break;
    default:
        *g = x;
        break;
    }
    return NULL;
}

static const char *make_arm(struct reader *r, const struct node *node, const struct binding *binding, double k,
                            int factor, struct arm *arm, int *incomplete)
{
    enum claim_scale scale = scale_of(r, node);
    arm->measure = factor ? MEASURE_LOG_RATIO : scale == CLAIM_LOGIT ? MEASURE_LOGIT
                   : scale == CLAIM_LOG ? MEASURE_LOG : MEASURE_RAW;
    arm->k = k;
    arm->series = series_of(r, node, binding);
    *incomplete = arm->series.incomplete;
    return arm->series.trouble;
}

/* Fills g, mean and sd from the series, which by now has the seeds that count. */
static const char *scale_arm(struct reader *r, int proportion, struct arm *arm)
{
    arm->n = arm->series.n;
    arm->g = pool_alloc(&r->pool, arm->n, sizeof *arm->g);
    double floor_sum = 0.0, one;
    for (size_t i = 0; i < arm->n; i++) {
        const char *trouble = to_scale(r, arm, proportion, &arm->series.at[i], &arm->g[i], &one);
        if (trouble != NULL)
            return trouble;
        floor_sum += one;
    }
    arm->mean = stats_mean(arm->g, arm->n);
    arm->sd = arm->n > 1 ? stats_sd(arm->g, arm->n) : 0.0;
    arm->sd = fmax(arm->sd, sqrt(floor_sum / (double)arm->n));
    return NULL;
}

static void arm_interval(struct arm *arm, double t)
{
    double k = arm->measure == MEASURE_LOG_RATIO ? 1.0 : arm->k;
    double half = t * arm->sd / sqrt((double)arm->n);
    double a = k * back(arm->measure, arm->mean - half), b = k * back(arm->measure, arm->mean + half);
    arm->estimate = k * back(arm->measure, arm->mean);
    arm->low = fmin(a, b);
    arm->high = fmax(a, b);
}

/* Keeps the seeds that both have. */
static void align(struct series *a, struct series *b)
{
    size_t i = 0, j = 0, n = 0;
    while (i < a->n && j < b->n) {
        if (a->at[i].seed < b->at[j].seed) {
            i++;
        } else if (a->at[i].seed > b->at[j].seed) {
            j++;
        } else {
            a->at[n] = a->at[i++];
            b->at[n++] = b->at[j++];
        }
    }
    a->n = b->n = n;
}

static const struct node *first_ref(const struct node *node)
{
    if (node->kind == NODE_REF)
        return node;
    for (size_t i = 0; i < node->n_kids; i++) {
        const struct node *ref = first_ref(node->kid[i]);
        if (ref != NULL)
            return ref;
    }
    return NULL;
}

/* Keys of a reference with what encloses it; axes that are reduced further inside stay out. */
static size_t outer_keys(const struct node *ref, const struct binding *binding, struct claim_key *key)
{
    size_t n = ref->n_keys;
    for (size_t i = 0; i < n; i++)
        key[i] = ref->key[i];
    if (binding != NULL && n < MAX_KEYS)
        key[n++] = (struct claim_key){binding->key, binding->value};
    return n;
}

static int is_paired(struct reader *r, const struct part *part)
{
    const struct node *a = first_ref(part->a), *b = first_ref(part->b);
    struct claim_key key_a[MAX_KEYS], key_b[MAX_KEYS];
    if (a == NULL || b == NULL)
        return 1;
    if (r->source->paired == NULL)
        return read_metric(r, a).paired && read_metric(r, b).paired;
    size_t n_a = outer_keys(a, part->bind_a, key_a), n_b = outer_keys(b, part->bind_b, key_b);
    return r->source->paired(r->source->ctx, a->name, key_a, n_a, b->name, key_b, n_b);
}

static double square(double x)
{
    return x * x;
}

/* Distance from a difference to its bound, from those of its sides (Zou and Donner 2008, "MOVER"): the variance is
 * recovered from each side's own interval, which need not be symmetric. On the raw scale this is the t interval. */
static double recover(double x, double y, double correlation)
{
    return sqrt(fmax(square(x) + square(y) - 2.0 * correlation * x * y, 0.0));
}

struct mean_pair {
    struct arm arm[2];
    int n_arms, paired;
};

/* The interval of a - b, or of a alone. */
static struct stats_interval pair_interval(struct mean_pair *pair, double level)
{
    struct arm *a = &pair->arm[0], *b = &pair->arm[1];
    double df = (double)a->n - 1.0, correlation = 0.0;
    if (pair->n_arms == 1) {
        arm_interval(a, a->sd > 0.0 ? stats_t_quantile(1.0 - level / 2.0, df) : 0.0);
        return (struct stats_interval){a->estimate, a->low, a->high};
    }
    if (pair->paired) {
        if (a->n > 1 && a->sd > 0.0 && b->sd > 0.0)
            correlation = stats_covariance(a->g, b->g, a->n) / (a->sd * b->sd);
        if (a->k * b->k < 0.0)
            correlation = -correlation;
    } else {
        /* variances on the raw scale: the share that each side has in the interval of the difference */
        double v[2];
        for (int i = 0; i < 2; i++) {
            struct arm *arm = &pair->arm[i];
            arm_interval(arm, 1.0);
            v[i] = square((arm->high - arm->low) / 2.0) * (double)arm->n;
        }
        df = stats_welch_df(v[0], a->n, v[1], b->n);
    }
    double t = a->sd > 0.0 || b->sd > 0.0 ? stats_t_quantile(1.0 - level / 2.0, df) : 0.0;
    arm_interval(a, t);
    arm_interval(b, t);
    double d = a->estimate - b->estimate;
    return (struct stats_interval){d,
                                   d - recover(a->estimate - a->low, b->high - b->estimate, correlation),
                                   d + recover(a->high - a->estimate, b->estimate - b->low, correlation)};
}

const char *mean_interval(struct reader *r, const struct part *part, double level, struct mean_interval *out)
{
    struct mean_pair pair = {.n_arms = part->b != NULL ? 2 : 1};
    struct arm *a = &pair.arm[0], *b = &pair.arm[1];
    int proportion[2] = {0, 0};
    for (int i = 0; i < pair.n_arms; i++) {
        const struct node *node = i == 0 ? part->a : part->b;
        proportion[i] = scale_of(r, node) == CLAIM_LOGIT;
        const char *trouble = make_arm(r, node, i == 0 ? part->bind_a : part->bind_b, i == 0 ? part->ka : part->kb,
                                       part->factor, &pair.arm[i], &out->incomplete);
        if (trouble != NULL)
            return trouble;
    }
    pair.paired = pair.n_arms == 2 && is_paired(r, part);
    if (pair.paired)
        align(&a->series, &b->series);
    out->incomplete = 1;
    if (a->series.n == 0 || (pair.n_arms == 2 && b->series.n == 0))
        return "no seed is common to both sides";
    out->incomplete = 0;
    for (int i = 0; i < pair.n_arms; i++) {
        const char *trouble = scale_arm(r, proportion[i], &pair.arm[i]);
        if (trouble != NULL)
            return trouble;
        out->series[i] = pair.arm[i].series;
    }
    out->paired = pair.paired;
    out->seeds = (long)(pair.n_arms == 2 && b->n < a->n ? b->n : a->n);
    out->no_spread = !(a->sd > 0.0) && (pair.n_arms == 1 || !(b->sd > 0.0));
    /* one seed without a spread is enough for what has no spread by construction; else the answer is not used */
    if (out->seeds < 2 && !out->no_spread)
        out->interval = (struct stats_interval){STATS_NAN, -STATS_INF, STATS_INF};
    else
        out->interval = pair_interval(&pair, level);
    out->no_spread |= !(out->interval.low < out->interval.high);     /* equal differences, say */
    return NULL;
}

/* ---- medians, for ranks and censored times ----------------------------------------------------------------------- */

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

/* a / b or a - b of two times, at its least or at its most. Two that were never reached can be anything. */
static double contrast(double a, double b, int factor, double unknown)
{
    double x = factor ? a / b : a - b;
    return isnan(x) ? unknown : x;
}

const char *median_interval(struct reader *r, const struct part *part, double level, struct mean_interval *out)
{
    struct series a = series_of(r, part->a, part->bind_a), b = {0};
    if (part->b != NULL)
        b = series_of(r, part->b, part->bind_b);
    const struct series *bad = a.trouble != NULL ? &a : &b;
    out->incomplete = bad->incomplete;
    if (bad->trouble != NULL)
        return bad->trouble;
    if (part->b != NULL)
        align(&a, &b);
    out->incomplete = 1;
    if (a.n == 0)
        return "no seed is common to both sides";
    out->incomplete = 0;
    double *low = pool_alloc(&r->pool, 2 * a.n, sizeof *low), *high = low + a.n;
    for (size_t i = 0; i < a.n; i++) {
        low[i] = a.at[i].low;
        high[i] = a.at[i].high;
        if (part->b != NULL) {
            low[i] = contrast(a.at[i].low, b.at[i].high, part->factor, part->factor ? 0.0 : -STATS_INF);
            high[i] = contrast(a.at[i].high, b.at[i].low, part->factor, STATS_INF);
        }
    }
    sort(low, a.n);
    sort(high, a.n);
    size_t rank = stats_median_rank(a.n, level);
    out->series[0] = a;
    out->series[1] = b;
    out->paired = 1;
    out->seeds = (long)a.n;
    out->too_few = rank == 0;
    out->interval.estimate = stats_median(low, a.n);
    out->censored = stats_median(high, a.n) > out->interval.estimate;
    out->interval.low = rank == 0 ? -STATS_INF : low[rank - 1];
    out->interval.high = rank == 0 ? STATS_INF : high[a.n - rank];
    return NULL;
}

/* ---- spread ------------------------------------------------------------------------------------------------------ */

/* Standard deviation over seeds in the metric's own unit; `most` is what it may be from the test set's size alone. */
static double spread_of(struct reader *r, const struct series *series, double *most)
{
    double *x = pool_alloc(&r->pool, series->n, sizeof *x), sum = 0.0;
    for (size_t i = 0; i < series->n; i++) {
        x[i] = series->at[i].low;
        double n = series->at[i].examples, p = n > 0.0 ? stats_smoothed(x[i], n) : 0.0;
        if (n > 0.0 && p > 0.0 && p < 1.0)
            sum += p * (1.0 - p) / n;
    }
    double sd = series->n > 1 ? stats_sd(x, series->n) : 0.0;
    *most = fmax(sd, sqrt(sum / (double)series->n));
    return sd;
}

const char *spread_interval(struct reader *r, const struct part *part, double level, struct mean_interval *out)
{
    double sd[2] = {0.0, 0.0}, most[2] = {0.0, 0.0};
    size_t n[2] = {0, 0};
    int sides = part->b != NULL ? 2 : 1;
    for (int i = 0; i < sides; i++) {
        out->series[i] = series_of(r, i == 0 ? part->a->kid[0] : part->b->kid[0], NULL);
        out->incomplete = out->series[i].incomplete;
        if (out->series[i].trouble != NULL)
            return out->series[i].trouble;
        n[i] = out->series[i].n;
        sd[i] = spread_of(r, &out->series[i], &most[i]);
    }
    out->seeds = (long)(sides == 2 && n[1] < n[0] ? n[1] : n[0]);
    out->no_spread = !(most[0] > 0.0) || (sides == 2 && !(most[1] > 0.0));
    out->interval = (struct stats_interval){sd[0], 0.0, STATS_INF};
    if (out->seeds < 2)
        return NULL;
    if (sides == 1) {
        out->interval.low = stats_sd_low(sd[0], n[0], level);
        out->interval.high = stats_sd_high(most[0], n[0], level);
        return NULL;
    }
    if (out->no_spread)
        return "one side has no spread over seeds, so there is no ratio";
    /* each side's spread may come from its test set alone: towards 1 the ratio takes the greater of the two */
    double d1 = (double)n[0] - 1.0, d2 = (double)n[1] - 1.0;
    out->interval.estimate = most[0] / most[1];
    out->interval.low = sd[0] / most[1] / sqrt(stats_f_quantile(1.0 - level, d1, d2));
    out->interval.high = sd[1] > 0.0 ? most[0] / sd[1] * sqrt(stats_f_quantile(1.0 - level, d2, d1)) : STATS_INF;
    return NULL;
}

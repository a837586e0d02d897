/* results_stat.c: summaries of one point of the grid, for tables and figures. */
#include <driver/results.h>

#include <assay/error.h>
#include <math.h>
#include <stdlib.h>

double results_alpha(const struct results *r)
{
    double alpha = r->e->alpha > 0 ? r->e->alpha : 0.05;
    return alpha / (r->plan->n_points > 0 ? r->plan->n_points : 1);
}

static double to_scale(double x, const struct claim_metric *m)
{
    if (m->scale == CLAIM_LOGIT) return stats_logit(m->n_examples > 0 ? stats_smoothed(x, (double)m->n_examples) : x);
    return m->scale == CLAIM_LOG ? log(x) : x;
}
static double from_scale(double x, const struct claim_metric *m)
{
    return m->scale == CLAIM_LOGIT ? stats_expit(x) : m->scale == CLAIM_LOG ? exp(x) : x;
}

struct stats_interval results_interval(struct results *r, int point, const char *metric, int n,
                                       const char *const *keys, const char *const *texts, double alpha, int *count)
{
    struct stats_interval out = { STATS_NAN, STATS_NAN, STATS_NAN };
    const struct claim_source *s = results_source(r);
    struct claim_metric m;
    double *x = malloc((size_t)(r->plan->n_cells + 1) * sizeof *x);
    if (!x) as_fail(AS_NO_MEMORY, "no memory for a summary");
    int k = results_values(r, point, metric, n, keys, texts, x, NULL);
    if (count) *count = k;
    if (s->metric(s->ctx, metric, &m, NULL)) m = (struct claim_metric){ .scale = CLAIM_RAW };
    if (k > 0) {
        out.estimate = stats_mean(x, (size_t)k);
        for (int i = 0; i < k; i++) x[i] = to_scale(x[i], &m);
    }
    if (k > 1) {
        struct stats_interval t = stats_mean_interval(x, (size_t)k, alpha);
        out.low = from_scale(t.low, &m);
        out.high = from_scale(t.high, &m);
        /* The interval is of the scale's mean; the plain mean of skewed values may fall outside it. */
        if (out.estimate < out.low) out.low = out.estimate;
        if (out.estimate > out.high) out.high = out.estimate;
    }
    free(x);
    return out;
}

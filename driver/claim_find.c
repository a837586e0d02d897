#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <string.h>

/* One part of a claim against its results. */

static int rises(enum op op)
{
    return op == OP_GT || op == OP_GE;
}

static int is_strict(enum op op)
{
    return op == OP_GT || op == OP_LT;
}

/* The interval turned so that the claim reads "more than the margin"; ratios are logarithms here. */
struct turned {
    double low, high, margin;
};

static struct turned turn(const struct part *part, struct stats_interval x)
{
    double number = part->factor ? log(part->number) : part->number;
    double margin = part->factor ? log(part->margin) : part->margin;
    if (part->factor && part->relation->margin_kind == MARGIN_NONE)
        margin = 0.0;
    double from = part->op == OP_EQ ? part->center : 0.0;
    if (part->b == NULL)
        from = number;
    struct turned t = {x.low - from, x.high - from, margin};
    if (!rises(part->op) && part->op != OP_EQ)
        t = (struct turned){-t.high, -t.low, margin};
    if (part->b == NULL && part->op != OP_EQ)
        t.margin = 0.0;
    return t;
}

static enum claim_verdict decide(const struct part *part, struct turned t)
{
    if (isnan(t.low) || isnan(t.high))
        return CLAIM_UNDECIDED;
    if (part->op == OP_EQ) {
        if (t.low >= -t.margin && t.high <= t.margin)
            return CLAIM_UPHELD;
        return t.low > t.margin || t.high < -t.margin ? CLAIM_REFUTED_THRESHOLD : CLAIM_UNDECIDED;
    }
    int strict = is_strict(part->op);
    if (strict ? t.low > t.margin : t.low >= t.margin)
        return CLAIM_UPHELD;
    if (strict ? t.high <= t.margin : t.high < t.margin)
        return CLAIM_REFUTED_THRESHOLD;
    return part->b != NULL && t.margin > 0.0 && t.low > 0.0 ? CLAIM_DIRECTION_ONLY : CLAIM_UNDECIDED;
}

static double slack_of(const struct part *part, struct turned t)
{
    double room = part->op == OP_EQ ? fmin(t.low + t.margin, t.margin - t.high) : t.low - t.margin;
    double slack = room / (t.high - t.low);
    return isnan(slack) ? 0.0 : slack;
}

/* ---- text -------------------------------------------------------------------------------------------------------- */

static void add_number(struct text *text, double x)
{
    char number[32];
    stats_format_short(number, sizeof number, x);
    text_add(text, "%s", number);
}

static void add_estimate(struct text *text, double x, double width)
{
    char number[64];
    if (width > 0.0 && isfinite(width) && fabs(x) < 1e9)
        stats_format(number, sizeof number, x, stats_decimals(width));
    else
        stats_format_short(number, sizeof number, x);
    text_add(text, "%s", number);
}

static void add_interval(struct text *text, const struct finding *f)
{
    char low[64], high[64];
    double width = f->high - f->low;
    if (width > 0.0 && isfinite(width)) {
        stats_format_down(low, sizeof low, f->low, stats_decimals(width));
        stats_format_up(high, sizeof high, f->high, stats_decimals(width));
    } else {
        stats_format_short(low, sizeof low, f->low);
        stats_format_short(high, sizeof high, f->high);
    }
    text_add(text, ", [%s, %s]", low, high);
}

static size_t count_diverged(const struct mean_interval *m)
{
    size_t count = 0;
    for (int s = 0; s < 2; s++)
        for (size_t i = 0; i < m->series[s].n; i++)
            count += m->series[s].at[i].diverged != 0;
    return count;
}

static void add_notes(struct text *text, const struct part *part, const struct mean_interval *m)
{
    size_t diverged = count_diverged(m);
    if (diverged > 0)
        text_add(text, "; %zu diverged", diverged);
    if (m->no_spread && !part->seedless)
        text_add(text, "; no spread over seeds");
}

/* "0.50 by 0.2, [0.47, 0.52]" or "8.55 <= 8.7, [8.40, 8.65]" */
static void describe(struct text *text, const struct part *part, const struct finding *f,
                     const struct mean_interval *m)
{
    const char *word = part->a->kind == NODE_SPREAD ? part->b == NULL ? "sd " : "ratio of sd "
                       : part->a->kind == NODE_SPEARMAN || part->a->kind == NODE_STEPS_TO ? "median " : "";
    text_add(text, "%s%s", word, m->censored ? "at least " : "");
    add_estimate(text, f->estimate, f->high - f->low);
    int margin = part->factor ? part->relation->margin_kind != MARGIN_NONE : part->margin < 0.0 || part->margin > 0.0;
    if (part->b == NULL && part->op != OP_EQ) {
        text_add(text, " %s ", op_text(part->op));
        add_number(text, part->number);
    } else if (part->op == OP_EQ || margin) {
        if (part->b == NULL) {
            text_add(text, " == ");
            add_number(text, part->number);
        }
        text_add(text, " %s%s ", part->op == OP_EQ ? "within" : "by", part->factor ? " factor" : "");
        add_number(text, part->margin);
    }
    add_interval(text, f);
    add_notes(text, part, m);
}

/* ---- kinds ------------------------------------------------------------------------------------------------------- */

static struct finding trouble_finding(const char *trouble, int incomplete)
{
    struct finding f = {.verdict = incomplete ? CLAIM_UNDECIDED_INCOMPLETE : CLAIM_NOT_TESTABLE,
                        .estimate = STATS_NAN, .low = STATS_NAN, .high = STATS_NAN, .slack = -STATS_INF};
    struct text text = {f.text, sizeof f.text, 0};
    text_add(&text, "%s", trouble);
    return f;
}

/* Too few seeds to say anything; 0 when there are enough. */
static int too_few(const struct part *part, long seeds, long needed, size_t n_claims, struct finding *f)
{
    if (part->seedless || seeds >= needed)
        return 0;
    struct text text = {f->text, sizeof f->text, 0};
    f->verdict = CLAIM_UNDECIDED_N;
    f->seeds = seeds;
    text_add(&text, "%ld seed%s; a verdict takes %ld", seeds, seeds == 1 ? "" : "s", needed);
    if (n_claims > 1)
        text_add(&text, " where there are %zu claims", n_claims);
    return 1;
}

/* Where an arm stands: 1 so close to perfect that nothing is above it, -1 at chance, 0 elsewhere. */
static int plateau(struct reader *r, const struct node *node, const struct series *series, double *mean)
{
    const struct node *ref = only_ref(node);
    if (ref == NULL || series->n < 2)
        return 0;
    struct claim_metric metric = read_metric(r, ref);
    double *x = pool_alloc(&r->pool, series->n, sizeof *x), floor_sum = 0.0;
    for (size_t i = 0; i < series->n; i++) {
        x[i] = series->at[i].low;
        if (metric.scale == CLAIM_LOGIT && series->at[i].examples > 0.0)
            floor_sum += metric.chance * (1.0 - metric.chance) / series->at[i].examples;
    }
    *mean = stats_mean(x, series->n);
    if (metric.scale == CLAIM_LOGIT && (metric.direction < 0 ? *mean < 0.005 : *mean > 0.995))
        return 1;
    if (!isfinite(metric.chance))
        return 0;
    double variance = fmax(stats_covariance(x, x, series->n), floor_sum / (double)series->n);
    return fabs(*mean - metric.chance) <= 2.0 * sqrt(variance / (double)series->n) ? -1 : 0;
}

/* A superiority claim between arms that all stand at the ceiling, or all at chance, has nothing to measure. */
static int at_ceiling(struct reader *r, const struct part *part, const struct mean_interval *m, struct finding *f)
{
    double a = 0.0, b = 0.0;
    if (part->b == NULL || part->op == OP_EQ || part->margin < 0.0 || part->seedless)
        return 0;
    int where = plateau(r, part->a, &m->series[0], &a);
    if (where == 0 || plateau(r, part->b, &m->series[1], &b) != where)
        return 0;
    struct text text = {f->text, sizeof f->text, 0};
    f->verdict = CLAIM_NOT_TESTABLE;
    text_add(&text, where > 0 ? "both at the ceiling: " : "both within two standard errors of chance: ");
    add_estimate(&text, a, 0.001);
    text_add(&text, " and ");
    add_estimate(&text, b, 0.001);
    return 1;
}

static struct finding find_interval(struct reader *r, const struct part *part, double level, long needed,
                                    size_t n_claims)
{
    struct mean_interval m = {0};
    int median = part->a->kind == NODE_SPEARMAN || part->a->kind == NODE_STEPS_TO;
    int spread = part->a->kind == NODE_SPREAD;
    int special = median || spread;
    const char *trouble = (median ? median_interval : spread ? spread_interval : mean_interval)(r, part, level, &m);
    if (trouble != NULL)
        return trouble_finding(trouble, m.incomplete);
    struct finding f = {.seeds = m.seeds, .diverged = count_diverged(&m)};
    /* a ratio of spreads or of times comes as it is; the turned interval is of logarithms */
    struct part logs = *part;
    struct stats_interval x = m.interval;
    if (spread && part->b != NULL)
        logs.factor = 1;
    if (special && logs.factor)
        x = (struct stats_interval){log(x.estimate), log(x.low), log(x.high)};
    x = (struct stats_interval){x.estimate + part->offset, x.low + part->offset, x.high + part->offset};
    struct turned t = turn(&logs, x);
    f.estimate = x.estimate - (part->op == OP_EQ && part->b != NULL ? part->center : 0.0);
    f.low = part->b != NULL ? t.low : x.low;
    f.high = part->b != NULL ? t.high : x.high;
    if (part->b != NULL && !rises(part->op) && part->op != OP_EQ)
        f.estimate = -f.estimate;
    if (logs.factor) {
        f.estimate = exp(f.estimate);
        f.low = exp(f.low);
        f.high = exp(f.high);
    }
    f.slack = slack_of(&logs, t);
    if (too_few(part, m.seeds, needed, n_claims, &f))
        return f;
    struct text text = {f.text, sizeof f.text, 0};
    if (m.too_few) {
        f.verdict = CLAIM_UNDECIDED_N;
        text_add(&text, "%ld seeds give the median no interval at this level", m.seeds);
        return f;
    }
    if (!special && at_ceiling(r, part, &m, &f))
        return f;
    f.verdict = decide(&logs, t);
    describe(&text, part, &f, &m);
    return f;
}

static struct finding find_share(struct reader *r, const struct part *part, double level, long needed,
                                 size_t n_claims)
{
    struct mean_interval m = {0};
    m.series[0] = series_share(r, part->a->relation);
    if (m.series[0].trouble != NULL)
        return trouble_finding(m.series[0].trouble, m.series[0].incomplete);
    long n = (long)m.series[0].n, k = 0;
    for (long i = 0; i < n; i++)
        k += m.series[0].at[i].low > 0.5;
    struct finding f = {.seeds = n, .diverged = count_diverged(&m), .estimate = (double)k / (double)n,
                        .low = stats_binomial_low(k, n, level), .high = stats_binomial_high(k, n, level)};
    struct turned t = turn(part, (struct stats_interval){f.estimate, f.low, f.high});
    f.slack = slack_of(part, t);
    if (too_few(part, n, needed, n_claims, &f))
        return f;
    f.verdict = decide(part, t);
    struct text text = {f.text, sizeof f.text, 0};
    char low[32], high[32];
    stats_format_down(low, sizeof low, f.low, 2);
    stats_format_up(high, sizeof high, f.high, 2);
    text_add(&text, "%ld of %ld seeds, share ", k, n);
    if (f.verdict == CLAIM_UNDECIDED)
        text_add(&text, "in [%s, %s]", low, high);
    else if ((f.verdict == CLAIM_UPHELD) == rises(part->op))
        text_add(&text, ">= %s", low);
    else
        text_add(&text, "<= %s", high);
    if (f.verdict == CLAIM_UNDECIDED && k == n && rises(part->op))
        text_add(&text, "; it takes %ld of %ld", stats_share_needs(part->number, level),
                 stats_share_needs(part->number, level));
    add_notes(&text, part, &m);
    return f;
}

static struct finding find_identity(struct reader *r, const struct part *part)
{
    const struct node *node = part->a;
    double error = 0.0;
    long cases = 0;
    const char *nearest = NULL;
    if (r->source->identity(r->source->ctx, node->name, node->key, node->n_keys, &error, &cases, &nearest) != 0)
        return trouble_finding("the identity has not been measured", 1);
    struct finding f = {.estimate = error, .low = error, .high = error, .slack = part->number - error};
    f.verdict = op_holds(error, part->op, part->number) ? CLAIM_UPHELD : CLAIM_REFUTED_THRESHOLD;
    struct text text = {f.text, sizeof f.text, 0};
    text_add(&text, "largest error ");
    add_number(&text, error);
    text_add(&text, " %s ", op_text(part->op));
    add_number(&text, part->number);
    text_add(&text, " over %ld case%s", cases, cases == 1 ? "" : "s");
    if (cases < 1)
        return trouble_finding("the identity was measured on no case", 1);
    return f;
}

struct finding find_part(struct reader *r, const struct part *part, double level, long seeds_needed, size_t n_claims)
{
    if (part->a->kind == NODE_IDENTITY)
        return find_identity(r, part);
    if (part->a->kind == NODE_SHARE)
        return find_share(r, part, level, seeds_needed, n_claims);
    return find_interval(r, part, level, seeds_needed, n_claims);
}

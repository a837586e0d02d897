#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <string.h>

/* "long.accuracy[mixer=gru, long.length=40]" */
static const char *label(struct reader *r, const char *metric, const struct claim_key *key, size_t n)
{
    char *at = pool_alloc(&r->pool, 160, 1);
    struct text text = {at, 160, 0};
    text_add(&text, "%.60s", metric);
    for (size_t i = 0; i < n; i++)
        text_add(&text, "%s%.40s=%.40s", i == 0 ? "[" : ", ", key[i].key, key[i].value);
    text_add(&text, "%s", n > 0 ? "]" : "");
    return at;
}

static const char *sentence(struct reader *r, const char *format, const char *what, long seed, size_t count, size_t of)
{
    char *at = pool_alloc(&r->pool, 240, 1);
    struct text text = {at, 240, 0};
    if (count > 0)
        text_add(&text, "%zu of %zu seeds of ", count, of);
    else if (seed >= 0)
        text_add(&text, "seed %ld of ", seed);
    text_add(&text, "%s ", what);
    text_add(&text, "%s", format);
    return at;
}

static struct series troubled(const char *sentence, int incomplete)
{
    return (struct series){NULL, 0, sentence, incomplete};
}

/* In the order of seeds; few, and mostly in order already. */
static int sort_values(struct value *at, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        struct value v = at[i];
        size_t j = i;
        for (; j > 0 && at[j - 1].seed > v.seed; j--)
            at[j] = at[j - 1];
        if (j > 0 && at[j - 1].seed == v.seed)
            return 0;
        at[j] = v;
    }
    return 1;
}

/* What one sample counts as; 0 when its cell has no result. */
static int sample_value(const struct claim_sample *s, const struct claim_metric *metric, struct value *out)
{
    double value = s->value;
    int diverged = s->outcome == CLAIM_DIVERGED || (s->outcome == CLAIM_OK && !isfinite(value));
    if (s->outcome == CLAIM_INCOMPLETE) {
        if (!metric->cost)
            return 0;
        if (!isfinite(value))
            value = metric->worst;
        if (!isfinite(value))
            return 0;
    }
    if (diverged)
        value = metric->worst;
    double examples = (double)(s->n_examples > 0 ? s->n_examples : metric->n_examples);
    *out = (struct value){s->seed, diverged, value, value, examples};
    return 1;
}

static struct series read_samples(struct reader *r, const struct node *ref, const struct binding *binding)
{
    struct point point = read_point(r, ref, binding);
    const char *what = label(r, point.metric_name, point.key, point.n_keys);
    const struct claim_sample *sample = NULL;
    size_t n = 0, incomplete = 0;
    int status = r->source->samples(r->source->ctx, point.metric_name, point.key, point.n_keys, &sample, &n);
    if (status != 0 || n == 0)
        return troubled(sentence(r, "without a result", what, -1, 0, 0), 1);
    struct series series = {pool_alloc(&r->pool, n, sizeof *series.at), 0, NULL, 0};
    for (size_t i = 0; i < n; i++) {
        struct value *v = &series.at[series.n];
        if (!sample_value(&sample[i], &point.metric, v))
            incomplete++;
        else if (!isfinite(v->low))
            return troubled(sentence(r, "diverged, and the metric declares no worst value", what, v->seed, 0, 0), 0);
        else
            series.n++;
    }
    if (incomplete > 0)
        return troubled(sentence(r, "incomplete", what, -1, incomplete, n), 1);
    if (!sort_values(series.at, series.n))
        return troubled(sentence(r, "with one seed twice", what, -1, 0, 0), 1);
    return series;
}

static struct series read_steps(struct reader *r, const struct node *node, const struct binding *binding)
{
    struct point point = read_point(r, node->kid[0], binding);
    const char *what = label(r, point.metric_name, point.key, point.n_keys);
    const struct claim_steps *steps = NULL;
    size_t n = 0, incomplete = 0;
    int below = node->op == OP_LE || node->op == OP_LT;
    int status = r->source->steps_to(r->source->ctx, point.metric_name, point.key, point.n_keys, below, node->number,
                                     &steps, &n);
    if (status != 0 || n == 0)
        return troubled(sentence(r, "without a curve", what, -1, 0, 0), 1);
    struct series series = {pool_alloc(&r->pool, n, sizeof *series.at), n, NULL, 0};
    for (size_t i = 0; i < n; i++) {
        int never = steps[i].outcome == CLAIM_DIVERGED;
        double low = never ? STATS_INF : steps[i].steps;
        double high = never || !steps[i].reached ? STATS_INF : steps[i].steps;
        incomplete += steps[i].outcome == CLAIM_INCOMPLETE;
        series.at[i] = (struct value){steps[i].seed, never, low, high, 0.0};
    }
    if (incomplete > 0)
        return troubled(sentence(r, "incomplete", what, -1, incomplete, n), 1);
    if (!sort_values(series.at, n))
        return troubled(sentence(r, "with one seed twice", what, -1, 0, 0), 1);
    return series;
}

static double slope(const double *x, const double *y, size_t n)
{
    return stats_covariance(x, y, n) / stats_covariance(x, x, n);
}

/* Mean rank of each value among all. */
static void ranks(const struct value *v, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        out[i] = 0.5;
        for (size_t j = 0; j < n; j++)
            out[i] += v[j].low < v[i].low ? 1.0 : v[j].low == v[i].low ? 0.5 : 0.0;
    }
}

/* Rank correlation with x, which rises or falls strictly; 0 when the values are all the same. */
static double spearman(struct reader *r, const double *x, const struct value *v, size_t n)
{
    double *a = pool_alloc(&r->pool, 2 * n, sizeof *a), *b = a + n;
    struct value *axis = pool_alloc(&r->pool, n, sizeof *axis);
    for (size_t i = 0; i < n; i++)
        axis[i].low = x[i];
    ranks(axis, n, a);
    ranks(v, n, b);
    double spread = sqrt(stats_covariance(a, a, n) * stats_covariance(b, b, n));
    if (!(spread > 0.0))
        return 0.0;
    double rho = stats_covariance(a, b, n) / spread;
    /* perfect order is 1, not 1 less a rounding error: claims like ">= 1" compare with it */
    return fabs(rho) > 1.0 - 1e-12 ? copysign(1.0, rho) : rho;
}

/* One seed's value of a node from those of its kids. `x` are the numbers of the axis, for slope and spearman. */
static struct value apply(struct reader *r, const struct node *node, const double *x, const struct value *v, size_t n)
{
    struct value out = {v[0].seed, 0, v[0].low, 0.0, v[0].examples};
    double *y = pool_alloc(&r->pool, n, sizeof *y);
    double sum = 0.0, least = v[0].examples;
    size_t low = 0, high = 0;
    for (size_t i = 0; i < n; i++) {
        y[i] = v[i].low;
        sum += y[i];
        least = fmin(least, v[i].examples);
        low = y[i] < y[low] ? i : low;
        high = y[i] > y[high] ? i : high;
        out.diverged |= v[i].diverged;
    }
    out.examples = 0.0;
    switch (node->kind) {
    case NODE_ADD: out.low = y[0] + y[1]; break;
    case NODE_SUB: out.low = y[0] - y[1]; break;
    case NODE_MUL: out.low = y[0] * y[1]; break;
    case NODE_DIV: out.low = y[0] / y[1]; break;
    case NODE_NEG: out.low = -y[0]; break;
    case NODE_ABS: out.low = fabs(y[0]); break;
    case NODE_LOG: out.low = log(y[0]); break;
    case NODE_EXP: out.low = exp(y[0]); break;
    case NODE_SQRT: out.low = sqrt(y[0]); break;
    case NODE_MIN:
    case NODE_MIN_OVER: out.low = y[low]; out.examples = v[low].examples; break;
    case NODE_MAX:
    case NODE_MAX_OVER: out.low = y[high]; out.examples = v[high].examples; break;
    case NODE_MEAN:
    case NODE_MEAN_OVER: out.low = sum / (double)n; out.examples = least * (double)n; break;
    case NODE_SLOPE: out.low = slope(x, y, n); break;
    case NODE_SPEARMAN: out.low = spearman(r, x, v, n); break;
    default: break;
    }
    out.high = out.low;
    return out;
}

/* Index of a seed in a series, from a start that only moves forward; n when it is not there. */
static size_t find_seed(const struct series *s, long seed, size_t from)
{
    while (from < s->n && s->at[from].seed < seed)
        from++;
    return from < s->n && s->at[from].seed == seed ? from : s->n;
}

static struct series combine(struct reader *r, const struct node *node, const double *x, const struct series *kid,
                             size_t n)
{
    for (int incomplete = 1; incomplete >= 0; incomplete--)
        for (size_t k = 0; k < n; k++)
            if (kid[k].trouble != NULL && kid[k].incomplete == incomplete)
                return kid[k];
    struct series out = {pool_alloc(&r->pool, kid[0].n, sizeof *out.at), 0, NULL, 0};
    struct value *v = pool_alloc(&r->pool, n, sizeof *v);
    for (size_t i = 0; i < kid[0].n; i++) {
        size_t k = 0;
        for (; k < n; k++) {
            size_t at = find_seed(&kid[k], kid[0].at[i].seed, 0);
            if (at == kid[k].n)
                break;
            v[k] = kid[k].at[at];
        }
        if (k < n)
            continue;
        struct value *made = &out.at[out.n++];
        *made = apply(r, node, x, v, n);
        if (!isfinite(made->low))
            return troubled(sentence(r, "has no value: a logarithm, root or quotient is not defined", "the expression",
                                     made->seed, 0, 0), 0);
    }
    if (out.n == 0)
        return troubled("no seed is common to all references", 1);
    return out;
}

static struct series series_over(struct reader *r, const struct node *node, const struct binding *binding)
{
    size_t n;
    const char **value = read_axis(r, node, node->name, binding, &n);
    struct series *kid = pool_alloc(&r->pool, n, sizeof *kid);
    double *x = pool_alloc(&r->pool, n, sizeof *x);
    if (!axis_numbers(value, n, x))
        for (size_t i = 0; i < n; i++)
            x[i] = (double)i;                    /* the order of the grid; a slope was refused by the check */
    for (size_t i = 0; i < n; i++) {
        struct binding inner = {node->name, value[i], binding};
        kid[i] = series_of(r, node->kid[0], &inner);
        if (node->log_axis)
            x[i] = log(x[i]);
    }
    return combine(r, node, x, kid, n);
}

struct series series_of(struct reader *r, const struct node *node, const struct binding *binding)
{
    switch (node->kind) {
    case NODE_REF:
        return read_samples(r, node, binding);
    case NODE_STEPS_TO:
        return read_steps(r, node, binding);
    case NODE_MIN_OVER:
    case NODE_MAX_OVER:
    case NODE_MEAN_OVER:
    case NODE_SLOPE:
    case NODE_SPEARMAN:
        return series_over(r, node, binding);
    default:
        break;
    }
    size_t n = node->n_kids;
    struct series *kid = pool_alloc(&r->pool, n, sizeof *kid);
    struct series *varying = NULL;
    for (size_t i = 0; i < n; i++) {
        struct linear side = linear_of(node->kid[i]);
        if (side.base == NULL)
            continue;
        kid[i] = series_of(r, node->kid[i], binding);
        varying = varying == NULL ? &kid[i] : varying;
    }
    /* a number has its value at every seed of what it stands beside */
    for (size_t i = 0; varying != NULL && i < n; i++) {
        struct linear side = linear_of(node->kid[i]);
        if (side.base != NULL)
            continue;
        kid[i] = (struct series){pool_alloc(&r->pool, varying->n, sizeof *kid->at), varying->n, NULL, 0};
        for (size_t s = 0; s < varying->n; s++)
            kid[i].at[s] = (struct value){varying->at[s].seed, 0, side.offset, side.offset, 0.0};
    }
    return combine(r, node, NULL, kid, n);
}

int op_holds(double a, enum op op, double b)
{
    switch (op) {
    case OP_GT: return a > b;
    case OP_GE: return a >= b;
    case OP_LT: return a < b;
    case OP_LE: return a <= b;
    default: return a == b;
    }
}

/* Whether one seed's pair of values satisfies the relation. */
static int seed_holds(const struct relation *relation, double a, double b)
{
    double m = relation->margin;
    int rising = relation->op == OP_GT || relation->op == OP_GE;
    enum op op = rising ? relation->op : op_mirrored(relation->op);
    switch (relation->margin_kind) {
    case MARGIN_BY:
        return rising ? op_holds(a - b, op, m) : op_holds(b - a, op, m);
    case MARGIN_BY_FACTOR:
        return rising ? op_holds(a, op, m * b) : op_holds(b, op, m * a);
    case MARGIN_WITHIN:
        return fabs(a - b) <= m;
    case MARGIN_WITHIN_FACTOR:
        return a <= m * b && b <= m * a;
    default:
        return op_holds(a, relation->op, b);
    }
}

struct series series_share(struct reader *r, const struct relation *relation)
{
    struct series side[2];
    struct linear number = linear_of(relation->side[1]);
    side[0] = series_of(r, relation->side[0], NULL);
    side[1] = number.base == NULL ? side[0] : series_of(r, relation->side[1], NULL);
    for (size_t k = 0; k < 2; k++)
        if (side[k].trouble != NULL)
            return side[k];
    struct series out = {pool_alloc(&r->pool, side[0].n, sizeof *out.at), 0, NULL, 0};
    for (size_t i = 0; i < side[0].n; i++) {
        struct value a = side[0].at[i], b = {.low = number.offset, .high = number.offset};
        size_t at = find_seed(&side[1], a.seed, 0);
        if (at == side[1].n)
            continue;
        if (number.base != NULL)
            b = side[1].at[at];
        int low = seed_holds(relation, a.low, b.high), high = seed_holds(relation, a.high, b.low);
        int within = relation->margin_kind == MARGIN_WITHIN || relation->margin_kind == MARGIN_WITHIN_FACTOR;
        if (low != high || (within && (a.low < a.high || b.low < b.high)))
            return troubled(sentence(r, "was not trained long enough to tell", "the share", a.seed, 0, 0), 1);
        out.at[out.n++] = (struct value){a.seed, a.diverged | b.diverged, low, low, 0.0};
    }
    if (out.n == 0)
        return troubled("no seed is common to all references", 1);
    return out;
}

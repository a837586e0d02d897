#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <string.h>

/* A claim is a conjunction of parts: each is one comparison of two quantities, or of one with a number. */

static int rises(enum op op)
{
    return op == OP_GT || op == OP_GE;
}

/* Sides a and b, none of them constant. The offsets of the sides go into the margin. */
static void fill_pair(struct reader *r, struct part *part, struct linear a, struct linear b, int column)
{
    const struct relation *relation = part->relation;
    double shift = b.offset - a.offset;              /* of ka * a - kb * b, the claimed excess without a margin */
    part->a = a.base;
    part->b = b.base;
    part->ka = a.k;
    part->kb = b.k;
    part->direction = 1;
    if (relation->margin_kind == MARGIN_BY_FACTOR || relation->margin_kind == MARGIN_WITHIN_FACTOR) {
        part->factor = 1;
        part->margin = relation->margin;
        if (shift != 0.0 || a.offset != 0.0 || !(a.k > 0.0) || !(b.k > 0.0))
            pool_fail(&r->pool, column, "a factor compares positive quantities, without numbers added to them");
    } else if (part->op == OP_EQ) {
        part->margin = relation->margin;
        part->center = shift;
    } else {
        part->margin = relation->margin + (rises(part->op) ? shift : -shift);
    }
}

/* `a - b OP number` is the comparison of a with b by that number: each side then keeps its own scale. */
static int split_difference(struct linear left, struct linear *a, struct linear *b)
{
    if (left.base == NULL || left.base->kind != NODE_SUB)
        return 0;
    *a = linear_of(left.base->kid[0]);
    *b = linear_of(left.base->kid[1]);
    *a = (struct linear){left.k * a->k, left.k * a->offset + left.offset, a->base};
    *b = (struct linear){left.k * b->k, left.k * b->offset, b->base};
    return 1;
}

static void fill_comparison(struct reader *r, struct part *part)
{
    const struct relation *relation = part->relation;
    const struct node *left = relation->side[0], *right = relation->side[1];
    struct linear b = linear_of(right), a, other;
    part->op = relation->op;
    if (is_special(left)) {
        part->a = left;
        part->b = b.base;
        part->ka = part->kb = 1.0;
        part->number = b.offset;
        part->margin = relation->margin;
        part->factor = relation->margin_kind == MARGIN_BY_FACTOR || relation->margin_kind == MARGIN_WITHIN_FACTOR;
        part->direction = b.base != NULL || left->kind == NODE_IDENTITY ||
                          (left->kind == NODE_SPEARMAN && b.offset == 0.0);
        return;
    }
    a = linear_of(left);
    if (b.base != NULL) {
        fill_pair(r, part, a, b, relation->column);
    } else if (relation->margin_kind != MARGIN_WITHIN_FACTOR && split_difference(a, &a, &other)) {
        other.offset += b.offset;
        fill_pair(r, part, a, other, relation->column);
    } else {
        part->a = a.base;
        part->ka = a.k;
        part->offset = a.offset;
        part->number = b.offset;
        part->margin = relation->margin;
        part->factor = relation->margin_kind == MARGIN_WITHIN_FACTOR;
        part->direction = a.base->kind == NODE_SLOPE && a.offset == b.offset;
        if (part->factor && (a.offset != 0.0 || !(a.k > 0.0)))
            pool_fail(&r->pool, relation->column,
                      "a factor compares positive quantities, without numbers added to them");
    }
}

static struct parts parts_monotone(struct reader *r, const struct relation *relation)
{
    size_t n;
    const char **value = read_axis(r, relation->side[0], relation->axis, NULL, &n);
    if (n < 2)
        pool_fail(&r->pool, relation->column, "monotone needs at least two values of %.60s", relation->axis);
    struct parts parts = {pool_alloc(&r->pool, n - 1, sizeof *parts.at), n - 1};
    struct binding *binding = pool_alloc(&r->pool, n, sizeof *binding);
    for (size_t i = 0; i < n; i++)
        binding[i] = (struct binding){relation->axis, value[i], NULL};
    struct linear side = linear_of(relation->side[0]);
    if (side.base == NULL)
        pool_fail(&r->pool, relation->column, "monotone needs a result");
    for (size_t i = 0; i + 1 < n; i++) {
        struct part *part = &parts.at[i];
        part->relation = relation;
        part->op = relation->op;
        fill_pair(r, part, side, side, relation->column);
        part->bind_a = &binding[i + 1];
        part->bind_b = &binding[i];
        if (relation->margin_kind == MARGIN_WITHIN)       /* slack: a step may go back by that much */
            part->margin = -relation->margin;
    }
    return parts;
}

static struct parts parts_relation(struct reader *r, const struct relation *relation)
{
    struct parts parts;
    if (relation->kind == REL_MONOTONE) {
        parts = parts_monotone(r, relation);
    } else {
        parts.n = relation->n_sides - 1;
        parts.at = pool_alloc(&r->pool, parts.n, sizeof *parts.at);
        for (size_t i = 0; i < parts.n; i++) {
            parts.at[i].relation = relation;
            parts.at[i].op = relation->op;
            if (relation->kind == REL_RANKING)
                fill_pair(r, &parts.at[i], linear_of(relation->side[i]), linear_of(relation->side[i + 1]),
                          relation->column);
            else
                fill_comparison(r, &parts.at[i]);
        }
    }
    for (size_t i = 0; i < parts.n; i++)
        parts.at[i].seedless = is_seedless(r, parts.at[i].a) &&
                               (parts.at[i].b == NULL || is_seedless(r, parts.at[i].b));
    return parts;
}

struct parts parts_of(struct reader *r, const struct relations *relations)
{
    struct parts all = {NULL, 0};
    for (size_t i = 0; i < relations->n; i++) {
        struct parts some = parts_relation(r, relations->at[i]);
        struct part *at = pool_alloc(&r->pool, all.n + some.n, sizeof *at);
        if (all.n > 0)
            memcpy(at, all.at, all.n * sizeof *at);
        memcpy(at + all.n, some.at, some.n * sizeof *at);
        all.at = at;
        all.n += some.n;
    }
    return all;
}

/* ---- checks without data ----------------------------------------------------------------------------------------- */

struct visit {
    claim_visitor *visitor;
    void *arg;
};

static int check_node(struct reader *r, const struct node *node, const struct binding *binding,
                      const struct visit *visit);

static void check_identity(struct reader *r, const struct node *node)
{
    const char *nearest = NULL;
    int status = r->source->identity == NULL ? -1
                 : r->source->identity(r->source->ctx, node->name, node->key, node->n_keys, NULL, NULL, &nearest);
    if (status < 0)
        pool_fail(&r->pool, node->column, "unknown identity '%.60s'%s%.60s%s", node->name,
                  nearest ? "; the nearest is '" : "", nearest ? nearest : "", nearest ? "'" : "");
}

static int check_over(struct reader *r, const struct node *node, const struct binding *binding,
                      const struct visit *visit)
{
    size_t n;
    const char **value = read_axis(r, node, node->name, binding, &n);
    double *x = pool_alloc(&r->pool, n, sizeof *x);
    int numbers = axis_numbers(value, n, x), differ = 0, positive = 1;
    for (size_t i = 0; numbers && i < n; i++) {
        differ |= x[i] < x[0] || x[i] > x[0];
        positive &= x[i] > 0.0;
    }
    if (node->kind == NODE_SLOPE && (!numbers || !differ))
        pool_fail(&r->pool, node->column, "a slope needs two different numbers as values of %.60s", node->name);
    if (node->log_axis && !positive)
        pool_fail(&r->pool, node->column, "log(%.60s) needs positive values", node->name);
    if (node->kind == NODE_SPEARMAN && n < 3)
        pool_fail(&r->pool, node->column, "a rank correlation needs at least three values of %.60s", node->name);
    for (size_t i = 0; i < n; i++) {
        struct binding inner = {node->name, value[i], binding};
        int stop = check_node(r, node->kid[0], &inner, visit);
        if (stop != 0)
            return stop;
    }
    return 0;
}

static int check_node(struct reader *r, const struct node *node, const struct binding *binding,
                      const struct visit *visit)
{
    int stop = 0;
    switch (node->kind) {
    case NODE_REF: {
        struct point point = read_point(r, node, binding);
        return visit->visitor == NULL ? 0 : visit->visitor(visit->arg, point.metric_name, point.key, point.n_keys);
    }
    case NODE_IDENTITY:
        check_identity(r, node);
        return 0;
    case NODE_SHARE:
        for (size_t i = 0; stop == 0 && i < 2; i++)
            stop = check_node(r, node->relation->side[i], binding, visit);
        return stop;
    case NODE_MIN_OVER:
    case NODE_MAX_OVER:
    case NODE_MEAN_OVER:
    case NODE_SLOPE:
    case NODE_SPEARMAN:
        return check_over(r, node, binding, visit);
    case NODE_STEPS_TO:
        if (r->source->steps_to == NULL)
            pool_fail(&r->pool, node->column, "no learning curves are kept here, so there is no steps_to");
        break;
    default:
        break;
    }
    for (size_t i = 0; stop == 0 && i < node->n_kids; i++)
        stop = check_node(r, node->kid[i], binding, visit);
    return stop;
}

/* A threshold on a proportion that its test set cannot resolve is refused. */
static void check_threshold(struct reader *r, const struct node *side, const struct node *number, int column)
{
    struct linear a = linear_of(side);
    struct linear b = linear_of(number);
    if (b.base != NULL || a.base == NULL || is_special(a.base) || scale_of(r, a.base) != CLAIM_LOGIT)
        return;
    double c = (b.offset - a.offset) / a.k, needs = stats_resolves_needs(c);
    char short_c[32];
    stats_format_short(short_c, sizeof short_c, c);
    if (isinf(needs))
        pool_fail(&r->pool, column, "a proportion is held against a number between 0 and 1, not %s", short_c);
    const struct node *ref = only_ref(a.base);
    long n = ref != NULL ? read_metric(r, ref).n_examples : 0;
    if (n > 0 && !stats_resolves(c, (double)n))
        pool_fail(&r->pool, column, "%ld test examples cannot resolve a threshold of %s: that needs %.0f", n, short_c,
                  needs);
}

int check_relations(struct reader *r, const struct relations *relations, claim_visitor *visitor, void *arg)
{
    struct visit visit = {visitor, arg};
    for (size_t i = 0; i < relations->n; i++) {
        const struct relation *relation = relations->at[i];
        if (relation->kind == REL_COMPARE && relation->op != OP_EQ)
            check_threshold(r, relation->side[0], relation->side[1], relation->column);
        const struct relation *inner = relation->side[0]->relation;
        if (inner != NULL && inner->op != OP_EQ)
            check_threshold(r, inner->side[0], inner->side[1], inner->column);
        struct parts parts = parts_relation(r, relation);
        for (size_t k = 0; k < parts.n; k++) {
            int stop = check_node(r, parts.at[k].a, parts.at[k].bind_a, &visit);
            if (stop == 0 && parts.at[k].b != NULL)
                stop = check_node(r, parts.at[k].b, parts.at[k].bind_b, &visit);
            if (stop != 0)
                return stop;
        }
    }
    return 0;
}

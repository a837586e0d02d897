#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <string.h>

int is_special(const struct node *node)
{
    return node->kind >= NODE_SPEARMAN;
}

static int is_over(const struct node *node)
{
    return (node->kind >= NODE_MIN_OVER && node->kind <= NODE_SLOPE) || node->kind == NODE_SPEARMAN;
}

/* Numbers only, as in log(2) or 0.5 * 3. */
static int fold(const struct node *node, double *out)
{
    double v = 0.0, best = 0.0;
    if (node->kind < NODE_ABS || node->kind > NODE_MEAN)
        return 0;
    for (size_t i = 0; i < node->n_kids; i++) {
        struct linear kid = linear_of(node->kid[i]);
        if (kid.base != NULL)
            return 0;
        v = kid.offset;
        if (i == 0)
            best = v;
        else
            best = node->kind == NODE_MIN ? fmin(best, v) : node->kind == NODE_MAX ? fmax(best, v) : best + v;
    }
    switch (node->kind) {
    case NODE_ABS: *out = fabs(v); break;
    case NODE_LOG: *out = log(v); break;
    case NODE_EXP: *out = exp(v); break;
    case NODE_SQRT: *out = sqrt(v); break;
    case NODE_MEAN: *out = best / (double)node->n_kids; break;
    default: *out = best; break;
    }
    return 1;
}

struct linear linear_of(const struct node *node)
{
    struct linear self = {1.0, 0.0, node}, a, b;
    double number;
    switch (node->kind) {
    case NODE_NUMBER:
        return (struct linear){0.0, node->number, NULL};
    case NODE_NEG:
        a = linear_of(node->kid[0]);
        return (struct linear){-a.k, -a.offset, a.base};
    case NODE_ADD:
    case NODE_SUB:
        a = linear_of(node->kid[0]);
        b = linear_of(node->kid[1]);
        if (a.base != NULL && b.base != NULL)
            return self;
        if (node->kind == NODE_SUB)
            b = (struct linear){-b.k, -b.offset, b.base};
        return (struct linear){a.k + b.k, a.offset + b.offset, a.base != NULL ? a.base : b.base};
    case NODE_MUL:
    case NODE_DIV:
        a = linear_of(node->kid[0]);
        b = linear_of(node->kid[1]);
        if (b.base != NULL && (a.base != NULL || node->kind == NODE_DIV))
            return self;
        if (b.base != NULL) {
            struct linear swap = a;
            a = b;
            b = swap;
        }
        number = node->kind == NODE_DIV ? 1.0 / b.offset : b.offset;
        if (number == 0.0)                        /* nothing is left of the result */
            return (struct linear){0.0, 0.0, NULL};
        return (struct linear){a.k * number, a.offset * number, a.base};
    default:
        if (fold(node, &number))
            return (struct linear){0.0, number, NULL};
        return self;
    }
}

const struct node *only_ref(const struct node *node)
{
    while (node->kind >= NODE_MIN_OVER && node->kind <= NODE_MEAN_OVER)
        node = node->kid[0];
    return node->kind == NODE_REF ? node : NULL;
}

enum claim_scale scale_of(struct reader *r, const struct node *node)
{
    enum claim_scale scale = CLAIM_RAW;
    switch (node->kind) {
    case NODE_REF:
        return read_metric(r, node).scale;
    case NODE_MIN:
    case NODE_MAX:
    case NODE_MEAN:
    case NODE_MIN_OVER:
    case NODE_MAX_OVER:
    case NODE_MEAN_OVER:
        scale = scale_of(r, node->kid[0]);
        for (size_t i = 1; i < node->n_kids; i++)
            if (scale_of(r, node->kid[i]) != scale)
                return CLAIM_RAW;
        return scale;
    case NODE_EXP:
        return CLAIM_LOG;
    case NODE_SQRT:
        return scale_of(r, node->kid[0]) == CLAIM_LOG ? CLAIM_LOG : CLAIM_RAW;
    case NODE_MUL:
    case NODE_DIV:
        for (size_t i = 0; i < 2; i++) {
            struct linear side = linear_of(node->kid[i]);
            int positive = side.base == NULL ? side.offset > 0.0 : side.k > 0.0 && side.offset == 0.0;
            if (!positive || (side.base != NULL && scale_of(r, side.base) != CLAIM_LOG))
                return CLAIM_RAW;
        }
        return CLAIM_LOG;
    default:
        return CLAIM_RAW;
    }
}

int is_seedless(struct reader *r, const struct node *node)
{
    if (node->kind == NODE_IDENTITY)
        return 1;
    if (node->kind == NODE_SHARE)
        return is_seedless(r, node->relation->side[0]) && is_seedless(r, node->relation->side[1]);
    if (node->kind == NODE_REF)
        return read_metric(r, node).seedless;
    for (size_t i = 0; i < node->n_kids; i++)
        if (!is_seedless(r, node->kid[i]))
            return 0;
    return 1;
}

struct claim_metric read_metric(struct reader *r, const struct node *ref)
{
    struct claim_metric metric = {0};
    const char *nearest = NULL;
    metric.chance = metric.worst = STATS_NAN;
    if (r->source->metric(r->source->ctx, ref->name, &metric, &nearest) != 0) {
        const char *hyphen = strchr(ref->name, '-') != NULL ? " (a subtraction needs blanks around its minus)" : "";
        if (nearest != NULL)
            pool_fail(&r->pool, ref->column, "unknown metric '%.60s'; the nearest is '%.60s'%s", ref->name, nearest,
                      hyphen);
        pool_fail(&r->pool, ref->column, "unknown metric '%.60s'%s", ref->name, hyphen);
    }
    return metric;
}

static struct claim_axes read_axes(struct reader *r, const struct node *ref, const struct claim_key *key, size_t n)
{
    struct claim_axes axes = {0};
    int status = r->source->axes(r->source->ctx, ref->name, key, n, &axes);
    if (status == CLAIM_AXES_OK)
        return axes;
    const struct claim_key *bad = axes.bad < n ? &key[axes.bad] : NULL;
    const char *near = axes.nearest;
    if (bad != NULL && status == CLAIM_UNKNOWN_VALUE)
        pool_fail(&r->pool, ref->column, "%.60s has no value '%.60s' of %.60s%s%.60s%s", ref->name, bad->value,
                  bad->key, near ? "; the nearest is '" : "", near ? near : "", near ? "'" : "");
    pool_fail(&r->pool, ref->column, "%.60s has no key '%.60s'%s%.60s%s", ref->name, bad ? bad->key : "?",
              near ? "; the nearest is '" : "", near ? near : "", near ? "'" : "");
}

static const struct claim_axis *find_axis(const struct claim_axes *axes, const char *key)
{
    for (size_t i = 0; i < axes->n; i++)
        if (strcmp(axes->axis[i].key, key) == 0)
            return &axes->axis[i];
    return NULL;
}

/* The keys of a reference: its own, and those that an enclosing "over" binds, where they are axes of it. */
static struct claim_axes read_keys(struct reader *r, const struct node *ref, const struct binding *binding,
                                   struct claim_key *key, size_t *n)
{
    *n = ref->n_keys;
    for (size_t i = 0; i < *n; i++)
        key[i] = ref->key[i];
    struct claim_axes axes = read_axes(r, ref, key, *n);
    for (; binding != NULL; binding = binding->up) {
        if (find_axis(&axes, binding->key) == NULL)
            continue;
        if (*n == MAX_KEYS)
            pool_fail(&r->pool, ref->column, "more than %d keys", MAX_KEYS);
        key[*n] = (struct claim_key){binding->key, binding->value};
        *n += 1;
        axes = read_axes(r, ref, key, *n);
    }
    return axes;
}

static void list_values(struct text *text, const struct claim_axis *axis)
{
    for (size_t i = 0; i < axis->n_values; i++) {
        text_add(text, "%s%.40s", i > 0 ? ", " : "", axis->values[i]);
        if (i == 5 && axis->n_values > 7) {
            text_add(text, ", ...");
            break;
        }
    }
}

struct point read_point(struct reader *r, const struct node *ref, const struct binding *binding)
{
    struct claim_key key[MAX_KEYS];
    struct point point = {.metric_name = ref->name, .metric = read_metric(r, ref)};
    struct claim_axes axes = read_keys(r, ref, binding, key, &point.n_keys);
    for (size_t i = 0; i < axes.n; i++) {
        const struct claim_axis *axis = &axes.axis[i];
        if (axis->n_values < 2)
            continue;
        char list[200] = "";
        struct text text = {list, sizeof list, 0};
        list_values(&text, axis);
        pool_fail(&r->pool, ref->column, "%.60s leaves %.60s open (%s): fix it, or say 'mean over %.60s'", ref->name,
                  axis->key, list, axis->key);
    }
    point.key = pool_alloc(&r->pool, point.n_keys, sizeof *point.key);
    for (size_t i = 0; i < point.n_keys; i++)
        point.key[i] = key[i];
    return point;
}

struct axis_search {
    const struct node *over;
    const char *key;
    const struct binding *binding;
    const char **value;
    size_t n;
    char known[160];
    struct text text;
};

static void search_axis(struct reader *r, const struct node *node, struct axis_search *search)
{
    if (is_over(node) && strcmp(node->name, search->key) == 0)
        return;                                          /* bound again further inside */
    for (size_t i = 0; i < node->n_kids; i++)
        search_axis(r, node->kid[i], search);
    if (node->kind != NODE_REF)
        return;
    struct claim_key key[MAX_KEYS];
    size_t n_keys;
    read_metric(r, node);
    struct claim_axes axes = read_keys(r, node, search->binding, key, &n_keys);
    const struct claim_axis *axis = find_axis(&axes, search->key);
    for (size_t i = 0; axis == NULL && i < axes.n; i++)
        text_add(&search->text, "%s%.40s", search->text.used > 0 ? ", " : "", axes.axis[i].key);
    if (axis == NULL)
        return;
    int differs = search->value != NULL && axis->n_values != search->n;
    for (size_t i = 0; search->value != NULL && !differs && i < search->n; i++)
        differs = strcmp(search->value[i], axis->values[i]) != 0;
    if (differs)
        pool_fail(&r->pool, node->column, "%.60s has other values of %.60s than what stands before it", node->name,
                  search->key);
    if (search->value != NULL)
        return;
    search->n = axis->n_values;
    search->value = pool_alloc(&r->pool, search->n, sizeof *search->value);
    for (size_t i = 0; i < search->n; i++)
        search->value[i] = pool_copy(&r->pool, axis->values[i], strlen(axis->values[i]));
}

const char **read_axis(struct reader *r, const struct node *over, const char *key, const struct binding *binding,
                       size_t *n)
{
    struct axis_search search = {.over = over, .key = key, .binding = binding};
    search.text = (struct text){search.known, sizeof search.known, 0};
    /* an "over" node names the axis itself: look into what it encloses */
    if (is_over(over) && over->name == key)
        search_axis(r, over->kid[0], &search);
    else
        search_axis(r, over, &search);
    if (search.value == NULL || search.n == 0)
        pool_fail(&r->pool, over->column, "nothing here has an open axis %.60s%s%s", key,
                  search.text.used > 0 ? "; open: " : "", search.known);
    *n = search.n;
    return search.value;
}

int axis_numbers(const char *const *value, size_t n, double *out)
{
    for (size_t i = 0; i < n; i++) {
        const char *end = stats_parse(value[i], &out[i]);
        if (end == value[i] || *end != '\0')
            return 0;
    }
    return 1;
}

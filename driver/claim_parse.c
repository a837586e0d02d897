#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Recursive descent without a separate lexer, because a VALUE between brackets may be nearly anything. */

int parse_column(const struct parser *p)
{
    return (int)(p->at - p->start) + 1;
}

/* What stands here, for a message: a word, a number or one character. */
static void quote_here(const struct parser *p, char *out, size_t size)
{
    size_t n = strcspn(p->at, " \t\n\r,()[]<>=+*/");
    if (*p->at == '\0')
        snprintf(out, size, "the end");
    else
        snprintf(out, size, "'%.*s'", (int)(n == 0 ? 1 : n < 40 ? n : 40), p->at);
}

void parse_fail(struct parser *p, const char *expected)
{
    char here[64];
    parse_space(p);
    quote_here(p, here, sizeof here);
    pool_fail(p->pool, parse_column(p), "expected %s, found %s", expected, here);
}

void parse_space(struct parser *p)
{
    p->at += strspn(p->at, " \t\n\r");
}

int parse_symbol(struct parser *p, const char *symbol)
{
    parse_space(p);
    size_t n = strlen(symbol);
    if (strncmp(p->at, symbol, n) != 0)
        return 0;
    p->at += n;
    return 1;
}

static void need_symbol(struct parser *p, const char *symbol)
{
    char expected[16];
    snprintf(expected, sizeof expected, "'%s'", symbol);
    if (!parse_symbol(p, symbol))
        parse_fail(p, expected);
}

static int is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Length of the name at s. Hyphens, dots and at-signs belong to it where a letter or a digit follows. */
static size_t name_length(const char *s)
{
    size_t n = 0;
    if (!is_letter(s[0]))
        return 0;
    while (is_letter(s[n]) || is_digit(s[n]) ||
           (s[n] != '\0' && strchr("-.@", s[n]) != NULL && (is_letter(s[n + 1]) || is_digit(s[n + 1]))))
        n++;
    return n;
}

static int is_name(const char *s, size_t n, const char *word)
{
    return strlen(word) == n && strncmp(s, word, n) == 0;
}

int parse_word(struct parser *p, const char *word)
{
    parse_space(p);
    size_t n = name_length(p->at);
    if (n == 0 || !is_name(p->at, n, word))
        return 0;
    p->at += n;
    return 1;
}

static int is_reserved(const char *s, size_t n)
{
    static const char *const word[] = {"over", "by", "within", "and", "up", "down", "factor"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (is_name(s, n, word[i]))
            return 1;
    return 0;
}

const char *parse_name(struct parser *p, const char *what)
{
    parse_space(p);
    size_t n = name_length(p->at);
    if (n == 0 || is_reserved(p->at, n))
        parse_fail(p, what);
    const char *name = pool_copy(p->pool, p->at, n);
    p->at += n;
    return name;
}

double parse_number(struct parser *p)
{
    parse_space(p);
    double x = 0.0;
    const char *end = stats_parse(p->at, &x);
    if (end == p->at)
        parse_fail(p, "a number");
    if (is_letter(*end) || !isfinite(x))
        pool_fail(p->pool, parse_column(p), "'%.40s' does not start with a number", p->at);
    p->at = end;
    return parse_symbol(p, "%") ? x / 100.0 : x;
}

struct node *node_new(struct parser *p, enum node_kind kind, int column)
{
    struct node *node = pool_alloc(p->pool, 1, sizeof *node);
    node->kind = kind;
    node->column = column;
    return node;
}

void node_add(struct parser *p, struct node *node, struct node *kid)
{
    struct node **kids = pool_alloc(p->pool, node->n_kids + 1, sizeof *kids);
    for (size_t i = 0; i < node->n_kids; i++)
        kids[i] = node->kid[i];
    kids[node->n_kids++] = kid;
    node->kid = kids;
}

/* Follows "over": an axis. */
static void parse_axis(struct parser *p, struct node *over)
{
    over->name = parse_name(p, "a key");
    if (strcmp(over->name, "seed") == 0)
        pool_fail(p->pool, parse_column(p), "seeds are the replicates: every value is taken over them already");
}

/* "mean over KEY" and its kin, or NULL and nothing taken: `mean` may also be the start of something else. */
static struct node *parse_reduction(struct parser *p)
{
    static const struct { const char *word; enum node_kind kind; } known[] = {
        {"mean", NODE_MEAN_OVER}, {"min", NODE_MIN_OVER}, {"max", NODE_MAX_OVER}};
    parse_space(p);
    const char *start = p->at;
    int column = parse_column(p);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (!parse_word(p, known[i].word))
            continue;
        if (parse_word(p, "over")) {
            struct node *over = node_new(p, known[i].kind, column);
            parse_axis(p, over);
            return over;
        }
        p->at = start;
    }
    return NULL;
}

static struct node *wrap(struct parser *p, struct node *over, struct node *inner)
{
    node_add(p, over, inner);
    return over;
}

static const char *parse_value(struct parser *p)
{
    parse_space(p);
    if (*p->at == '"') {
        const char *end = strchr(p->at + 1, '"');
        if (end == NULL)
            pool_fail(p->pool, parse_column(p), "the quote is not closed");
        const char *value = pool_copy(p->pool, p->at + 1, (size_t)(end - p->at - 1));
        p->at = end + 1;
        return value;
    }
    size_t n = strcspn(p->at, ",[]<>=");
    size_t rest = n;
    while (n > 0 && strchr(" \t\n\r", p->at[n - 1]) != NULL)
        n--;
    if (n == 0)
        parse_fail(p, "a value");
    const char *value = pool_copy(p->pool, p->at, n);
    p->at += rest;
    return value;
}

static void parse_key(struct parser *p, struct node *ref)
{
    parse_space(p);
    int column = parse_column(p);
    const char *key = parse_name(p, "KEY=VALUE or 'mean over KEY'");
    if (strcmp(key, "seed") == 0)
        pool_fail(p->pool, column, "a claim cannot fix the seed: seeds are the replicates");
    for (size_t i = 0; i < ref->n_keys; i++)
        if (strcmp(ref->key[i].key, key) == 0)
            pool_fail(p->pool, column, "'%s' is fixed twice", key);
    if (ref->n_keys == MAX_KEYS)
        pool_fail(p->pool, column, "more than %d keys", MAX_KEYS);
    need_symbol(p, "=");
    struct claim_key *keys = pool_alloc(p->pool, ref->n_keys + 1, sizeof *keys);
    for (size_t i = 0; i < ref->n_keys; i++)
        keys[i] = ref->key[i];
    keys[ref->n_keys].key = key;
    keys[ref->n_keys++].value = parse_value(p);
    ref->key = keys;
}

/* "[" item { "," item } "]" onto ref; the reductions wrap it, and the outermost is returned. */
static struct node *parse_brackets(struct parser *p, struct node *ref, int reductions)
{
    struct node *top = ref;
    if (!parse_symbol(p, "["))
        return top;
    do {
        struct node *over = reductions ? parse_reduction(p) : NULL;
        if (over != NULL)
            top = wrap(p, over, top);
        else
            parse_key(p, ref);
    } while (parse_symbol(p, ","));
    need_symbol(p, "]");
    return top;
}

void parse_keys(struct parser *p, struct node *ref, int reductions)
{
    parse_brackets(p, ref, reductions);
}

struct node *parse_ref(struct parser *p)
{
    parse_space(p);
    struct node *ref = node_new(p, NODE_REF, parse_column(p));
    ref->name = parse_name(p, "a metric");
    struct node *top = parse_brackets(p, ref, 1);
    for (struct node *over; (over = parse_reduction(p)) != NULL;)
        top = wrap(p, over, top);
    return top;
}

/* Inside the bracket of min, max or mean: arguments, or one expression "over KEY". */
static struct node *parse_gather(struct parser *p, enum node_kind list, enum node_kind over, int column)
{
    struct node *node = node_new(p, list, column);
    do
        node_add(p, node, parse_expr(p));
    while (parse_symbol(p, ","));
    if (parse_word(p, "over")) {
        if (node->n_kids != 1)
            pool_fail(p->pool, column, "either several values or one 'over KEY'");
        node->kind = over;
        parse_axis(p, node);
    }
    return node;
}

static struct node *parse_slope(struct parser *p, int column)
{
    struct node *node = node_new(p, NODE_SLOPE, column);
    node_add(p, node, parse_expr(p));
    if (!parse_word(p, "over"))
        parse_fail(p, "'over KEY'");
    const char *start = p->at;
    if (parse_word(p, "log") && parse_symbol(p, "(")) {
        node->log_axis = 1;
        parse_axis(p, node);
        need_symbol(p, ")");
    } else {
        p->at = start;
        parse_axis(p, node);
    }
    return node;
}

/* A function whose name and bracket were taken. */
static struct node *parse_call(struct parser *p, const char *name, int column)
{
    static const struct { const char *name; enum node_kind kind, over; } known[] = {
        {"abs", NODE_ABS, NODE_ABS}, {"log", NODE_LOG, NODE_LOG}, {"exp", NODE_EXP, NODE_EXP},
        {"sqrt", NODE_SQRT, NODE_SQRT}, {"min", NODE_MIN, NODE_MIN_OVER}, {"max", NODE_MAX, NODE_MAX_OVER},
        {"mean", NODE_MEAN, NODE_MEAN_OVER}};
    struct node *node = NULL;
    if (strcmp(name, "slope") == 0)
        node = parse_slope(p, column);
    for (size_t i = 0; node == NULL && i < sizeof known / sizeof *known; i++) {
        if (strcmp(name, known[i].name) != 0)
            continue;
        if (known[i].kind != known[i].over) {
            node = parse_gather(p, known[i].kind, known[i].over, column);
        } else {
            node = node_new(p, known[i].kind, column);
            node_add(p, node, parse_expr(p));
        }
    }
    if (node == NULL)
        pool_fail(p->pool, column,
                  "unknown function '%.60s'; there are abs, log, exp, sqrt, min, max, mean, slope, share, spread, "
                  "spearman, steps_to, identity, ranking, monotone", name);
    need_symbol(p, ")");
    return node;
}

static int is_alone(const char *s, size_t n)
{
    static const char *const word[] = {"share", "spread", "spearman", "steps_to", "identity", "ranking", "monotone"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (is_name(s, n, word[i]))
            return 1;
    return 0;
}

static struct node *parse_factor(struct parser *p)
{
    parse_space(p);
    int column = parse_column(p);
    if (++p->depth > MAX_DEPTH)
        pool_fail(p->pool, column, "nested more than %d deep", MAX_DEPTH);
    struct node *node = NULL;
    size_t n = name_length(p->at);
    const char *after = p->at + n + strspn(p->at + n, " \t\n\r");
    if (parse_symbol(p, "(")) {
        node = parse_expr(p);
        need_symbol(p, ")");
    } else if (*p->at == '-') {
        p->at++;
        node = node_new(p, NODE_NEG, column);
        node_add(p, node, parse_factor(p));
    } else if (is_digit(*p->at) || *p->at == '.') {
        node = node_new(p, NODE_NUMBER, column);
        node->number = parse_number(p);
    } else if (n > 0 && *after == '(' && !is_reserved(p->at, n)) {
        if (is_alone(p->at, n))
            pool_fail(p->pool, column, "%.*s(...) stands alone: it cannot be part of an expression", (int)n, p->at);
        const char *name = pool_copy(p->pool, p->at, n);
        p->at = after + 1;
        node = parse_call(p, name, column);
    } else if (n > 0) {
        node = parse_ref(p);
    } else {
        parse_fail(p, "a metric, a number or a function");
    }
    p->depth--;
    return node;
}

static struct node *parse_binary(struct parser *p, struct node *left, enum node_kind kind,
                                 struct node *(*next)(struct parser *))
{
    struct node *node = node_new(p, kind, left->column);
    node_add(p, node, left);
    node_add(p, node, next(p));
    return node;
}

static struct node *parse_term(struct parser *p)
{
    struct node *node = parse_factor(p);
    for (;;) {
        if (parse_symbol(p, "*"))
            node = parse_binary(p, node, NODE_MUL, parse_factor);
        else if (parse_symbol(p, "/"))
            node = parse_binary(p, node, NODE_DIV, parse_factor);
        else
            return node;
    }
}

struct node *parse_expr(struct parser *p)
{
    struct node *node = parse_term(p);
    for (;;) {
        if (parse_symbol(p, "+"))
            node = parse_binary(p, node, NODE_ADD, parse_term);
        else if (parse_symbol(p, "-"))
            node = parse_binary(p, node, NODE_SUB, parse_term);
        else
            return node;
    }
}

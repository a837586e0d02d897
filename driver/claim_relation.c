#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TEXT = 4000 };

const char *op_text(enum op op)
{
    static const char *const text[] = {">", ">=", "<", "<=", "=="};
    return text[op];
}

enum op op_mirrored(enum op op)
{
    static const enum op mirrored[] = {OP_LT, OP_LE, OP_GT, OP_GE, OP_EQ};
    return mirrored[op];
}

int parse_op(struct parser *p, enum op *op)
{
    static const enum op order[] = {OP_GE, OP_LE, OP_EQ, OP_GT, OP_LT};   /* the longer ones first */
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        if (parse_symbol(p, op_text(order[i]))) {
            *op = order[i];
            return 1;
        }
    }
    return 0;
}

static void need_op(struct parser *p, enum op *op)
{
    if (!parse_op(p, op))
        parse_fail(p, "one of > >= < <= ==");
}

static void need_close(struct parser *p)
{
    if (!parse_symbol(p, ")"))
        parse_fail(p, "')'");
}

static void need_over(struct parser *p, const char **axis)
{
    if (!parse_word(p, "over"))
        parse_fail(p, "'over KEY'");
    *axis = parse_name(p, "a key");
}

static void parse_share(struct parser *p, struct node *node)
{
    int column = parse_column(p);
    node->relation = parse_comparison(p);
    for (size_t i = 0; i < 2; i++) {
        enum node_kind kind = node->relation->side[i]->kind;
        if (kind == NODE_SHARE || kind == NODE_SPREAD || kind == NODE_IDENTITY)
            pool_fail(p->pool, column, "a share counts seeds: inside it stands something that each seed has");
    }
}

static void parse_steps_to(struct parser *p, struct node *node)
{
    struct node *ref = parse_ref(p);
    if (ref->kind != NODE_REF)
        pool_fail(p->pool, ref->column, "steps_to reads one curve: no axis can be reduced inside it");
    node_add(p, node, ref);
    need_op(p, &node->op);
    if (node->op == OP_EQ)
        pool_fail(p->pool, parse_column(p), "a curve passes a level by <= or >=, not by ==");
    int negative = parse_symbol(p, "-");
    node->number = parse_number(p);
    if (negative)
        node->number = -node->number;
}

struct node *parse_special(struct parser *p)
{
    static const struct { const char *name; enum node_kind kind; } known[] = {
        {"share", NODE_SHARE}, {"spread", NODE_SPREAD}, {"spearman", NODE_SPEARMAN},
        {"steps_to", NODE_STEPS_TO}, {"identity", NODE_IDENTITY}};
    parse_space(p);
    const char *start = p->at;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        int column = parse_column(p);
        p->at = start;
        if (!parse_word(p, known[i].name) || !parse_symbol(p, "("))
            continue;
        struct node *node = node_new(p, known[i].kind, column);
        if (node->kind == NODE_SHARE) {
            parse_share(p, node);
        } else if (node->kind == NODE_STEPS_TO) {
            parse_steps_to(p, node);
        } else if (node->kind == NODE_IDENTITY) {
            node->name = parse_name(p, "the name of an identity");
            parse_keys(p, node, 0);
        } else {
            node_add(p, node, parse_expr(p));
            if (node->kind == NODE_SPEARMAN)
                need_over(p, &node->name);
        }
        need_close(p);
        return node;
    }
    p->at = start;
    return NULL;
}

static void parse_margin(struct parser *p, struct relation *relation)
{
    int by = parse_word(p, "by");
    if (!by && !parse_word(p, "within"))
        return;
    int factor = parse_word(p, "factor");
    parse_space(p);
    int column = parse_column(p);
    if (*p->at == '-')
        pool_fail(p->pool, column, "a margin is not negative: turn the comparison, or add a number to one side");
    relation->margin = parse_number(p);
    if (factor && !(relation->margin > 1.0))
        pool_fail(p->pool, column, "a factor is greater than 1: turn the comparison instead");
    if (!by && !factor && !(relation->margin > 0.0))
        pool_fail(p->pool, column, "'within' needs a number greater than 0");
    relation->margin_kind = by ? factor ? MARGIN_BY_FACTOR : MARGIN_BY
                               : factor ? MARGIN_WITHIN_FACTOR : MARGIN_WITHIN;
}

static int is_within(const struct relation *relation)
{
    return relation->margin_kind == MARGIN_WITHIN || relation->margin_kind == MARGIN_WITHIN_FACTOR;
}

static int is_number(const struct node *node)
{
    return !is_special(node) && linear_of(node).base == NULL;
}

/* What a special side may stand against, and with which margins. */
static void check_special(struct parser *p, const struct relation *relation)
{
    const struct node *a = relation->side[0], *b = relation->side[1];
    static const char *const name[] = {"spearman", "steps_to", "share", "spread", "identity"};
    if (!is_special(a) && !is_special(b))
        return;
    const char *word = name[(is_special(a) ? a : b)->kind - NODE_SPEARMAN];
    int column = relation->column;
    int twin = a->kind == b->kind && (a->kind == NODE_SPREAD || a->kind == NODE_STEPS_TO);
    if (!twin && !is_number(b))
        pool_fail(p->pool, column, "%s(...) is compared with a number%s", word,
                  a->kind == NODE_SPREAD || a->kind == NODE_STEPS_TO ? " or with its like" : "");
    if (relation->op == OP_EQ && !(twin && a->kind == NODE_STEPS_TO))
        pool_fail(p->pool, column, "%s(...) is compared by > >= < <=", word);
    if (a->kind == NODE_SPREAD && relation->margin_kind == MARGIN_BY)
        pool_fail(p->pool, column, "two spreads are compared by their ratio: 'by factor', or no margin");
    double c = linear_of(b).offset;
    int rising = relation->op == OP_GT || relation->op == OP_GE;
    int some = relation->op == OP_GT && c == 0.0, not_all = relation->op == OP_LT && c == 1.0;
    if (a->kind == NODE_SHARE && !(c > 0.0 && c < 1.0) && !some && !not_all)
        pool_fail(p->pool, column, "no number of seeds shows a share of exactly 0 or 1: claim one between them");
    if (a->kind == NODE_IDENTITY && (rising || !(c > 0.0)))
        pool_fail(p->pool, column, "an identity claims an error at most a number greater than 0");
}

static void check_comparison(struct parser *p, struct relation *relation)
{
    int column = relation->column;
    for (size_t i = 0; i < 2; i++) {
        struct linear side = linear_of(relation->side[i]);
        if (!isfinite(side.k) || !isfinite(side.offset))
            pool_fail(p->pool, relation->side[i]->column, "the numbers in it have no finite value");
    }
    if (is_number(relation->side[0])) {         /* the number goes to the right */
        if (is_number(relation->side[1]))
            pool_fail(p->pool, column, "two numbers are compared: nothing is claimed about a result");
        struct node *left = relation->side[0];
        relation->side[0] = relation->side[1];
        relation->side[1] = left;
        relation->op = op_mirrored(relation->op);
    }
    if (relation->op == OP_EQ && !is_within(relation))
        pool_fail(p->pool, column, "'==' needs 'within NUMBER': how far apart still counts as equal");
    if (relation->op != OP_EQ && is_within(relation))
        pool_fail(p->pool, column, "'within' goes with '=='; a difference is claimed 'by' a margin");
    int number = is_number(relation->side[1]);
    if (number && (relation->margin_kind == MARGIN_BY || relation->margin_kind == MARGIN_BY_FACTOR))
        pool_fail(p->pool, column, "a comparison with a number has no margin: put it into the number");
    if (number && relation->margin_kind == MARGIN_WITHIN_FACTOR && !(linear_of(relation->side[1]).offset > 0.0))
        pool_fail(p->pool, column, "'within factor' needs a number greater than 0");
    check_special(p, relation);
}

struct relation *parse_comparison(struct parser *p)
{
    struct relation *relation = pool_alloc(p->pool, 1, sizeof *relation);
    relation->kind = REL_COMPARE;
    relation->side = pool_alloc(p->pool, 2, sizeof *relation->side);
    relation->n_sides = 2;
    parse_space(p);
    relation->column = parse_column(p);
    if (++p->depth > MAX_DEPTH)
        pool_fail(p->pool, relation->column, "nested more than %d deep", MAX_DEPTH);
    for (size_t i = 0; i < 2; i++) {
        relation->side[i] = parse_special(p);
        if (relation->side[i] == NULL)
            relation->side[i] = parse_expr(p);
        if (i == 0)
            need_op(p, &relation->op);
    }
    enum op second;
    parse_space(p);
    int column = parse_column(p);
    if (parse_op(p, &second))
        pool_fail(p->pool, column, "a chain of comparisons is written ranking(a > b > c)");
    parse_margin(p, relation);
    check_comparison(p, relation);
    p->depth--;
    return relation;
}

static void parse_ranking(struct parser *p, struct relation *relation)
{
    relation->kind = REL_RANKING;
    struct node *list = node_new(p, NODE_MAX, relation->column);
    node_add(p, list, parse_expr(p));
    do {
        enum op op;
        parse_space(p);
        int column = parse_column(p);
        need_op(p, &op);
        if ((op != OP_GT && op != OP_LT) || (list->n_kids > 1 && op != relation->op))
            pool_fail(p->pool, column, "a ranking is all '>' or all '<'");
        relation->op = op;
        node_add(p, list, parse_expr(p));
        parse_space(p);
    } while (*p->at != ')');
    relation->side = list->kid;
    relation->n_sides = list->n_kids;
    for (size_t i = 0; i < list->n_kids; i++)
        if (is_number(list->kid[i]))
            pool_fail(p->pool, list->kid[i]->column, "a ranking is of results, not of numbers");
}

static void parse_monotone(struct parser *p, struct relation *relation)
{
    relation->kind = REL_MONOTONE;
    struct node *list = node_new(p, NODE_MAX, relation->column);
    node_add(p, list, parse_expr(p));
    relation->side = list->kid;
    relation->n_sides = 1;
    need_over(p, &relation->axis);
    if (parse_word(p, "up"))
        relation->op = OP_GT;
    else if (parse_word(p, "down"))
        relation->op = OP_LT;
    else
        parse_fail(p, "'up' or 'down'");
}

struct relation *parse_relation(struct parser *p)
{
    parse_space(p);
    const char *start = p->at;
    int column = parse_column(p);
    for (int monotone = 0; monotone < 2; monotone++) {
        if (!parse_word(p, monotone ? "monotone" : "ranking") || !parse_symbol(p, "(")) {
            p->at = start;
            continue;
        }
        struct relation *relation = pool_alloc(p->pool, 1, sizeof *relation);
        relation->column = column;
        if (monotone)
            parse_monotone(p, relation);
        else
            parse_ranking(p, relation);
        need_close(p);
        parse_margin(p, relation);
        if (relation->margin_kind == MARGIN_WITHIN_FACTOR || (is_within(relation) && !monotone))
            pool_fail(p->pool, column, "a ranking takes 'by MARGIN'; monotone takes that, or 'within NUMBER' of slack");
        return relation;
    }
    return parse_comparison(p);
}

static struct relations parse_all(struct pool *pool, const char *field, const char *text)
{
    struct parser parser = {pool, text, text, 0};
    struct relations relations = {NULL, 0};
    pool->field = field;
    if (strlen(text) > MAX_TEXT)
        pool_fail(pool, 0, "longer than %d characters", MAX_TEXT);
    do {
        struct relation **at = pool_alloc(pool, relations.n + 1, sizeof *at);
        for (size_t i = 0; i < relations.n; i++)
            at[i] = relations.at[i];
        at[relations.n] = parse_relation(&parser);
        relations.at = at;
        relations.n++;
    } while (parse_word(&parser, "and"));
    parse_space(&parser);
    if (*parser.at != '\0')
        parse_fail(&parser, "'by', 'within', 'and' or the end");
    return relations;
}

static void parse_source(struct claim *claim, const char *text)
{
    claim->pool.field = "source";
    if (text == NULL)
        pool_fail(&claim->pool, 0, "'source' is missing: a claim says where it comes from, 'paper, section or table', or 'proposal'");
    claim->paper = strncmp(text, "paper", 5) == 0 && (text[5] == ',' || text[5] == '\0');
    size_t places = claim->paper ? strspn(text + 5, ", \t") : 1;
    if (!claim->paper && strcmp(text, "proposal") != 0)
        pool_fail(&claim->pool, 1, "'%.60s' is neither 'paper, section or table' nor 'proposal'", text);
    if (claim->paper && text[5 + places] == '\0')
        pool_fail(&claim->pool, 6, "a claim of the paper names its section or table: 'paper, table 1'");
    claim->source = pool_copy(&claim->pool, text, strlen(text));
}

static void parse_alpha(struct claim *claim, const char *text)
{
    claim->pool.field = "alpha";
    const char *end = stats_parse(text, &claim->alpha);
    if (end == text || end[strspn(end, " \t")] != '\0')
        pool_fail(&claim->pool, 1, "'%.40s' is not a number", text);
    if (!(claim->alpha > 0.0) || claim->alpha > 0.05)
        pool_fail(&claim->pool, 1, "alpha lies above 0 and not above 0.05: a claim may only be stricter with itself");
}

static void parse_text(struct claim *claim, const struct claim_text *text)
{
    claim->pool.field = NULL;
    if (text->name == NULL || text->name[0] == '\0')
        pool_fail(&claim->pool, 0, "a claim needs a name");
    claim->name = pool_copy(&claim->pool, text->name, strlen(text->name));
    claim->pool.field = "that";
    if (text->that == NULL)
        pool_fail(&claim->pool, 0, "a claim needs 'that = ...'");
    claim->that = parse_all(&claim->pool, "that", text->that);
    if (text->given != NULL)
        claim->given = parse_all(&claim->pool, "given", text->given);
    parse_source(claim, text->source);
    if (text->alpha != NULL)
        parse_alpha(claim, text->alpha);
}

static int parse_guarded(struct claim *claim, const struct claim_text *text)
{
    jmp_buf out;
    claim->pool.out = &out;
    if (setjmp(out) != 0)
        return -1;
    parse_text(claim, text);
    claim->pool.out = NULL;
    claim->pool.err = NULL;
    return 0;
}

struct claim *claim_parse(const struct claim_text *text, struct claim_error *err)
{
    struct claim *claim = calloc(1, sizeof *claim);
    if (claim == NULL) {
        *err = (struct claim_error){NULL, NULL, 0, "out of memory"};
        return NULL;
    }
    claim->pool.err = err;
    if (parse_guarded(claim, text) == 0)
        return claim;
    claim_free(claim);
    return NULL;
}

void claim_free(struct claim *claim)
{
    if (claim == NULL)
        return;
    pool_free(&claim->pool);
    free(claim);
}

const char *claim_name(const struct claim *claim)
{
    return claim->name;
}

const char *claim_source_text(const struct claim *claim)
{
    return claim->source;
}

int claim_from_paper(const struct claim *claim)
{
    return claim->paper;
}

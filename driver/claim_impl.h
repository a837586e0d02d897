/* What the files of the claim language share. Private to claim_*.c and verdict.c.
 *
 * Errors and exhausted memory leave through longjmp to the public function, which frees the pool: everything that is
 * allocated below a public function comes from a pool, so nothing else needs unwinding. Callbacks are never jumped
 * over. */
#ifndef ASSAY_DRIVER_CLAIM_IMPL_H
#define ASSAY_DRIVER_CLAIM_IMPL_H

#include "claim.h"
#include "stats.h"

#include <setjmp.h>
#include <stdint.h>

/* ---- memory and errors (claim_pool.c) ---------------------------------------------------------------------------- */

struct block;

struct pool {
    struct block *first;
    jmp_buf *out;                    /* where errors go */
    struct claim_error *err;
    const char *field;               /* "that" or "given", for errors */
};

void *pool_alloc(struct pool *pool, size_t count, size_t size);   /* zeroed; does not return NULL */
char *pool_copy(struct pool *pool, const char *s, size_t n);
void pool_free(struct pool *pool);
#if defined(__GNUC__)
__attribute__((format(printf, 3, 4)))
#endif
_Noreturn void pool_fail(struct pool *pool, int column, const char *format, ...);

/* Adds to a text of fixed size; silently cuts. */
struct text {
    char *at;
    size_t size, used;
};
#if defined(__GNUC__)
__attribute__((format(printf, 2, 3)))
#endif
void text_add(struct text *text, const char *format, ...);

/* ---- the parsed claim -------------------------------------------------------------------------------------------- */

enum op { OP_GT, OP_GE, OP_LT, OP_LE, OP_EQ };

enum node_kind {
    NODE_NUMBER, NODE_REF,
    NODE_ADD, NODE_SUB, NODE_MUL, NODE_DIV, NODE_NEG,
    NODE_ABS, NODE_LOG, NODE_EXP, NODE_SQRT,
    NODE_MIN, NODE_MAX, NODE_MEAN,
    NODE_MIN_OVER, NODE_MAX_OVER, NODE_MEAN_OVER, NODE_SLOPE,
    /* these stand alone on a side */
    NODE_SPEARMAN, NODE_STEPS_TO, NODE_SHARE, NODE_SPREAD, NODE_IDENTITY
};

struct relation;

struct node {
    enum node_kind kind;
    int column;
    double number;                   /* NODE_NUMBER; the x of steps_to */
    enum op op;                      /* of steps_to */
    const char *name;                /* metric of a reference, case of an identity, KEY of an "over" */
    int log_axis;                    /* slope over log(KEY) */
    struct claim_key *key;
    size_t n_keys;
    struct node **kid;
    size_t n_kids;
    struct relation *relation;       /* NODE_SHARE */
};

enum relation_kind { REL_COMPARE, REL_RANKING, REL_MONOTONE };
enum margin_kind { MARGIN_NONE, MARGIN_BY, MARGIN_BY_FACTOR, MARGIN_WITHIN, MARGIN_WITHIN_FACTOR };

struct relation {
    enum relation_kind kind;
    int column;
    struct node **side;              /* two; several in a ranking; one in monotone */
    size_t n_sides;
    enum op op;                      /* of a ranking OP_GT or OP_LT; of monotone OP_GT for up */
    const char *axis;                /* monotone */
    enum margin_kind margin_kind;
    double margin;
};

struct relations {
    struct relation **at;
    size_t n;
};

struct claim {
    struct pool pool;
    const char *name, *source;
    int paper;
    double alpha;                    /* 0 when not given */
    struct relations that, given;
};

enum { MAX_DEPTH = 60, MAX_KEYS = 64 };

/* claim_parse.c */
struct parser {
    struct pool *pool;
    const char *start, *at;
    int depth;
};
_Noreturn void parse_fail(struct parser *p, const char *expected);
int parse_column(const struct parser *p);
void parse_space(struct parser *p);
int parse_symbol(struct parser *p, const char *symbol);          /* takes it when it stands here */
int parse_word(struct parser *p, const char *word);
double parse_number(struct parser *p);
const char *parse_name(struct parser *p, const char *what);
struct node *parse_expr(struct parser *p);
struct node *parse_ref(struct parser *p);                        /* a metric reference and nothing else */
struct node *parse_special(struct parser *p);                    /* share(...) and the like, or NULL */
int parse_op(struct parser *p, enum op *op);
struct node *node_new(struct parser *p, enum node_kind kind, int column);
void node_add(struct parser *p, struct node *node, struct node *kid);
void parse_keys(struct parser *p, struct node *ref, int reductions);

/* claim_relation.c */
struct relation *parse_relation(struct parser *p);
struct relation *parse_comparison(struct parser *p);             /* neither ranking nor monotone */
enum op op_mirrored(enum op op);

/* ---- against a source (claim_source.c) --------------------------------------------------------------------------- */

/* KEY = VALUE set by an enclosing "over". */
struct binding {
    const char *key, *value;
    const struct binding *up;
};

struct reader {
    struct pool pool;
    const struct claim_source *source;
};

struct point {                       /* a reference with all its axes fixed */
    const char *metric_name;
    struct claim_metric metric;
    struct claim_key *key;
    size_t n_keys;
};

struct claim_metric read_metric(struct reader *r, const struct node *ref);
struct point read_point(struct reader *r, const struct node *ref, const struct binding *binding);
/* the values of the axis that an "over KEY" opens; borrowed from the pool */
const char **read_axis(struct reader *r, const struct node *over, const char *key, const struct binding *binding,
                       size_t *n);
/* numbers of axis values; 0 when one is not a number */
int axis_numbers(const char *const *value, size_t n, double *out);

/* k * base + offset; base NULL for a constant */
struct linear {
    double k, offset;
    const struct node *base;
};
struct linear linear_of(const struct node *node);
/* the metric of a reference, looked at through mean, min and max over an axis; NULL for other expressions */
const struct node *only_ref(const struct node *node);
enum claim_scale scale_of(struct reader *r, const struct node *node);
int is_special(const struct node *node);
int is_seedless(struct reader *r, const struct node *node);

/* Refuses what the source does not offer. Visits points when visit is not NULL; returns its first non-zero answer. */
int check_relations(struct reader *r, const struct relations *relations, claim_visitor *visit, void *arg);

/* ---- values by seed (claim_series.c) ----------------------------------------------------------------------------- */

struct value {
    long seed;
    int diverged;
    double low, high;                /* equal, but for a censored time: [last seen, infinity) */
    double examples;                 /* of a proportion; 0 otherwise */
};

struct series {
    struct value *at;                /* in the order of seeds */
    size_t n;
    const char *trouble;             /* NULL, or why there is no answer: a sentence from the pool */
    int incomplete;                  /* the trouble is missing results, rather than values that cannot be used */
};

struct series series_of(struct reader *r, const struct node *node, const struct binding *binding);
struct series series_share(struct reader *r, const struct relation *relation);    /* 1 and 0 */

/* ---- parts of a claim and their intervals (claim_part.c, claim_interval.c) --------------------------------------- */

struct part {
    const struct relation *relation;
    const struct node *a, *b;        /* b NULL: against the number */
    const struct binding *bind_a, *bind_b;
    double ka, kb;                   /* factors of the sides */
    double offset, number;           /* when b is NULL: ka * a + offset OP number */
    double margin;                   /* excess in the claimed direction, or half-width of a within; a ratio if factor */
    double center;                   /* of a within: where the difference should lie */
    enum op op;
    int factor;
    int direction;                   /* a direction or an effect, rather than a threshold */
    int seedless;
};

struct parts {
    struct part *at;
    size_t n;
};

struct parts parts_of(struct reader *r, const struct relations *relations);

/* claim_interval.c. An interval and what it rests on. */
struct mean_interval {
    struct stats_interval interval;
    struct series series[2];
    long seeds;
    int incomplete;                  /* with a trouble: results are missing */
    int paired, no_spread;
    int too_few, censored;           /* of medians: no interval at this level; the estimate is a lower bound */
};

/* Each returns NULL, or why there is no answer. level is of both sides together, per side for a spread. */
const char *mean_interval(struct reader *r, const struct part *part, double level, struct mean_interval *out);
const char *median_interval(struct reader *r, const struct part *part, double level, struct mean_interval *out);
const char *spread_interval(struct reader *r, const struct part *part, double level, struct mean_interval *out);

/* ---- verdicts (claim_find.c, verdict.c) -------------------------------------------------------------------------- */

struct finding {
    enum claim_verdict verdict;      /* CLAIM_REFUTED_THRESHOLD stands for both kinds of refuted */
    double estimate, low, high;
    long seeds;
    size_t diverged;
    double slack;                    /* distance from being refuted, in widths of the interval; for ordering */
    char text[200];
};

/* level: error of the interval. seeds_needed: fewer are CLAIM_UNDECIDED_N. */
struct finding find_part(struct reader *r, const struct part *part, double level, long seeds_needed,
                         size_t n_claims);
/* verdict.c: an entry into functions that leave by longjmp */
struct finding combine_findings(const struct finding *f, size_t n);
/* claim_given.c: whether all parts hold, judged by the estimates alone; else *f says why not */
int given_holds(struct reader *r, const struct relations *given, struct finding *f);
const char *op_text(enum op op);
int op_holds(double a, enum op op, double b);

#endif

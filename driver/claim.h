/* The claim language: parse a claim, check it against what an experiment offers, and answer all of the
 * experiment's claims together.
 *
 * Grammar (words are case sensitive; blanks separate, newlines count as blanks):
 *
 *   claim     = relation { "and" relation }
 *   relation  = side OP side [ margin ]
 *             | "ranking" "(" expr ( ">" expr { ">" expr } | "<" expr { "<" expr } ) ")" [ margin ]
 *             | "monotone" "(" expr "over" KEY ( "up" | "down" ) ")" [ margin ]
 *   OP        = ">" | ">=" | "<" | "<=" | "=="          "==" needs a "within"
 *   margin    = "by" NUMBER | "by" "factor" NUMBER      the difference exceeds it; the ratio exceeds it
 *             | "within" NUMBER | "within" "factor" NUMBER
 *   side      = expr
 *             | "share" "(" side OP side [ margin ] ")" the share of seeds for which it holds; OP NUMBER
 *             | "spread" "(" expr ")"                   the standard deviation over seeds; OP NUMBER, or against
 *                                                       another spread, "by factor" if at all
 *             | "spearman" "(" expr "over" KEY ")"      rank correlation of the values with KEY; OP NUMBER
 *             | "steps_to" "(" ref OP NUMBER ")"        first step at which the curve passes; OP NUMBER, or against
 *                                                       another steps_to; a seed that never passes is censored
 *             | "identity" "(" NAME [ "[" keys "]" ] ")"    the largest error over declared cases; "<" or "<="
 *   expr      = term { ( "+" | "-" ) term }
 *   term      = factor { ( "*" | "/" ) factor }
 *   factor    = NUMBER [ "%" ] | "-" factor | "(" expr ")" | ref
 *             | ( "abs" | "log" | "exp" | "sqrt" ) "(" expr ")"
 *             | ( "min" | "max" | "mean" ) "(" expr { "," expr } ")"
 *             | ( "min" | "max" | "mean" ) "(" expr "over" KEY ")"
 *             | "slope" "(" expr "over" ( KEY | "log" "(" KEY ")" ) ")"    least squares
 *   ref       = METRIC [ "[" item { "," item } "]" ] { reduction }
 *   item      = KEY "=" VALUE | reduction
 *   reduction = ( "mean" | "min" | "max" ) "over" KEY
 *
 * METRIC is a name, with its evaluation before a dot: accuracy, long.accuracy. A hyphen without blanks belongs to a
 * name, so a subtraction is written with blanks. VALUE runs to the next comma or bracket, or stands in double
 * quotes. `arm` is a key like any other. `seed` cannot be fixed: seeds are the replicates.
 *
 * References in one expression are combined seed by seed. An axis that a reference neither fixes nor reduces, nor
 * binds through an enclosing "over KEY", is an error which names the axis and its values.
 *
 * What is estimated. A reference or an expression: the mean over seeds on the declared scale (logit, log or raw),
 * given back in the metric's own unit; sums of different references, and functions of them, are raw. Constant
 * factors and offsets (`1 - accuracy`, `0.9 * accuracy[..]`, `a - b > 0.1`) keep the scale of what they apply to. A
 * comparison: the difference of two such means with an interval that keeps each arm's own scale. "by factor": the
 * ratio, on logarithms. spearman and steps_to: the median over seeds (of the ratio or difference by seed when two
 * steps_to are compared), with the exact interval of the sign test, since ranks and censored times are anything but
 * normal. spread: the standard deviation in the metric's own unit, with its chi-square interval (F for two), which
 * takes the seeds for normal.
 */
#ifndef ASSAY_DRIVER_CLAIM_H
#define ASSAY_DRIVER_CLAIM_H

#include <stddef.h>

/* What a claim section says. `name` and `that` are required; `source` too: "proposal", or "paper, section or table";
 * `given` and `alpha` may be NULL. */
struct claim_text {
    const char *name, *that, *given, *source, *alpha;
};

/* One sentence, without a full stop. `field` is the key it is about ("that", "given", "source", "alpha") or NULL;
 * `column` counts from 1 within that key's value, 0 when no position applies. `claim` borrows the claim's name when
 * claim_evaluate fails, else NULL. */
struct claim_error {
    const char *claim;
    const char *field;
    int column;
    char text[400];
};

/* ---- what the results offer: filled in by the driver ------------------------------------------------------------- */

struct claim_key {
    const char *key, *value;
};

enum claim_scale { CLAIM_RAW, CLAIM_LOGIT, CLAIM_LOG };

struct claim_metric {
    enum claim_scale scale;
    int direction;        /* 1 when more is better, -1 when less is, 0 when neither */
    double chance;        /* NAN when the metric has no chance level */
    double worst;         /* the value that a diverged seed takes; NAN when none is declared */
    long n_examples;      /* of a proportion, as planned: test examples per seed; 0 when unknown or no proportion */
    int paired;           /* arms share the data stream, seed by seed */
    int cost;             /* about time or memory: an incomplete seed takes its own value, or the worst one */
    int seedless;         /* the same for every seed by construction, like a parameter count: no statistics */
};

struct claim_axis {
    const char *key;
    const char *const *values;
    size_t n_values;
};

enum claim_axes_status { CLAIM_AXES_OK = 0, CLAIM_UNKNOWN_KEY, CLAIM_UNKNOWN_VALUE };

struct claim_axes {
    const struct claim_axis *axis;   /* axes not fixed by the keys, without the seed, in the order of the grid */
    size_t n;
    size_t bad;                      /* unknown key or value: index into the keys that were given */
    const char *nearest;             /* and the nearest known one, or NULL */
};

enum claim_outcome { CLAIM_OK, CLAIM_DIVERGED, CLAIM_INCOMPLETE };

struct claim_sample {
    long seed;
    double value;
    int outcome;                     /* enum claim_outcome; a planned cell that has not run is CLAIM_INCOMPLETE */
    long n_examples;                 /* 0 when not a proportion */
};

struct claim_steps {
    long seed;
    double steps;                    /* when reached; else the last step at which the curve was seen */
    int reached;
    int outcome;                     /* diverged counts as never reached */
};

/* All pointers handed out are borrowed by the evaluator until its next call of any of these. Keys come in the order
 * of the claim; an axis with one value only may be missing from them. A callback that may be NULL says so. */
struct claim_source {
    void *ctx;
    /* 0 and *out, or -1 when unknown and *nearest is the nearest known name or NULL */
    int (*metric)(void *ctx, const char *name, struct claim_metric *out, const char **nearest);
    /* enum claim_axes_status; an axis with one value does not count as open, listed or not */
    int (*axes)(void *ctx, const char *name, const struct claim_key *key, size_t n_keys, struct claim_axes *out);
    /* 0 and the samples of one fully specified point, or -1 when there is no result at all */
    int (*samples)(void *ctx, const char *name, const struct claim_key *key, size_t n_keys,
                   const struct claim_sample **out, size_t *n);
    /* may be NULL. First step at which the learning curve of `name` is <= x (below) or >= x */
    int (*steps_to)(void *ctx, const char *name, const struct claim_key *key, size_t n_keys, int below, double x,
                    const struct claim_steps **out, size_t *n);
    /* may be NULL. 0 and the largest error over `cases` cases; -1 when unknown (*nearest); 1 when not yet measured.
     * error and cases may be NULL, when only the name is asked for */
    int (*identity)(void *ctx, const char *name, const struct claim_key *key, size_t n_keys, double *error,
                    long *cases, const char **nearest);
    /* may be NULL: then claim_metric.paired decides. 1 when seed s of one point and seed s of the other share data
     * or are the same trained network, so that the difference is taken by seed. Keys of axes that are reduced
     * ("mean over") are left out; of an expression its first reference is asked about */
    int (*paired)(void *ctx, const char *name_a, const struct claim_key *a, size_t n_a, const char *name_b,
                  const struct claim_key *b, size_t n_b);
};

/* ---- claims ------------------------------------------------------------------------------------------------------ */

struct claim;

/* Parse. Copies what it keeps. NULL and *err when the text is wrong (or memory ran out). Free with claim_free. */
struct claim *claim_parse(const struct claim_text *text, struct claim_error *err);
void claim_free(struct claim *claim);           /* NULL is allowed */

const char *claim_name(const struct claim *claim);       /* borrowed */
const char *claim_source_text(const struct claim *claim);
int claim_from_paper(const struct claim *claim);

/* Without data: unknown metric, key or value; open axis; scale and threshold refused (a threshold c on a proportion
 * of N examples needs N >= 3 / min(c, 1 - c)). 0, or -1 and *err. */
int claim_check(const struct claim *claim, const struct claim_source *source, struct claim_error *err);

/* Call `visit` for every fully specified point that the claim (and its precondition) reads: what has to be measured,
 * and whose budgets are to be shown side by side. Keys are borrowed for the call. Stops at the first non-zero answer
 * and returns it; -1 and *err when the claim does not fit the source. */
typedef int claim_visitor(void *arg, const char *metric, const struct claim_key *key, size_t n_keys);
int claim_points(const struct claim *claim, const struct claim_source *source, claim_visitor *visit, void *arg,
                 struct claim_error *err);

/* Looks. Every n at which claims were shown is a look. look = 0: this n is the only look that the experiment will
 * ever take, and has all of alpha. look = 1, 2, 3: of at most three looks, with 20, 30 and 50 per cent of it (.01,
 * .015, .025 of the default). Who shows look 0 and adds seeds later has spent alpha twice: the driver must not. */
struct claim_options {
    double alpha;         /* of the whole experiment; 0 means 0.05 */
    int look;
    size_t n_claims;      /* statistical claims in the experiment when only some are evaluated here; 0: count them */
};

enum claim_verdict {
    CLAIM_UPHELD,
    CLAIM_REFUTED_PAPER,
    CLAIM_REFUTED_THRESHOLD,
    CLAIM_UNDECIDED,
    CLAIM_UNDECIDED_N,
    CLAIM_UNDECIDED_INCOMPLETE,
    CLAIM_UNDECIDED_LOOKS,        /* not given here: the driver, when alpha is spent (looks.h) */
    CLAIM_DIRECTION_ONLY,
    CLAIM_NOT_TESTABLE,
    CLAIM_NOT_LEARNED
};

struct claim_result {
    enum claim_verdict verdict;
    double estimate, low, high;   /* NAN when there is none; the interval that decided, in the metric's unit */
    double level;                 /* error of that interval: both sides together; per side for share and spread */
    long seeds;                   /* replicates used: the smaller number of two arms */
    long diverged;                /* seeds that took the worst value, over all points read */
    char text[240];               /* "0.50 by 0.2, [0.47, 0.52]" */
};

/* Answer claims jointly: intervals are Bonferroni-simultaneous over them. Each claim is checked first. Fills out[n];
 * 0, or -1 and *err (then out is not to be read). */
int claim_evaluate(const struct claim *const *claim, size_t n, const struct claim_source *source,
                   const struct claim_options *options, struct claim_result *out, struct claim_error *err);

const char *claim_verdict_text(enum claim_verdict verdict);   /* static: "upheld", "refuted (paper)", ... */

/* Whether the claim takes part in the Bonferroni count: identities and seedless quantities do not. -1 and *err when
 * it does not fit the source. */
int claim_is_statistical(const struct claim *claim, const struct claim_source *source, struct claim_error *err);

/* One sentence for `assay plan`: what n seeds can show at this level, e.g. "10 seeds: detects a difference of 1.9
 * standard deviations with power 0.8", or "10 of 10 seeds would show a share >= 0.59 only: 0.7 needs 15 seeds".
 * n_claims as in the options. Writes at most `size` bytes with the ending zero. 0, or -1 and *err. */
int claim_power(const struct claim *claim, const struct claim_source *source, const struct claim_options *options,
                long n_seeds, char *text, size_t size, struct claim_error *err);

#endif

/* rule.h: steps of one rule on one weight, in one precision. Compiled twice; the checks, which are compiled once, call
 * both. Values cross as double, which holds a float bit for bit.
 */
#ifndef ASSAY_DRIVER_CHECK_RULE_H
#define ASSAY_DRIVER_CHECK_RULE_H

#include <assay/rule.h>
#include <driver/check/check.h>

struct rule_case {
    const char *name;                    /* "rule/adam" */
    const struct check_setting *setting; /* one option changed, or NULL */
    enum as_kind kind;
    ptrdiff_t n, rows;                   /* rows: 0: the weight has one size, n; else two, rows and n / rows */
    double rate, decay;
    long first, last;                    /* steps first..last, counted from 1 */
    uint64_t seed;                       /* of the rule's own draws */
    int shift;                           /* elements by which the arrays are out of alignment */
    double *w;                           /* (n) before and after */
    double *moment;                      /* (AS_MAX_MOMENTS, n) before and after; zero before step 1 */
    double *every;                       /* (last - first + 1, n) w after each step, or NULL */
    /* The gradient g (n) of a step; rounded to float before use, so that both precisions see the same one. */
    void (*gradient)(const struct rule_case *c, long step, const double *w, double *g);
    const void *ctx;
    const char *broken;                  /* result: what the rule did to memory that is not its own, or NULL */
};

/* NULL, or why the rule cannot be run so (an option refused). */
const char *check_rule_steps(struct rule_case *c);
const char *check_rule_steps_d(struct rule_case *c);

#endif

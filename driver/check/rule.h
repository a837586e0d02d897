/* rule.h: what the checks of rules share (check_rule.c). */
#ifndef ASSAY_DRIVER_CHECK_RULES_H
#define ASSAY_DRIVER_CHECK_RULES_H

#include <driver/check/real/rule.h>

enum { RULE_SETTINGS = 128 };

/* A case with arrays for n elements and `steps` steps: w drawn, moments zero, gradients drawn anew each step (normal,
 * never 0). Defaults: rate 0.01, no decay, kind matrix, steps 1..steps. To be freed. */
struct rule_case rule_case_new(const struct check_run *r, ptrdiff_t n, long steps);
void rule_case_free(struct rule_case *c);
/* Puts w and the moments of another case of the same size into this one. */
void rule_case_copy(struct rule_case *to, const struct rule_case *from);

/* Steps in float (or in double). False after the check was failed because the rule cannot be run. */
bool rule_run(struct check_run *r, struct rule_case *c);
bool rule_run_double(struct check_run *r, struct rule_case *c);

/* "beta1=0.95" or "the defaults"; as_say(). */
const char *rule_setting_text(const struct check_setting *s);

/* The settings in range of the rule's options, the defaults first as a NULL row: how many; s: RULE_SETTINGS. */
int rule_settings(const struct check_run *r, struct check_setting *s);

/* The first element at which two arrays differ in their bits (NaN equals NaN); -1 when they are the same. */
ptrdiff_t check_first_difference(const double *a, const double *b, ptrdiff_t n);

#endif

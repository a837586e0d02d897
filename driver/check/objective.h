/* objective.h: what the checks of objectives share (check_objective.c). */
#ifndef ASSAY_DRIVER_CHECK_OBJECTIVES_H
#define ASSAY_DRIVER_CHECK_OBJECTIVES_H

#include <driver/check/real/objective.h>

/* A case with arrays of its own and drawn contents: outputs normal times `gain`, targets drawn (classes, or 0 and 1 so
 * that every objective can have them), all weights 1. To be freed. */
struct objective_try {
    struct objective_case c;
    double *output, *real_target, *weight;
    int32_t *target;
};
struct objective_try objective_try_new(const struct check_run *r, bool classes, ptrdiff_t batch, ptrdiff_t time,
                                       ptrdiff_t k, double gain);
void objective_try_free(struct objective_try *t);

/* Losses and gradient in float (or in double). False after the check was failed. */
bool objective_run(struct check_run *r, struct objective_try *t);
bool objective_run_double(struct check_run *r, struct objective_try *t);

/* Calls body for each setting in range of the options, the defaults first as NULL, with each kind of target that the
 * objective takes. Fails the check when it takes neither. Stops at the first failure. */
void objective_each(struct check_run *r, void (*body)(struct check_run *r, const struct check_setting *s, bool classes));

/* "ce with label=0.1, (3, 5, 7), classes": what was tried, for sentences; as_say(). */
const char *objective_text(const struct objective_try *t);

#endif

/* objective.h: losses and gradients of one objective on made-up outputs and targets, in one precision. Compiled twice;
 * values cross as double.
 */
#ifndef ASSAY_DRIVER_CHECK_OBJECTIVE_H
#define ASSAY_DRIVER_CHECK_OBJECTIVE_H

#include <assay/objective.h>
#include <driver/check/check.h>

struct objective_case {
    const char *name;                    /* "objective/ce" */
    const struct check_setting *setting; /* one option changed, or NULL */
    bool classes;                        /* targets are classes, else k real numbers */
    ptrdiff_t batch, time, k;            /* time 0: one target per example */
    const int32_t *length;               /* (batch) valid steps, or NULL */
    const double *output;                /* (batch, time, k) */
    const int32_t *target;               /* (batch, time), -1: none */
    const double *real_target;           /* (batch, time, k) */
    const double *weight;                /* (batch, time) cotangent of the losses */
    double *loss;                        /* (batch, time) result */
    double *gradient;                    /* (batch, time, k) result: of sum(weight * loss) */
};

/* Whether the objective takes class targets (or real ones) for k outputs. */
bool check_objective_takes(const char *name, const struct check_setting *setting, bool classes, ptrdiff_t k);
/* NULL, or why there is no result: an option refused, or losses of other sizes than (batch, time). */
const char *check_objective(struct objective_case *c);
const char *check_objective_d(struct objective_case *c);

#endif

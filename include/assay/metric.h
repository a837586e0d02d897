/* metric.h: what is measured on trained models. In core, shared by all; a plug-in never computes its own score.
 *
 * A metric gives each example (one sequence) a sum and a weight; the value over a data set is sum of sums over
 * sum of weights (micro), so it does not depend on the evaluation batch size.
 */
#ifndef ASSAY_METRIC_H
#define ASSAY_METRIC_H

#include <assay/real.h>
#include <stdbool.h>

enum as_scale { AS_RAW, AS_LOGIT, AS_LOG };

struct as_metric {
    const char *name, *unit, *help;
    enum as_scale scale;             /* on which verdicts are computed */
    bool higher_is_better;
    bool proportion;                 /* k of N: intervals are floored by the binomial error */
    /* Chance level and worst value; `classes` is the number of outputs. NAN: the data decides (train marginal). */
    double (*chance)(ptrdiff_t classes);
    double (*worst)(ptrdiff_t classes);
    const char *extra;               /* the further output of this name (as_extra_output()) is averaged over its valid
                                        positions, layers of one name added up; value is not called then */
    bool whole;                      /* an example is judged as a whole: its value is the least of its positions', its
                                        weight 1 */
    bool real_target;                /* needs real targets (k per position) instead of class numbers */
    /* One position: output (k), target class or real target (k). Returns the value. */
    double (*value)(const real *output, ptrdiff_t k, int32_t target, const real *target_real);
};

#define as_metrics AS_REAL(as_metrics)
#define as_metric_find AS_REAL(as_metric_find)
extern const struct as_metric as_metrics[];                 /* ends with name == NULL */
const struct as_metric *as_metric_find(const char *name, const char **nearest);

#endif

/* objective.h: the contract of what is minimised: model output and target to a loss per position.
 *
 * The trainer multiplies by the data's weights, sums and divides by the sum of the weights of the whole batch,
 * so padding and unlabelled positions never count. Several terms and auxiliary losses are written in the
 * experiment file: `objective = ce + 0.01*ponder`. `ce(answers)` judges a further output (as_extra_output()) by the same
 * targets; one of sizes (batch, time, answers, k) gives several answers to each, whose mean loss counts.
 */
#ifndef ASSAY_OBJECTIVE_H
#define ASSAY_OBJECTIVE_H

#include <assay/layer.h>

struct as_objective {
    int abi;                         /* required: ASSAY_ABI */
    const char *summary;             /* required */
    struct as_paper paper;
    const struct as_option *options; /* optional */
    size_t opt_size;
    /* output (..., k); target (...) integer or (..., k) real. Returns losses (...). */
    struct as_node *(*graph)(struct as_graph *g, struct as_node *output, struct as_node *target);
    const char *(*check)(const struct as_spec *output, const struct as_spec *target);   /* NULL, or why not */
};

#endif

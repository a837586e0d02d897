/* rule.h: the contract of how weights change.
 *
 * Three sizes of rule share it. An *optimiser* has update(): one weight at a time, its gradient given. A
 * *wrapper* has gradient(): it decides how the gradient is had (noise, ghost batches, masks, two levels) and
 * calls the default. A *training rule* that is not back-propagation has gradient() too and never calls the
 * default: it reads the model through as_pass (taps give layer inputs and output gradients).
 */
#ifndef ASSAY_RULE_H
#define ASSAY_RULE_H

#include <assay/layer.h>

#define AS_MAX_MOMENTS 6

/* One weight at one step. Arrays have n elements; dims as planned. */
struct as_update {
    const void *opt;
    const char *name;                /* "block0.mixer.W_q" */
    enum as_kind kind;
    int rank;
    const ptrdiff_t *dim;
    ptrdiff_t n;
    real *w;                         /* changed in place */
    const real *g;                   /* the gradient, already clipped */
    real *const *moment;             /* the rule's own arrays, zero before step 1 */
    double rate;                     /* after schedule and per-kind factor */
    double decay;                    /* weight decay for this kind of weight */
    long step;                       /* 1, 2, ... */
    struct as_key key;
};

struct as_pass;                      /* one batch on one model: see train.h */

struct as_rule {
    int abi;                         /* required: ASSAY_ABI */
    const char *summary;             /* required */
    struct as_paper paper;
    const struct as_option *options; /* optional; in the file: rule.KEY */
    size_t opt_size;
    int (*moments)(const void *opt); /* optional: arrays of the weight's size kept per weight; default none */
    void (*update)(const struct as_update *u);                      /* required */
    void (*gradient)(const void *opt, struct as_pass *pass);        /* optional: default back-propagation */
};

#endif

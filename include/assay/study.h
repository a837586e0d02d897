/* study.h: the contract of what is not "train a model": given options, a seed and data, record metrics.
 * A study may build, train, evaluate, save and load models through train.h, as the driver does.
 */
#ifndef ASSAY_STUDY_H
#define ASSAY_STUDY_H

#include <assay/option.h>
#include <assay/random.h>
#include <assay/train.h>

struct as_study_run {
    const void *opt;
    uint64_t seed;
    const struct as_config *config;  /* the cell's resolved configuration, for building models */
    void *ctx;                       /* private */
    /* Records one metric; its declaration must be in `metrics`. */
    void (*record)(void *ctx, const char *metric, double value);
    /* Records one point of a curve. */
    void (*curve)(void *ctx, const char *metric, double x, double value);
};

struct as_study_metric { const char *name, *scale, *help; };   /* scale: "raw", "log", "logit" */

struct as_study {
    int abi;                         /* required: ASSAY_ABI */
    const char *summary;             /* required */
    const struct as_option *options;
    size_t opt_size;
    const struct as_study_metric *metrics;                     /* required; ends with { 0 } */
    void (*run)(struct as_study_run *run);                     /* required */
};

#endif

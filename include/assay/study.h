/* study.h: the contract of what is not "train a model": given options, a seed and data, record metrics.
 * A study may build, train, evaluate, save and load models through train.h, as the driver does.
 */
#ifndef ASSAY_STUDY_H
#define ASSAY_STUDY_H

#include <assay/option.h>
#include <assay/random.h>
#include <assay/registry.h>
#include <assay/train.h>

struct as_study_run {
    const void *opt;
    uint64_t seed;
    const struct as_config *config;  /* the cell's resolved configuration, for building models: copy it, since
                                        as_data_open() and as_model_new() write defaults back */
    const struct as_stored *stored;  /* of its "data.source", for as_data_open(); NULL: generated, or no data */
    void *ctx;                       /* private */
    /* Records one metric; its declaration must be in `metrics`. */
    void (*record)(void *ctx, const char *metric, double value);
    /* Records one point of a curve. */
    void (*curve)(void *ctx, const char *metric, double x, double value);
};

/* scale: "raw", "log", "logit". Curves bear the name of a metric, too. */
struct as_study_metric { const char *name, *scale, *help; };

struct as_study {
    int abi;                         /* required: ASSAY_ABI */
    const char *summary;             /* required */
    const struct as_option *options;
    size_t opt_size;
    const struct as_study_metric *metrics;                     /* required; ends with { 0 } */
    void (*run)(struct as_study_run *run);                     /* required */
    /* Studies that read their configuration: key, text, key, text, ..., NULL: a small generated task and model on
     * which `assay check` runs them. Defaults of options are small enough for it, too. */
    const char *const *sample;
    /* What curves run along, where it is not the step of a training: metric, name of its x axis, ..., NULL. */
    const char *const *axes;
    bool in_double;                  /* identities: the double build of this file runs */
};

/* The build of a study that is to run: the one in double where it says so. */
#define as_study_build AS_REAL(as_study_build)
const struct as_study *as_study_build(const struct as_entry *e);

#endif

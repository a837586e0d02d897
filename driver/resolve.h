/* resolve.h: configurations completed: data, model and trainer are built once, so that every default and every chosen
 * implementation stands in them, and whatever cannot be is refused before anything runs. */
#ifndef ASSAY_DRIVER_RESOLVE_H
#define ASSAY_DRIVER_RESOLVE_H

#include "experiment.h"

struct resolved {
    struct as_config *config;     /* complete; NULL when it was refused */
    char *why;                    /* the refusal, or NULL */
    char *model;                  /* as_model_describe() */
    char *metric;                 /* the data's natural metric */
    double parameters, state, flop;
    char data_hash[65];
    bool stored;                  /* reads stored data */
    bool no_data;                 /* refused because its data cannot be had */
};

/* Resolves n configurations in a child process: this one starts neither OpenMP nor HDF5 (it will spawn cells), and
 * a plug-in that crashes takes the child only. The evaluations of e are checked where check_evals[i]. out: (n),
 * written; free with resolved_free(). */
void resolve_all(const struct experiment *e, struct as_config *const *cfg, const bool *check_evals, int n,
                 struct resolved *out);
void resolved_free(struct resolved *r);

/* One configuration, in this process: completes cfg, fills the rest of *out. NULL, or the refusal. */
const char *resolve_cell(const struct experiment *e, struct as_config *cfg, bool check_evals, struct resolved *out);

#endif

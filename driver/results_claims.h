/* results_claims.h: private to what the results offer to claims: names and metrics in results_names.c, axes, samples
 * and curves in results_claims.c. */
#ifndef ASSAY_DRIVER_RESULTS_CLAIMS_H
#define ASSAY_DRIVER_RESULTS_CLAIMS_H

#include <driver/results.h>

enum { MAX_AXES = 64 };

/* One axis that a name has: of the grid, or of its evaluation. */
struct known { const char *key; const char **value; int n; };

struct claims {
    struct results *r;
    struct claim_source source;
    struct known known[MAX_AXES];
    char *own[MAX_AXES];             /* names of evaluation axes */
    int n_known, n_grid;             /* of the name last asked about; those of the grid come first */
    struct claim_axis open[MAX_AXES];
    struct claim_sample *sample;
    struct claim_steps *steps;
    char near[256];
};

const struct eval *names_eval(const struct results *r, const char *name);        /* "long.accuracy": [eval long] */
bool names_cost(const char *name);                       /* a cost that each record has as a number */
bool names_study_metric(const struct results *r, const char *name, struct claim_metric *out);
const char *names_of_study(const struct results *r, int i);             /* its metric i; NULL behind the last, and without a study */
const char *names_along(const struct results *r, const char *name);     /* x of a curve: "step", or what a study says */
const char *names_nearest(struct claims *c, const char *name);
bool names_changes_data(const struct results *r, const char *key);       /* an axis along which the data differ */
int names_metric(void *ctx, const char *name, struct claim_metric *out, const char **nearest);

#endif

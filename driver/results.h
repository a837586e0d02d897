/* results.h: an experiment's plan together with what is stored of it. Everything that is shown (tables, claims,
 * figures, reports) comes through here, from records only. */
#ifndef ASSAY_DRIVER_RESULTS_H
#define ASSAY_DRIVER_RESULTS_H

#include <driver/claim.h>
#include <driver/experiment.h>
#include <driver/record.h>
#include <driver/stats.h>

struct choice {                      /* what tuning found for one point of the grid */
    bool made;
    int combination;                 /* -1: no tuning cell of this point finished */
    double score;                    /* mean over the tuning seeds, on validation */
    bool edge;                       /* the choice lies at the end of some axis: the best may lie beyond */
    char *edge_of;                   /* "train.lr = 1e-2", or NULL */
};

/* Arms that differ by more than this in parameters or state are pointed out, in the plan and below the answers. */
#define BUDGET_TOLERANCE 0.1

struct results {
    struct experiment *e;            /* borrowed */
    struct plan *plan;
    char *name;                      /* the experiment's, with "-quick" for its quick form, and "-set-1a2b3c4d" (a
                                        hash of the settings) when --set changed something: folders of their own */
    char *plain;                     /* folder of the same without --set; NULL when there is no --set */
    char *folder, *cells, *work, *figures;
    struct record **record;          /* (plan->n_cells) NULL: none */
    struct choice *choice;           /* (plan->n_points) */
    char **damaged; int n_damaged;   /* lines about records that cannot be read */
    char look[400];                  /* after claims_answer(): what looks_text() says, or "" */
    struct claims *claims;           /* private: what results_source() hands out */
};

/* Plans, and reads what is stored. Makes no folder. NULL and *why when the plan cannot be made. */
struct results *results_open(struct experiment *e, const char *folder, const char **why);
void results_close(struct results *r);

/* Reads (again) the record of one cell. A final cell without a key has none. */
void results_read(struct results *r, int cell);
/* A cell without a record takes over that of the run without --set, when it is the same cell. Records are replaced,
 * never changed, so that both folders may hold the same file. NULL, or one line. */
const char *results_share(struct results *r, int cell);
/* Whether the record of a cell answers all that is asked: nothing left to train or evaluate. */
bool results_complete(const struct results *r, int cell);
/* Whether its weights are there, and only the evaluation is another. */
bool results_weights(const struct results *r, int cell);

/* Chooses the tuned values of a point from the records of its tuning cells, and hands them to the plan. */
void results_choose(struct results *r, int point);

char *results_record(const struct results *r, int cell);          /* path; malloc'd */
char *results_work(const struct results *r, int cell, const char *suffix);

/* The coordinates as text: "mixer.beta_max=2"; without axes "all". malloc'd. */
char *results_arm(const struct results *r, int point);
/* Short form for keys and tables: the values only when no two axes could be mixed up. malloc'd. */
char *results_short(const struct results *r, int point);
int results_first(const struct results *r, int point);            /* the point's first final cell */

/* The values of one metric at one point of the grid and of the evaluation axes, one per seed that has it. The
 * worst value stands for diverged seeds. Returns how many; x: room for e->n_seeds; seed may be NULL. */
int results_values(const struct results *r, int point, const char *metric, int n, const char *const *keys,
                   const char *const *texts, double *x, long *seed);

/* Mean and interval of those values: Student t on the declared scale, in the metric's own unit; alpha is both sides
 * together. NANs when there are none; low and high are NANs for one seed. *count (may be NULL): how many. */
struct stats_interval results_interval(struct results *r, int point, const char *metric, int n,
                                       const char *const *keys, const char *const *texts, double alpha, int *count);
/* The error of all intervals of one display together, shared among its arms. */
double results_alpha(const struct results *r);

/* What claims read. ctx belongs to r and lives as long; errors of the claims' own kind. */
const struct claim_source *results_source(struct results *r);
void results_source_free(struct results *r);

/* Writes cells.tsv: one row a planned cell. NULL, or one line. */
const char *results_write_cells(const struct results *r);

/* A sentence when some record was made with --unchecked from plug-ins that fail `assay check`; every table, figure and
 * report shows it. malloc'd; NULL when all is well. */
char *results_unchecked(const struct results *r);

/* The data's natural metric name without its evaluation: "long.accuracy" gives "accuracy". */
const char *metric_base(const char *name);

#endif

/* experiment.h: an experiment file, read and checked; and the plan: every cell that it asks for.
 * The grammar of the file is in doc/experiments.md. */
#ifndef ASSAY_DRIVER_EXPERIMENT_H
#define ASSAY_DRIVER_EXPERIMENT_H

#include "claim.h"

#include <assay/config.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct axis { char *key; char **value; int n; };          /* one key of [vary], [tune] or [eval]: its values */

struct eval {                     /* [eval NAME]: on the trained weights, not part of the cell key */
    char *name;
    struct axis *axis; int n_axes; /* lists: "data.length" gives the metrics the axis NAME.length */
    struct as_config *set;        /* single-valued changes */
    long examples;                /* 0: all stored; generators: test.examples */
};
struct figure {                   /* [figure NAME] */
    char *name, *kind, *x, *y, *by; /* kind: curve, bars, learning, heat, ... = a template in plots/ */
    struct as_config *set;        /* all keys of the section, for templates */
    int line;
};

struct experiment {
    char *name, *path, *title, *papers;
    double minutes;               /* NAN when the file does not say */
    double alpha;                 /* [experiment] alpha: of all claims together; 0: the default */
    int looks;                    /* [experiment] looks: at how many sets of seeds claims are shown: 1 or 3 (looks.h) */
    struct as_config *base;       /* data.*, model, train.*, rule.*, valid.*, test.*, stage.NAME.* */
    char **stage; int n_stages;   /* [stage NAME], in order */
    struct axis *vary; int n_vary;  /* without the seed */
    struct arm { char *name; struct as_config *set; } *arm; int n_arms;    /* [arm NAME] sections; the axis "arm" */
    struct axis *tune; int n_tune;
    long *seed; int n_seeds;
    long *own_seed; int n_own_seeds;        /* those of the file, before overrides */
    long *tune_seed; int n_tune_seeds;      /* default 1000000, 1000001: never reported */
    struct eval *eval; int n_evals;
    struct claim_text *claim; int *claim_line; int n_claims;    /* claim.h; syntax checked, fit not */
    struct figure *figure; int n_figures;
    char **metric; int n_metrics; /* [test] metrics; plan_make() fills in the data's natural one when there is none */
    bool quick;
    bool no_data;                 /* planning was refused because data cannot be had: not the file's fault */
    bool altered;                 /* [quick] or an override changed more than the seeds: what claims speak of is
                                     not what runs, so verdicts are not the experiment's */
    char *settings;               /* overrides by --set other than seeds, sorted, one a line; NULL: none */
    char *note;                   /* what overrides took away ("the arms set mixer..."), or NULL; one line each */
};

/* Reads NAME (searched in $ASSAY_HOME/experiments or the installed folder; a path with '/' is taken as it is),
 * applies the overrides ("mixer.heads=2", "seeds=0..3") and, with quick, the section [quick]. NULL and *why
 * (file, line, what, remedy) when it cannot. */
struct experiment *experiment_read(const char *name, const char *const *overrides, int n_overrides, bool quick,
                                   const char **why);
void experiment_free(struct experiment *e);

/* The points of one evaluation: how many (1 without axes), and point i as keys and texts ("data.length" = "160"),
 * `set` first, then the axes, the last one fastest. keys, texts: room for eval_keys(). Borrowed. */
int eval_points(const struct eval *v);
int eval_keys(const struct eval *v);
void eval_point(const struct eval *v, int i, const char **keys, const char **texts);
/* The name of an axis in claims, tables and figures: "long.length" for data.length of [eval long]. as_say(). */
const char *eval_axis_name(const struct eval *v, const struct axis *a);

enum cell_role { CELL_TUNE, CELL_FINAL };

struct cell {
    enum cell_role role;
    int point;                    /* place in the grid without seeds (the arm) */
    int combination;              /* tune cells: the tune combination; final cells: the chosen one, -1 unknown */
    char **coordinate;            /* one text per vary axis (and "arm" first when there are arms) */
    long seed;
    struct as_config *config;     /* resolved, with "seed"; tune values filled in (final cells: NULL until known) */
    char key[65];                 /* SHA-256, hex; "" for final cells whose tuning is not done */
    char eval_key[65];            /* of plan_eval_text(): when a record holds another one, its weights are
                                     evaluated anew, not trained anew */
};

/* What one point of the grid is made of: for tables of budgets. */
struct point {
    double parameters, state, flop;   /* state: numbers kept per sequence; flop: forward, one longest sequence */
    char *model;                      /* as_model_describe() */
};

struct plan {
    struct experiment *e;
    char **axis; int n_axes;      /* names of the coordinates */
    struct cell *cell; int n_cells;   /* tune cells first, then final ones */
    struct point *point; int n_points;
    struct as_config **resolved;  /* (n_points * plan_tune_count): without the seed */
    char (*data_hash)[65];        /* likewise */
    bool needs_data;              /* some point reads stored data */
};

/* Multiplies out, resolves each point's configuration (every default written back, model and trainer built once to
 * check it, in a child process, so that neither OpenMP nor HDF5 starts in this one), computes keys. Takes no
 * ownership of e, which must outlive the plan. NULL and *why: the first point that cannot be. */
struct plan *plan_make(struct experiment *e, const char **why);
void plan_free(struct plan *p);

/* Fills in the tuned values of one point's final cells and their keys. values: one per tune axis. */
void plan_tuned(struct plan *p, int point, const char *const *values);

/* The tune combination number c (0..plan_tune_count-1) as texts, one per tune axis. The count is 1 without [tune]. */
int plan_tune_count(const struct plan *p);
void plan_tune_values(const struct plan *p, int c, const char **values);

/* What eval_key hashes, as lines. Tuning cells are measured on validation only, which the key covers. malloc'd. */
char *plan_eval_text(const struct experiment *e, enum cell_role role);

/* All experiments that can be found, in order of name: for `assay list`. n entries, malloc'd. */
struct experiment_line { char *name, *title; double minutes; char *papers; };
struct experiment_line *experiment_list(int *n);
void experiment_list_free(struct experiment_line *line, int n);

#endif

/* record.h: one HDF5 record a cell, and where records lie.
 *
 *   RESULTS/EXPERIMENT/cells/KEY.h5     one record a cell, whatever its outcome
 *   RESULTS/EXPERIMENT/underway/KEY.ckpt    a cell under way; gone when its record is there
 *   RESULTS/EXPERIMENT/cells.tsv        one row a planned cell
 *   RESULTS/EXPERIMENT/figures/         drawn from the records
 */
#ifndef ASSAY_DRIVER_RECORD_H
#define ASSAY_DRIVER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum outcome { CELL_OK, CELL_DIVERGED, CELL_TIMEOUT, CELL_OUT_OF_MEMORY, CELL_CRASHED, CELL_REFUSED, CELL_FAILED,
               CELL_MISSING };
const char *outcome_name(enum outcome o);         /* "ok", "diverged", "timeout", "out-of-memory", ... */
enum outcome outcome_of(const char *name);        /* CELL_MISSING when there is no such name */
/* Whether running the cell once more must give the same end: ok and diverged. The others are tried again. */
bool outcome_final(enum outcome o);

struct value {                    /* one metric at one point of the evaluation axes */
    char *metric;                 /* "accuracy", "long.accuracy", "valid.accuracy" */
    int n_keys; char **key, **text;   /* "long.length" = "160" */
    double value; long examples;
    float *per_example;           /* (examples) or NULL */
};
struct curve { char *name; int n; double *x, *y; };

struct record {
    char key[65];
    enum outcome outcome; char *reason;
    char *config;                 /* resolved, sorted lines */
    char *again;                  /* the line that re-runs this cell */
    struct value *value; int n_values;
    struct curve *curve; int n_curves;
    struct text { char *name, *text; } *text; int n_texts;     /* versions, commit, host, digest, hashes, ... */
    struct number { char *name; double number; } *number; int n_numbers;  /* parameters, state, flop, seconds, ... */
    float *weight; ptrdiff_t n_weights;   /* final weights and statistics in plan order; NULL when not read */
};

struct record *record_new(const char *key);
void record_free(struct record *r);               /* NULL is allowed */

/* All texts are copied. */
void record_outcome(struct record *r, enum outcome o, const char *reason);
void record_text(struct record *r, const char *name, const char *text);       /* replaces */
void record_number(struct record *r, const char *name, double number);        /* replaces */
/* A new value without keys; per_example is taken over (malloc'd, or NULL). */
struct value *record_value(struct record *r, const char *metric, double value, long examples, float *per_example);
void value_key(struct value *v, const char *key, const char *text);
struct curve *record_curve(struct record *r, const char *name);               /* found or made */
void curve_point(struct curve *c, double x, double y);
void record_clear_values(struct record *r);

const char *record_text_of(const struct record *r, const char *name);         /* NULL when absent */
double record_number_of(const struct record *r, const char *name);            /* NAN when absent */
const struct curve *record_curve_of(const struct record *r, const char *name);
/* The value of exactly this metric and these keys, in any order; NULL when absent. */
const struct value *record_value_of(const struct record *r, const char *metric, int n, const char *const *keys,
                                    const char *const *texts);

/* NULL, or one line. The folder must exist. */
const char *record_write(const struct record *r, const char *path);
/* NULL and *why when it is truncated, damaged or no record. weights, per_example: whether to read those arrays. */
struct record *record_read(const char *path, bool arrays, const char **why);

/* --results, else $ASSAY_RESULTS, else ./results. Borrowed. */
const char *results_folder(const char *option);

#endif

/* bench.h: the parts of `assay bench`. Times are wall clock; everything that is timed has agreed with its oracle in the
 * same process before. Errors are raised (error.h) unless said otherwise. */
#ifndef ASSAY_DRIVER_BENCH_H
#define ASSAY_DRIVER_BENCH_H

#include "bench/runner.h"
#include "commands.h"

#include <stdio.h>

enum { BENCH_SET = 24, BENCH_TEXT = 512 };

/* One line of the output: a layer at a shape, or a whole model's training step. */
struct bench_item {
    char label[96], layer[96], scope[8];     /* scope: core, layer or model */
    char text[BENCH_TEXT];                   /* holds the settings */
    const char *set[BENCH_SET];              /* "KEY=VALUE" */
    int n_set;
    char impl_asked[48];                     /* "": the default */
    int heads;
    enum runner_mode mode;
    ptrdiff_t batch, time, width;
    long position;                           /* step: steps done before the first that is timed */
    bool agreed;                             /* with its oracle, earlier in this process */
    /* Filled while it runs: */
    struct runner *runner;
    struct bench_model *model;
    struct runner_facts facts;
    double flop, useful, bytes;              /* of one run: what is made, what the variant's own count asks for */
    char formula[256], useful_formula[256];  /* of flop, of useful */
    long runs;                               /* in one sample */
    double *ms; int n;                       /* samples, sorted at the end */
    double copy;                             /* bytes/s of a copy with the same footprint, median */
    double *copies;
};

struct bench_how {
    int threads, repeats;
    double seconds;                          /* least time of measuring an item, all repeats together */
    uint64_t seed;
};

struct bench_spread { double low, mid, high; };          /* quartiles */
struct bench_spread bench_quartiles(double *x, int n);   /* sorts x */
double bench_now(void);                                  /* seconds */

/* --- the machine (bench_machine.c) --- */
double bench_peak(int threads);                          /* FLOP/s of multiply-adds, measured now */
/* Bytes/s, read and written, of copies that move `bytes` altogether, measured now. */
double bench_copy(int threads, double bytes);
void bench_machine_free(void);
void bench_machine_print(FILE *to, int threads);         /* # lines: processor, level, libraries, load */

/* --- agreement (bench_agree.c) --- */
/* NULL, or a sentence: on a small shape this implementation does not give what the double build of the obvious form
 * gives, within the oracle's own noise. Never raises. */
const char *bench_agrees(const struct runner_ask *ask, const char *impl);

/* --- what a run costs (bench_flop.c) --- */
/* Both counts of a run as formulas in B, T and D, or with the number where it is no polynomial. */
void bench_formula(struct bench_item *i);

/* --- items (bench_item.c) --- */
struct runner_ask bench_ask(const struct bench_item *i);
/* "a=1 b=2" into the settings. NULL, or the refusal. */
const char *bench_settings(struct bench_item *i, const char *text);
/* Builds what it runs, compares it with its oracle, warms up. NULL, or the refusal; never raises. */
const char *bench_open(struct bench_item *i, const struct bench_how *how);
void bench_close(struct bench_item *i);                  /* keeps the samples */
void bench_free(struct bench_item *i);
double bench_run(struct bench_item *i, long runs);       /* seconds */
/* The rows of a table (bench/table.tsv) as items, one a shape. NULL and *why when it cannot be read. */
struct bench_item *bench_table(const char *path, int *n, const char **why);

/* --- whole models (bench_model.c) --- */
struct bench_model *bench_model_new(struct bench_item *i);
void bench_model_free(struct bench_model *m);
double bench_model_run(struct bench_model *m, long steps);    /* seconds */

/* --- measuring and printing --- */
/* All items, round by round in an order drawn anew; *peak: one a round, malloc'd. */
void bench_measure(struct bench_item *items, int n, const struct bench_how *how, double **peak);
void bench_print(FILE *to, struct bench_item *items, int n, const struct bench_how *how, double *peak);
/* Exponents of time and memory against length, by least squares on logarithms, with 95 % intervals: # lines. */
void bench_scaling_print(FILE *to, struct bench_item *items, int n);
int bench_serve(const struct bench_how *how);            /* requests on standard input, answers on standard output */
int bench_roofline(const char *tsv, const char *out);    /* draws; returns the exit status */

#endif

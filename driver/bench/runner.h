/* runner.h: one layer, or its core, made ready to be run again and again: what `assay bench` times, and its oracle.
 * Compiled in both precisions, so both builds start from the same numbers. Errors are raised (error.h). */
#ifndef ASSAY_DRIVER_BENCH_RUNNER_H
#define ASSAY_DRIVER_BENCH_RUNNER_H

#include <assay/real.h>
#include <stdbool.h>

enum runner_mode { RUN_TRAIN, RUN_FORWARD, RUN_STEP };     /* train: forward and backward */

struct runner_ask {
    const char *layer;                   /* "deltanet", "linear-attention/deltanet" */
    const char *const *set; int n_set;   /* "KEY=VALUE" of the layer's configuration; borrowed */
    const char *impl;                    /* of what is run; NULL: the default */
    int heads;                           /* for layers that have them */
    bool core;                           /* the filler of the layer's slot `core`, where it has one */
    enum runner_mode mode;
    ptrdiff_t batch, time, width;        /* step: inputs for `time` steps, used in turn */
    ptrdiff_t room;                      /* longest sequence that states must hold; 0: time */
    ptrdiff_t vocab;                     /* above 0: the input is tokens */
    uint64_t seed, draw;
    bool stirred;                        /* weights that begin at 0 or 1 are moved by 0.1 N(0, 1): an error that they
                                            would hide shows */
    double jitter;                       /* relative change of every input and weight, drawn by `draw` */
};

struct runner_facts {
    char name[96], impl[48];             /* of what is run: "core/delta-rule", "chunk" */
    bool has_core, costed;               /* costed: the variant counts its operations itself, not by its matrices */
    bool counted;                        /* a form that runs counts the operations of its products itself */
    double in, out, weights;             /* numbers of all inputs, of the output, of the weights */
    double memory, state;                /* the arena's high water, bytes; numbers of state a sequence */
    double tolerance;                    /* the widest that any of its parts asks for; 0: the default */
};

struct runner;

#define runner_new AS_REAL(runner_new)
#define runner_free AS_REAL(runner_free)
#define runner_go AS_REAL(runner_go)
#define runner_describe AS_REAL(runner_describe)
#define runner_flop AS_REAL(runner_flop)
#define runner_useful AS_REAL(runner_useful)
#define runner_part AS_REAL(runner_part)

/* Builds and runs once. */
struct runner *runner_new(const struct runner_ask *ask);
void runner_free(struct runner *r);                        /* NULL is fine */
/* One run: forward and backward, forward, or the next step. */
void runner_go(struct runner *r);
struct runner_facts runner_describe(const struct runner *r);
/* Operations of one run at this batch and time, at the width that was asked for. Useful: the variants' own counts, three
 * forward passes to train. The other: where an implementation counts its products itself, what it makes. */
double runner_useful(const struct runner *r, ptrdiff_t batch, ptrdiff_t time);
double runner_flop(const struct runner *r, ptrdiff_t batch, ptrdiff_t time);
/* Part 0 of the last run is the output, then the gradients of inputs and weights. Returns how many numbers it has, 0
 * when there is no such part; out (may be NULL) gets them, name (64) what it is. */
size_t runner_part(const struct runner *r, int part, char *name, double *out);

#endif

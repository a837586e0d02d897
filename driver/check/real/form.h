/* form.h: one layer by itself, run by one of its forms in one precision. form_run() is float, form_run_d() the same
 * in double; inputs and weights are drawn in float and widened, so both start from the same numbers. The loss is a
 * fixed random combination of the outputs. Draws go by (row, step, place): a larger batch or a longer time changes
 * nothing of what is there already.
 */
#ifndef ASSAY_CHECK_FORM_H
#define ASSAY_CHECK_FORM_H

#include <assay/layer.h>
#include <assay/real.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FORM_OPTIONS 16
#define FORM_PORTS 6
#define FORM_PARTS 96

struct form_input { const char *name; int rank; ptrdiff_t dim[3]; double sd, lo, hi; ptrdiff_t vocab; };

/* The values of one input, to be changed by the hook below: (batch, time, unit). */
struct form_values { int port; ptrdiff_t batch, time, unit; double *x; int32_t *i; };

struct form {
    const char *variant, *impl;          /* "lstm"; "graph", "ref", "fused", NULL: the default */
    const char *options[FORM_OPTIONS];   /* "heads=2", ...; NULL ends */
    ptrdiff_t batch, time;
    int n_in;
    struct form_input in[FORM_PORTS];
    const int32_t *length;               /* (batch) or NULL */
    double gain;                         /* weights are multiplied by it; 0: 1 */
    double jitter;                       /* relative change of every weight and input, drawn by `draw` */
    uint64_t seed, draw;
    bool stream;                         /* one step after the other, no gradients */
    ptrdiff_t cut;                       /* streaming: states are moved elsewhere before this step; 0: not */
    bool again;                          /* streaming: a whole stream before the one that is kept */
    bool forward;                        /* no gradients */
    bool training;                       /* dropout and the like are on, drawn by `key` */
    bool recompute;                      /* the layer is one recomputed segment of the tape */
    uint64_t key;
    double start;                        /* what the gradients of inputs and weights hold before */
    int poison;                          /* byte that memory is filled with; 0: NaNs */
    bool guard;                          /* red zones round every array; inputs and weights are compared afterwards */
    bool frozen, deaf;                   /* no weight, or no input, wants a gradient */
    int repeat;                          /* passes before the one that is kept: memory is counted in that one */
    void (*edit)(void *ctx, const struct form_values *v);                             /* inputs, after the draws */
    void (*edit_weight)(void *ctx, const char *name, ptrdiff_t n, double *w);         /* weights, after gain */
    void *ctx;
};

/* All numbers of the run one after the other: output, gradient of each real input, gradient of each weight, extra
 * outputs; malloc'd. Part p is value[end[p-1]] .. value[end[p]-1], part 0 the output. */
enum form_part { FORM_OUTPUT, FORM_INPUT, FORM_WEIGHT, FORM_EXTRA };
struct form_result {
    double *value;
    size_t n, end[FORM_PARTS];
    int n_parts;
    enum form_part kind[FORM_PARTS];
    char part[FORM_PARTS][64];
    double loss;
    double *statistic;                   /* all running statistics after the pass; malloc'd */
    ptrdiff_t n_statistics;
    int rank;                            /* of the output */
    ptrdiff_t dim[5];
    char why[512];                       /* not empty: it was refused or failed with this sentence */
    bool refused;                        /* ... by a check or plan, not by a failure */
    char kinks[96];                      /* of any layer in it */
    bool draws, batch_statistics;        /* any layer in it promises so */
    char impl[32];                       /* what the root layer was run by */
    char broken[256];                    /* guard: what was written that must not be */
    long allocations, commits;           /* in the pass that is kept */
    ptrdiff_t parameters;
    double flop;                         /* declared, of one forward pass of the whole batch */
    double products;                     /* counted: 2 m n k of every matrix product of the forward pass */
};

#define form_run AS_REAL(form_run)
#define form_plan AS_REAL(form_plan)
#define form_weights AS_REAL(form_weights)

struct form_result form_run(const struct form *f);

/* Plans only. Says what weights and states there are, without making them. */
struct form_weight { char name[64]; enum as_kind kind; struct as_init init; int rank; ptrdiff_t dim[5];
                     bool statistic, state; ptrdiff_t at; };
struct form_layout { char why[512]; bool refused; int n; struct form_weight weight[FORM_PARTS]; ptrdiff_t store;
                     struct as_spec out; int children; unsigned promises; bool draws; char impl[32];
                     int n_keys; char key[32][64]; };    /* keys of the layers in it: "", "mixer", "mixer.core" */
struct form_layout form_plan(const struct form *f);

/* The initial weights, in the order of the store; malloc'd, *n of them (layout: `at`). NULL when it is refused. */
double *form_weights(const struct form *f, ptrdiff_t *n);

#ifndef ASSAY_DOUBLE
/* The double build, for those who compare. */
struct form_result form_run_d(const struct form *f);
struct form_layout form_plan_d(const struct form *f);
double *form_weights_d(const struct form *f, ptrdiff_t *n);
#endif

#endif

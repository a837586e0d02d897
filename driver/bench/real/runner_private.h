/* runner_private.h: what a runner is, for the files that make it and tell of it. */
#ifndef ASSAY_DRIVER_BENCH_RUNNER_PRIVATE_H
#define ASSAY_DRIVER_BENCH_RUNNER_PRIVATE_H

#include "driver/bench/runner.h"

#include "core/real/layer.h"

struct runner {
    struct runner_ask ask;
    struct as_config *cfg;
    struct as_model *m;
    struct as_layer *l;                  /* what is run */
    bool has_core;
    struct as_tape *t;
    struct as_arena *a;
    int n_in;
    struct as_spec in[AS_MAX_PORTS];     /* sizes of one run */
    real *x[AS_MAX_PORTS];               /* step: (time, batch, ...), else (batch, time, ...) */
    int32_t *ix[AS_MAX_PORTS];
    ptrdiff_t size[AS_MAX_PORTS];        /* numbers of one run's input */
    real *dy;
    ptrdiff_t n_out, at;
    struct as_node *node[AS_MAX_PORTS], *y;      /* of the last run */
};

#endif

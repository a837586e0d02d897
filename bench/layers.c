/* layers.c: one training step (forward and backward) of every layer that maps a sequence to a sequence, in each of
 * its implementations, found in the registry; 8 sequences of 256 steps, width 64. The first run is checked to be
 * finite; that forms agree is the business of `make check`. */
#include "bench/bench.h"

#include <assay/train.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 8, TIME = 256, WIDTH = 64 };

struct layer_bench {
    const struct as_entry *entry;
    char impl[24], why[256];
    struct as_config *cfg;
    struct as_model *model;
    struct as_tape *tape;
    struct as_batch batch;
    float *x;
};

static void step(void *ctx)
{
    struct layer_bench *b = ctx;
    struct as_weights w = as_model_store(b->model);
    struct as_node *y;

    as_tape_reset(b->tape);
    memset(w.dw, 0, (size_t)w.n * sizeof *w.dw);
    y = as_model_forward(b->model, b->tape, &b->batch, false, (struct as_key){ 0 });
    as_backward(b->tape, as_sum_all(b->tape, as_square(b->tape, y)), 1);
}

static void build(void *ctx)
{
    struct layer_bench *b = ctx;
    struct as_data_shape s = { .n_fields = 1, .max_length = TIME, .classes = 4,
                               .field = { { .name = "x", .rank = 2, .dim = { AS_TIME, WIDTH } } } };

    b->cfg = as_config_new();
    as_config_set(b->cfg, "model", as_say("%s/%s", b->entry->family, b->entry->name), true);
    as_config_set(b->cfg, "mixer", "linear", true);
    if (b->impl[0])
        as_config_set(b->cfg, "impl", b->impl, true);
    b->model = as_model_new(b->cfg, &s, 1);
    b->tape = as_tape_new();
    b->x = calloc((size_t)BATCH * TIME * WIDTH, sizeof *b->x);
    for (ptrdiff_t i = 0; i < (ptrdiff_t)BATCH * TIME * WIDTH; i++)
        b->x[i] = as_normal((struct as_key){ 1, AS_ROLE_TEST_HARNESS, 9 }, (uint64_t)i);
    b->batch = (struct as_batch){ .batch = BATCH, .time = TIME, .n_fields = 1, .field = { s.field[0] }, .x = { b->x } };
    step(b);
    for (ptrdiff_t i = 0; i < as_model_store(b->model).n; i++)
        if (!isfinite(as_model_store(b->model).dw[i]))
            as_fail(AS_FAILED, "a gradient is not finite");
}

static const char *prepare(void *ctx)
{
    struct layer_bench *b = ctx;

    if (b->model)
        return NULL;
    if (as_try(build, b) == AS_OK)
        return NULL;
    snprintf(b->why, sizeof b->why, "%s", as_failure_text());
    return b->why;
}

static void add(const struct as_entry *e, const char *impl)
{
    struct layer_bench *b = calloc(1, sizeof *b);

    if (!b)
        return;
    b->entry = e;
    snprintf(b->impl, sizeof b->impl, "%s", impl);
    bench_register(&(struct bench){ .name = as_say("%s/%s%s%s/step", e->family, e->name, impl[0] ? ":" : "", impl),
                                    .prepare = prepare, .run = step, .ctx = b });
}

void bench_register_layers(void)
{
    for (const struct as_entry *e = as_entries; e->path; e++) {
        struct as_choice choice[32];
        int n;

        if (!e->plugin->variant || e->kernel[0] || e->plugin->variant->ports || e->plugin->variant->promises & AS_FLAT)
            continue;
        n = as_registry_impls(e, choice, 32);
        for (int i = 0; i < n; i++)
            add(e, choice[i].impl->name);
        if (e->plugin->variant->graph)
            add(e, n ? "graph" : "");
    }
}

/* layers.c: one training step (forward and backward) of every layer that maps a sequence to a sequence, in each of its
 * implementations, found in the registry: 4 sequences of width 64 at several lengths. Each has just agreed with the double
 * build of its obvious form, as in `assay bench`, which does the work. */
#include "bench/bench.h"
#include "driver/bench.h"

#include <assay/layer.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 4, WIDTH = 64, HEADS = 4, SETTINGS = 8 };
static const long lengths[] = { 64, 128, 256, 512, 0 };

struct layer_bench {
    char name[96], impl[24], why[512], text[SETTINGS][48];
    const char *set[SETTINGS];
    int n_set;
    bool agreed;
    long size;
    struct runner *runner;
};

static void step(void *ctx) { runner_go(((struct layer_bench *)ctx)->runner); }

static struct runner_ask ask_of(const struct layer_bench *b, long size)
{
    return (struct runner_ask){ .layer = b->name, .set = b->set, .n_set = b->n_set, .impl = *b->impl ? b->impl : NULL,
                                .heads = HEADS, .mode = RUN_TRAIN, .batch = BATCH, .time = size, .width = WIDTH, .seed = 1 };
}

static void build(void *ctx)
{
    struct layer_bench *b = ctx;
    struct runner_ask ask = ask_of(b, b->size);

    b->runner = runner_new(&ask);
}

static const char *prepare(void *ctx, long size)
{
    struct layer_bench *b = ctx;
    struct runner_ask ask = ask_of(b, size);
    const char *why = NULL;

    if (b->runner && b->size == size)
        return NULL;
    runner_free(b->runner);
    b->runner = NULL;
    b->size = size;
    if (!b->agreed)
        why = bench_agrees(&ask, ask.impl);
    if (!why && as_try(build, b) != AS_OK)
        why = as_failure_text();
    if (!why) {
        b->agreed = true;
        return NULL;
    }
    snprintf(b->why, sizeof b->why, "%s", why);
    return b->why;
}

static void count(void *ctx, double *flop, double *bytes)
{
    struct layer_bench *b = ctx;
    struct runner_facts f = runner_describe(b->runner);

    *flop = 3 * runner_flop(b->runner, BATCH, b->size);
    *bytes = 4 * (3 * f.in + 2 * f.out + 3 * f.weights);
}

/* Slots that must be filled get a mixer that is linear in time. */
static void fill(struct layer_bench *b, const struct as_variant *v)
{
    for (const struct as_slot *s = v->slots; s && s->name && b->n_set < SETTINGS; s++)
        if (!s->def) {
            snprintf(b->text[b->n_set], sizeof b->text[0], "%s=linear", s->name);
            b->set[b->n_set] = b->text[b->n_set];
            b->n_set++;
        }
}

static void add(const struct as_entry *e, const char *impl)
{
    struct layer_bench *b = calloc(1, sizeof *b);
    char name[160];

    if (!b)
        return;
    snprintf(b->name, sizeof b->name, "%s/%s", e->family, e->name);
    snprintf(b->impl, sizeof b->impl, "%s", impl);
    fill(b, e->plugin->variant);
    snprintf(name, sizeof name, "%s%s%s", b->name, impl[0] ? ":" : "", impl);
    bench_register(&(struct bench){ .name = name, .prepare = prepare, .run = step, .count = count, .ctx = b, .sizes = lengths });
}

void bench_register_layers(void)
{
    for (const struct as_entry *e = as_entries; e->path; e++) {
        const struct as_variant *v = e->plugin->variant;
        struct as_choice choice[32];
        int n;

        if (!v || e->kernel[0] || v->promises & AS_FLAT)
            continue;
        n = as_registry_impls(e, choice, 32);
        for (int i = 0; i < n; i++)
            if (choice[i].impl->forward)
                add(e, choice[i].impl->name);
        if (v->graph)
            add(e, n ? "graph" : "");
    }
}

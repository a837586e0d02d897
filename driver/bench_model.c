/* bench_model.c: whole training steps of a small model: batch, forward, loss, backward, clipping, rule; the same loop
 * as a cell's. What the data and the model are stands in the settings, as in an experiment ("data.source=...",
 * "mixer=...", "train.lr=..."). */
#include "bench.h"

#include <assay/error.h>
#include <assay/train.h>
#include <core/real/train.h>
#include <stdlib.h>
#include <string.h>

struct bench_model { struct as_config *cfg; struct as_data *data; struct as_model *model; struct as_trainer *trainer; long until; };

static void configure(struct as_config *cfg, const struct bench_item *i)
{
    char key[96];

    as_config_set(cfg, "model", i->layer, true);
    as_config_set(cfg, "width", as_say("%td", i->width), true);
    as_config_set(cfg, "train.batch", as_say("%td", i->batch), true);
    as_config_set(cfg, "train.steps", "1000000000", true);
    as_config_set(cfg, "train.eval_every", "1000000000", true);
    as_config_set(cfg, "train.select", "last", true);
    for (int k = 0; k < i->n_set; k++) {
        const char *eq = strchr(i->set[k], '=');

        if ((size_t)(eq - i->set[k]) >= sizeof key)
            as_fail(AS_REFUSED, "%s: the key is too long", i->set[k]);
        memcpy(key, i->set[k], (size_t)(eq - i->set[k]));
        key[eq - i->set[k]] = 0;
        as_config_set(cfg, key, eq + 1, true);
    }
}

/* The model's own settings, without those of data and training: what its oracle is built from. */
static void agree(const struct bench_item *i, const struct as_data_shape *shape)
{
    const char *set[BENCH_SET + 1], *why, *width = as_say("width=%td", i->width);
    struct runner_ask ask = { .layer = i->layer, .set = set, .mode = RUN_TRAIN, .batch = 2, .time = i->time, .width = i->width,
                              .vocab = shape->field[0].integer ? shape->field[0].vocab : 0, .seed = 1 };

    set[ask.n_set++] = width;
    for (int k = 0; k < i->n_set; k++)
        if (strncmp(i->set[k], "data.", 5) != 0 && strncmp(i->set[k], "train.", 6) != 0 && strncmp(i->set[k], "rule", 4) != 0 &&
            strncmp(i->set[k], "objective", 9) != 0)
            set[ask.n_set++] = i->set[k];
    why = bench_agrees(&ask, NULL);
    if (why)
        as_fail(AS_REFUSED, "%s; it is not timed", why);
}

struct bench_model *bench_model_new(struct bench_item *i)
{
    struct bench_model *b = calloc(1, sizeof *b);
    const struct as_data_shape *shape;
    const char *unread;

    if (!b)
        as_fail(AS_NO_MEMORY, "no memory for a benchmark");
    i->model = b;                                /* so that it goes when one of the following raises */
    b->cfg = as_config_new();
    configure(b->cfg, i);
    b->data = as_data_open(b->cfg, 1, NULL);
    shape = as_data_describe(b->data);
    if (shape->max_length != i->time)
        as_fail(AS_REFUSED, "the data is %td long and --time says %td", shape->max_length, i->time);
    if (!i->agreed)
        agree(i, shape);
    b->model = as_model_new(b->cfg, shape, 1);
    b->trainer = as_trainer_new(b->cfg, b->model, b->data, NULL, 1);
    unread = as_config_unread(b->cfg);
    if (unread)
        as_fail(AS_REFUSED, "%s", unread);
    i->flop = i->useful = 3 * (double)i->batch * as_model_measure(b->model, i->time).flop;
    snprintf(i->formula, sizeof i->formula, "%.17g", i->flop);
    snprintf(i->facts.impl, sizeof i->facts.impl, "model");
    bench_model_run(b, 2);
    i->facts.memory = (double)as_arena_peak(as_tape_arena(b->trainer->tape));
    return b;
}

static bool pause_at(void *ctx, long step) { return step >= ((struct bench_model *)ctx)->until; }

double bench_model_run(struct bench_model *b, long steps)
{
    double start = bench_now();

    b->until = as_trainer_step(b->trainer) + steps;
    as_trainer_run(b->trainer, pause_at, b);
    return bench_now() - start;
}

void bench_model_free(struct bench_model *b)
{
    if (!b)
        return;
    as_trainer_free(b->trainer);
    as_model_free(b->model);
    as_data_close(b->data);
    as_config_free(b->cfg);
    free(b);
}

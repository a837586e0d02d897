/* stand.h: what tests of training and of models stand on: a configuration from pairs of key and text, and data, model and
 * trainer from it, made one after the other, so that a refusal in between leaves what can be freed. */
#ifndef ASSAY_TESTS_STAND_H
#define ASSAY_TESTS_STAND_H

#include <assay/train.h>

struct stand {
    struct as_config *cfg;
    struct as_data *data;
    struct as_model *model;
    struct as_trainer *trainer;
    struct as_arena *arena;          /* of the batch */
    struct as_batch *batch;
    struct as_pass pass;
};

/* n pairs; those whose text is NULL are left out. */
static inline void stand_set(struct stand *s, size_t n, const char *const (*pair)[2])
{
    if (!s->cfg)
        s->cfg = as_config_new();
    for (size_t i = 0; i < n; i++)
        if (pair[i][1])
            as_config_set(s->cfg, pair[i][0], pair[i][1], true);
}

/* Data of seed 3, and a model. */
static inline void stand_open(struct stand *s, uint64_t seed)
{
    s->data = as_data_open(s->cfg, 3, NULL);
    s->model = as_model_new(s->cfg, as_data_describe(s->data), seed);
}

static inline void stand_train(struct stand *s)
{
    s->trainer = as_trainer_new(s->cfg, s->model, s->data, NULL, 3);
}

/* The first rows of a split, and a pass over them. */
static inline void stand_read(struct stand *s, enum as_split split, ptrdiff_t rows)
{
    s->arena = as_arena_new();
    s->batch = as_batch_fill(s->data, s->arena, split, 0, rows, NULL);
    s->pass = (struct as_pass){ .model = s->model, .trainer = s->trainer, .batch = s->batch };
}

static inline void stand_free(struct stand *s)
{
    as_trainer_free(s->trainer);
    as_model_free(s->model);
    as_data_close(s->data);
    as_arena_free(s->arena);
    as_config_free(s->cfg);
}

#endif

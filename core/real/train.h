/* train.h: what a training run is inside core. */
#ifndef ASSAY_CORE_TRAIN_H
#define ASSAY_CORE_TRAIN_H

#include "layer.h"

#include <assay/objective.h>
#include <assay/rule.h>

#define AS_MAX_TERMS 8
#define AS_KINDS 5

struct term { double factor; const struct as_objective *objective; void *opt; char name[48]; };
struct objective { struct term term[AS_MAX_TERMS]; int n; };

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_LINEAR };

struct as_trainer {
    struct as_model *model;
    struct as_data *train, *valid;
    uint64_t seed;
    struct as_tape *tape;            /* the step under way */
    struct as_arena *batch_arena;
    struct objective objective;

    const struct as_rule *rule;
    void *rule_opt;
    int n_moments;
    real *moment;                    /* (n_moments, n_store) */

    double weight;                   /* of all targets of the batch, while it is gone through piece by piece */
    long updates;                    /* made so far: `step`, or more where a rule updates within a batch */
    long steps, step, warmup, eval_every, valid_examples;
    ptrdiff_t batch;
    double lr, decay, clip, final;
    enum schedule schedule;
    bool decay_all, select_best;
    double factor[AS_KINDS];         /* of the rate, by kind of weight; 0 freezes */

    const struct as_metric *metric, *tie;   /* validation; tie: the likelihood, may equal metric */
    real *best;                      /* (n_store) the selected weights */
    double best_score, best_tie;
    long best_step;
    double running;                  /* sum of training losses since the last point */
    long running_n;

    struct as_point *point;
    int n_points, room_points;

    int32_t *order;                  /* stored data: the epoch's permutation */
    long epoch;
};

#define objective_parse AS_REAL(as_objective_parse_)
#define objective_free AS_REAL(as_objective_free_)
#define objective_loss AS_REAL(as_objective_loss_)
#define position_weights AS_REAL(as_position_weights_)
#define trainer_update AS_REAL(as_trainer_update_)
#define rate_at AS_REAL(as_rate_at_)
#define clip_gradient AS_REAL(as_clip_gradient_)

/* Reads `objective` ("ce", "ce + 0.01*ponder"); def: the data's own. Raises AS_REFUSED. */
void objective_parse(struct objective *o, struct as_config *cfg, const char *def);
void objective_free(struct objective *o);

/* Clips, refuses what is not finite, and updates all weights once. */
void trainer_update(struct as_trainer *tr, const struct as_pass *pass);

/* The scalar to minimise: weighted mean over the positions that count, plus auxiliary terms. */
struct as_node *objective_loss(const struct objective *o, struct as_model *m, struct as_tape *t,
                               const struct as_batch *b, struct as_node *output, struct as_key key);

/* Weight of every target position, (batch) or (batch, time): 0 in the padding, where there is no target, else
 * the field "weight" or 1. *total gets their sum. In the arena. */
real *position_weights(struct as_arena *a, const struct as_batch *b, ptrdiff_t *n, double *total);

double rate_at(const struct as_trainer *tr, long step);     /* step: 1, 2, ... */

/* Scales the whole gradient so that its norm is at most tr->clip (0: leaves it); returns the norm before. */
double clip_gradient(const struct as_trainer *tr);

#endif

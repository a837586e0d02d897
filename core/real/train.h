/* train.h: what a training run is inside core. */
#ifndef ASSAY_CORE_TRAIN_H
#define ASSAY_CORE_TRAIN_H

#include "layer.h"

#include <assay/objective.h>
#include <assay/rule.h>

#define AS_MAX_TERMS 8
#define AS_KINDS 5

struct term {
    double factor;
    const struct as_objective *objective;
    void *opt;
    char name[48], output[48];       /* output: the further output that it judges; "" for the model's own */
};
struct objective {
    struct term term[AS_MAX_TERMS];
    int n, pieces;                   /* pieces: of the time axis, in which head and objective are taken (objective.pieces) */
};

enum schedule { SCHEDULE_CONSTANT, SCHEDULE_COSINE, SCHEDULE_LINEAR };

struct as_trainer {
    struct as_model *model;
    struct as_data *train, *valid;
    uint64_t seed;
    struct as_tape *tape;            /* the step under way */
    struct as_arena *batch_arena;
    struct row_lanes *lanes;         /* NULL: batches go through the model whole */
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

    uint64_t first;                  /* generators: number of the first example */
    int32_t *order;                  /* stored data: the epoch's permutation */
    long epoch;
    int32_t *by_class;               /* data.order = classes: examples sorted by class, in the order drawn; else NULL */
    ptrdiff_t *class_start, n_classes;      /* (n_classes + 1) */
};

#define head_losses AS_REAL(as_head_losses_)
#define pass_loss AS_REAL(as_pass_loss_)
#define batch_part AS_REAL(as_batch_part_)
#define rows_from AS_REAL(as_rows_from_)
#define rows_gathered AS_REAL(as_rows_gathered_)
#define rows_sorted AS_REAL(as_rows_sorted_)
#define rows_sorted_group AS_REAL(as_rows_sorted_group_)
#define rows_are_ragged AS_REAL(as_rows_are_ragged_)
#define rows_can_be_cut AS_REAL(as_rows_can_be_cut_)
#define rows_set_up AS_REAL(as_rows_set_up_)
#define rows_free AS_REAL(as_rows_free_)
#define rows_backprop AS_REAL(as_rows_backprop_)
#define objective_parse AS_REAL(as_objective_parse_)
#define objective_free AS_REAL(as_objective_free_)
#define objective_loss AS_REAL(as_objective_loss_)
#define position_weights AS_REAL(as_position_weights_)
#define trainer_update AS_REAL(as_trainer_update_)
#define trainer_show AS_REAL(as_trainer_show_)
#define trainer_trains AS_REAL(as_trainer_trains_)
#define rate_at AS_REAL(as_rate_at_)
#define clip_gradient AS_REAL(as_clip_gradient_)
#define order_set_up AS_REAL(as_order_set_up_)
#define order_pick AS_REAL(as_order_pick_)
#define order_free AS_REAL(as_order_free_)

/* Reads `objective` ("ce", "ce + 0.01*ponder", "ce(answers)"); def: the data's own. Raises AS_REFUSED. */
void objective_parse(struct objective *o, struct as_config *cfg, const char *def);
void objective_free(struct objective *o);

/* Which examples the step under way learns from: index (batch) is written and returned. Setting up refuses an order
 * that the data cannot have. */
void order_set_up(struct as_trainer *tr);
const uint64_t *order_pick(struct as_trainer *tr, uint64_t *index);
void order_free(struct as_trainer *tr);

/* Clips, refuses what is not finite, and updates all weights once. */
void trainer_update(struct as_trainer *tr, const struct as_pass *pass);

/* Is it one that the rule changes, and what the rule is shown of it; moment: room for AS_MAX_MOMENTS places. */
bool trainer_trains(const struct as_trainer *tr, const struct weight_slot *w);
struct as_update trainer_show(const struct as_trainer *tr, const struct weight_slot *w, real **moment);

/* The scalar to minimise: weighted mean over the positions that count, plus auxiliary terms. */
struct as_node *objective_loss(const struct objective *o, struct as_model *m, struct as_tape *t,
                               const struct as_batch *b, struct as_node *output, struct as_key key);

/* Losses (batch, time) of an output that was kept back, x being what it is made from, in so many pieces. */
struct as_node *head_losses(const struct kept_head *head, int pieces, const struct as_objective *objective,
                            const struct as_graph *g, struct as_node *x, struct as_node *target);

/* A forward pass with training on, whose head is kept back where the objective goes in pieces: what to minimise. */
struct as_node *pass_loss(const struct as_pass *p, struct as_tape *t);

/* Steps from..from+steps-1 of the rows row[0..rows-1] (NULL: 0, 1, ...) of a batch as a batch of its own; in the arena. */
struct as_batch batch_part(struct as_arena *a, const struct as_batch *b, const ptrdiff_t *row, ptrdiff_t rows,
                           ptrdiff_t from, ptrdiff_t steps);
/* Rows from..from+count-1 of a batch, where they stand. */
struct as_batch rows_from(const struct as_batch *b, ptrdiff_t from, ptrdiff_t count);
/* The same of rows that stand apart, row[0] the longest, cut where it ends; in the arena. */
struct as_batch rows_gathered(struct as_arena *a, const struct as_batch *b, const ptrdiff_t *row, ptrdiff_t count);
/* All rows from the longest to the shortest, equal ones as they stand (batch); in the arena. */
const ptrdiff_t *rows_sorted(struct as_arena *a, const struct as_batch *b);
ptrdiff_t rows_sorted_group(ptrdiff_t batch);                  /* rows of a group of those */
bool rows_are_ragged(const struct as_batch *b);                /* so much is padding that sorting is worth while */
/* Whether sequences may be cut behind their last step, and whether there is anything to cut. */
bool rows_can_be_cut(const struct as_model *m, const struct as_data_shape *data);

/* Groups of rows (train.rows), for trainers whose batches do not go through the model whole: tr->lanes is NULL for the
 * others. rows_backprop() is as_pass_backprop() by groups; false: this batch is better taken whole, nothing was done. */
void rows_set_up(struct as_trainer *tr, struct as_config *cfg);
void rows_free(struct as_trainer *tr);
bool rows_backprop(struct as_pass *p);

/* Weight of every target position, (batch) or (batch, time): 0 in the padding, where there is no target, else
 * the field "weight" or 1. *total gets their sum. In the arena. */
real *position_weights(struct as_arena *a, const struct as_batch *b, ptrdiff_t *n, double *total);

double rate_at(const struct as_trainer *tr, long step);     /* step: 1, 2, ... */

/* Scales the whole gradient so that its norm is at most tr->clip (0: leaves it); returns the norm before. */
double clip_gradient(const struct as_trainer *tr);

#endif

/* train.h: models, batches, training and evaluation: one loop for the driver and for studies.
 */
#ifndef ASSAY_TRAIN_H
#define ASSAY_TRAIN_H

#include <assay/config.h>
#include <assay/layer.h>
#include <assay/metric.h>
#include <assay/source.h>

/* --- data at run time ---------------------------------------------------------------------------------- */

/* A stream of examples with one shape; a generator or stored data behind the same two calls. */
struct as_data;

#define as_data_open AS_REAL(as_data_open)
#define as_data_close AS_REAL(as_data_close)
#define as_data_describe AS_REAL(as_data_describe)
#define as_data_changed AS_REAL(as_data_changed)

/* How stored data reaches core: the driver's HDF5 reader fills this. Arrays are ragged: example e of a split
 * has rows offset[e]..offset[e+1] of every AS_TIME field; other fields have one entry an example. */
struct as_stored {
    struct as_data_shape shape;
    ptrdiff_t *offset[AS_SPLITS];                     /* (count + 1) */
    int32_t *i[AS_SPLITS][AS_MAX_FIELDS];
    float *x[AS_SPLITS][AS_MAX_FIELDS];
};

/* Opens the data of a configuration ("data.source", "data.*"). stored: NULL for generators; borrowed. */
struct as_data *as_data_open(struct as_config *cfg, uint64_t seed, const struct as_stored *stored);
/* The same source with some keys changed ("data.length" = "160"), for evaluations. */
struct as_data *as_data_changed(struct as_config *cfg, uint64_t seed, const struct as_stored *stored,
                                const char *const *keys, const char *const *texts, int n);
void as_data_close(struct as_data *d);
const struct as_data_shape *as_data_describe(const struct as_data *d);

struct as_batch {
    ptrdiff_t batch, time;           /* time: longest example of the batch */
    int32_t *length;                 /* (batch) */
    int n_fields;
    struct as_data_field field[AS_MAX_FIELDS];
    int32_t *i[AS_MAX_FIELDS];       /* (batch, ...), padded */
    real *x[AS_MAX_FIELDS];
};
#define as_batch_fill AS_REAL(as_batch_fill)
/* Examples first..first+n-1 of a split, in the arena. Training order is the caller's: `index` (n) or NULL. */
struct as_batch *as_batch_fill(struct as_data *d, struct as_arena *a, enum as_split split, uint64_t first,
                               ptrdiff_t n, const uint64_t *index);

/* --- models --------------------------------------------------------------------------------------------- */

struct as_model;

#define as_model_new AS_REAL(as_model_new)
#define as_model_free AS_REAL(as_model_free)
#define as_model_forward AS_REAL(as_model_forward)
#define as_model_measure AS_REAL(as_model_measure)
#define as_model_describe AS_REAL(as_model_describe)
#define as_model_store AS_REAL(as_model_store)
#define as_model_digest AS_REAL(as_model_digest)
#define as_model_count AS_REAL(as_model_count)

/* Builds and initialises the model that cfg asks for ("model", "mixer", ...), for this data. Every default and
 * chosen implementation is written back into cfg. Raises AS_REFUSED with a sentence when it cannot be. */
struct as_model *as_model_new(struct as_config *cfg, const struct as_data_shape *data, uint64_t seed);
void as_model_free(struct as_model *m);

/* Output of the model on a batch. training: dropout on; key: draws of this step. */
struct as_node *as_model_forward(struct as_model *m, struct as_tape *t, const struct as_batch *b, bool training,
                                 struct as_key key);

struct as_model_stats { double parameters, state, flop; };     /* state: numbers kept per sequence */
struct as_model_stats as_model_measure(struct as_model *m, ptrdiff_t time);   /* flop: forward, one sequence */
char *as_model_describe(const struct as_model *m);             /* malloc'd; one line a layer */

/* The flat store: every weight and statistic, in plan order. */
struct as_weights { ptrdiff_t n; real *w, *dw; int count; };
struct as_weights as_model_store(struct as_model *m);
uint64_t as_model_digest(const struct as_model *m);            /* of the bits of all weights */
/* What the implementations of its layers have counted under this name (as_impl.counts) since the model was made, all
 * layers together: as_model_count(m, "newton.iterations"). 0 when none counts it. */
double as_model_count(const struct as_model *m, const char *name);

/* One weight or statistic of the store by its name ("W_in", "block0.mixer.W_q"), for taking models apart; w is NULL
 * when there is none of that name. */
struct as_named_weight { int rank; const ptrdiff_t *dim; real *w; };
#define as_model_weight AS_REAL(as_model_weight)
struct as_named_weight as_model_weight(const struct as_model *m, const char *name);

/* Takes over the weights and statistics of another model, by name and shape; those whose names begin with a word of
 * `fresh` ("head, block0.norm"; NULL: none) stay as they were drawn. NULL, or a sentence about the first that has no
 * forerunner of its shape, and then some may have been taken already. Weights that only `from` has are left behind. */
#define as_model_adopt AS_REAL(as_model_adopt)
const char *as_model_adopt(struct as_model *m, const struct as_model *from, const char *fresh);

/* Streaming: one time step for a whole batch, x (batch, 1, ...), states kept between calls. */
#define as_model_stream AS_REAL(as_model_stream)
#define as_model_step AS_REAL(as_model_step)
void as_model_stream(struct as_model *m, ptrdiff_t batch);     /* starts: states at their initial values; 0 ends */
struct as_node *as_model_step(struct as_model *m, struct as_tape *t, int n_in, struct as_node *const *in);

/* --- training --------------------------------------------------------------------------------------------*/

struct as_point { long step; double train_loss, valid; };      /* one point of the curves */

/* All state of one training run that a checkpoint has to hold is inside; see as_trainer_save(). */
struct as_trainer;

#define as_trainer_new AS_REAL(as_trainer_new)
#define as_trainer_free AS_REAL(as_trainer_free)
#define as_trainer_run AS_REAL(as_trainer_run)
#define as_trainer_step AS_REAL(as_trainer_step)
#define as_trainer_steps AS_REAL(as_trainer_steps)
#define as_trainer_curve AS_REAL(as_trainer_curve)
#define as_trainer_select AS_REAL(as_trainer_select)
#define as_trainer_save AS_REAL(as_trainer_save)
#define as_trainer_load AS_REAL(as_trainer_load)
#define as_evaluate AS_REAL(as_evaluate)

/* One batch on one model: what a rule's gradient() is given. Weights' gradients are zero when it is called;
 * the loss is the objective's weighted mean. */
struct as_pass {
    struct as_model *model;
    const struct as_batch *batch;
    struct as_key key;               /* of this step's draws */
    double loss;                     /* written */
    size_t bytes;                    /* written: most that tape and states held at once, without the data */
    bool updated;                    /* as_pass_update() was called: the trainer makes no update of its own */
    struct as_trainer *trainer;      /* private */
};
#define as_pass_backprop AS_REAL(as_pass_backprop)
void as_pass_backprop(struct as_pass *p);                      /* the default: forward, loss, backward */

/* For rules that learn while they go through a sequence. Runs time steps from..from+count-1 of the batch (cut at its
 * end) one after the other, training on, from the states that the piece before left (from = 0: the initial ones), adds
 * this piece's share to the loss, and its gradient to the weights'. No gradient goes back beyond `from`, and nothing of
 * the tape is kept from piece to piece: memory depends on count, not on the length. Returns the weight of the targets
 * in the piece; without any nothing is gone back. Pieces come in order and without gaps. Raises AS_REFUSED for models
 * that give no output at every step, layers whose graph does not stream, and objectives with auxiliary losses. */
#define as_pass_window AS_REAL(as_pass_window)
double as_pass_window(struct as_pass *p, ptrdiff_t from, ptrdiff_t count);

/* One update of all weights, now, by the gradient so far (clipped as ever); then the gradient is zero again. A rule
 * sees updates numbered from 1 across batches, as as_update.step. */
#define as_pass_update AS_REAL(as_pass_update)
void as_pass_update(struct as_pass *p);

/* For wrappers that hold something by weight (masks, a second copy): number i = 0, 1, ... of the weights that are trained, as
 * update() would be shown it now. Values and moments may be changed; g is the gradient so far, not clipped; step is the
 * number of updates made. moment: room for AS_MAX_MOMENTS places, to which u->moment will point. False: there is none. */
struct as_update;                    /* rule.h */
#define as_pass_weight AS_REAL(as_pass_weight)
bool as_pass_weight(struct as_pass *p, int i, struct as_update *u, real **moment);

/* Reads "train.*", "rule.*", "objective" from cfg. train: data to learn from; valid: data for selection. */
struct as_trainer *as_trainer_new(struct as_config *cfg, struct as_model *m, struct as_data *train,
                                  struct as_data *valid, uint64_t seed);
void as_trainer_free(struct as_trainer *tr);

/* A run that goes on where others have learnt: generated examples are counted from `first` on, so that they are new
 * ones (a new trainer begins at 0). Before the first step. */
#define as_trainer_begin AS_REAL(as_trainer_begin)
void as_trainer_begin(struct as_trainer *tr, uint64_t first);

/* Trains to the end. pause(ctx, step) is called after each step: returning true ends the call early (a
 * checkpoint or a signal); calling again goes on. Returns true when training is complete. Raises AS_DIVERGED. */
bool as_trainer_run(struct as_trainer *tr, bool (*pause)(void *ctx, long step), void *ctx);
long as_trainer_step(const struct as_trainer *tr);             /* steps done */
long as_trainer_steps(const struct as_trainer *tr);            /* steps planned */
int as_trainer_curve(const struct as_trainer *tr, const struct as_point **points);
void as_trainer_select(struct as_trainer *tr);                 /* puts the selected (best or last) weights in place */

/* The whole state as one block of bytes (malloc'd), and back; NULL, or why it does not fit. */
void *as_trainer_save(const struct as_trainer *tr, size_t *n);
const char *as_trainer_load(struct as_trainer *tr, const void *bytes, size_t n);

/* A metric over `count` examples of a split (0: all that are stored). per_example: optional (count): values. */
struct as_score { double value, sum, weight; ptrdiff_t examples; };
struct as_score as_evaluate(struct as_model *m, struct as_data *d, enum as_split split, ptrdiff_t count,
                            ptrdiff_t batch, const struct as_metric *metric, float *per_example);

/* Several metrics in one pass; scores: one per metric; per_example: (n_metrics) arrays or NULLs, or NULL. */
#define as_evaluate_all AS_REAL(as_evaluate_all)
void as_evaluate_all(struct as_model *m, struct as_data *d, enum as_split split, ptrdiff_t count, ptrdiff_t batch,
                     int n_metrics, const struct as_metric *const *metrics, struct as_score *scores,
                     float *const *per_example);

#endif

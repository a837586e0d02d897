/* layer.h: what a layer and a model are inside core. Plug-ins see neither. */
#ifndef ASSAY_CORE_LAYER_H
#define ASSAY_CORE_LAYER_H

#include <assay/config.h>
#include <assay/train.h>

#define AS_MAX_WEIGHTS 32
#define AS_MAX_STATES 8
#define AS_MAX_CHILDREN 128
#define AS_MAX_PORTS 6
#define AS_PATH 160

struct weight_slot {                 /* one weight or running statistic */
    char name[AS_PATH];              /* "block0.mixer.W_q" */
    enum as_kind kind;
    struct as_init init;
    bool used, statistic;
    bool frozen;                     /* by the trainer of this model (train.freeze) */
    ptrdiff_t at;                    /* place in the model's flat store */
    struct as_node node;             /* over that place; outlives every tape */
};

struct state_slot {
    char name[32];
    struct as_init init;
    bool used;
    int rank;
    ptrdiff_t dim[AS_MAX_RANK];      /* dim[0] == AS_ANY: the batch */
    real *value;                     /* streaming only: (batch, ...) */
    struct as_node *node;            /* in a piece that is learnt from: what the step before left, on the tape */
    bool set;                        /* the graph under way has left one */
};

struct child_slot { int slot, copy; struct as_layer *layer; };

struct as_layer {
    struct as_model *model;
    const struct as_entry *entry;
    const struct as_variant *variant;
    void *opt;
    char path[AS_PATH];              /* where it stands: "block0.mixer" */
    char key[AS_PATH];               /* its configuration key: "mixer"; "" for the model */
    uint64_t tag;                    /* hash of the path: keys its draws */
    int n_in;
    struct as_spec in[AS_MAX_PORTS], out;
    int n_weights, n_states, n_children;
    struct weight_slot weight[AS_MAX_WEIGHTS];
    struct state_slot state[AS_MAX_STATES];
    struct child_slot child[AS_MAX_CHILDREN];
    const struct as_impl *impl;      /* NULL: the graph */
    const struct as_impl *stepper;   /* the implementation whose step() streams; NULL: the graph */
    double count[AS_MAX_COUNTS];     /* what `impl` has counted since the model was made */
};

struct extra { char name[48]; struct as_node *node; };

/* A model's last step that is kept back (as_head()): from x to the output. */
struct kept_head {
    bool wanted;                     /* by the pass under way */
    struct as_node *(*body)(struct as_graph *g, struct as_node *x);
    const struct as_layer *layer;
    struct as_key key;
};

struct as_model {
    struct as_config *cfg;           /* borrowed while it is being built */
    struct as_data_shape data;
    struct as_layer *root;
    struct as_layer **layer;         /* every layer, in plan order */
    int n_layers, room_layers;
    ptrdiff_t n_store;
    real *store, *gradient;
    bool borrowed;                   /* the store is another model's (model_twin()) */
    uint64_t seed;
    ptrdiff_t position;              /* streaming: time index of the next step */
    bool streaming;
    bool learning;                   /* ... with gradients: states stay on the tape within a piece */
    struct extra output[8], loss[8]; /* of the pass under way */
    int n_outputs, n_losses;
    struct kept_head head;                /* of the pass under way */
    struct as_arena *state_arena;
};

#define layer_build AS_REAL(as_layer_build_)
#define layer_run AS_REAL(as_layer_run_)
#define layer_call AS_REAL(as_layer_call_)
#define layer_step AS_REAL(as_layer_step_)
#define layer_state_dims AS_REAL(as_layer_state_dims_)
#define layer_free AS_REAL(as_layer_free_)
#define layer_sizes AS_REAL(as_layer_sizes_)
#define layer_flop AS_REAL(as_layer_flop_)
#define layer_draw_weights AS_REAL(as_layer_draw_weights_)
#define model_step AS_REAL(as_model_step_)
#define model_learn AS_REAL(as_model_learn_)
#define model_field AS_REAL(model_field_)
#define model_twin AS_REAL(as_model_twin_)
#define model_extra_loss AS_REAL(as_model_extra_loss_)
#define model_extra_output AS_REAL(as_model_extra_output_)
#define model_named AS_REAL(as_model_named_)
#define model_names_refusal AS_REAL(as_model_names_refusal_)
#define data_class_targets AS_REAL(as_data_class_targets_)

/* Plans the filler of configuration key `key` (default def) for these inputs; NULL when it is "none". */
struct as_layer *layer_build(struct as_model *m, const char *key, const char *def, const char *path, int n_in,
                             const struct as_spec *in);
/* in (n_in) = the inputs' sizes at this batch and time. */
void layer_sizes(const struct as_layer *l, ptrdiff_t batch, ptrdiff_t time, struct as_spec *in);
/* Operations of a forward pass of the layer alone, batch 1. Layers that declare a cost are believed; for the others every
 * matrix is used once a position. */
double layer_flop(const struct as_layer *l, ptrdiff_t time);
/* Runs a layer on nodes by its own implementation. */
struct as_node *layer_run(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
                          struct as_node *const *in);
/* The same by l->impl, which must be there. */
struct as_node *layer_call(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
                           struct as_node *const *in);
/* One step of a stream by l->stepper: x is (batch, 1, ...); implementations see it without the time axis. */
struct as_node *layer_step(struct as_layer *l, struct as_tape *t, struct as_key key, int n_in, struct as_node *const *in);
/* dims = the sizes of a state with the batch filled in; returns how many numbers it has. */
ptrdiff_t layer_state_dims(const struct state_slot *s, ptrdiff_t batch, ptrdiff_t *dims);
void layer_free(struct as_layer *l);
/* Initial values of all weights of a layer, into the model's store. */
void layer_draw_weights(struct as_layer *l, uint64_t seed);
/* One streamed step, as as_model_step(); training: as in as_model_forward(). */
struct as_node *model_step(struct as_model *m, struct as_tape *t, bool training, struct as_key key, int n_in,
                           struct as_node *const *in);
/* A stream that is learnt from, piece by piece: gradients go through the states of one piece. Begins a piece; the
 * tape may be reset before. False: an ordinary stream again. */
void model_learn(struct as_model *m, bool learning);
/* The same model once more, from the same configuration: over the weights of m, with gradients and everything else of a pass
 * of its own. Freed by as_model_free(), before m. Raises AS_FAILED when the configuration makes another one. */
struct as_model *model_twin(struct as_model *m, struct as_config *cfg);
/* The field of a batch as a node without gradient, or NULL when there is none of that name. */
struct as_node *model_field(struct as_tape *t, const struct as_batch *b, const char *name);
/* Whether a name begins with one of the words of a list ("head, block0.norm"). */
bool model_named(const char *list, const char *name);
/* NULL, or a sentence about the first word that no weight of the model begins with. */
const char *model_names_refusal(const struct as_model *m, const char *list);
/* The class of each training example when the data are to come class by class (data.order = classes), else NULL.
 * Raises AS_REFUSED where examples have none. */
const int32_t *data_class_targets(const struct as_data *d, ptrdiff_t *classes);
/* The auxiliary loss called `name` of the last pass, or NULL. */
struct as_node *model_extra_loss(struct as_model *m, const char *name);
/* The further output called `name` of the last pass, or NULL. */
struct as_node *model_extra_output(struct as_model *m, const char *name);

#endif

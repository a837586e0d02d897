/* layer.h: the contract of everything that maps fields to fields: mixers, channel mixers, activations,
 * normalisers, positions, wirings, whole models.
 *
 * A *variant* says WHAT is computed; an *implementation* HOW. A layer in a model is a variant with its options,
 * its weights and its children. Hooks get what they may touch as one argument; they never allocate, print,
 * read a clock, open a file or call rand(). Inputs are never written; gradients are added to.
 */
#ifndef ASSAY_LAYER_H
#define ASSAY_LAYER_H

#include <assay/error.h>
#include <assay/ops.h>
#include <assay/option.h>
#include <assay/registry.h>

#define AS_ANY (-1)          /* a size that is known only at run time: batch and time, in a plan */

/* Where it comes from. Printed by `assay describe` and in the report. */
struct as_paper {
    const char *key;         /* "yang2024deltanet" */
    const char *title, *url;
    const char *where;       /* the equations used: "eq. 5-9, appendix B.2" */
    const char *departs;     /* how we differ, or "nothing" */
    int year;
    int id;                  /* row of the catalogue, 0: none */
};

/* Promises: each is tested on every shape; a broken one keeps the variant out of experiments. */
enum as_promise {
    AS_CAUSAL = 1,           /* a later input changes nothing earlier */
    AS_POINTWISE = 2,        /* each position by itself */
    AS_LINEAR = 4,           /* linear in its first input */
    AS_PADDING_SAFE = 8,     /* what stands in the padding changes no valid output */
    AS_DRAWS = 16,           /* uses random numbers while training */
    AS_BATCH_STATISTICS = 32,/* rows of a batch see each other while training */
    AS_FLAT = 64,            /* a wiring or model: its children's keys stand at its own level ("mixer", not
                                "block.mixer") */
    AS_EXTRAS = 128          /* hands over auxiliary losses or further outputs, so it cannot be recomputed */
};

/* A place for another layer. `kind` names the families that may fill it, "recurrent|attention|..."; the
 * wild card "mixer" stands for every sequence mixer, see doc/contracts.md. */
struct as_slot {
    const char *name;        /* required: "mixer"; NULL ends the table */
    const char *def;         /* default filler, "none" for an optional slot that stays empty; NULL: must be given */
    const char *help;
};

/* What an input looks like when the layer is checked (`assay check`): one row a port, in the order of `ports`.
 * Without the table there is one input x, (batch, time, 16), normal. */
struct as_sample {
    int rank;                /* number of sizes behind (batch, time) */
    ptrdiff_t dim[3];        /* of the table, equal numbers stand for sizes that must be equal; others are tried, too */
    double sd;               /* normal draws of this deviation; 0: 1 */
    double lo, hi;           /* unless both are 0: uniform draws between them instead */
    ptrdiff_t vocab;         /* above 0: integers 0..vocab-1 instead */
    bool optional;           /* this port may be left out, with all behind it: both are checked */
};

enum as_kind {               /* of a weight: rules choose rate and decay by it */
    AS_MATRIX, AS_EMBEDDING, AS_BIAS, AS_GAIN, AS_RECURRENCE /* decays, eigenvalues, time steps */
};

enum as_spread { AS_ZERO, AS_CONSTANT, AS_NORMAL, AS_UNIFORM, AS_GLOROT /* uniform, +-sqrt(6/(in+out)) */,
                 AS_FAN_IN /* uniform, +-1/sqrt(fan in) */, AS_ORTHOGONAL, AS_IDENTITY, AS_DRAWN };
struct as_init {
    enum as_spread spread;
    double a, b;             /* constant; mean and sd; low and high; gain (orthogonal, glorot, fan in: 0 = 1) */
    void (*draw)(const void *opt, struct as_key key, ptrdiff_t n, float *w);    /* AS_DRAWN: fills w */
};

struct as_spec { enum as_dtype dtype; int rank; ptrdiff_t dim[AS_MAX_RANK]; ptrdiff_t vocab; /* integers: 0..vocab-1 */ };

/* --- planning ------------------------------------------------------------------------------------------- */

/* What a variant's plan() may look at and call. Weights, states and outputs are declared once, by the place
 * they have in the file's own enum, so `W_IN` names the same thing in plan, graph and kernels. */
struct as_plan {
    const void *opt;                 /* the variant's options */
    const struct as_spec *in;        /* one per input port */
    int n_in;
    ptrdiff_t max_time;              /* longest training sequence, 0 when unknown */
    ptrdiff_t classes;               /* models: number of outputs asked for by the data; else 0 */
    struct as_layer *layer;          /* private */
};

#define as_weight AS_REAL(as_weight)
#define as_state AS_REAL(as_state)
#define as_statistic AS_REAL(as_statistic)
#define as_output AS_REAL(as_output)
#define as_output_dims AS_REAL(as_output_dims)
#define as_plan_child AS_REAL(as_plan_child)
#define as_plan_refuse AS_REAL(as_plan_refuse)

/* Weight number `place`, called `name`; for the fan-based initialisers the first size is `out`, the rest `in`.
 * (dims follow as ptrdiff_t: cast literals.) */
void as_weight(struct as_plan *p, int place, const char *name, enum as_kind kind, struct as_init init,
               int rank, const ptrdiff_t *dims);
/* State number `place` of step(): first size AS_ANY is the batch. Starts at zero unless `init` says otherwise
 * (AS_CONSTANT). State size in records is the product of the other sizes. */
void as_state(struct as_plan *p, int place, const char *name, struct as_init init, int rank, const ptrdiff_t *dims);
/* A running statistic: kept with the weights, saved, not trained. */
void as_statistic(struct as_plan *p, int place, const char *name, struct as_init init, int rank, const ptrdiff_t *dims);
/* Output port `port`; without a call output 0 has the sizes of input 0. AS_ANY keeps the size of input 0. */
void as_output(struct as_plan *p, int port, int rank, const ptrdiff_t *dims);
/* Plans the filler of slot number `slot`, copy `copy` (0 for a single one), for these inputs; returns its first
 * output's spec, or NULL when the slot is empty. */
const struct as_spec *as_plan_child(struct as_plan *p, int slot, int copy, int n_in, const struct as_spec *in);
/* Ends planning with a refusal (as_say() text). */
_Noreturn void as_plan_refuse(struct as_plan *p, const char *why);

/* --- the graph ------------------------------------------------------------------------------------------- */

/* What graph() works with. One input and one output unless `ports` say otherwise. */
struct as_graph {
    struct as_tape *t;
    const void *opt;
    struct as_node *const *in;       /* inputs by port; in[0] is the argument x */
    int n_in;
    bool training;                   /* dropout and batch statistics on */
    bool streaming;                  /* one time step from state; see as_graph_state() */
    struct as_key key;               /* for draws; differs per layer and step */
    const struct as_layer *layer;
};

#define as_w AS_REAL(as_w)
#define as_child AS_REAL(as_child)
#define as_child_ports AS_REAL(as_child_ports)
#define as_has_child AS_REAL(as_has_child)
#define as_head AS_REAL(as_head)
#define as_extra_output AS_REAL(as_extra_output)
#define as_auxiliary AS_REAL(as_auxiliary)
#define as_graph_state AS_REAL(as_graph_state)
#define as_graph_state_set AS_REAL(as_graph_state_set)
#define as_graph_statistic AS_REAL(as_graph_statistic)
#define as_graph_position AS_REAL(as_graph_position)
#define as_graph_conv AS_REAL(as_graph_conv)
#define as_graph_conv_silu AS_REAL(as_graph_conv_silu)
#define as_plan_conv AS_REAL(as_plan_conv)

struct as_node *as_w(struct as_graph *g, int place);                     /* a weight, as declared in plan */
bool as_has_child(const struct as_graph *g, int slot, int copy);
/* Runs the child in a slot on x by its own implementation; an empty optional slot returns x. */
struct as_node *as_child(struct as_graph *g, int slot, int copy, struct as_node *x);
struct as_node *as_child_ports(struct as_graph *g, int slot, int copy, int n_in, struct as_node *const *in);
/* The last step of a model, body(g, x) from its blocks to its output (batch, time, k), position by position. Where the
 * objective takes sequences in pieces (objective.pieces) it is kept back, and x returned: body then runs on one piece at a
 * time, there and back, so that the outputs of all steps never stand side by side. body uses no more of g than weights. */
struct as_node *as_head(struct as_graph *g, struct as_node *x, struct as_node *(*body)(struct as_graph *g, struct as_node *x));
void as_extra_output(struct as_graph *g, const char *name, struct as_node *value);   /* more outputs, by name */
/* A named auxiliary loss: (batch) or (batch, time); the objective names its weight ("ce + 0.01*ponder"). */
void as_auxiliary(struct as_graph *g, const char *name, struct as_node *loss);
/* Streaming, for layers whose step is their graph: the state before this step, and what it becomes. A rule that
 * learns piece by piece (as_pass_window() in train.h) runs graphs in this way, with training on; within a piece the
 * state carries a gradient. */
struct as_node *as_graph_state(struct as_graph *g, int place);
void as_graph_state_set(struct as_graph *g, int place, struct as_node *value);
real *as_graph_statistic(struct as_graph *g, int place);                 /* read and, when training, written */
ptrdiff_t as_graph_position(const struct as_graph *g);                   /* time index of the first step given */

/* A short causal depthwise convolution over time, with the state that streaming needs: x (batch, time, width).
 * Declared by as_plan_conv: weight `place` (width, kernel), uniform in +-1/sqrt(kernel), and state `state`, the
 * last kernel - 1 inputs. */
void as_plan_conv(struct as_plan *p, int place, int state, const char *name, ptrdiff_t width, ptrdiff_t kernel);
struct as_node *as_graph_conv(struct as_graph *g, int place, int state, struct as_node *x);
struct as_node *as_graph_conv_silu(struct as_graph *g, int place, int state, struct as_node *x); /* silu of it */

/* --- implementations ------------------------------------------------------------------------------------- */

/* All that one call of an implementation may touch. Arrays are dense. Ports by the file's enum. */
struct as_call {
    const void *opt;
    int n_in;
    const struct as_spec *in;        /* actual sizes of the inputs */
    const struct as_spec *out;       /* actual sizes of output 0 */
    const real *const *x;            /* inputs; NULL for integer ports */
    const int32_t *const *ix;        /* integer inputs; NULL for real ports */
    real *y;                         /* forward: output 0, to be written whole; backward: as it was left */
    const real *dy;                  /* backward: its gradient */
    real *const *dx;                 /* backward: added to; NULL entries want none */
    const bool *fresh;               /* backward, by port, for an implementation with `fresh`: dx holds nothing yet and
                                        is to be written whole, padding too */
    const real *const *w;            /* weights by place */
    real *const *dw;                 /* backward: added to; NULL entries are frozen */
    real *const *state;              /* step: read and written; forward: NULL */
    void *const *saved;              /* from forward to backward, by as_impl.plan; NULL without gradients */
    void *const *scratch;            /* not initialised */
    const int32_t *length;           /* (batch) valid steps, or NULL */
    ptrdiff_t position;              /* step: time index */
    struct as_key key;
    bool training;
    double *count;                   /* forward: added to, by place in as_impl.counts; NULL: nobody asks */
};

#define AS_MAX_COUNTS 4

/* as_impl.plan(): sizes of what this call keeps and scratches, in elements of `real`. */
struct as_room {
    const void *opt;
    int n_in;
    const struct as_spec *in, *out;  /* actual sizes */
    bool gradients;                  /* false: nothing need be saved */
    size_t saved[8], scratch[8];     /* written by the hook; zeroed before */
};

struct as_impl {                     /* HOW */
    int abi;                         /* required: ASSAY_ABI */
    const char *name;                /* required: "ref", "chunk" */
    int rank;                        /* higher is tried first; the reference has 0, or -1 where the graph's operators
                                        are faster: then the graph is the default, and only its name chooses it */
    const char *tolerance_why;       /* why it may differ more than the derived tolerance; NULL: it does not */
    double tolerance;                /* in units of the oracle's one-ulp noise; 0: the default */
    const char *(*can)(const void *opt, int n_in, const struct as_spec *in);   /* optional: NULL, or why not */
    void (*plan)(struct as_room *r);                   /* optional: nothing saved, no scratch */
    void (*forward)(const struct as_call *c);          /* optional when `step` is there: repeated steps */
    void (*backward)(const struct as_call *c);         /* optional: the variant's graph gives the gradient */
    bool fresh;                      /* backward looks at as_call.fresh; else a new dx is zeroed before */
    void (*step)(const struct as_call *c);             /* optional: one time step, x and y without the time axis */
    /* Optional: operations of the products that this form makes, forward, or forward and backward with `train`, where they
     * are others than the variant's cost (and three times it): chunks, tiles and transforms. in: actual sizes. */
    double (*flop)(const void *opt, int n_in, const struct as_spec *in, bool train);
    const char *const *counts;       /* optional: names of what forward counts of its own work ("newton.iterations"),
                                        NULL at the end, at most AS_MAX_COUNTS; read by as_model_count() */
};

struct as_cost { double flop, bytes; };                /* of one forward pass */

struct as_variant {                  /* WHAT: exactly one per NAME.c of a layer family */
    int abi;                         /* required: ASSAY_ABI */
    const char *summary;             /* required: one sentence */
    struct as_paper paper;           /* required: key, title, where, departs */
    const struct as_option *options; /* optional; ends with { 0 } */
    size_t opt_size;
    const struct as_slot *slots;     /* optional; ends with { 0 }: then `graph` is the only form */
    const char *const *ports;        /* optional: names of the inputs, NULL at the end; default: "x" */
    const struct as_sample *samples; /* optional without `ports`: a row a port, what inputs look like in checks */
    const char *kinks;               /* where the function is not differentiable ("max at ties"); NULL: nowhere */
    unsigned promises;
    const char *(*check)(const void *opt, int n_in, const struct as_spec *in);  /* optional: NULL, or why not */
    void (*plan)(struct as_plan *p);                   /* optional: no weights, output like input */
    struct as_node *(*graph)(struct as_graph *g, struct as_node *x);  /* required, or an implementation "ref" with
                                                          forward and backward (or step) */
    struct as_cost (*cost)(const void *opt, int n_in, const struct as_spec *in);  /* optional: weights' products */
    const char *graph_tolerance_why; /* why the graph in float may differ more than the derived tolerance, and */
    double graph_tolerance;          /* by how many units of the oracle's one-ulp noise; 0: the default */
};

#endif

/* tape.h: nodes, and the tape that remembers how they came about.
 *
 * Operators (ops.h) compute at once and, when gradients are wanted, leave a note from which as_backward()
 * walks home. A node is a dense row-major array with a rank and sizes; channels come last; a sequence is
 * (batch, time, width) and may carry `length`, the valid steps of each row. Lengths travel through every
 * operator that keeps the first two sizes. Integer nodes carry `i` and no gradient.
 *
 * Ownership: nodes and their arrays live in the tape's arena until the tape is reset. Weights are nodes whose
 * arrays outlive the tape. Gradients are added to, never overwritten. Errors are raised (error.h).
 */
#ifndef ASSAY_TAPE_H
#define ASSAY_TAPE_H

#include <assay/arena.h>
#include <assay/random.h>
#include <assay/real.h>
#include <stdbool.h>

#define AS_MAX_RANK 5

enum as_dtype { AS_REALS, AS_INTS };

struct as_tape;

struct as_node {
    enum as_dtype dtype;
    int rank;
    ptrdiff_t dim[AS_MAX_RANK];
    real *x;                     /* AS_REALS: the values */
    int32_t *i;                  /* AS_INTS: the values */
    real *dx;                    /* the gradient; NULL when none flows here */
    const int32_t *length;       /* (dim[0]) valid steps of dimension 1, or NULL: all are valid */
    bool wants;                  /* a gradient flows here */
    struct as_note *note;        /* private to the tape: how to go back */
};

/* One step back: adds to the gradients of the inputs that want one. `in` may hold NULL entries. */
struct as_note {
    void (*back)(struct as_tape *t, struct as_note *note);
    struct as_node *out;         /* its dx is complete when back() is called */
    struct as_node *in[6];
    int n_in;
    void *saved;                 /* operator's own, from the arena */
    ptrdiff_t k[8];              /* operator's own small integers */
    double a[3];                 /* operator's own small numbers */
    struct as_note *before;      /* private: the note made before this one */
};

#define as_tape_new AS_REAL(as_tape_new)
#define as_tape_free AS_REAL(as_tape_free)
#define as_tape_reset AS_REAL(as_tape_reset)
#define as_tape_arena AS_REAL(as_tape_arena)
#define as_tape_recording AS_REAL(as_tape_recording)
#define as_tape_record AS_REAL(as_tape_record)
#define as_node_new AS_REAL(as_node_new)
#define as_node_like AS_REAL(as_node_like)
#define as_node_ints AS_REAL(as_node_ints)
#define as_node_wrap AS_REAL(as_node_wrap)
#define as_node_size AS_REAL(as_node_size)
#define as_note_new AS_REAL(as_note_new)
#define as_gradient AS_REAL(as_gradient)
#define as_backward AS_REAL(as_backward)
#define as_recompute AS_REAL(as_recompute)

struct as_tape *as_tape_new(void);
void as_tape_free(struct as_tape *t);
void as_tape_reset(struct as_tape *t);                 /* all nodes are gone; weights stay */
struct as_arena *as_tape_arena(struct as_tape *t);
bool as_tape_recording(const struct as_tape *t);
bool as_tape_record(struct as_tape *t, bool on);       /* returns what it was; off: no notes, no gradients */

/* A new real node, values uninitialised, no gradient wanted. dims: rank sizes, each >= 0. */
struct as_node *as_node_new(struct as_tape *t, int rank, const ptrdiff_t *dims);
struct as_node *as_node_like(struct as_tape *t, const struct as_node *a);     /* sizes and lengths of a */
struct as_node *as_node_ints(struct as_tape *t, int rank, const ptrdiff_t *dims);
/* A node over memory of the caller's (data, weights). dx may be NULL: no gradient wanted. */
struct as_node *as_node_wrap(struct as_tape *t, int rank, const ptrdiff_t *dims, real *x, real *dx);
ptrdiff_t as_node_size(const struct as_node *a);       /* number of elements */

/* For operators: if recording and any input wants a gradient, marks `out` as wanting one and returns a note
 * with in[] filled (NULL inputs allowed), to be completed by the caller; otherwise NULL. */
struct as_note *as_note_new(struct as_tape *t, void (*back)(struct as_tape *, struct as_note *),
                            struct as_node *out, int n_in, struct as_node *const *in);
/* For operators: the gradient array of a node that wants one, zeroed at first use; NULL when it wants none. */
real *as_gradient(struct as_tape *t, struct as_node *a);

/* Walks back from a scalar node (size 1) with gradient `seed` (usually 1). */
void as_backward(struct as_tape *t, struct as_node *loss, real seed);

/* Runs body(t, ctx, x) without notes now and once more, with notes, on the way back: memory for time, same
 * bits. body must depend on x, weights and ctx only; draws come from keys, so they repeat. */
struct as_node *as_recompute(struct as_tape *t, struct as_node *(*body)(struct as_tape *, void *, struct as_node *),
                             void *ctx, struct as_node *x);

#endif

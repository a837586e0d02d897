/* tape.h (private): what the tape offers to the operators of core beyond the contract. */
#ifndef ASSAY_CORE_TAPE_H
#define ASSAY_CORE_TAPE_H

#include <assay/tape.h>

#define as_gradient_open AS_REAL(as_gradient_open)
#define as_gradient_take AS_REAL(as_gradient_take)
#define as_gradient_over AS_REAL(as_gradient_over)
#define as_tape_angles AS_REAL(as_tape_angles)

/* Like as_gradient(), but does not zero: *fresh says that the values are undefined and the caller, who will
 * touch all of them, has to start each from zero. */
real *as_gradient_open(struct as_tape *t, struct as_node *a, bool *fresh);

/* For a note whose whole gradient to `a` is that of its result `out`, of the same size: when `a` has no gradient yet
 * it gets out's array as its own, and nothing is copied. The note may still read that array, but an input that
 * takes it must be its last to be added to. False: nothing was done; so it is when the array of `out` is a caller's. */
bool as_gradient_take(struct as_tape *t, struct as_node *a, const struct as_node *out);

/* Like as_gradient_open(), for a note that turns the gradient of `out` into that of `a`, of the same size, number by
 * number or row by row: where it can, it is given out's own array to write over, which nobody reads any more. So the
 * way back stays in the cache. The note must not read that array again. */
real *as_gradient_over(struct as_tape *t, struct as_node *a, const struct as_node *out, bool *fresh);

/* Cosines and sines (time, half) of the angles (t + from) base^(-j/half). */
struct as_angles { struct as_angles *next; double base; ptrdiff_t from, half, time; real *cosine, *sine; };

/* The list of those that stay with the tape beyond its resets; each is one block of malloc(), freed with the tape. */
struct as_angles **as_tape_angles(struct as_tape *t);

#endif

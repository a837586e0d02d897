/* tape.h (private): what the tape offers to the operators of core beyond the contract. */
#ifndef ASSAY_CORE_TAPE_H
#define ASSAY_CORE_TAPE_H

#include <assay/tape.h>

#define as_gradient_open AS_REAL(as_gradient_open)
#define as_gradient_take AS_REAL(as_gradient_take)

/* Like as_gradient(), but does not zero: *fresh says that the values are undefined and the caller, who will
 * touch all of them, has to start each from zero. */
real *as_gradient_open(struct as_tape *t, struct as_node *a, bool *fresh);

/* For a note whose whole gradient to `a` is that of its result `out`, of the same size: when `a` has no gradient yet
 * it gets out's array as its own, and nothing is copied. The note may still read that array, but an input that
 * takes it must be its last to be added to. False: nothing was done. */
bool as_gradient_take(struct as_tape *t, struct as_node *a, const struct as_node *out);

#endif

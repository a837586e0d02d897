/* tape.h (private): what the tape offers to the operators of core beyond the contract. */
#ifndef ASSAY_CORE_TAPE_H
#define ASSAY_CORE_TAPE_H

#include <assay/tape.h>

#define as_gradient_open AS_REAL(as_gradient_open)

/* Like as_gradient(), but does not zero: *fresh says that the values are undefined and the caller, who will
 * touch all of them, has to start each from zero. */
real *as_gradient_open(struct as_tape *t, struct as_node *a, bool *fresh);

#endif

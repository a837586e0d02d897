/* assignment.h: the linear assignment problem: who is matched with whom so that the sum of gains is largest.
 */
#ifndef ASSAY_ASSIGNMENT_H
#define ASSAY_ASSIGNMENT_H

#include <assay/arena.h>
#include <stddef.h>
#include <stdint.h>

/* gain: (n, n), finite; to: (n), written: row i is matched with column to[i], each column once, such that the sum of
 * gain[i][to[i]] is the largest there is. Returns that sum. Exact up to rounding, in O(n^3) steps; among equal optima
 * it is always the same one. Scratch is taken from `a` and given back. Fails when a gain is not finite. */
double as_assign(struct as_arena *a, ptrdiff_t n, const double *gain, int32_t *to);

#endif

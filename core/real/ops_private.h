/* ops_private.h: what the operators of core share: shapes, sentences, and how loops are cut.
 *
 * Every loop over numbers is cut by problem size alone (AS_CUT numbers a piece, or whole rows), and sums over
 * pieces are added in the order of their index, so results have the same bits whatever the team.
 */
#ifndef ASSAY_OPS_PRIVATE_H
#define ASSAY_OPS_PRIVATE_H

#include "tape.h"

#include <assay/error.h>
#include <assay/kernel.h>
#include <assay/ops.h>
#include <assay/parallel.h>

#include <string.h>
#include <tgmath.h>

enum { AS_CUT = 1 << 14, AS_BLOCK = 256 };      /* numbers a piece; numbers a buffer on the stack */

/* Bytes gone through in one pass above which the caches, which others share, keep little of what was written: a fresh
 * gradient then goes past them. A store into a line that is not there reads it first. Found by measuring on one machine,
 * at the sizes of bench/table.tsv. */
enum { AS_PAST = 1 << 24 };

#define as_op_dims AS_REAL(as_op_dims)
#define as_op_axis AS_REAL(as_op_axis)
#define as_op_reals AS_REAL(as_op_reals)
#define as_op_ints AS_REAL(as_op_ints)
#define as_op_lengths AS_REAL(as_op_lengths)
#define as_op_sum AS_REAL(as_op_sum)
#define as_op_dot AS_REAL(as_op_dot)
#define as_op_top AS_REAL(as_op_top)
#define as_op_shift AS_REAL(as_op_shift)
#define as_op_more AS_REAL(as_op_more)
#define as_op_weigh AS_REAL(as_op_weigh)
#define as_op_rows AS_REAL(as_op_rows)
#define as_op_add AS_REAL(as_op_add)
#define as_op_add_here AS_REAL(as_op_add_here)
#define as_op_reduce AS_REAL(as_op_reduce)
#define as_op_unary AS_REAL(as_op_unary)
#define as_op_goes_past AS_REAL(as_op_goes_past)

/* "(2, 3, 4)", from as_say(). */
const char *as_op_dims(const struct as_node *a);
/* 0..rank-1 for an axis that may count from the end; raises when there is none. */
int as_op_axis(const char *op, const struct as_node *a, int axis);
/* Raises unless the node holds real numbers, or integers. */
void as_op_reals(const char *op, const struct as_node *a);
void as_op_ints(const char *op, const struct as_node *a);
/* Gives out the lengths of the first input with lengths and the same first two sizes. */
void as_op_lengths(struct as_node *out, int n_in, struct as_node *const *in);

/* Running sums side by side, folded in a fixed order: sixteen in double, in float what suits the processor level. */
real as_op_sum(ptrdiff_t n, const real *x);
real as_op_dot(ptrdiff_t n, const real *x, const real *y);
/* The largest number, NaN when there is one. All of -inf, or none: 0, which may be taken from them. */
real as_op_top(ptrdiff_t n, const real *x);
/* y = x - by; y = or += factor x; y = or += p (g - by), where y may be g. Fresh: =. */
void as_op_shift(ptrdiff_t n, const real *x, real by, real *y);
void as_op_more(ptrdiff_t n, const real *x, real factor, real *y, bool fresh);
void as_op_weigh(ptrdiff_t n, const real *p, const real *g, real by, real *y, bool fresh);

/* The loops of an element-wise operator; name: enum as_unary_name of kernel/unary.h. */
struct as_unary;
const struct as_unary *as_op_unary(int name);

/* Does a pass over `arrays` arrays of n numbers go past the caches? */
bool as_op_goes_past(int arrays, ptrdiff_t n);

/* Rows in pieces of about AS_CUT numbers: run(ctx, from, to) for from <= row < to. cost: operations a number. */
void as_op_rows(ptrdiff_t rows, ptrdiff_t width, double cost, void (*run)(void *ctx, ptrdiff_t from, ptrdiff_t to),
                void *ctx);
/* y += x. fresh: y starts from zero. */
void as_op_add(ptrdiff_t n, const real *x, real *y, bool fresh);
/* The same on the calling thread only. */
void as_op_add_here(ptrdiff_t n, const real *x, real *y, bool fresh);
/* y (outer, inner) = or += (add) the sum over m of x (outer, m, inner), times `factor`. Scratch from the arena. */
void as_op_reduce(struct as_tape *t, ptrdiff_t outer, ptrdiff_t m, ptrdiff_t inner, const real *x, real factor,
                  real *y, bool add);

#endif

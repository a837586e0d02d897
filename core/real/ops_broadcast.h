/* ops_broadcast.h: how the loops of a broadcast operator lie: neighbouring sizes that all operands treat alike
 * are joined, so that same shapes, a vector over rows and a number over everything become one or two loops. */
#ifndef ASSAY_OPS_BROADCAST_H
#define ASSAY_OPS_BROADCAST_H

#include "ops_private.h"

enum { AS_OPERANDS = 3 };

/* rows loops of `inner` numbers; the result is dense, operand p moves by stride[p][j] in loop j. The inner
 * loop is the last; its strides are 0 or 1. */
struct as_nest {
    int rank, n;
    ptrdiff_t size[AS_MAX_RANK], stride[AS_OPERANDS][AS_MAX_RANK];
    ptrdiff_t rows, inner;
};

/* Where a row begins in each operand; steps on row by row. */
struct as_place { ptrdiff_t at[AS_MAX_RANK], off[AS_OPERANDS]; };

#define as_nest_dims AS_REAL(as_nest_dims)
#define as_nest_make AS_REAL(as_nest_make)
#define as_place_at AS_REAL(as_place_at)
#define as_place_next AS_REAL(as_place_next)

/* Sizes of the result of broadcasting n inputs; returns its rank, or raises with both shapes. */
int as_nest_dims(const char *op, int n, struct as_node *const *in, ptrdiff_t *dims);
struct as_nest as_nest_make(const struct as_node *out, int n, struct as_node *const *in);
void as_place_at(struct as_place *p, const struct as_nest *s, ptrdiff_t row);
void as_place_next(struct as_place *p, const struct as_nest *s);

#endif

/* ops_unary.h: an element-wise operator of one input is two loops: values, and the derivative times what comes
 * back. */
#ifndef ASSAY_OPS_UNARY_H
#define ASSAY_OPS_UNARY_H

#include "ops_private.h"

struct as_unary {
    const char *name;
    double cost;                     /* operations a number */
    void (*value)(ptrdiff_t n, const real *x, real *y, const double *a);
    /* dx += dy * derivative; y = value(x). */
    void (*back)(ptrdiff_t n, const real *x, const real *y, const real *dy, real *dx, const double *a);
};

#define as_op_unary AS_REAL(as_op_unary)

/* Applies op, a constant, to a; a0 and a1 are its numbers. */
struct as_node *as_op_unary(struct as_tape *t, struct as_node *a, const struct as_unary *op, double a0, double a1);

#define AS_UNARY(symbol, table)                                     \
    struct as_node *symbol(struct as_tape *t, struct as_node *a)    \
    {                                                               \
        return as_op_unary(t, a, &table, 0, 0);                     \
    }

#define AS_UNUSED(x) ((void)(x))

/* Blocks of m <= AS_BLOCK numbers from place `at` on. */
#define AS_BLOCKS(n, at, m) \
    for (ptrdiff_t at = 0, m; (m = (n) - at < AS_BLOCK ? (n) - at : AS_BLOCK) > 0; at += m)

#endif

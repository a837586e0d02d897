/* binary.h: the inner loops of the element-wise operators of two inputs.
 *
 * Plain C in terms of `real`. core/kernel/binary.c compiles it once per processor level in float; in double it is
 * included by the operators themselves.
 */
#ifndef ASSAY_KERNEL_BINARY_H
#define ASSAY_KERNEL_BINARY_H

#include <assay/kernel.h>
#include <stdbool.h>

enum as_binary_name { AS_ADD, AS_SUB, AS_MUL, AS_DIV, AS_MAX2, AS_MIN2, AS_WHERE, AS_BINARIES };

/* One inner loop. Operand k is at x[k] with stride s[k], 0 or 1; mask likewise (third operand of where). */
struct as_lane { const real *x[2], *y, *dy; const int32_t *mask; ptrdiff_t s[3]; };

struct as_binary {
    const char *name;
    void (*value)(ptrdiff_t n, const struct as_lane *l, real *y);
    /* g[i] = or += (add) dy[i] * (derivative to operand k); NULL where that is dy itself. g may be dy. */
    void (*back[2])(ptrdiff_t n, const struct as_lane *l, real *g, bool add);
};

#ifdef AS_BINARY_LOOPS

/* `body` once for each pair of inner strides, so that each is a plain loop. */
#define LOOPS(statement)                                                                  \
    if (l->s[0] == 1 && l->s[1] == 1) {                                                   \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                             \
        {                                                                                 \
            const real a = l->x[0][i], b = l->x[1][i];                                    \
            statement;                                                                    \
        }                                                                                 \
    } else if (l->s[0] == 1) {                                                            \
        const real b = *l->x[1];                                                          \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                             \
        {                                                                                 \
            const real a = l->x[0][i];                                                    \
            statement;                                                                    \
        }                                                                                 \
    } else {                                                                              \
        const real a = *l->x[0];                                                          \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)                             \
        {                                                                                 \
            const real b = l->x[1][i];                                                    \
            statement;                                                                    \
        }                                                                                 \
    }

#define VALUE(name, expression)                                                           \
    static void name(ptrdiff_t n, const struct as_lane *l, real *restrict y)              \
    {                                                                                     \
        LOOPS((void)a; (void)b; y[i] = (expression))                                      \
    }
#define BACK(name, expression)                                                            \
    static void name(ptrdiff_t n, const struct as_lane *l, real *g, bool add)             \
    {                                                                                     \
        const real *dy = l->dy;                                                           \
        LOOPS((void)a; (void)b; g[i] = (add ? g[i] : R(0.0)) + dy[i] * (expression))      \
    }

VALUE(add_value, a + b)
VALUE(sub_value, a - b)
BACK(sub_b, R(-1.0))
VALUE(mul_value, a *b)
BACK(mul_a, b)
BACK(mul_b, a)
VALUE(div_value, a / b)
BACK(div_a, R(1.0) / b)
BACK(div_b, -(a / b) / b)
VALUE(max_value, a >= b || a != a ? a : b)
BACK(max_a, a >= b ? R(1.0) : R(0.0))
BACK(max_b, a >= b ? R(0.0) : R(1.0))
VALUE(min_value, a <= b || a != a ? a : b)
BACK(min_a, a <= b ? R(1.0) : R(0.0))
BACK(min_b, a <= b ? R(0.0) : R(1.0))

static void where_value(ptrdiff_t n, const struct as_lane *l, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = l->mask[i * l->s[2]] ? l->x[0][i * l->s[0]] : l->x[1][i * l->s[1]];
}

static void where_a(ptrdiff_t n, const struct as_lane *l, real *g, bool add)
{
    for (ptrdiff_t i = 0; i < n; i++)
        g[i] = (add ? g[i] : R(0.0)) + (l->mask[i * l->s[2]] ? l->dy[i] : R(0.0));
}

static void where_b(ptrdiff_t n, const struct as_lane *l, real *g, bool add)
{
    for (ptrdiff_t i = 0; i < n; i++)
        g[i] = (add ? g[i] : R(0.0)) + (l->mask[i * l->s[2]] ? R(0.0) : l->dy[i]);
}

static const struct as_binary add = { "add", add_value, { NULL, NULL } };
static const struct as_binary sub = { "sub", sub_value, { NULL, sub_b } };
static const struct as_binary mul = { "mul", mul_value, { mul_a, mul_b } };
static const struct as_binary quotient = { "div", div_value, { div_a, div_b } };
static const struct as_binary max2 = { "max2", max_value, { max_a, max_b } };
static const struct as_binary min2 = { "min2", min_value, { min_a, min_b } };
static const struct as_binary where = { "where", where_value, { where_a, where_b } };

static const struct as_binary *const binary_loops[AS_BINARIES] = {
    [AS_ADD] = &add,
    [AS_SUB] = &sub,
    [AS_MUL] = &mul,
    [AS_DIV] = &quotient,
    [AS_MAX2] = &max2,
    [AS_MIN2] = &min2,
    [AS_WHERE] = &where,
};

#endif
#endif

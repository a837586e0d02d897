/* ops_common.c: shapes, sentences and cut loops that the operators share. */
#include "ops_private.h"

#ifndef ASSAY_DOUBLE
#include "../kernel/kernels.h"
#endif
#include <stdio.h>

const char *as_op_dims(const struct as_node *a)
{
    char text[24 * AS_MAX_RANK + 4];
    int n = 0;
    for (int j = 0; j < a->rank; j++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%s%td", j ? ", " : "", a->dim[j]);
    text[n] = '\0';
    return as_say("(%s)", text);
}

int as_op_axis(const char *op, const struct as_node *a, int axis)
{
    int found = axis < 0 ? axis + a->rank : axis;
    if (found < 0 || found >= a->rank)
        as_fail(AS_FAILED, "%s: there is no axis %d in %s", op, axis, as_op_dims(a));
    return found;
}

void as_op_reals(const char *op, const struct as_node *a)
{
    if (a->dtype != AS_REALS)
        as_fail(AS_FAILED, "%s takes real numbers, but a node of sizes %s holds integers", op, as_op_dims(a));
}

void as_op_ints(const char *op, const struct as_node *a)
{
    if (a->dtype != AS_INTS)
        as_fail(AS_FAILED, "%s takes integers, but a node of sizes %s holds real numbers", op, as_op_dims(a));
}

void as_op_lengths(struct as_node *out, int n_in, struct as_node *const *in)
{
    for (int j = 0; j < n_in && !out->length; j++)
        if (in[j] && in[j]->length && in[j]->rank >= 2 && out->rank >= 2 && in[j]->dim[0] == out->dim[0] &&
            in[j]->dim[1] == out->dim[1])
            out->length = in[j]->length;
}

#ifdef ASSAY_DOUBLE

enum { LANES = 16 };

static real fold(const real *lane)
{
    real eight[8];
    for (int j = 0; j < 8; j++)
        eight[j] = lane[j] + lane[j + 8];
    return ((eight[0] + eight[4]) + (eight[1] + eight[5])) + ((eight[2] + eight[6]) + (eight[3] + eight[7]));
}

real as_op_sum(ptrdiff_t n, const real *x)
{
    real lane[LANES] = { 0 }, rest = 0;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j];
    }
    for (; i < n; i++)
        rest += x[i];
    return fold(lane) + rest;
}

real as_op_dot(ptrdiff_t n, const real *x, const real *y)
{
    real lane[LANES] = { 0 }, rest = 0;
    ptrdiff_t i = 0;
    for (; i + LANES <= n; i += LANES) {
#pragma omp simd
        for (int j = 0; j < LANES; j++)
            lane[j] += x[i + j] * y[i + j];
    }
    for (; i < n; i++)
        rest += x[i] * y[i];
    return fold(lane) + rest;
}

void as_op_add_here(ptrdiff_t n, const real *x, real *y, bool fresh)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (fresh ? R(0.0) : y[i]) + x[i];
}

static real top_of(ptrdiff_t n, const real *x)
{
    real top = -(real)INFINITY;
    for (ptrdiff_t i = 0; i < n; i++)
        top = x[i] > top || x[i] != x[i] ? x[i] : top;
    return top;
}

void as_op_shift(ptrdiff_t n, const real *x, real by, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = x[i] - by;
}

void as_op_more(ptrdiff_t n, const real *x, real factor, real *y, bool fresh)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (fresh ? 0 : y[i]) + factor * x[i];
}

void as_op_weigh(ptrdiff_t n, const real *p, const real *g, real by, real *y, bool fresh)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = (fresh ? 0 : y[i]) + p[i] * (g[i] - by);
}

static void sum_dense_rows(ptrdiff_t rows, ptrdiff_t d, const real *x, real *y)
{
    memset(y, 0, (size_t)d * sizeof *y);
    for (ptrdiff_t j = 0; j < rows; j++)
        for (ptrdiff_t i = 0; i < d; i++)
            y[i] += x[j * d + i];
}

#else

real as_op_sum(ptrdiff_t n, const real *x)
{
    return as_row_kernels()->sum(n, x);
}

real as_op_dot(ptrdiff_t n, const real *x, const real *y)
{
    return as_row_kernels()->dot(n, x, y);
}

void as_op_add_here(ptrdiff_t n, const real *x, real *y, bool fresh)
{
    as_row_kernels()->add(n, x, y, fresh);
}

static real top_of(ptrdiff_t n, const real *x)
{
    return as_row_kernels()->top(n, x);
}

void as_op_shift(ptrdiff_t n, const real *x, real by, real *y)
{
    as_row_kernels()->shift(n, x, by, y);
}

void as_op_more(ptrdiff_t n, const real *x, real factor, real *y, bool fresh)
{
    as_row_kernels()->more(n, x, factor, y, fresh);
}

void as_op_weigh(ptrdiff_t n, const real *p, const real *g, real by, real *y, bool fresh)
{
    as_row_kernels()->weigh(n, p, g, by, y, fresh);
}

static void sum_dense_rows(ptrdiff_t rows, ptrdiff_t d, const real *x, real *y)
{
    as_row_kernels()->sum_rows(rows, d, x, y);
}

#endif

real as_op_top(ptrdiff_t n, const real *x)
{
    const real top = top_of(n, x);
    return top == -(real)INFINITY ? R(0.0) : top;
}

struct rows { ptrdiff_t rows, each; void (*run)(void *, ptrdiff_t, ptrdiff_t); void *ctx; };

static void rows_piece(void *ctx, ptrdiff_t i)
{
    struct rows *r = ctx;
    ptrdiff_t from = i * r->each, to = from + r->each < r->rows ? from + r->each : r->rows;
    r->run(r->ctx, from, to);
}

void as_op_rows(ptrdiff_t rows, ptrdiff_t width, double cost, void (*run)(void *ctx, ptrdiff_t from, ptrdiff_t to),
                void *ctx)
{
    struct rows r = { rows, width < AS_CUT ? AS_CUT / (width > 1 ? width : 1) : 1, run, ctx };
    as_parallel((rows + r.each - 1) / r.each, cost * (double)rows * (double)width, rows_piece, &r);
}

bool as_op_goes_past(int arrays, ptrdiff_t n)
{
    return (double)arrays * (double)n * sizeof(real) > AS_PAST;
}

struct add { const real *x; real *y; bool fresh; };

static void add_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct add *c = ctx;
    as_op_add_here(to - from, c->x + from, c->y + from, c->fresh);
}

void as_op_add(ptrdiff_t n, const real *x, real *y, bool fresh)
{
    struct add c = { x, y, fresh };
    as_op_rows(n, 1, 1, add_run, &c);
}

/* --- sums over one axis ----------------------------------------------------------------------------------- */

struct reduce { ptrdiff_t outer, m, inner, parts, each; const real *x; real factor, *y, *part; bool add; };

/* s (inner) = sum over rows from..to-1 of x (rows, inner). */
static void sum_rows(ptrdiff_t from, ptrdiff_t to, ptrdiff_t inner, const real *x, real *s)
{
    if (inner == 1) {
        *s = as_op_sum(to - from, x + from);
        return;
    }
    sum_dense_rows(to - from, inner, x + from * inner, s);
}

static void reduce_piece(void *ctx, ptrdiff_t i)
{
    struct reduce *c = ctx;
    ptrdiff_t o = i / c->parts, from = i % c->parts * c->each, to = from + c->each < c->m ? from + c->each : c->m;
    sum_rows(from, to, c->inner, c->x + o * c->m * c->inner, c->part + i * c->inner);
}

static void reduce_write(const struct reduce *c, ptrdiff_t o, const real *s)
{
    real *y = c->y + o * c->inner;
    for (ptrdiff_t i = 0; i < c->inner; i++)
        y[i] = (c->add ? y[i] : 0) + s[i] * c->factor;
}

static void reduce_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct reduce *c = ctx;
    for (ptrdiff_t o = from; o < to; o++) {
        real *s = c->part + o * c->inner;
        sum_rows(0, c->m, c->inner, c->x + o * c->m * c->inner, s);
        reduce_write(c, o, s);
    }
}

void as_op_reduce(struct as_tape *t, ptrdiff_t outer, ptrdiff_t m, ptrdiff_t inner, const real *x, real factor,
                  real *y, bool add)
{
    struct as_arena *arena = as_tape_arena(t);
    size_t mark = as_arena_mark(arena);
    struct reduce c = { .outer = outer, .m = m, .inner = inner, .x = x, .factor = factor, .y = y, .add = add };
    if (outer == 0 || inner == 0)
        return;
    c.each = inner < AS_CUT ? AS_CUT / inner : 1;
    c.parts = m > c.each ? (m + c.each - 1) / c.each : 1;
    c.part = as_arena_take(arena, as_size((size_t)(outer * c.parts * inner), sizeof *c.part));
    if (c.parts == 1) {
        as_op_rows(outer, m * inner, 1, reduce_run, &c);
    } else {
        as_parallel(outer * c.parts, (double)outer * (double)m * (double)inner, reduce_piece, &c);
        for (ptrdiff_t o = 0; o < outer; o++) {
            real *s = c.part + o * c.parts * inner;
            for (ptrdiff_t p = 1; p < c.parts; p++)
                as_op_add(inner, s + p * inner, s, false);
            reduce_write(&c, o, s);
        }
    }
    as_arena_reset(arena, mark);
}

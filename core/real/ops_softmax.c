/* ops_softmax.c: softmax and its logarithm over the last axis. Rows of -inf only have no weights: zeros. */
#include "ops_private.h"

struct soft { ptrdiff_t d; const real *x, *dy; real *y, *dx; bool log, fresh; };

static real top_of(ptrdiff_t d, const real *x)
{
    real top = -(real)INFINITY;
    for (ptrdiff_t j = 0; j < d; j++)
        top = x[j] > top ? x[j] : top;
    return top == -(real)INFINITY ? R(0.0) : top;
}

/* All rows of the piece are shifted first, so that exp() sees one long array. */
static void softmax_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct soft *c = ctx;
    const ptrdiff_t d = c->d;
    for (ptrdiff_t r = from; r < to; r++) {
        const real *x = c->x + r * d, top = top_of(d, x);
        real *y = c->y + r * d;
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++)
            y[j] = x[j] - top;
    }
    as_vexp((to - from) * d, c->y + from * d, c->y + from * d);
    for (ptrdiff_t r = from; r < to; r++) {
        real *y = c->y + r * d;
        const real total = as_op_sum(d, y), factor = total == 0 ? R(0.0) : R(1.0) / total;
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++)
            y[j] *= factor;
    }
}

static void logsoftmax_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct soft *c = ctx;
    const ptrdiff_t d = c->d;
    real block[AS_BLOCK];
    for (ptrdiff_t r = from; r < to; r++) {
        const real *x = c->x + r * d, top = top_of(d, x);
        real *y = c->y + r * d, total = 0;
        for (ptrdiff_t at = 0, m; at < d; at += m) {
            m = d - at < AS_BLOCK ? d - at : AS_BLOCK;
            for (ptrdiff_t j = 0; j < m; j++)
                block[j] = y[at + j] = x[at + j] - top;
            as_vexp(m, block, block);
            total += as_op_sum(m, block);
        }
        const real level = total == 0 ? R(0.0) : log(total);
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++)
            y[j] -= level;
    }
}

/* softmax: dx = y (dy - sum(dy y)); logarithm: dx = dy - exp(y) sum(dy) */
static void back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct soft *c = ctx;
    const ptrdiff_t d = c->d;
    real p[AS_BLOCK];
    if (c->fresh)
        memset(c->dx + from * d, 0, (size_t)((to - from) * d) * sizeof *c->dx);
    for (ptrdiff_t r = from; r < to; r++) {
        const real *y = c->y + r * d, *dy = c->dy + r * d, total = c->log ? as_op_sum(d, dy) : as_op_dot(d, dy, y);
        real *dx = c->dx + r * d;
        if (!c->log) {
#pragma omp simd
            for (ptrdiff_t j = 0; j < d; j++)
                dx[j] += y[j] * (dy[j] - total);
            continue;
        }
        for (ptrdiff_t at = 0, m; at < d; at += m) {
            m = d - at < AS_BLOCK ? d - at : AS_BLOCK;
            as_vexp(m, y + at, p);
#pragma omp simd
            for (ptrdiff_t j = 0; j < m; j++)
                dx[at + j] += dy[at + j] - p[j] * total;
        }
    }
}

static void soft_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *out = note->out;
    struct soft c = { .d = note->k[0], .log = note->k[1] != 0, .y = out->x, .dy = out->dx };
    c.dx = as_gradient_open(t, note->in[0], &c.fresh);
    if (c.d > 0)
        as_op_rows(as_node_size(out) / c.d, c.d, c.log ? 15 : 4, back_run, &c);
}

static struct as_node *soft(struct as_tape *t, struct as_node *a, const char *op, bool log_of_it)
{
    as_op_reals(op, a);
    int last = as_op_axis(op, a, -1);
    struct as_node *out = as_node_like(t, a);
    struct soft c = { .d = a->dim[last], .x = a->x, .y = out->x };
    if (c.d > 0)
        as_op_rows(as_node_size(a) / c.d, c.d, 15, log_of_it ? logsoftmax_run : softmax_run, &c);
    struct as_note *note = as_note_new(t, soft_back, out, 1, &a);
    if (note) {
        note->k[0] = c.d;
        note->k[1] = log_of_it;
    }
    return out;
}

struct as_node *as_softmax(struct as_tape *t, struct as_node *a)
{
    return soft(t, a, "softmax", false);
}

struct as_node *as_logsoftmax(struct as_tape *t, struct as_node *a)
{
    return soft(t, a, "logsoftmax", true);
}

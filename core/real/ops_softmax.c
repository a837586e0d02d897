/* ops_softmax.c: softmax and its logarithm over the last axis. Rows of -inf only have no weights: zeros. */
#include "ops_private.h"

struct soft { ptrdiff_t d; const real *x, *dy; real *y, *dx; bool log, fresh; };

/* All rows of the piece are shifted first, so that exp() sees one long array. */
static void softmax_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct soft *c = ctx;
    const ptrdiff_t d = c->d;
    for (ptrdiff_t r = from; r < to; r++) {
        const real *x = c->x + r * d;
        as_op_shift(d, x, as_op_top(d, x), c->y + r * d);
    }
    as_vexp((to - from) * d, c->y + from * d, c->y + from * d);
    for (ptrdiff_t r = from; r < to; r++) {
        real *y = c->y + r * d;
        const real total = as_op_sum(d, y);
        as_op_more(d, y, total == 0 ? R(0.0) : R(1.0) / total, y, true);
    }
}

static void logsoftmax_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct soft *c = ctx;
    const ptrdiff_t d = c->d;
    real block[AS_BLOCK];
    for (ptrdiff_t r = from; r < to; r++) {
        const real *x = c->x + r * d, top = as_op_top(d, x);
        real *y = c->y + r * d, total = 0;
        for (ptrdiff_t at = 0, m; at < d; at += m) {
            m = d - at < AS_BLOCK ? d - at : AS_BLOCK;
            as_op_shift(m, x + at, top, y + at);
            as_vexp(m, y + at, block);
            total += as_op_sum(m, block);
        }
        as_op_shift(d, y, total == 0 ? R(0.0) : log(total), y);
    }
}

/* softmax: dx = y (dy - sum(dy y)); logarithm: dx = dy - exp(y) sum(dy) */
static void back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct soft *c = ctx;
    const ptrdiff_t d = c->d;
    real p[AS_BLOCK];
    for (ptrdiff_t r = from; r < to; r++) {
        const real *y = c->y + r * d, *dy = c->dy + r * d, total = c->log ? as_op_sum(d, dy) : as_op_dot(d, dy, y);
        real *dx = c->dx + r * d;
        if (!c->log) {
            as_op_weigh(d, y, dy, total, dx, c->fresh);
            continue;
        }
        for (ptrdiff_t at = 0, m; at < d; at += m) {
            m = d - at < AS_BLOCK ? d - at : AS_BLOCK;
            as_vexp(m, y + at, p);
            as_op_add_here(m, dy + at, dx + at, c->fresh);
            as_op_more(m, p, -total, dx + at, false);
        }
    }
}

static void soft_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *out = note->out;
    struct soft c = { .d = note->k[0], .log = note->k[1] != 0, .y = out->x, .dy = out->dx };
    c.dx = as_gradient_over(t, note->in[0], out, &c.fresh);
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

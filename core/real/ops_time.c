/* ops_time.c: operators that know time, dimension 1 of (batch, time, ...), and its valid steps. */
#include "ops_private.h"

/* (batch, time, inner) and the valid steps of each row. */
struct seq { ptrdiff_t batch, time, inner; const int32_t *length; };

static struct seq seq_of(const char *op, const struct as_node *a)
{
    as_op_reals(op, a);
    if (a->rank < 2)
        as_fail(AS_FAILED, "%s takes (batch, time, ...), not %s", op, as_op_dims(a));
    struct seq s = { a->dim[0], a->dim[1], 1, a->length };
    for (int j = 2; j < a->rank; j++)
        s.inner *= a->dim[j];
    return s;
}

static ptrdiff_t valid(const struct seq *s, ptrdiff_t b)
{
    ptrdiff_t n = s->length ? s->length[b] : s->time;
    return n < 0 ? 0 : (n < s->time ? n : s->time);
}

/* --- moving along time: each step of the result comes from one step, or from the fill ---------------------- */

struct moved { struct seq s; ptrdiff_t by; const real *from, *fill; real *to; bool flip, back; };

/* Source of step i of row b, -1: the fill. */
static ptrdiff_t source(const struct moved *c, ptrdiff_t b, ptrdiff_t i)
{
    ptrdiff_t n = valid(&c->s, b), j = i - c->by;
    if (c->flip)
        return i < n ? n - 1 - i : i;
    return j >= 0 && j < n ? j : -1;
}

static void moved_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct moved *c = ctx;
    ptrdiff_t w = c->s.inner;
    for (ptrdiff_t b = from; b < to; b++)
        for (ptrdiff_t i = 0; i < c->s.time; i++) {
            ptrdiff_t j = source(c, b, i), here = (b * c->s.time + i) * w, there = (b * c->s.time + j) * w;
            if (c->back) {
                for (ptrdiff_t k = 0; j >= 0 && k < w; k++)
                    c->to[there + k] += c->from[here + k];
            } else if (j < 0 && !c->fill) {
                memset(c->to + here, 0, (size_t)w * sizeof *c->to);
            } else {
                memcpy(c->to + here, j < 0 ? c->fill : c->from + there, (size_t)w * sizeof *c->to);
            }
        }
}

static void moved_do(struct moved *c)
{
    as_op_rows(c->s.batch, c->s.time * c->s.inner, 1, moved_run, c);
}

static void time_shift_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0], *fill = note->in[1];
    struct moved c = { .s = seq_of("time_shift", a), .by = note->k[0], .from = note->out->dx, .back = true };
    c.to = as_gradient(t, a);
    if (c.to)
        moved_do(&c);
    real *df = fill ? as_gradient(t, fill) : NULL;
    for (ptrdiff_t i = 0; df && i < c.s.batch * c.s.time; i++)
        if (source(&c, i / c.s.time, i % c.s.time) < 0)
            for (ptrdiff_t k = 0; k < c.s.inner; k++)
                df[k] += note->out->dx[i * c.s.inner + k];
}

struct as_node *as_time_shift(struct as_tape *t, struct as_node *a, ptrdiff_t by, struct as_node *fill)
{
    struct moved c = { .s = seq_of("time_shift", a), .by = by, .from = a->x };
    if (fill) {
        as_op_reals("time_shift", fill);
        bool fits = fill->rank == a->rank - 2;
        for (int j = 0; fits && j < fill->rank; j++)
            fits = fill->dim[j] == a->dim[j + 2];
        if (!fits)
            as_fail(AS_FAILED, "time_shift: the fill of %s has the sizes after time, not %s", as_op_dims(a),
                    as_op_dims(fill));
        c.fill = fill->x;
    }
    struct as_node *out = as_node_like(t, a);
    c.to = out->x;
    moved_do(&c);
    struct as_note *note = as_note_new(t, time_shift_back, out, 2, (struct as_node *[]){ a, fill });
    if (note)
        note->k[0] = by;
    return out;
}

static void flip_back(struct as_tape *t, struct as_note *note)
{
    struct moved c = { .s = seq_of("flip", note->in[0]), .flip = true, .from = note->out->dx, .back = true };
    c.to = as_gradient(t, note->in[0]);
    moved_do(&c);
}

struct as_node *as_flip(struct as_tape *t, struct as_node *a)
{
    struct as_node *out = as_node_like(t, a);
    struct moved c = { .s = seq_of("flip", a), .flip = true, .from = a->x, .to = out->x };
    moved_do(&c);
    as_note_new(t, flip_back, out, 1, &a);
    return out;
}

/* --- one vector a sequence -------------------------------------------------------------------------------- */

static struct as_node *without_time(struct as_tape *t, const struct as_node *a)
{
    ptrdiff_t dims[AS_MAX_RANK] = { a->dim[0] };
    for (int j = 2; j < a->rank; j++)
        dims[j - 1] = a->dim[j];
    return as_node_new(t, a->rank - 1, dims);
}

struct pooled { struct seq s; const real *x, *dy; real *y, *dx; };

static void mean_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct pooled *c = ctx;
    ptrdiff_t w = c->s.inner;
    for (ptrdiff_t b = from; b < to; b++) {
        ptrdiff_t n = valid(&c->s, b);
        real *y = c->y + b * w;
        memset(y, 0, (size_t)w * sizeof *y);
        for (ptrdiff_t i = 0; i < n; i++) {
            const real *x = c->x + (b * c->s.time + i) * w;
#pragma omp simd
            for (ptrdiff_t k = 0; k < w; k++)
                y[k] += x[k];
        }
        for (ptrdiff_t k = 0; n > 0 && k < w; k++)
            y[k] /= (real)n;
    }
}

static void mean_back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct pooled *c = ctx;
    ptrdiff_t w = c->s.inner;
    for (ptrdiff_t b = from; b < to; b++) {
        ptrdiff_t n = valid(&c->s, b);
        const real *dy = c->dy + b * w;
        for (ptrdiff_t i = 0; i < n; i++) {
            real *dx = c->dx + (b * c->s.time + i) * w;
#pragma omp simd
            for (ptrdiff_t k = 0; k < w; k++)
                dx[k] += dy[k] / (real)n;
        }
    }
}

static void mean_back(struct as_tape *t, struct as_note *note)
{
    struct pooled c = { .s = seq_of("time_mean", note->in[0]), .dy = note->out->dx };
    c.dx = as_gradient(t, note->in[0]);
    as_op_rows(c.s.batch, c.s.time * c.s.inner, 1, mean_back_run, &c);
}

struct as_node *as_time_mean(struct as_tape *t, struct as_node *a)
{
    struct pooled c = { .s = seq_of("time_mean", a), .x = a->x };
    struct as_node *out = without_time(t, a);
    c.y = out->x;
    as_op_rows(c.s.batch, c.s.time * c.s.inner, 1, mean_run, &c);
    as_note_new(t, mean_back, out, 1, &a);
    return out;
}

static void last_back(struct as_tape *t, struct as_note *note)
{
    struct seq s = seq_of("time_last", note->in[0]);
    real *dx = as_gradient(t, note->in[0]);
    for (ptrdiff_t b = 0; b < s.batch; b++)
        if (valid(&s, b) > 0)
            as_op_add(s.inner, note->out->dx + b * s.inner, dx + (b * s.time + valid(&s, b) - 1) * s.inner, false);
}

struct as_node *as_time_last(struct as_tape *t, struct as_node *a)
{
    struct seq s = seq_of("time_last", a);
    struct as_node *out = without_time(t, a);
    for (ptrdiff_t b = 0; b < s.batch; b++) {
        ptrdiff_t n = valid(&s, b);
        real *y = out->x + b * s.inner;
        if (n > 0)
            memcpy(y, a->x + (b * s.time + n - 1) * s.inner, (size_t)s.inner * sizeof *y);
        else
            memset(y, 0, (size_t)s.inner * sizeof *y);
    }
    as_note_new(t, last_back, out, 1, &a);
    return out;
}

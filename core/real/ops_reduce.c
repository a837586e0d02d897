/* ops_reduce.c: sums, means, maxima and log-sum-exp over one axis, in one fixed order. */
#include "ops_private.h"

/* The operand as (outer, m, inner); the axis is m. */
struct axis { ptrdiff_t outer, m, inner; };

static struct axis axis_of(const struct as_node *a, int axis)
{
    struct axis s = { 1, a->dim[axis], 1 };
    for (int j = 0; j < a->rank; j++) {
        s.outer *= j < axis ? a->dim[j] : 1;
        s.inner *= j > axis ? a->dim[j] : 1;
    }
    return s;
}

static struct as_node *reduced(struct as_tape *t, struct as_node *a, int axis, bool keep)
{
    ptrdiff_t dims[AS_MAX_RANK];
    int rank = 0;
    for (int j = 0; j < a->rank; j++)
        if (j != axis || keep)
            dims[rank++] = j == axis ? 1 : a->dim[j];
    struct as_node *out = as_node_new(t, rank, dims);
    if (axis >= 2)
        as_op_lengths(out, 1, &a);
    return out;
}

static void note_axis(struct as_note *note, struct axis s)
{
    note->k[0] = s.outer;
    note->k[1] = s.m;
    note->k[2] = s.inner;
}

/* --- sums and means --------------------------------------------------------------------------------------- */

struct spread { struct axis s; real factor, *dx; const real *dy; bool fresh; };

/* rows (outer, m): dx[o, m, :] += dy[o, :] * factor */
static void spread_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct spread *c = ctx;
    const ptrdiff_t w = c->s.inner;
    const real factor = c->factor;
    if (c->fresh)
        memset(c->dx + from * w, 0, (size_t)((to - from) * w) * sizeof *c->dx);
    if (w == 1) {
        for (ptrdiff_t r = from; r < to; r++)
            c->dx[r] += c->dy[r / c->s.m] * factor;
        return;
    }
    for (ptrdiff_t r = from; r < to; r++) {
        const real *dy = c->dy + r / c->s.m * w;
        real *dx = c->dx + r * w;
#pragma omp simd
        for (ptrdiff_t k = 0; k < w; k++)
            dx[k] += dy[k] * factor;
    }
}

static void sum_back(struct as_tape *t, struct as_note *note)
{
    struct spread c = { .s = { note->k[0], note->k[1], note->k[2] }, .factor = (real)note->a[0], .dy = note->out->dx };
    c.dx = as_gradient_open(t, note->in[0], &c.fresh);
    as_op_rows(c.s.outer * c.s.m, c.s.inner, 1, spread_run, &c);
}

static struct as_node *sum(struct as_tape *t, struct as_node *a, struct as_node *out, struct axis s, double factor)
{
    as_op_reduce(t, s.outer, s.m, s.inner, a->x, (real)factor, out->x, false);
    struct as_note *note = as_note_new(t, sum_back, out, 1, &a);
    if (note) {
        note_axis(note, s);
        note->a[0] = factor;
    }
    return out;
}

struct as_node *as_sum(struct as_tape *t, struct as_node *a, int axis, bool keep)
{
    as_op_reals("sum", a);
    axis = as_op_axis("sum", a, axis);
    return sum(t, a, reduced(t, a, axis, keep), axis_of(a, axis), 1.0);
}

struct as_node *as_mean(struct as_tape *t, struct as_node *a, int axis, bool keep)
{
    as_op_reals("mean", a);
    axis = as_op_axis("mean", a, axis);
    if (a->dim[axis] == 0)
        as_fail(AS_FAILED, "mean: axis %d of %s is empty", axis, as_op_dims(a));
    return sum(t, a, reduced(t, a, axis, keep), axis_of(a, axis), 1.0 / (double)a->dim[axis]);
}

struct as_node *as_sum_all(struct as_tape *t, struct as_node *a)
{
    as_op_reals("sum_all", a);
    return sum(t, a, as_node_new(t, 1, (ptrdiff_t[]){ 1 }), (struct axis){ 1, as_node_size(a), 1 }, 1.0);
}

/* --- maxima ----------------------------------------------------------------------------------------------- */

struct largest { struct axis s; const real *x, *dy; real *y, *dx; int32_t *at; };

static void max_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct largest *c = ctx;
    const ptrdiff_t w = c->s.inner;
    for (ptrdiff_t o = from; o < to; o++) {
        const real *x = c->x + o * c->s.m * w;
        real *y = c->y + o * w;
        int32_t *at = c->at + o * w;
        memcpy(y, x, (size_t)w * sizeof *y);
        memset(at, 0, (size_t)w * sizeof *at);
        for (ptrdiff_t i = 1; i < c->s.m; i++)
            for (ptrdiff_t k = 0; k < w; k++) {
                const real v = x[i * w + k];
                if (v > y[k] || (v != v && y[k] == y[k])) {   /* the first; what is not a number wins */
                    y[k] = v;
                    at[k] = (int32_t)i;
                }
            }
    }
}

static void max_back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct largest *c = ctx;
    const ptrdiff_t w = c->s.inner;
    for (ptrdiff_t o = from; o < to; o++)
        for (ptrdiff_t k = 0; k < w; k++)
            c->dx[(o * c->s.m + c->at[o * w + k]) * w + k] += c->dy[o * w + k];
}

static void max_back(struct as_tape *t, struct as_note *note)
{
    struct largest c = { .s = { note->k[0], note->k[1], note->k[2] }, .dy = note->out->dx, .at = note->saved };
    c.dx = as_gradient(t, note->in[0]);
    as_op_rows(c.s.outer, c.s.inner, 1, max_back_run, &c);
}

struct as_node *as_max(struct as_tape *t, struct as_node *a, int axis, bool keep)
{
    as_op_reals("max", a);
    axis = as_op_axis("max", a, axis);
    if (a->dim[axis] == 0 || a->dim[axis] > INT32_MAX)
        as_fail(AS_FAILED, "max: axis %d of %s has no largest entry", axis, as_op_dims(a));
    struct as_node *out = reduced(t, a, axis, keep);
    struct largest c = { .s = axis_of(a, axis), .x = a->x, .y = out->x };
    c.at = as_arena_take(as_tape_arena(t), as_size((size_t)as_node_size(out), sizeof *c.at));
    as_op_rows(c.s.outer, c.s.m * c.s.inner, 2, max_run, &c);
    struct as_note *note = as_note_new(t, max_back, out, 1, &a);
    if (note) {
        note_axis(note, c.s);
        note->saved = c.at;
    }
    return out;
}

/* --- log-sum-exp ------------------------------------------------------------------------------------------ */

struct lse { struct axis s; const real *x, *y, *dy; real *out, *dx; };

/* exp(x - top), with weight 0 for -inf (also under a top of -inf) and 1 at a top of +inf. */
static inline real below(real x, real top)
{
    return x == top ? (x == -(real)INFINITY ? x : R(0.0)) : x - top;
}

/* One row of m numbers side by side. */
static real lse_row(ptrdiff_t m, const real *x)
{
    real block[AS_BLOCK], top = -(real)INFINITY, total = 0;
    for (ptrdiff_t i = 0; i < m; i++)
        top = x[i] > top || x[i] != x[i] ? x[i] : top;
    for (ptrdiff_t at = 0; at < m; at += AS_BLOCK) {
        const ptrdiff_t n = m - at < AS_BLOCK ? m - at : AS_BLOCK;
        for (ptrdiff_t i = 0; i < n; i++)
            block[i] = below(x[at + i], top);
        as_vexp(n, block, block);
        total += as_op_sum(n, block);
    }
    return total > 0 ? log(total) + top : (total == 0 ? -(real)INFINITY : total);
}

/* n columns at once; m rows of them, w numbers apart. */
static void lse_columns(ptrdiff_t m, ptrdiff_t w, ptrdiff_t n, const real *x, real *y)
{
    real block[AS_BLOCK], total[AS_BLOCK] = { 0 };
    for (ptrdiff_t k = 0; k < n; k++)
        y[k] = -(real)INFINITY;
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t k = 0; k < n; k++)
            y[k] = x[i * w + k] > y[k] || x[i * w + k] != x[i * w + k] ? x[i * w + k] : y[k];
    for (ptrdiff_t i = 0; i < m; i++) {
        for (ptrdiff_t k = 0; k < n; k++)
            block[k] = below(x[i * w + k], y[k]);
        as_vexp(n, block, block);
#pragma omp simd
        for (ptrdiff_t k = 0; k < n; k++)
            total[k] += block[k];
    }
    for (ptrdiff_t k = 0; k < n; k++)
        y[k] = total[k] > 0 ? log(total[k]) + y[k] : (total[k] == 0 ? -(real)INFINITY : total[k]);
}

static void lse_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct lse *c = ctx;
    const ptrdiff_t w = c->s.inner;
    for (ptrdiff_t o = from; o < to; o++) {
        const real *x = c->x + o * c->s.m * w;
        real *y = c->out + o * w;
        if (w == 1)
            y[0] = lse_row(c->s.m, x);
        for (ptrdiff_t k = 0; w > 1 && k < w; k += AS_BLOCK)
            lse_columns(c->s.m, w, w - k < AS_BLOCK ? w - k : AS_BLOCK, x + k, y + k);
    }
}

/* dx = dy * exp(x - y) for n numbers; y and dy move by `stride` */
static void lse_slope(ptrdiff_t n, const real *x, const real *y, const real *dy, ptrdiff_t stride, real *dx)
{
    real block[AS_BLOCK];
    for (ptrdiff_t at = 0, m; at < n; at += m) {
        m = n - at < AS_BLOCK ? n - at : AS_BLOCK;
        for (ptrdiff_t i = 0; i < m; i++)
            block[i] = below(x[at + i], y[(at + i) * stride]);
        as_vexp(m, block, block);
        for (ptrdiff_t i = 0; i < m; i++)
            dx[at + i] += dy[(at + i) * stride] * block[i];
    }
}

static void lse_back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct lse *c = ctx;
    const ptrdiff_t w = c->s.inner, m = c->s.m;
    for (ptrdiff_t o = from; o < to; o++) {
        const real *y = c->y + o * w, *dy = c->dy + o * w;
        if (w == 1)
            lse_slope(m, c->x + o * m, y, dy, 0, c->dx + o * m);
        for (ptrdiff_t i = 0; w > 1 && i < m; i++)
            lse_slope(w, c->x + (o * m + i) * w, y, dy, 1, c->dx + (o * m + i) * w);
    }
}

static void lse_back(struct as_tape *t, struct as_note *note)
{
    struct lse c = { .s = { note->k[0], note->k[1], note->k[2] }, .x = note->in[0]->x, .y = note->out->x,
                     .dy = note->out->dx, .dx = as_gradient(t, note->in[0]) };
    as_op_rows(c.s.outer, c.s.m * c.s.inner, 20, lse_back_run, &c);
}

struct as_node *as_logsumexp(struct as_tape *t, struct as_node *a, int axis, bool keep)
{
    as_op_reals("logsumexp", a);
    axis = as_op_axis("logsumexp", a, axis);
    struct as_node *out = reduced(t, a, axis, keep);
    struct lse c = { .s = axis_of(a, axis), .x = a->x, .out = out->x };
    as_op_rows(c.s.outer, c.s.m * c.s.inner, 15, lse_run, &c);
    struct as_note *note = as_note_new(t, lse_back, out, 1, &a);
    if (note)
        note_axis(note, c.s);
    return out;
}

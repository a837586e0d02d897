/* ops_shape.c: operators that move numbers without changing them. Integers move too; they have no gradient. */
#include "ops_move.h"

static enum as_move_how copying(const struct as_node *a)
{
    return a->dtype == AS_INTS ? AS_MOVE_INTS : AS_MOVE_REALS;
}

static struct as_node *node_as(struct as_tape *t, const struct as_node *a, int rank, const ptrdiff_t *dims)
{
    return a->dtype == AS_INTS ? as_node_ints(t, rank, dims) : as_node_new(t, rank, dims);
}

static const void *values(const struct as_node *a, ptrdiff_t at)
{
    return a->dtype == AS_INTS ? (const void *)(a->i + at) : (const void *)(a->x + at);
}

static void *places(struct as_node *a, ptrdiff_t at)
{
    return a->dtype == AS_INTS ? (void *)(a->i + at) : (void *)(a->x + at);
}

/* A gradient to every number of `a`, once. */
static void give(struct as_tape *t, struct as_node *a, struct as_move *m)
{
    bool fresh;
    m->to = as_gradient_open(t, a, &fresh);
    as_move_do(m, fresh ? AS_MOVE_ADD_TO_ZERO : AS_MOVE_ADD);
}

/* Sizes before, at and after an axis. */
struct split { ptrdiff_t outer, m, inner; };

static struct split split_at(const struct as_node *a, int axis)
{
    struct split s = { 1, a->dim[axis], 1 };
    for (int j = 0; j < a->rank; j++) {
        s.outer *= j < axis ? a->dim[j] : 1;
        s.inner *= j > axis ? a->dim[j] : 1;
    }
    return s;
}

/* --- reshape ---------------------------------------------------------------------------------------------- */

static void reshape_back(struct as_tape *t, struct as_note *note)
{
    bool fresh;
    if (as_gradient_take(t, note->in[0], note->out))
        return;
    real *dx = as_gradient_open(t, note->in[0], &fresh);
    as_op_add(as_node_size(note->out), note->out->dx, dx, fresh);
}

struct as_node *as_reshape(struct as_tape *t, struct as_node *a, int rank, const ptrdiff_t *dims)
{
    ptrdiff_t size[AS_MAX_RANK] = { 0 }, known = 1, all = as_node_size(a);
    int open = -1;
    if (rank < 0 || rank > AS_MAX_RANK)
        as_fail(AS_FAILED, "reshape: rank %d; ranks go from 0 to %d", rank, AS_MAX_RANK);
    for (int j = 0; j < rank; j++) {
        size[j] = dims[j];
        if (dims[j] < -1 || (dims[j] == -1 && open >= 0))
            as_fail(AS_FAILED, "reshape of %s: sizes are 0 or more, and one of them may be -1", as_op_dims(a));
        if (dims[j] == -1)
            open = j;
        else
            known = (ptrdiff_t)as_size((size_t)known, (size_t)dims[j]);
    }
    if (open >= 0)
        size[open] = known > 0 ? all / known : 0;
    struct as_node view = { .rank = rank };
    memcpy(view.dim, size, sizeof size);
    if (as_node_size(&view) != all)
        as_fail(AS_FAILED, "reshape: %s has %td numbers, %s has %td", as_op_dims(a), all, as_op_dims(&view),
                as_node_size(&view));
    struct as_node *out = as_node_wrap(t, rank, size, a->x, NULL);
    out->dtype = a->dtype;
    out->i = a->i;
    as_op_lengths(out, 1, &a);
    as_note_new(t, reshape_back, out, 1, &a);
    return out;
}

/* --- permute ---------------------------------------------------------------------------------------------- */

static void permute_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0], *out = note->out;
    struct as_move m = { .rank = out->rank, .from = out->dx };
    ptrdiff_t stride[AS_MAX_RANK];
    as_move_strides(a->rank, a->dim, stride);
    as_move_strides(out->rank, out->dim, m.from_stride);
    for (int j = 0; j < out->rank; j++) {
        m.size[j] = out->dim[j];
        m.to_stride[j] = stride[note->k[j]];
    }
    give(t, a, &m);
}

struct as_node *as_permute(struct as_tape *t, struct as_node *a, const int *axes)
{
    ptrdiff_t stride[AS_MAX_RANK], dims[AS_MAX_RANK];
    int axis[AS_MAX_RANK];
    struct as_move m = { .rank = a->rank };
    unsigned seen = 0;
    as_move_strides(a->rank, a->dim, stride);
    for (int j = 0; j < a->rank; j++) {
        axis[j] = as_op_axis("permute", a, axes[j]);
        if (seen & 1u << axis[j])
            as_fail(AS_FAILED, "permute of %s: axis %d is named twice", as_op_dims(a), axis[j]);
        seen |= 1u << axis[j];
        dims[j] = m.size[j] = a->dim[axis[j]];
        m.from_stride[j] = stride[axis[j]];
    }
    struct as_node *out = node_as(t, a, a->rank, dims);
    if (a->rank >= 2 && axis[0] == 0 && axis[1] == 1)
        out->length = a->length;
    as_move_strides(out->rank, out->dim, m.to_stride);
    m.from = values(a, 0);
    m.to = places(out, 0);
    as_move_do(&m, copying(a));
    struct as_note *note = as_note_new(t, permute_back, out, 1, &a);
    for (int j = 0; note && j < a->rank; j++)
        note->k[j] = axis[j];
    return out;
}

struct as_node *as_swap(struct as_tape *t, struct as_node *a, int axis1, int axis2)
{
    int axes[AS_MAX_RANK], one = as_op_axis("swap", a, axis1), two = as_op_axis("swap", a, axis2);
    for (int j = 0; j < a->rank; j++)
        axes[j] = j == one ? two : (j == two ? one : j);
    return as_permute(t, a, axes);
}

/* --- slice, concat, stack, pad, repeat: rows of `m * inner` numbers --------------------------------------- */

/* rows of n numbers, from one row stride to another */
static struct as_move rows_of(ptrdiff_t rows, ptrdiff_t n, ptrdiff_t from_stride, ptrdiff_t to_stride)
{
    return (struct as_move){ .rank = 2, .size = { rows, n }, .from_stride = { from_stride, 1 },
                             .to_stride = { to_stride, 1 } };
}

static void slice_back(struct as_tape *t, struct as_note *note)
{
    const ptrdiff_t *k = note->k;    /* rows, numbers, stride, offset */
    struct as_move m = rows_of(k[0], k[1], k[1], k[2]);
    m.from = note->out->dx;
    m.to = as_gradient(t, note->in[0]) + k[3];
    as_move_do(&m, AS_MOVE_ADD);
}

struct as_node *as_slice(struct as_tape *t, struct as_node *a, int axis, ptrdiff_t from, ptrdiff_t count)
{
    axis = as_op_axis("slice", a, axis);
    if (from < 0 || count < 0 || from > a->dim[axis] - count)
        as_fail(AS_FAILED, "slice: %td entries from %td on are not in axis %d of %s", count, from, axis, as_op_dims(a));
    struct split s = split_at(a, axis);
    ptrdiff_t dims[AS_MAX_RANK];
    memcpy(dims, a->dim, sizeof dims);
    dims[axis] = count;
    struct as_node *out = node_as(t, a, a->rank, dims);
    as_op_lengths(out, 1, &a);
    struct as_move m = rows_of(s.outer, count * s.inner, s.m * s.inner, count * s.inner);
    m.from = values(a, from * s.inner);
    m.to = places(out, 0);
    as_move_do(&m, copying(a));
    struct as_note *note = as_note_new(t, slice_back, out, 1, &a);
    if (note)
        memcpy(note->k, (ptrdiff_t[]){ s.outer, count * s.inner, s.m * s.inner, from * s.inner }, 4 * sizeof *note->k);
    return out;
}

struct parts { int n; struct as_node *a[]; };

static void join_back(struct as_tape *t, struct as_note *note)
{
    struct parts *p = note->saved;
    ptrdiff_t outer = note->k[0], stride = note->k[1], at = 0;
    for (int j = 0; j < p->n; j++) {
        ptrdiff_t row = outer > 0 ? as_node_size(p->a[j]) / outer : 0;
        if (p->a[j]->wants) {
            struct as_move m = rows_of(outer, row, stride, row);
            m.from = note->out->dx + at;
            give(t, p->a[j], &m);
        }
        at += row;
    }
}

/* Rows of the parts side by side: out (outer, sum of rows). */
static void join(struct as_tape *t, int n, struct as_node *const *a, struct as_node *out, ptrdiff_t outer)
{
    ptrdiff_t stride = outer > 0 ? as_node_size(out) / outer : 0, at = 0;
    struct as_node *wanting = a[0];
    for (int j = 0; j < n; j++) {
        ptrdiff_t row = outer > 0 ? as_node_size(a[j]) / outer : 0;
        struct as_move m = rows_of(outer, row, row, stride);
        m.from = values(a[j], 0);
        m.to = places(out, at);
        as_move_do(&m, copying(out));
        at += row;
        wanting = wanting->wants ? wanting : a[j];
    }
    struct as_note *note = as_note_new(t, join_back, out, 1, &wanting);   /* more inputs than a note has room for */
    if (!note)
        return;
    struct parts *p = as_arena_take(as_tape_arena(t), sizeof *p + (size_t)n * sizeof p->a[0]);
    p->n = n;
    memcpy(p->a, a, (size_t)n * sizeof p->a[0]);
    note->saved = p;
    note->k[0] = outer;
    note->k[1] = stride;
}

/* Parts agree in type, rank and every size but `axis` (-1: in every one). */
static void same_but(const char *op, const struct as_node *a, const struct as_node *b, int axis)
{
    bool same = a->dtype == b->dtype && a->rank == b->rank;
    for (int j = 0; same && j < a->rank; j++)
        same = j == axis || a->dim[j] == b->dim[j];
    if (!same && a->dtype != b->dtype)
        as_fail(AS_FAILED, "%s: %s and %s are not both real or both integer", op, as_op_dims(a), as_op_dims(b));
    if (!same)
        as_fail(AS_FAILED, "%s: sizes %s and %s do not go together", op, as_op_dims(a), as_op_dims(b));
}

struct as_node *as_concat(struct as_tape *t, int n, struct as_node *const *a, int axis)
{
    if (n < 1)
        as_fail(AS_FAILED, "concat: nothing to join");
    axis = as_op_axis("concat", a[0], axis);
    ptrdiff_t dims[AS_MAX_RANK];
    memcpy(dims, a[0]->dim, sizeof dims);
    for (int j = 1; j < n; j++) {
        same_but("concat", a[0], a[j], axis);
        dims[axis] += a[j]->dim[axis];
    }
    struct as_node *out = node_as(t, a[0], a[0]->rank, dims);
    if (axis >= 2)
        as_op_lengths(out, n, a);
    join(t, n, a, out, split_at(a[0], axis).outer);
    return out;
}

struct as_node *as_stack(struct as_tape *t, int n, struct as_node *const *a, int axis)
{
    if (n < 1)
        as_fail(AS_FAILED, "stack: nothing to join");
    int rank = a[0]->rank + 1, at = axis < 0 ? axis + rank : axis;
    if (at < 0 || at >= rank || rank > AS_MAX_RANK)
        as_fail(AS_FAILED, "stack: %s cannot get a new axis %d", as_op_dims(a[0]), axis);
    ptrdiff_t dims[AS_MAX_RANK], outer = 1;
    for (int j = 0; j < rank; j++) {
        dims[j] = j < at ? a[0]->dim[j] : (j == at ? n : a[0]->dim[j - 1]);
        outer *= j < at ? dims[j] : 1;
    }
    for (int j = 1; j < n; j++)
        same_but("stack", a[0], a[j], -1);
    struct as_node *out = node_as(t, a[0], rank, dims);
    if (at >= 2)
        as_op_lengths(out, n, a);
    join(t, n, a, out, outer);
    return out;
}

static void pad_back(struct as_tape *t, struct as_note *note)
{
    const ptrdiff_t *k = note->k;    /* rows, numbers, stride, offset */
    struct as_move m = rows_of(k[0], k[1], k[2], k[1]);
    m.from = note->out->dx + k[3];
    give(t, note->in[0], &m);
}

struct as_node *as_pad(struct as_tape *t, struct as_node *a, int axis, ptrdiff_t before, ptrdiff_t after, double value)
{
    axis = as_op_axis("pad", a, axis);
    if (before < 0 || after < 0)
        as_fail(AS_FAILED, "pad of %s: %td before and %td after; both are 0 or more", as_op_dims(a), before, after);
    struct split s = split_at(a, axis);
    ptrdiff_t dims[AS_MAX_RANK], edge[2] = { before, after };
    memcpy(dims, a->dim, sizeof dims);
    dims[axis] += before + after;
    struct as_node *out = node_as(t, a, a->rank, dims);
    if (axis >= 2 || dims[axis] == a->dim[axis])
        as_op_lengths(out, 1, &a);
    ptrdiff_t stride = dims[axis] * s.inner, row = s.m * s.inner;
    const real x = (real)value;
    const int32_t i = (int32_t)value;
    for (int e = 0; e < 2; e++) {    /* one number, stretched by strides of 0 */
        struct as_move m = rows_of(s.outer, edge[e] * s.inner, 0, stride);
        m.from_stride[1] = 0;
        m.from = a->dtype == AS_INTS ? (const void *)&i : (const void *)&x;
        m.to = places(out, e ? before * s.inner + row : 0);
        as_move_do(&m, copying(a));
    }
    struct as_move m = rows_of(s.outer, row, row, stride);
    m.from = values(a, 0);
    m.to = places(out, before * s.inner);
    as_move_do(&m, copying(a));
    struct as_note *note = as_note_new(t, pad_back, out, 1, &a);
    if (note)
        memcpy(note->k, (ptrdiff_t[]){ s.outer, row, stride, before * s.inner }, 4 * sizeof *note->k);
    return out;
}

static void repeat_back(struct as_tape *t, struct as_note *note)
{
    real *dx = as_gradient(t, note->in[0]);
    as_op_reduce(t, note->k[0], note->k[1], note->k[2], note->out->dx, R(1.0), dx, true);
}

struct as_node *as_repeat(struct as_tape *t, struct as_node *a, int axis, ptrdiff_t times)
{
    axis = as_op_axis("repeat", a, axis);
    if (a->dim[axis] != 1 || times < 0)
        as_fail(AS_FAILED, "repeat: axis %d of %s cannot be repeated %td times; its size has to be 1", axis,
                as_op_dims(a), times);
    struct split s = split_at(a, axis);
    ptrdiff_t dims[AS_MAX_RANK];
    memcpy(dims, a->dim, sizeof dims);
    dims[axis] = times;
    struct as_node *out = node_as(t, a, a->rank, dims);
    if (axis >= 2)
        as_op_lengths(out, 1, &a);
    struct as_move m = { .rank = 3, .size = { s.outer, times, s.inner }, .from_stride = { s.inner, 0, 1 },
                         .to_stride = { times * s.inner, s.inner, 1 }, .from = values(a, 0), .to = places(out, 0) };
    as_move_do(&m, copying(a));
    struct as_note *note = as_note_new(t, repeat_back, out, 1, &a);
    if (note)
        memcpy(note->k, (ptrdiff_t[]){ s.outer, times, s.inner }, 3 * sizeof *note->k);
    return out;
}

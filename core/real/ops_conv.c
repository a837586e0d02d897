/* ops_conv.c: convolutions over one and two dimensions, channels last, as matrix products.
 *
 * Output positions of the whole batch form one long list, cut into blocks by problem size. A block gathers what its
 * positions see into rows of (kh, kw, channels) ("im2col"), and multiplies by the filters in that order:
 *   y (positions, out) = seen (positions, K) W^T, with K = kh kw in/groups, per group.
 * Back: dW = dy^T seen, summed over blocks within a share, shares added in order; dx scatters dy W into each row of
 * the batch, one row a piece, because neighbouring positions meet in the same pixel.
 * A kernel of one tap without stride and padding sees the input as it lies, and skips the gathering.
 */
#include "ops_private.h"

#include "../parallel_private.h"

enum { SHARES = 8 };                     /* most partial sums of dW */

struct geometry {
    ptrdiff_t batch, in_h, in_w, in, out_h, out_w, out, kh, kw, groups;
    ptrdiff_t stride[2], dilation[2], pad[2];
    ptrdiff_t seen, block;               /* K; positions a block */
    bool direct;                         /* one tap: the input is the gathered matrix */
};

struct conv {
    struct geometry g;
    const real *x, *w, *dy;              /* w: (out, kh, kw, in/groups) */
    real *y, *dx, *dw;                   /* dw: (shares, out, K) */
    real *scratch;                       /* (members, block, K) */
    bool bias, fresh_x;
    ptrdiff_t positions, blocks, shares;
};

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b)
{
    return a < b ? a : b;
}

static real *own_scratch(const struct conv *c)
{
    return c->scratch + as_parallel_member() * c->g.block * c->g.seen;
}

/* What the positions from..from+count-1 see of the channels of `group`, as rows of `seen`; zeros outside. */
static void gather(const struct geometry *g, const real *x, ptrdiff_t group, ptrdiff_t from, ptrdiff_t count,
                   real *seen)
{
    ptrdiff_t width = g->in / g->groups;
    for (ptrdiff_t q = 0; q < count; q++) {
        ptrdiff_t p = from + q, ow = p % g->out_w, oh = p / g->out_w % g->out_h, b = p / g->out_w / g->out_h;
        real *row = seen + q * g->seen;
        for (ptrdiff_t i = 0; i < g->kh; i++) {
            ptrdiff_t h = oh * g->stride[0] - g->pad[0] + i * g->dilation[0];
            for (ptrdiff_t j = 0; j < g->kw; j++, row += width) {
                ptrdiff_t w = ow * g->stride[1] - g->pad[1] + j * g->dilation[1];
                if (h < 0 || h >= g->in_h || w < 0 || w >= g->in_w) {
                    memset(row, 0, (size_t)width * sizeof *row);
                    continue;
                }
                const real *pixel = x + ((b * g->in_h + h) * g->in_w + w) * g->in + group * width;
                for (ptrdiff_t c = 0; c < width; c++)
                    row[c] = pixel[c];
            }
        }
    }
}

/* The way back: adds the rows of `seen` onto the pixels that they were gathered from. */
static void scatter(const struct geometry *g, const real *seen, ptrdiff_t group, ptrdiff_t from, ptrdiff_t count,
                    real *dx)
{
    ptrdiff_t width = g->in / g->groups;
    for (ptrdiff_t q = 0; q < count; q++) {
        ptrdiff_t p = from + q, ow = p % g->out_w, oh = p / g->out_w % g->out_h, b = p / g->out_w / g->out_h;
        const real *row = seen + q * g->seen;
        for (ptrdiff_t i = 0; i < g->kh; i++) {
            ptrdiff_t h = oh * g->stride[0] - g->pad[0] + i * g->dilation[0];
            for (ptrdiff_t j = 0; j < g->kw; j++, row += width) {
                ptrdiff_t w = ow * g->stride[1] - g->pad[1] + j * g->dilation[1];
                if (h < 0 || h >= g->in_h || w < 0 || w >= g->in_w)
                    continue;
                real *pixel = dx + ((b * g->in_h + h) * g->in_w + w) * g->in + group * width;
                for (ptrdiff_t c = 0; c < width; c++)
                    pixel[c] += row[c];
            }
        }
    }
}

/* What the positions see, and the leading dimension of that. */
static const real *look(const struct conv *c, ptrdiff_t group, ptrdiff_t from, ptrdiff_t count, ptrdiff_t *ld)
{
    if (c->g.direct) {
        *ld = c->g.in;
        return c->x + from * c->g.in + group * (c->g.in / c->g.groups);
    }
    real *seen = own_scratch(c);
    gather(&c->g, c->x, group, from, count, seen);
    *ld = c->g.seen;
    return seen;
}

static void forward_block(void *ctx, ptrdiff_t i)
{
    const struct conv *c = ctx;
    const struct geometry *g = &c->g;
    ptrdiff_t from = i * g->block, count = least(g->block, c->positions - from), out = g->out / g->groups, ld;
    for (ptrdiff_t group = 0; group < g->groups; group++) {
        const real *seen = look(c, group, from, count, &ld);
        as_gemm_one(0, 1, count, out, g->seen, R(1.0), seen, ld, c->w + group * out * g->seen, g->seen,
                    c->bias ? R(1.0) : R(0.0), c->y + from * g->out + group * out, g->out);
    }
}

/* Share s of dW: blocks s * n / shares up to the next, one after the other. */
static void weights_share(void *ctx, ptrdiff_t s)
{
    const struct conv *c = ctx;
    const struct geometry *g = &c->g;
    ptrdiff_t out = g->out / g->groups, first = s * c->blocks / c->shares, last = (s + 1) * c->blocks / c->shares, ld;
    real *dw = c->dw + s * g->out * g->seen;
    for (ptrdiff_t i = first; i < last; i++) {
        ptrdiff_t from = i * g->block, count = least(g->block, c->positions - from);
        for (ptrdiff_t group = 0; group < g->groups; group++) {
            const real *seen = look(c, group, from, count, &ld);
            as_gemm_one(1, 0, out, g->seen, count, R(1.0), c->dy + from * g->out + group * out, g->out, seen, ld,
                        i == first ? R(0.0) : R(1.0), dw + group * out * g->seen, g->seen);
        }
    }
}

/* dx of one row of the batch. */
static void input_row(void *ctx, ptrdiff_t b)
{
    const struct conv *c = ctx;
    const struct geometry *g = &c->g;
    ptrdiff_t each = g->out_h * g->out_w, out = g->out / g->groups, size = g->in_h * g->in_w * g->in;
    real *seen = own_scratch(c);
    if (c->fresh_x)
        memset(c->dx + b * size, 0, (size_t)size * sizeof *c->dx);
    for (ptrdiff_t from = 0; from < each; from += g->block) {
        ptrdiff_t count = least(g->block, each - from), at = b * each + from;
        for (ptrdiff_t group = 0; group < g->groups; group++) {
            as_gemm(0, 0, count, g->seen, out, R(1.0), c->dy + at * g->out + group * out, g->out,
                    c->w + group * out * g->seen, g->seen, R(0.0), seen, g->seen);     /* on the team if the batch is 1 */
            scatter(g, seen, group, at, count, c->dx);
        }
    }
}

/* ---- Filters: (out, in/groups, kh, kw) as declared, (out, kh, kw, in/groups) as used ---- */

static void reorder_filters(const struct geometry *g, const real *from, real *to, bool back)
{
    ptrdiff_t width = g->in / g->groups, taps = g->kh * g->kw;
    for (ptrdiff_t o = 0; o < g->out; o++, from += width * taps, to += width * taps)
        for (ptrdiff_t c = 0; c < width; c++)
            for (ptrdiff_t j = 0; j < taps; j++) {
                if (back)
                    to[c * taps + j] += from[j * width + c];
                else
                    to[j * width + c] = from[c * taps + j];
            }
}

static void prepare(struct as_tape *t, struct conv *c, const struct as_node *x, const struct as_node *w)
{
    struct as_arena *arena = as_tape_arena(t);
    const struct geometry *g = &c->g;
    c->positions = g->batch * g->out_h * g->out_w;
    c->blocks = (c->positions + g->block - 1) / g->block;
    c->x = x->x;
    size_t filters = as_size((size_t)(g->out * g->seen), sizeof(real));
    real *ordered = as_arena_take(arena, filters);
    reorder_filters(g, w->x, ordered, false);
    c->w = ordered;
    c->scratch = as_arena_take(arena, as_size((size_t)(as_threads() * g->block * g->seen), sizeof(real)));
}

static double operations(const struct conv *c)
{
    return (double)c->positions * (double)c->g.out * (double)c->g.seen / 4;
}

static void conv_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *x = note->in[0], *w = note->in[1], *bias = note->in[2];
    struct as_arena *arena = as_tape_arena(t);
    struct conv c = { .g = *(const struct geometry *)note->saved, .dy = note->out->dx };
    c.dx = as_gradient_open(t, x, &c.fresh_x);
    real *dw = as_gradient(t, w), *dbias = bias ? as_gradient(t, bias) : NULL;
    size_t mark = as_arena_mark(arena);
    prepare(t, &c, x, w);
    if (dw && c.blocks > 0) {
        ptrdiff_t size = c.g.out * c.g.seen;
        c.shares = least(c.blocks, SHARES);
        c.dw = as_arena_take(arena, as_size((size_t)(c.shares * size), sizeof(real)));
        as_parallel(c.shares, operations(&c), weights_share, &c);
        for (ptrdiff_t s = 1; s < c.shares; s++)
            as_op_add(size, c.dw + s * size, c.dw, false);
        reorder_filters(&c.g, c.dw, dw, true);
    }
    if (c.dx)
        as_parallel(c.g.batch, operations(&c), input_row, &c);
    if (dbias)
        as_op_reduce(t, 1, c.positions, c.g.out, c.dy, R(1.0), dbias, true);
    as_arena_reset(arena, mark);
}

struct fill { const real *bias; real *y; ptrdiff_t width; };

static void fill_rows(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    const struct fill *f = ctx;
    for (ptrdiff_t i = from; i < to; i++)
        memcpy(f->y + i * f->width, f->bias, (size_t)f->width * sizeof *f->y);
}

/* ---- Shapes ---- */

/* Size of the output along one axis, or a failure. */
static ptrdiff_t out_size(const char *op, ptrdiff_t in, ptrdiff_t taps, ptrdiff_t stride, ptrdiff_t dilation,
                          ptrdiff_t before, ptrdiff_t after)
{
    ptrdiff_t reach = (taps - 1) * dilation + 1, padded = in + before + after;
    if (stride < 1 || dilation < 1 || before < 0 || after < 0)
        as_fail(AS_FAILED, "%s: stride %td, dilation %td and paddings %td, %td: the first two must be positive, the "
                           "others not negative", op, stride, dilation, before, after);
    if (taps < 1 || padded < reach)
        as_fail(AS_FAILED, "%s: a kernel that reaches over %td positions does not fit into %td (with padding)", op,
                reach, padded);
    return (padded - reach) / stride + 1;
}

static struct geometry geometry_of(const char *op, const struct as_node *x, const struct as_node *w,
                                   const struct as_conv *conv)
{
    bool flat = x->rank == 3;            /* one dimension: an image of height 1, its axis is the width */
    struct geometry g = { .batch = x->dim[0], .in_h = flat ? 1 : x->dim[1], .in_w = x->dim[flat ? 1 : 2],
                          .in = x->dim[flat ? 2 : 3], .out = w->dim[0], .kh = flat ? 1 : w->dim[2],
                          .kw = w->dim[flat ? 2 : 3], .groups = conv->groups ? conv->groups : 1 };
    if (g.groups < 1 || g.in % g.groups != 0 || g.out % g.groups != 0 || w->dim[1] != g.in / g.groups)
        as_fail(AS_FAILED, "%s: filters %s do not fit x %s in %td groups: (out, in/groups, kernel) are needed", op,
                as_op_dims(w), as_op_dims(x), g.groups);
    ptrdiff_t after[2] = { 0, 0 };
    for (int axis = 0; axis < 2; axis++) {
        int from = flat ? 0 : axis;
        bool used = !flat || axis == 1;
        g.stride[axis] = used && conv->stride[from] ? conv->stride[from] : 1;
        g.dilation[axis] = used && conv->dilation[from] ? conv->dilation[from] : 1;
        g.pad[axis] = used ? conv->pad_before[from] : 0;
        after[axis] = used ? conv->pad_after[from] : 0;
    }
    g.out_h = out_size(op, g.in_h, g.kh, g.stride[0], g.dilation[0], g.pad[0], after[0]);
    g.out_w = out_size(op, g.in_w, g.kw, g.stride[1], g.dilation[1], g.pad[1], after[1]);
    g.seen = g.kh * g.kw * (g.in / g.groups);
    g.direct = g.kh * g.kw == 1 && g.stride[0] == 1 && g.stride[1] == 1 && g.pad[0] + g.pad[1] + after[0] + after[1] == 0;
    /* A block's gathered rows fill about a second-level cache's worth. */
    g.block = g.seen > 0 && (1 << 17) / g.seen < 1024 ? (1 << 17) / g.seen : 1024;
    g.block = g.block < 32 ? 32 : g.block;
    return g;
}

static struct as_node *convolve(struct as_tape *t, const char *op, struct as_node *x, struct as_node *w,
                                struct as_node *bias, const struct as_conv *conv, int rank)
{
    as_op_reals(op, x);
    as_op_reals(op, w);
    if (x->rank != rank || w->rank != rank)
        as_fail(AS_FAILED, "%s: x %s and filters %s must both have %d sizes", op, as_op_dims(x), as_op_dims(w), rank);
    struct conv c = { .g = geometry_of(op, x, w, conv), .bias = bias != NULL };
    const struct geometry *g = &c.g;
    if (bias && (bias->dtype != AS_REALS || as_node_size(bias) != g->out))
        as_fail(AS_FAILED, "%s: the bias %s must have one real number for each of the %td filters", op,
                as_op_dims(bias), g->out);
    ptrdiff_t dims[4] = { g->batch, g->out_h, g->out_w, g->out };
    if (rank == 3) {
        dims[1] = g->out_w;
        dims[2] = g->out;
    }
    struct as_node *out = as_node_new(t, rank, dims);
    if (rank == 3)
        as_op_lengths(out, 1, &x);
    struct as_arena *arena = as_tape_arena(t);
    struct as_note *note = as_note_new(t, conv_back, out, 3, (struct as_node *[]){ x, w, bias });
    if (note) {
        note->saved = as_arena_take(arena, sizeof *g);
        memcpy(note->saved, g, sizeof *g);
    }
    size_t mark = as_arena_mark(arena);
    prepare(t, &c, x, w);
    c.y = out->x;
    if (bias) {
        struct fill f = { bias->x, out->x, g->out };
        as_op_rows(c.positions, g->out, 0.5, fill_rows, &f);
    }
    as_parallel(c.blocks, operations(&c), forward_block, &c);
    as_arena_reset(arena, mark);
    return out;
}

struct as_node *as_conv1d(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias,
                          struct as_conv c)
{
    return convolve(t, "conv1d", x, w, bias, &c, 3);
}

struct as_node *as_conv2d(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias,
                          struct as_conv c)
{
    return convolve(t, "conv2d", x, w, bias, &c, 4);
}

/* ops_elementwise.c: element-wise operators of two inputs, and where, with NumPy's broadcasting.
 *
 * The gradient of a stretched operand is a sum. It is taken over the result in index order, in pieces cut by
 * size; when pieces share places of the operand each has its own copy, and copies are added in index order.
 */
#include "ops_broadcast.h"

#include "../kernel/kernels.h"
#ifdef ASSAY_DOUBLE
#define AS_BINARY_LOOPS
#endif
#include "../kernel/binary.h"

#ifdef ASSAY_DOUBLE
#define LOOPS_OF binary_loops
#else
#define LOOPS_OF as_binary_loops()
#endif

struct call {
    const struct as_binary *op;
    struct as_nest nest;
    const real *x[2], *y, *dy;
    const int32_t *mask;
    real *out;
    int which;                       /* operand whose gradient is taken */
    bool fresh;
    ptrdiff_t parts, each;           /* rows a piece, of the gradient of a stretched operand */
    ptrdiff_t size;                  /* of that operand */
};

static struct as_lane lane_at(const struct call *c, const struct as_place *p, ptrdiff_t row, ptrdiff_t from)
{
    struct as_lane l;
    int last = c->nest.rank - 1;
    for (int k = 0; k < AS_OPERANDS; k++)
        l.s[k] = k < c->nest.n ? c->nest.stride[k][last] : 0;
    for (int k = 0; k < 2; k++)
        l.x[k] = c->x[k] + p->off[k] + from * l.s[k];
    l.mask = c->mask ? c->mask + p->off[2] + from * l.s[2] : NULL;
    l.y = c->y ? c->y + row * c->nest.inner + from : NULL;
    l.dy = c->dy ? c->dy + row * c->nest.inner + from : NULL;
    return l;
}

/* Runs part(c, lane, place, first, n) over numbers from..to-1 of the result, row by row. */
static void over(struct call *c, ptrdiff_t from, ptrdiff_t to,
                 void (*part)(struct call *c, const struct as_lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n))
{
    struct as_place place;
    ptrdiff_t row = from / c->nest.inner, at = from % c->nest.inner;
    for (as_place_at(&place, &c->nest, row); from < to; row++, at = 0) {
        ptrdiff_t n = c->nest.inner - at < to - from ? c->nest.inner - at : to - from;
        struct as_lane l = lane_at(c, &place, row, at);
        part(c, &l, &place, from, n);
        from += n;
        as_place_next(&place, &c->nest);
    }
}

static void value_part(struct call *c, const struct as_lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n)
{
    (void)p;
    c->op->value(n, l, c->out + first);
}

static void value_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    over(ctx, from, to, value_part);
}

/* --- the way back ----------------------------------------------------------------------------------------- */

static struct as_lane lane_from(const struct as_lane *l, ptrdiff_t at)
{
    struct as_lane m = *l;
    for (int k = 0; k < 2; k++)
        m.x[k] += at * l->s[k];
    m.mask = l->mask ? l->mask + at * l->s[2] : NULL;
    m.y += at;
    m.dy += at;
    return m;
}

/* Adds n numbers of gradient to `to`, one by one, or writes them there (fresh). */
static void give_dense(struct call *c, const struct as_lane *l, ptrdiff_t n, real *to)
{
    void (*back)(ptrdiff_t, const struct as_lane *, real *, bool) = c->op->back[c->which];
    if (back)
        back(n, l, to, !c->fresh);
    else
        as_op_add_here(n, l->dy, to, c->fresh);
}

/* The same, or adds all of them to one place. */
static void give(struct call *c, const struct as_lane *l, ptrdiff_t n, real *to)
{
    void (*back)(ptrdiff_t, const struct as_lane *, real *, bool) = c->op->back[c->which];
    real block[AS_BLOCK];
    if (l->s[c->which] != 0) {
        give_dense(c, l, n, to);
        return;
    }
    for (ptrdiff_t at = 0; at < n; at += AS_BLOCK) {
        ptrdiff_t m = n - at < AS_BLOCK ? n - at : AS_BLOCK;
        struct as_lane here = lane_from(l, at);
        if (back)
            back(m, &here, block, false);
        *to += as_op_sum(m, back ? block : here.dy);
    }
}

static void dense_part(struct call *c, const struct as_lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n)
{
    (void)p;
    give_dense(c, l, n, c->out + first);
}

static void dense_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    over(ctx, from, to, dense_part);
}

/* c->out is the start of a copy of the whole operand. */
static void stretched_part(struct call *c, const struct as_lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n)
{
    ptrdiff_t at = first % c->nest.inner * l->s[c->which];
    give(c, l, n, c->out + p->off[c->which] + at);
}

static void stretched_piece(void *ctx, ptrdiff_t i)
{
    struct call c = *(struct call *)ctx;
    ptrdiff_t all = c.nest.rows * c.nest.inner, from = i * c.each, to = from + c.each < all ? from + c.each : all;
    c.out += i * c.size;
    memset(c.out, 0, (size_t)c.size * sizeof *c.out);
    over(&c, from, to, stretched_part);
}

/* Pieces that share nothing: the outermost loop moves the operand. */
static void slabs_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct call *c = ctx;
    ptrdiff_t slab = c->nest.rows * c->nest.inner / c->nest.size[0];
    over(c, from * slab, to * slab, stretched_part);
}

static void back_stretched(struct as_tape *t, struct call *c, struct as_node *a)
{
    struct as_arena *arena = as_tape_arena(t);
    real *dx = as_gradient(t, a);
    ptrdiff_t all = c->nest.rows * c->nest.inner, size = as_node_size(a);
    size_t mark = as_arena_mark(arena);
    if (c->nest.rank > 1 && c->nest.stride[c->which][0] != 0) {
        c->out = dx;
        as_op_rows(c->nest.size[0], all / c->nest.size[0], 3, slabs_run, c);
        return;
    }
    /* Copies together stay below half of the result; whole rows unless a row alone fills a piece. */
    c->each = 2 * size > AS_CUT ? 2 * size : AS_CUT;
    if (c->nest.inner < c->each)
        c->each = c->each / c->nest.inner * c->nest.inner;
    c->parts = (all + c->each - 1) / c->each;
    c->size = size;
    c->out = as_arena_take(arena, as_size((size_t)(c->parts * size), sizeof *c->out));
    as_parallel(c->parts, 3 * (double)all, stretched_piece, c);
    for (ptrdiff_t p = 0; p < c->parts; p++)
        as_op_add(size, c->out + p * size, dx, false);
    as_arena_reset(arena, mark);
}

static void binary_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *out = note->out;
    ptrdiff_t all = as_node_size(out);
    struct call c = { .op = note->saved, .nest = as_nest_make(out, note->n_in, note->in), .y = out->x, .dy = out->dx };
    c.x[0] = note->in[0]->x;
    c.x[1] = note->in[1]->x;
    c.mask = note->n_in > 2 ? note->in[2]->i : NULL;
    bool taken = false;
    const int last = note->in[0] == note->in[1] ? -1 : note->in[1]->wants;   /* to read the result's gradient */
    for (int k = 0; k < 2 && all > 0; k++) {
        struct as_node *a = note->in[k];
        c.which = k;
        if (!a->wants)
            continue;
        c.fresh = false;
        if (as_node_size(a) != all) {
            back_stretched(t, &c, a);
            continue;
        }
        if (!c.op->back[k] && !taken && (taken = as_gradient_take(t, a, out)))
            continue;                        /* by one of the two: the other reads it and has its own */
        if (last == k && !taken)
            c.out = as_gradient_over(t, a, out, &c.fresh);
        else
            c.out = as_gradient_open(t, a, &c.fresh);
        as_op_rows(all, 1, 3, dense_run, &c);
    }
}

static struct as_node *apply(struct as_tape *t, enum as_binary_name name, int n_in, struct as_node *const *in)
{
    const struct as_binary *op = LOOPS_OF[name];
    ptrdiff_t dims[AS_MAX_RANK];
    as_op_reals(op->name, in[0]);
    as_op_reals(op->name, in[1]);
    if (n_in > 2)
        as_op_ints(op->name, in[2]);
    int rank = as_nest_dims(op->name, n_in, in, dims);
    struct as_node *out = as_node_new(t, rank, dims);
    as_op_lengths(out, n_in, in);
    if (as_node_size(out) > 0) {
        struct call c = { .op = op, .nest = as_nest_make(out, n_in, in), .out = out->x };
        c.x[0] = in[0]->x;
        c.x[1] = in[1]->x;
        c.mask = n_in > 2 ? in[2]->i : NULL;
        as_op_rows(as_node_size(out), 1, 2, value_run, &c);
    }
    struct as_note *note = as_note_new(t, binary_back, out, n_in, in);
    if (note)
        note->saved = (void *)(uintptr_t)op;     /* constant; only read */
    return out;
}

/* --- the operators ---------------------------------------------------------------------------------------- */

#define OPERATOR(symbol, name)                                                          \
    struct as_node *symbol(struct as_tape *t, struct as_node *a, struct as_node *b)     \
    {                                                                                   \
        return apply(t, name, 2, (struct as_node *[]){ a, b });                       \
    }

OPERATOR(as_add, AS_ADD)
OPERATOR(as_sub, AS_SUB)
OPERATOR(as_mul, AS_MUL)
OPERATOR(as_div, AS_DIV)
OPERATOR(as_max2, AS_MAX2)
OPERATOR(as_min2, AS_MIN2)

struct as_node *as_where(struct as_tape *t, struct as_node *mask, struct as_node *a, struct as_node *b)
{
    return apply(t, AS_WHERE, 3, (struct as_node *[]){ a, b, mask });
}

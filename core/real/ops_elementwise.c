/* ops_elementwise.c: element-wise operators of two inputs, and where, with NumPy's broadcasting.
 *
 * The gradient of a stretched operand is a sum. It is taken over the result in index order, in pieces cut by
 * size; when pieces share places of the operand each has its own copy, and copies are added in index order.
 */
#include "ops_broadcast.h"

/* One inner loop. Operand k is at x[k] with stride s[k], 0 or 1; mask likewise (third operand of where). */
struct lane { const real *x[2], *y, *dy; const int32_t *mask; ptrdiff_t s[AS_OPERANDS]; };

struct binary {
    const char *name;
    void (*value)(ptrdiff_t n, const struct lane *l, real *y);
    /* g[i] = dy[i] * (derivative to operand k); NULL where that is dy itself */
    void (*back[2])(ptrdiff_t n, const struct lane *l, real *g);
};

struct call {
    const struct binary *op;
    struct as_nest nest;
    const real *x[2], *y, *dy;
    const int32_t *mask;
    real *out;
    int which;                       /* operand whose gradient is taken */
    bool fresh;
    ptrdiff_t parts, each;           /* rows a piece, of the gradient of a stretched operand */
    ptrdiff_t size;                  /* of that operand */
};

static struct lane lane_at(const struct call *c, const struct as_place *p, ptrdiff_t row, ptrdiff_t from)
{
    struct lane l;
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
                 void (*part)(struct call *c, const struct lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n))
{
    struct as_place place;
    ptrdiff_t row = from / c->nest.inner, at = from % c->nest.inner;
    for (as_place_at(&place, &c->nest, row); from < to; row++, at = 0) {
        ptrdiff_t n = c->nest.inner - at < to - from ? c->nest.inner - at : to - from;
        struct lane l = lane_at(c, &place, row, at);
        part(c, &l, &place, from, n);
        from += n;
        as_place_next(&place, &c->nest);
    }
}

static void value_part(struct call *c, const struct lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n)
{
    (void)p;
    c->op->value(n, l, c->out + first);
}

static void value_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    over(ctx, from, to, value_part);
}

/* --- the way back ----------------------------------------------------------------------------------------- */

static struct lane lane_from(const struct lane *l, ptrdiff_t at)
{
    struct lane m = *l;
    for (int k = 0; k < 2; k++)
        m.x[k] += at * l->s[k];
    m.mask = l->mask ? l->mask + at * l->s[2] : NULL;
    m.y += at;
    m.dy += at;
    return m;
}

/* Adds n numbers of gradient to `to`: one by one, or all to the same place. */
static void give(struct call *c, const struct lane *l, ptrdiff_t n, real *to)
{
    void (*back)(ptrdiff_t, const struct lane *, real *) = c->op->back[c->which];
    ptrdiff_t stride = l->s[c->which];
    real block[AS_BLOCK];
    for (ptrdiff_t at = 0; at < n; at += AS_BLOCK) {
        ptrdiff_t m = n - at < AS_BLOCK ? n - at : AS_BLOCK;
        struct lane here = lane_from(l, at);
        const real *g = here.dy;
        if (back) {
            back(m, &here, block);
            g = block;
        }
        if (stride == 0) {
            *to += as_op_sum(m, g);
            continue;
        }
        real *d = to + at;
#pragma omp simd
        for (ptrdiff_t i = 0; i < m; i++)
            d[i] += g[i];
    }
}

static void dense_part(struct call *c, const struct lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n)
{
    (void)p;
    if (c->fresh)
        memset(c->out + first, 0, (size_t)n * sizeof *c->out);
    give(c, l, n, c->out + first);
}

static void dense_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    over(ctx, from, to, dense_part);
}

/* c->out is the start of a copy of the whole operand. */
static void stretched_part(struct call *c, const struct lane *l, const struct as_place *p, ptrdiff_t first, ptrdiff_t n)
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
    for (int k = 0; k < 2 && all > 0; k++) {
        struct as_node *a = note->in[k];
        c.which = k;
        if (!a->wants)
            continue;
        if (as_node_size(a) != all) {
            back_stretched(t, &c, a);
            continue;
        }
        c.out = as_gradient_open(t, a, &c.fresh);
        as_op_rows(all, 1, 3, dense_run, &c);
    }
}

static struct as_node *apply(struct as_tape *t, const struct binary *op, int n_in, struct as_node *const *in)
{
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

/* `body` once for each pair of inner strides, so that each is a plain loop. */
#define LOOPS(statement)                                        \
    if (l->s[0] == 1 && l->s[1] == 1) {                         \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)   \
        {                                                       \
            const real a = l->x[0][i], b = l->x[1][i];          \
            statement;                                          \
        }                                                       \
    } else if (l->s[0] == 1) {                                  \
        const real b = *l->x[1];                                \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)   \
        {                                                       \
            const real a = l->x[0][i];                          \
            statement;                                          \
        }                                                       \
    } else {                                                    \
        const real a = *l->x[0];                                \
        _Pragma("omp simd") for (ptrdiff_t i = 0; i < n; i++)   \
        {                                                       \
            const real b = l->x[1][i];                          \
            statement;                                          \
        }                                                       \
    }

#define VALUE(name, expression)                                             \
    static void name(ptrdiff_t n, const struct lane *l, real *restrict y)   \
    {                                                                       \
        LOOPS((void)a; (void)b; y[i] = (expression))                        \
    }
#define BACK(name, expression)                                              \
    static void name(ptrdiff_t n, const struct lane *l, real *restrict g)   \
    {                                                                       \
        const real *restrict dy = l->dy;                                    \
        LOOPS((void)a; (void)b; g[i] = dy[i] * (expression))                \
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

static void where_value(ptrdiff_t n, const struct lane *l, real *y)
{
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = l->mask[i * l->s[2]] ? l->x[0][i * l->s[0]] : l->x[1][i * l->s[1]];
}

static void where_a(ptrdiff_t n, const struct lane *l, real *g)
{
    for (ptrdiff_t i = 0; i < n; i++)
        g[i] = l->mask[i * l->s[2]] ? l->dy[i] : R(0.0);
}

static void where_b(ptrdiff_t n, const struct lane *l, real *g)
{
    for (ptrdiff_t i = 0; i < n; i++)
        g[i] = l->mask[i * l->s[2]] ? R(0.0) : l->dy[i];
}

static const struct binary add = { "add", add_value, { NULL, NULL } };
static const struct binary sub = { "sub", sub_value, { NULL, sub_b } };
static const struct binary mul = { "mul", mul_value, { mul_a, mul_b } };
static const struct binary quotient = { "div", div_value, { div_a, div_b } };
static const struct binary max2 = { "max2", max_value, { max_a, max_b } };
static const struct binary min2 = { "min2", min_value, { min_a, min_b } };
static const struct binary where = { "where", where_value, { where_a, where_b } };

#define OPERATOR(symbol, table)                                                         \
    struct as_node *symbol(struct as_tape *t, struct as_node *a, struct as_node *b)     \
    {                                                                                   \
        return apply(t, &table, 2, (struct as_node *[]){ a, b });                       \
    }

OPERATOR(as_add, add)
OPERATOR(as_sub, sub)
OPERATOR(as_mul, mul)
OPERATOR(as_div, quotient)
OPERATOR(as_max2, max2)
OPERATOR(as_min2, min2)

struct as_node *as_where(struct as_tape *t, struct as_node *mask, struct as_node *a, struct as_node *b)
{
    return apply(t, &where, 3, (struct as_node *[]){ a, b, mask });
}

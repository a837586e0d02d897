/* ops_scan.c: diagonal linear recurrences h[t] = a[t] h[t-1] + x[t] as operators, real and complex.
 *
 * Cut over rows of the batch and blocks of channels; along time each block runs in order, so a prefix of the
 * input gives the prefix of the output, bit for bit.
 */
#include "ops_private.h"

#include "../kernel/kernels.h"
#include "../kernel/sequence.h"

#ifdef ASSAY_DOUBLE
static const struct as_sequence_kernels plain = {
    .scan_forward = scan_forward,
    .scan_backward = scan_backward,
    .scan_complex_forward = scan_complex_forward,
    .scan_complex_backward = scan_complex_backward,
    .depthwise_forward = depthwise_forward,
    .depthwise_backward = depthwise_backward,
};
#define LOOPS (&plain)
#else
#define LOOPS (as_sequence_kernels())
#endif

/* One scan over a batch. */
enum { SHORT = 64, LEAST = 16 };         /* numbers of a row a piece: few, and one line of the cache */
enum { PIECES = 8 };                     /* pieces below which rows are cut into short ones; into lines when there is one */

struct scan {
    struct as_scan_piece p;              /* at row 0 */
    ptrdiff_t batch, blocks, each;       /* blocks of `each` channels */
    real *da_rows;                       /* (batch, width): each row's share of da when a is constant */
    void (*run)(const struct as_scan_piece *p);
};

static real *row(real *first, ptrdiff_t b, ptrdiff_t size)
{
    return first ? first + b * size : NULL;
}

static void scan_piece(void *ctx, ptrdiff_t i)
{
    const struct scan *s = ctx;
    struct as_scan_piece p = s->p;
    ptrdiff_t b = i / s->blocks, size = p.time * p.width;
    p.from = i % s->blocks * s->each;
    p.to = p.from + s->each < p.width ? p.from + s->each : p.width;
    p.a += p.step_a ? b * size : 0;
    p.x += b * size;
    p.h += b * size;
    p.dh = p.dh ? p.dh + b * size : NULL;
    p.h0 = p.h0 ? p.h0 + b * p.width : NULL;
    p.dx = row(p.dx, b, size);
    p.da = s->da_rows ? row(s->da_rows, b, p.width) : row(p.da, b, size);
    p.dh0 = row(p.dh0, b, p.width);
    s->run(&p);
}

static void run_scan(struct scan *s)
{
    /* Whole rows run through memory best; a small batch is cut over channels, too. */
    for (s->each = AS_SCAN_CHANNELS; s->each > SHORT && s->each / 2 >= s->p.width;)
        s->each /= 2;
    while (s->each > SHORT && s->batch * ((s->p.width + s->each - 1) / s->each) < PIECES)
        s->each /= 2;
    while (s->each > LEAST && s->batch * ((s->p.width + s->each - 1) / s->each) < 2)
        s->each /= 2;
    s->blocks = (s->p.width + s->each - 1) / s->each;
    as_parallel(s->batch * s->blocks, (double)s->batch * (double)s->p.time * (double)s->p.width * (s->p.dh ? 3 : 1),
                scan_piece, s);
}

/* What forward and backward share. h is the result's node. */
static struct scan scan_of(const struct as_node *a, const struct as_node *x, const struct as_node *h0,
                           const struct as_node *h)
{
    struct scan s = { .batch = x->dim[0] };
    s.p.time = x->dim[1];
    s.p.width = 1;
    for (int j = 2; j < x->rank; j++)
        s.p.width *= x->dim[j];
    s.p.step_a = a->rank == x->rank ? s.p.width : 0;
    s.p.a = a->x;
    s.p.x = x->x;
    s.p.h0 = h0 ? h0->x : NULL;
    s.p.h = h->x;
    return s;
}

/* note: k[0] is 1 when complex. */
static void scan_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0], *x = note->in[1], *h0 = note->in[2];
    struct scan s = scan_of(a, x, h0, note->out);
    struct as_arena *arena = as_tape_arena(t);
    s.p.dh = note->out->dx;
    s.run = note->k[0] ? LOOPS->scan_complex_backward : LOOPS->scan_backward;
    /* In the order in which a piece writes them: should two be one node, the second adds. */
    s.p.dx = as_gradient_over(t, x, note->out, &s.p.fresh_x);
    s.p.da = as_gradient_open(t, a, &s.p.fresh_a);
    if (h0)
        s.p.dh0 = as_gradient_open(t, h0, &s.p.fresh_h0);
    const int arrays = 2 + (s.p.step_a ? 1 : 0) + (s.p.dx ? 1 : 0) + (s.p.da && s.p.step_a ? 1 : 0);
    s.p.past = as_op_goes_past(arrays, as_node_size(x));
    size_t mark = as_arena_mark(arena);
    bool shared = s.p.da && !s.p.step_a, fresh = s.p.fresh_a;
    if (shared) {
        s.da_rows = as_arena_take(arena, as_size((size_t)(s.batch * s.p.width), sizeof(real)));
        s.p.fresh_a = true;
    }
    run_scan(&s);
    if (shared)
        as_op_reduce(t, 1, s.batch, s.p.width, s.da_rows, R(1.0), s.p.da, !fresh);
    as_arena_reset(arena, mark);
}

static bool same_sizes(const struct as_node *a, const struct as_node *b, int from, int count)
{
    for (int j = 0; j < count; j++)
        if (a->dim[from + j] != b->dim[from + j])
            return false;
    return true;
}

static struct as_node *scan(struct as_tape *t, const char *op, struct as_node *a, struct as_node *x,
                            struct as_node *h0, bool pairs)
{
    int rank = pairs ? 4 : 3;
    as_op_reals(op, a);
    as_op_reals(op, x);
    if (x->rank != rank || (pairs && x->dim[3] != 2))
        as_fail(AS_FAILED, "%s: x has the sizes %s; (batch, time, width%s) are needed", op, as_op_dims(x),
                pairs ? ", 2" : "");
    bool fits = a->rank == rank ? same_sizes(a, x, 0, rank)
                                : a->rank == rank - 2 && a->dim[0] == x->dim[2] && (!pairs || a->dim[1] == 2);
    if (!fits)
        as_fail(AS_FAILED, "%s: a %s must have the sizes of x %s, or those after time", op, as_op_dims(a),
                as_op_dims(x));
    if (h0) {
        as_op_reals(op, h0);
        if (h0->rank != rank - 1 || h0->dim[0] != x->dim[0] || h0->dim[1] != x->dim[2] || (pairs && h0->dim[2] != 2))
            as_fail(AS_FAILED, "%s: h0 %s must have the sizes of x %s without time", op, as_op_dims(h0),
                    as_op_dims(x));
    }
    struct as_node *out = as_node_new(t, x->rank, x->dim);
    as_op_lengths(out, 2, (struct as_node *[]){ x, a });
    struct scan s = scan_of(a, x, h0, out);
    s.run = pairs ? LOOPS->scan_complex_forward : LOOPS->scan_forward;
    run_scan(&s);
    struct as_note *note = as_note_new(t, scan_back, out, 3, (struct as_node *[]){ a, x, h0 });
    if (note)
        note->k[0] = pairs;
    return out;
}

struct as_node *as_scan(struct as_tape *t, struct as_node *a, struct as_node *x, struct as_node *h0)
{
    return scan(t, "scan", a, x, h0, false);
}

struct as_node *as_scan_complex(struct as_tape *t, struct as_node *a, struct as_node *x, struct as_node *h0)
{
    return scan(t, "scan_complex", a, x, h0, true);
}

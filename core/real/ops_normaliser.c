/* ops_normaliser.c: the normaliser of linear attention as an operator (Katharopoulos et al. 2020, eq. 9).
 *
 * Cut over sequences, or over heads where there are few sequences; along time each runs in order, so a prefix of the
 * input gives the prefix of the output, bit for bit.
 */
#include "ops_private.h"

#include "../kernel/kernels.h"
#include "../kernel/normaliser.h"

#ifdef ASSAY_DOUBLE
#define FORWARD normaliser_forward
#define BACKWARD normaliser_backward
#else
#define FORWARD (as_sequence_kernels()->normaliser_forward)
#define BACKWARD (as_sequence_kernels()->normaliser_backward)
#endif

enum { ENOUGH = 4 };                     /* sequences that are work enough without a cut over heads */

struct normaliser {
    struct as_normaliser_piece p;        /* of the first head of the first sequence */
    ptrdiff_t batch, time, heads;
    const int32_t *length;
    bool back;
};

static real *from(real *first, ptrdiff_t at)
{
    return first ? first + at : NULL;
}

/* Zeros behind a sequence's steps. */
static void clear_rest(const struct normaliser *c, const struct as_normaliser_piece *p, real *x, ptrdiff_t width)
{
    for (ptrdiff_t t = p->time; x && t < c->time; t++)
        memset(x + t * p->step * width, 0, (size_t)(p->heads * width) * sizeof *x);
}

static void run_piece(void *ctx, ptrdiff_t i)
{
    const struct normaliser *c = ctx;
    struct as_normaliser_piece p = c->p;
    ptrdiff_t cuts = c->heads / p.heads, b = i / cuts, head = i % cuts * p.heads, at = b * c->time * c->heads + head;
    ptrdiff_t state = (b * c->heads + head) * p.d;
    p.time = c->length ? c->length[b] : c->time;
    p.q += at * p.d;
    p.k += at * p.d;
    p.x += at * p.wide;
    p.y += at * p.wide;
    p.den += at;
    p.room += 2 * state;
    p.z0 = p.z0 ? p.z0 + state : NULL;
    if (!c->back) {
        clear_rest(c, &p, p.y, p.wide);
        FORWARD(&p);
        return;
    }
    p.dy += at * p.wide;
    p.dden += at;
    p.dq = from(p.dq, at * p.d);
    p.dk = from(p.dk, at * p.d);
    p.dx = from(p.dx, at * p.wide);
    p.dz0 = from(p.dz0, state);
    clear_rest(c, &p, p.fresh_q ? p.dq : NULL, p.d);
    clear_rest(c, &p, p.fresh_k ? p.dk : NULL, p.d);
    clear_rest(c, &p, p.fresh_x ? p.dx : NULL, p.wide);
    BACKWARD(&p);
}

static void run(struct as_tape *t, struct normaliser *c)
{
    struct as_arena *arena = as_tape_arena(t);
    size_t mark = as_arena_mark(arena), rows = (size_t)(c->batch * c->heads), steps = as_size(rows, (size_t)c->time);
    double work = (double)steps * (double)(2 * c->p.d + c->p.wide) * (c->back ? 3 : 1);
    c->p.room = as_arena_take(arena, as_size(as_size(2 * rows, (size_t)c->p.d), sizeof(real)));
    if (c->back)
        c->p.dden = as_arena_take(arena, as_size(steps, sizeof(real)));
    as_parallel(c->batch * (c->p.heads ? c->heads / c->p.heads : 0), work, run_piece, c);
    as_arena_reset(arena, mark);
}

static void normaliser_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *x = note->in[0], *q = note->in[1], *k = note->in[2], *z0 = note->in[3];
    struct normaliser c = *(const struct normaliser *)note->saved;
    c.back = true;
    c.p.dy = note->out->dx;
    /* In the order in which a piece writes them: should two be one node, the second adds. */
    c.p.dx = as_gradient_over(t, x, note->out, &c.p.fresh_x);
    c.p.dq = as_gradient_open(t, q, &c.p.fresh_q);
    c.p.dk = as_gradient_open(t, k, &c.p.fresh_k);
    if (z0)
        c.p.dz0 = as_gradient_open(t, z0, &c.p.fresh_z0);
    run(t, &c);
}

static void check(const struct as_node *x, const struct as_node *q, const struct as_node *k, const struct as_node *z0)
{
    as_op_reals("normaliser", x);
    as_op_reals("normaliser", q);
    as_op_reals("normaliser", k);
    if (x->rank != 4 || q->rank != 4 || memcmp(x->dim, q->dim, 3 * sizeof *x->dim) != 0)
        as_fail(AS_FAILED, "normaliser: x %s and q %s are (batch, time, heads, width), alike but for the width",
                as_op_dims(x), as_op_dims(q));
    if (k->rank != 4 || memcmp(k->dim, q->dim, 4 * sizeof *k->dim) != 0)
        as_fail(AS_FAILED, "normaliser: k %s must have the sizes of q %s", as_op_dims(k), as_op_dims(q));
    if (!z0)
        return;
    as_op_reals("normaliser", z0);
    if (z0->rank != 3 || z0->dim[0] != q->dim[0] || memcmp(z0->dim + 1, q->dim + 2, 2 * sizeof *q->dim) != 0)
        as_fail(AS_FAILED, "normaliser: z0 %s must have the sizes of q %s without time", as_op_dims(z0), as_op_dims(q));
}

struct as_node *as_normaliser(struct as_tape *t, struct as_node *x, struct as_node *q, struct as_node *k,
                              struct as_node *z0, double eps)
{
    check(x, q, k, z0);
    struct as_node *out = as_node_new(t, x->rank, x->dim);
    struct as_arena *arena = as_tape_arena(t);
    as_op_lengths(out, 3, (struct as_node *[]){ x, q, k });
    struct normaliser *c = as_arena_zero(arena, sizeof *c);
    *c = (struct normaliser){ .batch = x->dim[0], .time = x->dim[1], .heads = x->dim[2], .length = out->length };
    c->p = (struct as_normaliser_piece){ .step = c->heads, .d = q->dim[3], .wide = x->dim[3], .eps = (real)eps,
                                         .q = q->x, .k = k->x, .x = x->x, .y = out->x };
    c->p.heads = c->batch >= ENOUGH ? c->heads : c->heads > 0;
    c->p.z0 = z0 ? z0->x : NULL;
    c->p.den = as_arena_take(arena, as_size((size_t)(c->batch * c->time * c->heads), sizeof *c->p.den));
    run(t, c);
    struct as_note *note = as_note_new(t, normaliser_back, out, 4, (struct as_node *[]){ x, q, k, z0 });
    if (note)
        note->saved = c;
    return out;
}

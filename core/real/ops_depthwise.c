/* ops_depthwise.c: the causal depthwise convolution, one short filter a channel, as in linear-attention layers; alone,
 * and followed by silu.
 *
 * Cut over rows of the batch and blocks of time. The gradient of the filters is one partial sum a piece, added in
 * the order of the pieces.
 *
 * With silu a few steps at a time go through both, so that what lies between them stays in the nearest cache and never
 * has an array of its own; on the way back it is made again from x.
 */
#include "ops_private.h"

#include "../kernel/kernels.h"
#include "../kernel/sequence.h"
#include "../kernel/unary.h"

#ifdef ASSAY_DOUBLE
#define FORWARD depthwise_forward
#define BACKWARD depthwise_backward
#define IN_PLACE(taps, d) false
#else
#define IN_PLACE(taps, d) ((taps) <= AS_DEPTHWISE_IN_PLACE && (d) % 16 == 0)
#define FORWARD as_sequence_kernels()->depthwise_forward
#define BACKWARD as_sequence_kernels()->depthwise_backward
#endif

enum { ROOM = 8192, WIDEST = 512 };      /* numbers between convolution and silu; channels up to which that pays */

struct depthwise {
    struct as_depthwise_piece p;         /* at row 0 of the batch */
    ptrdiff_t batch, blocks, each;
    real *parts;
    const struct as_unary *silu;
    void (*run)(const struct as_depthwise_piece *p);
};

/* Steps a..b-1 of piece p as a piece of its own that writes y: with the steps before that its filters reach back to. */
static struct as_depthwise_piece few_steps(const struct as_depthwise_piece *p, ptrdiff_t a, ptrdiff_t b, real *y)
{
    ptrdiff_t lead = a < p->taps - 1 ? a : p->taps - 1;
    struct as_depthwise_piece q = *p;
    q.x = p->x + (a - lead) * p->width;
    q.y = y;
    q.start = lead;
    q.stop = q.time = lead + b - a;
    return q;
}

static void silu_forward(const struct as_depthwise_piece *p, const struct as_unary *silu)
{
    real between[ROOM];
    const ptrdiff_t d = p->width, steps = ROOM / d - (p->taps - 1);
    for (ptrdiff_t a = p->start, b; a < p->stop; a = b) {
        b = a + steps < p->stop ? a + steps : p->stop;
        struct as_depthwise_piece q = few_steps(p, a, b, between);
        FORWARD(&q);
        silu->value((b - a) * d, between + q.start * d, p->y + a * d, NULL);
    }
}

/* From the last steps to the first: dx may stand in the place of dy. The filters reach forward, too: what comes back
 * through silu at the steps behind is kept, or made from dy where another piece has those steps. */
static void silu_backward(const struct as_depthwise_piece *p, const struct as_unary *silu)
{
    real between[ROOM], back[ROOM], sums[ROOM];
    const ptrdiff_t d = p->width, most = p->taps - 1, steps = ROOM / d - 2 * most;
    ptrdiff_t behind = p->time - p->stop < most ? p->time - p->stop : most;
    if (p->part)
        memset(p->part, 0, (size_t)((p->taps + 1) * d) * sizeof *p->part);
    for (ptrdiff_t b = p->stop, a; b > p->start; b = a) {
        a = b - steps > p->start ? b - steps : p->start;
        const bool first = b == p->stop;
        struct as_depthwise_piece q = few_steps(p, a, first ? b + behind : b, between);
        if (!first)
            memmove(back + q.stop * d, sums, (size_t)(behind * d) * sizeof *back);
        FORWARD(&q);
        silu->back((q.stop - q.start) * d, between + q.start * d, p->y + a * d, p->dy + a * d, back + q.start * d, true,
                   NULL);
        q.stop = q.start + b - a;
        q.time = q.stop + behind;
        q.dy = back;
        q.dx = p->dx ? p->dx + (a - q.start) * d : NULL;
        q.part = p->part ? sums : NULL;
        BACKWARD(&q);
        for (ptrdiff_t i = 0; p->part && i < (p->taps + 1) * d; i++)
            p->part[i] += sums[i];
        behind = b - a < most ? b - a : most;
        memcpy(sums, back + q.start * d, (size_t)(behind * d) * sizeof *sums);
    }
}

static void depthwise_piece(void *ctx, ptrdiff_t i)
{
    const struct depthwise *s = ctx;
    struct as_depthwise_piece p = s->p;
    ptrdiff_t b = i / s->blocks, offset = b * p.time * p.width;
    p.start = i % s->blocks * s->each;
    p.stop = p.start + s->each < p.time ? p.start + s->each : p.time;
    p.x += offset;
    if (p.y)
        p.y += offset;
    if (p.dy)
        p.dy += offset;
    if (p.dx)
        p.dx += offset;
    if (s->parts)
        p.part = s->parts + i * (p.taps + 1) * p.width;
    if (!s->silu)
        s->run(&p);
    else if (p.dy)
        silu_backward(&p, s->silu);
    else
        silu_forward(&p, s->silu);
}

/* w (d, taps) -> (taps, d), from the arena. */
static real *transposed(struct as_tape *t, const struct as_node *w)
{
    ptrdiff_t d = w->dim[0], taps = w->dim[1];
    real *out = as_arena_take(as_tape_arena(t), as_size((size_t)(d * taps), sizeof *out));
    for (ptrdiff_t c = 0; c < d; c++)
        for (ptrdiff_t j = 0; j < taps; j++)
            out[j * d + c] = w->x[c * taps + j];
    return out;
}

static struct depthwise depthwise_of(const struct as_node *x, const struct as_node *w)
{
    struct depthwise s = { .p = { .time = x->dim[1], .width = x->dim[2], .taps = w->dim[1], .x = x->x },
                           .batch = x->dim[0] };
    s.each = s.p.width > 0 && AS_CUT / s.p.width > 64 ? AS_CUT / s.p.width : 64;
    s.blocks = (s.p.time + s.each - 1) / s.each;
    return s;
}

static void run_depthwise(struct depthwise *s, double passes)
{
    as_parallel(s->batch * s->blocks,
                passes * (double)s->batch * (double)s->p.time * (double)s->p.width * (double)s->p.taps,
                depthwise_piece, s);
}

static void depthwise_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *x = note->in[0], *w = note->in[1], *bias = note->in[2];
    struct as_arena *arena = as_tape_arena(t);
    struct depthwise s = depthwise_of(x, w);
    ptrdiff_t d = s.p.width, taps = s.p.taps, pieces = s.batch * s.blocks;
    if (s.blocks == 1 && IN_PLACE(taps, d))
        s.p.dx = as_gradient_over(t, x, note->out, &s.p.fresh_x);
    else
        s.p.dx = as_gradient_open(t, x, &s.p.fresh_x);
    real *dw = as_gradient(t, w), *dbias = bias ? as_gradient(t, bias) : NULL;
    size_t mark = as_arena_mark(arena);
    s.p.w = transposed(t, w);
    s.p.dy = note->out->dx;
    s.p.y = note->out->x;
    s.silu = note->saved;
    if (dw || dbias)
        s.parts = as_arena_take(arena, as_size((size_t)(pieces * (taps + 1) * d), sizeof *s.parts));
    s.run = BACKWARD;
    s.p.past = as_op_goes_past(3, as_node_size(x));
    run_depthwise(&s, s.silu ? 4.0 : 2.0);
    if (s.parts) {
        real *sum = as_arena_take(arena, as_size((size_t)((taps + 1) * d), sizeof *sum));
        as_op_reduce(t, 1, pieces, (taps + 1) * d, s.parts, R(1.0), sum, false);
        for (ptrdiff_t c = 0; dw && c < d; c++)
            for (ptrdiff_t j = 0; j < taps; j++)
                dw[c * taps + j] += sum[j * d + c];
        for (ptrdiff_t c = 0; dbias && c < d; c++)
            dbias[c] += sum[taps * d + c];
    }
    as_arena_reset(arena, mark);
}

static struct as_node *convolve(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias,
                                const struct as_unary *silu)
{
    as_op_reals("conv_causal", x);
    as_op_reals("conv_causal", w);
    if (x->rank != 3 || w->rank != 2 || w->dim[0] != x->dim[2] || w->dim[1] < 1)
        as_fail(AS_FAILED, "conv_causal: x %s must be (batch, time, d) and the filters %s (d, taps)", as_op_dims(x),
                as_op_dims(w));
    if (bias && (bias->dtype != AS_REALS || as_node_size(bias) != x->dim[2]))
        as_fail(AS_FAILED, "conv_causal: the bias %s must have one real number for each of the %td channels",
                as_op_dims(bias), x->dim[2]);
    struct as_node *out = as_node_like(t, x);
    struct as_arena *arena = as_tape_arena(t);
    size_t mark = as_arena_mark(arena);
    struct depthwise s = depthwise_of(x, w);
    s.p.w = transposed(t, w);
    s.p.bias = bias ? bias->x : NULL;
    s.p.y = out->x;
    s.silu = silu;
    s.run = FORWARD;
    run_depthwise(&s, silu ? 4.0 : 1.0);
    as_arena_reset(arena, mark);
    struct as_note *note = as_note_new(t, depthwise_back, out, 3, (struct as_node *[]){ x, w, bias });
    if (note)
        note->saved = (void *)(uintptr_t)silu;   /* constant; only read */
    return out;
}

struct as_node *as_conv_causal(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias)
{
    return convolve(t, x, w, bias, NULL);
}

struct as_node *as_conv_silu(struct as_tape *t, struct as_node *x, struct as_node *w)
{
    ptrdiff_t d = x->rank == 3 ? x->dim[2] : 0, taps = w->rank == 2 ? w->dim[1] : 0;
    bool fits = d > 0 && d <= WIDEST && taps >= 1 && taps <= AS_DEPTHWISE_IN_PLACE;
    return fits ? convolve(t, x, w, NULL, as_op_unary(AS_SILU)) : as_silu(t, convolve(t, x, w, NULL, NULL));
}

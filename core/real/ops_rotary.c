/* ops_rotary.c: rotary positions (Su et al. 2021). Every layer and pass of a training turns by the same angles, so their
 * cosines and sines stay with the tape; those of a stream, which are needed once, are made where they are used.
 */
#include "ops_private.h"

#include "../kernel/kernels.h"

#include <stdlib.h>

struct rotary {
    ptrdiff_t batch, time, heads, half;
    const real *cosine, *sine;           /* (time, half) */
    const real *x;
    real *y;
    bool add, back;
};

static void angle_rows(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    const struct as_angles *c = ctx;
    for (ptrdiff_t t = from; t < to; t++)
        for (ptrdiff_t j = 0; j < c->half; j++) {
            double angle = (double)(t + c->from) * pow(c->base, -(double)j / (double)c->half);
            c->cosine[t * c->half + j] = (real)cos(angle);
            c->sine[t * c->half + j] = (real)sin(angle);
        }
}

/* The angles of the steps from 0 on, at least `time` of them; kept ones have twice as many as those before, so that a tape
 * gathers few of them whatever lengths it meets. */
static struct as_angles kept_angles(struct as_tape *t, double base, ptrdiff_t half, ptrdiff_t time)
{
    struct as_angles **first = as_tape_angles(t), *a = *first;
    ptrdiff_t steps = 16;
    size_t size;

    while (a && (a->base != base || a->half != half || a->time < time))
        a = a->next;
    if (a)
        return *a;
    while (steps < time)
        steps *= 2;
    size = as_size(as_size((size_t)steps, (size_t)half), sizeof(real));
    a = malloc(sizeof *a + 2 * size);
    if (!a)
        as_fail(AS_NO_MEMORY, "no memory for the rotary angles of %td steps", steps);
    *a = (struct as_angles){ *first, base, 0, half, steps, (real *)(a + 1), (real *)(a + 1) + steps * half };
    *first = a;
    as_op_rows(steps, half, 40.0, angle_rows, a);
    return *a;
}

/* (u, v) -> (u cos - v sin, u sin + v cos); back: the other way round. Rows are (batch, time). */
static void rotate_rows(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    const struct rotary *c = ctx;
#ifndef ASSAY_DOUBLE
    as_row_kernels()->rotate(&(struct as_rotation){ .time = c->time, .heads = c->heads, .half = c->half,
                                                    .cosine = c->cosine, .sine = c->sine, .x = c->x, .y = c->y,
                                                    .add = c->add, .back = c->back }, from, to);
#else
    ptrdiff_t d = 2 * c->half;
    real sign = c->back ? R(-1.0) : R(1.0);
    for (ptrdiff_t r = from; r < to; r++) {
        const real *cosine = c->cosine + r % c->time * c->half, *sine = c->sine + r % c->time * c->half;
        for (ptrdiff_t h = 0; h < c->heads; h++) {
            const real *u = c->x + (r * c->heads + h) * d, *v = u + c->half;
            real *yu = c->y + (r * c->heads + h) * d, *yv = yu + c->half;
            for (ptrdiff_t j = 0; j < c->half; j++) {    /* y may be x */
                real s = sign * sine[j], a = u[j] * cosine[j] - v[j] * s, b = u[j] * s + v[j] * cosine[j];
                yu[j] = c->add ? yu[j] + a : a;
                yv[j] = c->add ? yv[j] + b : b;
            }
        }
    }
#endif
}

static void rotary_back(struct as_tape *t, struct as_note *note)
{
    bool fresh;
    struct rotary c = *(const struct rotary *)note->saved;
    c.y = as_gradient_over(t, note->in[0], note->out, &fresh);
    c.x = note->out->dx;
    c.add = !fresh;
    c.back = true;
    if (c.y)
        as_op_rows(c.batch * c.time, c.heads * c.half * 2, 2.0, rotate_rows, &c);
}

struct as_node *as_rotary(struct as_tape *t, struct as_node *x, double base, ptrdiff_t from)
{
    as_op_reals("rotary", x);
    if (x->rank != 4 || x->dim[3] % 2 != 0)
        as_fail(AS_FAILED, "rotary: x has the sizes %s; (batch, time, heads, d) with an even d are needed",
                as_op_dims(x));
    if (!(base > 0.0))
        as_fail(AS_REFUSED, "rotary: the base %g is not positive", base);
    struct as_node *out = as_node_like(t, x);
    struct as_note *note = as_note_new(t, rotary_back, out, 1, &x);
    struct as_arena *arena = as_tape_arena(t);
    size_t mark = as_arena_mark(arena);
    struct rotary *c = as_arena_zero(arena, sizeof *c);
    *c = (struct rotary){ .batch = x->dim[0], .time = x->dim[1], .heads = x->dim[2], .half = x->dim[3] / 2 };
    struct as_angles a;
    if (from == 0)
        a = kept_angles(t, base, c->half, c->time);
    else {
        size_t size = as_size((size_t)(c->time * c->half), sizeof(real));
        a = (struct as_angles){ .base = base, .from = from, .half = c->half, .cosine = as_arena_take(arena, size),
                                .sine = as_arena_take(arena, size) };
        as_op_rows(c->time, c->half, 40.0, angle_rows, &a);
    }
    c->cosine = a.cosine;
    c->sine = a.sine;
    c->x = x->x;
    c->y = out->x;
    as_op_rows(c->batch * c->time, c->heads * c->half * 2, 2.0, rotate_rows, c);
    if (note)
        note->saved = c;
    else
        as_arena_reset(arena, mark);
    return out;
}

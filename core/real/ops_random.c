/* ops_random.c: dropout, whose mask is a pure function of key and element; and rotary positions. */
#include "ops_private.h"

#include "../kernel/kernels.h"

#include "../random_private.h"

struct dropout {
    struct as_key key;
    uint32_t below;                      /* words below this are dropped */
    real scale;                          /* 1 / (1 - p) */
    const real *x;
    real *y;
    unsigned char *kept;
    bool add;
};

/* Pieces start at multiples of four elements, because as_op_rows() cuts at multiples of AS_CUT. */
static void draw(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    const struct dropout *c = ctx;
    uint32_t words[AS_BLOCK];
    for (ptrdiff_t i = from; i < to; i += AS_BLOCK) {
        ptrdiff_t n = to - i < AS_BLOCK ? to - i : AS_BLOCK;
        as_bits_fill(c->key, (uint64_t)i, n, words);
        for (ptrdiff_t j = 0; j < n; j++) {
            c->kept[i + j] = words[j] >= c->below;
            c->y[i + j] = words[j] >= c->below ? c->x[i + j] * c->scale : R(0.0);
        }
    }
}

static void through_mask(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    const struct dropout *c = ctx;
    for (ptrdiff_t i = from; i < to; i++) {
        real v = c->kept[i] ? c->x[i] * c->scale : R(0.0);
        c->y[i] = c->add ? c->y[i] + v : v;
    }
}

static void dropout_back(struct as_tape *t, struct as_note *note)
{
    bool fresh;
    real *dx = as_gradient_open(t, note->in[0], &fresh);
    struct dropout c = { .scale = (real)note->a[0], .x = note->out->dx, .y = dx, .kept = note->saved, .add = !fresh };
    if (dx)
        as_op_rows(as_node_size(note->out), 1, 1.0, through_mask, &c);
}

struct as_node *as_dropout(struct as_tape *t, struct as_node *a, double p, struct as_key key)
{
    as_op_reals("dropout", a);
    if (!(p >= 0.0 && p < 1.0))
        as_fail(AS_REFUSED, "dropout: the probability %g is not in [0, 1)", p);
    if (p == 0.0)
        return a;
    struct as_node *out = as_node_like(t, a);
    ptrdiff_t n = as_node_size(a);
    struct dropout c = { .key = key, .below = (uint32_t)(p * 0x1p32), .scale = (real)(1.0 / (1.0 - p)), .x = a->x,
                         .y = out->x };
    struct as_note *note = as_note_new(t, dropout_back, out, 1, &a);
    struct as_arena *arena = as_tape_arena(t);
    size_t mark = as_arena_mark(arena);
    c.kept = as_arena_take(arena, as_size((size_t)n, sizeof *c.kept));
    as_op_rows(n, 1, 6.0, draw, &c);
    if (note) {
        note->saved = c.kept;
        note->a[0] = 1.0 / (1.0 - p);
    } else
        as_arena_reset(arena, mark);
    return out;
}

/* ---- Rotary positions (Su et al. 2021) ---- */

struct rotary {
    ptrdiff_t batch, time, heads, half;
    const real *cosine, *sine;           /* (time, half) */
    const real *x;
    real *y;
    bool add, back;
};

struct angles { double base; ptrdiff_t from, half; real *cosine, *sine; };

static void angle_rows(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    const struct angles *c = ctx;
    for (ptrdiff_t t = from; t < to; t++)
        for (ptrdiff_t j = 0; j < c->half; j++) {
            double angle = (double)(t + c->from) * pow(c->base, -(double)j / (double)c->half);
            c->cosine[t * c->half + j] = (real)cos(angle);
            c->sine[t * c->half + j] = (real)sin(angle);
        }
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
    size_t size = as_size((size_t)(c->time * c->half), sizeof(real));
    struct angles table = { base, from, c->half, as_arena_take(arena, size), as_arena_take(arena, size) };
    as_op_rows(c->time, c->half, 40.0, angle_rows, &table);
    c->cosine = table.cosine;
    c->sine = table.sine;
    c->x = x->x;
    c->y = out->x;
    as_op_rows(c->batch * c->time, c->heads * c->half * 2, 2.0, rotate_rows, c);
    if (note)
        note->saved = c;
    else
        as_arena_reset(arena, mark);
    return out;
}

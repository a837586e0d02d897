/* ops_random.c: dropout, whose mask is a pure function of key and element. */
#include "ops_private.h"

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

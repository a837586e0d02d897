/* ops_move.c: strided copies. Sizes that lie alike on both sides are joined; when no loop is dense on both,
 * the two loops that are dense on one side each are walked in square tiles. */
#include "ops_move.h"

enum { TILE = 32 };

struct plan {
    int rank;                        /* outer loops */
    ptrdiff_t size[AS_MAX_RANK], fs[AS_MAX_RANK], ts[AS_MAX_RANK];
    ptrdiff_t na, nb, fa, fb, ta, tb;            /* the two inner loops and their strides */
    ptrdiff_t tile_a, tile_b, tiles_a, tiles_b;
    const void *from;
    void *to;
    enum as_move_how how;
};

void as_move_strides(int rank, const ptrdiff_t *dims, ptrdiff_t *stride)
{
    ptrdiff_t step = 1;
    for (int j = rank - 1; j >= 0; j--) {
        stride[j] = step;
        step *= dims[j];
    }
}

/* Drops sizes of 1 and joins neighbours. */
static void join(struct plan *p, const struct as_move *m)
{
    for (int j = 0; j < m->rank; j++) {
        int last = p->rank - 1;
        if (m->size[j] == 1)
            continue;
        if (last >= 0 && p->fs[last] == m->from_stride[j] * m->size[j] && p->ts[last] == m->to_stride[j] * m->size[j]) {
            p->size[last] *= m->size[j];
            p->fs[last] = m->from_stride[j];
            p->ts[last] = m->to_stride[j];
            continue;
        }
        p->size[p->rank] = m->size[j];
        p->fs[p->rank] = m->from_stride[j];
        p->ts[p->rank++] = m->to_stride[j];
    }
}

/* Takes loop j out of the outer ones. */
static void take(struct plan *p, int j, ptrdiff_t *n, ptrdiff_t *f, ptrdiff_t *t)
{
    *n = p->size[j];
    *f = p->fs[j];
    *t = p->ts[j];
    p->rank--;
    for (; j < p->rank; j++) {
        p->size[j] = p->size[j + 1];
        p->fs[j] = p->fs[j + 1];
        p->ts[j] = p->ts[j + 1];
    }
}

static void choose(struct plan *p)
{
    p->na = p->nb = 1;
    if (p->rank > 0)
        take(p, p->rank - 1, &p->nb, &p->fb, &p->tb);
    bool across = p->nb > 1 && (p->fb != 1 || p->tb != 1);
    int other = p->rank - 1;
    for (int j = 0; across && j < p->rank; j++)
        if (p->fs[j] == 1 || p->ts[j] == 1)
            other = j;
    if (other >= 0)
        take(p, other, &p->na, &p->fa, &p->ta);
    p->tile_b = across ? TILE : AS_CUT;
    p->tile_a = across ? TILE : (p->nb < AS_CUT ? AS_CUT / p->nb : 1);
    p->tiles_a = (p->na + p->tile_a - 1) / p->tile_a;
    p->tiles_b = (p->nb + p->tile_b - 1) / p->tile_b;
}

#define LOOPS(type, operation)                                                                      \
    for (ptrdiff_t a = a0; a < a1; a++) {                                                           \
        const type *f = (const type *)p->from + from + a * p->fa + b0 * p->fb;                      \
        type *t = (type *)p->to + to + a * p->ta + b0 * p->tb;                                      \
        if (p->fb == 1 && p->tb == 1) {                                                             \
            _Pragma("omp simd") for (ptrdiff_t b = 0; b < b1 - b0; b++) t[b] operation f[b];        \
        } else {                                                                                    \
            for (ptrdiff_t b = 0; b < b1 - b0; b++)                                                 \
                t[b * p->tb] operation f[b * p->fb];                                                \
        }                                                                                           \
    }

static void tile(const struct plan *p, ptrdiff_t unit)
{
    ptrdiff_t b0 = unit % p->tiles_b * p->tile_b, b1 = b0 + p->tile_b < p->nb ? b0 + p->tile_b : p->nb;
    unit /= p->tiles_b;
    ptrdiff_t a0 = unit % p->tiles_a * p->tile_a, a1 = a0 + p->tile_a < p->na ? a0 + p->tile_a : p->na;
    unit /= p->tiles_a;
    ptrdiff_t from = 0, to = 0;
    for (int j = p->rank - 1; j >= 0; j--) {
        from += unit % p->size[j] * p->fs[j];
        to += unit % p->size[j] * p->ts[j];
        unit /= p->size[j];
    }
    if (p->how == AS_MOVE_INTS) {
        LOOPS(int32_t, =)
    } else if (p->how == AS_MOVE_REALS) {
        LOOPS(real, =)
    } else if (p->how == AS_MOVE_ADD_TO_ZERO) {
        LOOPS(real, = R(0.0) +)
    } else {
        LOOPS(real, +=)
    }
}

static void move_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    for (ptrdiff_t unit = from; unit < to; unit++)
        tile(ctx, unit);
}

void as_move_do(const struct as_move *m, enum as_move_how how)
{
    struct plan p = { .from = m->from, .to = m->to, .how = how };
    for (int j = 0; j < m->rank; j++)
        if (m->size[j] == 0)
            return;
    join(&p, m);
    choose(&p);
    ptrdiff_t units = p.tiles_a * p.tiles_b, per_unit;
    for (int j = 0; j < p.rank; j++)
        units *= p.size[j];
    per_unit = (p.tile_a < p.na ? p.tile_a : p.na) * (p.tile_b < p.nb ? p.tile_b : p.nb);
    as_op_rows(units, per_unit, 1, move_run, &p);
}

/* fused.h: what the fused kernels of rnn, lstm and gru share. Float only, one copy a processor level.
 *
 * The units of each gate are padded to a multiple of UNIT (`hp`), with weights of zero, so that every loop over
 * units is whole vectors; a padded unit stays exactly zero in all three cells. Rows of the batch do not meet,
 * so a tile of rows runs through all steps by itself, with the matrices packed once for all tiles. It goes by
 * blocks of steps: the product with W of all steps of a block first, then step after step, while what the product
 * has left is still in the cache; and the gradient of x likewise behind the steps of a block. A small batch is one
 * tile, since more rows share each load of U; its steps are then a chain that one thread follows while the others
 * make the products with W of blocks ahead of it, or behind it on the way back, with the gradients of the matrices.
 */
#ifndef RECURRENT_FUSED_H
#define RECURRENT_FUSED_H

#include "product.h"
#include <assay/layer.h>

#define BLOCK_FLOATS 196608.0       /* of gates in a block of steps of a tile: less than half a second-level cache */

/* steps: all, or all valid ones. block: steps of a tile between products with W. */
struct cell { ptrdiff_t batch, time, in, h, hp, tile, tiles, steps, block; int gates; };

/* All by size only. */
static inline struct cell cell_of(const struct as_spec *in, const struct as_spec *out, int gates)
{
    struct cell c = { .batch = in->dim[0], .time = in->dim[1], .in = in->dim[2], .h = out->dim[2], .gates = gates };
    double steps;

    c.steps = c.batch * c.time;
    c.hp = padded(c.h);
    c.tile = c.batch >= 16 ? 8 : c.batch <= 8 ? c.batch : (c.batch + 1) / 2;
    c.tiles = c.tile ? (c.batch + c.tile - 1) / c.tile : 0;
    steps = c.tile ? BLOCK_FLOATS / ((double)c.tile * (double)gates * (double)c.hp) : 1;
    c.block = steps > 64 ? 64 : steps < 16 ? 16 : (ptrdiff_t)steps / 8 * 8;
    return c;
}

static inline ptrdiff_t cell_rows(const struct cell *c, ptrdiff_t tile)
{
    return tile + 1 < c->tiles ? c->tile : c->batch - tile * c->tile;
}

/* --- the valid steps alone --------------------------------------------------------------------------------- */

/* Rows in falling order of their lengths, so that the rows of a tile end at about the same step and those that still
 * run are its first ones. The valid steps of all rows stand one row behind the other: row[k] has length[k] of them
 * from start[k] on. Without lengths, or with full ones, that is how the data stand already (dense). */
struct valid { ptrdiff_t *row, *length, *start; int dense; };

/* Floats of room that list_valid() wants. */
static inline size_t valid_room(const struct cell *c)
{
    return 3 * (size_t)c->batch * (sizeof(ptrdiff_t) / sizeof(float));
}

static inline struct valid list_valid(struct cell *c, const int32_t *length, float *room)
{
    struct valid v = { .row = (ptrdiff_t *)(void *)room, .dense = 1 };
    ptrdiff_t n = 0, at = 0, longest = c->time, next;

    v.length = v.row + c->batch;
    v.start = v.length + c->batch;
    for (; n < c->batch; longest = next) {
        next = -1;
        for (ptrdiff_t b = 0; b < c->batch; b++) {
            ptrdiff_t has = length ? length[b] : c->time;

            has = has < 0 ? 0 : has > c->time ? c->time : has;
            if (has == longest) {
                v.row[n] = b;
                v.length[n] = has;
                v.start[n++] = at;
                at += has;
            } else if (has < longest && has > next)
                next = has;
        }
    }
    v.dense = at == c->steps;
    c->steps = at;
    return v;
}

/* Valid steps of row k of the list in the block of steps that begins at t. */
static inline ptrdiff_t block_steps(const struct cell *c, const struct valid *v, ptrdiff_t k, ptrdiff_t t)
{
    ptrdiff_t left = v->length[k] - t;

    return left < 0 ? 0 : left < c->block ? left : c->block;
}

/* The last valid step, in the block that begins at t, of a tile whose first row is row k of the list. */
static inline ptrdiff_t last_step(const struct cell *c, const struct valid *v, ptrdiff_t k, ptrdiff_t t)
{
    return t + block_steps(c, v, k, t) - 1;
}

/* x (batch, time, n) as (steps, n): itself when dense, else copied to room. */
static inline const float *gather_valid(const struct cell *c, const struct valid *v, const float *x, ptrdiff_t n,
                                        float *room)
{
    for (ptrdiff_t k = 0; !v->dense && k < c->batch; k++)
        memcpy(room + v->start[k] * n, x + v->row[k] * c->time * n, (size_t)(v->length[k] * n) * sizeof *x);
    return v->dense ? x : room;
}

/* y (batch, time, h) is zero behind the last step of the tile's rows. */
static inline void clear_padding(const struct cell *c, const struct valid *v, ptrdiff_t first, ptrdiff_t rows, float *y)
{
    for (ptrdiff_t k = first; k < first + rows; k++)
        memset(y + (v->row[k] * c->time + v->length[k]) * c->h, 0,
               (size_t)((c->time - v->length[k]) * c->h) * sizeof *y);
}

/* --- element-wise functions ------------------------------------------------------------------------------- */

/* e^x = 2^n (1 + p): returns p = e^r - 1 with |r| <= log(2)/2, and 2^n. x in [-87, 88]. */
INLINE float exp_parts(float x, float *two_n)
{
    union { float f; uint32_t u; } n = { .f = AS_FMA(x, 1.44269504f, 12582912.0f) }, s;
    float k = n.f - 12582912.0f, r = AS_FMA(k, -0.693359375f, x), q;

    r = AS_FMA(k, 2.12194440e-4f, r);
    q = AS_FMA(r, 1.392655043e-03f, 8.363472722e-03f);
    q = AS_FMA(r, q, 4.166655240e-02f);
    q = AS_FMA(r, q, 1.666657522e-01f);
    q = AS_FMA(r, q, 0.5f);
    s.u = (n.u + 127u) << 23;
    *two_n = s.f;
    return AS_FMA(r * r, q, r);
}

/* Sigmoid and tanh are quotients; a division takes as long as all the rest, so gates share one: the reciprocal of
 * the product of up to three denominators. These are therefore bounded, which changes a sigmoid only below 1e-13.
 *
 * sigmoid(x) = 1 / below_sigmoid(x). */
INLINE float below_sigmoid(float x)
{
    float s, p, v = -x;

    v = v > 30.0f ? 30.0f : v;
    v = v < -87.0f ? -87.0f : v;
    p = exp_parts(v, &s);
    return AS_FMA(s, p, s) + 1.0f;
}

/* tanh(x) = m / (m + 2) with m = e^2x - 1, free of cancellation at 0. */
INLINE float above_tangent(float x)
{
    float s, p, v = 2.0f * x;

    v = v > 20.0f ? 20.0f : v;
    v = v < -40.0f ? -40.0f : v;
    p = exp_parts(v, &s);
    return AS_FMA(s, p, s - 1.0f);
}

INLINE float tangent(float x)
{
    float m = above_tangent(x);

    return m / (m + 2.0f);
}

/* --- products with W and bookkeeping ------------------------------------------------------------------------- */

/* gates (steps, gates * hp) of the block at step t, rows first .. first + rows - 1 of the list: x W^T. */
static inline void input_block(const struct cell *c, const struct valid *v, ptrdiff_t first, ptrdiff_t rows,
                               ptrdiff_t t, const float *x, const float *w, float *gates)
{
    ptrdiff_t n = c->gates * c->hp;

    for (ptrdiff_t k = first; k < first + rows; k++)
        product(block_steps(c, v, k, t), c->in, n, x + (v->row[k] * c->time + t) * c->in, c->in, w,
                gates + (v->start[k] + t) * n, n, 0);
}

/* dx (batch, time, in) += dg W for the same block. dx may be NULL. */
static inline void input_gradient(const struct cell *c, const struct valid *v, ptrdiff_t first, ptrdiff_t rows,
                                  ptrdiff_t t, const float *dg, const float *w, float *dx)
{
    ptrdiff_t n = c->gates * c->hp;

    for (ptrdiff_t k = first; dx && k < first + rows; k++)
        add_product(block_steps(c, v, k, t), n, c->in, dg + (v->start[k] + t) * n, n, w,
                    dx + (v->row[k] * c->time + t) * c->in, c->in);
}

/* A way through all steps: of a block that begins at t, the products with W of some rows of the list, and the steps
 * of a tile, which come after them, or before them when the way leads back from the last block to the first. Then
 * there are gradients of matrices, too: sums over all steps. */
struct walk {
    const struct cell *s;
    const struct valid *v;
    int back;
    const void *job;
    void (*with_w)(const void *job, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t t);
    void (*steps)(const void *job, ptrdiff_t tile, ptrdiff_t t);
    const struct gradient *of;
    int gradients;
};

enum { GROUP = 128 };                /* steps of a sequence that go into the gradients together, where its rows are a chain */

static inline ptrdiff_t blocks_of(const struct cell *s) { return (s->time + s->block - 1) / s->block; }

/* First step of the block that comes as i-th. */
static inline ptrdiff_t block_at(const struct walk *k, ptrdiff_t i)
{
    return (k->back ? blocks_of(k->s) - 1 - i : i) * k->s->block;
}

/* What the steps of a group of blocks add to one slab of a gradient, once the last of them is there. */
static void walk_slab(const struct walk *k, const struct gradient *g, ptrdiff_t slab, ptrdiff_t i)
{
    ptrdiff_t per = GROUP / k->s->block, t = block_at(k, i), end = t + (i % per + 1) * k->s->block;

    if ((i + 1) % per && i + 1 < blocks_of(k->s))
        return;
    for (ptrdiff_t row = 0; row < k->s->batch; row++) {
        ptrdiff_t stop = k->v->length[row] < end ? k->v->length[row] : end;

        if (stop > t)
            slab_steps(g, slab, k->v->start[row] + t, stop - t);
    }
}

/* A chain's lanes: each row's products with W, then each slab of each gradient. */
static void walk_lane(void *ctx, int lane, ptrdiff_t i)
{
    const struct walk *k = ctx;
    const struct gradient *g = k->of;
    ptrdiff_t slab = lane - k->s->batch;

    if (slab < 0) {
        k->with_w(k->job, lane, 1, block_at(k, i));
        return;
    }
    for (; slab >= slabs_of(g); g++)
        slab -= slabs_of(g);
    walk_slab(k, g, slab, i);
}

static void walk_steps(void *ctx, ptrdiff_t i)
{
    const struct walk *k = ctx;

    k->steps(k->job, 0, block_at(k, i));
}

static void walk_tile(void *ctx, ptrdiff_t tile)
{
    const struct walk *k = ctx;
    ptrdiff_t first = tile * k->s->tile, rows = cell_rows(k->s, tile);

    for (ptrdiff_t i = 0; i * k->s->block < k->s->time; i++) {
        if (!k->back)
            k->with_w(k->job, first, rows, block_at(k, i));
        k->steps(k->job, tile, block_at(k, i));
        if (k->back)
            k->with_w(k->job, first, rows, block_at(k, i));
    }
}

/* All of it; cost: operations, roughly. */
static inline void walk_all(struct walk k, double cost)
{
    ptrdiff_t lanes = k.s->batch;

    if (k.s->tiles == 1) {
        for (int g = 0; g < k.gradients; g++)
            lanes += slabs_of(&k.of[g]);
        as_chain(blocks_of(k.s), (int)lanes, cost, walk_lane, walk_steps, !k.back, &k);
        return;
    }
    as_parallel(k.s->tiles, cost, walk_tile, &k);
    for (int g = 0; g < k.gradients; g++)
        weight_gradient(k.of[g]);
}

/* dv (gates * h) += the tiles' sums (tiles, stride; gates * hp at `at`), in order of the tiles. */
static inline void vector_gradient(const struct cell *c, int gates, const float *sums, ptrdiff_t stride, float *dv)
{
    for (ptrdiff_t t = 0; dv && t < c->tiles; t++)
        for (int g = 0; g < gates; g++)
            for (ptrdiff_t j = 0; j < c->h; j++)
                dv[g * c->h + j] += sums[t * stride + g * c->hp + j];
}

/* A vector (gates * h), or NULL for zeros, to (gates * hp). */
static inline void pad_vector(const struct cell *c, int gates, const float *v, float *to)
{
    memset(to, 0, (size_t)(gates * c->hp) * sizeof *to);
    for (int g = 0; v && g < gates; g++)
        memcpy(to + g * c->hp, v + g * c->h, (size_t)c->h * sizeof *to);
}

#endif

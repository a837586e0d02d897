/* rnn.fused.c: the Elman cell with one input product for all steps, and per step one product with the packed U
 * and one pass over the units. Backward keeps the gradients of all steps; those of W and U are one product each.
 */
#include "fused.h"
#include "rnn.h"

enum { S_H, S_BEFORE };                                 /* saved: h_t and h_{t-1}, both (batch, time, hp) */
enum { R_H, R_W, R_U, R_PACKED, R_TILES, R_SMALL };     /* scratch */

struct job {
    struct cell s;
    const struct as_call *call;
    float *h, *before;                                  /* h holds W x before the step and h_t after it */
    const float *packed, *bias;
    float *dg, *tiles;
};

static ptrdiff_t tile_room(const struct cell *s)
{
    return s->tile * s->hp + s->hp;
}

static void plan(struct as_room *r)
{
    struct cell s = cell_of(r->in, r->out);
    size_t steps = (size_t)(s.batch * s.time), hp = (size_t)s.hp, in = (size_t)s.in;

    if (r->gradients) {
        r->saved[S_H] = steps * hp;
        r->saved[S_BEFORE] = steps * hp;
    }
    r->scratch[R_H] = steps * hp;
    r->scratch[R_W] = hp * (in > hp ? in : hp);
    r->scratch[R_U] = hp * hp;
    r->scratch[R_PACKED] = hp * hp;
    r->scratch[R_TILES] = (size_t)(s.tiles * tile_room(&s));
    r->scratch[R_SMALL] = hp;
}

INLINE void units_forward(ptrdiff_t hp, int relu, float *restrict h, const float *restrict rec,
                          const float *restrict b)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float a = h[j] + rec[j] + b[j];

        h[j] = relu ? (a < 0.0f ? 0.0f : a) : tangent(a);      /* a NaN stays one */
    }
}

static void forward_tile(void *ctx, ptrdiff_t tile)
{
    const struct job *w = ctx;
    const struct cell s = w->s;
    ptrdiff_t rows = cell_rows(&s, tile), first = tile * s.tile;
    float *rec = w->tiles + tile * tile_room(&s);
    int relu = ((const struct rnn *)w->call->opt)->nonlinearity == RNN_RELU;

    memset(rec, 0, (size_t)tile_room(&s) * sizeof *rec);
    for (ptrdiff_t t = 0; t < s.time; t++) {
        float *now = w->h + (first * s.time + t) * s.hp;

        if (t)
            product(rows, s.h, s.hp, now - s.hp, s.time * s.hp, w->packed, rec, s.hp, 0);
        for (ptrdiff_t r = 0; r < rows; r++) {
            ptrdiff_t at = (first + r) * s.time + t;
            float *h = w->h + at * s.hp;

            if (w->before && t)
                memcpy(w->before + at * s.hp, h - s.hp, (size_t)s.hp * sizeof *h);
            else if (w->before)
                memset(w->before + at * s.hp, 0, (size_t)s.hp * sizeof *h);
            if (relu)
                units_forward(s.hp, 1, h, rec + r * s.hp, w->bias);
            else
                units_forward(s.hp, 0, h, rec + r * s.hp, w->bias);
            memcpy(w->call->y + at * s.h, h, (size_t)s.h * sizeof *h);
        }
    }
}

static struct job new_job(const struct as_call *c)
{
    struct job w = { .s = cell_of(c->in, c->out), .call = c };

    pad_vector(&w.s, 1, ((const struct rnn *)c->opt)->bias ? c->w[RNN_B] : NULL, c->scratch[R_SMALL]);
    w.bias = c->scratch[R_SMALL];
    w.packed = c->scratch[R_PACKED];
    w.tiles = c->scratch[R_TILES];
    w.h = c->saved ? c->saved[S_H] : c->scratch[R_H];
    w.before = c->saved ? c->saved[S_BEFORE] : NULL;
    w.dg = c->scratch[R_H];
    return w;
}

static double work(const struct cell *s)
{
    return 2.0 * (double)(s->batch * s->time) * (double)s->h * (double)(s->h + 20);
}

static void forward(const struct as_call *c)
{
    struct job w = new_job(c);
    const struct cell *s = &w.s;
    const float *wx = pad_rows(s, 1, s->in, c->w[RNN_W], c->scratch[R_W]);

    as_gemm(0, 1, s->batch * s->time, s->hp, s->in, 1.0f, c->x[0], s->in, wx, s->in, 0.0f, w.h, s->hp);
    pack_forward(s, pad_rows(s, 1, s->h, c->w[RNN_U], c->scratch[R_U]), 1, c->scratch[R_PACKED]);
    as_parallel(s->tiles, work(s), forward_tile, &w);
}

INLINE void units_backward(ptrdiff_t hp, int relu, const float *restrict h, const float *restrict dh,
                           float *restrict dg, float *restrict db)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float d = relu ? (h[j] > 0.0f ? dh[j] : 0.0f) : dh[j] * AS_FMA(-h[j], h[j], 1.0f);

        dg[j] = d;
        db[j] += d;
    }
}

static void backward_tile(void *ctx, ptrdiff_t tile)
{
    const struct job *w = ctx;
    const struct cell s = w->s;
    ptrdiff_t rows = cell_rows(&s, tile), first = tile * s.tile;
    float *dh = w->tiles + tile * tile_room(&s), *db = dh + s.tile * s.hp;
    int relu = ((const struct rnn *)w->call->opt)->nonlinearity == RNN_RELU;

    memset(dh, 0, (size_t)tile_room(&s) * sizeof *dh);
    for (ptrdiff_t t = s.time - 1; t >= 0; t--) {
        for (ptrdiff_t r = 0; r < rows; r++) {
            ptrdiff_t at = (first + r) * s.time + t;
            const float *dy = w->call->dy + at * s.h;
            float *d = dh + r * s.hp;

            for (ptrdiff_t j = 0; j < s.h; j++)
                d[j] += dy[j];
            if (relu)
                units_backward(s.hp, 1, w->h + at * s.hp, d, w->dg + at * s.hp, db);
            else
                units_backward(s.hp, 0, w->h + at * s.hp, d, w->dg + at * s.hp, db);
        }
        if (t)
            product(rows, s.hp, s.hp, w->dg + (first * s.time + t) * s.hp, s.time * s.hp, w->packed, dh, s.hp, 0);
    }
}

static void backward(const struct as_call *c)
{
    struct job w = new_job(c);
    const struct cell *s = &w.s;
    float *room = c->scratch[R_W];

    pack_backward(s, pad_rows(s, 1, s->h, c->w[RNN_U], c->scratch[R_U]), 1, c->scratch[R_PACKED]);
    as_parallel(s->tiles, 2 * work(s), backward_tile, &w);
    weight_gradient(s, 1, w.dg, s->hp, s->in, c->x[0], s->in, room, c->dw[RNN_W]);
    weight_gradient(s, 1, w.dg, s->hp, s->h, w.before, s->hp, room, c->dw[RNN_U]);
    vector_gradient(s, 1, w.tiles + s->tile * s->hp, tile_room(s),
                    ((const struct rnn *)c->opt)->bias ? c->dw[RNN_B] : NULL);
    if (c->dx[0])
        as_gemm(0, 0, s->batch * s->time, s->in, s->hp, 1.0f, w.dg, s->hp,
                pad_rows(s, 1, s->in, c->w[RNN_W], room), s->in, 1.0f, c->dx[0], s->in);
}

static const struct as_impl fused = {
    .abi = ASSAY_ABI, .name = "fused", .rank = 10, .plan = plan, .forward = forward, .backward = backward,
};

const struct as_plugin AS_PLUGIN(recurrent__rnn__fused) = { .abi = ASSAY_ABI, .impl = { &fused } };

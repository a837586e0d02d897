/* rnn.fused.c: the Elman cell with the input products of a block of steps at once, and per step one product with
 * the packed U and one pass over the units. Only valid steps are worked on. Backward keeps the gradients of all
 * steps; those of W and U are one product over all steps at the end.
 */
#include "fused.h"
#include "rnn.h"

enum { S_H, S_BEFORE };                                 /* saved: h_t and h_{t-1}, both (steps, hp) */
enum { R_H, R_W, R_U, R_TILES, R_SMALL, R_X, R_GRADIENT };      /* scratch */

struct job {
    struct cell s;
    struct valid v;
    const struct as_call *call;
    float *h, *before;                                  /* h holds W x before the step and h_t after it */
    float *wx, *u;                                      /* W and U, packed */
    const float *bias;
    float *dg, *tiles;
};

/* Per tile: forward the products and h; backward dh, dg of one step, and the sum of db. */
static ptrdiff_t tile_room(const struct cell *s)
{
    return s->tile * 2 * s->hp + s->hp;
}

static void plan(struct as_room *r)
{
    struct cell s = cell_of(r->in, r->out, 1);
    size_t steps = (size_t)(s.batch * s.time), hp = (size_t)s.hp;

    if (r->gradients) {
        r->saved[S_H] = steps * hp;
        r->saved[S_BEFORE] = steps * hp;
        r->scratch[R_X] = steps * (size_t)s.in;
        r->scratch[R_GRADIENT] = gradient_room(1, s.hp);
    }
    r->scratch[R_H] = steps * hp;
    r->scratch[R_W] = hp * (size_t)padded(s.in);
    r->scratch[R_U] = hp * hp;
    r->scratch[R_TILES] = (size_t)(s.tiles * tile_room(&s));
    r->scratch[R_SMALL] = hp + valid_room(&s);
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

static void forward_steps(const void *job, ptrdiff_t tile, ptrdiff_t t0)
{
    const struct job *w = job;
    const struct cell s = w->s;
    ptrdiff_t first = tile * s.tile, rows = cell_rows(&s, tile), active = rows;
    float *rec = w->tiles + tile * tile_room(&s), *last = rec + s.tile * s.hp;
    int relu = ((const struct rnn *)w->call->opt)->nonlinearity == RNN_RELU;

    if (t0 == 0) {
        memset(rec, 0, (size_t)tile_room(&s) * sizeof *rec);
        clear_padding(&s, &w->v, first, rows, w->call->y);
    }
    for (ptrdiff_t t = t0; t < t0 + s.block && t < w->v.length[first]; t++) {
        while (w->v.length[first + active - 1] <= t)
            active--;
        if (t)
            product(active, s.h, s.hp, last, s.hp, w->u, rec, s.hp, 0);
        for (ptrdiff_t r = 0; r < active; r++) {
            ptrdiff_t at = w->v.start[first + r] + t;
            float *h = w->h + at * s.hp, *kept = last + r * s.hp;

            if (w->before)
                memcpy(w->before + at * s.hp, kept, (size_t)s.hp * sizeof *h);
            if (relu)
                units_forward(s.hp, 1, h, rec + r * s.hp, w->bias);
            else
                units_forward(s.hp, 0, h, rec + r * s.hp, w->bias);
            memcpy(kept, h, (size_t)s.hp * sizeof *h);
            memcpy(w->call->y + (w->v.row[first + r] * s.time + t) * s.h, h, (size_t)s.h * sizeof *h);
        }
    }
}

static void forward_with_w(const void *job, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t t)
{
    const struct job *w = job;

    input_block(&w->s, &w->v, first, rows, t, w->call->x[0], w->wx, w->h);
}

static struct job new_job(const struct as_call *c)
{
    struct job w = { .s = cell_of(c->in, c->out, 1), .call = c };

    pad_vector(&w.s, 1, ((const struct rnn *)c->opt)->bias ? c->w[RNN_B] : NULL, c->scratch[R_SMALL]);
    w.bias = c->scratch[R_SMALL];
    w.v = list_valid(&w.s, c->length, (float *)c->scratch[R_SMALL] + w.s.hp);
    w.wx = c->scratch[R_W];
    w.u = c->scratch[R_U];
    w.tiles = c->scratch[R_TILES];
    w.h = c->saved ? c->saved[S_H] : c->scratch[R_H];
    w.before = c->saved ? c->saved[S_BEFORE] : NULL;
    w.dg = c->scratch[R_H];
    return w;
}

static double work(const struct cell *s)
{
    return 2.0 * (double)s->steps * (double)s->h * (double)(s->h + 20);
}

static void forward(const struct as_call *c)
{
    struct job w = new_job(c);
    const struct cell *s = &w.s;

    pack(1, s->h, s->in, c->w[RNN_W], 1, w.wx);
    pack(1, s->h, s->h, c->w[RNN_U], 1, w.u);
    walk_all((struct walk){ .s = s, .v = &w.v, .job = &w, .with_w = forward_with_w, .steps = forward_steps }, 2 * work(s));
}

INLINE void units_backward(ptrdiff_t hp, int relu, const float *restrict h, const float *restrict dh,
                           float *restrict dg, float *restrict kept, float *restrict db)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float d = relu ? (h[j] > 0.0f ? dh[j] : 0.0f) : dh[j] * AS_FMA(-h[j], h[j], 1.0f);

        dg[j] = kept[j] = d;
        db[j] += d;
    }
}

static void backward_steps(const void *job, ptrdiff_t tile, ptrdiff_t t0)
{
    const struct job *w = job;
    const struct cell s = w->s;
    ptrdiff_t first = tile * s.tile, rows = cell_rows(&s, tile), active = 0;
    float *dh = w->tiles + tile * tile_room(&s), *dg = dh + s.tile * s.hp, *db = dg + s.tile * s.hp;
    int relu = ((const struct rnn *)w->call->opt)->nonlinearity == RNN_RELU;

    if (t0 + s.block >= s.time)
        memset(dh, 0, (size_t)tile_room(&s) * sizeof *dh);
    for (ptrdiff_t t = last_step(&s, &w->v, first, t0); t >= t0; t--) {
        while (active < rows && w->v.length[first + active] > t)
            active++;
        for (ptrdiff_t r = 0; r < active; r++) {
            ptrdiff_t at = w->v.start[first + r] + t;
            const float *dy = w->call->dy + (w->v.row[first + r] * s.time + t) * s.h;
            float *d = dh + r * s.hp, *now = dg + r * s.hp, *kept = w->dg + at * s.hp;

            for (ptrdiff_t j = 0; j < s.h; j++)
                d[j] += dy[j];
            if (relu)
                units_backward(s.hp, 1, w->h + at * s.hp, d, now, kept, db);
            else
                units_backward(s.hp, 0, w->h + at * s.hp, d, now, kept, db);
        }
        if (t)
            product(active, s.hp, s.hp, dg, s.hp, w->u, dh, s.hp, 0);
    }
}

static void backward_with_w(const void *job, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t t)
{
    const struct job *w = job;

    input_gradient(&w->s, &w->v, first, rows, t, w->dg, w->wx, w->call->dx[0]);
}

static void backward(const struct as_call *c)
{
    struct job w = new_job(c);
    const struct cell *s = &w.s;

    if (c->dx[0])
        pack(1, s->h, s->in, c->w[RNN_W], 0, w.wx);
    pack(1, s->h, s->h, c->w[RNN_U], 0, w.u);
    const struct gradient matrices = {
        .gates = 1, .h = s->h, .hp = s->hp, .steps = s->steps, .dg = w.dg, .ldg = s->hp,
        .room = c->scratch[R_GRADIENT],
        .of = { { gather_valid(s, &w.v, c->x[0], s->in, c->scratch[R_X]), s->in, s->in, c->dw[RNN_W] },
                { w.before, s->hp, s->h, c->dw[RNN_U] } } };
    walk_all((struct walk){ .s = s, .v = &w.v, .back = 1, .job = &w, .with_w = backward_with_w, .steps = backward_steps,
                            .of = &matrices, .gradients = 1 }, 4 * work(s));
    vector_gradient(s, 1, w.tiles + s->tile * 2 * s->hp, tile_room(s),
                    ((const struct rnn *)c->opt)->bias ? c->dw[RNN_B] : NULL);
}

static const char *can(const void *opt, int n_in, const struct as_spec *in)
{
    (void)n_in;
    (void)in;
    if (((const struct rnn *)opt)->recurrence != RNN_FULL)
        return "it packs a matrix U; for recurrence = diagonal there are sweep and newton";
    return NULL;
}

static const struct as_impl fused = {
    .abi = ASSAY_ABI, .name = "fused", .rank = 10, .can = can, .plan = plan, .forward = forward, .backward = backward,
};

const struct as_plugin AS_PLUGIN(recurrent__rnn__fused) = { .abi = ASSAY_ABI, .impl = { &fused } };

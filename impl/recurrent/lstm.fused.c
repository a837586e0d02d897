/* lstm.fused.c: the LSTM with the input products of a block of steps at once, and per step one product with the
 * packed U and one pass over the units that does all gates. Only valid steps are worked on. Backward keeps the
 * gradients of the gates of every step; the gradients of W and U are one product over all steps at the end.
 */
#include "fused.h"
#include "lstm.h"

enum { S_GATES, S_C, S_BEFORE };                        /* saved: (steps, 4hp), c (.., hp), h_{t-1} (.., hp) */
enum { R_GATES, R_C, R_X, R_W, R_U, R_TILES, R_SMALL, R_GRADIENT };   /* scratch */

struct job {
    struct cell s;
    struct valid v;
    const struct as_call *call;
    float *gates, *c, *before;
    float *wx, *u;                                      /* W and U, packed */
    const float *bias, *peep;                           /* (4hp), (3hp), zeros where there is none */
    float *dg, *tiles;
};

/* Per tile: forward the products (4hp a row) and h; backward dh, dc, dg of one step, and sums of db and dp. */
static ptrdiff_t tile_room(const struct cell *s)
{
    return s->tile * 6 * s->hp + 8 * s->hp;
}

static void plan(struct as_room *r)
{
    struct cell s = cell_of(r->in, r->out, 4);
    size_t steps = (size_t)(s.batch * s.time), hp = (size_t)s.hp;
    size_t *keep = r->gradients ? r->saved : r->scratch;

    keep[r->gradients ? S_GATES : R_GATES] = steps * 4 * hp;
    keep[r->gradients ? S_C : R_C] = steps * hp;
    if (r->gradients) {
        r->saved[S_BEFORE] = steps * hp;
        r->scratch[R_GATES] = steps * 4 * hp;           /* gradients of the gates */
        r->scratch[R_X] = steps * (size_t)s.in;
        r->scratch[R_GRADIENT] = gradient_room(4, s.hp);
    }
    r->scratch[R_W] = 4 * hp * (size_t)padded(s.in);
    r->scratch[R_U] = 4 * hp * hp;
    r->scratch[R_TILES] = (size_t)(s.tiles * tile_room(&s));
    r->scratch[R_SMALL] = 7 * hp + valid_room(&s);
}

INLINE void gates_forward(ptrdiff_t hp, int peepholes, float *restrict g, const float *restrict rec,
                          const float *restrict b, const float *restrict p, const float *restrict before,
                          float *restrict now, float *restrict h)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float zi = g[j] + rec[j] + b[j], zf = g[hp + j] + rec[hp + j] + b[hp + j];
        float zo = g[2 * hp + j] + rec[2 * hp + j] + b[2 * hp + j];
        float zg = g[3 * hp + j] + rec[3 * hp + j] + b[3 * hp + j], old = before[j], i, f, n, c, m, both, q;

        if (peepholes) {
            zi = AS_FMA(p[j], old, zi);
            zf = AS_FMA(p[hp + j], old, zf);
        }
        i = below_sigmoid(zi);
        f = below_sigmoid(zf);
        m = above_tangent(zg);
        both = i * f;
        q = 1.0f / (both * (m + 2.0f));
        n = m * both * q;
        q = (m + 2.0f) * q;                             /* 1 / both */
        g[j] = f * q;
        g[hp + j] = i * q;
        g[3 * hp + j] = n;
        c = AS_FMA(i * q, old, f * q * n);
        now[j] = c;
        if (peepholes)
            zo = AS_FMA(p[2 * hp + j], c, zo);
        both = below_sigmoid(zo);
        m = above_tangent(c);
        q = 1.0f / (both * (m + 2.0f));
        g[2 * hp + j] = (m + 2.0f) * q;
        h[j] = m * q;                                   /* the product of both quotients */
    }
}

static void forward_steps(const void *job, ptrdiff_t tile, ptrdiff_t t0)
{
    const struct job *w = job;
    const struct cell s = w->s;
    ptrdiff_t first = tile * s.tile, rows = cell_rows(&s, tile), active = rows;
    float *rec = w->tiles + tile * tile_room(&s), *h = rec + s.tile * 4 * s.hp, *zero = h + s.tile * s.hp;
    int peepholes = ((const struct lstm *)w->call->opt)->peepholes;

    if (t0 == 0) {
        memset(rec, 0, (size_t)tile_room(&s) * sizeof *rec);
        clear_padding(&s, &w->v, first, rows, w->call->y);
    }
    for (ptrdiff_t t = t0; t < t0 + s.block && t < w->v.length[first]; t++) {
        while (w->v.length[first + active - 1] <= t)
            active--;
        if (t)
            product(active, s.h, 4 * s.hp, h, s.hp, w->u, rec, 4 * s.hp, 0);
        for (ptrdiff_t r = 0; r < active; r++) {
            ptrdiff_t at = w->v.start[first + r] + t;
            float *c = w->c + at * s.hp, *g = w->gates + at * 4 * s.hp, *hr = h + r * s.hp;
            const float *old = t ? c - s.hp : zero;

            if (w->before)
                memcpy(w->before + at * s.hp, hr, (size_t)s.hp * sizeof *hr);
            if (peepholes)
                gates_forward(s.hp, 1, g, rec + r * 4 * s.hp, w->bias, w->peep, old, c, hr);
            else
                gates_forward(s.hp, 0, g, rec + r * 4 * s.hp, w->bias, w->peep, old, c, hr);
            memcpy(w->call->y + (w->v.row[first + r] * s.time + t) * s.h, hr, (size_t)s.h * sizeof *hr);
        }
    }
}

static void forward_with_w(const void *job, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t t)
{
    const struct job *w = job;

    input_block(&w->s, &w->v, first, rows, t, w->call->x[0], w->wx, w->gates);
}

static struct job new_job(const struct as_call *c)
{
    const struct lstm *o = c->opt;
    struct job w = { .s = cell_of(c->in, c->out, 4), .call = c };
    float *small = c->scratch[R_SMALL];

    pad_vector(&w.s, 4, o->bias ? c->w[LSTM_B] : NULL, small);
    pad_vector(&w.s, 3, o->peepholes ? c->w[LSTM_P] : NULL, small + 4 * w.s.hp);
    w.v = list_valid(&w.s, c->length, small + 7 * w.s.hp);
    w.bias = small;
    w.peep = small + 4 * w.s.hp;
    w.wx = c->scratch[R_W];
    w.u = c->scratch[R_U];
    w.tiles = c->scratch[R_TILES];
    w.gates = c->saved ? c->saved[S_GATES] : c->scratch[R_GATES];
    w.c = c->saved ? c->saved[S_C] : c->scratch[R_C];
    w.before = c->saved ? c->saved[S_BEFORE] : NULL;
    return w;
}

static double work(const struct cell *s)
{
    return 8.0 * (double)s->steps * (double)s->h * (double)(s->h + 20);
}

static void forward(const struct as_call *c)
{
    struct job w = new_job(c);
    const struct cell *s = &w.s;

    pack(4, s->h, s->in, c->w[LSTM_W], 1, w.wx);
    pack(4, s->h, s->h, c->w[LSTM_U], 1, w.u);
    walk_all((struct walk){ .s = s, .v = &w.v, .job = &w, .with_w = forward_with_w, .steps = forward_steps }, 2 * work(s));
}

INLINE void gates_backward(ptrdiff_t hp, int peepholes, const float *restrict g, const float *restrict p,
                           const float *restrict before, const float *restrict now, const float *restrict dh,
                           float *restrict dc, float *restrict dg, float *restrict kept, float *restrict db,
                           float *restrict dp)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float i = g[j], f = g[hp + j], o = g[2 * hp + j], n = g[3 * hp + j], old = before[j], c = now[j];
        float tc = tangent(c), d_o = dh[j] * tc * (o * (1.0f - o)), d, di, df, dn;

        d = AS_FMA(dh[j] * o, AS_FMA(-tc, tc, 1.0f), dc[j]);
        if (peepholes)
            d = AS_FMA(p[2 * hp + j], d_o, d);
        di = d * n * (i * (1.0f - i));
        df = d * old * (f * (1.0f - f));
        dn = d * i * AS_FMA(-n, n, 1.0f);
        d = d * f;
        if (peepholes) {
            d = AS_FMA(p[j], di, AS_FMA(p[hp + j], df, d));
            dp[j] += di * old;
            dp[hp + j] += df * old;
            dp[2 * hp + j] += d_o * c;
        }
        dc[j] = d;
        dg[j] = kept[j] = di;
        dg[hp + j] = kept[hp + j] = df;
        dg[2 * hp + j] = kept[2 * hp + j] = d_o;
        dg[3 * hp + j] = kept[3 * hp + j] = dn;
        db[j] += di;
        db[hp + j] += df;
        db[2 * hp + j] += d_o;
        db[3 * hp + j] += dn;
    }
}

static void backward_steps(const void *job, ptrdiff_t tile, ptrdiff_t t0)
{
    const struct job *w = job;
    const struct cell s = w->s;
    ptrdiff_t first = tile * s.tile, rows = cell_rows(&s, tile), active = 0;
    float *dh = w->tiles + tile * tile_room(&s), *dc = dh + s.tile * s.hp, *step = dc + s.tile * s.hp;
    float *db = step + s.tile * 4 * s.hp;
    float *dp = db + 4 * s.hp, *zero = dp + 3 * s.hp;
    int peepholes = ((const struct lstm *)w->call->opt)->peepholes;

    if (t0 + s.block >= s.time)
        memset(dh, 0, (size_t)tile_room(&s) * sizeof *dh);
    for (ptrdiff_t t = last_step(&s, &w->v, first, t0); t >= t0; t--) {
        while (active < rows && w->v.length[first + active] > t)
            active++;
        for (ptrdiff_t r = 0; r < active; r++) {
            ptrdiff_t at = w->v.start[first + r] + t;
            float *c = w->c + at * s.hp, *g = w->gates + at * 4 * s.hp, *dg = step + r * 4 * s.hp, *d = dh + r * s.hp;
            float *kept = w->dg + at * 4 * s.hp;
            const float *old = t ? c - s.hp : zero;
            const float *dy = w->call->dy + (w->v.row[first + r] * s.time + t) * s.h;

            for (ptrdiff_t j = 0; j < s.h; j++)
                d[j] += dy[j];
            if (peepholes)
                gates_backward(s.hp, 1, g, w->peep, old, c, d, dc + r * s.hp, dg, kept, db, dp);
            else
                gates_backward(s.hp, 0, g, w->peep, old, c, d, dc + r * s.hp, dg, kept, db, dp);
        }
        if (t)
            product(active, 4 * s.hp, s.hp, step, 4 * s.hp, w->u, dh, s.hp, 0);
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
    const struct lstm *o = c->opt;
    ptrdiff_t g4 = 4 * s->hp, sums = s->tile * 6 * s->hp;

    w.dg = c->scratch[R_GATES];
    if (c->dx[0])
        pack(4, s->h, s->in, c->w[LSTM_W], 0, w.wx);
    pack(4, s->h, s->h, c->w[LSTM_U], 0, w.u);
    const struct gradient matrices = {
        .gates = 4, .h = s->h, .hp = s->hp, .steps = s->steps, .dg = w.dg, .ldg = g4, .room = c->scratch[R_GRADIENT],
        .of = { { gather_valid(s, &w.v, c->x[0], s->in, c->scratch[R_X]), s->in, s->in, c->dw[LSTM_W] },
                { w.before, s->hp, s->h, c->dw[LSTM_U] } } };
    walk_all((struct walk){ .s = s, .v = &w.v, .back = 1, .job = &w, .with_w = backward_with_w, .steps = backward_steps,
                            .of = &matrices, .gradients = 1 }, 4 * work(s));
    vector_gradient(s, 4, w.tiles + sums, tile_room(s), o->bias ? c->dw[LSTM_B] : NULL);
    vector_gradient(s, 3, w.tiles + sums + g4, tile_room(s), o->peepholes ? c->dw[LSTM_P] : NULL);
}

static const struct as_impl fused = {
    .abi = ASSAY_ABI, .name = "fused", .rank = 10, .plan = plan, .forward = forward, .backward = backward,
};

const struct as_plugin AS_PLUGIN(recurrent__lstm__fused) = { .abi = ASSAY_ABI, .impl = { &fused } };

/* gru.fused.c: the GRU with the input products of a block of steps at once, and per step one product with the
 * packed U (two, when the reset gate comes before it) and one pass over the units. Only valid steps are worked on.
 * Backward keeps the gradients of the gates of every step; those of the matrices are products over all steps at the
 * end.
 */
#include "fused.h"
#include "gru.h"

/* Saved: gates r, z, n (steps, 3hp); h_{t-1} (.., hp); and (.., hp) what meets the reset gate: U_n h + c
 * when it comes after the product, r * h when before. */
enum { S_GATES, S_BEFORE, S_MET };
enum { R_GATES, R_MET, R_W, R_U, R_TILES, R_SMALL, R_X, R_GRADIENT };      /* scratch */

struct job {
    struct cell s;
    struct valid v;
    int after;
    const struct as_call *call;
    float *gates, *before, *met;
    float *wx, *gate_u, *new_u;                         /* packed: W; U's blocks r and z; its block n */
    const float *bias;                                  /* (4hp): r, z, n, and c */
    float *dg, *du, *tiles;                             /* du: gradient of U_n h + c */
};

/* Per tile: forward products (3hp a row), h and r * h; backward dh, d(r * h), dg and du of a
 * step, and sums of db and dc. */
static ptrdiff_t tile_room(const struct cell *s)
{
    return s->tile * 6 * s->hp + 4 * s->hp;
}

static void plan(struct as_room *r)
{
    struct cell s = cell_of(r->in, r->out, 3);
    size_t steps = (size_t)(s.batch * s.time), hp = (size_t)s.hp;

    if (r->gradients) {
        r->saved[S_GATES] = steps * 3 * hp;
        r->saved[S_BEFORE] = steps * hp;
        r->saved[S_MET] = steps * hp;
        r->scratch[R_X] = steps * (size_t)s.in;
        r->scratch[R_GRADIENT] = gradient_room(2, s.hp) + 2 * gradient_room(1, s.hp);
    }
    r->scratch[R_GATES] = steps * 3 * hp;
    r->scratch[R_MET] = steps * hp;
    r->scratch[R_W] = 3 * hp * (size_t)padded(s.in);
    r->scratch[R_U] = 3 * hp * hp;
    r->scratch[R_TILES] = (size_t)(s.tiles * tile_room(&s));
    r->scratch[R_SMALL] = 4 * hp + valid_room(&s);
}

/* All gates in one pass: reset after the product. */
INLINE void after_forward(ptrdiff_t hp, float *restrict g, const float *restrict rec, const float *restrict b,
                          float *restrict met, float *restrict h)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float below_r = below_sigmoid(g[j] + rec[j] + b[j]);
        float below_z = below_sigmoid(g[hp + j] + rec[hp + j] + b[hp + j]), q = 1.0f / (below_r * below_z);
        float r = below_z * q, z = below_r * q, u = rec[2 * hp + j] + b[3 * hp + j];
        float n = tangent(AS_FMA(r, u, g[2 * hp + j] + b[2 * hp + j]));

        g[j] = r;
        g[hp + j] = z;
        g[2 * hp + j] = n;
        met[j] = u;
        h[j] = AS_FMA(z, h[j] - n, n);
    }
}

/* Reset before the product, in two passes: gates and r * h, then the candidate. */
INLINE void before_gates(ptrdiff_t hp, float *restrict g, const float *restrict rec, const float *restrict b,
                         const float *restrict h, float *restrict rh, float *restrict kept)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float below_r = below_sigmoid(g[j] + rec[j] + b[j]);
        float below_z = below_sigmoid(g[hp + j] + rec[hp + j] + b[hp + j]), q = 1.0f / (below_r * below_z);
        float r = below_z * q;

        g[j] = r;
        g[hp + j] = below_r * q;
        rh[j] = kept[j] = r * h[j];
    }
}

INLINE void before_new(ptrdiff_t hp, float *restrict g, const float *restrict rec, const float *restrict b,
                       float *restrict h)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float n = tangent(g[2 * hp + j] + rec[j] + b[2 * hp + j]);

        g[2 * hp + j] = n;
        h[j] = AS_FMA(g[hp + j], h[j] - n, n);
    }
}

/* Step t of a tile with reset before the product: rec (rows, 3hp) has r and z of every row on entry. */
static void step_before(const struct job *w, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t t, float *rec, float *h,
                        float *rh)
{
    const struct cell *s = &w->s;
    const ptrdiff_t *start = w->v.start + first;
    ptrdiff_t hp = s->hp;

    for (ptrdiff_t r = 0; r < rows; r++)
        before_gates(hp, w->gates + (start[r] + t) * 3 * hp, rec + r * 3 * hp, w->bias, h + r * hp, rh + r * hp,
                     w->met + (start[r] + t) * hp);
    product(rows, s->h, hp, rh, hp, w->new_u, rec + 2 * hp, 3 * hp, 0);
    for (ptrdiff_t r = 0; r < rows; r++)
        before_new(hp, w->gates + (start[r] + t) * 3 * hp, rec + r * 3 * hp + 2 * hp, w->bias, h + r * hp);
}

static void forward_steps(const void *job, ptrdiff_t tile, ptrdiff_t t0)
{
    const struct job *w = job;
    const struct cell s = w->s;
    ptrdiff_t first = tile * s.tile, rows = cell_rows(&s, tile), active = rows, hp = s.hp;
    float *rec = w->tiles + tile * tile_room(&s), *h = rec + s.tile * 3 * hp, *rh = h + s.tile * hp;

    if (t0 == 0) {
        memset(rec, 0, (size_t)tile_room(&s) * sizeof *rec);
        clear_padding(&s, &w->v, first, rows, w->call->y);
    }
    for (ptrdiff_t t = t0; t < t0 + s.block && t < w->v.length[first]; t++) {
        while (w->v.length[first + active - 1] <= t)
            active--;
        if (t)
            product(active, s.h, 2 * hp, h, hp, w->gate_u, rec, 3 * hp, 0);
        if (t && w->after)
            product(active, s.h, hp, h, hp, w->new_u, rec + 2 * hp, 3 * hp, 0);
        for (ptrdiff_t r = 0; w->before && r < active; r++)
            memcpy(w->before + (w->v.start[first + r] + t) * hp, h + r * hp, (size_t)hp * sizeof *h);
        if (!w->after)
            step_before(w, first, active, t, rec, h, rh);
        for (ptrdiff_t r = 0; r < active; r++) {
            ptrdiff_t a = w->v.start[first + r] + t;

            if (w->after)
                after_forward(hp, w->gates + a * 3 * hp, rec + r * 3 * hp, w->bias, w->met + a * hp, h + r * hp);
            memcpy(w->call->y + (w->v.row[first + r] * s.time + t) * s.h, h + r * hp, (size_t)s.h * sizeof *h);
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
    const struct gru *o = c->opt;
    struct job w = { .s = cell_of(c->in, c->out, 3), .call = c, .after = o->reset == GRU_AFTER };
    float *small = c->scratch[R_SMALL];

    pad_vector(&w.s, 3, o->bias ? c->w[GRU_B] : NULL, small);
    pad_vector(&w.s, 1, o->bias && w.after ? c->w[GRU_C] : NULL, small + 3 * w.s.hp);
    w.v = list_valid(&w.s, c->length, small + 4 * w.s.hp);
    w.bias = small;
    w.wx = c->scratch[R_W];
    w.gate_u = c->scratch[R_U];
    w.new_u = w.gate_u + 2 * w.s.hp * w.s.hp;
    w.tiles = c->scratch[R_TILES];
    w.gates = c->saved ? c->saved[S_GATES] : c->scratch[R_GATES];
    w.met = c->saved ? c->saved[S_MET] : c->scratch[R_MET];
    w.before = c->saved ? c->saved[S_BEFORE] : NULL;
    w.dg = c->scratch[R_GATES];
    w.du = c->scratch[R_MET];
    return w;
}

/* U, for forward or for backward. */
static void pack_u(const struct job *w, int transposed)
{
    const float *u = w->call->w[GRU_U];

    pack(2, w->s.h, w->s.h, u, transposed, w->gate_u);
    pack(1, w->s.h, w->s.h, u + 2 * w->s.h * w->s.h, transposed, w->new_u);
}

static double work(const struct cell *s)
{
    return 6.0 * (double)s->steps * (double)s->h * (double)(s->h + 20);
}

static void forward(const struct as_call *c)
{
    struct job w = new_job(c);
    const struct cell *s = &w.s;

    pack(3, s->h, s->in, c->w[GRU_W], 1, w.wx);
    pack_u(&w, 1);
    walk_all((struct walk){ .s = s, .v = &w.v, .job = &w, .with_w = forward_with_w, .steps = forward_steps }, 2 * work(s));
}

INLINE void after_backward(ptrdiff_t hp, const float *restrict g, const float *restrict before,
                           const float *restrict met, float *restrict dh, float *restrict dg, float *restrict du,
                           float *restrict kept, float *restrict kept_u, float *restrict db)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float r = g[j], z = g[hp + j], n = g[2 * hp + j], d = dh[j];
        float dz = d * (before[j] - n) * (z * (1.0f - z)), dn = d * (1.0f - z) * AS_FMA(-n, n, 1.0f);
        float dr = dn * met[j] * (r * (1.0f - r)), dm = dn * r;

        dg[j] = kept[j] = dr;
        dg[hp + j] = kept[hp + j] = dz;
        kept[2 * hp + j] = dn;
        du[j] = kept_u[j] = dm;
        dh[j] = d * z;
        db[j] += dr;
        db[hp + j] += dz;
        db[2 * hp + j] += dn;
        db[3 * hp + j] += dm;
    }
}

INLINE void before_backward_new(ptrdiff_t hp, const float *restrict g, const float *restrict before,
                                float *restrict dh, float *restrict dg, float *restrict kept, float *restrict db)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float z = g[hp + j], n = g[2 * hp + j], d = dh[j];
        float dz = d * (before[j] - n) * (z * (1.0f - z)), dn = d * (1.0f - z) * AS_FMA(-n, n, 1.0f);

        dg[hp + j] = kept[hp + j] = dz;
        dg[2 * hp + j] = kept[2 * hp + j] = dn;
        dh[j] = d * z;
        db[hp + j] += dz;
        db[2 * hp + j] += dn;
    }
}

INLINE void before_backward_gate(ptrdiff_t hp, const float *restrict g, const float *restrict before,
                                 const float *restrict drh, float *restrict dh, float *restrict dg,
                                 float *restrict kept, float *restrict db)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < hp; j++) {
        float r = g[j], dr = drh[j] * before[j] * (r * (1.0f - r));

        dg[j] = kept[j] = dr;
        dh[j] = AS_FMA(drh[j], r, dh[j]);
        db[j] += dr;
    }
}

static void backward_steps(const void *job, ptrdiff_t tile, ptrdiff_t t0)
{
    const struct job *w = job;
    const struct cell s = w->s;
    ptrdiff_t first = tile * s.tile, rows = cell_rows(&s, tile), active = 0, hp = s.hp;
    float *dh = w->tiles + tile * tile_room(&s), *drh = dh + s.tile * hp, *dg = drh + s.tile * hp;
    float *du = dg + s.tile * 3 * hp, *db = du + s.tile * hp;

    if (t0 + s.block >= s.time)
        memset(dh, 0, (size_t)tile_room(&s) * sizeof *dh);
    for (ptrdiff_t t = last_step(&s, &w->v, first, t0); t >= t0; t--) {
        while (active < rows && w->v.length[first + active] > t)
            active++;
        for (ptrdiff_t r = 0; r < active; r++) {
            ptrdiff_t a = w->v.start[first + r] + t;
            const float *g = w->gates + a * 3 * hp, *old = w->before + a * hp;
            const float *dy = w->call->dy + (w->v.row[first + r] * s.time + t) * s.h;
            float *d = dh + r * hp, *kept = w->dg + a * 3 * hp;

            for (ptrdiff_t j = 0; j < s.h; j++)
                d[j] += dy[j];
            if (w->after)
                after_backward(hp, g, old, w->met + a * hp, d, dg + r * 3 * hp, du + r * hp, kept,
                               w->du + a * hp, db);
            else
                before_backward_new(hp, g, old, d, dg + r * 3 * hp, kept, db);
        }
        if (!w->after)
            product(active, hp, hp, dg + 2 * hp, 3 * hp, w->new_u, drh, hp, 0);
        for (ptrdiff_t r = 0; !w->after && r < active; r++) {
            ptrdiff_t a = w->v.start[first + r] + t;

            before_backward_gate(hp, w->gates + a * 3 * hp, w->before + a * hp, drh + r * hp, dh + r * hp,
                                 dg + r * 3 * hp, w->dg + a * 3 * hp, db);
        }
        if (t && w->after)
            product(active, hp, hp, du, hp, w->new_u, dh, hp, 1);
        if (t)
            product(active, 2 * hp, hp, dg, 3 * hp, w->gate_u, dh, hp, 1);
    }
}

static void backward_with_w(const void *job, ptrdiff_t first, ptrdiff_t rows, ptrdiff_t t)
{
    const struct job *w = job;

    input_gradient(&w->s, &w->v, first, rows, t, w->dg, w->wx, w->call->dx[0]);
}

enum { MATRICES = 3 };

/* dW and dU: of both gates, of the new state, and, when the reset gate comes after the product, of U_n alone, which
 * then meets h with the gradient du; else r * h. */
static void matrices(const struct job *w, struct gradient of[MATRICES])
{
    const struct as_call *c = w->call;
    const struct cell *s = &w->s;
    const float *x = gather_valid(s, &w->v, c->x[0], s->in, c->scratch[R_X]);
    float *dw = c->dw[GRU_W], *du = c->dw[GRU_U], *new_du = du ? du + 2 * s->h * s->h : NULL;
    struct gradient g = { .gates = 2, .h = s->h, .hp = s->hp, .steps = s->steps, .dg = w->dg, .ldg = 3 * s->hp,
                          .room = c->scratch[R_GRADIENT],
                          .of = { { x, s->in, s->in, dw }, { w->before, s->hp, s->h, du } } };

    of[0] = g;
    g.gates = 1;
    g.room += gradient_room(2, s->hp);
    g.dg += 2 * s->hp;
    g.of[0].dw = dw ? dw + 2 * s->h * s->in : NULL;
    g.of[1].a = w->met;
    g.of[1].dw = w->after ? NULL : new_du;
    of[1] = g;
    g.room += gradient_room(1, s->hp);
    g.dg = w->du;
    g.ldg = s->hp;
    g.of[0].dw = NULL;
    g.of[1].a = w->before;
    g.of[1].dw = w->after ? new_du : NULL;
    of[2] = g;
}

static void backward(const struct as_call *c)
{
    struct job w = new_job(c);
    const struct cell *s = &w.s;
    ptrdiff_t sums = s->tile * 6 * s->hp;
    const struct gru *o = c->opt;

    if (c->dx[0])
        pack(3, s->h, s->in, c->w[GRU_W], 0, w.wx);
    pack_u(&w, 0);
    struct gradient of[MATRICES];
    matrices(&w, of);
    walk_all((struct walk){ .s = s, .v = &w.v, .back = 1, .job = &w, .with_w = backward_with_w, .steps = backward_steps,
                            .of = of, .gradients = MATRICES }, 4 * work(s));
    vector_gradient(s, 3, w.tiles + sums, tile_room(s), o->bias ? c->dw[GRU_B] : NULL);
    vector_gradient(s, 1, w.tiles + sums + 3 * s->hp, tile_room(s), o->bias && w.after ? c->dw[GRU_C] : NULL);
}

static const char *can(const void *opt, int n_in, const struct as_spec *in)
{
    (void)n_in;
    (void)in;
    if (((const struct gru *)opt)->recurrence != GRU_FULL)
        return "it packs a matrix U; for recurrence = diagonal there are sweep and newton";
    return NULL;
}

static const struct as_impl fused = {
    .abi = ASSAY_ABI, .name = "fused", .rank = 10, .can = can, .plan = plan, .forward = forward, .backward = backward,
};

const struct as_plugin AS_PLUGIN(recurrent__gru__fused) = { .abi = ASSAY_ABI, .impl = { &fused } };

/* diagonal.h: the kernels of rnn and gru whose recurrence is diagonal: each unit meets its own state only, so a unit of
 * a row is a recurrence of one number. Float only, one copy a processor level.
 *
 *   sweep    one step after the other; the units of a row hide each other's latency
 *   newton   all steps at once: the states h_1..h_T are the root of r_t = h_t - f(h_{t-1}, x_t), t = 1..T, h_0 = 0
 *
 * Newton's method (Lim et al. 2024, "Parallelizing non-linear sequential models over the sequence length"; Danieli et al.
 * 2025, "ParaRNN") starts from h_t = f(0, x_t), and solves in every iteration
 *
 *   dh_t = J_t dh_{t-1} - r_t,   J_t = df/dh at (h_{t-1}, x_t),   h_t <- h_t + dh_t
 *
 * a linear recurrence, here one pass over time in which f and J of all steps are independent of each other and only
 * one multiply-add a step is not. With h + dh written out that is h'_t = f(h_{t-1}, x_t) + J_t (h'_{t-1} - h_{t-1}), so
 * each iteration makes at least one further step exact, whatever J is. States are kept within the range of the cell.
 * LANES units of one row are solved together, until every residual is a few roundings of the largest state that its
 * unit has had. What is not there after MOST_ITERATIONS is finished step by step from the first step with a larger
 * residual, and counted as `newton.swept`.
 *
 * Backward is the same for both: with g_t the whole gradient of h_t, g_t = dy_t + J_{t+1} g_{t+1}, one linear recurrence
 * in reverse, J at the states found. The gates are computed once more there from W x and h_{t-1}; nothing else is saved.
 *
 * The file that includes this defines GATES, VECTORS (sums over time that backward makes, a unit each), STATE_MOST (the
 * largest state that there can be) and the three functions below, in which everything is about one unit.
 */
#ifndef RECURRENT_DIAGONAL_H
#define RECURRENT_DIAGONAL_H

#include "fused.h"

#define LANES 16             /* units that Newton's method takes together: the same at all levels, for counts depend on it */
#define ROW_UNITS 64         /* units that a sweep takes together */
#define MOST_ITERATIONS 32
#define RESIDUAL 4.8e-7f     /* four roundings */

/* One unit's vectors, at u[gate * stride], b[gate * stride]; the last row of b is the candidate's own (gru). */
struct vectors { const float *u, *b; ptrdiff_t stride; int relu; };

/* f(h, x), and *slope = df/dh; g[gate * stride] is W x. */
INLINE float cell(struct vectors v, ptrdiff_t j, const float *g, float h, float *slope);
/* f alone. */
INLINE float cell_value(struct vectors v, ptrdiff_t j, const float *g, float h);
/* d: gradient of h_t = now, h = h_{t-1}. Writes the gradients of W x to dg[gate * stride], adds to sums[i * stride],
 * i < VECTORS; returns the gradient of h. */
INLINE float cell_back(struct vectors v, ptrdiff_t j, const float *g, float h, float now, float d, float *dg,
                       float *sums);

enum { S_INPUT, S_H };                                         /* saved: W x (steps, GATES hp) and h (steps, hp) */
enum { R_INPUT, R_H, R_W, R_VECTORS, R_STRIPS, R_SUMS, R_X, R_GRADIENT };      /* scratch */

struct job {
    struct cell s;
    struct valid v;
    const struct as_call *call;
    struct vectors w;
    ptrdiff_t blocks, strips, parts;     /* of a row: blocks of steps, strips of LANES, parts of ROW_UNITS units */
    float *wx, *g, *h, *dg;              /* h: NULL without gradients */
    float *room, *sums, *tally;          /* tally (rows, strips, 2): iterations, steps swept */
};

static ptrdiff_t strip_room(const struct cell *s)
{
    return s->time * (GATES + 1) * LANES;
}

static ptrdiff_t pieces(ptrdiff_t n, ptrdiff_t of)
{
    return (n + of - 1) / of;
}

static void plan_sweep(struct as_room *r)
{
    struct cell s = cell_of(r->in, r->out, GATES);
    size_t steps = (size_t)(s.batch * s.time), hp = (size_t)s.hp;

    if (r->gradients) {
        r->saved[S_INPUT] = steps * GATES * hp;
        r->saved[S_H] = steps * hp;
        r->scratch[R_SUMS] = (size_t)s.batch * VECTORS * hp;
        r->scratch[R_X] = steps * (size_t)s.in;
        r->scratch[R_GRADIENT] = gradient_room(GATES, s.hp);
    }
    r->scratch[R_INPUT] = steps * GATES * hp;
    r->scratch[R_W] = GATES * hp * (size_t)padded(s.in);
    r->scratch[R_VECTORS] = (2 * GATES + 1) * hp + valid_room(&s);
}

static void plan_newton(struct as_room *r)
{
    struct cell s = cell_of(r->in, r->out, GATES);
    size_t strips = (size_t)(s.batch * pieces(s.hp, LANES));

    plan_sweep(r);
    r->scratch[R_STRIPS] = strips * ((size_t)strip_room(&s) + 2);
}

/* u (GATES h) and b (GATES h), either may be absent; c (h) or NULL. */
static struct job new_job(const struct as_call *call, const float *u, const float *b, const float *c, int relu)
{
    struct job w = { .s = cell_of(call->in, call->out, GATES), .call = call };
    float *small = call->scratch[R_VECTORS];
    ptrdiff_t hp = w.s.hp;

    pad_vector(&w.s, GATES, u, small);
    pad_vector(&w.s, GATES, b, small + GATES * hp);
    pad_vector(&w.s, 1, c, small + 2 * GATES * hp);
    w.w = (struct vectors){ small, small + GATES * hp, hp, relu };
    w.v = list_valid(&w.s, call->length, small + (2 * GATES + 1) * hp);
    w.blocks = pieces(w.s.time, w.s.block);
    w.strips = pieces(hp, LANES);
    w.parts = pieces(hp, ROW_UNITS);
    w.wx = call->scratch[R_W];
    w.g = call->saved ? call->saved[S_INPUT] : call->scratch[R_INPUT];
    w.h = call->saved ? call->saved[S_H] : NULL;
    w.dg = call->scratch[R_INPUT];
    w.room = call->scratch[R_STRIPS];
    w.tally = w.room ? w.room + w.s.batch * w.strips * strip_room(&w.s) : NULL;
    w.sums = call->scratch[R_SUMS];
    return w;
}

static double work(const struct job *w)
{
    return 60.0 * (double)w->s.steps * (double)w->s.hp;
}

/* W x of a block of steps of a row. */
static void input_piece(void *ctx, ptrdiff_t i)
{
    const struct job *w = ctx;

    input_block(&w->s, &w->v, i / w->blocks, 1, i % w->blocks * w->s.block, w->call->x[0], w->wx, w->g);
}

/* n units from `first` on of row k at step t, to y and to what is saved. */
INLINE void put_state(const struct job *w, ptrdiff_t k, ptrdiff_t t, ptrdiff_t first, ptrdiff_t n, const float *h)
{
    ptrdiff_t has = w->s.h - first < n ? w->s.h - first : n;

    memcpy(w->call->y + (w->v.row[k] * w->s.time + t) * w->s.h + first, h, (size_t)has * sizeof *h);
    if (w->h)
        memcpy(w->h + (w->v.start[k] + t) * w->s.hp + first, h, (size_t)n * sizeof *h);
}

/* --- step after step ----------------------------------------------------------------------------------------- */

INLINE void sweep_steps(const struct job *w, ptrdiff_t k, ptrdiff_t first, ptrdiff_t n, int relu)
{
    struct vectors v = { w->w.u + first, w->w.b + first, w->s.hp, relu };
    float h[ROW_UNITS] = { 0 };

    for (ptrdiff_t t = 0; t < w->v.length[k]; t++) {
        const float *g = w->g + (w->v.start[k] + t) * GATES * w->s.hp + first;

#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++)
            h[j] = cell_value(v, j, g + j, h[j]);
        put_state(w, k, t, first, n, h);
    }
}

static void sweep_piece(void *ctx, ptrdiff_t i)
{
    const struct job *w = ctx;
    ptrdiff_t k = i / w->parts, first = i % w->parts * ROW_UNITS, n = w->s.hp - first;

    n = n < ROW_UNITS ? n : ROW_UNITS;
    if (w->w.relu)
        sweep_steps(w, k, first, n, 1);
    else
        sweep_steps(w, k, first, n, 0);
    if (first == 0)
        clear_padding(&w->s, &w->v, k, 1, w->call->y);
}

/* --- all steps at once --------------------------------------------------------------------------------------- */

/* A strip's W x, (time, GATES, LANES), its states (time, LANES) and its vectors; units beyond hp are zero. */
struct strip { ptrdiff_t time; float *g, *h, u[GATES * LANES], b[(GATES + 1) * LANES]; };

static void read_strip(const struct job *w, ptrdiff_t k, ptrdiff_t first, float *room, struct strip *s)
{
    ptrdiff_t hp = w->s.hp, n = hp - first < LANES ? hp - first : LANES;
    size_t row = (size_t)n * sizeof(float);

    memset(s, 0, sizeof *s);
    s->time = w->v.length[k];
    s->g = room;
    s->h = room + w->s.time * GATES * LANES;
    for (int i = 0; i < GATES; i++)
        memcpy(s->u + i * LANES, w->w.u + i * hp + first, row);
    for (int i = 0; i <= GATES; i++)
        memcpy(s->b + i * LANES, w->w.b + i * hp + first, row);
    if (n < LANES)
        memset(s->g, 0, (size_t)(s->time * GATES * LANES) * sizeof *s->g);
    for (ptrdiff_t t = 0; t < s->time; t++)
        for (int i = 0; i < GATES; i++)
            memcpy(s->g + (t * GATES + i) * LANES, w->g + ((w->v.start[k] + t) * GATES + i) * hp + first, row);
}

/* One iteration. Returns whether the states that it found were a root already; those that it leaves are better. */
INLINE int newton_pass(const struct strip *s, struct vectors v)
{
    float old[LANES] = { 0 }, new[LANES] = { 0 }, excess[LANES] = { 0 }, most[LANES] = { 0 };
    int root = 1;

    for (ptrdiff_t t = 0; t < s->time; t++) {
        const float *g = s->g + t * GATES * LANES;
        float *h = s->h + t * LANES;

#pragma omp simd
        for (int j = 0; j < LANES; j++) {
            float slope, f = cell(v, j, g + j, old[j], &slope), over, now = h[j], size = now < 0.0f ? -now : now, to;

            most[j] = size > most[j] ? size : most[j];
            over = (now < f ? f - now : now - f) - RESIDUAL * most[j];
            excess[j] = over <= excess[j] ? excess[j] : over;           /* a NaN goes on to the last step */
            to = AS_FMA(slope, new[j] - old[j], f);
            to = to > STATE_MOST ? STATE_MOST : to;
            to = to < -STATE_MOST ? -STATE_MOST : to;
            old[j] = now;
            new[j] = h[j] = to;
        }
    }
    for (int j = 0; j < LANES; j++)
        root &= excess[j] <= 0.0f;
    return root;
}

/* The first step with a residual that is too large; the length when there is none. */
static ptrdiff_t first_wrong(const struct strip *s, struct vectors v)
{
    float most[LANES] = { 0 };

    for (ptrdiff_t t = 0; t < s->time; t++)
        for (int j = 0; j < LANES; j++) {
            float f = cell_value(v, j, s->g + t * GATES * LANES + j, t ? s->h[(t - 1) * LANES + j] : 0.0f);
            float now = s->h[t * LANES + j], size = now < 0.0f ? -now : now;

            most[j] = size > most[j] ? size : most[j];
            if (!((now < f ? f - now : now - f) <= RESIDUAL * most[j]))
                return t;
        }
    return s->time;
}

/* Returns the iterations; *swept gets the steps done one after the other. */
INLINE int solve(const struct strip *s, struct vectors v, ptrdiff_t *swept)
{
    int n = 0, root = 0;
    ptrdiff_t from;

    *swept = 0;
    for (ptrdiff_t t = 0; t < s->time; t++)
#pragma omp simd
        for (int j = 0; j < LANES; j++)
            s->h[t * LANES + j] = cell_value(v, j, s->g + t * GATES * LANES + j, 0.0f);
    while (!root && n < MOST_ITERATIONS && n < s->time) {
        root = newton_pass(s, v);
        n++;
    }
    if (root || n == s->time)
        return n;
    from = first_wrong(s, v);
    for (ptrdiff_t t = from; t < s->time; t++)
        for (int j = 0; j < LANES; j++)
            s->h[t * LANES + j] = cell_value(v, j, s->g + t * GATES * LANES + j,
                                             t ? s->h[(t - 1) * LANES + j] : 0.0f);
    *swept = s->time - from;
    return n;
}

static void newton_piece(void *ctx, ptrdiff_t i)
{
    const struct job *w = ctx;
    ptrdiff_t k = i / w->strips, first = i % w->strips * LANES, hp = w->s.hp, swept;
    struct strip s;
    int iterations;

    read_strip(w, k, first, w->room + i * strip_room(&w->s), &s);
    if (w->w.relu)
        iterations = solve(&s, (struct vectors){ s.u, s.b, LANES, 1 }, &swept);
    else
        iterations = solve(&s, (struct vectors){ s.u, s.b, LANES, 0 }, &swept);
    w->tally[2 * i] = (float)iterations;
    w->tally[2 * i + 1] = (float)swept;
    for (ptrdiff_t t = 0; t < s.time; t++)
        put_state(w, k, t, first, hp - first < LANES ? hp - first : LANES, s.h + t * LANES);
    if (first == 0)
        clear_padding(&w->s, &w->v, k, 1, w->call->y);
}

static void run_sweep(struct job *w)
{
    pack(GATES, w->s.h, w->s.in, w->call->w[0], 1, w->wx);
    as_parallel(w->s.batch * w->blocks, 2.0 * GATES * (double)w->s.steps * (double)(w->s.hp * w->s.in), input_piece, w);
    as_parallel(w->s.batch * w->parts, work(w), sweep_piece, w);
}

/* What newton counts: iterations, strips solved, and their steps that were done one after the other. */
static const char *const newton_counts[] = { "newton.iterations", "newton.solved", "newton.swept", NULL };

static void run_newton(struct job *w)
{
    ptrdiff_t all = w->s.batch * w->strips;

    pack(GATES, w->s.h, w->s.in, w->call->w[0], 1, w->wx);
    as_parallel(w->s.batch * w->blocks, 2.0 * GATES * (double)w->s.steps * (double)(w->s.hp * w->s.in), input_piece, w);
    as_parallel(all, 6 * work(w), newton_piece, w);
    for (ptrdiff_t i = 0; w->call->count && i < all; i++)
        if (w->v.length[i / w->strips]) {
            w->call->count[0] += (double)w->tally[2 * i];
            w->call->count[1]++;
            w->call->count[2] += (double)w->tally[2 * i + 1];
        }
}

/* --- backward ------------------------------------------------------------------------------------------------ */

INLINE void back_steps(const struct job *w, ptrdiff_t k, ptrdiff_t first, ptrdiff_t n, int relu)
{
    struct vectors v = { w->w.u + first, w->w.b + first, w->s.hp, relu };
    ptrdiff_t hp = w->s.hp, has = w->s.h - first < n ? w->s.h - first : n;
    float d[ROW_UNITS] = { 0 }, none[ROW_UNITS] = { 0 }, *sums = w->sums + k * VECTORS * hp + first;

    for (int i = 0; i < VECTORS; i++)
        memset(sums + i * hp, 0, (size_t)n * sizeof *sums);
    for (ptrdiff_t t = w->v.length[k] - 1; t >= 0; t--) {
        ptrdiff_t at = w->v.start[k] + t;
        const float *g = w->g + at * GATES * hp + first, *now = w->h + at * hp + first, *before = t ? now - hp : none;
        const float *dy = w->call->dy + (w->v.row[k] * w->s.time + t) * w->s.h + first;
        float *dg = w->dg + at * GATES * hp + first;

        for (ptrdiff_t j = 0; j < has; j++)
            d[j] += dy[j];
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++)
            d[j] = cell_back(v, j, g + j, before[j], now[j], d[j], dg + j, sums + j);
    }
}

static void back_piece(void *ctx, ptrdiff_t i)
{
    const struct job *w = ctx;
    ptrdiff_t k = i / w->parts, first = i % w->parts * ROW_UNITS, n = w->s.hp - first;

    n = n < ROW_UNITS ? n : ROW_UNITS;
    if (w->w.relu)
        back_steps(w, k, first, n, 1);
    else
        back_steps(w, k, first, n, 0);
}

static void input_back_piece(void *ctx, ptrdiff_t i)
{
    const struct job *w = ctx;

    input_gradient(&w->s, &w->v, i / w->blocks, 1, i % w->blocks * w->s.block, w->dg, w->wx, w->call->dx[0]);
}

/* dv (rows * h) += the sums of rows first.. of the VECTORS over the batch. */
static void add_sums(const struct job *w, int first, int rows, float *dv)
{
    struct cell each = w->s;

    each.tiles = each.batch;
    vector_gradient(&each, rows, w->sums + first * w->s.hp, VECTORS * w->s.hp, dv);
}

/* Everything but the vectors' gradients, which are then in the sums. */
static void run_back(struct job *w)
{
    const struct as_call *c = w->call;
    const struct cell *s = &w->s;

    as_parallel(s->batch * w->parts, 2 * work(w), back_piece, w);
    if (c->dx[0]) {
        pack(GATES, s->h, s->in, c->w[0], 0, w->wx);
        as_parallel(s->batch * w->blocks, 2.0 * GATES * (double)s->steps * (double)(s->hp * s->in), input_back_piece,
                    w);
    }
    weight_gradient((struct gradient){
        .gates = GATES, .h = s->h, .hp = s->hp, .steps = s->steps, .dg = w->dg, .ldg = GATES * s->hp,
        .room = c->scratch[R_GRADIENT],
        .of = { { gather_valid(s, &w->v, c->x[0], s->in, c->scratch[R_X]), s->in, s->in, c->dw[0] } } });
}

#endif

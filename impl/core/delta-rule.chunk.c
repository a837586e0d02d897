/* The (gated) delta rule a chunk of steps at a time, by matrix products.
 *
 * Within a chunk of C steps with state S before it, b_i = g_1 + ... + g_i, G_ij = exp(b_i - b_j), L_ij = G_ij k_i.k_j
 * for j < i:
 *     (I + L beta) R = V - (e^b K) S            what is to change under each key: unit lower triangular
 *     N = beta R
 *     O = (e^b Q) S + A N                       A_ij = G_ij q_i.k_j for j <= i
 *     S <- e^{b_C} S + (e^{b_C - b} K)^T N
 * and back, with z the gradient of N beyond what goes through later R:
 *     (I + beta L)^T z = A^T dO + (e^{b_C - b} K) dS      dbeta_i = z_i.r_i      dv_i = beta_i z_i = -x_i
 *     dL = x N^T   dA = dO N^T   d(e^b K) = x S^T   d(e^b Q) = dO S^T   d(e^{b_C - b} K) = N dS^T
 *     dS <- e^{b_C} dS + (e^b Q)^T dO + (e^b K)^T x
 * The gradient of g_t is the sum of dG_ij G_ij over all j < t <= i, the states before and after counting as j and i:
 * every term has e^{g_t} in it. As a sum of gradients of b, what does not would have to cancel; with g = -1e9, as exp()
 * of a weight may make it, nothing may be left of it.
 * Solving with S at hand spares the W and U of the papers (section 3.2 of Yang et al. 2024): heads and sequences give
 * work enough to run side by side, so chunks need not. States at the chunks' starts, R and nothing else are kept; L
 * and A are made again on the way back. A chunk's numbers depend on sizes only, so any team gives the same bits.
 */
#include "chunk-rows.h"

enum { BETA = V + 1, G };
enum { NEW = STATES + 1 };                   /* kept: R (batch, heads, chunks, C, vw) */

/* Scratch of one lane, and where a chunk stands. kb, qb, kd: e^b K, e^b Q, e^{b_C - b} K; without decay K and Q. Rooms are
 * for what is not read or written where it stands. */
struct space {
    float *f, *l, *m, *a, *dl, *da;          /* (C, C): G, L, what is solved with, A and gradients */
    struct right q, k, kb, qb, kd;           /* (C, kw) */
    float *q_room, *k_room, *dq_room, *dk_room, *scaled[3], *dx;     /* (C, kw) */
    struct right y;                          /* (C, vw): dO on the way back */
    float *r, *n, *y_room, *x, *z;           /* (C, vw) */
    float *s, *ds;                           /* (kw, vw): the row's S, or its dS on the way back */
    float *turned, *st;                      /* K^T (kw, C) or R^T (vw, C); S^T (vw, kw) */
    float *e, *before, *after, *beta, *dg;   /* (C): e^g, e^b, e^{b_C - b}, beta, the gradient of g */
};

enum { SQUARES = 6, KEYS = 8, VALUES = 5, VECTORS = 5 };

static size_t space_size(struct size z)
{
    return (size_t)(SQUARES * CHUNK * CHUNK + KEYS * CHUNK * z.kw + VALUES * CHUNK * z.vw + z.kw * z.vw +
                    CHUNK * (z.kw > z.vw ? z.kw : z.vw) + VECTORS * CHUNK);
}

static struct space space_at(struct size z, float *p, float *state)
{
    float *square[SQUARES], *key[KEYS], *value[VALUES];
    struct space w = { .s = state, .ds = state };

    for (int i = 0; i < SQUARES; i++)
        square[i] = cut(&p, CHUNK * CHUNK);
    for (int i = 0; i < KEYS; i++)
        key[i] = cut(&p, CHUNK * z.kw);
    for (int i = 0; i < VALUES; i++)
        value[i] = cut(&p, CHUNK * z.vw);
    w.f = square[0]; w.l = square[1]; w.m = square[2]; w.a = square[3]; w.dl = square[4]; w.da = square[5];
    w.q_room = key[0]; w.k_room = key[1]; w.dq_room = key[2]; w.dk_room = key[3]; w.dx = key[4];
    w.scaled[0] = key[5]; w.scaled[1] = key[6]; w.scaled[2] = key[7];
    w.r = value[0]; w.n = value[1]; w.y_room = value[2]; w.x = value[3]; w.z = value[4];
    w.st = cut(&p, z.kw * z.vw);
    w.turned = cut(&p, CHUNK * (z.kw > z.vw ? z.kw : z.vw));
    w.e = p; w.before = p + CHUNK; w.after = p + 2 * CHUNK; w.beta = p + 3 * CHUNK; w.dg = p + 4 * CHUNK;
    return w;
}

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);

    plan_rows(r, z, space_size(z));
    if (r->gradients)
        r->saved[NEW] = as_size(all_chunks(z), (size_t)(CHUNK * z.vw));
}

/* One chunk of one head. Row i of q is q + i ldk. Before the first one S is 0, and behind the last one dS: products with
 * them are left out. */
struct piece { const float *q, *k, *v, *beta, *g; ptrdiff_t at, n, ldk, ldv, ldh; bool first, last; };

static struct piece piece_at(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t t0)
{
    ptrdiff_t p = place_of(z, row, t0), left = steps_of(c, z, row) - t0;

    return (struct piece){ .q = c->x[Q] + p * z.dk, .k = c->x[K] + p * z.dk, .v = c->x[V] + p * z.dv,
                           .beta = c->x[BETA] + p, .g = c->n_in > G ? c->x[G] + p : NULL, .at = p,
                           .n = least(CHUNK, left), .first = t0 == 0, .last = left <= CHUNK, .ldk = z.heads * z.dk,
                           .ldv = z.heads * z.dv, .ldh = z.heads };
}

/* G, L, A, and M = -L beta (forward) or -beta L (back), with zeros above the diagonal. */
static void triangles(struct piece p, struct size z, struct space w, bool back)
{
    ptrdiff_t n = p.n, columns = up(n, WIDE);
    struct right keys = { w.turned, CHUNK };

    product(TRIANGLE, n, columns, z.kw, rows_of(w.k), keys, (struct result){ w.l, CHUNK }, false);
    product(TRIANGLE, n, columns, z.kw, rows_of(w.q), keys, (struct result){ w.a, CHUNK }, false);
    for (ptrdiff_t i = 0; i < n; i++) {
        float *l = w.l + i * CHUNK, *m = w.m + i * CHUNK, *a = w.a + i * CHUNK, *f = w.f + i * CHUNK;
        vec beta = as_all(-w.beta[i]);

        memset(l + i, 0, (size_t)(columns - i) * sizeof *l);
        memset(a + i + 1, 0, (size_t)(columns - i - 1) * sizeof *a);
        if (p.g)
            decay_row(i, w.e[i], f);
        for (ptrdiff_t j = 0; p.g && j < up(i, LANE); j += LANE) {
            as_store(l + j, as_load(l + j) * as_load(f + j));
            as_store(a + j, as_load(a + j) * as_load(f + j));
        }
        for (ptrdiff_t j = 0; j < columns; j += LANE)
            as_store(m + j, as_load(l + j) * (back ? beta : -as_load(w.beta + j)));
    }
    for (ptrdiff_t i = n; i < columns; i++)
        memset(w.m + i * CHUNK, 0, (size_t)columns * sizeof *w.m);
}

/* Rows and their scaled copies, decays, K^T, the triangles. */
static void prepare(struct piece p, struct size z, struct space *w, bool back)
{
    memset(w->beta, 0, CHUNK * sizeof *w->beta);
    for (ptrdiff_t i = 0; i < p.n; i++)
        w->beta[i] = p.beta[i * p.ldh];
    w->q = w->qb = stand(p.q, p.ldk, p.n, z.dk, w->q_room);
    w->k = w->kb = w->kd = stand(p.k, p.ldk, p.n, z.dk, w->k_room);
    if (p.g) {
        decays(p.g, p.ldh, p.n, w->e, w->before, w->after);
        take(p.q, p.ldk, p.n, z.dk, w->before, w->scaled[0]);
        take(p.k, p.ldk, p.n, z.dk, w->before, w->scaled[1]);
        take(p.k, p.ldk, p.n, z.dk, w->after, w->scaled[2]);
        w->qb = (struct right){ w->scaled[0], z.kw };
        w->kb = (struct right){ w->scaled[1], z.kw };
        w->kd = (struct right){ w->scaled[2], z.kw };
    }
    transpose(w->k.x, w->k.ld, p.n, z.kw, w->turned, CHUNK);
    triangles(p, z, *w, back);
}

#if ASSAY_LEVEL == 2
enum { BLOCK = 16 };                         /* rows that are solved in registers */
#else
enum { BLOCK = 8 };
#endif

/* X <- (I - M)^-1 X by blocks of rows: products for what is above, substitution in registers inside. X (n, d), rows
 * up to the next multiple of WIDE may be written. */
static void solve_lower(const float *m, ptrdiff_t n, ptrdiff_t d, float *x)
{
    for (ptrdiff_t i0 = 0; i0 < n; i0 += BLOCK) {
        if (i0)
            product(WHOLE, BLOCK, d, i0, plain(m + i0 * CHUNK, CHUNK), (struct right){ x, d },
                    (struct result){ x + i0 * d, d }, true);
        for (ptrdiff_t l = 0; l < d; l += LANE) {
            const float *block = m + i0 * CHUNK + i0;
            float *at = x + i0 * d + l;
            vec r[BLOCK];

            AS_UNROLLED for (int i = 0; i < BLOCK; i++)
                r[i] = as_load(at + i * d);
            AS_UNROLLED for (int j = 0; j < BLOCK - 1; j++)
                AS_UNROLLED for (int i = j + 1; i < BLOCK; i++)
                    r[i] = as_fma(as_all(block[i * CHUNK + j]), r[j], r[i]);
            AS_UNROLLED for (int i = 0; i < BLOCK; i++)
                as_store(at + i * d, r[i]);
        }
    }
}

/* X <- (I - M)^-T X. */
static void solve_upper(const float *m, ptrdiff_t n, ptrdiff_t d, float *x)
{
    for (ptrdiff_t i0 = up(n, BLOCK) - BLOCK; i0 >= 0; i0 -= BLOCK) {
        ptrdiff_t below = i0 + BLOCK;

        if (below < n)
            product(WHOLE, BLOCK, d, n - below, flipped(m + below * CHUNK + i0, CHUNK), (struct right){ x + below * d, d },
                    (struct result){ x + i0 * d, d }, true);
        for (ptrdiff_t l = 0; l < d; l += LANE) {
            const float *block = m + i0 * CHUNK + i0;
            float *at = x + i0 * d + l;
            vec r[BLOCK];

            AS_UNROLLED for (int i = 0; i < BLOCK; i++)
                r[i] = as_load(at + i * d);
            AS_UNROLLED for (int j = BLOCK - 1; j > 0; j--)
                AS_UNROLLED for (int i = 0; i < j; i++)
                    r[i] = as_fma(as_all(block[j * CHUNK + i]), r[j], r[i]);
            AS_UNROLLED for (int i = 0; i < BLOCK; i++)
                as_store(at + i * d, r[i]);
        }
    }
}

/* out (n, d) = sign beta_i x_i. */
static void weigh(const float *x, ptrdiff_t n, ptrdiff_t d, const float *beta, float sign, float *out)
{
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < d; j += LANE)
            as_store(out + i * d + j, as_all(sign * beta[i]) * as_load(x + i * d + j));
}

static void forward_chunk(const struct as_call *c, struct size z, struct piece p, struct space w, float *r)
{
    ptrdiff_t n = p.n, d = z.vw;
    float *y = c->y + p.at * z.dv;
    struct result o = aim(y, p.ldv, z.dv, true, w.y_room);

    prepare(p, z, &w, false);
    for (ptrdiff_t i = 0; !p.first && i < n; i++)
        for (ptrdiff_t j = 0; j < z.kw; j += LANE)
            as_store(w.dx + i * z.kw + j, -as_load(w.kb.x + i * w.kb.ld + j));
    take(p.v, p.ldv, n, z.dv, NULL, r);
    memset(r + n * d, 0, (size_t)((up(n, WIDE) - n) * d) * sizeof *r);
    if (!p.first)
        product(WHOLE, n, d, z.kw, plain(w.dx, z.kw), (struct right){ w.s, d }, (struct result){ r, d }, true);
    solve_lower(w.m, n, d, r);
    weigh(r, n, d, w.beta, 1, w.n);
    if (!p.first)
        product(WHOLE, n, d, z.kw, rows_of(w.qb), (struct right){ w.s, d }, o, false);
    product(LOWER, n, d, n, plain(w.a, CHUNK), (struct right){ w.n, d }, o, !p.first);
    hand_over(o, n, z.dv, y, p.ldv, true);
    if (p.last)
        return;
    if (p.g)
        scale(w.s, z.kw * d, w.before[n - 1]);
    product(WHOLE, z.kw, d, n, columns_of(w.kd), (struct right){ w.n, d }, (struct result){ w.s, d }, true);
}

/* R of a chunk among those that are kept. */
static float *new_at(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t t0)
{
    return (float *)c->saved[NEW] + (row * z.chunks * CHUNK + t0) * z.vw;
}

static void forward_turn(const struct as_call *c, struct size z, float *scratch, float *s, float *kept, ptrdiff_t row,
                         ptrdiff_t t0)
{
    struct space w = space_at(z, scratch, s);

    forward_chunk(c, z, piece_at(c, z, row, t0), w, kept ? new_at(c, z, row, t0) : w.r);
}

/* Of a step of a head. */
static double flop(struct size z)
{
    return 6.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(2 * z.dk + 2 * z.dv);
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    run_rows((struct rows){ c, space_size(z), forward_turn, false, -1 }, flop(z));
}

/* --- the way back ------------------------------------------------------------------------------------------ */

/* dA and dL over their triangles: scaled by the decays, and to g. Rows from the last to the first; below_j: what the
 * rows so far have sent to the decay behind step j. */
static void back_scores(struct piece p, struct space w)
{
    ptrdiff_t columns = up(p.n, WIDE);
    float below[CHUNK] = { 0 };

    for (ptrdiff_t i = p.n - 1; i >= 0; i--) {
        float *dl = w.dl + i * CHUNK, *da = w.da + i * CHUNK;
        const float *f = w.f + i * CHUNK, *l = w.l + i * CHUNK, *a = w.a + i * CHUNK;
        ptrdiff_t end = up(i, LANE);
        float own = da[i];
        vec sum = { 0 };

        memset(dl + i, 0, (size_t)(columns - i) * sizeof *dl);
        memset(da + i, 0, (size_t)(columns - i) * sizeof *da);
        below[i] = 0;                        /* from here on up step i is not before the decay */
        for (ptrdiff_t j = 0; p.g && j < end; j += LANE) {
            vec one = as_fma(as_load(da + j), as_load(a + j), as_load(below + j));

            one = as_fma(as_load(dl + j), as_load(l + j), one);
            sum += one;
            as_store(below + j, one);
            as_store(dl + j, as_load(dl + j) * as_load(f + j));
            as_store(da + j, as_load(da + j) * as_load(f + j));
        }
        w.dg[i] = lanes_sum(sum);
        da[i] = own;                         /* G_ii = 1: nothing to g */
    }
}

/* Gradients to q and k through A and L. */
static void back_rows(struct piece p, struct size z, struct space w, struct result dq, struct result dk)
{
    ptrdiff_t n = p.n, d = z.kw;

    product(LOWER, n, d, n, plain(w.da, CHUNK), w.k, dq, false);
    product(LOWER, n, d, n, plain(w.dl, CHUNK), w.k, dk, false);
    product(UPPER, n, d, n, flipped(w.dl, CHUNK), w.k, dk, true);
    product(UPPER, n, d, n, flipped(w.da, CHUNK), w.q, dk, true);
}

/* to += by (left st): a gradient of scaled rows. With decay, the product of the two goes to every g that the row is
 * scaled by: e^b by those up to its own step (`past`), e^{b_C - b} by those behind it. */
static void back_scaled(struct piece p, struct size z, struct space w, struct right left, const float *scaled,
                        const float *by, bool past, struct result to)
{
    ptrdiff_t d = z.kw;
    float sum = 0;

    product(WHOLE, p.n, d, z.vw, rows_of(left), (struct right){ w.st, d }, p.g ? (struct result){ w.dx, d } : to, !p.g);
    if (!p.g)
        return;
    for (ptrdiff_t i = p.n - 1; past && i >= 0; i--)
        w.dg[i] += sum += dot(w.dx + i * d, scaled + i * d, d);
    for (ptrdiff_t i = 1; !past && i < p.n; i++)
        w.dg[i] += sum += dot(w.dx + (i - 1) * d, scaled + (i - 1) * d, d);
    give(w.dx, p.n, d, by, to.x, to.ld, false);
}

/* z, x = -beta z, the gradient of beta, dA and dL. */
static void back_solved(const struct as_call *c, struct size z, struct piece p, struct space w, const float *r)
{
    ptrdiff_t n = p.n, d = z.vw, columns = up(n, WIDE);
    struct right turned = { w.turned, CHUNK };

    weigh(r, n, d, w.beta, 1, w.n);
    transpose(w.n, d, n, d, w.turned, CHUNK);
    product(UPPER, n, d, n, flipped(w.a, CHUNK), w.y, (struct result){ w.z, d }, false);
    if (!p.last)
        product(WHOLE, n, d, z.kw, rows_of(w.kd), (struct right){ w.ds, d }, (struct result){ w.z, d }, true);
    memset(w.z + n * d, 0, (size_t)((columns - n) * d) * sizeof *w.z);
    solve_upper(w.m, n, d, w.z);
    weigh(w.z, n, d, w.beta, -1, w.x);
    for (ptrdiff_t i = 0; c->dx[BETA] && i < n; i++)
        give_one(c->dx[BETA] + p.at + i * p.ldh, dot(w.z + i * d, r + i * d, d), c->fresh[BETA]);
    product(TRIANGLE, n, columns, d, rows_of(w.y), turned, (struct result){ w.da, CHUNK }, false);
    product(TRIANGLE, n, columns, d, plain(w.x, d), turned, (struct result){ w.dl, CHUNK }, false);
}

static void back_chunk(const struct as_call *c, struct size z, struct piece p, struct space w, const float *s,
                       const float *r)
{
    ptrdiff_t n = p.n, d = z.vw, ss = z.kw * d;
    struct right x = { w.x, d };
    struct result dq, dk, ds = { w.ds, d };
    float *to_q = c->dx[Q] ? c->dx[Q] + p.at * z.dk : NULL, *to_k = c->dx[K] ? c->dx[K] + p.at * z.dk : NULL, through = 0;

    dq = aim(to_q, p.ldk, z.dk, c->fresh[Q], w.dq_room);
    dk = aim(to_k, p.ldk, z.dk, c->fresh[K], w.dk_room);
    prepare(p, z, &w, true);
    w.y = stand(c->dy + p.at * z.dv, p.ldv, n, z.dv, w.y_room);
    back_solved(c, z, p, w, r);
    back_scores(p, w);
    back_rows(p, z, w, dq, dk);
    if (!p.first) {
        transpose(s, d, z.kw, d, w.st, z.kw);
        back_scaled(p, z, w, w.y, w.qb.x, w.before, true, dq);
        back_scaled(p, z, w, x, w.kb.x, w.before, true, dk);
    }
    if (!p.last) {
        transpose(w.ds, d, z.kw, d, w.st, z.kw);
        back_scaled(p, z, w, (struct right){ w.n, d }, w.kd.x, w.after, false, dk);
    }
    hand_over(dq, n, z.dk, to_q, p.ldk, c->fresh[Q]);
    hand_over(dk, n, z.dk, to_k, p.ldk, c->fresh[K]);
    if (c->dx[V])
        give(w.z, n, z.dv, w.beta, c->dx[V] + p.at * z.dv, p.ldv, c->fresh[V]);
    if (p.g && !p.first && !p.last) {
        through = w.before[n - 1] * dot(w.ds, s, ss);
        scale(w.ds, ss, w.before[n - 1]);
    }
    if (!p.first) {
        product(WHOLE, z.kw, d, n, columns_of(w.qb), w.y, ds, true);
        product(WHOLE, z.kw, d, n, columns_of(w.kb), x, ds, true);
    }
    for (ptrdiff_t i = 0; p.g && c->dx[G] && i < n; i++)
        give_one(c->dx[G] + p.at + i * p.ldh, w.dg[i] + through, c->fresh[G]);
}

static void backward_turn(const struct as_call *c, struct size z, float *scratch, float *ds, float *kept, ptrdiff_t row,
                          ptrdiff_t t0)
{
    if (t0 > 0)
        ask(new_at(c, z, row, t0 - CHUNK), z.vw, CHUNK, z.vw, false);
    back_chunk(c, z, piece_at(c, z, row, t0), space_at(z, scratch, ds), kept, new_at(c, z, row, t0));
}

static void backward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    run_rows((struct rows){ c, space_size(z), backward_turn, true, V }, 3 * flop(z));
}

/* A triangle of n steps and its strict one together are n^2 pairs. There: both of q k^T and k k^T, the solve and A N; back:
 * those with q and k again, A^T dO and the solve, dA and dL, and four from them. */
static double flop_of_chunk(struct size z, double n, bool train)
{
    double k = (double)z.dk, v = (double)z.dv;

    return 2 * n * n * (train ? 4 * k + 3 * v : k + v);
}

static double flop_all(const void *opt, int n_in, const struct as_spec *in, bool train)
{
    (void)opt;
    (void)n_in;
    return flop_of_chunks(size_of(in), flop_of_chunk, train,
                          train ? (struct state_products){ 6, 3 } : (struct state_products){ 2, 1 });
}

static const struct as_impl chunk = {
    .abi = ASSAY_ABI,
    .name = "chunk",
    .rank = 20,
    .tolerance_why = "the triangular solve adds up to 64 steps' corrections in another order than the recurrence",
    .tolerance = 60,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .fresh = true,
    .flop = flop_all,
};

const struct as_plugin AS_PLUGIN(core__delta_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunk } };

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

/* Scratch of one lane, and where a chunk stands. kb, qb, kd: e^b K, e^b Q, e^{b_C - b} K; without decay K and Q. */
struct space {
    float *f, *l, *m, *a, *dl, *da;          /* (C, C): G, L, what is solved with, A and gradients */
    float *q, *k, *kb, *qb, *kd, *dq, *dk, *dx;      /* (C, kw) */
    float *r, *n, *y, *x, *z;                /* (C, vw); y: dO on the way back */
    float *s, *ds;                           /* (kw, vw) */
    float *turned, *st;                      /* K^T (kw, C) or R^T (vw, C); S^T (vw, kw) */
    float *e, *before, *after, *beta, *dg;   /* (C): e^g, e^b, e^{b_C - b}, beta, the gradient of g */
};

enum { SQUARES = 6, KEYS = 8, VALUES = 5, VECTORS = 5 };

static size_t space_size(struct size z)
{
    return (size_t)(SQUARES * CHUNK * CHUNK + KEYS * CHUNK * z.kw + VALUES * CHUNK * z.vw + 3 * z.kw * z.vw +
                    CHUNK * (z.kw > z.vw ? z.kw : z.vw) + VECTORS * CHUNK);
}

static struct space space_at(const struct as_call *c, struct size z, float *p)
{
    float *square[SQUARES], *key[KEYS], *value[VALUES];
    struct space w;

    for (int i = 0; i < SQUARES; i++)
        square[i] = cut(&p, CHUNK * CHUNK);
    for (int i = 0; i < KEYS; i++)
        key[i] = cut(&p, CHUNK * z.kw);
    for (int i = 0; i < VALUES; i++)
        value[i] = cut(&p, CHUNK * z.vw);
    w.f = square[0]; w.l = square[1]; w.m = square[2]; w.a = square[3]; w.dl = square[4]; w.da = square[5];
    w.q = key[0]; w.k = key[1]; w.dq = key[2]; w.dk = key[3]; w.dx = key[4];
    w.qb = c->n_in > G ? key[5] : w.q;
    w.kb = c->n_in > G ? key[6] : w.k;
    w.kd = c->n_in > G ? key[7] : w.k;
    w.r = value[0]; w.n = value[1]; w.y = value[2]; w.x = value[3]; w.z = value[4];
    w.s = cut(&p, z.kw * z.vw);
    w.ds = cut(&p, z.kw * z.vw);
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

/* One chunk of one head. Row i of q is q + i ldk. */
struct piece { const float *q, *k, *v, *beta, *g; ptrdiff_t at, n, ldk, ldv, ldh; };

static struct piece piece_at(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t t0)
{
    ptrdiff_t p = place_of(z, row, t0);

    return (struct piece){ .q = c->x[Q] + p * z.dk, .k = c->x[K] + p * z.dk, .v = c->x[V] + p * z.dv,
                           .beta = c->x[BETA] + p, .g = c->n_in > G ? c->x[G] + p : NULL, .at = p,
                           .n = least(CHUNK, steps_of(c, z, row) - t0), .ldk = z.heads * z.dk,
                           .ldv = z.heads * z.dv, .ldh = z.heads };
}

/* G, L, A, and M = -L beta (forward) or -beta L (back), with zeros above the diagonal. */
static void triangles(struct piece p, struct size z, struct space w, bool back)
{
    ptrdiff_t n = p.n, columns = up(n, WIDE);
    struct right keys = { w.turned, CHUNK };

    product(TRIANGLE, n, columns, z.kw, plain(w.k, z.kw), keys, (struct result){ w.l, CHUNK }, false);
    product(TRIANGLE, n, columns, z.kw, plain(w.q, z.kw), keys, (struct result){ w.a, CHUNK }, false);
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
static void prepare(struct piece p, struct size z, struct space w, bool back)
{
    memset(w.beta, 0, CHUNK * sizeof *w.beta);
    for (ptrdiff_t i = 0; i < p.n; i++)
        w.beta[i] = p.beta[i * p.ldh];
    take(p.q, p.ldk, p.n, z.dk, NULL, w.q);
    take(p.k, p.ldk, p.n, z.dk, NULL, w.k);
    if (p.g) {
        decays(p.g, p.ldh, p.n, w.e, w.before, w.after);
        take(p.q, p.ldk, p.n, z.dk, w.before, w.qb);
        take(p.k, p.ldk, p.n, z.dk, w.before, w.kb);
        take(p.k, p.ldk, p.n, z.dk, w.after, w.kd);
    }
    transpose(w.k, z.kw, p.n, z.kw, w.turned, CHUNK);
    triangles(p, z, w, back);
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
    struct result o = d == z.dv ? (struct result){ y, p.ldv } : (struct result){ w.y, d };

    prepare(p, z, w, false);
    for (ptrdiff_t i = 0; i < n * z.kw; i += LANE)
        as_store(w.dx + i, -as_load(w.kb + i));
    take(p.v, p.ldv, n, z.dv, NULL, r);
    memset(r + n * d, 0, (size_t)((up(n, WIDE) - n) * d) * sizeof *r);
    product(WHOLE, n, d, z.kw, plain(w.dx, z.kw), (struct right){ w.s, d }, (struct result){ r, d }, true);
    solve_lower(w.m, n, d, r);
    weigh(r, n, d, w.beta, 1, w.n);
    product(WHOLE, n, d, z.kw, plain(w.qb, z.kw), (struct right){ w.s, d }, o, false);
    product(LOWER, n, d, n, plain(w.a, CHUNK), (struct right){ w.n, d }, o, true);
    for (ptrdiff_t i = 0; d != z.dv && i < n; i++)
        memcpy(y + i * p.ldv, w.y + i * d, (size_t)z.dv * sizeof *y);
    if (p.g)
        scale(w.s, z.kw * d, w.before[n - 1]);
    product(WHOLE, z.kw, d, n, flipped(w.kd, z.kw), (struct right){ w.n, d }, (struct result){ w.s, d }, true);
}

static void forward_row(const struct as_call *c, struct size z, float *scratch, ptrdiff_t row)
{
    struct space w = space_at(c, z, scratch);
    ptrdiff_t ss = z.kw * z.vw, steps = steps_of(c, z, row);

    memset(w.s, 0, (size_t)ss * sizeof *w.s);
    for (ptrdiff_t t0 = 0, at = row * z.chunks; t0 < steps; t0 += CHUNK, at++) {
        if (c->saved)
            memcpy((float *)c->saved[STATES] + at * ss, w.s, (size_t)ss * sizeof *w.s);
        forward_chunk(c, z, piece_at(c, z, row, t0), w, c->saved ? (float *)c->saved[NEW] + at * CHUNK * z.vw : w.r);
    }
    clear_rest(c, z, row);
}

/* Of a step of a head. */
static double flop(struct size z)
{
    return 6.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(2 * z.dk + 2 * z.dv);
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    run_rows(c, space_size(z), flop(z), forward_row);
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
static void back_rows(struct piece p, struct size z, struct space w)
{
    ptrdiff_t n = p.n, d = z.kw;
    struct result dk = { w.dk, d };

    product(LOWER, n, d, n, plain(w.da, CHUNK), (struct right){ w.k, d }, (struct result){ w.dq, d }, false);
    product(LOWER, n, d, n, plain(w.dl, CHUNK), (struct right){ w.k, d }, dk, false);
    product(UPPER, n, d, n, flipped(w.dl, CHUNK), (struct right){ w.k, d }, dk, true);
    product(UPPER, n, d, n, flipped(w.da, CHUNK), (struct right){ w.q, d }, dk, true);
}

/* to += by (left st): a gradient of scaled rows. With decay, the product of the two goes to every g that the row is
 * scaled by: e^b by those up to its own step (`past`), e^{b_C - b} by those behind it. */
static void back_scaled(struct piece p, struct size z, struct space w, const float *left, const float *scaled,
                        const float *by, bool past, float *to)
{
    ptrdiff_t d = z.kw;
    float sum = 0;

    product(WHOLE, p.n, d, z.vw, plain(left, z.vw), (struct right){ w.st, d }, (struct result){ p.g ? w.dx : to, d },
            !p.g);
    if (!p.g)
        return;
    for (ptrdiff_t i = p.n - 1; past && i >= 0; i--)
        w.dg[i] += sum += dot(w.dx + i * d, scaled + i * d, d);
    for (ptrdiff_t i = 1; !past && i < p.n; i++)
        w.dg[i] += sum += dot(w.dx + (i - 1) * d, scaled + (i - 1) * d, d);
    give(w.dx, p.n, d, by, to, d);
}

static void back_chunk(const struct as_call *c, struct size z, struct piece p, struct space w, const float *s,
                       const float *r)
{
    ptrdiff_t n = p.n, d = z.vw, columns = up(n, WIDE), ss = z.kw * d;
    struct right dout = { w.y, d }, turned = { w.turned, CHUNK };
    struct result ds = { w.ds, d };
    float through = 0;

    prepare(p, z, w, true);
    take(c->dy + p.at * z.dv, p.ldv, n, z.dv, NULL, w.y);
    weigh(r, n, d, w.beta, 1, w.n);
    transpose(w.n, d, n, d, w.turned, CHUNK);
    product(UPPER, n, d, n, flipped(w.a, CHUNK), dout, (struct result){ w.z, d }, false);
    product(WHOLE, n, d, z.kw, plain(w.kd, z.kw), (struct right){ w.ds, d }, (struct result){ w.z, d }, true);
    memset(w.z + n * d, 0, (size_t)((columns - n) * d) * sizeof *w.z);
    solve_upper(w.m, n, d, w.z);
    weigh(w.z, n, d, w.beta, -1, w.x);
    for (ptrdiff_t i = 0; c->dx[BETA] && i < n; i++)
        c->dx[BETA][p.at + i * p.ldh] += dot(w.z + i * d, r + i * d, d);
    product(TRIANGLE, n, columns, d, plain(w.y, d), turned, (struct result){ w.da, CHUNK }, false);
    product(TRIANGLE, n, columns, d, plain(w.x, d), turned, (struct result){ w.dl, CHUNK }, false);
    back_scores(p, w);
    back_rows(p, z, w);
    transpose(s, d, z.kw, d, w.st, z.kw);
    back_scaled(p, z, w, w.y, w.qb, w.before, true, w.dq);
    back_scaled(p, z, w, w.x, w.kb, w.before, true, w.dk);
    transpose(w.ds, d, z.kw, d, w.st, z.kw);
    back_scaled(p, z, w, w.n, w.kd, w.after, false, w.dk);
    if (c->dx[Q])
        give(w.dq, n, z.dk, NULL, c->dx[Q] + p.at * z.dk, p.ldk);
    if (c->dx[K])
        give(w.dk, n, z.dk, NULL, c->dx[K] + p.at * z.dk, p.ldk);
    for (ptrdiff_t i = 0; c->dx[V] && i < n; i++)
        for (ptrdiff_t j = 0; j < z.dv; j++)
            c->dx[V][(p.at + i * p.ldh) * z.dv + j] -= w.x[i * d + j];
    if (p.g) {
        through = w.before[n - 1] * dot(w.ds, s, ss);
        scale(w.ds, ss, w.before[n - 1]);
    }
    product(WHOLE, z.kw, d, n, flipped(w.qb, z.kw), dout, ds, true);
    product(WHOLE, z.kw, d, n, flipped(w.kb, z.kw), (struct right){ w.x, d }, ds, true);
    for (ptrdiff_t i = 0; p.g && c->dx[G] && i < n; i++)
        c->dx[G][p.at + i * p.ldh] += w.dg[i] + through;
}

static void backward_row(const struct as_call *c, struct size z, float *scratch, ptrdiff_t row)
{
    struct space w = space_at(c, z, scratch);
    ptrdiff_t ss = z.kw * z.vw;

    memset(w.ds, 0, (size_t)ss * sizeof *w.ds);
    for (ptrdiff_t at = up(steps_of(c, z, row), CHUNK) / CHUNK - 1; at >= 0; at--)
        back_chunk(c, z, piece_at(c, z, row, at * CHUNK), w,
                   (const float *)c->saved[STATES] + (row * z.chunks + at) * ss,
                   (const float *)c->saved[NEW] + (row * z.chunks + at) * CHUNK * z.vw);
}

static void backward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    run_rows(c, space_size(z), 3 * flop(z), backward_row);
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
};

const struct as_plugin AS_PLUGIN(core__delta_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunk } };

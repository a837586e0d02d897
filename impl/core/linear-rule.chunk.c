/* Linear attention with or without decay, a chunk of steps at a time by matrix products.
 *
 * Within a chunk with state S before it, b_i = g_1 + ... + g_i, A_ij = exp(b_i - b_j) q_i.k_j for j <= i:
 *     O = (e^b Q) S + A V          S <- e^{b_C} S + (e^{b_C - b} K)^T V
 * and back:
 *     dA = dO V^T   d(e^b Q) = dO S^T   d(e^{b_C - b} K) = V dS^T   dV = A^T dO + (e^{b_C - b} K) dS
 *     dS <- e^{b_C} dS + (e^b Q)^T dO
 * The gradient of g_t is the sum of dG_ij G_ij over all j < t <= i, the states before and after counting as j and i:
 * every term has e^{g_t} in it. As a sum of gradients of b, what does not would have to cancel; with g = -1e9, as exp()
 * of a weight may make it, nothing may be left of it.
 * Only the states at the chunks' starts are kept for the way back.
 */
#include "chunk-rows.h"

enum { G = V + 1 };

/* Scratch of one lane. qb, kd: e^b Q, e^{b_C - b} K; without decay Q and K. */
struct space {
    float *f, *a, *da;                       /* (C, C): G, A and its gradient */
    float *q, *k, *qb, *kd, *dq, *dk, *dx;   /* (C, kw) */
    float *v, *y, *dv;                       /* (C, vw); y: dO on the way back */
    float *s, *ds, *st;                      /* (kw, vw), S^T (vw, kw) */
    float *turned;                           /* K^T (kw, C) or V^T (vw, C) */
    float *e, *before, *after, *dg;          /* (C): e^g, e^b, e^{b_C - b}, the gradient of g */
};

enum { SQUARES = 3, KEYS = 7, VALUES = 3, VECTORS = 4 };

static size_t space_size(struct size z)
{
    return (size_t)(SQUARES * CHUNK * CHUNK + KEYS * CHUNK * z.kw + VALUES * CHUNK * z.vw + 3 * z.kw * z.vw +
                    CHUNK * (z.kw > z.vw ? z.kw : z.vw) + VECTORS * CHUNK);
}

static struct space space_at(const struct as_call *c, struct size z, float *p)
{
    float *key[KEYS];
    struct space w;

    w.f = cut(&p, CHUNK * CHUNK);
    w.a = cut(&p, CHUNK * CHUNK);
    w.da = cut(&p, CHUNK * CHUNK);
    for (int i = 0; i < KEYS; i++)
        key[i] = cut(&p, CHUNK * z.kw);
    w.q = key[0]; w.k = key[1]; w.dq = key[2]; w.dk = key[3]; w.dx = key[4];
    w.qb = c->n_in > G ? key[5] : w.q;
    w.kd = c->n_in > G ? key[6] : w.k;
    w.v = cut(&p, CHUNK * z.vw);
    w.y = cut(&p, CHUNK * z.vw);
    w.dv = cut(&p, CHUNK * z.vw);
    w.s = cut(&p, z.kw * z.vw);
    w.ds = cut(&p, z.kw * z.vw);
    w.st = cut(&p, z.kw * z.vw);
    w.turned = cut(&p, CHUNK * (z.kw > z.vw ? z.kw : z.vw));
    w.e = p; w.before = p + CHUNK; w.after = p + 2 * CHUNK; w.dg = p + 3 * CHUNK;
    return w;
}

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);

    plan_rows(r, z, space_size(z));
}

/* One chunk of one head. Row i of q is q + i ldk. Before the first one S is 0, and behind the last one dS: products with
 * them are left out. */
struct piece { const float *q, *k, *v, *g; ptrdiff_t at, n, ldk, ldv, ldh; bool first, last; };

static struct piece piece_at(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t t0)
{
    ptrdiff_t p = place_of(z, row, t0), left = steps_of(c, z, row) - t0;

    return (struct piece){ .q = c->x[Q] + p * z.dk, .k = c->x[K] + p * z.dk, .v = c->x[V] + p * z.dv,
                           .g = c->n_in > G ? c->x[G] + p : NULL, .at = p,
                           .n = least(CHUNK, left), .ldk = z.heads * z.dk, .ldv = z.heads * z.dv, .ldh = z.heads,
                           .first = t0 == 0, .last = left <= CHUNK };
}

/* Rows and their scaled copies, decays, and A with zeros above its diagonal. */
static void prepare(struct piece p, struct size z, struct space w)
{
    ptrdiff_t n = p.n, columns = up(n, WIDE);

    take(p.q, p.ldk, n, z.dk, NULL, w.q);
    take(p.k, p.ldk, n, z.dk, NULL, w.k);
    take(p.v, p.ldv, n, z.dv, NULL, w.v);
    if (p.g) {
        decays(p.g, p.ldh, n, w.e, w.before, w.after);
        take(p.q, p.ldk, n, z.dk, w.before, w.qb);
        take(p.k, p.ldk, n, z.dk, w.after, w.kd);
    }
    transpose(w.k, z.kw, n, z.kw, w.turned, CHUNK);
    product(TRIANGLE, n, columns, z.kw, plain(w.q, z.kw), (struct right){ w.turned, CHUNK },
            (struct result){ w.a, CHUNK }, false);
    for (ptrdiff_t i = 0; p.g && i < n; i++) {
        float *a = w.a + i * CHUNK, *f = w.f + i * CHUNK;

        decay_row(i, w.e[i], f);
        for (ptrdiff_t j = 0; j < up(i, LANE); j += LANE)
            as_store(a + j, as_load(a + j) * as_load(f + j));
    }
    clear_above(w.a, n, 1);
}

static void forward_chunk(const struct as_call *c, struct size z, struct piece p, struct space w)
{
    ptrdiff_t n = p.n, d = z.vw;
    float *y = c->y + p.at * z.dv;
    struct result o = d == z.dv ? (struct result){ y, p.ldv } : (struct result){ w.y, d };

    prepare(p, z, w);
    if (!p.first)
        product(WHOLE, n, d, z.kw, plain(w.qb, z.kw), (struct right){ w.s, d }, o, false);
    product(LOWER, n, d, n, plain(w.a, CHUNK), (struct right){ w.v, d }, o, !p.first);
    for (ptrdiff_t i = 0; d != z.dv && i < n; i++)
        memcpy(y + i * p.ldv, w.y + i * d, (size_t)z.dv * sizeof *y);
    if (p.last)
        return;
    if (p.g)
        scale(w.s, z.kw * d, w.before[n - 1]);
    product(WHOLE, z.kw, d, n, flipped(w.kd, z.kw), (struct right){ w.v, d }, (struct result){ w.s, d }, true);
}

static void ask_for(struct piece p, struct size z)
{
    ask(p.q, p.ldk, p.n, z.dk);
    ask(p.k, p.ldk, p.n, z.dk);
    ask(p.v, p.ldv, p.n, z.dv);
}

static void ask_for_gradients(const struct as_call *c, struct piece p, struct size z)
{
    if (c->dx[Q])
        ask(c->dx[Q] + p.at * z.dk, p.ldk, p.n, z.dk);
    if (c->dx[K])
        ask(c->dx[K] + p.at * z.dk, p.ldk, p.n, z.dk);
    if (c->dx[V])
        ask(c->dx[V] + p.at * z.dv, p.ldv, p.n, z.dv);
    ask(c->dy + p.at * z.dv, p.ldv, p.n, z.dv);
}

static void forward_row(const struct as_call *c, struct size z, float *scratch, ptrdiff_t row)
{
    struct space w = space_at(c, z, scratch);
    ptrdiff_t ss = z.kw * z.vw, steps = steps_of(c, z, row);

    memset(w.s, 0, (size_t)ss * sizeof *w.s);
    for (ptrdiff_t t0 = 0, at = row * z.chunks; t0 < steps; t0 += CHUNK, at++) {
        if (c->saved)
            memcpy((float *)c->saved[0] + at * ss, w.s, (size_t)ss * sizeof *w.s);
        if (t0 + CHUNK < steps)
            ask_for(piece_at(c, z, row, t0 + CHUNK), z);
        forward_chunk(c, z, piece_at(c, z, row, t0), w);
    }
    clear_rest(c, z, row);
}

/* dA over its triangle: scaled by the decays for q and k, and to g. Rows from the last to the first; below_j: what
 * the rows so far have sent to the decay behind step j. */
static void back_scores(struct piece p, struct space w)
{
    ptrdiff_t columns = up(p.n, WIDE);
    float below[CHUNK] = { 0 };

    for (ptrdiff_t i = p.n - 1; i >= 0; i--) {
        float *da = w.da + i * CHUNK, own = da[i];
        const float *a = w.a + i * CHUNK, *f = w.f + i * CHUNK;
        vec sum = { 0 };

        memset(da + i, 0, (size_t)(columns - i) * sizeof *da);
        below[i] = 0;                        /* from here on up step i is not before the decay */
        for (ptrdiff_t j = 0; j < up(i, LANE); j += LANE) {
            vec one = as_fma(as_load(da + j), as_load(a + j), as_load(below + j));

            sum += one;
            as_store(below + j, one);
            as_store(da + j, as_load(da + j) * as_load(f + j));
        }
        w.dg[i] = lanes_sum(sum);
        da[i] = own;                         /* G_ii = 1: nothing to g */
    }
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

static void back_chunk(const struct as_call *c, struct size z, struct piece p, struct space w, const float *s)
{
    ptrdiff_t n = p.n, d = z.vw, ss = z.kw * d;
    struct right dout = { w.y, d };
    float through = 0;

    prepare(p, z, w);
    take(c->dy + p.at * z.dv, p.ldv, n, z.dv, NULL, w.y);
    if (c->dx[V]) {
        product(UPPER, n, d, n, flipped(w.a, CHUNK), dout, (struct result){ w.dv, d }, false);
        if (!p.last)
            product(WHOLE, n, d, z.kw, plain(w.kd, z.kw), (struct right){ w.ds, d }, (struct result){ w.dv, d }, true);
        give(w.dv, n, z.dv, NULL, c->dx[V] + p.at * z.dv, p.ldv);
    }
    transpose(w.v, d, n, d, w.turned, CHUNK);
    product(TRIANGLE, n, up(n, WIDE), d, plain(w.y, d), (struct right){ w.turned, CHUNK },
            (struct result){ w.da, CHUNK }, false);
    if (p.g)
        back_scores(p, w);
    else
        clear_above(w.da, n, 1);
    product(LOWER, n, z.kw, n, plain(w.da, CHUNK), (struct right){ w.k, z.kw }, (struct result){ w.dq, z.kw }, false);
    product(UPPER, n, z.kw, n, flipped(w.da, CHUNK), (struct right){ w.q, z.kw }, (struct result){ w.dk, z.kw }, false);
    if (!p.first) {
        transpose(s, d, z.kw, d, w.st, z.kw);
        back_scaled(p, z, w, w.y, w.qb, w.before, true, w.dq);
    }
    if (!p.last) {
        transpose(w.ds, d, z.kw, d, w.st, z.kw);
        back_scaled(p, z, w, w.v, w.kd, w.after, false, w.dk);
    }
    if (c->dx[Q])
        give(w.dq, n, z.dk, NULL, c->dx[Q] + p.at * z.dk, p.ldk);
    if (c->dx[K])
        give(w.dk, n, z.dk, NULL, c->dx[K] + p.at * z.dk, p.ldk);
    if (p.g && !p.first && !p.last) {
        through = w.before[n - 1] * dot(w.ds, s, ss);
        scale(w.ds, ss, w.before[n - 1]);
    }
    if (!p.first)
        product(WHOLE, z.kw, d, n, flipped(w.qb, z.kw), dout, (struct result){ w.ds, d }, true);
    for (ptrdiff_t i = 0; p.g && c->dx[G] && i < n; i++)
        c->dx[G][p.at + i * p.ldh] += w.dg[i] + through;
}

static void backward_row(const struct as_call *c, struct size z, float *scratch, ptrdiff_t row)
{
    struct space w = space_at(c, z, scratch);
    ptrdiff_t ss = z.kw * z.vw;

    memset(w.ds, 0, (size_t)ss * sizeof *w.ds);
    for (ptrdiff_t n = up(steps_of(c, z, row), CHUNK) / CHUNK - 1; n >= 0; n--) {
        if (n > 0) {
            struct piece next = piece_at(c, z, row, (n - 1) * CHUNK);

            ask_for(next, z);
            ask_for_gradients(c, next, z);
        }
        back_chunk(c, z, piece_at(c, z, row, n * CHUNK), w, (const float *)c->saved[0] + (row * z.chunks + n) * ss);
    }
}

/* Of a step of a head. */
static double flop(struct size z)
{
    return 4.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(z.dk + z.dv);
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    run_rows(c, space_size(z), flop(z), forward_row);
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
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

const struct as_plugin AS_PLUGIN(core__linear_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunk } };

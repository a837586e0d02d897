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

/* Scratch of one lane. The first are rooms for what is not read or written where it stands; prepare() says what is. */
struct space {
    float *q_room, *k_room, *dq_room, *dk_room, *v_room, *y_room, *dv_room;
    struct right q, k, qb, kd;               /* (C, kw); qb, kd: e^b Q, e^{b_C - b} K; without decay Q and K */
    struct right v, y;                       /* (C, vw); y: dO on the way back */
    float *f, *a, *da;                       /* (C, C): G, A and its gradient */
    float *scaled_q, *scaled_k, *dx;         /* (C, kw) */
    float *s, *ds, *st;                      /* (kw, vw): the row's S, or its dS on the way back; S^T (vw, kw) */
    float *turned;                           /* K^T (kw, C) or V^T (vw, C) */
    float *e, *before, *after, *dg;          /* (C): e^g, e^b, e^{b_C - b}, the gradient of g */
};

enum { SQUARES = 3, KEYS = 7, VALUES = 3, VECTORS = 4 };

static size_t space_size(struct size z)
{
    return (size_t)(SQUARES * CHUNK * CHUNK + KEYS * CHUNK * z.kw + VALUES * CHUNK * z.vw + z.kw * z.vw +
                    CHUNK * (z.kw > z.vw ? z.kw : z.vw) + VECTORS * CHUNK);
}

static struct space space_at(struct size z, float *p, float *state)
{
    float *key[KEYS];
    struct space w = { .s = state, .ds = state };

    w.f = cut(&p, CHUNK * CHUNK);
    w.a = cut(&p, CHUNK * CHUNK);
    w.da = cut(&p, CHUNK * CHUNK);
    for (int i = 0; i < KEYS; i++)
        key[i] = cut(&p, CHUNK * z.kw);
    w.q_room = key[0]; w.k_room = key[1]; w.dq_room = key[2]; w.dk_room = key[3]; w.dx = key[4];
    w.scaled_q = key[5]; w.scaled_k = key[6];
    w.v_room = cut(&p, CHUNK * z.vw);
    w.y_room = cut(&p, CHUNK * z.vw);
    w.dv_room = cut(&p, CHUNK * z.vw);
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
static void prepare(struct piece p, struct size z, struct space *w)
{
    ptrdiff_t n = p.n, columns = up(n, WIDE);

    w->q = w->qb = stand(p.q, p.ldk, n, z.dk, w->q_room);
    w->k = w->kd = stand(p.k, p.ldk, n, z.dk, w->k_room);
    w->v = stand(p.v, p.ldv, n, z.dv, w->v_room);
    if (p.g) {
        decays(p.g, p.ldh, n, w->e, w->before, w->after);
        take(p.q, p.ldk, n, z.dk, w->before, w->scaled_q);
        take(p.k, p.ldk, n, z.dk, w->after, w->scaled_k);
        w->qb = (struct right){ w->scaled_q, z.kw };
        w->kd = (struct right){ w->scaled_k, z.kw };
    }
    transpose(w->k.x, w->k.ld, n, z.kw, w->turned, CHUNK);
    product(TRIANGLE, n, columns, z.kw, rows_of(w->q), (struct right){ w->turned, CHUNK }, (struct result){ w->a, CHUNK },
            false);
    for (ptrdiff_t i = 0; p.g && i < n; i++) {
        float *a = w->a + i * CHUNK, *f = w->f + i * CHUNK;

        decay_row(i, w->e[i], f);
        for (ptrdiff_t j = 0; j < up(i, LANE); j += LANE)
            as_store(a + j, as_load(a + j) * as_load(f + j));
    }
    clear_above(w->a, n, 1);
}

static void forward_chunk(const struct as_call *c, struct size z, struct piece p, struct space w)
{
    ptrdiff_t n = p.n, d = z.vw;
    float *y = c->y + p.at * z.dv;
    struct result o = aim(y, p.ldv, z.dv, true, w.y_room);

    prepare(p, z, &w);
    if (!p.first)
        product(WHOLE, n, d, z.kw, rows_of(w.qb), (struct right){ w.s, d }, o, false);
    product(LOWER, n, d, n, plain(w.a, CHUNK), w.v, o, !p.first);
    hand_over(o, n, z.dv, y, p.ldv, true);
    if (p.last)
        return;
    if (p.g)
        scale(w.s, z.kw * d, w.before[n - 1]);
    product(WHOLE, z.kw, d, n, columns_of(w.kd), w.v, (struct result){ w.s, d }, true);
}

static void forward_turn(const struct as_call *c, struct size z, float *scratch, float *s, float *kept, ptrdiff_t row,
                         ptrdiff_t t0)
{
    (void)kept;
    forward_chunk(c, z, piece_at(c, z, row, t0), space_at(z, scratch, s));
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

static void back_chunk(const struct as_call *c, struct size z, struct piece p, struct space w, const float *s)
{
    ptrdiff_t n = p.n, d = z.vw, ss = z.kw * d;
    float *to[V + 1], through = 0;
    struct result dq, dk, dv;

    for (int i = Q; i <= V; i++)
        to[i] = c->dx[i] ? c->dx[i] + p.at * (i == V ? z.dv : z.dk) : NULL;
    dq = aim(to[Q], p.ldk, z.dk, c->fresh[Q], w.dq_room);
    dk = aim(to[K], p.ldk, z.dk, c->fresh[K], w.dk_room);
    dv = aim(to[V], p.ldv, z.dv, c->fresh[V], w.dv_room);
    prepare(p, z, &w);
    w.y = stand(c->dy + p.at * z.dv, p.ldv, n, z.dv, w.y_room);
    if (c->dx[V]) {
        product(UPPER, n, d, n, flipped(w.a, CHUNK), w.y, dv, false);
        if (!p.last)
            product(WHOLE, n, d, z.kw, rows_of(w.kd), (struct right){ w.ds, d }, dv, true);
        hand_over(dv, n, z.dv, to[V], p.ldv, c->fresh[V]);
    }
    transpose(w.v.x, w.v.ld, n, d, w.turned, CHUNK);
    product(TRIANGLE, n, up(n, WIDE), d, rows_of(w.y), (struct right){ w.turned, CHUNK }, (struct result){ w.da, CHUNK },
            false);
    if (p.g)
        back_scores(p, w);
    else
        clear_above(w.da, n, 1);
    product(LOWER, n, z.kw, n, plain(w.da, CHUNK), w.k, dq, false);
    product(UPPER, n, z.kw, n, flipped(w.da, CHUNK), w.q, dk, false);
    if (!p.first) {
        transpose(s, d, z.kw, d, w.st, z.kw);
        back_scaled(p, z, w, w.y, w.qb.x, w.before, true, dq);
    }
    if (!p.last) {
        transpose(w.ds, d, z.kw, d, w.st, z.kw);
        back_scaled(p, z, w, w.v, w.kd.x, w.after, false, dk);
    }
    hand_over(dq, n, z.dk, to[Q], p.ldk, c->fresh[Q]);
    hand_over(dk, n, z.dk, to[K], p.ldk, c->fresh[K]);
    if (p.g && !p.first && !p.last) {
        through = w.before[n - 1] * dot(w.ds, s, ss);
        scale(w.ds, ss, w.before[n - 1]);
    }
    if (!p.first)
        product(WHOLE, z.kw, d, n, columns_of(w.qb), w.y, (struct result){ w.ds, d }, true);
    for (ptrdiff_t i = 0; p.g && c->dx[G] && i < n; i++)
        give_one(c->dx[G] + p.at + i * p.ldh, w.dg[i] + through, c->fresh[G]);
}

static void backward_turn(const struct as_call *c, struct size z, float *scratch, float *ds, float *kept, ptrdiff_t row,
                          ptrdiff_t t0)
{
    back_chunk(c, z, piece_at(c, z, row, t0), space_at(z, scratch, ds), kept);
}

/* Of a step of a head. */
static double flop(struct size z)
{
    return 4.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(z.dk + z.dv);
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    run_rows((struct rows){ c, space_size(z), forward_turn, false, -1 }, flop(z));
}

static void backward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    run_rows((struct rows){ c, space_size(z), backward_turn, true, -1 }, 3 * flop(z));
}

static const struct as_impl chunk = {
    .abi = ASSAY_ABI,
    .name = "chunk",
    .rank = 20,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .fresh = true,
    .flop = flop_by_triangles,
};

const struct as_plugin AS_PLUGIN(core__linear_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunk } };

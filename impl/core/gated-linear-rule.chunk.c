/* The gated linear rule a chunk of steps at a time by matrix products (Yang et al. 2024, section 4.2).
 *
 * In a piece of a chunk, with the state S before it and F_i = a_2 o ... o a_i (per dimension of the key; F_1 = 1),
 *     Q' = F o Q    K' = K / F    S' = a_1 o S
 * turn the rule into plain linear attention, for F_i / F_j = a_{j+1} o ... o a_i:
 *     O = Q' S' + A V             A = tril(Q' K'^T)             S <- F_n o (S' + K'^T V)
 * and back, with dS that of the state behind the piece, dS' = F_n o dS, dA = tril(dO V^T):
 *     dQ' = dO S'^T + dA K'    dK' = V dS'^T + dA^T Q'    dV = A^T dO + K' dS'    dS <- a_1 o (dS' + Q'^T dO)
 * With dQ', dK' free of the terms j = i, the gradient of log_a_t is the sum of q'_i o dq'_i - k'_i o dk'_i over all
 * i >= t of the chunk, and of what goes through the state behind it.
 *
 * F_i is made from F_{i-1} by one product, so the quotient of two has the errors of the steps between them only. A
 * piece is the whole chunk of CHUNK steps, unless F would leave the powers of two between which Q' and K' have room:
 * there a piece ends and F begins anew at 1, so a gate may be 0. Where it ends depends on the gates so far, not on
 * later ones. Only the states at the chunks' starts are kept for the way back.
 */
#include "chunk-rows.h"

enum { LOG_A = V + 1 };

/* Scratch of one lane. */
struct space {
    float *a, *da;                           /* (C, C): A and its gradient, of one piece */
    float *gate, *f, *over;                  /* (C, kw): a at the start of each piece, F, 1 / F */
    float *q, *k, *dq, *dk, *dg;             /* (C, kw): Q', K', gradients of theirs, of Q and K, and of log_a */
    float *v_room, *y_room, *dv_room;        /* (C, vw): for what is not read or written where it stands */
    struct right v, y;                       /* (C, vw), where they stand; y: dO on the way back */
    struct result to_q, to_k, to_g, to_v;    /* where the gradients of Q, K, log_a and V go */
    float *s, *ds, *st;                      /* (kw, vw): S, the row's dS, S^T (vw, kw); S is the row's on the way there */
    float *turned;                           /* K'^T (kw, C) or V^T (vw, C) */
    float *tail;                             /* (kw) */
};

enum { KEYS = 8, VALUES = 3 };

static size_t space_size(struct size z)
{
    return (size_t)(2 * CHUNK * CHUNK + KEYS * CHUNK * z.kw + VALUES * CHUNK * z.vw + 2 * z.kw * z.vw +
                    CHUNK * (z.kw > z.vw ? z.kw : z.vw) + z.kw);
}

static struct space space_at(struct size z, float *p, float *state, bool back)
{
    float *key[KEYS];
    struct space w;

    w.a = cut(&p, CHUNK * CHUNK);
    w.da = cut(&p, CHUNK * CHUNK);
    for (int i = 0; i < KEYS; i++)
        key[i] = cut(&p, CHUNK * z.kw);
    w.gate = key[0]; w.f = key[1]; w.over = key[2]; w.q = key[3]; w.k = key[4]; w.dq = key[5]; w.dk = key[6]; w.dg = key[7];
    w.v_room = cut(&p, CHUNK * z.vw);
    w.y_room = cut(&p, CHUNK * z.vw);
    w.dv_room = cut(&p, CHUNK * z.vw);
    w.s = back ? cut(&p, z.kw * z.vw) : state;
    w.ds = state;
    w.st = cut(&p, z.kw * z.vw);
    w.turned = cut(&p, CHUNK * (z.kw > z.vw ? z.kw : z.vw));
    w.tail = p;
    return w;
}

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);

    plan_rows(r, z, space_size(z));
}

/* One chunk of one head: position `at` of its first step, steps, and the distance of its rows. Before the first one S
 * is 0, and behind the last one dS: products with them are left out. */
struct chunk { ptrdiff_t at, n, ldk, ldv; bool first, last; };

static struct chunk chunk_at(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t t0)
{
    ptrdiff_t left = steps_of(c, z, row) - t0;

    return (struct chunk){ .at = place_of(z, row, t0), .n = least(CHUNK, left),
                           .ldk = z.heads * z.dk, .ldv = z.heads * z.dv, .first = t0 == 0, .last = left <= CHUNK };
}

/* --- factors and pieces ------------------------------------------------------------------------------------- */

AS_INLINED ivec has_room(vec f) { return (f >= as_all(0x1p-64f)) & (f <= as_all(0x1p64f)); }

static bool in_all(ivec yes)
{
    int32_t one = -1;

    for (int l = 0; l < LANE; l++)
        one &= yes[l];
    return one != 0;
}

/* The first step of a piece that begins at `from` at which F has no room. */
static ptrdiff_t end_of_piece(struct space w, ptrdiff_t d, ptrdiff_t from, ptrdiff_t n)
{
    for (ptrdiff_t i = from + 1; i < n; i++) {
        ivec good = has_room(as_all(1));

        for (ptrdiff_t at = i * d; at < (i + 1) * d; at += LANE)
            good &= has_room(as_load(w.f + at));
        if (!in_all(good))
            return i;
    }
    return n;
}

/* A gate from its logarithm; one above e^88, which is next to infinity, counts as that. */
AS_INLINED vec gate_of(vec log_a)
{
    ivec large = log_a > as_all(88);

    return as_lanes_exp((vec)(((ivec)log_a & ~large) | ((ivec)as_all(88) & large)));
}

/* F, 1 / F, Q', K' of the steps `from` to n, as if they were one piece, and the first gate; log_a, q and k hold d numbers
 * a row. Whether F had room all the way. */
static bool make_piece(struct space w, ptrdiff_t d, ptrdiff_t from, ptrdiff_t n, struct right log_a, struct right q,
                       struct right k)
{
    ivec good = has_room(as_all(1));

    for (ptrdiff_t j = 0; j < d; j += LANE) {
        vec f = as_all(1);

        as_store(w.gate + from * d + j, gate_of(as_load(log_a.x + from * log_a.ld + j)));
        for (ptrdiff_t i = from; i < n; i++) {
            ptrdiff_t at = i * d + j;
            vec over;

            if (i > from) {
                f *= gate_of(as_load(log_a.x + i * log_a.ld + j));
                good &= has_room(f);
            }
            over = as_lanes_reciprocal(f);
            as_store(w.f + at, f);
            as_store(w.over + at, over);
            as_store(w.q + at, f * as_load(q.x + i * q.ld + j));
            as_store(w.k + at, over * as_load(k.x + i * k.ld + j));
        }
    }
    return in_all(good);
}

/* F, 1 / F, Q', K' and V of a chunk; first: the steps at which its pieces begin, and its end. The rooms of gradients, not
 * in use yet, take what does not stand in whole registers. */
static ptrdiff_t prepare(const struct as_call *c, struct size z, struct chunk p, struct space *w, ptrdiff_t *first)
{
    ptrdiff_t d = z.kw, n = p.n, pieces = 0;
    struct right log_a = stand(c->x[LOG_A] + p.at * z.dk, p.ldk, n, z.dk, w->dg);
    struct right q = stand(c->x[Q] + p.at * z.dk, p.ldk, n, z.dk, w->dq);
    struct right k = stand(c->x[K] + p.at * z.dk, p.ldk, n, z.dk, w->dk);

    w->v = stand(c->x[V] + p.at * z.dv, p.ldv, n, z.dv, w->v_room);
    for (ptrdiff_t from = 0; from < n; from = first[pieces]) {
        first[pieces++] = from;
        first[pieces] = make_piece(*w, d, from, n, log_a, q, k) ? n : end_of_piece(*w, d, from, n);
    }
    return pieces;
}

/* The rows of m from i0 on. */
static struct right behind(struct right m, ptrdiff_t i0) { return (struct right){ m.x + i0 * m.ld, m.ld }; }

/* Row i of s times by[i]. */
static void scale_rows(float *s, ptrdiff_t rows, ptrdiff_t d, const float *by)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        scale(s + i * d, d, by[i]);
}

/* A of the n steps from i0 on. */
static void scores(struct space w, ptrdiff_t d, ptrdiff_t i0, ptrdiff_t n)
{
    transpose(w.k + i0 * d, d, n, d, w.turned, CHUNK);
    product(TRIANGLE, n, up(n, WIDE), d, plain(w.q + i0 * d, d), (struct right){ w.turned, CHUNK },
            (struct result){ w.a, CHUNK }, false);
    clear_above(w.a, n, 1);
}

/* w.s from S' to the state behind the n steps from i0 on. */
static void advance(struct size z, struct space w, ptrdiff_t i0, ptrdiff_t n)
{
    product(WHOLE, z.kw, z.vw, n, flipped(w.k + i0 * z.kw, z.kw), behind(w.v, i0),
            (struct result){ w.s, z.vw }, true);
    scale_rows(w.s, z.kw, z.vw, w.f + (i0 + n - 1) * z.kw);
}

static void forward_chunk(const struct as_call *c, struct size z, struct chunk p, struct space w)
{
    ptrdiff_t first[CHUNK + 1], pieces = prepare(c, z, p, &w, first), d = z.vw;
    float *y = c->y + p.at * z.dv;
    struct result all = aim(y, p.ldv, z.dv, true, w.y_room);

    for (ptrdiff_t m = 0; m < pieces; m++) {
        ptrdiff_t i0 = first[m], n = first[m + 1] - i0;
        struct result o = { all.x + i0 * all.ld, all.ld };
        bool from_zero = p.first && m == 0, to_end = p.last && m == pieces - 1;

        scale_rows(w.s, z.kw, d, w.gate + i0 * z.kw);
        scores(w, z.kw, i0, n);
        if (!from_zero)
            product(WHOLE, n, d, z.kw, plain(w.q + i0 * z.kw, z.kw), (struct right){ w.s, d }, o, false);
        product(LOWER, n, d, n, plain(w.a, CHUNK), behind(w.v, i0), o, !from_zero);
        if (!to_end)
            advance(z, w, i0, n);
    }
    hand_over(all, p.n, z.dv, y, p.ldv, true);
}

/* --- the way back ------------------------------------------------------------------------------------------- */

/* Forward once more through the states, from s (NULL: 0): the part dO S'^T of dQ'. w.s becomes S' of the last piece. */
static void back_before(struct size z, struct space w, const ptrdiff_t *first, ptrdiff_t pieces, const float *s)
{
    ptrdiff_t d = z.kw;

    if (!s) {
        memset(w.s, 0, (size_t)(d * z.vw) * sizeof *s);
        memset(w.dq, 0, (size_t)(first[1] * d) * sizeof *s);
    } else
        memcpy(w.s, s, (size_t)(d * z.vw) * sizeof *s);
    for (ptrdiff_t m = 0; m < pieces; m++) {
        ptrdiff_t i0 = first[m], n = first[m + 1] - i0;

        if (m > 0)
            advance(z, w, first[m - 1], i0 - first[m - 1]);
        if (!s && m == 0)
            continue;
        scale_rows(w.s, d, z.vw, w.gate + i0 * d);
        transpose(w.s, z.vw, d, z.vw, w.st, d);
        product(WHOLE, n, d, z.vw, rows_of(behind(w.y, i0)), (struct right){ w.st, d },
                (struct result){ w.dq + i0 * d, d }, false);
    }
}

/* The part V dS'^T of dK' for the n steps from i0 on, w.ds becoming dS'; with `last`, those of the chunk, also w.tail:
 * the gradient of the logarithm of a gate behind them. */
static void back_behind(struct size z, struct space w, ptrdiff_t i0, ptrdiff_t n, bool last)
{
    ptrdiff_t d = z.kw;
    const float *k = w.k + i0 * d, *dk = w.dk + i0 * d;

    scale_rows(w.ds, d, z.vw, w.f + (i0 + n - 1) * d);
    transpose(w.ds, z.vw, d, z.vw, w.st, d);
    product(WHOLE, n, d, z.vw, rows_of(behind(w.v, i0)), (struct right){ w.st, d },
            (struct result){ w.dk + i0 * d, d }, false);
    if (!last)
        return;
    for (ptrdiff_t j = 0; j < d; j++)
        w.tail[j] = dot(w.ds + j * z.vw, w.s + j * z.vw, z.vw);
    for (ptrdiff_t j = 0; j < d; j += LANE) {
        vec sum = as_load(w.tail + j);

        for (ptrdiff_t at = j; at < n * d; at += d)
            sum = as_fma(as_load(k + at), as_load(dk + at), sum);
        as_store(w.tail + j, sum);
    }
}

/* From dQ', dK' without the terms j = i, and `own` for those, over the n steps from i0 on: the gradients of q, k, log_a. */
static void finish(struct space w, ptrdiff_t d, ptrdiff_t i0, ptrdiff_t n, const float *own)
{
    for (ptrdiff_t i = n - 1; i >= 0; i--)
        for (ptrdiff_t j = 0; j < d; j += LANE) {
            ptrdiff_t at = (i0 + i) * d + j;
            vec q = as_load(w.q + at), k = as_load(w.k + at), dq = as_load(w.dq + at), dk = as_load(w.dk + at);
            vec sum = as_load(w.tail + j) + (q * dq - k * dk);

            as_store(w.tail + j, sum);
            as_store(w.to_g.x + (i0 + i) * w.to_g.ld + j, sum);
            as_store(w.to_q.x + (i0 + i) * w.to_q.ld + j, as_load(w.f + at) * as_fma(as_all(own[i]), k, dq));
            as_store(w.to_k.x + (i0 + i) * w.to_k.ld + j, as_load(w.over + at) * as_fma(as_all(own[i]), q, dk));
        }
}

/* The n steps from i0 on; dq has its part dO S'^T. */
static void back_piece(const struct as_call *c, struct size z, struct chunk p, struct space w, ptrdiff_t i0, ptrdiff_t n)
{
    ptrdiff_t d = z.vw;
    struct right dout = behind(w.y, i0), v = behind(w.v, i0);
    struct left q = flipped(w.q + i0 * z.kw, z.kw);
    bool last = i0 + n == p.n, from_zero = p.last && last, to_end = p.first && i0 == 0;
    float own[CHUNK];

    if (from_zero) {
        memset(w.tail, 0, (size_t)z.kw * sizeof *w.tail);
        memset(w.dk + i0 * z.kw, 0, (size_t)(n * z.kw) * sizeof *w.dk);
    } else
        back_behind(z, w, i0, n, last);
    if (c->dx[V]) {
        struct result dv = { w.to_v.x + i0 * w.to_v.ld, w.to_v.ld };

        scores(w, z.kw, i0, n);
        product(UPPER, n, d, n, flipped(w.a, CHUNK), dout, dv, false);
        if (!from_zero)
            product(WHOLE, n, d, z.kw, plain(w.k + i0 * z.kw, z.kw), (struct right){ w.ds, d }, dv, true);
    }
    transpose(v.x, v.ld, n, d, w.turned, CHUNK);
    product(TRIANGLE, n, up(n, WIDE), d, rows_of(dout), (struct right){ w.turned, CHUNK },
            (struct result){ w.da, CHUNK }, false);
    for (ptrdiff_t i = 0; i < n; i++)
        own[i] = w.da[i * CHUNK + i];
    clear_above(w.da, n, 0);
    product(LOWER, n, z.kw, n, plain(w.da, CHUNK), (struct right){ w.k + i0 * z.kw, z.kw },
            (struct result){ w.dq + i0 * z.kw, z.kw }, true);
    product(UPPER, n, z.kw, n, flipped(w.da, CHUNK), (struct right){ w.q + i0 * z.kw, z.kw },
            (struct result){ w.dk + i0 * z.kw, z.kw }, true);
    finish(w, z.kw, i0, n, own);
    if (!to_end) {
        product(WHOLE, z.kw, d, n, q, dout, (struct result){ w.ds, d }, true);
        scale_rows(w.ds, z.kw, d, w.gate + i0 * z.kw);
    }
}

static struct result aim_at(const struct as_call *c, int port, ptrdiff_t width, ptrdiff_t at, ptrdiff_t ld, float *room)
{
    return aim(c->dx[port] ? c->dx[port] + at * width : NULL, ld, width, c->fresh[port], room);
}

static void give_to(const struct as_call *c, int port, struct result from, ptrdiff_t n, ptrdiff_t width, ptrdiff_t at,
                    ptrdiff_t ld)
{
    hand_over(from, n, width, c->dx[port] ? c->dx[port] + at * width : NULL, ld, c->fresh[port]);
}

static void back_chunk(const struct as_call *c, struct size z, struct chunk p, struct space w, const float *s)
{
    ptrdiff_t first[CHUNK + 1], pieces = prepare(c, z, p, &w, first);

    w.to_q = aim_at(c, Q, z.dk, p.at, p.ldk, w.dq);
    w.to_k = aim_at(c, K, z.dk, p.at, p.ldk, w.dk);
    w.to_g = aim_at(c, LOG_A, z.dk, p.at, p.ldk, w.dg);
    w.to_v = aim_at(c, V, z.dv, p.at, p.ldv, w.dv_room);
    w.y = stand(c->dy + p.at * z.dv, p.ldv, p.n, z.dv, w.y_room);
    back_before(z, w, first, pieces, p.first ? NULL : s);
    for (ptrdiff_t m = pieces - 1; m >= 0; m--)
        back_piece(c, z, p, w, first[m], first[m + 1] - first[m]);
    give_to(c, Q, w.to_q, p.n, z.dk, p.at, p.ldk);
    give_to(c, K, w.to_k, p.n, z.dk, p.at, p.ldk);
    give_to(c, V, w.to_v, p.n, z.dv, p.at, p.ldv);
    give_to(c, LOG_A, w.to_g, p.n, z.dk, p.at, p.ldk);
}

/* --- rows and lanes ----------------------------------------------------------------------------------------- */

static void forward_turn(const struct as_call *c, struct size z, float *scratch, float *s, float *kept, ptrdiff_t row,
                         ptrdiff_t t0)
{
    (void)kept;
    forward_chunk(c, z, chunk_at(c, z, row, t0), space_at(z, scratch, s, false));
}

static void backward_turn(const struct as_call *c, struct size z, float *scratch, float *ds, float *kept, ptrdiff_t row,
                          ptrdiff_t t0)
{
    back_chunk(c, z, chunk_at(c, z, row, t0), space_at(z, scratch, ds, true), kept);
}

/* Of a step of a head. Pieces of a chunk make a little more. */
static double flop(struct size z)
{
    return 4.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(2 * z.dk + z.dv);
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

static const struct as_impl chunked = {
    .abi = ASSAY_ABI,
    .name = "chunk",
    .rank = 20,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .fresh = true,
    .flop = flop_by_triangles,
};

const struct as_plugin AS_PLUGIN(core__gated_linear_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunked } };

/* softmax-attention-tiled.h: the kernel of softmax-attention.tiled.c (causal) and full-attention.tiled.c (not), which
 * say which they are by `enum { CAUSAL = 1 };` or 0 before they include this header.
 *
 * Queries and keys in tiles, the softmax carried along from one tile of keys to the next (Dao et al. 2022,
 * "FlashAttention", algorithm 1; Milakov & Gimelshein 2018): with m the largest score so far, per query
 *     m' = max(m, max_j s_j)    l <- e^{m - m'} l + sum_j e^{s_j - m'}    o <- e^{m - m'} o + sum_j e^{s_j - m'} v_j
 * and o / l at the end. Kept are the output, m and 1 / l, not the one number m + log l, whose rounding would count for
 * large scores; on the way back p_ij = exp(s_ij - m_i) / l_i is made again tile by tile from the same bits of s, and
 * D_i = do_i.o_i.
 *
 * A piece of work is LANES queries of one row (a head of a sequence), which stand side by side as columns, and makes
 * their o. On the way back it is LANES keys, for their dk and dv. Where there are rows enough to keep a team busy, a
 * lane of the work takes whole rows, and its pieces, one after the other, add up dq as well. Where there are few, dq
 * and D are made first, by pieces of queries with a p of their own (7 products in place of 5), so that no two pieces
 * add to one place. Tiles above the diagonal and beyond a row's length are never made; of a tile on the diagonal,
 * registers above it are not. The cut depends on the sizes alone and each sum has one order: the same bits for any
 * team.
 */
#ifndef ASSAY_SOFTMAX_ATTENTION_TILED_H
#define ASSAY_SOFTMAX_ATTENTION_TILED_H

#include "softmax-attention-pieces.h"

/* --- forward ----------------------------------------------------------------------------------------------- */

/* e^{scale s - m}, the same bits from the same products on both ways; 1 to the bit for the largest, so not fused. */
static inline vec weight_of(const float *s, vec scale, vec m) { return as_lanes_exp(scale * as_load(s) - m); }

/* One tile's step of the softmax for register v: s becomes the weights, o is stretched to the new maximum. `most` is
 * that of the products, before the scale. */
static void weigh(const struct extent *e, ptrdiff_t v, float scale, float *s, float *most, float *total, int first,
                  float *o, ptrdiff_t dv)
{
    ptrdiff_t from, n = visible(e, v, s, &from), j = 0;
    vec before = as_all(scale) * as_load(most + v * LANE), largest, sum = { 0 }, by;

    s += v * LANE;
    most += v * LANE;
    for (; j + 4 <= n; j += 4)
        raise(most, s + j * LANES, s + (j + 1) * LANES, s + (j + 2) * LANES, s + (j + 3) * LANES);
    for (; j < n; j++)
        raise(most, s + j * LANES, s + j * LANES, s + j * LANES, s + j * LANES);
    largest = as_all(scale) * as_load(most);
    for (j = 0; j < n; j++) {
        vec p = weight_of(s + j * LANES, as_all(scale), largest);

        as_store(s + j * LANES, p);
        sum += p;
    }
    by = as_lanes_exp(before - largest);
    as_store(total + v * LANE, as_fma(by, as_load(total + v * LANE), sum));
    for (ptrdiff_t d = 0; !first && d < dv; d++)
        as_store(o + d * LANES + v * LANE, by * as_load(o + d * LANES + v * LANE));
}

static void finish_queries(const struct as_call *c, const struct piece *p, ptrdiff_t i0, ptrdiff_t n, float *most,
                           float *total)
{
    float by[LANES];

    for (int l = 0; l < LANES; l++)
        by[l] = 1 / total[l];
    rows_of(p->sum_v, by, n, p->z.dv, c->y + p->at * p->z.dv + i0 * p->ldv, p->ldv, 0);
    if (!c->saved)
        return;
    for (ptrdiff_t l = 0; l < n; l++) {
        ((float *)c->saved[MOST])[p->row * p->z.time + i0 + l] = p->scale * most[l];
        ((float *)c->saved[PART])[p->row * p->z.time + i0 + l] = by[l];
    }
}

static void forward_piece(const struct as_call *c, struct piece *p)
{
    struct size z = p->z;
    ptrdiff_t i0 = p->tile * LANES, n = least(LANES, p->length - i0), vectors = (n + LANE - 1) / LANE;
    float most[LANES], total[LANES];

    for (ptrdiff_t i = i0 > p->length ? i0 : p->length; i < least(z.time, i0 + LANES); i++)
        memset(c->y + p->at * z.dv + i * p->ldv, 0, (size_t)z.dv * sizeof *c->y);
    if (n <= 0)
        return;
    for (int l = 0; l < LANES; l++) {
        most[l] = -INFINITY;
        total[l] = 0;
    }
    columns_of(c->x[Q] + p->at * z.dk + i0 * p->ldk, p->ldk, n, z.dk, 1, p->left_k);
    for (ptrdiff_t j0 = 0; j0 < (CAUSAL ? i0 + n : p->length); j0 += DEPTH) {
        struct extent e = { least(DEPTH, p->length - j0), vectors, CAUSAL && j0 == i0, 0 };
        struct rows k = keys_at(p, c->x[K], j0, e.rows);
        struct rows v = values_at(p, c->x[V], j0, e.rows);

        scores(&e, k, z.dk, p->left_k, p->s);
        for (ptrdiff_t w = 0; w < vectors; w++)
            weigh(&e, w, p->scale, p->s, most, total, j0 == 0, p->sum_v, z.dv);
        gather(&e, v, z.dv, p->s, p->sum_v, j0 > 0);
    }
    finish_queries(c, p, i0, n, most, total);
}

/* --- backward ---------------------------------------------------------------------------------------------- */

/* Of each query: m, 1 / l and D. */
struct query { const float *most, *part, *d; };

/* Columns are queries, register v: s becomes ds = p (dp - D). */
static void slope_of_queries(const struct extent *e, ptrdiff_t v, float scale, float *s, const float *dp, struct query q)
{
    ptrdiff_t from, n = visible(e, v, s, &from);
    vec most = as_load(q.most + v * LANE), part = as_load(q.part + v * LANE), mean = as_load(q.d + v * LANE);

    s += v * LANE;
    dp += v * LANE;
    for (ptrdiff_t j = 0; j < n; j++)
        as_store(s + j * LANES,
                 weight_of(s + j * LANES, as_all(scale), most) * part * (as_load(dp + j * LANES) - mean));
}

/* Columns are keys, register v: s becomes p, dp becomes ds; the rows are queries. */
static void slope_of_keys(const struct extent *e, ptrdiff_t v, float scale, float *s, float *dp, struct query q)
{
    ptrdiff_t from, n = visible(e, v, s, &from);

    s += v * LANE;
    dp += v * LANE;
    for (ptrdiff_t i = from; i < n; i++) {
        vec p = weight_of(s + i * LANES, as_all(scale), as_all(q.most[i])) * as_all(q.part[i]);

        as_store(s + i * LANES, p);
        as_store(dp + i * LANES, p * (as_load(dp + i * LANES) - as_all(q.d[i])));
    }
}

/* D of the tile's queries, from do as columns. */
static void means_of(const struct as_call *c, const struct piece *p, ptrdiff_t i0, ptrdiff_t n, float *d)
{
    float *o = p->sum_v;

    columns_of(c->y + p->at * p->z.dv + i0 * p->ldv, p->ldv, n, p->z.dv, 1, o);
    for (ptrdiff_t l = 0; l < n; l += LANE) {
        vec sum = { 0 };

        for (ptrdiff_t j = 0; j < p->z.dv; j++)
            sum = as_fma(as_load(o + j * LANES + l), as_load(p->left_v + j * LANES + l), sum);
        as_store(d + l, sum);
    }
    memcpy((float *)c->scratch[D] + p->row * p->z.time + i0, d, (size_t)n * sizeof *d);
}

/* By whole rows, before the first tile: D of all queries, dq = 0. */
static void begin_row(const struct as_call *c, const struct piece *p)
{
    const float *dy = c->dy + p->at * p->z.dv, *y = c->y + p->at * p->z.dv;
    float *d = (float *)c->scratch[D] + p->row * p->z.time;

    for (ptrdiff_t i = 0; i < p->length; i += 4) {      /* chains in order of j like dp's: where p is 1, dp - D is 0 */
        ptrdiff_t n = least(4, p->length - i);
        float sum[4] = { 0 };

        for (ptrdiff_t j = 0; j < p->z.dv; j++)
            for (ptrdiff_t l = 0; l < n; l++)
                sum[l] = AS_FMA(dy[(i + l) * p->ldv + j], y[(i + l) * p->ldv + j], sum[l]);
        memcpy(d + i, sum, (size_t)n * sizeof *d);
    }
    memset(p->dq.x, 0, (size_t)(p->length * p->dq.ld) * sizeof *p->dq.x);
}

/* k of the tile's keys for spread(), times the scale. */
static void set_right(const struct as_call *c, const struct piece *p, ptrdiff_t j0, ptrdiff_t n)
{
    const float *k = c->x[K] + p->at * p->z.dk + j0 * p->ldk;

    for (ptrdiff_t j = 0; j < n; j++) {
        float *to = p->right.x + j * p->right.ld;

        for (ptrdiff_t i = 0; i < p->z.dk; i++)
            to[i] = p->scale * k[j * p->ldk + i];
        for (ptrdiff_t i = p->z.dk; i < p->right.ld; i++)
            to[i] = 0;
    }
}

/* By whole rows, after the last tile. */
static void end_row(const struct as_call *c, const struct piece *p)
{
    float *dq = c->dx[Q] + p->at * p->z.dk;

    for (ptrdiff_t i = 0; i < p->length; i++)
#pragma omp simd
        for (ptrdiff_t j = 0; j < p->z.dk; j++)
            dq[i * p->ldk + j] = (c->fresh[Q] ? 0 : dq[i * p->ldk + j]) + p->dq.x[i * p->dq.ld + j];
}

/* The tile's steps in the padding have no gradient: 0 where there is nothing yet. */
static void clear_padding(const struct as_call *c, const struct piece *p, int port)
{
    ptrdiff_t i0 = p->tile * LANES, width = port == V ? p->z.dv : p->z.dk, ld = port == V ? p->ldv : p->ldk;

    if (c->dx[port] && c->fresh[port])
        for (ptrdiff_t i = i0 > p->length ? i0 : p->length; i < least(p->z.time, i0 + LANES); i++)
            memset(c->dx[port] + p->at * width + i * ld, 0, (size_t)width * sizeof(float));
}

static void queries_piece(const struct as_call *c, struct piece *p)
{
    struct size z = p->z;
    ptrdiff_t i0 = p->tile * LANES, n = least(LANES, p->length - i0), vectors = (n + LANE - 1) / LANE;
    float most[LANES] = { 0 }, part[LANES] = { 0 }, d[LANES], by[LANES];

    clear_padding(c, p, Q);
    if (n <= 0)
        return;
    columns_of(c->dy + p->at * z.dv + i0 * p->ldv, p->ldv, n, z.dv, 1, p->left_v);
    means_of(c, p, i0, n, d);
    if (!c->dx[Q])
        return;
    memcpy(most, (const float *)c->saved[MOST] + p->row * z.time + i0, (size_t)n * sizeof *most);
    memcpy(part, (const float *)c->saved[PART] + p->row * z.time + i0, (size_t)n * sizeof *part);
    columns_of(c->x[Q] + p->at * z.dk + i0 * p->ldk, p->ldk, n, z.dk, 1, p->left_k);
    for (ptrdiff_t j0 = 0; j0 < (CAUSAL ? i0 + n : p->length); j0 += DEPTH) {
        struct extent e = { least(DEPTH, p->length - j0), vectors, CAUSAL && j0 == i0, 0 };
        struct rows k = keys_at(p, c->x[K], j0, e.rows);
        struct rows v = values_at(p, c->x[V], j0, e.rows);

        scores(&e, k, z.dk, p->left_k, p->s);
        scores(&e, v, z.dv, p->left_v, p->dp);
        for (ptrdiff_t w = 0; w < vectors; w++)
            slope_of_queries(&e, w, p->scale, p->s, p->dp, (struct query){ most, part, d });
        gather(&e, k, z.dk, p->s, p->sum_k, j0 > 0);
    }
    for (int l = 0; l < LANES; l++)
        by[l] = p->scale;
    rows_of(p->sum_k, by, n, z.dk, c->dx[Q] + p->at * z.dk + i0 * p->ldk, p->ldk, !c->fresh[Q]);
}

static void keys_piece(const struct as_call *c, struct piece *p)
{
    struct size z = p->z;
    int with_dq = whole(z) && c->dx[Q];
    ptrdiff_t j0 = p->tile * LANES, n = least(LANES, p->length - j0), vectors = (n + LANE - 1) / LANE;
    ptrdiff_t first = CAUSAL ? j0 : 0;
    const float *most = (const float *)c->saved[MOST] + p->row * z.time;
    const float *part = (const float *)c->saved[PART] + p->row * z.time, *d = (float *)c->scratch[D] + p->row * z.time;
    float by[LANES];

    for (int port = whole(z) ? Q : K; port <= V; port++)
        clear_padding(c, p, port);
    if (n <= 0)
        return;
    if (whole(z) && j0 == 0)
        begin_row(c, p);
    if (with_dq)
        set_right(c, p, j0, n);
    columns_of(c->x[K] + p->at * z.dk + j0 * p->ldk, p->ldk, n, z.dk, 1, p->left_k);
    columns_of(c->x[V] + p->at * z.dv + j0 * p->ldv, p->ldv, n, z.dv, 1, p->left_v);
    for (ptrdiff_t i0 = first; i0 < p->length; i0 += DEPTH) {
        struct extent e = { least(DEPTH, p->length - i0), vectors, CAUSAL && j0 == i0, 1 };
        struct rows q = keys_at(p, c->x[Q], i0, e.rows);
        struct rows dy = values_at(p, c->dy, i0, e.rows);

        scores(&e, q, z.dk, p->left_k, p->s);
        scores(&e, dy, z.dv, p->left_v, p->dp);
        for (ptrdiff_t w = 0; w < vectors; w++)
            slope_of_keys(&e, w, p->scale, p->s, p->dp, (struct query){ most + i0, part + i0, d + i0 });
        gather(&e, dy, z.dv, p->s, p->sum_v, i0 > first);
        gather(&e, q, z.dk, p->dp, p->sum_k, i0 > first);
        if (with_dq)
            spread(&e, n, p->right, p->right.ld, p->dp, moved(p->dq, i0, 0));
    }
    if (with_dq && j0 + n == p->length)
        end_row(c, p);
    for (int l = 0; l < LANES; l++)
        by[l] = p->scale;
    if (c->dx[K])
        rows_of(p->sum_k, by, n, z.dk, c->dx[K] + p->at * z.dk + j0 * p->ldk, p->ldk, !c->fresh[K]);
    for (int l = 0; l < LANES; l++)
        by[l] = 1;
    if (c->dx[V])
        rows_of(p->sum_v, by, n, z.dv, c->dx[V] + p->at * z.dv + j0 * p->ldv, p->ldv, !c->fresh[V]);
}

/* --- the work cut ------------------------------------------------------------------------------------------ */

/* The pieces of one lane; again_k, again_v: what each piece of a row reads through. Where there are rows enough, whole
 * rows that lie side by side, so that what they share stays in the caches; else every so-manieth tile, those with most
 * work first: late queries, early keys. */
static void run_lane(const struct as_call *c, ptrdiff_t lane, void (*work)(const struct as_call *c, struct piece *p),
                     const float *again_k, const float *again_v, int late_first)
{
    struct size z = size_of(c->in);
    ptrdiff_t rows = z.batch * z.heads, tiles = tiles_of(z), n = lanes(z), by_rows = whole(z);
    ptrdiff_t end = by_rows ? (lane + 1) * rows / n * tiles : rows * tiles;

    for (ptrdiff_t i = by_rows ? lane * rows / n * tiles : lane; i < end; i += by_rows ? 1 : n) {
        ptrdiff_t tile = by_rows ? i % tiles : i / rows;
        struct piece p = piece_at(c, z, lane, by_rows ? i / tiles : i % rows, late_first ? tiles - 1 - tile : tile);

        if (p.row_k && tile == 0)
            lay_out(&p, again_k, again_v);
        work(c, &p);
    }
}

static void forward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;

    run_lane(c, lane, forward_piece, c->x[K], c->x[V], 1);
}

static void queries_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;

    run_lane(c, lane, queries_piece, c->x[K], c->x[V], 1);
}

static void keys_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;

    run_lane(c, lane, keys_piece, c->x[Q], c->dy, 0);
}

static double work(struct size z)
{
    return (double)z.batch * (double)z.heads * (double)z.time * (double)z.time * (CAUSAL ? 0.25 : 0.5) *
           (double)(z.dk + z.dv + 8);
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    as_parallel(lanes(z), work(z), forward_lane, (void *)c);
}

static void backward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    if (!whole(z))
        as_parallel(lanes(z), 1.5 * work(z), queries_lane, (void *)c);
    if (whole(z) || c->dx[K] || c->dx[V])
        as_parallel(lanes(z), 2 * work(z), keys_lane, (void *)c);
}

/* Two products there; on the way back five, or seven where queries and keys go apart. */
static double flop_of(const void *opt, int n_in, const struct as_spec *in, bool train)
{
    struct size z = size_of(in);
    double time = (double)z.time, pairs = (double)(z.batch * z.heads) * (CAUSAL ? time * (time + 1) / 2 : time * time);
    double k = (double)z.dk, v = (double)z.dv;

    (void)opt;
    (void)n_in;
    return 2 * pairs * (k + v + (!train ? 0 : whole(z) ? 3 * k + 2 * v : 4 * k + 3 * v));
}

static const struct as_impl tiled = {
    .abi = ASSAY_ABI,
    .name = "tiled",
    .rank = 20,
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .fresh = true,
    .flop = flop_of,
};

#endif

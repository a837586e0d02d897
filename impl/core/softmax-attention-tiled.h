/* softmax-attention-tiled.h: the kernel of softmax-attention.tiled.c (causal) and full-attention.tiled.c (not), which
 * say which they are by `enum { CAUSAL = 1 };` or 0 before they include this header.
 *
 * Queries and keys in tiles, the softmax carried along from one tile of keys to the next (Dao et al. 2022,
 * "FlashAttention", algorithm 1; Milakov & Gimelshein 2018): with m the largest score so far, per row
 *     m' = max(m, max_j s_j)    l <- e^{m - m'} l + sum_j e^{s_j - m'}    o <- e^{m - m'} o + sum_j e^{s_j - m'} v_j
 * and o / l at the end. Kept are the output and lse = m + log l; on the way back p_ij = exp(s_ij - lse_i) is made
 * again tile by tile, and D_i = do_i.o_i. Tiles above the diagonal and beyond a row's length are never made.
 *
 * Rows (batch times heads) are dealt to a fixed number of lanes, and one lane adds all that goes to one row in one
 * order: the same bits for any team.
 */
#ifndef ASSAY_SOFTMAX_ATTENTION_TILED_H
#define ASSAY_SOFTMAX_ATTENTION_TILED_H

#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <math.h>
#include <string.h>

struct opt { double scale; };                /* as in softmax-attention.h */

enum { Q, K, V };
enum { ROWS = 64, COLUMNS = 128, LANE = 16 }; /* of a tile: queries (at most), keys; widths are padded to LANE */
enum { OUT, LSE };                           /* saved: o as the output stands, (batch, heads, time) */

_Static_assert(COLUMNS % ROWS == 0, "the tiles of queries meet the diagonal where the tiles of keys begin");

struct size { ptrdiff_t batch, time, heads, dk, dv; };

static struct size size_of(const struct as_spec *in)
{
    return (struct size){ in[Q].dim[0], in[Q].dim[1], in[Q].dim[2], in[Q].dim[3], in[V].dim[3] };
}

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t up(ptrdiff_t n, ptrdiff_t to) { return (n + to - 1) / to * to; }

/* Queries of a tile: few where the triangle above the diagonal would be most of the work. */
static ptrdiff_t rows_of(struct size z) { return z.time > 2 * ROWS ? ROWS : ROWS / 2; }

/* A matrix of one (batch, head): steps by width, rows ld apart. Products whose width is no multiple of LANE are slow,
 * so such ones are worked on as padded copies; the others where they stand. */
struct matrix { float *x; ptrdiff_t ld; };

static ptrdiff_t padding_of(ptrdiff_t time, ptrdiff_t width) { return width % LANE ? time * up(width, LANE) : 0; }

/* Scratch of one lane: s, dp (ROWS, COLUMNS), m, l (ROWS), d (time), k and v transposed tile by tile, and the padded
 * copies of q, k, dq, dk and v, o (or do, dv). */
static size_t space_size(struct size z)
{
    ptrdiff_t tiles = up(z.time, COLUMNS), n = 2 * ROWS * COLUMNS + 2 * ROWS + up(z.time, LANE) + tiles * (z.dk + z.dv) +
        4 * padding_of(z.time, z.dk) + 3 * padding_of(z.time, z.dv);

    return (size_t)up(n, LANE);
}

static ptrdiff_t lanes(struct size z) { return z.batch * z.heads < 16 ? z.batch * z.heads : 16; }

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);
    size_t rows = as_size(as_size((size_t)z.batch, (size_t)z.heads), (size_t)z.time);

    if (r->gradients) {
        r->saved[OUT] = as_size(rows, (size_t)z.dv);
        r->saved[LSE] = rows;
    }
    r->scratch[0] = as_size((size_t)lanes(z), space_size(z));
}

/* One (batch, head). */
struct row {
    struct matrix q, k, v, dy, y, dq, dk, dv;    /* y: forward; dy and the gradients (x NULL: not wanted): backward */
    ptrdiff_t at, ldk, ldv, length, rows;
    float scale;
    float *s, *dp, *m, *l, *d, *kt, *vt, *lse, *free;
};

static struct row row_at(const struct as_call *c, struct size z, ptrdiff_t lane, ptrdiff_t row)
{
    double scale = ((const struct opt *)c->opt)->scale;
    struct row r = { .at = row / z.heads * z.time * z.heads + row % z.heads, .ldk = z.heads * z.dk,
                     .ldv = z.heads * z.dv, .length = c->length ? c->length[row / z.heads] : z.time, .rows = rows_of(z),
                     .scale = (float)(scale > 0 ? scale : 1 / sqrt((double)z.dk)),
                     .lse = c->saved ? (float *)c->saved[LSE] + row * z.time : NULL };

    r.s = (float *)c->scratch[0] + (size_t)lane * space_size(z);
    r.dp = r.s + ROWS * COLUMNS;
    r.m = r.dp + ROWS * COLUMNS;
    r.l = r.m + ROWS;
    r.d = r.l + ROWS;
    r.kt = r.d + up(z.time, LANE);
    r.vt = r.kt + up(z.time, COLUMNS) * z.dk;
    r.free = r.vt + up(z.time, COLUMNS) * z.dv;
    return r;
}

/* x (steps, width) as it stands, or as a copy in rows padded with zeros. */
static struct matrix padded(struct row *r, const float *x, ptrdiff_t ld, ptrdiff_t width)
{
    struct matrix m = { (float *)x, ld };        /* read only where x is const */

    if (width % LANE == 0)
        return m;
    m = (struct matrix){ r->free, up(width, LANE) };
    r->free += r->length * m.ld;
    for (ptrdiff_t i = 0; i < r->length; i++) {
        memset(m.x + i * m.ld + m.ld - LANE, 0, LANE * sizeof *m.x);
        memcpy(m.x + i * m.ld, x + i * ld, (size_t)width * sizeof *x);
    }
    return m;
}

/* Where sums for x (steps, width; NULL: none wanted) are made: x itself, or padded rows of zeros. */
static struct matrix sums(struct row *r, float *x, ptrdiff_t ld, ptrdiff_t width)
{
    struct matrix m = { x, ld };

    if (!x || width % LANE == 0)
        return m;
    m = (struct matrix){ r->free, up(width, LANE) };
    r->free += r->length * m.ld;
    memset(m.x, 0, (size_t)(r->length * m.ld) * sizeof *m.x);
    return m;
}

static void add_sums(const struct row *r, const struct matrix *m, float *x, ptrdiff_t ld, ptrdiff_t width)
{
    for (ptrdiff_t i = 0; m->x != x && i < r->length; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            x[i * ld + j] += m->x[i * m->ld + j];
}

/* x (steps, width) as tiles (width, COLUMNS), one after the other; zeros behind the last step. */
static void transpose(const struct row *r, const float *x, ptrdiff_t ld, ptrdiff_t width, float *xt)
{
    for (ptrdiff_t j0 = 0; j0 < r->length; j0 += COLUMNS, xt += width * COLUMNS) {
        ptrdiff_t n = least(COLUMNS, r->length - j0);

        for (ptrdiff_t j = 0; j < n; j++)
            for (ptrdiff_t i = 0; i < width; i++)
                xt[i * COLUMNS + j] = x[(j0 + j) * ld + i];
        for (ptrdiff_t i = 0; n < COLUMNS && i < width; i++)
            memset(xt + i * COLUMNS + n, 0, (size_t)(COLUMNS - n) * sizeof *xt);
    }
}

/* Keys of the tile from j0 that query i sees; the tile has n of them. */
static ptrdiff_t seen(ptrdiff_t i, ptrdiff_t j0, ptrdiff_t n) { return CAUSAL ? least(n, i - j0 + 1) : n; }

/* s = scale q k^T for queries i0.., keys j0..., and some columns more. */
static void scores(const struct row *r, struct size z, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t columns)
{
    as_gemm_one(0, 0, rows, up(columns, LANE), z.dk, r->scale, r->q.x + i0 * r->q.ld, r->q.ld, r->kt + j0 * z.dk, COLUMNS,
                0, r->s, COLUMNS);
}

/* The rows of a score tile go in whole registers: n is filled up with -inf, which weighs nothing, to a multiple of LANE.
 * Chosen, not added, so that what stands in a step that must not be seen is not seen even when it is infinite. */
static ptrdiff_t fill_up(float *s, ptrdiff_t n)
{
    ptrdiff_t from = n / LANE * LANE;

    if (from == n)
        return n;
#pragma omp simd
    for (int l = 0; l < LANE; l++)
        s[from + l] = l < (int)(n - from) ? s[from + l] : -INFINITY;
    return from + LANE;
}

/* The largest of n, a multiple of LANE, and most. */
static float largest(const float *s, ptrdiff_t n, float most)
{
    float m[LANE];

    for (int l = 0; l < LANE; l++)
        m[l] = most;
    for (ptrdiff_t j = 0; j < n; j += LANE)
#pragma omp simd
        for (int l = 0; l < LANE; l++)
            m[l] = s[j + l] > m[l] ? s[j + l] : m[l];
#pragma omp simd reduction(max : most)
    for (int l = 0; l < LANE; l++)
        most = m[l] > most ? m[l] : most;
    return most;
}

static float total(const float *s, ptrdiff_t n)
{
    float sum[LANE] = { 0 }, all = 0;

    for (ptrdiff_t j = 0; j < n; j += LANE)
#pragma omp simd
        for (int l = 0; l < LANE; l++)
            sum[l] += s[j + l];
#pragma omp simd reduction(+ : all)
    for (int l = 0; l < LANE; l++)
        all += sum[l];
    return all;
}

/* exp(s - by) for n, a multiple of LANE; zeros up to `columns`. */
static void exponentials(float *s, ptrdiff_t n, ptrdiff_t columns, float by)
{
    for (ptrdiff_t j = 0; j < n; j += LANE)
#pragma omp simd
        for (int l = 0; l < LANE; l++)
            s[j + l] -= by;
    as_vexp(n, s, s);
    if (n < columns)
        memset(s + n, 0, (size_t)(columns - n) * sizeof *s);
}

static float dot(const float *x, const float *y, ptrdiff_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t j = 0; j < n; j++)
        sum += x[j] * y[j];
    return sum;
}

static void stretch(float *y, ptrdiff_t n, float by)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++)
        y[j] *= by;
}

/* Queries i0.. over all keys that they see. y: where their output is made, r->y.ld apart. */
static void forward_tile(const struct row *r, struct size z, ptrdiff_t i0, ptrdiff_t rows, float *y)
{
    ptrdiff_t end = CAUSAL ? i0 + rows : r->length, ld = r->y.ld, wide = up(z.dv, LANE);

    for (ptrdiff_t j0 = 0; j0 < end; j0 += COLUMNS) {
        ptrdiff_t columns = least(COLUMNS, end - j0);

        scores(r, z, i0, rows, j0, columns);
        for (ptrdiff_t i = 0; i < rows; i++) {
            float *s = r->s + i * COLUMNS, most, before;
            ptrdiff_t n = fill_up(s, seen(i0 + i, j0, columns));

            most = largest(s, n, j0 ? r->m[i] : -INFINITY);
            exponentials(s, n, columns, most);
            if (j0) {
                before = expf(r->m[i] - most);
                stretch(y + i * ld, z.dv, before);
                r->l[i] = before * r->l[i] + total(s, n);
            } else
                r->l[i] = total(s, n);
            r->m[i] = most;
        }
        as_gemm_one(0, 0, rows, wide, columns, 1, r->s, COLUMNS, r->v.x + j0 * r->v.ld, r->v.ld, j0 ? 1 : 0, y, ld);
    }
}

static void forward_row(const struct as_call *c, struct size z, struct row *r)
{
    float *out = c->y + r->at * z.dv, *kept = c->saved ? (float *)c->saved[OUT] + r->at * z.dv : NULL;

    r->q = (struct matrix){ (float *)c->x[Q] + r->at * z.dk, r->ldk };
    r->v = padded(r, c->x[V] + r->at * z.dv, r->ldv, z.dv);
    r->y = sums(r, out, r->ldv, z.dv);
    transpose(r, c->x[K] + r->at * z.dk, r->ldk, z.dk, r->kt);
    for (ptrdiff_t i0 = 0; i0 < r->length; i0 += r->rows) {
        ptrdiff_t rows = least(r->rows, r->length - i0);

        forward_tile(r, z, i0, rows, r->y.x + i0 * r->y.ld);
        for (ptrdiff_t i = 0; i < rows; i++) {
            const float *o = r->y.x + (i0 + i) * r->y.ld;
            float *y = out + (i0 + i) * r->ldv, by = 1 / r->l[i];

            for (ptrdiff_t j = 0; j < z.dv; j++)
                y[j] = o[j] * by;
            if (!kept)
                continue;
            memcpy(kept + (i0 + i) * r->ldv, y, (size_t)z.dv * sizeof *y);
            r->lse[i0 + i] = r->m[i];
            r->d[i0 + i] = r->l[i];
        }
    }
    if (kept) {
        as_vlog(r->length, r->d, r->d);
        for (ptrdiff_t i = 0; i < r->length; i++)
            r->lse[i] += r->d[i];
    }
    for (ptrdiff_t i = r->length; i < z.time; i++)
        memset(out + i * r->ldv, 0, (size_t)z.dv * sizeof *out);
}

/* ds = scale p (dp - D), in place of p. */
static void back_scores(const struct row *r, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        float *s = r->s + i * COLUMNS, d = r->d[i0 + i];
        const float *dp = r->dp + i * COLUMNS;
        ptrdiff_t n = up(seen(i0 + i, j0, columns), LANE);     /* p is 0 behind that */

        for (ptrdiff_t j = 0; j < n; j += LANE)
#pragma omp simd
            for (int l = 0; l < LANE; l++)
                s[j + l] *= r->scale * (dp[j + l] - d);
    }
}

static void backward_tile(struct size z, const struct row *r, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0,
                          ptrdiff_t columns)
{
    const float *dy = r->dy.x + i0 * r->dy.ld;
    ptrdiff_t wide_k = up(z.dk, LANE), wide_v = up(z.dv, LANE);

    scores(r, z, i0, rows, j0, columns);
    for (ptrdiff_t i = 0; i < rows; i++) {
        float *s = r->s + i * COLUMNS;

        exponentials(s, fill_up(s, seen(i0 + i, j0, columns)), columns, r->lse[i0 + i]);
    }
    if (r->dv.x)
        as_gemm_one(1, 0, columns, wide_v, rows, 1, r->s, COLUMNS, dy, r->dy.ld, 1, r->dv.x + j0 * r->dv.ld, r->dv.ld);
    if (!r->dq.x && !r->dk.x)
        return;
    as_gemm_one(0, 0, rows, up(columns, LANE), z.dv, 1, dy, r->dy.ld, r->vt + j0 * z.dv, COLUMNS, 0, r->dp, COLUMNS);
    back_scores(r, i0, rows, j0, columns);
    if (r->dq.x)
        as_gemm_one(0, 0, rows, wide_k, columns, 1, r->s, COLUMNS, r->k.x + j0 * r->k.ld, r->k.ld, 1,
                    r->dq.x + i0 * r->dq.ld, r->dq.ld);
    if (r->dk.x)
        as_gemm_one(1, 0, columns, wide_k, rows, 1, r->s, COLUMNS, r->q.x + i0 * r->q.ld, r->q.ld, 1,
                    r->dk.x + j0 * r->dk.ld, r->dk.ld);
}

static void backward_row(const struct as_call *c, struct size z, struct row *r)
{
    const float *dy = c->dy + r->at * z.dv, *out = (const float *)c->saved[OUT] + r->at * z.dv;
    float *dq = c->dx[Q] ? c->dx[Q] + r->at * z.dk : NULL, *dk = c->dx[K] ? c->dx[K] + r->at * z.dk : NULL;
    float *dv = c->dx[V] ? c->dx[V] + r->at * z.dv : NULL;

    r->q = padded(r, c->x[Q] + r->at * z.dk, r->ldk, z.dk);
    r->k = padded(r, c->x[K] + r->at * z.dk, r->ldk, z.dk);
    r->dy = padded(r, dy, r->ldv, z.dv);
    r->dq = sums(r, dq, r->ldk, z.dk);
    r->dk = sums(r, dk, r->ldk, z.dk);
    r->dv = sums(r, dv, r->ldv, z.dv);
    transpose(r, c->x[K] + r->at * z.dk, r->ldk, z.dk, r->kt);
    transpose(r, c->x[V] + r->at * z.dv, r->ldv, z.dv, r->vt);
    for (ptrdiff_t i = 0; i < r->length; i++)
        r->d[i] = dot(dy + i * r->ldv, out + i * r->ldv, z.dv);
    for (ptrdiff_t j0 = 0; j0 < r->length; j0 += COLUMNS)
        for (ptrdiff_t i0 = CAUSAL ? j0 : 0; i0 < r->length; i0 += r->rows) {
            ptrdiff_t rows = least(r->rows, r->length - i0), end = CAUSAL ? i0 + rows : r->length;

            backward_tile(z, r, i0, rows, j0, least(COLUMNS, end - j0));
        }
    add_sums(r, &r->dq, dq, r->ldk, z.dk);
    add_sums(r, &r->dk, dk, r->ldk, z.dk);
    add_sums(r, &r->dv, dv, r->ldv, z.dv);
}

static void forward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);

    for (ptrdiff_t i = lane; i < z.batch * z.heads; i += lanes(z)) {
        struct row r = row_at(c, z, lane, i);

        forward_row(c, z, &r);
    }
}

static void backward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);

    for (ptrdiff_t i = lane; i < z.batch * z.heads; i += lanes(z)) {
        struct row r = row_at(c, z, lane, i);

        backward_row(c, z, &r);
    }
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

    as_parallel(lanes(z), 3 * work(z), backward_lane, (void *)c);
}

static const struct as_impl tiled = {
    .abi = ASSAY_ABI,
    .name = "tiled",
    .rank = 20,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

#endif

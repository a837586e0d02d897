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
enum { ROWS = 32, COLUMNS = 128 };           /* of a tile: queries, keys */
enum { OUT, LSE };                           /* saved: o as the output stands, (batch, heads, time) */

_Static_assert(COLUMNS % ROWS == 0, "a tile of queries never begins inside of a tile of keys' diagonal");

struct size { ptrdiff_t batch, time, heads, dk, dv; };

static struct size size_of(const struct as_spec *in)
{
    return (struct size){ in[Q].dim[0], in[Q].dim[1], in[Q].dim[2], in[Q].dim[3], in[V].dim[3] };
}

/* Scratch of one lane: s, dp (ROWS, COLUMNS), m, l (ROWS), d (time). */
static size_t space_size(struct size z) { return 2 * ROWS * COLUMNS + 2 * ROWS + ((size_t)z.time + 15) / 16 * 16; }

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

/* One (batch, head): its arrays from step 0, steps ldk and ldv apart. */
struct row {
    const float *q, *k, *v;
    ptrdiff_t at, ldk, ldv, length;
    float scale;
    float *s, *dp, *m, *l, *d, *lse;
};

static struct row row_at(const struct as_call *c, struct size z, ptrdiff_t lane, ptrdiff_t row)
{
    ptrdiff_t at = row / z.heads * z.time * z.heads + row % z.heads;
    float *w = (float *)c->scratch[0] + (size_t)lane * space_size(z);
    double scale = ((const struct opt *)c->opt)->scale;

    return (struct row){ .q = c->x[Q] + at * z.dk, .k = c->x[K] + at * z.dk, .v = c->x[V] + at * z.dv, .at = at,
                         .ldk = z.heads * z.dk, .ldv = z.heads * z.dv,
                         .length = c->length ? c->length[row / z.heads] : z.time,
                         .scale = (float)(scale > 0 ? scale : 1 / sqrt((double)z.dk)),
                         .s = w, .dp = w + ROWS * COLUMNS, .m = w + 2 * ROWS * COLUMNS,
                         .l = w + 2 * ROWS * COLUMNS + ROWS, .d = w + 2 * ROWS * COLUMNS + 2 * ROWS,
                         .lse = c->saved ? (float *)c->saved[LSE] + row * z.time : NULL };
}

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }

/* Keys of the tile from j0 that query i sees; the tile has n of them. */
static ptrdiff_t seen(ptrdiff_t i, ptrdiff_t j0, ptrdiff_t n) { return CAUSAL ? least(n, i - j0 + 1) : n; }

/* s = scale q k^T for queries i0.., keys j0... */
static void scores(const struct row *r, struct size z, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t j0, ptrdiff_t columns)
{
    as_gemm_one(0, 1, rows, columns, z.dk, r->scale, r->q + i0 * r->ldk, r->ldk, r->k + j0 * r->ldk, r->ldk, 0, r->s,
                COLUMNS);
}

/* s - by, then its exponential, for the first n of a row; zeros after them. */
static void exponentials(float *s, ptrdiff_t n, ptrdiff_t columns, float by)
{
    for (ptrdiff_t j = 0; j < n; j++)
        s[j] -= by;
    as_vexp(n, s, s);
    if (n < columns)
        memset(s + n, 0, (size_t)(columns - n) * sizeof *s);
}

static float largest(const float *s, ptrdiff_t n, float most)
{
#pragma omp simd reduction(max : most)
    for (ptrdiff_t j = 0; j < n; j++)
        most = s[j] > most ? s[j] : most;
    return most;
}

static float total(const float *s, ptrdiff_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t j = 0; j < n; j++)
        sum += s[j];
    return sum;
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
    for (ptrdiff_t j = 0; j < n; j++)
        y[j] *= by;
}

/* Queries i0.. over all keys that they see. y: their first output, rows ldv apart. */
static void forward_tile(const struct row *r, struct size z, ptrdiff_t i0, ptrdiff_t rows, float *y)
{
    ptrdiff_t end = CAUSAL ? i0 + rows : r->length;

    for (ptrdiff_t j0 = 0; j0 < end; j0 += COLUMNS) {
        ptrdiff_t columns = least(COLUMNS, end - j0);

        scores(r, z, i0, rows, j0, columns);
        for (ptrdiff_t i = 0; i < rows; i++) {
            float *s = r->s + i * COLUMNS, most, before;
            ptrdiff_t n = seen(i0 + i, j0, columns);

            most = largest(s, n, j0 ? r->m[i] : -INFINITY);
            exponentials(s, n, columns, most);
            if (j0) {
                before = expf(r->m[i] - most);
                stretch(y + i * r->ldv, z.dv, before);
                r->l[i] = before * r->l[i] + total(s, n);
            } else
                r->l[i] = total(s, n);
            r->m[i] = most;
        }
        as_gemm_one(0, 0, rows, z.dv, columns, 1, r->s, COLUMNS, r->v + j0 * r->ldv, r->ldv, j0 ? 1 : 0, y, r->ldv);
    }
    for (ptrdiff_t i = 0; i < rows; i++)
        stretch(y + i * r->ldv, z.dv, 1 / r->l[i]);
}

static void forward_row(const struct as_call *c, struct size z, const struct row *r)
{
    float *y = c->y + r->at * z.dv;

    for (ptrdiff_t i0 = 0; i0 < r->length; i0 += ROWS) {
        ptrdiff_t rows = least(ROWS, r->length - i0);

        forward_tile(r, z, i0, rows, y + i0 * r->ldv);
        for (ptrdiff_t i = 0; r->lse && i < rows; i++) {
            r->lse[i0 + i] = r->m[i] + logf(r->l[i]);
            memcpy((float *)c->saved[OUT] + r->at * z.dv + (i0 + i) * r->ldv, y + (i0 + i) * r->ldv,
                   (size_t)z.dv * sizeof *y);
        }
    }
    for (ptrdiff_t i = r->length; i < z.time; i++)
        memset(y + i * r->ldv, 0, (size_t)z.dv * sizeof *y);
}

/* ds = scale p (dp - D), in place of p. */
static void back_scores(const struct row *r, ptrdiff_t i0, ptrdiff_t rows, ptrdiff_t columns)
{
    for (ptrdiff_t i = 0; i < rows; i++) {
        float *s = r->s + i * COLUMNS, d = r->d[i0 + i];
        const float *dp = r->dp + i * COLUMNS;

        for (ptrdiff_t j = 0; j < columns; j++)
            s[j] *= r->scale * (dp[j] - d);
    }
}

static void backward_tile(const struct as_call *c, struct size z, const struct row *r, ptrdiff_t i0, ptrdiff_t rows,
                          ptrdiff_t j0, ptrdiff_t columns)
{
    const float *dy = c->dy + r->at * z.dv + i0 * r->ldv;

    scores(r, z, i0, rows, j0, columns);
    for (ptrdiff_t i = 0; i < rows; i++)
        exponentials(r->s + i * COLUMNS, seen(i0 + i, j0, columns), columns, r->lse[i0 + i]);
    if (c->dx[V])
        as_gemm_one(1, 0, columns, z.dv, rows, 1, r->s, COLUMNS, dy, r->ldv, 1, c->dx[V] + r->at * z.dv + j0 * r->ldv,
                    r->ldv);
    if (!c->dx[Q] && !c->dx[K])
        return;
    as_gemm_one(0, 1, rows, columns, z.dv, 1, dy, r->ldv, r->v + j0 * r->ldv, r->ldv, 0, r->dp, COLUMNS);
    back_scores(r, i0, rows, columns);
    if (c->dx[Q])
        as_gemm_one(0, 0, rows, z.dk, columns, 1, r->s, COLUMNS, r->k + j0 * r->ldk, r->ldk, 1,
                    c->dx[Q] + r->at * z.dk + i0 * r->ldk, r->ldk);
    if (c->dx[K])
        as_gemm_one(1, 0, columns, z.dk, rows, 1, r->s, COLUMNS, r->q + i0 * r->ldk, r->ldk, 1,
                    c->dx[K] + r->at * z.dk + j0 * r->ldk, r->ldk);
}

static void backward_row(const struct as_call *c, struct size z, const struct row *r)
{
    for (ptrdiff_t i = 0; i < r->length; i++)
        r->d[i] = dot(c->dy + r->at * z.dv + i * r->ldv, (const float *)c->saved[OUT] + r->at * z.dv + i * r->ldv, z.dv);
    for (ptrdiff_t j0 = 0; j0 < r->length; j0 += COLUMNS)
        for (ptrdiff_t i0 = CAUSAL ? j0 : 0; i0 < r->length; i0 += ROWS) {
            ptrdiff_t rows = least(ROWS, r->length - i0), end = CAUSAL ? i0 + rows : r->length;

            backward_tile(c, z, r, i0, rows, j0, least(COLUMNS, end - j0));
        }
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

/* softmax-attention-pieces.h: what softmax-attention-tiled.h cuts its work into: sizes, the lanes' scratch, and one piece
 * with the rows that it reads.
 */
#ifndef ASSAY_SOFTMAX_ATTENTION_PIECES_H
#define ASSAY_SOFTMAX_ATTENTION_PIECES_H

#include <assay/layer.h>
#include <assay/parallel.h>

#include "softmax-attention-vector.h"

struct opt { double scale; };                /* how that of softmax-attention.h begins */

enum { Q, K, V };
enum { MOST, PART };                         /* saved: m, 1 / l (batch, heads, time) */
enum { SPACE, D };                           /* scratch: of the lanes; (batch, heads, time) */

struct size { ptrdiff_t batch, time, heads, dk, dv; };

static struct size size_of(const struct as_spec *in)
{
    return (struct size){ in[Q].dim[0], in[Q].dim[1], in[Q].dim[2], in[Q].dim[3], in[V].dim[3] };
}

static ptrdiff_t tiles_of(struct size z) { return (z.time + LANES - 1) / LANES; }
static ptrdiff_t lanes(struct size z) { return least(z.batch * z.heads * tiles_of(z), 16); }

/* Rows (a head of a sequence) enough to give whole ones to the lanes. */
static int whole(struct size z) { return z.batch * z.heads >= lanes(z); }

/* Where lanes take whole rows, and a row is not so long that it fills the second cache, what its tiles read again and
 * again is laid side by side once a row: k and v, or q and do on the way back. */
enum { BESIDE = 1 << 18 };                   /* numbers */

static int laid_out(struct size z)
{
    return whole(z) && z.heads > 1 && z.time > LANES && z.time * (z.dk + z.dv) <= BESIDE;
}

/* Scratch of one lane: s, dp (DEPTH, LANES); the columns' two inputs and two sums, (dk, LANES) and (dv, LANES) each;
 * the rows' two inputs, (DEPTH, dk) and (DEPTH, dv). On the way back by whole rows also k of a tile and dq,
 * (DEPTH, dk) and (time, dk), in whole registers. Last what laid_out() tells of, (time, dk) and (time, dv). */
static size_t space_size(struct size z, int back)
{
    size_t width = as_size((size_t)(z.dk + z.dv), 2 * LANES + DEPTH) + LANE;

    if (laid_out(z))
        width += (size_t)(z.time * (z.dk + z.dv));
    if (back && whole(z))
        width += as_size((size_t)up(z.dk), (size_t)(DEPTH + z.time));
    return 2 * DEPTH * LANES + (width + 15) / 16 * 16;
}

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);
    size_t rows = as_size(as_size((size_t)z.batch, (size_t)z.heads), (size_t)z.time);

    if (r->gradients) {
        r->saved[MOST] = r->saved[PART] = rows;
        r->scratch[D] = rows;
    }
    r->scratch[SPACE] = as_size((size_t)lanes(z), space_size(z, r->gradients));
}

/* What a piece works with. */
struct piece {
    struct size z;
    ptrdiff_t row, tile, at, ldk, ldv, length;   /* row of (batch, heads); q[at dk], v[at dv]: its first step */
    float scale;
    float *s, *dp, *left_k, *left_v, *sum_k, *sum_v, *copy_k, *copy_v;
    struct matrix right, dq;                     /* by whole rows on the way back */
    float *row_k, *row_v;                        /* laid out: (time, dk), (time, dv); else NULL */
};

static struct piece piece_at(const struct as_call *c, struct size z, ptrdiff_t lane, ptrdiff_t row, ptrdiff_t tile)
{
    double scale = ((const struct opt *)c->opt)->scale;
    struct piece p = { .z = z, .row = row, .tile = tile, .ldk = z.heads * z.dk, .ldv = z.heads * z.dv,
                       .scale = (float)(scale > 0 ? scale : 1 / sqrt((double)z.dk)) };

    p.at = p.row / z.heads * z.time * z.heads + p.row % z.heads;
    p.length = c->length ? c->length[p.row / z.heads] : z.time;
    p.s = (float *)c->scratch[SPACE] + (size_t)lane * space_size(z, c->saved != NULL);
    p.dp = p.s + DEPTH * LANES;
    p.left_k = p.dp + DEPTH * LANES;
    p.left_v = p.left_k + z.dk * LANES;
    p.sum_k = p.left_v + z.dv * LANES;
    p.sum_v = p.sum_k + z.dk * LANES;
    p.copy_k = p.sum_v + z.dv * LANES;
    p.copy_v = p.copy_k + z.dk * DEPTH;
    p.right = (struct matrix){ p.copy_v + (z.dv * DEPTH + LANE - 1) / LANE * LANE, up(z.dk) };
    p.dq = moved(p.right, DEPTH, 0);
    if (laid_out(z)) {
        p.row_k = p.right.x + (c->saved ? up(z.dk) * (DEPTH + z.time) : 0);
        p.row_v = p.row_k + z.time * z.dk;
    }
    return p;
}

static void lay_out(const struct piece *p, const float *k, const float *v)
{
    for (ptrdiff_t i = 0; i < p->length; i++) {
        memcpy(p->row_k + i * p->z.dk, k + p->at * p->z.dk + i * p->ldk, (size_t)p->z.dk * sizeof *k);
        memcpy(p->row_v + i * p->z.dv, v + p->at * p->z.dv + i * p->ldv, (size_t)p->z.dv * sizeof *v);
    }
}

/* n rows from step i on of what was laid out, or of x as it stands. */
static struct rows keys_at(const struct piece *p, const float *x, ptrdiff_t i, ptrdiff_t n)
{
    return p->row_k ? (struct rows){ p->row_k + i * p->z.dk, p->z.dk }
                    : rows_at(x + p->at * p->z.dk + i * p->ldk, p->ldk, n, p->z.dk, p->copy_k);
}

static struct rows values_at(const struct piece *p, const float *x, ptrdiff_t i, ptrdiff_t n)
{
    return p->row_v ? (struct rows){ p->row_v + i * p->z.dv, p->z.dv }
                    : rows_at(x + p->at * p->z.dv + i * p->ldv, p->ldv, n, p->z.dv, p->copy_v);
}

#endif

/* rows.h: the kernels of rmsnorm.rows.c and layernorm.rows.c, which say which they are by `enum { CENTRED = 1 };` or 0
 * before they include this header: a row of the width at a time, gradients of gain and bias in the same pass, their
 * sums in pieces of rows that are added in order. Means and scales are kept for the way back.
 */
#ifndef NORMALISATION_ROWS_H
#define NORMALISATION_ROWS_H

#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <math.h>
#include <string.h>

enum { PIECE = 256 };                    /* rows of one piece */
enum { MEAN, SCALE };                    /* saved, (rows) each */
enum { SUMS, NO_MEAN, NO_SCALE };        /* scratch: pieces' gradients of gain and bias; where nothing is kept */

#define INLINE static inline __attribute__((always_inline))

struct rows { const struct as_call *call; ptrdiff_t n, d; const float *gain, *bias; float eps, *mean, *scale; };

static ptrdiff_t count_of(const struct as_spec *in)
{
    ptrdiff_t n = 1;

    for (int i = 0; i < in->rank - 1; i++)
        n *= in->dim[i];
    return n;
}

static ptrdiff_t pieces_of(ptrdiff_t n) { return (n + PIECE - 1) / PIECE; }

static void plan(struct as_room *room)
{
    size_t n = (size_t)count_of(room->in), *keep = room->gradients ? room->saved : room->scratch;

    keep[room->gradients ? SCALE : NO_SCALE] = n;
    if (CENTRED)
        keep[room->gradients ? MEAN : NO_MEAN] = n;
    if (room->gradients)
        room->scratch[SUMS] = as_size((size_t)(2 * pieces_of((ptrdiff_t)n)), (size_t)room->in->dim[room->in->rank - 1]);
}

/* d is a constant after inlining at the common widths. */
INLINE void forward_rows(const struct rows *r, ptrdiff_t from, ptrdiff_t to, const ptrdiff_t d)
{
    const float *gain = r->gain, *bias = r->bias;

    for (ptrdiff_t i = from; i < to; i++) {
        const float *restrict x = r->call->x[0] + i * d;
        float *restrict y = r->call->y + i * d, sum = 0, var = 0, mean = 0, scale;

        if (CENTRED) {
#pragma omp simd reduction(+ : sum)
            for (ptrdiff_t j = 0; j < d; j++)
                sum += x[j];
            r->mean[i] = mean = sum / (float)d;
        }
#pragma omp simd reduction(+ : var)
        for (ptrdiff_t j = 0; j < d; j++)
            var += (x[j] - mean) * (x[j] - mean);
        r->scale[i] = scale = 1 / sqrtf(var / (float)d + r->eps);
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++)
            y[j] = (x[j] - mean) * scale;
        if (gain)
#pragma omp simd
            for (ptrdiff_t j = 0; j < d; j++)
                y[j] *= gain[j];
        if (bias)
#pragma omp simd
            for (ptrdiff_t j = 0; j < d; j++)
                y[j] += bias[j];
    }
}

/* With u = (x - mean) scale and v = dy gain: dx = scale (v - mean(v) - u mean(v u)); the mean is 0 when not centred. */
INLINE void backward_rows(const struct rows *r, ptrdiff_t from, ptrdiff_t to, const ptrdiff_t d, float *restrict dgain,
                          float *restrict dbias, const int with_gain)
{
    const float *restrict gain = r->gain;

    for (ptrdiff_t i = from; i < to; i++) {
        const float *restrict x = r->call->x[0] + i * d, *restrict dy = r->call->dy + i * d;
        float *restrict dx = r->call->dx[0] ? r->call->dx[0] + i * d : NULL, v_sum = 0, vu_sum = 0;
        float mean = CENTRED ? r->mean[i] : 0, scale = r->scale[i];

#pragma omp simd reduction(+ : v_sum, vu_sum)
        for (ptrdiff_t j = 0; j < d; j++) {
            float u = (x[j] - mean) * scale, v = with_gain ? dy[j] * gain[j] : dy[j];

            dgain[j] += dy[j] * u;
            if (CENTRED) {
                dbias[j] += dy[j];
                v_sum += v;
            }
            vu_sum += v * u;
        }
        v_sum /= (float)d;
        vu_sum /= (float)d;
        if (!dx)
            continue;
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++) {
            float u = (x[j] - mean) * scale, v = with_gain ? dy[j] * gain[j] : dy[j];

            dx[j] += scale * (v - v_sum - u * vu_sum);
        }
    }
}

static void forward_piece(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;
    ptrdiff_t from = piece * PIECE, to = from + PIECE < r->n ? from + PIECE : r->n;

    if (r->d == 32)
        forward_rows(r, from, to, 32);
    else if (r->d == 64)
        forward_rows(r, from, to, 64);
    else
        forward_rows(r, from, to, r->d);
}

static void backward_piece(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;
    ptrdiff_t from = piece * PIECE, to = from + PIECE < r->n ? from + PIECE : r->n;
    float *dgain = (float *)r->call->scratch[SUMS] + piece * 2 * r->d, *dbias = dgain + r->d;

    memset(dgain, 0, 2 * (size_t)r->d * sizeof *dgain);
    if (r->d == 32 && r->gain)
        backward_rows(r, from, to, 32, dgain, dbias, 1);
    else if (r->d == 64 && r->gain)
        backward_rows(r, from, to, 64, dgain, dbias, 1);
    else if (r->gain)
        backward_rows(r, from, to, r->d, dgain, dbias, 1);
    else
        backward_rows(r, from, to, r->d, dgain, dbias, 0);
}

static struct rows rows_of(const struct as_call *c, const float *gain, const float *bias, double eps)
{
    return (struct rows){ .call = c, .n = count_of(c->in), .d = c->in->dim[c->in->rank - 1], .gain = gain, .bias = bias,
                          .eps = (float)eps, .mean = c->saved ? c->saved[MEAN] : c->scratch[NO_MEAN],
                          .scale = c->saved ? c->saved[SCALE] : c->scratch[NO_SCALE] };
}

static void run_forward(struct rows *r)
{
    as_parallel(pieces_of(r->n), 4.0 * (double)r->n * (double)r->d, forward_piece, r);
}

/* dgain, dbias: (d) or NULL. */
static void run_backward(struct rows *r, float *dgain, float *dbias)
{
    const float *part = r->call->scratch[SUMS];

    as_parallel(pieces_of(r->n), 10.0 * (double)r->n * (double)r->d, backward_piece, r);
    for (ptrdiff_t i = 0; i < pieces_of(r->n); i++, part += 2 * r->d)
        for (ptrdiff_t j = 0; j < r->d; j++) {
            if (dgain)
                dgain[j] += part[j];
            if (dbias)
                dbias[j] += part[r->d + j];
        }
}

#endif

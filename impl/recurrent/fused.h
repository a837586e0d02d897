/* fused.h: what the fused kernels of rnn, lstm and gru share. Float only, one copy a processor level.
 *
 * The units of each gate are padded to a multiple of 16 (`hp`), with weights of zero, so that every loop over
 * units is whole vectors; a padded unit stays exactly zero in all three cells. Rows of the batch do not meet,
 * so a tile of rows runs through all steps by itself, with the matrix U packed once for all tiles.
 */
#ifndef RECURRENT_FUSED_H
#define RECURRENT_FUSED_H

#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#if ASSAY_LEVEL == 2
#define COLS 32              /* columns of one panel; the accumulators of 8 rows fill half the registers */
#define MOST_ROWS 8
#elif ASSAY_LEVEL == 1
#define COLS 16
#define MOST_ROWS 4
#else
#define COLS 16
#define MOST_ROWS 2
#endif
#define UNIT 16              /* padding of the units; COLS is UNIT or twice UNIT */

struct cell { ptrdiff_t batch, time, in, h, hp, tile, tiles, steps; };      /* steps: all, or all valid ones */

static inline struct cell cell_of(const struct as_spec *in, const struct as_spec *out)
{
    struct cell c = { .batch = in->dim[0], .time = in->dim[1], .in = in->dim[2], .h = out->dim[2] };

    c.steps = c.batch * c.time;
    c.hp = (c.h + UNIT - 1) / UNIT * UNIT;
    c.tile = c.batch >= 16 ? 8 : (c.batch + 1) / 2;     /* by size only; small batches still make two tiles */
    c.tiles = c.tile ? (c.batch + c.tile - 1) / c.tile : 0;
    return c;
}

static inline ptrdiff_t cell_rows(const struct cell *c, ptrdiff_t tile)
{
    return tile + 1 < c->tiles ? c->tile : c->batch - tile * c->tile;
}

/* --- the valid steps alone --------------------------------------------------------------------------------- */

/* Rows in falling order of their lengths, so that the rows of a tile end at about the same step and those that still
 * run are its first ones. The valid steps of all rows stand one row behind the other: row[k] has length[k] of them
 * from start[k] on. Without lengths, or with full ones, that is how the data stand already (dense). */
struct valid { ptrdiff_t *row, *length, *start; int dense; };

/* Floats of room that list_valid() wants. */
static inline size_t valid_room(const struct cell *c)
{
    return 3 * (size_t)c->batch * (sizeof(ptrdiff_t) / sizeof(float));
}

static inline struct valid list_valid(struct cell *c, const int32_t *length, float *room)
{
    struct valid v = { .row = (ptrdiff_t *)(void *)room, .dense = 1 };
    ptrdiff_t n = 0, at = 0, longest = c->time, next;

    v.length = v.row + c->batch;
    v.start = v.length + c->batch;
    for (; n < c->batch; longest = next) {
        next = -1;
        for (ptrdiff_t b = 0; b < c->batch; b++) {
            ptrdiff_t has = length ? length[b] : c->time;

            has = has < 0 ? 0 : has > c->time ? c->time : has;
            if (has == longest) {
                v.row[n] = b;
                v.length[n] = has;
                v.start[n++] = at;
                at += has;
            } else if (has < longest && has > next)
                next = has;
        }
    }
    v.dense = at == c->steps;
    c->steps = at;
    return v;
}

/* x (batch, time, n) as (steps, n): itself when dense, else copied to room. */
static inline const float *gather_valid(const struct cell *c, const struct valid *v, const float *x, ptrdiff_t n,
                                        float *room)
{
    for (ptrdiff_t k = 0; !v->dense && k < c->batch; k++)
        memcpy(room + v->start[k] * n, x + v->row[k] * c->time * n, (size_t)(v->length[k] * n) * sizeof *x);
    return v->dense ? x : room;
}

/* y (batch, time, h) is zero behind the last step of the tile's rows. */
static inline void clear_padding(const struct cell *c, const struct valid *v, ptrdiff_t first, ptrdiff_t rows, float *y)
{
    for (ptrdiff_t k = first; k < first + rows; k++)
        memset(y + (v->row[k] * c->time + v->length[k]) * c->h, 0,
               (size_t)((c->time - v->length[k]) * c->h) * sizeof *y);
}

/* --- element-wise functions ------------------------------------------------------------------------------- */

/* e^x = 2^n (1 + p): returns p = e^r - 1 with |r| <= log(2)/2, and 2^n. x in [-87, 88]. */
INLINE float exp_parts(float x, float *two_n)
{
    union { float f; uint32_t u; } n = { .f = AS_FMA(x, 1.44269504f, 12582912.0f) }, s;
    float k = n.f - 12582912.0f, r = AS_FMA(k, -0.693359375f, x), q;

    r = AS_FMA(k, 2.12194440e-4f, r);
    q = AS_FMA(r, 1.392655043e-03f, 8.363472722e-03f);
    q = AS_FMA(r, q, 4.166655240e-02f);
    q = AS_FMA(r, q, 1.666657522e-01f);
    q = AS_FMA(r, q, 0.5f);
    s.u = (n.u + 127u) << 23;
    *two_n = s.f;
    return AS_FMA(r * r, q, r);
}

INLINE float sigmoid(float x)
{
    float s, p, v = -x;

    v = v > 88.0f ? 88.0f : v;
    v = v < -87.0f ? -87.0f : v;
    p = exp_parts(v, &s);
    return 1.0f / (AS_FMA(s, p, s) + 1.0f);
}

/* (e^2x - 1) / (e^2x + 1), with e^2x - 1 free of cancellation at 0. */
INLINE float tangent(float x)
{
    float s, p, m, v = 2.0f * x;

    v = v > 40.0f ? 40.0f : v;
    v = v < -40.0f ? -40.0f : v;
    p = exp_parts(v, &s);
    m = AS_FMA(s, p, s - 1.0f);
    return m / (m + 2.0f);
}

/* --- products with a packed matrix ------------------------------------------------------------------------ */

/* Packs B (k, n), n a multiple of UNIT, into panels of COLS columns (the last may be narrower), each panel k
 * rows of its columns. B's element (i, j) is at b[i * row + j * col]. */
static inline void pack(ptrdiff_t k, ptrdiff_t n, const float *b, ptrdiff_t row, ptrdiff_t col, float *to)
{
    for (ptrdiff_t p = 0; p < n; p += COLS) {
        ptrdiff_t w = n - p < COLS ? n - p : COLS;

        for (ptrdiff_t i = 0; i < k; i++)
            for (ptrdiff_t j = 0; j < w; j++)
                *to++ = b[i * row + (p + j) * col];
    }
}

INLINE void panel(int rows, int cols, ptrdiff_t k, const float *restrict a, ptrdiff_t lda, const float *restrict b,
                  float *restrict out, ptrdiff_t ldo, int add)
{
    float sum[MOST_ROWS][COLS];

    for (int r = 0; r < rows; r++)
        for (int j = 0; j < cols; j++)
            sum[r][j] = add ? out[r * ldo + j] : 0.0f;
    for (ptrdiff_t i = 0; i < k; i++)
        for (int r = 0; r < rows; r++) {
            float v = a[r * lda + i];

#pragma omp simd
            for (int j = 0; j < cols; j++)
                sum[r][j] = AS_FMA(v, b[i * cols + j], sum[r][j]);
        }
    for (int r = 0; r < rows; r++)
        for (int j = 0; j < cols; j++)
            out[r * ldo + j] = sum[r][j];
}

INLINE void panels(int rows, ptrdiff_t k, ptrdiff_t n, const float *a, ptrdiff_t lda, const float *b, float *out,
                   ptrdiff_t ldo, int add)
{
    ptrdiff_t p = 0;

    for (; p + COLS <= n; p += COLS)
        panel(rows, COLS, k, a, lda, b + p * k, out + p, ldo, add);
    if (p < n)
        panel(rows, UNIT, k, a, lda, b + p * k, out + p, ldo, add);
}

/* out (rows, n) = a (rows, k) B, or added to it. Each element is one sum in the order of k, whatever the rows. */
static void product(ptrdiff_t rows, ptrdiff_t k, ptrdiff_t n, const float *a, ptrdiff_t lda, const float *b,
                    float *out, ptrdiff_t ldo, int add)
{
    while (rows > 0) {
        ptrdiff_t r = rows >= MOST_ROWS ? MOST_ROWS : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;

        switch (r) {
        case 8: panels(MOST_ROWS, k, n, a, lda, b, out, ldo, add); break;
        case 4: panels(MOST_ROWS < 4 ? MOST_ROWS : 4, k, n, a, lda, b, out, ldo, add); break;
        case 2: panels(2, k, n, a, lda, b, out, ldo, add); break;
        default: panels(1, k, n, a, lda, b, out, ldo, add);
        }
        rows -= r;
        a += r * lda;
        out += r * ldo;
    }
}

/* --- products over all steps ------------------------------------------------------------------------------ */

/* (gates * h, n) -> (gates * hp, n) with rows of zeros; the given array itself when there is nothing to pad. */
static inline const float *pad_rows(const struct cell *c, int gates, ptrdiff_t n, const float *w, float *room)
{
    if (c->h == c->hp)
        return w;
    for (int g = 0; g < gates; g++) {
        float *to = room + g * c->hp * n;

        memcpy(to, w + g * c->h * n, (size_t)(c->h * n) * sizeof *to);
        memset(to + c->h * n, 0, (size_t)((c->hp - c->h) * n) * sizeof *to);
    }
    return room;
}

/* dw (gates * h, n) += dg^T a, with dg (steps, gates * hp; leading ldg) and a (steps, n; lda).
 * room: gates * hp * n, used when there is padding. dw may be NULL. */
static inline void weight_gradient(const struct cell *c, int gates, const float *dg, ptrdiff_t ldg, ptrdiff_t n,
                                   const float *a, ptrdiff_t lda, float *room, float *dw)
{
    ptrdiff_t steps = c->steps, m = gates * c->hp;

    if (!dw)
        return;
    if (c->h == c->hp) {
        as_gemm(1, 0, m, n, steps, 1.0f, dg, ldg, a, lda, 1.0f, dw, n);
        return;
    }
    as_gemm(1, 0, m, n, steps, 1.0f, dg, ldg, a, lda, 0.0f, room, n);
    for (int g = 0; g < gates; g++)
        for (ptrdiff_t i = 0; i < c->h * n; i++)
            dw[g * c->h * n + i] += room[g * c->hp * n + i];
}

/* dx (batch, time, in) += dg W, with dg (steps, g) and W (g, in); room (steps, in). dx may be NULL. */
static inline void input_gradient(const struct cell *c, const struct valid *v, ptrdiff_t g, const float *dg,
                                  const float *w, float *room, float *dx)
{
    if (!dx)
        return;
    as_gemm(0, 0, c->steps, c->in, g, 1.0f, dg, g, w, c->in, v->dense ? 1.0f : 0.0f, v->dense ? dx : room, c->in);
    for (ptrdiff_t k = 0; !v->dense && k < c->batch; k++) {
        const float *from = room + v->start[k] * c->in;
        float *to = dx + v->row[k] * c->time * c->in;

        for (ptrdiff_t j = 0; j < v->length[k] * c->in; j++)
            to[j] += from[j];
    }
}

/* dv (gates * h) += the tiles' sums (tiles, stride; gates * hp at `at`), in order of the tiles. */
static inline void vector_gradient(const struct cell *c, int gates, const float *sums, ptrdiff_t stride, float *dv)
{
    for (ptrdiff_t t = 0; dv && t < c->tiles; t++)
        for (int g = 0; g < gates; g++)
            for (ptrdiff_t j = 0; j < c->h; j++)
                dv[g * c->h + j] += sums[t * stride + g * c->hp + j];
}

/* A vector (gates * h), or NULL for zeros, to (gates * hp). */
static inline void pad_vector(const struct cell *c, int gates, const float *v, float *to)
{
    memset(to, 0, (size_t)(gates * c->hp) * sizeof *to);
    for (int g = 0; v && g < gates; g++)
        memcpy(to + g * c->hp, v + g * c->h, (size_t)c->h * sizeof *to);
}

/* (h, h) blocks `from` .. `from + gates - 1` of U, packed for h_{t-1} U^T: k = h, n = gates * hp. room: their pad. */
static inline void pack_forward(const struct cell *c, const float *u_padded, int gates, float *to)
{
    pack(c->h, gates * c->hp, u_padded, 1, c->h, to);
}

/* The same blocks packed for dg U: k = gates * hp, n = hp. */
static inline void pack_backward(const struct cell *c, const float *u_padded, int gates, float *to)
{
    for (ptrdiff_t p = 0; p < c->hp; p += COLS) {
        ptrdiff_t w = c->hp - p < COLS ? c->hp - p : COLS;

        for (ptrdiff_t i = 0; i < gates * c->hp; i++)
            for (ptrdiff_t j = p; j < p + w; j++)
                *to++ = j < c->h ? u_padded[i * c->h + j] : 0.0f;
    }
}

#endif

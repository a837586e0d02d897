/* softmax-attention-vector.h: what softmax-attention-tiled.h is made of. The work stands in tiles of LANES columns, a
 * column being one query (or one key), so that the softmax of 16 queries is arithmetic on whole registers, nothing is
 * added up across a register, and a head may have any width: widths run down the rows.
 *
 * Registers are the compilers' vector types, as wide as the processor level has them; loops over lanes of constant
 * length become one instruction.
 */
#ifndef ASSAY_SOFTMAX_ATTENTION_VECTOR_H
#define ASSAY_SOFTMAX_ATTENTION_VECTOR_H

#include <assay/kernel.h>
#include <assay/lanes.h>
#include <math.h>
#include <string.h>

enum { LANE = AS_LANES };
enum { TILE_ROWS = LANE == 16 ? 8 : 4, TILE_WIDE = LANE == 8 ? 3 : 2 };    /* a product's tile: accumulators that fit */
enum { LANES = 64, DEPTH = LANES };                        /* columns and rows of a tile */

typedef as_lanes vec;
typedef float quad __attribute__((vector_size(4 * sizeof(float))));

static inline quad load4(const float *p)
{
    quad v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store4(float *p, quad v) { memcpy(p, &v, sizeof v); }

static inline quad all4(float a) { return a - (quad){ 0 }; }

/* most = max(most, a, b, c, d): loops over memory, for in them compilers know the maximum. most where one is NaN. */
static inline void raise(float *most, const float *a, const float *b, const float *c, const float *d)
{
#pragma omp simd
    for (int l = 0; l < LANE; l++) {
        float x = a[l] > b[l] ? a[l] : b[l], y = c[l] > d[l] ? c[l] : d[l];

        x = x > y ? x : y;
        most[l] = x > most[l] ? x : most[l];
    }
}

/* --- products ---------------------------------------------------------------------------------------------- */

static ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static ptrdiff_t up(ptrdiff_t n) { return (n + LANE - 1) / LANE * LANE; }

/* A (m, k) read one number at a time, in place: element (r, s) at x[r row + s step]. */
struct factor { const float *x; ptrdiff_t row, step; };

/* B and C, in whole registers; rows ld apart. */
struct matrix { float *x; ptrdiff_t ld; };

static inline struct matrix moved(struct matrix m, ptrdiff_t rows, ptrdiff_t columns)
{
    return (struct matrix){ m.x + rows * m.ld + columns, m.ld };
}

static inline __attribute__((always_inline)) void
tile(const int rows, const int wide, ptrdiff_t k, struct factor a, struct matrix b, struct matrix c, int add)
{
    vec sum[TILE_ROWS][TILE_WIDE];

    AS_UNROLLED for (int r = 0; r < rows; r++)
        AS_UNROLLED for (int w = 0; w < wide; w++)
            sum[r][w] = add ? as_load(c.x + r * c.ld + w * LANE) : (vec){ 0 };
    for (ptrdiff_t s = 0; s < k; s++, a.x += a.step, b.x += b.ld) {
        vec right[TILE_WIDE];

        AS_UNROLLED for (int w = 0; w < wide; w++)
            right[w] = as_load(b.x + w * LANE);
        AS_UNROLLED for (int r = 0; r < rows; r++) {
            vec left = as_all(a.x[r * a.row]);

            AS_UNROLLED for (int w = 0; w < wide; w++)
                sum[r][w] = as_fma(left, right[w], sum[r][w]);
        }
    }
    AS_UNROLLED for (int r = 0; r < rows; r++)
        AS_UNROLLED for (int w = 0; w < wide; w++)
            as_store(c.x + r * c.ld + w * LANE, sum[r][w]);
}

static inline __attribute__((always_inline)) void
rows_left(const int wide, ptrdiff_t rows, ptrdiff_t k, struct factor a, struct matrix b, struct matrix c, int add)
{
    switch (rows) {
    case 1: tile(1, wide, k, a, b, c, add); break;
    case 2: tile(2, wide, k, a, b, c, add); break;
    case 3: tile(3, wide, k, a, b, c, add); break;
#if ASSAY_LEVEL == 2
    case 4: tile(4, wide, k, a, b, c, add); break;
    case 5: tile(5, wide, k, a, b, c, add); break;
    case 6: tile(6, wide, k, a, b, c, add); break;
    case 7: tile(7, wide, k, a, b, c, add); break;
#endif
    default: break;
    }
}

static inline __attribute__((always_inline)) void
strip(const int wide, ptrdiff_t m, ptrdiff_t k, struct factor a, struct matrix b, struct matrix c, int add)
{
    ptrdiff_t r = 0;

    for (; r + TILE_ROWS <= m; r += TILE_ROWS, a.x += TILE_ROWS * a.row)
        tile(TILE_ROWS, wide, k, a, b, moved(c, r, 0), add);
    rows_left(wide, m - r, k, a, b, moved(c, r, 0), add);
}

/* C (m, vectors) = A B, or += when `add`; b (k, vectors). Each entry is one chain of
 * multiply-adds in order of k, the same bits in whatever tile it stands. */
static void product(ptrdiff_t m, ptrdiff_t vectors, ptrdiff_t k, struct factor a, struct matrix b, struct matrix c,
                    int add)
{
    ptrdiff_t v = 0;

    for (; v + TILE_WIDE <= vectors; v += TILE_WIDE)
        strip(TILE_WIDE, m, k, a, moved(b, 0, v * LANE), moved(c, 0, v * LANE), add);
    if (vectors - v == 1)
        strip(1, m, k, a, moved(b, 0, v * LANE), moved(c, 0, v * LANE), add);
    else if (vectors - v == 2)
        strip(2, m, k, a, moved(b, 0, v * LANE), moved(c, 0, v * LANE), add);
}

/* --- rows of a sequence into columns and back -------------------------------------------------------------- */

struct block { quad r[4]; };

#define MIXED(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)

static inline struct block turned(struct block a)
{
    quad x = MIXED(a.r[0], a.r[1], 0, 4, 1, 5), y = MIXED(a.r[2], a.r[3], 0, 4, 1, 5);
    quad z = MIXED(a.r[0], a.r[1], 2, 6, 3, 7), w = MIXED(a.r[2], a.r[3], 2, 6, 3, 7);

    return (struct block){ { MIXED(x, y, 0, 1, 4, 5), MIXED(x, y, 2, 3, 6, 7), MIXED(z, w, 0, 1, 4, 5),
                             MIXED(z, w, 2, 3, 6, 7) } };
}

/* xt (width, LANES) = by x^T: x has `steps` rows, ld apart; columns behind them, up to whole registers, are 0. */
static void columns_of(const float *x, ptrdiff_t ld, ptrdiff_t steps, ptrdiff_t width, float by, float *xt)
{
    ptrdiff_t end = (steps + LANE - 1) / LANE * LANE;

    for (ptrdiff_t i = 0; i < steps; i++)        /* all at once: what is far away comes sooner than row by row */
        for (ptrdiff_t d = 0; d < width; d += 16)
            __builtin_prefetch(x + i * ld + d);
    for (ptrdiff_t i = 0; i < end; i += 4) {
        ptrdiff_t rows = steps - i, d = 0;
        const float *p = x + i * ld;

        for (; d + 4 <= width; d += 4) {
            struct block a = { { { 0 }, { 0 }, { 0 }, { 0 } } };

            if (rows >= 4) {
                AS_UNROLLED for (int r = 0; r < 4; r++)
                    a.r[r] = load4(p + r * ld + d);
            } else
                AS_UNROLLED for (int r = 0; r < 3; r++)
                    if (r < rows)
                        a.r[r] = load4(p + r * ld + d);
            a = turned(a);
            AS_UNROLLED for (int r = 0; r < 4; r++)
                store4(xt + (d + r) * LANES + i, a.r[r] * all4(by));
        }
        for (; d < width; d++)
            for (int r = 0; r < 4; r++)
                xt[d * LANES + i + r] = r < rows ? by * p[r * ld + d] : 0;
    }
}

/* y (steps, width), rows ld apart, = or += the columns of yt, each times its own number of `by` (LANES). */
static void rows_of(const float *yt, const float *by, ptrdiff_t steps, ptrdiff_t width, float *y, ptrdiff_t ld, int add)
{
    for (ptrdiff_t i = 0; i < steps; i += 4) {
        ptrdiff_t rows = steps - i, d = 0;
        float *p = y + i * ld;

        for (; d + 4 <= width; d += 4) {
            struct block a;

            AS_UNROLLED for (int r = 0; r < 4; r++)
                a.r[r] = load4(yt + (d + r) * LANES + i) * load4(by + i);
            a = turned(a);
            AS_UNROLLED for (int r = 0; r < 4; r++)
                if (r < rows)
                    store4(p + r * ld + d, add ? load4(p + r * ld + d) + a.r[r] : a.r[r]);
        }
        for (; d < width; d++)
            for (int r = 0; r < 4 && r < rows; r++)
                p[r * ld + d] = (add ? p[r * ld + d] : 0) + yt[d * LANES + i + r] * by[i + r];
    }
}

/* --- tiles of scores --------------------------------------------------------------------------------------- */

/* n rows of x to be read again and again: where they stand, or, when rows lie so far apart that they would drive each
 * other out of the nearest cache, as a dense copy. */
struct rows { const float *x; ptrdiff_t ld; };

static struct rows rows_at(const float *x, ptrdiff_t ld, ptrdiff_t n, ptrdiff_t width, float *copy)
{
    if (ld == width || ld < 128)
        return (struct rows){ x, ld };
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            copy[i * width + j] = x[i * ld + j];
    return (struct rows){ copy, width };
}

/* A tile of scores: `rows` by the first `vectors` registers of columns. On the diagonal, rows and columns are the
 * same steps. Then it is worked on in blocks of LANE rows, and a block has registers only on its side. */
struct extent { ptrdiff_t rows, vectors; int diagonal, columns_are_keys; };

/* Rows from..from + n - 1 with registers first..first + vectors - 1 there. The first part has them all. */
struct part { ptrdiff_t from, n, first, vectors; };

static struct part part_of(const struct extent *e, ptrdiff_t i)
{
    struct part b = { i * LANE, least(LANE, e->rows - i * LANE), 0, e->vectors };

    if (!e->diagonal)
        return (struct part){ 0, i ? 0 : e->rows, 0, e->vectors };
    if (e->columns_are_keys) {
        b.from = (e->vectors - 1 - i) * LANE;
        b.n = i < e->vectors ? least(LANE, e->rows - b.from) : 0;
        b.vectors = e->vectors - i;
    } else {
        b.first = i;
        b.vectors = e->vectors - i;
    }
    return b;
}

/* s = x left: scores of the rows in x (rows, width) with the columns in left (width, LANES). */
static void scores(const struct extent *e, struct rows x, ptrdiff_t width, float *left, float *s)
{
    struct part b;

    for (ptrdiff_t i = 0; (b = part_of(e, i)).n > 0; i++)
        product(b.n, b.vectors, width, (struct factor){ x.x + b.from * x.ld, x.ld, 1 },
                (struct matrix){ left + b.first * LANE, LANES },
                (struct matrix){ s + b.from * LANES + b.first * LANE, LANES }, 0);
}

/* sum (width, LANES) = x^T s, or += when `add`. */
static void gather(const struct extent *e, struct rows x, ptrdiff_t width, float *s, float *sum, int add)
{
    struct part b;

    for (ptrdiff_t i = 0; (b = part_of(e, i)).n > 0; i++)
        product(width, b.vectors, b.n, (struct factor){ x.x + b.from * x.ld, 1, x.ld },
                (struct matrix){ s + b.from * LANES + b.first * LANE, LANES },
                (struct matrix){ sum + b.first * LANE, LANES }, add || i);
}

/* y (rows, wide) += s x: x (columns, wide), `columns` of s, which are keys. */
static void spread(const struct extent *e, ptrdiff_t columns, struct matrix x, ptrdiff_t wide, const float *s,
                   struct matrix y)
{
    struct part b;

    for (ptrdiff_t i = 0; (b = part_of(e, i)).n > 0; i++)
        product(b.n, wide / LANE, least(columns, b.vectors * LANE), (struct factor){ s + b.from * LANES, LANES, 1 }, x,
                moved(y, b.from, 0), 1);
}

/* Rows of register v that are there: from..to - 1. On the diagonal, -inf where the query comes before the key. Chosen,
 * not added, so that what must not be seen is not seen even when it is infinite. */
static ptrdiff_t visible(const struct extent *e, ptrdiff_t v, float *s, ptrdiff_t *from)
{
    ptrdiff_t end = least((v + 1) * LANE, e->rows);

    *from = 0;
    if (!e->diagonal)
        return e->rows;
    for (ptrdiff_t r = v * LANE; r < end; r++) {
        float *p = s + r * LANES + v * LANE;
        int own = (int)(r - v * LANE);

#pragma omp simd
        for (int l = 0; l < LANE; l++)
            p[l] = (e->columns_are_keys ? l <= own : l >= own) ? p[l] : -INFINITY;
    }
    if (!e->columns_are_keys)
        return end;
    *from = v * LANE;
    return e->rows;
}

#endif

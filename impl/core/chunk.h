/* chunk.h: what the chunked forms of linear-rule, gated-linear-rule and delta-rule are made of: products of matrices
 * that lie in the nearest caches, with the triangles that causality leaves, transposition, and rows scaled by decays.
 *
 * Matrices of a chunk are copied into dense rows of a width rounded up to WIDE, zeros behind, so that no product has
 * a tail of columns. Registers are the compilers' vector types, as wide as the processor level has them; loops over
 * lanes of constant length become one instruction. Every entry is one chain of multiply-adds in order of k: the same
 * bits in whatever tile it stands.
 */
#ifndef ASSAY_CHUNK_H
#define ASSAY_CHUNK_H

#include <assay/kernel.h>
#include <assay/lanes.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <stdint.h>
#include <string.h>

enum { LANE = AS_LANES, TILE_ROWS = LANE == 16 ? 8 : 4 };   /* a product's tile: TILE_ROWS by two registers */
enum { CHUNK = 64, WIDE = 16 };              /* steps of a chunk; widths are rounded up to WIDE */

typedef as_lanes vec;
typedef int32_t ivec __attribute__((vector_size(LANE * sizeof(int32_t))));

#define OUTLINED static __attribute__((noinline, unused))

static inline ptrdiff_t least(ptrdiff_t a, ptrdiff_t b) { return a < b ? a : b; }
static inline ptrdiff_t up(ptrdiff_t n, ptrdiff_t to) { return (n + to - 1) / to * to; }

/* The next n numbers of a scratch. */
static inline float *cut(float **p, ptrdiff_t n)
{
    float *start = *p;

    *p += n;
    return start;
}

/* --- what comes next ----------------------------------------------------------------------------------------- */

/* Memory answers few requests at a time, and thousands at once hold up the work behind them. So what the next chunk
 * reads and writes is listed, and products ask for some lines of the list at a time. One list a thread, filled anew for
 * each chunk. */
struct region { const float *x; ptrdiff_t ld, n, width; bool write; };

enum { REGIONS = 16, LINES_AT_A_TIME = 20 };         /* five ports and their gradients, dO, two kept arrays; by trial */

static _Thread_local struct { struct region of[REGIONS]; int regions, region; ptrdiff_t row, column; } ahead;

static inline void begin_asking(void)
{
    ahead.regions = ahead.region = 0;
    ahead.row = ahead.column = 0;
}

/* Lists n rows that will be read, or written. */
static inline void ask(const float *x, ptrdiff_t ld, ptrdiff_t n, ptrdiff_t width, bool write)
{
    if (n > 0 && ahead.regions < REGIONS)
        ahead.of[ahead.regions++] = (struct region){ x, ld, n, width, write };
}

/* Asks memory for the next lines of the list. */
OUTLINED void ask_some(void)
{
    for (int line = 0; line < LINES_AT_A_TIME && ahead.region < ahead.regions; line++) {
        const struct region *g = ahead.of + ahead.region;
        const float *x = g->x + ahead.row * g->ld + ahead.column;

        if (g->write)
            __builtin_prefetch(x, 1, 2);
        else
            __builtin_prefetch(x, 0, 2);
        ahead.column += WIDE;
        if (ahead.column >= g->width) {
            ahead.column = 0;
            ahead.row++;
        }
        if (ahead.row >= g->n) {
            ahead.row = 0;
            ahead.region++;
        }
    }
}

/* --- products ---------------------------------------------------------------------------------------------- */

/* A (m, k) read one number at a time where it stands: element (r, s) at x[r row + s step]. */
struct left { const float *x; ptrdiff_t row, step; };
struct right { const float *x; ptrdiff_t ld; };
struct result { float *x; ptrdiff_t ld; };

enum shape {
    WHOLE,
    LOWER,                                   /* A has zeros right of its diagonal: they are passed over */
    UPPER,                                   /* left of it */
    TRIANGLE                                 /* only C at and left of its diagonal is wanted; the rest is undefined */
};

AS_INLINED void tile(const int rows, const int vectors, ptrdiff_t k, struct left a, struct right b, struct result c,
                     bool add)
{
    vec sum[TILE_ROWS][2];

    AS_UNROLLED for (int r = 0; r < rows; r++)
        AS_UNROLLED for (int w = 0; w < vectors; w++)
            sum[r][w] = add ? as_load(c.x + r * c.ld + w * LANE) : (vec){ 0 };
    for (ptrdiff_t s = 0; s < k; s++, a.x += a.step, b.x += b.ld) {
        vec x0 = as_load(b.x), x1 = vectors > 1 ? as_load(b.x + LANE) : x0;

        AS_UNROLLED for (int r = 0; r < rows; r++) {
            vec f = as_all(a.x[r * a.row]);

            sum[r][0] = as_fma(f, x0, sum[r][0]);
            if (vectors > 1)
                sum[r][1] = as_fma(f, x1, sum[r][1]);
        }
    }
    AS_UNROLLED for (int r = 0; r < rows; r++)
        AS_UNROLLED for (int w = 0; w < vectors; w++)
            as_store(c.x + r * c.ld + w * LANE, sum[r][w]);
}

AS_INLINED void tiles(const int rows, ptrdiff_t n, ptrdiff_t k, struct left a, struct right b, struct result c,
                      bool add)
{
    ptrdiff_t j = 0;

    for (; j + 2 * LANE <= n; j += 2 * LANE) {
        ask_some();
        tile(rows, 2, k, a, (struct right){ b.x + j, b.ld }, (struct result){ c.x + j, c.ld }, add);
    }
    if (j < n)
        tile(rows, 1, k, a, (struct right){ b.x + j, b.ld }, (struct result){ c.x + j, c.ld }, add);
}

/* C (m, n) = A B, or += when `add`; n is a multiple of LANE. */
OUTLINED void product(enum shape shape, ptrdiff_t m, ptrdiff_t n, ptrdiff_t k, struct left a, struct right b,
                      struct result c, bool add)
{
    for (ptrdiff_t r = 0; r < m; r += TILE_ROWS) {
        ptrdiff_t rows = least(TILE_ROWS, m - r), from = shape == UPPER ? least(r, k) : 0;
        ptrdiff_t steps = (shape == LOWER ? least(k, r + rows) : k) - from;
        ptrdiff_t columns = shape == TRIANGLE ? least(n, up(r + rows, LANE)) : n;
        struct left ar = { a.x + r * a.row + from * a.step, a.row, a.step };
        struct right br = { b.x + from * b.ld, b.ld };
        struct result cr = { c.x + r * c.ld, c.ld };

        switch (rows) {
        case 1: tiles(1, columns, steps, ar, br, cr, add); break;
        case 2: tiles(2, columns, steps, ar, br, cr, add); break;
        case 3: tiles(3, columns, steps, ar, br, cr, add); break;
#if ASSAY_LEVEL == 2
        case 4: tiles(4, columns, steps, ar, br, cr, add); break;
        case 5: tiles(5, columns, steps, ar, br, cr, add); break;
        case 6: tiles(6, columns, steps, ar, br, cr, add); break;
        case 7: tiles(7, columns, steps, ar, br, cr, add); break;
#endif
        default: tiles(TILE_ROWS, columns, steps, ar, br, cr, add); break;
        }
    }
}

/* A read as it stands, or transposed. */
AS_INLINED struct left plain(const float *x, ptrdiff_t ld) { return (struct left){ x, ld, 1 }; }
AS_INLINED struct left flipped(const float *x, ptrdiff_t ld) { return (struct left){ x, 1, ld }; }
AS_INLINED struct left rows_of(struct right m) { return plain(m.x, m.ld); }
AS_INLINED struct left columns_of(struct right m) { return flipped(m.x, m.ld); }

/* --- transposition ----------------------------------------------------------------------------------------- */

#if ASSAY_LEVEL == 2
#define FRONT(a, b) __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define BACK(a, b) __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#elif ASSAY_LEVEL == 1
#define FRONT(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define BACK(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
#else
#define FRONT(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define BACK(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
#endif

/* The rows of r laced into each other; as often as LANE has factors of two, and r is transposed. */
AS_INLINED void lace(const vec *r, vec *out)
{
    AS_UNROLLED for (int i = 0; i < LANE / 2; i++) {
        out[2 * i] = FRONT(r[i], r[i + LANE / 2]);
        out[2 * i + 1] = BACK(r[i], r[i + LANE / 2]);
    }
}

/* xt (width, CHUNK) = x^T with zeros in the columns from `rows` to the next multiple of WIDE; x (rows, ld), its width
 * a multiple of WIDE. */
OUTLINED void transpose(const float *x, ptrdiff_t ld, ptrdiff_t rows, ptrdiff_t width, float *xt, ptrdiff_t ldt)
{
    for (ptrdiff_t i = 0; i < up(rows, WIDE); i += LANE)
        for (ptrdiff_t j = 0; j < width; j += LANE) {
            vec a[LANE], b[LANE];

            AS_UNROLLED for (int l = 0; l < LANE; l++)
                a[l] = i + l < rows ? as_load(x + (i + l) * ld + j) : (vec){ 0 };
            lace(a, b);
            lace(b, a);
            if (LANE > 4)
                lace(a, b);
            if (LANE > 8)
                lace(b, a);
            AS_UNROLLED for (int l = 0; l < LANE; l++)
                as_store(xt + (j + l) * ldt + i, LANE == 8 ? b[l] : a[l]);
        }
}

/* --- rows -------------------------------------------------------------------------------------------------- */

/* out (n, up(width, WIDE)) = the rows of x, ld apart, zeros behind; row i times by[i] unless `by` is NULL. */
OUTLINED void take(const float *x, ptrdiff_t ld, ptrdiff_t n, ptrdiff_t width, const float *by, float *out)
{
    ptrdiff_t wide = up(width, WIDE), even = width / WIDE * WIDE;

    for (ptrdiff_t i = 0; i < n; i++, x += ld, out += wide) {
        float f = by ? by[i] : 1;

        for (ptrdiff_t j = 0; j < even; j += LANE)
            as_store(out + j, as_all(f) * as_load(x + j));
        if (even < wide)
            memset(out + even, 0, WIDE * sizeof *out);
        for (ptrdiff_t j = even; j < width; j++)
            out[j] = f * x[j];
    }
}

/* y (n, width; rows ld apart) += the rows of x (n, up(width, WIDE)), row i times by[i] unless `by` is NULL; or = them,
 * where y is fresh. */
OUTLINED void give(const float *x, ptrdiff_t n, ptrdiff_t width, const float *by, float *y, ptrdiff_t ld, bool fresh)
{
    ptrdiff_t wide = up(width, WIDE), even = width / WIDE * WIDE;

    for (ptrdiff_t i = 0; i < n; i++, x += wide, y += ld) {
        float f = by ? by[i] : 1;

        for (ptrdiff_t j = 0; j < even; j += LANE)
            as_store(y + j, as_fma(as_all(f), as_load(x + j), fresh ? (vec){ 0 } : as_load(y + j)));
        for (ptrdiff_t j = even; j < width; j++)
            y[j] = AS_FMA(f, x[j], fresh ? 0 : y[j]);
    }
}

/* Rows that products can read where they stand, or else a dense copy of them in `room`. */
AS_INLINED struct right stand(const float *x, ptrdiff_t ld, ptrdiff_t n, ptrdiff_t width, float *room)
{
    if (width % WIDE == 0)
        return (struct right){ x, ld };
    take(x, ld, n, width, NULL, room);
    return (struct right){ room, up(width, WIDE) };
}

/* Where products write rows that are meant for y: there, when y is fresh and takes whole registers, or else into `room`,
 * from which hand_over() adds them. */
AS_INLINED struct result aim(float *y, ptrdiff_t ld, ptrdiff_t width, bool fresh, float *room)
{
    return y && fresh && width % WIDE == 0 ? (struct result){ y, ld } : (struct result){ room, up(width, WIDE) };
}

AS_INLINED void hand_over(struct result from, ptrdiff_t n, ptrdiff_t width, float *y, ptrdiff_t ld, bool fresh)
{
    if (y && from.x != y)
        give(from.x, n, width, NULL, y, ld, fresh);
}

AS_INLINED float lanes_sum(vec v)
{
    float a[LANE];

    as_store(a, v);
    for (int half = LANE / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            a[l] += a[l + half];
    return a[0];
}

/* x.y over n numbers, a multiple of LANE. */
AS_INLINED float dot(const float *x, const float *y, ptrdiff_t n)
{
    vec s = { 0 };

    for (ptrdiff_t i = 0; i < n; i += LANE)
        s = as_fma(as_load(x + i), as_load(y + i), s);
    return lanes_sum(s);
}

/* x <- f x over n numbers, a multiple of LANE. */
AS_INLINED void scale(float *x, ptrdiff_t n, float f)
{
    for (ptrdiff_t i = 0; i < n; i += LANE)
        as_store(x + i, as_all(f) * as_load(x + i));
}

/* Row i of a square of CHUNK keeps its first i + own numbers; zeros follow as far as a product over a triangle reads. */
AS_INLINED void clear_above(float *a, ptrdiff_t n, ptrdiff_t own)
{
    ivec place = { 0 };

    AS_UNROLLED for (int l = 0; l < LANE; l++)
        place[l] = l;
    for (ptrdiff_t i = 0; i < n; i++) {
        float *at = a + i * CHUNK + i / LANE * LANE;
        ivec kept = place < (int32_t)(i % LANE + own);

        as_store(at, (vec)((ivec)as_load(at) & kept));
    }
}

/* Decays of a chunk from g (n values, `step` apart): e^{g_i}, e^{b_i} with b_i = g_1 + ... + g_i, e^{b_n - b_i}.
 * Products of e^g, not exponentials of sums and of their differences: where much is forgotten the sums are large, and
 * their differences lose their digits. */
AS_INLINED void decays(const float *g, ptrdiff_t step, ptrdiff_t n, float *e, float *before, float *after)
{
    float product_of = 1;

    for (ptrdiff_t i = 0; i < n; i++)
        e[i] = g[i * step];
    as_vexp(n, e, e);
    for (ptrdiff_t i = 0; i < n; i++)
        before[i] = product_of *= e[i];
    product_of = 1;
    for (ptrdiff_t i = n - 1; i >= 0; i--) {
        after[i] = product_of;
        product_of *= e[i];
    }
}

/* Row i of G_ij = e^{b_i - b_j} (j <= i, zeros behind) from row i - 1, e = e^{g_i}; rows of CHUNK. */
AS_INLINED void decay_row(ptrdiff_t i, float e, float *row)
{
    ptrdiff_t end = up(i, LANE);

    for (ptrdiff_t j = 0; j < end; j += LANE)
        as_store(row + j, as_all(e) * as_load(row - CHUNK + j));
    memset(row + i, 0, (size_t)(CHUNK - i) * sizeof *row);
    row[i] = 1;
}

#endif

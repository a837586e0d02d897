/* product.h: the matrix products of the fused recurrences. Float only, one copy a processor level.
 *
 * One factor is packed once: panels of COLS columns, each with its rows one behind the other, so that a product reads
 * it in the order in which it lies and a stream of it keeps up from the second-level cache. A group of rows of the
 * other factor shares each load; the fewer the rows, the more panels are worked on at a time, so that there are
 * always sums enough to hide the latency of the multiply-adds. Rows of a panel are asked for ahead, as a core that
 * shares its caches with a neighbour no longer finds them in time. Each result is one sum in the order of k, whatever
 * the group of rows and the panel that it fell into.
 */
#ifndef RECURRENT_PRODUCT_H
#define RECURRENT_PRODUCT_H

#include <assay/kernel.h>
#include <assay/parallel.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#if ASSAY_LEVEL == 2
#define COLS 48              /* columns of one panel; the sums of 8 rows fill three quarters of the registers */
#define MOST_ROWS 8
#elif ASSAY_LEVEL == 1
#define COLS 16
#define MOST_ROWS 4
#else
#define COLS 16
#define MOST_ROWS 2
#endif
#define MOST_WIDE 4          /* panels at a time */
#define UNIT 8               /* columns are padded to a multiple of it; the last panels have 32, 16 or 8 */
#define AHEAD 16             /* rows of a panel between asking for one and its use: some 100 cycles */
#define LINE 16              /* floats */

static inline ptrdiff_t padded(ptrdiff_t n)
{
    return (n + UNIT - 1) / UNIT * UNIT;
}

/* The widest panel of at most n columns. */
static inline ptrdiff_t widest(ptrdiff_t n)
{
    return n >= COLS ? COLS : n >= 32 ? 32 : n >= 16 ? 16 : 8;
}

/* Columns of the panel that starts at column p of n, n a multiple of UNIT. The last 64 are halved: a panel of 16 has
 * too few sums. */
static inline ptrdiff_t panel_columns(ptrdiff_t n, ptrdiff_t p)
{
    return COLS > 32 && n - p == 64 ? 32 : widest(n - p);
}

/* Where the piece-th panel starts, or n behind the last one. */
static inline ptrdiff_t panel_start(ptrdiff_t n, ptrdiff_t piece)
{
    ptrdiff_t p = 0;

    while (p < n && piece-- > 0)
        p += panel_columns(n, p);
    return p;
}

static inline ptrdiff_t panels_in(ptrdiff_t n)
{
    ptrdiff_t count = 0;

    for (ptrdiff_t p = 0; p < n; p += panel_columns(n, p))
        count++;
    return count;
}

/* --- packing ------------------------------------------------------------------------------------------------ */

/* A weight (gates * h, columns) as it is stored, and where it goes; each gate's h is padded to hp by zeros. */
struct packing { int gates; ptrdiff_t h, hp, columns; const float *w; float *to; };

/* Transposed, for a W^T: k = columns, n = gates * hp. One piece a panel. */
static void pack_transposed(void *ctx, ptrdiff_t piece)
{
    const struct packing *s = ctx;
    ptrdiff_t k = s->columns, n = s->gates * s->hp, p = panel_start(n, piece), w = panel_columns(n, p);
    float *to = s->to + p * k;

    for (ptrdiff_t c = p; c < p + w; c++, to++) {
        const float *from = s->w + (c / s->hp * s->h + c % s->hp) * k;

        if (c % s->hp < s->h)
            for (ptrdiff_t i = 0; i < k; i++)
                to[i * w] = from[i];
        else
            for (ptrdiff_t i = 0; i < k; i++)
                to[i * w] = 0.0f;
    }
}

/* As it is, for a W: k = gates * hp, n = columns, padded to a multiple of UNIT. */
static void pack_straight(void *ctx, ptrdiff_t piece)
{
    const struct packing *s = ctx;
    ptrdiff_t n = padded(s->columns), k = s->gates * s->hp, p = panel_start(n, piece), w = panel_columns(n, p);
    float *to = s->to + p * k;

    for (int g = 0; g < s->gates; g++)
        for (ptrdiff_t i = 0; i < s->hp; i++, to += w) {
            ptrdiff_t has = i >= s->h ? 0 : s->columns - p < w ? s->columns - p : w;

            for (ptrdiff_t j = 0; j < has; j++)
                to[j] = s->w[(g * s->h + i) * s->columns + p + j];
            for (ptrdiff_t j = has; j < w; j++)
                to[j] = 0.0f;
        }
}

static inline void pack(int gates, ptrdiff_t h, ptrdiff_t columns, const float *w, int transposed, float *to)
{
    struct packing s = { gates, h, padded(h), columns, w, to };
    ptrdiff_t n = transposed ? gates * s.hp : padded(columns);

    as_parallel(panels_in(n), 2.0 * (double)gates * (double)(s.hp * columns),
                transposed ? pack_transposed : pack_straight, &s);
}

/* --- rows times a packed matrix ------------------------------------------------------------------------------ */

/* out (rows, wide panels of cols) = a b, or added to it; a's element (r, i) at a[r * ar + i * ai], b's row i of a
 * panel at b[i * ldb]. The first three are constants after inlining. */
INLINE void panel(int rows, int wide, int cols, ptrdiff_t k, const float *restrict a, ptrdiff_t ar, ptrdiff_t ai,
                  const float *restrict b, ptrdiff_t ldb, float *restrict out, ptrdiff_t ldo, int add)
{
    float sum[MOST_ROWS][MOST_WIDE][COLS];

    for (int r = 0; r < rows; r++)
        for (int q = 0; q < wide; q++)
            for (int j = 0; j < cols; j++)
                sum[r][q][j] = add ? out[r * ldo + q * cols + j] : 0.0f;
    for (ptrdiff_t i = 0; i < k; i++) {
        for (int q = 0; q < wide; q++)
            for (int j = 0; j < cols; j += LINE)
                __builtin_prefetch(b + q * k * cols + (i + AHEAD) * ldb + j);
        for (int r = 0; r < rows; r++) {
            float v = a[r * ar + i * ai];

            for (int q = 0; q < wide; q++) {
#pragma omp simd
                for (int j = 0; j < cols; j++)
                    sum[r][q][j] = AS_FMA(v, b[q * k * cols + i * ldb + j], sum[r][q][j]);
            }
        }
    }
    for (int r = 0; r < rows; r++)
        for (int q = 0; q < wide; q++)
            for (int j = 0; j < cols; j++)
                out[r * ldo + q * cols + j] = sum[r][q][j];
}

/* One group of rows against the first n columns of np that were packed. */
INLINE void panels(int rows, ptrdiff_t k, ptrdiff_t n, ptrdiff_t np, const float *a, ptrdiff_t lda, const float *b,
                   float *out, ptrdiff_t ldo, int add)
{
    const int wide = MOST_ROWS / rows < MOST_WIDE ? MOST_ROWS / rows : MOST_WIDE;
    ptrdiff_t p = 0, w;

    for (; wide > 1 && p + wide * COLS <= n && panel_columns(np, p + (wide - 1) * COLS) == COLS; p += wide * COLS)
        panel(rows, wide, COLS, k, a, lda, 1, b + p * k, COLS, out + p, ldo, add);
    for (; p < n; p += w) {
        w = panel_columns(np, p);
        if (w == COLS)
            panel(rows, 1, COLS, k, a, lda, 1, b + p * k, COLS, out + p, ldo, add);
        else if (COLS > 32 && w == 32)
            panel(rows, 1, 32, k, a, lda, 1, b + p * k, 32, out + p, ldo, add);
        else if (COLS > 16 && w == 16)
            panel(rows, 1, 16, k, a, lda, 1, b + p * k, 16, out + p, ldo, add);
        else
            panel(rows, 1, 8, k, a, lda, 1, b + p * k, 8, out + p, ldo, add);
    }
}

/* out (rows, n) = a (rows, k) times the first n columns of B (k, np), or added to it; they end with a panel. */
static void product_part(ptrdiff_t rows, ptrdiff_t k, ptrdiff_t n, ptrdiff_t np, const float *a, ptrdiff_t lda,
                         const float *b, float *out, ptrdiff_t ldo, int add)
{
    while (rows > 0) {
        ptrdiff_t r = rows >= MOST_ROWS ? MOST_ROWS : rows >= 4 ? 4 : rows >= 2 ? 2 : 1;

        switch (r) {
        case 8: panels(MOST_ROWS, k, n, np, a, lda, b, out, ldo, add); break;
        case 4: panels(MOST_ROWS < 4 ? MOST_ROWS : 4, k, n, np, a, lda, b, out, ldo, add); break;
        case 2: panels(2, k, n, np, a, lda, b, out, ldo, add); break;
        default: panels(1, k, n, np, a, lda, b, out, ldo, add);
        }
        rows -= r;
        a += r * lda;
        out += r * ldo;
    }
}

/* All columns: out (rows, n) = a (rows, k) B, or added to it; n is a multiple of UNIT. */
static inline void product(ptrdiff_t rows, ptrdiff_t k, ptrdiff_t n, const float *a, ptrdiff_t lda, const float *b,
                           float *out, ptrdiff_t ldo, int add)
{
    product_part(rows, k, n, n, a, lda, b, out, ldo, add);
}

/* The same with any n as stored in out, added: the last panel, when n cuts it, goes through a small tile. */
static void add_product(ptrdiff_t rows, ptrdiff_t k, ptrdiff_t n, const float *a, ptrdiff_t lda, const float *b,
                        float *out, ptrdiff_t ldo)
{
    ptrdiff_t np = padded(n), whole = 0, w = 0;
    float tile[MOST_ROWS * COLS];

    while (whole < n && whole + (w = panel_columns(np, whole)) <= n)
        whole += w;
    if (whole)
        product_part(rows, k, whole, np, a, lda, b, out, ldo, 1);
    for (ptrdiff_t r = 0; whole < n && r < rows; r += MOST_ROWS) {
        ptrdiff_t some = rows - r < MOST_ROWS ? rows - r : MOST_ROWS;

        product(some, k, w, a + r * lda, lda, b + whole * k, tile, w, 0);
        for (ptrdiff_t i = 0; i < some; i++)
            for (ptrdiff_t c = whole; c < n; c++)
                out[(r + i) * ldo + c] += tile[i * w + c - whole];
    }
}

/* --- products over all steps --------------------------------------------------------------------------------- */

#define STEPS 256            /* steps at a time */
#define STRIP (STEPS * MOST_ROWS + 16)      /* floats from strip to strip: not a multiple of a page */

/* dw (gates * h, n) += dg^T a and the same for a second a: dg (steps, gates * hp; leading ldg). dw may be NULL. */
struct gradient {
    int gates;
    ptrdiff_t h, hp, steps, ldg;
    const float *dg;
    struct { const float *a; ptrdiff_t lda, n; float *dw; } of[2];
    float *room;                         /* gradient_room() floats */
};

/* Columns of dg of one piece: by size alone. */
static inline ptrdiff_t slab_of(int gates, ptrdiff_t hp)
{
    ptrdiff_t m = gates * hp, parts = m >= 512 ? 4 : m >= 128 ? 2 : 1;

    return padded((m + parts - 1) / parts);
}

/* How many. */
static inline ptrdiff_t slabs_of(const struct gradient *g)
{
    ptrdiff_t m = g->gates * g->hp, slab = slab_of(g->gates, g->hp);

    return m && (g->of[0].dw || g->of[1].dw) ? (m + slab - 1) / slab : 0;
}

/* The strips of a slab, and of both factors the columns beyond the last whole UNIT. */
static inline ptrdiff_t slab_room(int gates, ptrdiff_t hp)
{
    return slab_of(gates, hp) / MOST_ROWS * STRIP + 2 * STEPS * UNIT;
}

/* Floats of room for weight_gradient() of up to that many gates. */
static inline size_t gradient_room(int gates, ptrdiff_t hp)
{
    size_t most = 0;

    for (int g = 1; g <= gates; g++) {
        ptrdiff_t slab = slab_of(g, hp), all = slab ? (g * hp + slab - 1) / slab * slab_room(g, hp) : 0;

        most = (size_t)all > most ? (size_t)all : most;
    }
    return most;
}

/* out (MOST_ROWS, w) = strip^T b, or added to it: b (steps, w; ldb), w a panel's width. */
static void strip_panel(ptrdiff_t w, ptrdiff_t steps, const float *strip, const float *b, ptrdiff_t ldb, float *out,
                        ptrdiff_t ldo, int add)
{
    if (w == COLS)
        panel(MOST_ROWS, 1, COLS, steps, strip, 1, MOST_ROWS, b, ldb, out, ldo, add);
    else if (COLS > 32 && w == 32)
        panel(MOST_ROWS, 1, 32, steps, strip, 1, MOST_ROWS, b, ldb, out, ldo, add);
    else if (COLS > 16 && w == 16)
        panel(MOST_ROWS, 1, 16, steps, strip, 1, MOST_ROWS, b, ldb, out, ldo, add);
    else
        panel(MOST_ROWS, 1, 8, steps, strip, 1, MOST_ROWS, b, ldb, out, ldo, add);
}

/* dw (rows, n) += the first rows of a strip, transposed, times a (steps, n; lda), whose last columns stand in rest,
 * padded by zeros. */
static void strip_gradient(ptrdiff_t steps, const float *strip, const float *a, ptrdiff_t lda, const float *rest,
                           ptrdiff_t n, ptrdiff_t rows, float *dw)
{
    float tile[MOST_ROWS * COLS];
    ptrdiff_t np = padded(n), w;

    for (ptrdiff_t p = 0; p < np; p += w) {
        ptrdiff_t has = n - p;

        w = panel_columns(np, p);
        if (has >= w && rows == MOST_ROWS) {
            strip_panel(w, steps, strip, a + p, lda, dw + p, n, 1);
            continue;
        }
        w = has >= w ? w : widest(has);
        if (has >= w)
            strip_panel(w, steps, strip, a + p, lda, tile, COLS, 0);
        else
            strip_panel(w, steps, strip, rest, UNIT, tile, COLS, 0);
        has = has < w ? has : w;
        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t j = 0; j < has; j++)
                dw[r * n + p + j] += tile[r * COLS + j];
    }
}

/* A part of dg (steps, columns; leading ldg) as strips of MOST_ROWS columns. */
static void pack_strips(ptrdiff_t steps, ptrdiff_t columns, const float *dg, ptrdiff_t ldg, float *to)
{
    for (ptrdiff_t t = 0; t < steps; t++)
        for (ptrdiff_t j = 0; j < columns; j += MOST_ROWS) {
            float *strip = to + j / MOST_ROWS * STRIP + t * MOST_ROWS;

#pragma omp simd
            for (int r = 0; r < MOST_ROWS; r++)
                strip[r] = dg[t * ldg + j + r];
        }
}

/* The share of `some` steps from s on, at most STEPS, in one slab. */
static void slab_steps(const struct gradient *g, ptrdiff_t piece, ptrdiff_t s, ptrdiff_t some)
{
    ptrdiff_t m = g->gates * g->hp, slab = slab_of(g->gates, g->hp), first = piece * slab;
    ptrdiff_t end = first + slab < m ? first + slab : m;
    float *strips = g->room + piece * slab_room(g->gates, g->hp), *rest = strips + slab / MOST_ROWS * STRIP;

    for (int i = 0; i < 2; i++)
        for (ptrdiff_t t = 0, n = g->of[i].n; g->of[i].dw && n % UNIT && t < some; t++)
            for (ptrdiff_t j = 0, p = n / UNIT * UNIT; j < UNIT; j++)
                rest[(i * STEPS + t) * UNIT + j] = p + j < n ? g->of[i].a[(s + t) * g->of[i].lda + p + j] : 0.0f;
    pack_strips(some, end - first, g->dg + s * g->ldg + first, g->ldg, strips);
    for (ptrdiff_t j = first; j < end; j += MOST_ROWS) {
        ptrdiff_t unit = j % g->hp, left = g->h - unit, rows = left < 0 ? 0 : left < MOST_ROWS ? left : MOST_ROWS;

        for (int i = 0; i < 2; i++)
            if (g->of[i].dw)
                strip_gradient(some, strips + (j - first) / MOST_ROWS * STRIP, g->of[i].a + s * g->of[i].lda,
                               g->of[i].lda, rest + i * STEPS * UNIT, g->of[i].n, rows,
                               g->of[i].dw + (j / g->hp * g->h + unit) * g->of[i].n);
    }
}

static void gradient_slab(void *ctx, ptrdiff_t piece)
{
    const struct gradient *g = ctx;

    for (ptrdiff_t s = 0; s < g->steps; s += STEPS)
        slab_steps(g, piece, s, g->steps - s < STEPS ? g->steps - s : STEPS);
}

static inline void weight_gradient(struct gradient g)
{
    double m = (double)(g.gates * g.hp);

    as_parallel(slabs_of(&g), m * (double)g.steps * (double)(g.of[0].n + g.of[1].n) / 4, gradient_slab, &g);
}

#endif

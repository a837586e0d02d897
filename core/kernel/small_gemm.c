/* small_gemm.c: own products: for sizes where a library's call costs more than it saves, and for everything where no
 * library was built in.
 *
 * Each entry of C is one chain of multiply-adds in order of k, in pieces of CHAIN; its bits do not depend on its
 * place in C, nor on which tile or tail it fell into.
 *
 * One panel of B at a time, PANEL columns wide, is packed so that it lies densely in the first-level cache; the rows of
 * A pass by it in tiles. A is read as it lies; a long transposed A, whose rows would be scattered, in packed strips.
 */
#include "kernels.h"
#include "vector.h"
#include <stdbool.h>

#define CHAIN 256                       /* steps of k in one packed panel of B */
#define PANEL (2 * VF_WIDTH)            /* columns of one panel */
#if ASSAY_LEVEL == 2
#define TILE_ROWS 8
#elif ASSAY_LEVEL == 1
#define TILE_ROWS 6
#else
#define TILE_ROWS 4
#endif
#define BLOCK_ROWS 512                  /* rows of A that stay in the second-level cache while the panels pass */
#define STRIPS 16                       /* strips of a transposed A that are packed at a time */
#define STRIP (CHAIN * TILE_ROWS + 16)  /* floats from strip to strip: not a multiple of a page */
#define FEW_ROWS 48                     /* a dense copy of a panel is not worth it for fewer rows, or when its rows lie */
#define NEAR 4096                       /* within so many floats */
#define FAR 128                         /* steps from which strips are worth it */

void AS_LEVELLED(as_small_product)(const struct as_product *p);

/* The tiles of one panel: what they have in common, and the place of one. */
struct panel {
    ptrdiff_t k, row_a, step_a, sb, ldc, ld_old, columns;
    bool strips;                        /* A is in strips */
    float alpha, beta;
    const float *a;                     /* (rows, k) with strides, or a strip (k, TILE_ROWS) */
    const float *b;                     /* (k, columns; sb), readable to whole registers */
    const float *old;                   /* what is added, times beta: C itself, or the bias with ld_old 0 */
    float *c;
};

/* y[0..n) = alpha * acc + beta * old, n <= VF_WIDTH. */
static inline void put(float *y, const float *old, ptrdiff_t n, vf acc, float alpha, float beta)
{
    vf value = acc * vf_set1(alpha);
    if (n == VF_WIDTH) {
        if (beta != 0.0f)
            value = vf_fma(vf_set1(beta), vf_load(old), value);
        vf_store(y, value);
        return;
    }
    if (beta != 0.0f)
        value = vf_fma(vf_set1(beta), vf_load_part(old, n), value);
    vf_store_part(y, n, value);
}

/* One tile: `rows` rows, `vectors` registers wide; both, and what strides can be, are constants after inlining. Only
 * the first `stored` rows are. */
static inline __attribute__((always_inline)) void
tile(const int rows, const int vectors, const ptrdiff_t row_a, const ptrdiff_t step_a, const struct panel *p,
     ptrdiff_t stored)
{
    const ptrdiff_t k = p->k, sb = p->sb;
    const float *a = p->a, *b = p->b;
    vf acc[TILE_ROWS][2];
    for (int r = 0; r < rows; r++)
        acc[r][0] = acc[r][1] = vf_set1(0.0f);
    for (ptrdiff_t s = 0; s < k; s++) {
        vf b0 = vf_load(b + s * sb);
        vf b1 = vectors > 1 ? vf_load(b + s * sb + VF_WIDTH) : b0;
        for (int r = 0; r < rows; r++) {
            vf as = vf_set1(a[r * row_a + s * step_a]);
            acc[r][0] = vf_fma(as, b0, acc[r][0]);
            if (vectors > 1)
                acc[r][1] = vf_fma(as, b1, acc[r][1]);
        }
    }
    const ptrdiff_t first = p->columns < VF_WIDTH ? p->columns : VF_WIDTH, second = p->columns - VF_WIDTH;
    const float alpha = p->alpha, beta = p->beta;
    for (int r = 0; r < rows; r++) {
        float *c = p->c + r * p->ldc;
        const float *old = p->old + r * p->ld_old;
        if (r >= stored)
            continue;
        put(c, old, first, acc[r][0], alpha, beta);
        if (vectors > 1)
            put(c + VF_WIDTH, old + VF_WIDTH, second, acc[r][1], alpha, beta);
    }
}

#define TILE_CASE(r)                                                                                    \
    case r:                                                                                             \
        if (p->columns > VF_WIDTH)                                                                      \
            tile(r, 2, p->row_a, p->step_a, p, r);                                                      \
        else                                                                                            \
            tile(r, 1, p->row_a, p->step_a, p, r);                                                      \
        break

static void any_tile(ptrdiff_t rows, const struct panel *p)
{
    if (p->strips) {
        if (p->columns > VF_WIDTH)
            tile(TILE_ROWS, 2, 1, TILE_ROWS, p, rows);
        else
            tile(TILE_ROWS, 1, 1, TILE_ROWS, p, rows);
        return;
    }
    if (rows == TILE_ROWS && p->step_a == 1 && p->columns > VF_WIDTH) {
        tile(TILE_ROWS, 2, p->row_a, 1, p, TILE_ROWS);
        return;
    }
    switch (rows) {
        TILE_CASE(1);
        TILE_CASE(2);
        TILE_CASE(3);
        TILE_CASE(4);
#if TILE_ROWS > 4
        TILE_CASE(5);
        TILE_CASE(6);
#endif
#if TILE_ROWS > 6
        TILE_CASE(7);
        TILE_CASE(8);
#endif
    }
}

/* ---- Packing ---- */

typedef float four __attribute__((vector_size(16)));

static inline four load_four(const float *p)
{
    four v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline void store_four(float *p, four v)
{
    memcpy(p, &v, sizeof v);
}

/* to (4, ...; ldt) = the transpose of b (4, ...; ldb) */
static inline void across(const float *b, ptrdiff_t ldb, float *to, ptrdiff_t ldt)
{
    four r0 = load_four(b), r1 = load_four(b + ldb), r2 = load_four(b + 2 * ldb), r3 = load_four(b + 3 * ldb);
    four low = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), high = __builtin_shufflevector(r0, r1, 2, 6, 3, 7);
    four low2 = __builtin_shufflevector(r2, r3, 0, 4, 1, 5), high2 = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
    store_four(to, __builtin_shufflevector(low, low2, 0, 1, 4, 5));
    store_four(to + ldt, __builtin_shufflevector(low, low2, 2, 3, 6, 7));
    store_four(to + 2 * ldt, __builtin_shufflevector(high, high2, 0, 1, 4, 5));
    store_four(to + 3 * ldt, __builtin_shufflevector(high, high2, 2, 3, 6, 7));
}

/* The (k, columns) part of op(B) that starts at b, as (k, width) with zeros to the right; width is columns rounded
 * up to whole registers. */
static void pack(const float *b, ptrdiff_t ldb, bool stored_t, ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width,
                 float *panel)
{
    if (columns < width)
        memset(panel, 0, (size_t)(k * width) * sizeof *panel);
    if (!stored_t && columns == PANEL) {
        for (ptrdiff_t s = 0; s < k; s++)
            memcpy(panel + s * PANEL, b + s * ldb, PANEL * sizeof *panel);
        return;
    }
    if (!stored_t) {
        for (ptrdiff_t s = 0; s < k; s++)
            for (ptrdiff_t j = 0; j < columns; j++)
                panel[s * width + j] = b[s * ldb + j];
        return;
    }
    const ptrdiff_t whole = columns / 4 * 4, steps = k / 4 * 4;
    for (ptrdiff_t j = 0; j < whole; j += 4)
        for (ptrdiff_t s = 0; s < steps; s += 4)
            across(b + j * ldb + s, ldb, panel + s * width + j, width);
    for (ptrdiff_t j = 0; j < columns; j++)
        for (ptrdiff_t s = j < whole ? steps : 0; s < k; s++)
            panel[s * width + j] = b[j * ldb + s];
}

/* Columns 0..m-1 of a (k, ...; lda) as strips of TILE_ROWS, with zeros behind the last. */
static void pack_strips(const float *a, ptrdiff_t lda, ptrdiff_t k, ptrdiff_t m, float *strips)
{
    for (ptrdiff_t s = 0; s < k; s++, a += lda) {
        float *to = strips + s * TILE_ROWS;
        ptrdiff_t i = 0;
        for (; i + TILE_ROWS <= m; i += TILE_ROWS, to += STRIP)
            memcpy(to, a + i, TILE_ROWS * sizeof *to);
        for (ptrdiff_t r = 0; i < m && r < TILE_ROWS; r++)
            to[r] = i + r < m ? a[i + r] : 0.0f;
    }
}

/* ---- The product ---- */

/* Rows from..from+m-1 of C, steps s..s+k-1; strips: these rows and steps of a transposed A, packed, or NULL. */
static void block(const struct as_product *p, ptrdiff_t from, ptrdiff_t m, ptrdiff_t s, ptrdiff_t k, const float *strips)
{
    float packed[CHAIN * PANEL] __attribute__((aligned(64)));
    const bool biased = s == 0 && p->bias;
    struct panel q = { .k = k, .row_a = p->ta ? 1 : p->lda, .step_a = p->ta ? p->lda : 1, .strips = strips != NULL,
                       .ldc = p->ldc, .ld_old = biased ? 0 : p->ldc, .alpha = p->alpha,
                       .beta = s == 0 && !biased ? p->beta : 1.0f };
    const float *a = p->A + from * q.row_a + s * q.step_a;
    for (ptrdiff_t j = 0; j < p->n; j += PANEL) {
        q.columns = p->n - j < PANEL ? p->n - j : PANEL;
        q.b = p->tb ? p->B + j * p->ldb + s : p->B + s * p->ldb + j;
        q.sb = p->ldb;
        if (p->tb || q.columns % VF_WIDTH != 0 || (m >= FEW_ROWS && q.sb > PANEL && k * q.sb > NEAR)) {
            q.sb = q.columns > VF_WIDTH ? PANEL : VF_WIDTH;
            pack(q.b, p->ldb, p->tb, k, q.columns, q.sb, packed);
            q.b = packed;
        }
        for (ptrdiff_t i = 0; i < m; i += TILE_ROWS) {
            q.a = strips ? strips + i / TILE_ROWS * STRIP : a + i * q.row_a;
            q.c = p->C + (from + i) * p->ldc + j;
            q.old = biased ? p->bias + j : q.c;
            any_tile(m - i < TILE_ROWS ? m - i : TILE_ROWS, &q);
        }
    }
}

static __attribute__((noinline)) void in_strips(const struct as_product *p)
{
    float strips[STRIPS * STRIP] __attribute__((aligned(64)));
    for (ptrdiff_t s = 0; s < p->k; s += CHAIN)
        for (ptrdiff_t i = 0; i < p->m; i += STRIPS * TILE_ROWS) {
            ptrdiff_t k = p->k - s < CHAIN ? p->k - s : CHAIN;
            ptrdiff_t m = p->m - i < STRIPS * TILE_ROWS ? p->m - i : STRIPS * TILE_ROWS;
            pack_strips(p->A + s * p->lda + i, p->lda, k, m, strips);
            block(p, i, m, s, k, strips);
        }
}

void AS_LEVELLED(as_small_product)(const struct as_product *p)
{
    ptrdiff_t s = 0;
    if (p->ta && p->n > PANEL && p->m >= FEW_ROWS && p->k > FAR) {
        in_strips(p);
        return;
    }
    do {                                /* once even when k is 0: then C = beta C, or the bias */
        ptrdiff_t k = p->k - s < CHAIN ? p->k - s : CHAIN;
        for (ptrdiff_t i = 0; i < p->m; i += BLOCK_ROWS)
            block(p, i, p->m - i < BLOCK_ROWS ? p->m - i : BLOCK_ROWS, s, k, NULL);
        s += CHAIN;
    } while (s < p->k);
}

/* small_gemm.c: own products: for sizes where a library's call costs more than its work, for m or n of 1, where
 * libraries switch methods, and for everything where no library was built in.
 *
 * Each entry of C is one chain of multiply-adds in order of k, in pieces of CHAIN; its bits do not depend on its
 * place in C, nor on which tile or tail it fell into.
 */
#include "kernels.h"
#include "vector.h"

#define CHAIN 256                       /* steps of k in one packed panel of B */
#define PANEL (2 * VF_WIDTH)            /* columns of one panel */
#if ASSAY_LEVEL == 2
#define TILE_ROWS 8
#elif ASSAY_LEVEL == 1
#define TILE_ROWS 6
#else
#define TILE_ROWS 4
#endif

void AS_LEVELLED(as_small_product)(const struct as_product *p);
void AS_LEVELLED(as_vector_product)(const struct as_product *p);

/* y[0..n) = alpha * acc + beta * y, n <= VF_WIDTH. */
static inline void put(float *y, ptrdiff_t n, vf acc, float alpha, float beta)
{
    vf value = acc * vf_set1(alpha);
    if (n == VF_WIDTH) {
        if (beta != 0.0f)
            value = vf_fma(vf_set1(beta), vf_load(y), value);
        vf_store(y, value);
        return;
    }
    if (beta != 0.0f)
        value = vf_fma(vf_set1(beta), vf_load_part(y, n), value);
    vf_store_part(y, n, value);
}

/* One tile: `rows` rows, `vectors` registers wide; both are constants after inlining. a: (rows, k) with strides;
 * b: (k, ...) with row stride sb, readable to the full width. */
static inline __attribute__((always_inline)) void
tile(const int rows, const int vectors, ptrdiff_t k, const float *a, ptrdiff_t row_a, ptrdiff_t step_a,
     const float *b, ptrdiff_t sb, float *c, ptrdiff_t ldc, ptrdiff_t columns, float alpha, float beta)
{
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
    for (int r = 0; r < rows; r++) {
        ptrdiff_t first = columns < VF_WIDTH ? columns : VF_WIDTH;
        put(c + r * ldc, first, acc[r][0], alpha, beta);
        if (vectors > 1)
            put(c + r * ldc + VF_WIDTH, columns - VF_WIDTH, acc[r][1], alpha, beta);
    }
}

#define TILE_CASE(r)                                                                                    \
    case r:                                                                                             \
        if (columns > VF_WIDTH)                                                                         \
            tile(r, 2, k, a, row_a, step_a, b, sb, c, ldc, columns, alpha, beta);                       \
        else                                                                                            \
            tile(r, 1, k, a, row_a, step_a, b, sb, c, ldc, columns, alpha, beta);                       \
        break

static void any_tile(ptrdiff_t rows, ptrdiff_t k, const float *a, ptrdiff_t row_a, ptrdiff_t step_a, const float *b,
                     ptrdiff_t sb, float *c, ptrdiff_t ldc, ptrdiff_t columns, float alpha, float beta)
{
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

/* The (k, columns) part of op(B) that starts at b, as (k, width) with zeros to the right; width is columns rounded
 * up to whole registers. */
static void pack(const float *b, ptrdiff_t row_b, ptrdiff_t column_b, ptrdiff_t k, ptrdiff_t columns, ptrdiff_t width,
                 float *panel)
{
    if (columns < width)
        memset(panel, 0, (size_t)(k * width) * sizeof *panel);
    if (column_b == 1) {
        for (ptrdiff_t s = 0; s < k; s++)
            for (ptrdiff_t j = 0; j < columns; j++)
                panel[s * width + j] = b[s * row_b + j];
        return;
    }
    for (ptrdiff_t j = 0; j < columns; j++)
        for (ptrdiff_t s = 0; s < k; s++)
            panel[s * width + j] = b[j * column_b + s];
}

void AS_LEVELLED(as_small_product)(const struct as_product *p)
{
    float panel[CHAIN * PANEL] __attribute__((aligned(64)));
    ptrdiff_t row_a = p->ta ? 1 : p->lda, step_a = p->ta ? p->lda : 1;
    ptrdiff_t row_b = p->tb ? 1 : p->ldb, column_b = p->tb ? p->ldb : 1;
    for (ptrdiff_t j = 0; j < p->n; j += PANEL) {
        ptrdiff_t columns = p->n - j < PANEL ? p->n - j : PANEL;
        ptrdiff_t s = 0;
        do {                            /* once even when k is 0: then C = beta C */
            ptrdiff_t k = p->k - s < CHAIN ? p->k - s : CHAIN;
            const float *b = p->B + s * row_b + j * column_b;
            ptrdiff_t sb = p->ldb;
            if (p->tb || columns % VF_WIDTH != 0) {
                sb = columns > VF_WIDTH ? PANEL : VF_WIDTH;
                pack(b, row_b, column_b, k, columns, sb, panel);
                b = panel;
            }
            for (ptrdiff_t i = 0; i < p->m; i += TILE_ROWS) {
                ptrdiff_t rows = p->m - i < TILE_ROWS ? p->m - i : TILE_ROWS;
                any_tile(rows, k, p->A + i * row_a + s * step_a, row_a, step_a, b, sb, p->C + i * p->ldc + j, p->ldc,
                         columns, p->alpha, s == 0 ? p->beta : 1.0f);
            }
            s += CHAIN;
        } while (s < p->k);
    }
}

/* ---- One of m and n is 1: a matrix times a vector ---- */

#define STEPS 4096                      /* of k in one chain: the vector is gathered on the stack when strided */

/* y[i sy] = alpha * acc + beta * y */
static inline void put_one(float *y, float acc, float alpha, float beta)
{
    *y = beta != 0.0f ? AS_FMA(beta, *y, alpha * acc) : alpha * acc;
}

static inline float lanes(vf v)
{
    float a[VF_WIDTH];
    vf_store(a, v);
    for (int half = VF_WIDTH / 2; half > 0; half /= 2)
        for (int l = 0; l < half; l++)
            a[l] += a[l + half];
    return a[0];
}

/* One row after the other: y[i] from the dot product of row i (contiguous) and x. */
static void by_rows(ptrdiff_t n, ptrdiff_t k, const float *matrix, ptrdiff_t ld, const float *x, float *y,
                    ptrdiff_t sy, float alpha, float beta)
{
    for (ptrdiff_t i = 0; i < n; i++) {
        const float *row = matrix + i * ld;
        vf a0 = vf_set1(0.0f), a1 = a0, a2 = a0, a3 = a0;
        ptrdiff_t s = 0;
        for (; s + 4 * VF_WIDTH <= k; s += 4 * VF_WIDTH) {
            a0 = vf_fma(vf_load(row + s), vf_load(x + s), a0);
            a1 = vf_fma(vf_load(row + s + VF_WIDTH), vf_load(x + s + VF_WIDTH), a1);
            a2 = vf_fma(vf_load(row + s + 2 * VF_WIDTH), vf_load(x + s + 2 * VF_WIDTH), a2);
            a3 = vf_fma(vf_load(row + s + 3 * VF_WIDTH), vf_load(x + s + 3 * VF_WIDTH), a3);
        }
        for (; s + VF_WIDTH <= k; s += VF_WIDTH)
            a0 = vf_fma(vf_load(row + s), vf_load(x + s), a0);
        float sum = lanes((a0 + a1) + (a2 + a3));
        for (; s < k; s++)
            sum = AS_FMA(row[s], x[s], sum);
        put_one(y + i * sy, sum, alpha, beta);
    }
}

/* Row after row of a (k, n) matrix added up with weights x: each y[j] is one chain. Here the registers
 * from one column on, without alpha and beta, into out. */
static inline __attribute__((always_inline)) void
columns(const int vectors, ptrdiff_t k, const float *matrix, ptrdiff_t ld, const float *x, float *out)
{
    vf acc[4];
    for (int v = 0; v < vectors; v++)
        acc[v] = vf_set1(0.0f);
    for (ptrdiff_t s = 0; s < k; s++) {
        vf xs = vf_set1(x[s]);
        for (int v = 0; v < vectors; v++)
            acc[v] = vf_fma(xs, vf_load(matrix + s * ld + v * VF_WIDTH), acc[v]);
    }
    for (int v = 0; v < vectors; v++)
        vf_store(out + v * VF_WIDTH, acc[v]);
}

static void by_columns(ptrdiff_t n, ptrdiff_t k, const float *matrix, ptrdiff_t ld, const float *x, float *y,
                       ptrdiff_t sy, float alpha, float beta)
{
    float out[4 * VF_WIDTH];
    ptrdiff_t j = 0;
    while (j < n) {
        ptrdiff_t got, skip = 0;
        if (n - j >= 4 * VF_WIDTH) {
            columns(4, k, matrix + j, ld, x, out);
            got = 4 * VF_WIDTH;
        } else if (n - j >= VF_WIDTH) {
            columns(1, k, matrix + j, ld, x, out);
            got = VF_WIDTH;
        } else if (n >= VF_WIDTH) {     /* a tail: one register that ends at n, what was done already is skipped */
            skip = VF_WIDTH - (n - j);
            columns(1, k, matrix + n - VF_WIDTH, ld, x, out);
            got = n - j;
        } else {
            memset(out, 0, sizeof out);
            for (ptrdiff_t s = 0; s < k; s++)
                for (ptrdiff_t c = 0; c < n; c++)
                    out[c] = AS_FMA(x[s], matrix[s * ld + c], out[c]);
            got = n;
        }
        for (ptrdiff_t c = 0; c < got; c++)
            put_one(y + (j + c) * sy, out[skip + c], alpha, beta);
        j += got;
    }
}

void AS_LEVELLED(as_vector_product)(const struct as_product *p)
{
    float gathered[STEPS];
    int flat = p->m == 1;               /* the vector is op(A), the matrix op(B); else the other way round */
    const float *x = flat ? p->A : p->B, *matrix = flat ? p->B : p->A;
    ptrdiff_t n = flat ? p->n : p->m, sy = flat ? 1 : p->ldc;
    ptrdiff_t sx = flat ? (p->ta ? p->lda : 1) : (p->tb ? 1 : p->ldb);
    ptrdiff_t ld = flat ? p->ldb : p->lda;
    int rows = flat ? p->tb : !p->ta;   /* the sum runs along the rows of the matrix as stored */
    ptrdiff_t s = 0;
    do {
        ptrdiff_t k = p->k - s < STEPS ? p->k - s : STEPS;
        const float *v = x + s * sx;
        if (sx != 1) {
            for (ptrdiff_t t = 0; t < k; t++)
                gathered[t] = v[t * sx];
            v = gathered;
        }
        (rows ? by_rows : by_columns)(n, k, matrix + s * (rows ? 1 : ld), ld, v, p->C, sy, p->alpha,
                                      s == 0 ? p->beta : 1.0f);
        s += STEPS;
    } while (s < p->k);
}

/* vector_product.c: products where m or n is 1, a matrix times a vector. Libraries switch methods there; this one does
 * not: the bits of an entry depend on its row or column alone.
 */
#include "kernels.h"
#include "vector.h"

void AS_LEVELLED(as_vector_product)(const struct as_product *p);

#define STEPS 4096                      /* of k at a time: the vector is gathered on the stack when strided */
#define CHAIN 256                       /* of k in one chain of multiply-adds down a column; longer sums lose digits */

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

/* Row after row of a (k, n) matrix added up with weights x: each y[j] is a sum of chains. Here the registers
 * from one column on, without alpha and beta, into out. */
static inline __attribute__((always_inline)) void
columns(const int vectors, ptrdiff_t k, const float *matrix, ptrdiff_t ld, const float *x, float *out)
{
    vf acc[4], sum[4];
    for (int v = 0; v < vectors; v++)
        sum[v] = vf_set1(0.0f);
    for (ptrdiff_t from = 0; from < k; from += CHAIN) {
        ptrdiff_t to = from + CHAIN < k ? from + CHAIN : k;
        for (int v = 0; v < vectors; v++)
            acc[v] = vf_set1(0.0f);
        for (ptrdiff_t s = from; s < to; s++) {
            vf xs = vf_set1(x[s]);
            for (int v = 0; v < vectors; v++)
                acc[v] = vf_fma(xs, vf_load(matrix + s * ld + v * VF_WIDTH), acc[v]);
        }
        for (int v = 0; v < vectors; v++)
            sum[v] += acc[v];
    }
    for (int v = 0; v < vectors; v++)
        vf_store(out + v * VF_WIDTH, sum[v]);
}

/* The same for fewer columns than a register has. */
static void few_columns(ptrdiff_t n, ptrdiff_t k, const float *matrix, ptrdiff_t ld, const float *x, float *out)
{
    for (ptrdiff_t c = 0; c < n; c++)
        out[c] = 0.0f;
    for (ptrdiff_t from = 0; from < k; from += CHAIN) {
        ptrdiff_t to = from + CHAIN < k ? from + CHAIN : k;
        float acc[VF_WIDTH] = { 0.0f };
        for (ptrdiff_t s = from; s < to; s++)
            for (ptrdiff_t c = 0; c < n; c++)
                acc[c] = AS_FMA(x[s], matrix[s * ld + c], acc[c]);
        for (ptrdiff_t c = 0; c < n; c++)
            out[c] += acc[c];
    }
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
            few_columns(n, k, matrix, ld, x, out);
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

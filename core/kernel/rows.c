/* rows.c: sums in a fixed order, and normalisation of rows, forward and backward in one pass each.
 *
 * A sum runs over the lanes of one register (four when it is long), which are folded in one order at the end. Narrow
 * rows are one register with zeros behind.
 */
#include "kernels.h"
#include "vector.h"

#include <assay/lanes.h>

#define INLINE static inline __attribute__((always_inline))

static float row_sum(ptrdiff_t n, const float *x)
{
    vf a0 = vf_set1(0.0f), a1 = a0, a2 = a0, a3 = a0;
    ptrdiff_t i = 0;
    for (; i + 4 * VF_WIDTH <= n; i += 4 * VF_WIDTH) {
        a0 += vf_load(x + i);
        a1 += vf_load(x + i + VF_WIDTH);
        a2 += vf_load(x + i + 2 * VF_WIDTH);
        a3 += vf_load(x + i + 3 * VF_WIDTH);
    }
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        a0 += vf_load(x + i);
    if (i < n)
        a1 += vf_load_part(x + i, n - i);
    return vf_sum((a0 + a1) + (a2 + a3));
}

static float row_dot(ptrdiff_t n, const float *x, const float *y)
{
    vf a0 = vf_set1(0.0f), a1 = a0, a2 = a0, a3 = a0;
    ptrdiff_t i = 0;
    for (; i + 4 * VF_WIDTH <= n; i += 4 * VF_WIDTH) {
        a0 = vf_fma(vf_load(x + i), vf_load(y + i), a0);
        a1 = vf_fma(vf_load(x + i + VF_WIDTH), vf_load(y + i + VF_WIDTH), a1);
        a2 = vf_fma(vf_load(x + i + 2 * VF_WIDTH), vf_load(y + i + 2 * VF_WIDTH), a2);
        a3 = vf_fma(vf_load(x + i + 3 * VF_WIDTH), vf_load(y + i + 3 * VF_WIDTH), a3);
    }
    for (; i + VF_WIDTH <= n; i += VF_WIDTH)
        a0 = vf_fma(vf_load(x + i), vf_load(y + i), a0);
    if (i < n)
        a1 = vf_fma(vf_load_part(x + i, n - i), vf_load_part(y + i, n - i), a1);
    return vf_sum((a0 + a1) + (a2 + a3));
}

/* x may be y. Adding to zero leaves no negative zeros, as if y had been zeros. */
static void row_add(ptrdiff_t n, const float *x, float *y, bool fresh)
{
    if (fresh) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < n; i++)
            y[i] = x[i] + 0.0f;
        return;
    }
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] += x[i];
}

/* The maximum of registers forgets a NaN that is not in the last, so it is looked for when 0 x is not 0. */
static float row_top(ptrdiff_t n, const float *x)
{
    float lane[VF_WIDTH], top = -__builtin_inff();
    vf a = vf_set1(top), odd = vf_set1(0.0f);
    ptrdiff_t i = 0;
    for (; i + VF_WIDTH <= n; i += VF_WIDTH) {
        vf v = vf_load(x + i);
        a = vf_max(a, v);
        odd += v * 0.0f;
    }
    if (vf_sum(odd) != 0)
        for (i = 0; i < n; i++)
            if (x[i] != x[i])
                return x[i];
    for (i = n / VF_WIDTH * VF_WIDTH; i < n; i++)
        top = x[i] > top || x[i] != x[i] ? x[i] : top;
    vf_store(lane, a);
    for (int j = 0; j < VF_WIDTH; j++)
        top = lane[j] > top ? lane[j] : top;
    return top;
}

static void row_shift(ptrdiff_t n, const float *x, float by, float *y)
{
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] = x[i] - by;
}

static void row_more(ptrdiff_t n, const float *x, float factor, float *y, bool fresh)
{
    if (fresh) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < n; i++)
            y[i] = factor * x[i];
        return;
    }
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] += factor * x[i];
}

static void row_weigh(ptrdiff_t n, const float *p, const float *g, float by, float *y, bool fresh)
{
    if (fresh) {
#pragma omp simd
        for (ptrdiff_t i = 0; i < n; i++)
            y[i] = p[i] * (g[i] - by);
        return;
    }
#pragma omp simd
    for (ptrdiff_t i = 0; i < n; i++)
        y[i] += p[i] * (g[i] - by);
}

/* Columns in registers, so that y is written once. */
static void sum_of_rows(ptrdiff_t rows, ptrdiff_t d, const float *x, float *y)
{
    ptrdiff_t j = 0;
    for (; j + 2 * VF_WIDTH <= d; j += 2 * VF_WIDTH) {
        vf a = vf_set1(0.0f), b = a;
        for (ptrdiff_t r = 0; r < rows; r++) {
            a += vf_load(x + r * d + j);
            b += vf_load(x + r * d + j + VF_WIDTH);
        }
        vf_store(y + j, a);
        vf_store(y + j + VF_WIDTH, b);
    }
    for (; j < d; j += VF_WIDTH) {
        ptrdiff_t m = d - j < VF_WIDTH ? d - j : VF_WIDTH;
        vf a = vf_set1(0.0f);
        for (ptrdiff_t r = 0; r < rows; r++)
            a += m == VF_WIDTH ? vf_load(x + r * d + j) : vf_load_part(x + r * d + j, m);
        if (m == VF_WIDTH)
            vf_store(y + j, a);
        else
            vf_store_part(y + j, m, a);
    }
}

/* ---- Normalisation: z = (x - mean) r, y = z gain + bias ---- */

/* Register v of a row, of which m numbers count; WHOLE rows have no part of a register. */
INLINE vf get(const float *x, ptrdiff_t m, bool whole)
{
    return whole || m >= VF_WIDTH ? vf_load(x) : vf_load_part(x, m);
}

INLINE void set(float *x, ptrdiff_t m, bool whole, vf v)
{
    if (whole || m >= VF_WIDTH)
        vf_store(x, v);
    else
        vf_store_part(x, m, v);
}

/* x - mean, zero behind the row's end. */
INLINE vf centred(const float *x, ptrdiff_t m, bool whole, vf mean)
{
    if (whole || m >= VF_WIDTH)
        return vf_load(x) - mean;
    float part[VF_WIDTH];
    vf_store(part, mean);
    return vf_load_part(x, m) - vf_load_part(part, m);
}

/* d and the two switches are constants after inlining at the common widths. */
INLINE void forward_rows(const struct as_norm_rows *c, ptrdiff_t from, ptrdiff_t to, const ptrdiff_t d, const bool mean)
{
    const bool whole = d % VF_WIDTH == 0;
    for (ptrdiff_t row = from; row < to; row++) {
        const float *x = c->x + row * d;
        float *y = c->y + row * d, middle = mean ? row_sum(d, x) / c->count : 0.0f;
        vf m = vf_set1(middle), squares = vf_set1(0.0f);
        for (ptrdiff_t j = 0; j < d; j += VF_WIDTH) {
            vf v = mean ? centred(x + j, d - j, whole, m) : get(x + j, d - j, whole);
            squares = vf_fma(v, v, squares);
        }
        float root = 1.0f / __builtin_sqrtf(vf_sum(squares) / c->count + c->eps);
        vf r = vf_set1(root);
        for (ptrdiff_t j = 0; j < d; j += VF_WIDTH) {
            vf v = get(x + j, d - j, whole);
            if (mean)
                v -= m;
            v *= r;
            if (c->gain)
                v *= get(c->gain + j, d - j, whole);
            if (c->bias)
                v += get(c->bias + j, d - j, whole);
            set(y + j, d - j, whole, v);
        }
        if (c->mean)
            c->mean[row] = middle;
        c->r[row] = root;
    }
}

/* With g = dy gain: dx = r (g - mean(g) - z mean(g z)); dgain += dy z, dbias += dy. Where dx is dy,
 * its lines are in the caches already, and it does not go past them. */
INLINE void backward_rows(const struct as_norm_rows *c, ptrdiff_t from, ptrdiff_t to, const ptrdiff_t d,
                          const bool mean)
{
    const bool whole = d % VF_WIDTH == 0;
    const bool past = c->past && c->fresh && c->dx && c->dx != c->dy && whole && vf_fits(c->dx);
    for (ptrdiff_t row = from; row < to; row++) {
        const float *x = c->x + row * d, *dy = c->dy + row * d;
        vf r = vf_set1(c->r[row]), m = vf_set1(mean ? c->mean[row] : 0.0f), along = vf_set1(0.0f), level = along;
        for (ptrdiff_t j = 0; j < d; j += VF_WIDTH) {
            vf v = get(dy + j, d - j, whole), z = get(x + j, d - j, whole);
            if (mean)
                z -= m;
            z *= r;
            if (c->dgain)
                set(c->dgain + j, d - j, whole, vf_fma(v, z, get(c->dgain + j, d - j, whole)));
            if (c->dbias)
                set(c->dbias + j, d - j, whole, get(c->dbias + j, d - j, whole) + v);
            if (c->gain)
                v *= get(c->gain + j, d - j, whole);
            along = vf_fma(v, z, along);
            if (mean)
                level += v;
        }
        if (!c->dx)
            continue;
        float *dx = c->dx + row * d;
        along = vf_set1(vf_sum(along) / c->count);
        level = vf_set1(mean ? vf_sum(level) / c->count : 0.0f);
        for (ptrdiff_t j = 0; j < d; j += VF_WIDTH) {
            vf v = get(dy + j, d - j, whole), z = get(x + j, d - j, whole);
            if (mean)
                z -= m;
            z *= r;
            if (c->gain)
                v *= get(c->gain + j, d - j, whole);
            if (mean)
                v -= level;
            v = (v - z * along) * r;
            v += c->fresh ? vf_set1(0.0f) : get(dx + j, d - j, whole);
            if (past)
                vf_store_past(dx + j, v);
            else
                set(dx + j, d - j, whole, v);
        }
    }
    if (past)
        vf_past_done();
}

/* ---- Rows of eight, the width of a small head, not centred: a register of eight lanes each. A part of a wider one
 * would wait for the row before, whose store reaches into it as far as the processor can tell. ---- */

enum { BLOCK = 64 };                    /* rows whose roots are taken side by side */

static void forward_eights(const struct as_norm_rows *c, ptrdiff_t from, ptrdiff_t to)
{
    const as_eight one = { 1, 1, 1, 1, 1, 1, 1, 1 }, gain = c->gain ? as_eight_load(c->gain) : one;
    const as_eight bias = c->bias ? as_eight_load(c->bias) : one - one;
    for (; from < to; from += BLOCK) {
        ptrdiff_t rows = to - from < BLOCK ? to - from : BLOCK;
        const float *x = c->x + from * 8;
        float *y = c->y + from * 8, *r = c->r + from;
        for (ptrdiff_t i = 0; i < rows; i++) {
            as_eight v = as_eight_load(x + i * 8);
            r[i] = as_eight_sum(v * v);
        }
#pragma omp simd
        for (ptrdiff_t i = 0; i < rows; i++)
            r[i] = 1.0f / __builtin_sqrtf(r[i] / c->count + c->eps);
        for (ptrdiff_t i = 0; i < rows; i++) {
            as_eight v = as_eight_load(x + i * 8) * r[i] * gain + bias;
            memcpy(y + i * 8, &v, sizeof v);
        }
    }
}

static void backward_eights(const struct as_norm_rows *c, ptrdiff_t from, ptrdiff_t to)
{
    const as_eight one = { 1, 1, 1, 1, 1, 1, 1, 1 }, none = one - one, gain = c->gain ? as_eight_load(c->gain) : one;
    as_eight dgain = none, dbias = none;
    for (ptrdiff_t i = from; i < to; i++) {
        as_eight v = as_eight_load(c->dy + i * 8), z = as_eight_load(c->x + i * 8) * c->r[i];
        dgain += v * z;
        dbias += v;
        v *= gain;
        v = (v - z * (as_eight_sum(v * z) / c->count)) * c->r[i];
        if (!c->dx)
            continue;
        v += c->fresh ? none : as_eight_load(c->dx + i * 8);
        memcpy(c->dx + i * 8, &v, sizeof v);
    }
    for (int j = 0; j < 8; j++) {
        if (c->dgain)
            c->dgain[j] += dgain[j];
        if (c->dbias)
            c->dbias[j] += dbias[j];
    }
}

#define BY_WIDTH(name)                                                                              \
    static void norm_##name(const struct as_norm_rows *c, ptrdiff_t from, ptrdiff_t to)             \
    {                                                                                               \
        if (c->centred)                                                                             \
            name##_rows(c, from, to, c->d, true);                                                   \
        else if (c->d == 8)                                                                         \
            name##_eights(c, from, to);                                                             \
        else if (c->d == 16)                                                                        \
            name##_rows(c, from, to, 16, false);                                                    \
        else if (c->d == 32)                                                                        \
            name##_rows(c, from, to, 32, false);                                                    \
        else                                                                                        \
            name##_rows(c, from, to, c->d, false);                                                  \
    }

BY_WIDTH(forward)
BY_WIDTH(backward)

/* ---- Rotary positions ---- */

/* One head of eight: both halves in one register. */
static void rotate_eights(const float *cosine, const float *sine, float sign, ptrdiff_t heads, const float *x, float *y,
                          bool add)
{
    as_eight c, s, v, w;
    for (int j = 0; j < 4; j++) {
        c[j] = c[j + 4] = cosine[j];
        s[j + 4] = sign * sine[j];
        s[j] = -s[j + 4];
    }
    for (ptrdiff_t h = 0; h < heads; h++) {
        v = as_eight_load(x + h * 8);
        w = v * c + __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3) * s;
        if (add)
            w += as_eight_load(y + h * 8);
        memcpy(y + h * 8, &w, sizeof w);
    }
}

static void rotate_head(const float *cosine, const float *sine, float sign, ptrdiff_t half, const float *x, float *y,
                        bool add)
{
    const float *v = x + half;
    float *yv = y + half;
#pragma omp simd                        /* y may be x */
    for (ptrdiff_t j = 0; j < half; j++) {
        float s = sign * sine[j], a = x[j] * cosine[j] - v[j] * s, b = x[j] * s + v[j] * cosine[j];
        y[j] = add ? y[j] + a : a;
        yv[j] = add ? yv[j] + b : b;
    }
}

static void rotate_rows(const struct as_rotation *c, ptrdiff_t from, ptrdiff_t to)
{
    const ptrdiff_t d = 2 * c->half;
    const float sign = c->back ? -1.0f : 1.0f;
    for (ptrdiff_t r = from; r < to; r++) {
        const float *cosine = c->cosine + r % c->time * c->half, *sine = c->sine + r % c->time * c->half;
        const float *x = c->x + r * c->heads * d;
        float *y = c->y + r * c->heads * d;
        if (d == 8)
            rotate_eights(cosine, sine, sign, c->heads, x, y, c->add);
        for (ptrdiff_t h = 0; h < c->heads && d != 8; h++)
            rotate_head(cosine, sine, sign, c->half, x + h * d, y + h * d, c->add);
    }
}

extern const struct as_row_kernels AS_LEVELLED(as_row_kernels);

const struct as_row_kernels AS_LEVELLED(as_row_kernels) = {
    .sum = row_sum,
    .dot = row_dot,
    .add = row_add,
    .top = row_top,
    .shift = row_shift,
    .more = row_more,
    .weigh = row_weigh,
    .sum_rows = sum_of_rows,
    .norm_forward = norm_forward,
    .norm_backward = norm_backward,
    .rotate = rotate_rows,
};

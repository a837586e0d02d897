/* sequence.h: loops along time that are vectorised over channels: diagonal scans and the depthwise convolution.
 *
 * Plain C in terms of `real`. core/kernel/sequence.c compiles it once per processor level in float; in double it is
 * included by the operators themselves. Sequences are (time, width) with rows `width` apart; a call works on
 * channels from..to-1 of one sequence. `fresh` outputs are undefined before and are written, others are added to.
 */
#ifndef ASSAY_KERNEL_SEQUENCE_H
#define ASSAY_KERNEL_SEQUENCE_H

#include <assay/kernel.h>
#include <stdbool.h>

enum { AS_SCAN_CHANNELS = 64 };         /* most channels of one call to a scan: its state stays in the first cache */
enum { AS_DEPTHWISE_IN_PLACE = 4 };     /* taps up to which the kernels in float can write dx over dy */

/* A scan h[t] = a[t] h[t-1] + x[t]. All pointers are at the sequence's first element, channel 0. */
struct as_scan_piece {
    ptrdiff_t time, width, from, to;
    ptrdiff_t step_a;                   /* elements from a[t] to a[t+1]: width, or 0 when a is constant */
    const real *a, *x, *h0;             /* (time, width) or (width); (time, width); (width) or NULL */
    real *h;                            /* (time, width): written forward, read backward */
    const real *dh;                     /* backward: what comes in, and what goes out, NULL where none is wanted */
    real *da, *dx, *dh0;                /* da (width) when step_a is 0 */
    bool fresh_a, fresh_x, fresh_h0;
};

/* y[t] = bias + sum over j of w[j] x[t - (taps-1) + j], for start <= t < stop. */
struct as_depthwise_piece {
    ptrdiff_t time, width, taps, start, stop;
    const real *w, *bias;               /* (taps, width), transposed; (width) or NULL */
    const real *x;
    real *y;
    const real *dy;
    real *dx, *part;                    /* part (taps + 1, width): this piece's share of dw and of dbias */
    bool fresh_x;
};

/* y = fresh ? v : y + v over one row. A macro because v is an expression in c. */
#define AS_ROW_ADD(y, fresh, count, v)                  \
    do {                                                \
        if (fresh)                                      \
            for (ptrdiff_t c = 0; c < (count); c++)     \
                (y)[c] = (v);                           \
        else                                            \
            for (ptrdiff_t c = 0; c < (count); c++)     \
                (y)[c] += (v);                          \
    } while (0)

static inline void scan_forward(const struct as_scan_piece *p)
{
    ptrdiff_t n = p->to - p->from;
    real s[AS_SCAN_CHANNELS];
    for (ptrdiff_t c = 0; c < n; c++)
        s[c] = p->h0 ? p->h0[p->from + c] : R(0.0);
    for (ptrdiff_t t = 0; t < p->time; t++) {
        const real *restrict a = p->a + t * p->step_a + p->from;
        const real *restrict x = p->x + t * p->width + p->from;
        real *restrict h = p->h + t * p->width + p->from;
        for (ptrdiff_t c = 0; c < n; c++)
            h[c] = s[c] = AS_FMA(a[c], s[c], x[c]);
    }
}

/* g[t] = dh[t] + a[t+1] g[t+1]; dx[t] = g[t]; da[t] = g[t] h[t-1]; dh0 = a[0] g[0]. */
static inline void scan_backward(const struct as_scan_piece *p)
{
    static const real none[AS_SCAN_CHANNELS];
    ptrdiff_t n = p->to - p->from;
    real g[AS_SCAN_CHANNELS] = { 0 }, sum[AS_SCAN_CHANNELS] = { 0 };
    for (ptrdiff_t t = p->time - 1; t >= 0; t--) {
        const real *restrict dh = p->dh + t * p->width + p->from;
        const real *restrict a = p->a + t * p->step_a + p->from;
        const real *restrict before = t > 0 ? p->h + (t - 1) * p->width + p->from : p->h0 ? p->h0 + p->from : none;
        for (ptrdiff_t c = 0; c < n; c++)
            g[c] += dh[c];
        if (p->dx) {
            real *restrict dx = p->dx + t * p->width + p->from;
            AS_ROW_ADD(dx, p->fresh_x, n, g[c]);
        }
        if (p->da && p->step_a) {
            real *restrict da = p->da + t * p->width + p->from;
            AS_ROW_ADD(da, p->fresh_a, n, g[c] * before[c]);
        } else if (p->da) {
            for (ptrdiff_t c = 0; c < n; c++)
                sum[c] = AS_FMA(g[c], before[c], sum[c]);
        }
        for (ptrdiff_t c = 0; c < n; c++)
            g[c] *= a[c];
    }
    if (p->da && !p->step_a)
        AS_ROW_ADD(p->da + p->from, p->fresh_a, n, sum[c]);
    if (p->dh0)
        AS_ROW_ADD(p->dh0 + p->from, p->fresh_h0, n, g[c]);
}

/* Complex numbers are pairs (re, im); from, to and width count real numbers, so they are even. */
static inline void scan_complex_forward(const struct as_scan_piece *p)
{
    ptrdiff_t n = (p->to - p->from) / 2;
    real re[AS_SCAN_CHANNELS / 2], im[AS_SCAN_CHANNELS / 2];
    for (ptrdiff_t c = 0; c < n; c++) {
        re[c] = p->h0 ? p->h0[p->from + 2 * c] : R(0.0);
        im[c] = p->h0 ? p->h0[p->from + 2 * c + 1] : R(0.0);
    }
    for (ptrdiff_t t = 0; t < p->time; t++) {
        const real *restrict a = p->a + t * p->step_a + p->from;
        const real *restrict x = p->x + t * p->width + p->from;
        real *restrict h = p->h + t * p->width + p->from;
        for (ptrdiff_t c = 0; c < n; c++) {
            real r = AS_FMA(a[2 * c], re[c], AS_FMA(-a[2 * c + 1], im[c], x[2 * c]));
            real i = AS_FMA(a[2 * c], im[c], AS_FMA(a[2 * c + 1], re[c], x[2 * c + 1]));
            h[2 * c] = re[c] = r;
            h[2 * c + 1] = im[c] = i;
        }
    }
}

/* y[2c], y[2c+1] = fresh ? (r, i) : y + (r, i) over one row of pairs. */
#define AS_PAIR_ADD(y, fresh, count, r, i)                  \
    do {                                                    \
        if (fresh)                                          \
            for (ptrdiff_t c = 0; c < (count); c++) {       \
                (y)[2 * c] = (r);                           \
                (y)[2 * c + 1] = (i);                       \
            }                                               \
        else                                                \
            for (ptrdiff_t c = 0; c < (count); c++) {       \
                (y)[2 * c] += (r);                          \
                (y)[2 * c + 1] += (i);                      \
            }                                               \
    } while (0)

/* As the real one, with conj(a) on the way back and g conj(h[t-1]) for a. */
static inline void scan_complex_backward(const struct as_scan_piece *p)
{
    enum { HALF = AS_SCAN_CHANNELS / 2 };
    static const real none[AS_SCAN_CHANNELS];
    ptrdiff_t n = (p->to - p->from) / 2;
    real gr[HALF] = { 0 }, gi[HALF] = { 0 }, sr[HALF] = { 0 }, si[HALF] = { 0 };
    for (ptrdiff_t t = p->time - 1; t >= 0; t--) {
        const real *restrict dh = p->dh + t * p->width + p->from;
        const real *restrict a = p->a + t * p->step_a + p->from;
        const real *restrict b = t > 0 ? p->h + (t - 1) * p->width + p->from : p->h0 ? p->h0 + p->from : none;
        for (ptrdiff_t c = 0; c < n; c++) {
            gr[c] += dh[2 * c];
            gi[c] += dh[2 * c + 1];
        }
        if (p->dx) {
            real *restrict dx = p->dx + t * p->width + p->from;
            AS_PAIR_ADD(dx, p->fresh_x, n, gr[c], gi[c]);
        }
        if (p->da && p->step_a) {
            real *restrict da = p->da + t * p->width + p->from;
            AS_PAIR_ADD(da, p->fresh_a, n, AS_FMA(gr[c], b[2 * c], gi[c] * b[2 * c + 1]),
                        AS_FMA(gi[c], b[2 * c], -(gr[c] * b[2 * c + 1])));
        } else if (p->da) {
            for (ptrdiff_t c = 0; c < n; c++) {
                sr[c] += AS_FMA(gr[c], b[2 * c], gi[c] * b[2 * c + 1]);
                si[c] += AS_FMA(gi[c], b[2 * c], -(gr[c] * b[2 * c + 1]));
            }
        }
        for (ptrdiff_t c = 0; c < n; c++) {
            real r = AS_FMA(gr[c], a[2 * c], gi[c] * a[2 * c + 1]);
            gi[c] = AS_FMA(gi[c], a[2 * c], -(gr[c] * a[2 * c + 1]));
            gr[c] = r;
        }
    }
    if (p->da && !p->step_a)
        AS_PAIR_ADD(p->da + p->from, p->fresh_a, n, sr[c], si[c]);
    if (p->dh0)
        AS_PAIR_ADD(p->dh0 + p->from, p->fresh_h0, n, gr[c], gi[c]);
}

/* ---- Depthwise convolution ---- */

/* One row with `taps` rows of x from xs on; inlined with constant taps so that the sum stays in registers. */
static inline __attribute__((always_inline)) void
depthwise_row(const ptrdiff_t taps, ptrdiff_t n, const real *restrict w, ptrdiff_t row_w, const real *restrict xs,
              ptrdiff_t row_x, const real *bias, bool add, real *restrict y)
{
    for (ptrdiff_t c = 0; c < n; c++) {
        real s = bias ? bias[c] : R(0.0);
        for (ptrdiff_t j = 0; j < taps; j++)
            s = AS_FMA(w[j * row_w + c], xs[j * row_x + c], s);
        y[c] = add ? y[c] + s : s;
    }
}

/* row_w and row_x may be negative: the way back runs over later rows with the taps reversed. */
static inline void depthwise_taps(ptrdiff_t taps, ptrdiff_t n, const real *w, ptrdiff_t row_w, const real *xs,
                                  ptrdiff_t row_x, const real *bias, bool add, real *y)
{
    if (taps == 4)
        depthwise_row(4, n, w, row_w, xs, row_x, bias, add, y);
    else if (taps == 3)
        depthwise_row(3, n, w, row_w, xs, row_x, bias, add, y);
    else if (taps == 2)
        depthwise_row(2, n, w, row_w, xs, row_x, bias, add, y);
    else if (taps == 1)
        depthwise_row(1, n, w, row_w, xs, row_x, bias, add, y);
    else {                              /* four at a time, onto what is there */
        depthwise_row(4, n, w, row_w, xs, row_x, bias, add, y);
        for (ptrdiff_t j = 4; j < taps; j += 4) {
            const real *wj = w + j * row_w, *xj = xs + j * row_x;
            if (taps - j >= 4)
                depthwise_row(4, n, wj, row_w, xj, row_x, NULL, true, y);
            else if (taps - j == 3)
                depthwise_row(3, n, wj, row_w, xj, row_x, NULL, true, y);
            else if (taps - j == 2)
                depthwise_row(2, n, wj, row_w, xj, row_x, NULL, true, y);
            else
                depthwise_row(1, n, wj, row_w, xj, row_x, NULL, true, y);
        }
    }
}

static inline void depthwise_forward(const struct as_depthwise_piece *p)
{
    ptrdiff_t d = p->width;
    for (ptrdiff_t t = p->start; t < p->stop; t++) {
        ptrdiff_t missing = t < p->taps - 1 ? p->taps - 1 - t : 0;      /* taps that reach before the start */
        depthwise_taps(p->taps - missing, d, p->w + missing * d, d, p->x + (t - (p->taps - 1) + missing) * d, d,
                       p->bias, false, p->y + t * d);
    }
}

/* dx[t] = sum over j of w[j] dy[t + (taps-1) - j]: the last tap meets dy[t], earlier ones later rows. */
static inline void depthwise_backward(const struct as_depthwise_piece *p)
{
    ptrdiff_t d = p->width;
    for (ptrdiff_t t = p->start; p->dx && t < p->stop; t++) {
        ptrdiff_t there = p->time - t < p->taps ? p->time - t : p->taps;
        depthwise_taps(there, d, p->w + (p->taps - 1) * d, -d, p->dy + t * d, d, NULL, !p->fresh_x, p->dx + t * d);
    }
    if (!p->part)
        return;
    for (ptrdiff_t c = 0; c < (p->taps + 1) * d; c++)
        p->part[c] = R(0.0);
    for (ptrdiff_t t = p->start; t < p->stop; t++) {
        const real *restrict dy = p->dy + t * d;
        real *restrict sum = p->part + p->taps * d;
        for (ptrdiff_t j = t < p->taps - 1 ? p->taps - 1 - t : 0; j < p->taps; j++) {
            const real *restrict x = p->x + (t - (p->taps - 1) + j) * d;
            real *restrict dw = p->part + j * d;
            for (ptrdiff_t c = 0; c < d; c++)
                dw[c] = AS_FMA(dy[c], x[c], dw[c]);
        }
        for (ptrdiff_t c = 0; c < d; c++)
            sum[c] += dy[c];
    }
}

#endif

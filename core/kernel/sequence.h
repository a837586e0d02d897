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

enum { AS_SCAN_CHANNELS = 1024 };       /* most numbers of a row in one call to a scan: its state stays in the first cache */
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
    bool past;                          /* backward, float: what is written afresh goes past the caches, where rows fit */
};

/* Rows are asked for ahead: the way back runs against the direction that processors foresee, and a piece of some
 * channels leaves gaps. */
static inline ptrdiff_t scan_rows_ahead(ptrdiff_t n) { return 1 + 512 / (n + 1); }

static inline void scan_ask(const real *x, ptrdiff_t n)
{
    for (ptrdiff_t c = 0; c < n; c += 64 / (ptrdiff_t)sizeof *x)
        __builtin_prefetch(x + c);
}

/* y[t] = bias + sum over j of w[j] x[t - (taps-1) + j], for start <= t < stop. */
struct as_depthwise_piece {
    ptrdiff_t time, width, taps, start, stop;
    const real *w, *bias;               /* (taps, width), transposed; (width) or NULL */
    const real *x;
    real *y;
    const real *dy;
    real *dx, *part;                    /* part (taps + 1, width): this piece's share of dw and of dbias */
    bool fresh_x;
    bool past;                          /* as above, dx */
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
    static const real none[AS_SCAN_CHANNELS];
    const ptrdiff_t n = p->to - p->from;
    const real *before = p->h0 ? p->h0 + p->from : none;
    for (ptrdiff_t t = 0; t < p->time; t++) {
        const real *a = p->a + t * p->step_a + p->from, *x = p->x + t * p->width + p->from;
        real *h = p->h + t * p->width + p->from;
#pragma omp simd
        for (ptrdiff_t c = 0; c < n; c++)
            h[c] = AS_FMA(a[c], before[c], x[c]);
        before = h;
    }
}

/* Where one step of the way back writes; g is what comes from the steps behind. dx may be dh, da may be dx. */
struct as_scan_step { const real *dh, *a, *before; real *g, *dx, *da; };
enum as_scan_give { AS_SCAN_NONE, AS_SCAN_WRITE, AS_SCAN_ADD, AS_SCAN_SUM /* a constant a: da is a running sum */ };

/* g[t] = dh[t] + a[t+1] g[t+1]; dx[t] = g[t]; da[t] = g[t] h[t-1]; dh0 = a[0] g[0]. The two switches are constants
 * after inlining. */
static inline __attribute__((always_inline)) void
scan_step_back(ptrdiff_t n, const struct as_scan_step *s, const enum as_scan_give give_x, const enum as_scan_give give_a)
{
    const real *dh = s->dh, *a = s->a, *before = s->before;
    real *gs = s->g, *dx = s->dx, *da = s->da;
#pragma omp simd
    for (ptrdiff_t c = 0; c < n; c++) {
        const real g = gs[c] + dh[c];
        if (give_x == AS_SCAN_WRITE)
            dx[c] = g;
        else if (give_x == AS_SCAN_ADD)
            dx[c] += g;
        if (give_a == AS_SCAN_WRITE)
            da[c] = g * before[c];
        else if (give_a != AS_SCAN_NONE)
            da[c] = AS_FMA(g, before[c], da[c]);
        gs[c] = g * a[c];
    }
}

static inline void scan_step_switch(ptrdiff_t n, const struct as_scan_step *s, enum as_scan_give x, enum as_scan_give a)
{
    if (x == AS_SCAN_WRITE && a == AS_SCAN_WRITE)
        scan_step_back(n, s, AS_SCAN_WRITE, AS_SCAN_WRITE);
    else if (x == AS_SCAN_WRITE && a == AS_SCAN_NONE)
        scan_step_back(n, s, AS_SCAN_WRITE, AS_SCAN_NONE);
    else if (x == AS_SCAN_WRITE)
        scan_step_back(n, s, AS_SCAN_WRITE, AS_SCAN_ADD);
    else if (x == AS_SCAN_NONE && a == AS_SCAN_WRITE)
        scan_step_back(n, s, AS_SCAN_NONE, AS_SCAN_WRITE);
    else if (x == AS_SCAN_NONE && a == AS_SCAN_NONE)
        scan_step_back(n, s, AS_SCAN_NONE, AS_SCAN_NONE);
    else if (x == AS_SCAN_NONE)
        scan_step_back(n, s, AS_SCAN_NONE, AS_SCAN_ADD);
    else if (a == AS_SCAN_WRITE)
        scan_step_back(n, s, AS_SCAN_ADD, AS_SCAN_WRITE);
    else if (a == AS_SCAN_NONE)
        scan_step_back(n, s, AS_SCAN_ADD, AS_SCAN_NONE);
    else
        scan_step_back(n, s, AS_SCAN_ADD, AS_SCAN_ADD);
}

/* The loop along time; `step` is one step of it. */
static inline __attribute__((always_inline)) void
scan_back_through(const struct as_scan_piece *p, void (*step)(ptrdiff_t n, const struct as_scan_step *s,
                                                              enum as_scan_give x, enum as_scan_give a))
{
    static const real none[AS_SCAN_CHANNELS];
    const ptrdiff_t n = p->to - p->from, ahead = scan_rows_ahead(n);
    real g[AS_SCAN_CHANNELS], sum[AS_SCAN_CHANNELS];
    enum as_scan_give x = !p->dx ? AS_SCAN_NONE : p->fresh_x ? AS_SCAN_WRITE : AS_SCAN_ADD;
    enum as_scan_give a = !p->da ? AS_SCAN_NONE : !p->step_a ? AS_SCAN_SUM : p->fresh_a ? AS_SCAN_WRITE : AS_SCAN_ADD;
    for (ptrdiff_t c = 0; c < n; c++)
        g[c] = sum[c] = 0;
    for (ptrdiff_t t = p->time - 1; t >= 0; t--) {
        const ptrdiff_t at = t * p->width + p->from;
        struct as_scan_step s = { .dh = p->dh + at, .a = p->a + t * p->step_a + p->from, .g = g };
        if (t > ahead) {
            scan_ask(s.dh - ahead * p->width, n);
            scan_ask(p->h + at - (ahead + 1) * p->width, n);
            if (p->step_a)
                scan_ask(s.a - ahead * p->step_a, n);
        }
        s.before = t > 0 ? p->h + at - p->width : p->h0 ? p->h0 + p->from : none;
        s.dx = p->dx ? p->dx + at : NULL;
        s.da = a == AS_SCAN_SUM ? sum : p->da ? p->da + at : NULL;
        step(n, &s, x, a);
    }
    if (a == AS_SCAN_SUM)
        AS_ROW_ADD(p->da + p->from, p->fresh_a, n, sum[c]);
    if (p->dh0)
        AS_ROW_ADD(p->dh0 + p->from, p->fresh_h0, n, g[c]);
}

static inline void scan_backward(const struct as_scan_piece *p)
{
    scan_back_through(p, scan_step_switch);
}

/* Complex numbers are pairs (re, im); from, to and width count real numbers, so they are even. */
static inline void scan_complex_forward(const struct as_scan_piece *p)
{
    static const real none[AS_SCAN_CHANNELS];
    const ptrdiff_t n = p->to - p->from;
    const real *before = p->h0 ? p->h0 + p->from : none;
    for (ptrdiff_t t = 0; t < p->time; t++) {
        const real *a = p->a + t * p->step_a + p->from, *x = p->x + t * p->width + p->from;
        real *h = p->h + t * p->width + p->from;
        for (ptrdiff_t c = 0; c < n; c += 2) {
            h[c] = AS_FMA(a[c], before[c], x[c] - a[c + 1] * before[c + 1]);
            h[c + 1] = AS_FMA(a[c], before[c + 1], AS_FMA(a[c + 1], before[c], x[c + 1]));
        }
        before = h;
    }
}

/* As the real one, with conj(a) on the way back and g conj(h[t-1]) for a. */
static inline void scan_complex_step_back(ptrdiff_t n, const struct as_scan_step *s, enum as_scan_give give_x,
                                          enum as_scan_give give_a)
{
    for (ptrdiff_t c = 0; c < n; c += 2) {
        const real re = s->g[c] + s->dh[c], im = s->g[c + 1] + s->dh[c + 1];
        const real *a = s->a + c, *b = s->before + c;
        if (give_x != AS_SCAN_NONE) {
            s->dx[c] = give_x == AS_SCAN_ADD ? s->dx[c] + re : re;
            s->dx[c + 1] = give_x == AS_SCAN_ADD ? s->dx[c + 1] + im : im;
        }
        if (give_a != AS_SCAN_NONE) {
            const real da = AS_FMA(re, b[0], im * b[1]), db = AS_FMA(im, b[0], -(re * b[1]));
            s->da[c] = give_a == AS_SCAN_WRITE ? da : s->da[c] + da;
            s->da[c + 1] = give_a == AS_SCAN_WRITE ? db : s->da[c + 1] + db;
        }
        s->g[c] = AS_FMA(re, a[0], im * a[1]);
        s->g[c + 1] = AS_FMA(im, a[0], -(re * a[1]));
    }
}

static inline void scan_complex_backward(const struct as_scan_piece *p)
{
    scan_back_through(p, scan_complex_step_back);
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

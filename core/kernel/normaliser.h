/* normaliser.h: the normaliser of linear attention, a running sum of the keys that each query meets.
 *
 * Plain C in terms of `real`. core/kernel/sequence.c compiles it once per processor level in float; in double it is
 * included by the operator itself. Per head, with z[t] = z0 + k[0] + ... + k[t]:
 *     den[t] = q[t] . z[t] + eps         y[t] = x[t] / den[t]
 * and back: dx[t] = dy[t] / den[t], dden[t] = -y[t] . dx[t], dq[t] = dden[t] z[t],
 *     dk[t] = sum over s >= t of dden[s] q[s]
 */
#ifndef ASSAY_KERNEL_NORMALISER_H
#define ASSAY_KERNEL_NORMALISER_H

#include <assay/kernel.h>
#ifdef ASSAY_LEVEL
#include <assay/lanes.h>
#endif
#include <stdbool.h>

enum { AS_NORMALISER_BLOCK = 64 };      /* steps that are summed before the sum joins what was before: keeps digits */

/* Some heads of one sequence. Pointers are at their first head in step 0; a step is `step` heads from the next. */
struct as_normaliser_piece {
    ptrdiff_t time, heads, step, d, wide;
    real eps;
    const real *q, *k, *z0;             /* (time, step, d) twice; (heads, d) or NULL */
    const real *x;                      /* (time, step, wide) */
    real *y, *den;                      /* (time, step, wide), (time, step): written forward, read backward */
    real *room;                         /* (2, heads, d): the sum before this block, and that within it */
    const real *dy;                     /* backward: */
    real *dq, *dk, *dx, *dz0;           /* NULL where none is wanted; dx may be dy */
    real *dden;                         /* (time, step) */
    bool fresh_q, fresh_k, fresh_x, fresh_z0;
};

static inline void normaliser_start(const struct as_normaliser_piece *p, const real *z0)
{
    const ptrdiff_t n = p->heads * p->d;
    for (ptrdiff_t c = 0; c < n; c++) {
        p->room[c] = z0 ? z0[c] : R(0.0);
        p->room[n + c] = R(0.0);
    }
}

enum { AS_NORMALISER_LANES = 16 };      /* partial sums of a row, folded in one order */

static inline __attribute__((always_inline)) real normaliser_fold(const real *lane)
{
#ifdef ASSAY_LEVEL
    return as_eight_sum(as_eight_load(lane) + as_eight_load(lane + 8));
#else
    real eight[8], sum = R(0.0);
    for (int l = 0; l < 8; l++)
        eight[l] = lane[l] + lane[l + 8];
    for (int l = 0; l < 4; l++)
        sum += eight[l] + eight[l + 4];
    return sum;
#endif
}

/* Numbers from c on that go into the lanes at once. */
static inline __attribute__((always_inline)) ptrdiff_t normaliser_some(ptrdiff_t n, ptrdiff_t c)
{
    return n - c < AS_NORMALISER_LANES ? n - c : AS_NORMALISER_LANES;
}

/* The block's sum joins what was before. */
static inline void normaliser_join(const struct as_normaliser_piece *p)
{
    const ptrdiff_t n = p->heads * p->d;
    for (ptrdiff_t c = 0; c < n; c++) {
        p->room[c] += p->room[n + c];
        p->room[n + c] = R(0.0);
    }
}

/* Before step t of a way that begins with the first. */
static inline void normaliser_enter(const struct as_normaliser_piece *p, ptrdiff_t t)
{
    if (t == 0)
        normaliser_start(p, p->z0);
    else if (t % AS_NORMALISER_BLOCK == 0)
        normaliser_join(p);
}

static inline __attribute__((always_inline)) void
normaliser_forward_of(const struct as_normaliser_piece *p, const ptrdiff_t d, const ptrdiff_t wide)
{
    for (ptrdiff_t t = 0; t < p->time; t++) {
        normaliser_enter(p, t);
        for (ptrdiff_t h = 0; h < p->heads; h++) {
            const ptrdiff_t at = t * p->step + h;
            const real *q = p->q + at * d, *k = p->k + at * d, *x = p->x + at * wide, *before = p->room + h * d;
            real *within = p->room + (p->heads + h) * d, *y = p->y + at * wide, lane[AS_NORMALISER_LANES] = { 0 };
            for (ptrdiff_t c = 0; c < d; c += AS_NORMALISER_LANES)
#pragma omp simd
                for (ptrdiff_t l = 0; l < normaliser_some(d, c); l++) {
                    within[c + l] += k[c + l];
                    lane[l] += q[c + l] * (before[c + l] + within[c + l]);
                }
            const real den = p->den[at] = normaliser_fold(lane) + p->eps;
#pragma omp simd
            for (ptrdiff_t c = 0; c < wide; c++)
                y[c] = x[c] / den;
        }
    }
}

/* The way back to x, q and the divisors, from the first step on. `all`: every gradient is wanted, and fresh. */
static inline __attribute__((always_inline)) void
normaliser_back_to_q(const struct as_normaliser_piece *p, const ptrdiff_t d, const ptrdiff_t wide, const bool all)
{
    for (ptrdiff_t t = 0; t < p->time; t++) {
        normaliser_enter(p, t);
        for (ptrdiff_t h = 0; h < p->heads; h++) {
            const ptrdiff_t at = t * p->step + h;
            const real *k = p->k + at * d, *y = p->y + at * wide, *dy = p->dy + at * wide, *before = p->room + h * d;
            real *within = p->room + (p->heads + h) * d, *dq = p->dq ? p->dq + at * d : NULL;
            real *dx = p->dx ? p->dx + at * wide : NULL, lane[AS_NORMALISER_LANES] = { 0 }, den = p->den[at];
            for (ptrdiff_t c = 0; c < wide; c += AS_NORMALISER_LANES)
#pragma omp simd
                for (ptrdiff_t l = 0; l < normaliser_some(wide, c); l++) {
                    const real g = dy[c + l] / den;
                    lane[l] += y[c + l] * g;
                    if (all || dx)
                        dx[c + l] = all || p->fresh_x ? g : dx[c + l] + g;
                }
            const real sum = normaliser_fold(lane);
            p->dden[at] = -sum;
#pragma omp simd
            for (ptrdiff_t c = 0; c < d; c++) {
                within[c] += k[c];
                if (all || dq)
                    dq[c] = (all || p->fresh_q ? R(0.0) : dq[c]) - sum * (before[c] + within[c]);
            }
        }
    }
}

/* The way back to k and z0, from the last step on. */
static inline __attribute__((always_inline)) void
normaliser_back_to_k(const struct as_normaliser_piece *p, const ptrdiff_t d, const bool all)
{
    normaliser_start(p, NULL);
    for (ptrdiff_t t = p->time - 1; t >= 0; t--) {
        for (ptrdiff_t h = 0; h < p->heads; h++) {
            const ptrdiff_t at = t * p->step + h;
            const real *q = p->q + at * d, *before = p->room + h * d, dden = p->dden[at];
            real *within = p->room + (p->heads + h) * d, *dk = p->dk ? p->dk + at * d : NULL;
#pragma omp simd
            for (ptrdiff_t c = 0; c < d; c++) {
                within[c] += dden * q[c];
                if (all || dk)
                    dk[c] = (all || p->fresh_k ? R(0.0) : dk[c]) + (before[c] + within[c]);
            }
        }
        if (t % AS_NORMALISER_BLOCK == 0)
            normaliser_join(p);
    }
    for (ptrdiff_t c = 0; p->dz0 && c < p->heads * d; c++)
        p->dz0[c] = (p->fresh_z0 ? R(0.0) : p->dz0[c]) + p->room[c];
}

/* Widths of 16 and the usual gradients as constants: in a small model what a loop does around its numbers costs most. */
static inline void normaliser_forward(const struct as_normaliser_piece *p)
{
    if (p->d == 16 && p->wide == 16)
        normaliser_forward_of(p, 16, 16);
    else
        normaliser_forward_of(p, p->d, p->wide);
}

static inline void normaliser_backward(const struct as_normaliser_piece *p)
{
    if (p->dx && p->fresh_x && p->dq && p->fresh_q && p->dk && p->fresh_k) {
        if (p->d == 16 && p->wide == 16) {
            normaliser_back_to_q(p, 16, 16, true);
            normaliser_back_to_k(p, 16, true);
        } else {
            normaliser_back_to_q(p, p->d, p->wide, true);
            normaliser_back_to_k(p, p->d, true);
        }
        return;
    }
    normaliser_back_to_q(p, p->d, p->wide, false);
    if (p->dk || p->dz0)
        normaliser_back_to_k(p, p->d, false);
}

#endif

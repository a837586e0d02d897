/* ring_part.h: what ring.c (the memory, forward) and ring_back.c share. */
#ifndef ASSAY_CORE_RING_PART_H
#define ASSAY_CORE_RING_PART_H

#include <assay/kernel.h>
#include <assay/ring.h>
#include <string.h>

enum { TAG_K, TAG_V, TAG_DK, TAG_DV };

/* What a rank keeps from one way to the other: its chunks of q, k, v and o; whole rows of p, or m and 1 / l. */
struct kept { real *q, *k, *v, *o, *p, *most, *part; };

struct ring { const struct as_ring *z; struct as_ranks *w; struct kept at[AS_MAX_RANKS]; };

static inline ptrdiff_t start(const struct as_ring *z, int r) { return r * z->time / z->ranks; }
static inline ptrdiff_t steps(const struct as_ring *z, int r) { return start(z, r + 1) - start(z, r); }
static inline ptrdiff_t rows(const struct as_ring *z) { return z->batch * z->heads; }
static inline ptrdiff_t longest(const struct as_ring *z) { return (z->time + z->ranks - 1) / z->ranks; }
static inline int before(const struct as_ring *z, int r) { return (r + z->ranks - 1) % z->ranks; }
static inline int after(const struct as_ring *z, int r) { return (r + 1) % z->ranks; }
/* What rank r works on at superstep s. */
static inline int chunk_at(const struct as_ring *z, int r, int s) { return (r - s + z->ranks) % z->ranks; }

static inline void clear(real *x, ptrdiff_t n) { memset(x, 0, (size_t)n * sizeof *x); }

/* How many of the steps from..from+n-1 of this row are valid. */
static inline ptrdiff_t valid(const struct as_ring *z, ptrdiff_t row, ptrdiff_t from, ptrdiff_t n)
{
    ptrdiff_t end = z->length ? z->length[row / z->heads] - from : n;

    return end < 0 ? 0 : end < n ? end : n;
}

#define ring_open AS_REAL(ring_open)
#define ring_cut_out AS_REAL(ring_cut_out)
#define ring_put_back AS_REAL(ring_put_back)
#define ring_go_round AS_REAL(ring_go_round)
#define ring_scores AS_REAL(ring_scores)
#define ring_mix AS_REAL(ring_mix)

void ring_open(struct ring *a, const struct as_ring *z, struct as_ranks *w, ptrdiff_t room, real *memory, bool back);
/* A rank's chunk of x (batch, time, heads, width) to (batch, heads, steps, width); and back, added to x, NULL: not. */
void ring_cut_out(const struct as_ring *z, int r, ptrdiff_t width, const real *x, real *chunk);
void ring_put_back(const struct as_ring *z, int r, ptrdiff_t width, const real *chunk, real *x);
/* What goes round: at superstep s this rank's own, then its neighbour's message, which it hands on until all had it. */
const real *ring_go_round(struct ring *a, int r, int s, int tag, ptrdiff_t width, const real *own);
/* For every row of (batch, heads): c (m, n) = alpha a b^T; a (m, width), b (n, width), c's rows ld apart. */
void ring_scores(ptrdiff_t count, ptrdiff_t m, ptrdiff_t n, ptrdiff_t width, real alpha, const real *a, const real *b,
                 real *c, ptrdiff_t ld);
/* c (m, width) += alpha p x; p (m, n) with rows ld apart, x (n, width). */
void ring_mix(ptrdiff_t count, ptrdiff_t m, ptrdiff_t n, ptrdiff_t width, real alpha, const real *p, ptrdiff_t ld,
              const real *x, real *c);

#endif

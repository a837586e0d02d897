/* ring.h: softmax attention in both directions, distributed over ranks in a ring, each with its chunk of the sequence:
 * what implementations of attention cores and studies of them share.
 *
 * Two ways. Ring self-attention (Li et al. 2021) passes the keys round, keeps whole rows of scores, takes the softmax
 * over them, and passes the values round; the way back passes both round again and all-reduces the gradients of keys
 * and values, for each rank has a share in every step's. `online`: keys and values go round together, the softmax is
 * carried along (Liu et al. 2023, "Ring attention"), blocks of scores are made again on the way back, and the gradients
 * of a chunk travel with it.
 *
 * Rank r holds steps r T / R .. (r + 1) T / R - 1. Numbers that a rank sends, for chunks of one length, per number of
 * batch, head and width (d_k for keys, d_v for values): (R-1)/R T each forward; on the way back (R-1)/R T for passing
 * round and 2 (R-1)/R T for the all-reduce, or, online, (R-1)/R T for the gradients that travel.
 */
#ifndef ASSAY_RING_H
#define ASSAY_RING_H

#include <assay/ranks.h>
#include <stdbool.h>

struct as_ring {
    int ranks;                       /* R, 1..AS_MAX_RANKS; above the time some hold nothing */
    bool online;
    ptrdiff_t batch, time, heads, dk, dv;
    double scale;                    /* of the scores q.k */
    const int32_t *length;           /* (batch) valid steps, or NULL */
};

#define as_ring_room AS_REAL(as_ring_room)
#define as_ring_forward AS_REAL(as_ring_forward)
#define as_ring_backward AS_REAL(as_ring_backward)

/* Numbers that one rank needs, forward, or for both ways. */
ptrdiff_t as_ring_room(const struct as_ring *z, bool both);

/* q, k (batch, time, heads, dk), v and y (.., dv); y is written, 0 in the padding. memory (ranks, room): the ranks', to
 * be kept for the way back, which goes on from it. w: opened here; counts what this way sends and holds. */
void as_ring_forward(const struct as_ring *z, struct as_ranks *w, bool both, const real *q, const real *k,
                     const real *v, real *y, real *memory);
/* Adds to dq, dk, dv, of which any may be NULL. The same z and memory. */
void as_ring_backward(const struct as_ring *z, struct as_ranks *w, const real *dy, real *dq, real *dk, real *dv,
                      real *memory);

#endif

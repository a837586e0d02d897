/* parallel.h: the only way to use threads. Work is cut by problem size alone, never by the number of threads,
 * so a result has the same bits whatever the team. Inside a piece the libraries run with one thread.
 */
#ifndef ASSAY_PARALLEL_H
#define ASSAY_PARALLEL_H

#include <stddef.h>

/* Calls piece(ctx, i) for i in 0..n-1, in any order, on the team: member m begins with its m-th share of them, so pieces
 * of equal number in regions of equal n mostly meet the same member's cache. Pieces must write to disjoint places; sums
 * over pieces are the caller's, in index order, afterwards. `cost` is the rough number of operations of all
 * pieces together: small work stays on the calling thread (same bits either way). */
void as_parallel(ptrdiff_t n, double cost, void (*piece)(void *ctx, ptrdiff_t i), void *ctx);

/* A chain and what hangs on it: link(ctx, i) for i in 0..n-1 in this order, never two at a time; and piece(ctx, lane, i)
 * once for each i and each lane: before link i (`piece_first`), or after it. The pieces of a lane come in order of i,
 * never two at a time, so they may add to the same place; those of different lanes, and links, run beside each other.
 * One member follows the chain while the others take pieces; which one, no result may depend on. `cost` as above, links
 * and pieces together. */
enum { AS_CHAIN_LANES = 32 };   /* at most */
void as_chain(ptrdiff_t n, int lanes, double cost, void (*piece)(void *ctx, int lane, ptrdiff_t i),
              void (*link)(void *ctx, ptrdiff_t i), int piece_first, void *ctx);

void as_threads_set(int n);     /* once, before anything runs; also sets the denormal policy in each thread */
int as_threads(void);           /* what was asked for */
int as_threads_seen(void);      /* the team size the runtime really gave, measured */

enum as_level { AS_PORTABLE, AS_AVX2, AS_AVX512 };
enum as_level as_level(void);             /* min(processor, ASSAY_ISA); read once at start */
const char *as_level_name(enum as_level level);
const char *as_level_refusal(void);       /* NULL, or why ASSAY_ISA cannot be had here */

#endif

/* ranks.h: several processes as data. Ranks have memories of their own and meet only by messages; they are run one
 * after the other on the calling thread, superstep by superstep (Valiant 1990, "A bridging model for parallel
 * computation"): in a superstep every rank works on what it holds and sends, and what was sent is there to be read in
 * the next one. So a distributed algorithm gives the same bits everywhere, and what it sends and holds is counted, not
 * estimated.
 *
 * Memory is the caller's (scratch or saved arrays of an implementation, an arena in a study). Sizes are in numbers
 * (`real`). A rank that sends what is not its own, reads what was not sent, or takes more than it has raises AS_FAILED.
 */
#ifndef ASSAY_RANKS_H
#define ASSAY_RANKS_H

#include <assay/real.h>

#define AS_MAX_RANKS 32
#define AS_MAX_MAIL 32               /* messages that a rank can get in one superstep */

struct as_mail { int from, tag; ptrdiff_t at, n; };
struct as_mailbox { struct as_mail mail[AS_MAX_MAIL]; int n; ptrdiff_t used; real *x; };

struct as_rank {
    real *memory;
    ptrdiff_t held, peak;            /* numbers taken of its memory now, and most at once; mailboxes count */
    double sent, messages;           /* numbers sent to other ranks, and in how many messages */
    struct as_mailbox box[2];        /* one is read while the other is filled */
};

struct as_ranks {
    int n, reading;                  /* reading: which of the two mailboxes */
    ptrdiff_t room, mail;            /* of each rank: its memory, and each of its mailboxes */
    long supersteps;
    struct as_rank rank[AS_MAX_RANKS];
};

#define as_ranks_open AS_REAL(as_ranks_open)
#define as_ranks_mail AS_REAL(as_ranks_mail)
#define as_ranks_deliver AS_REAL(as_ranks_deliver)
#define as_rank_take AS_REAL(as_rank_take)
#define as_rank_release AS_REAL(as_rank_release)
#define as_rank_send AS_REAL(as_rank_send)
#define as_rank_read AS_REAL(as_rank_read)
#define as_ranks_reduce_scatter AS_REAL(as_ranks_reduce_scatter)
#define as_ranks_all_gather AS_REAL(as_ranks_all_gather)
#define as_ranks_all_reduce AS_REAL(as_ranks_all_reduce)

/* n ranks (1..AS_MAX_RANKS) with `room` numbers each, rank r's at memory + r room; nothing is held, sent or cleared. */
void as_ranks_open(struct as_ranks *w, int n, ptrdiff_t room, real *memory);
/* Gives every rank two mailboxes, for messages of `mail` numbers together in one superstep; taken of its memory. One
 * rank alone gets none. Once, before the first message. */
void as_ranks_mail(struct as_ranks *w, ptrdiff_t mail);
/* Ends the superstep: what was sent can be read, what could be read is gone. */
void as_ranks_deliver(struct as_ranks *w);

/* The next n numbers of a rank's memory, as they are; the same calls in the same order give the same places. */
real *as_rank_take(struct as_ranks *w, int rank, ptrdiff_t n);
/* Gives back x, which was taken, and all that was taken since. */
void as_rank_release(struct as_ranks *w, int rank, const real *x);

/* x (n), which must lie in the sender's memory, to another rank. What one sends to another in a superstep differs by
 * tag. */
void as_rank_send(struct as_ranks *w, int from, int to, int tag, ptrdiff_t n, const real *x);
/* The message (n) that came by the last delivery; valid until the next one. */
const real *as_rank_read(const struct as_ranks *w, int rank, int from, int tag, ptrdiff_t n);

/* Collectives round a ring, r to r + 1, n - 1 supersteps each. x: an array a rank, in its memory; piece i of it is
 * cut[i] .. cut[i+1]-1, i < n, and mailboxes have room for the largest. Sums are taken in the order i+1, i+2, ..., i of
 * the ranks. */
void as_ranks_reduce_scatter(struct as_ranks *w, const ptrdiff_t *cut, real *const *x);  /* piece r of x[r]: the sum */
void as_ranks_all_gather(struct as_ranks *w, const ptrdiff_t *cut, real *const *x);      /* all get piece r of x[r] */
void as_ranks_all_reduce(struct as_ranks *w, const ptrdiff_t *cut, real *const *x);      /* one after the other */

#endif

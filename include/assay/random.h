/* random.h: counter-based random numbers (Philox 4x32-10; Salmon et al. 2011, "Parallel random numbers: as
 * easy as 1, 2, 3"). A draw is a pure function of (seed, role, stream, index): no state, so neither order,
 * threads nor resuming can change it. Always float: the double build widens the same draws.
 */
#ifndef ASSAY_RANDOM_H
#define ASSAY_RANDOM_H

#include <stddef.h>
#include <stdint.h>

enum as_role {            /* what a number is for; streams of different roles never meet */
    AS_ROLE_DATA,         /* training examples of a generator */
    AS_ROLE_VALID,        /* validation examples */
    AS_ROLE_TEST,         /* test examples */
    AS_ROLE_INIT,         /* initial weights; stream = hash of the weight's name */
    AS_ROLE_ORDER,        /* order of stored examples; stream = epoch */
    AS_ROLE_DROPOUT,      /* masks and noise inside layers; stream = step, index offset by layer */
    AS_ROLE_RULE,         /* noise of a training rule */
    AS_ROLE_STUDY,        /* whatever a study draws */
    AS_ROLE_SPLIT,        /* frozen splits of a finite universe */
    AS_ROLE_TEST_HARNESS  /* tests and conformance */
};

struct as_key { uint64_t seed; uint32_t role; uint64_t stream; };

/* Four independent 32-bit words for one counter value. */
void as_philox(struct as_key key, uint64_t index, uint32_t out[4]);

uint32_t as_bits(struct as_key key, uint64_t index);              /* uniform 32 bits */
float as_uniform(struct as_key key, uint64_t index);              /* (0, 1), never an end point */
float as_normal(struct as_key key, uint64_t index);               /* mean 0, sd 1 (Box-Muller) */
uint32_t as_below(struct as_key key, uint64_t index, uint32_t n); /* 0..n-1, unbiased, n > 0 */

/* A permutation of 0..n-1 (Fisher-Yates on the key's draws). order: n entries, written. */
void as_shuffle(struct as_key key, ptrdiff_t n, int32_t *order);

/* A key for a thing below this one (a layer, an example): mixes `tag` into the stream. */
struct as_key as_subkey(struct as_key key, uint64_t tag);
uint64_t as_hash(const char *text);                               /* FNV-1a, for names into tags */

#endif

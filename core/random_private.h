/* random_private.h: for core itself. */
#ifndef ASSAY_RANDOM_PRIVATE_H
#define ASSAY_RANDOM_PRIVATE_H

#include <assay/random.h>

/* out[i] = as_bits(key, first + i), i < n; first is a multiple of 4. Many at a time, so that it vectorises. */
void as_bits_fill(struct as_key key, uint64_t first, ptrdiff_t n, uint32_t *out);

#endif

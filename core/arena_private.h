/* arena_private.h: what the tape needs of the arena beyond the contract. */
#ifndef ASSAY_ARENA_PRIVATE_H
#define ASSAY_ARENA_PRIVATE_H

#include <assay/arena.h>
#include <stdbool.h>

/* Was p taken since the mark? */
bool as_arena_above(const struct as_arena *a, size_t mark, const void *p);

/* Moves a block down to where the mark `*to` points, and the mark behind it; returns the new place. Blocks are
 * slid in the order of their addresses; as_arena_reset() to the last mark then gives up the rest. */
void *as_arena_slide(struct as_arena *a, size_t *to, const void *from, size_t bytes);

#endif

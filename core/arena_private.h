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

/* Checks: from now on a red zone behind every block that is taken, looked at when it is given back. What is moved
 * down by as_arena_keep() and as_arena_slide() goes on without. Returns how many blocks were written past their end;
 * looks at those in use, and forgets their zones. */
void as_arena_guard(struct as_arena *a, bool on);
size_t as_arena_broken(struct as_arena *a);

/* How often memory was asked of the system. */
long as_arena_commits(const struct as_arena *a);

#endif

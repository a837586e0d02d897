/* arena.h: one region of address space per model; memory is committed as it grows and never moves.
 * Every pointer is aligned to 64 bytes. Nothing is freed singly: as_arena_reset() goes back to a mark.
 */
#ifndef ASSAY_ARENA_H
#define ASSAY_ARENA_H

#include <stddef.h>

struct as_arena;

struct as_arena *as_arena_new(void);                        /* fails with AS_NO_MEMORY */
void as_arena_free(struct as_arena *a);                     /* NULL is fine */
void *as_arena_take(struct as_arena *a, size_t bytes);      /* uninitialised; fails with AS_NO_MEMORY */
void *as_arena_zero(struct as_arena *a, size_t bytes);      /* zeroed */
size_t as_arena_mark(const struct as_arena *a);
void as_arena_reset(struct as_arena *a, size_t mark);       /* all that was taken since is gone */
/* Back to a mark, but with these bytes (taken after it) moved down and kept; returns their new place. */
void *as_arena_keep(struct as_arena *a, size_t mark, const void *at, size_t bytes);
size_t as_arena_peak(const struct as_arena *a);             /* high-water mark in bytes: the memory figure */
void as_arena_poison(struct as_arena *a, int on);           /* tests: fill what is taken with NaNs; on > 1: with
                                                               that byte instead */

/* a * b, or AS_NO_MEMORY when it does not fit: every size goes through here. */
size_t as_size(size_t a, size_t b);

#endif

/* arena.c: address space reserved once, pages committed as the arena grows and kept after a reset, so that a
 * repeated step asks the system for nothing. Under AddressSanitizer what is not taken is poisoned. */
#include "arena_private.h"

#include <assay/error.h>

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#define FORBID(p, n) __asan_poison_memory_region(p, n)
#define ALLOW(p, n) __asan_unpoison_memory_region(p, n)
#else
#define FORBID(p, n) ((void)0)
#define ALLOW(p, n) ((void)0)
#endif

enum { ALIGN = 64 };

static const size_t most = (size_t)1 << 40, least = (size_t)1 << 26, step = (size_t)1 << 20;

struct as_arena {
    unsigned char *base;
    size_t reserved, committed, used, peak;
    int poison;
    bool guard;
    size_t zone, broken;             /* guards: where the newest zone ends; blocks found overrun */
    long commits;
};

size_t as_size(size_t a, size_t b)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        as_fail(AS_NO_MEMORY, "a size of %zu times %zu does not fit into the address space", a, b);
    return product;
}

/* Twice the machine's memory is more than can ever be used; reserving far beyond it costs where page tables
 * are emulated. */
static size_t wanted(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    size_t limit = most < SIZE_MAX / 4 ? most : SIZE_MAX / 4, size = least;
    double memory = pages > 0 && page > 0 ? 2.0 * (double)pages * (double)page : (double)limit;
    while (size < limit && (double)size < memory)
        size *= 2;
    return size;
}

struct as_arena *as_arena_new(void)
{
    struct as_arena *a = calloc(1, sizeof *a);
    if (!a)
        as_fail(AS_NO_MEMORY, "no memory for an arena");
    for (size_t size = wanted(); size >= least; size /= 2) {
        void *base = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base != MAP_FAILED) {
            a->base = base;
            a->reserved = size;
            return a;
        }
    }
    int why = errno;
    free(a);
    as_fail(AS_NO_MEMORY, "no address space for an arena of %zu MiB (%s); see ulimit -v", least >> 20, strerror(why));
}

void as_arena_free(struct as_arena *a)
{
    if (!a)
        return;
    ALLOW(a->base, a->committed);      /* the system may give these addresses to somebody else */
    munmap(a->base, a->reserved);
    free(a);
}

static void commit(struct as_arena *a, size_t need)
{
    size_t grown = a->committed + a->committed / 4 + step, more = need > grown ? need : grown;
    more = (more + step - 1) / step * step;
    if (more > a->reserved)
        more = a->reserved;
    if (mprotect(a->base + a->committed, more - a->committed, PROT_READ | PROT_WRITE) != 0) {
        more = (need + step - 1) / step * step;      /* perhaps without the head room */
        if (more > a->reserved || mprotect(a->base + a->committed, more - a->committed, PROT_READ | PROT_WRITE) != 0)
            as_fail(AS_NO_MEMORY, "the system has no more memory: an arena of %zu MiB cannot grow to %zu MiB; "
                    "take a smaller batch, length or width", a->committed >> 20, more >> 20);
    }
    FORBID(a->base + a->committed, more - a->committed);
    a->committed = more;
    a->commits++;
}

/* --- red zones: behind every block a pattern, and in its middle where the zone before it stands ---------------- */

enum { ZONE = 3 * ALIGN, PATTERN = 0xC5 };
struct zone { size_t before, end, mark; };           /* end: where the block ended; mark: to know it again */
static const size_t zone_mark = (size_t)0x5ac7ed0c0ffee5u;

static void lay_zone(struct as_arena *a, size_t end_of_block, size_t end)
{
    struct zone z = { a->zone, end_of_block, zone_mark };
    memset(a->base + end_of_block, PATTERN, end - end_of_block);
    memcpy(a->base + end - 2 * ALIGN, &z, sizeof z);
    a->zone = end;
}

static bool zone_is_whole(const struct as_arena *a, size_t end, const struct zone *z)
{
    if (z->mark != zone_mark || z->end > end - 2 * ALIGN || z->before > z->end)
        return false;
    for (size_t i = z->end; i < end; i++)
        if (a->base[i] != PATTERN && (i < end - 2 * ALIGN || i >= end - 2 * ALIGN + sizeof *z))
            return false;
    return true;
}

/* Looks at the zones above the mark and forgets them. */
static void drop_zones(struct as_arena *a, size_t mark)
{
    while (a->zone > mark) {
        struct zone z;
        memcpy(&z, a->base + a->zone - 2 * ALIGN, sizeof z);
        if (!zone_is_whole(a, a->zone, &z)) {
            a->broken++;
            if (z.mark != zone_mark) {               /* the chain is gone with it */
                a->zone = 0;
                return;
            }
        }
        a->zone = z.before;
    }
}

void as_arena_guard(struct as_arena *a, bool on)
{
    a->guard = on;
}

size_t as_arena_broken(struct as_arena *a)
{
    drop_zones(a, 0);
    return a->broken;
}

long as_arena_commits(const struct as_arena *a)
{
    return a->commits;
}

static void *take(struct as_arena *a, size_t bytes)
{
    size_t room = a->reserved - a->used;
    if (bytes > room || room - bytes < 2 * ZONE)
        as_fail(AS_NO_MEMORY, "%zu bytes more do not fit into an arena of %zu MiB that holds %zu MiB; take a smaller "
                "batch, length or width", bytes, a->reserved >> 20, a->used >> 20);
    /* A block of no bytes gets an address of its own, too. */
    size_t end = a->used + (bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN);
    if (a->guard)
        end += ZONE;
    if (end > a->committed)
        commit(a, end);
    void *p = a->base + a->used;
    if (a->guard) {
        ALLOW(p, end - a->used);
        lay_zone(a, a->used + bytes, end);
    }
    a->used = end;
    if (end > a->peak)
        a->peak = end;
    ALLOW(p, bytes);
    return p;
}

void *as_arena_take(struct as_arena *a, size_t bytes)
{
    void *p = take(a, bytes);
    if (a->poison)                     /* 1: a NaN as float and as double, -1 as an integer */
        memset(p, a->poison == 1 ? 0xff : a->poison, bytes);
    return p;
}

void *as_arena_zero(struct as_arena *a, size_t bytes)
{
    void *p = take(a, bytes);
    memset(p, 0, bytes);
    return p;
}

size_t as_arena_mark(const struct as_arena *a)
{
    return a->used;
}

void as_arena_reset(struct as_arena *a, size_t mark)
{
    if (mark > a->used)
        as_fail(AS_FAILED, "an arena that holds %zu bytes cannot go back to byte %zu", a->used, mark);
    drop_zones(a, mark);
    FORBID(a->base + mark, a->used - mark);
    a->used = mark;
}

void *as_arena_keep(struct as_arena *a, size_t mark, const void *at, size_t bytes)
{
    size_t end = mark;
    void *kept;
    if (mark > a->used || !as_arena_above(a, mark, at))
        as_fail(AS_FAILED, "an arena can keep only what was taken after the mark");
    kept = as_arena_slide(a, &end, at, bytes);
    if (end < a->used)
        as_arena_reset(a, end);
    return kept;
}

size_t as_arena_peak(const struct as_arena *a)
{
    return a->peak;
}

void as_arena_poison(struct as_arena *a, int on)
{
    a->poison = on;
}

bool as_arena_above(const struct as_arena *a, size_t mark, const void *p)
{
    uintptr_t at = (uintptr_t)p, base = (uintptr_t)a->base;
    return at >= base + mark && at < base + a->used;
}

void *as_arena_slide(struct as_arena *a, size_t *to, const void *from, size_t bytes)
{
    void *p = a->base + *to;
    size_t room = bytes ? (bytes + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    drop_zones(a, *to);
    ALLOW(p, bytes);
    memmove(p, from, bytes);
    FORBID(a->base + *to + bytes, room - bytes);
    *to += room;
    return p;
}

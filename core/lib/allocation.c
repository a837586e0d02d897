/* allocation.c: counts our own calls for memory. The linker sends `malloc` of every object of ours to __wrap_malloc
 * here (--wrap, see Makefile.am), and __real_malloc to the C library. */
#include "allocation.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__real_aligned_alloc(size_t align, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_aligned_alloc(size_t align, size_t n);

static atomic_long count;
static atomic_int fill;                  /* byte that malloc fills memory with; 0: none */

void *__wrap_malloc(size_t n)
{
    void *p = __real_malloc(n);
    int byte = atomic_load_explicit(&fill, memory_order_relaxed);

    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    if (p && byte)
        memset(p, byte, n);
    return p;
}

void *__wrap_calloc(size_t n, size_t size)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return __real_realloc(p, n);
}

void *__wrap_aligned_alloc(size_t align, size_t n)
{
    atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    return __real_aligned_alloc(align, n);
}

long as_allocations(void)
{
    return atomic_load_explicit(&count, memory_order_relaxed);
}

void as_allocations_fill(int byte) { atomic_store_explicit(&fill, byte, memory_order_relaxed); }

#include "claim_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct block {
    struct block *next;
    max_align_t data[];
};

void *pool_alloc(struct pool *pool, size_t count, size_t size)
{
    if (size != 0 && count > (SIZE_MAX - sizeof(struct block)) / size)
        pool_fail(pool, 0, "out of memory");
    struct block *block = calloc(1, sizeof *block + count * size);
    if (block == NULL)
        pool_fail(pool, 0, "out of memory");
    block->next = pool->first;
    pool->first = block;
    return block->data;
}

char *pool_copy(struct pool *pool, const char *s, size_t n)
{
    char *copy = pool_alloc(pool, n + 1, 1);
    memcpy(copy, s, n);
    return copy;
}

void pool_free(struct pool *pool)
{
    while (pool->first != NULL) {
        struct block *next = pool->first->next;
        free(pool->first);
        pool->first = next;
    }
}

void pool_fail(struct pool *pool, int column, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pool->err->claim = NULL;
    pool->err->field = pool->field;
    pool->err->column = column;
    vsnprintf(pool->err->text, sizeof pool->err->text, format, args);
    va_end(args);
    longjmp(*pool->out, 1);
}

void text_add(struct text *text, const char *format, ...)
{
    if (text->used >= text->size)
        return;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text->at + text->used, text->size - text->used, format, args);
    va_end(args);
    if (n > 0)
        text->used += (size_t)n;
}

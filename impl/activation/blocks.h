/* blocks.h: element-wise layers cut into blocks of a fixed number of elements, run on the team. */
#ifndef ACTIVATION_BLOCKS_H
#define ACTIVATION_BLOCKS_H

#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>

#define BLOCK 1024

struct blocks { const struct as_call *call; ptrdiff_t n; void (*block)(const struct as_call *, ptrdiff_t, ptrdiff_t); };

static void one_block(void *ctx, ptrdiff_t i)
{
    const struct blocks *b = ctx;
    ptrdiff_t from = i * BLOCK;

    b->block(b->call, from, b->n - from < BLOCK ? b->n - from : BLOCK);
}

/* Calls block(c, from, n) for all elements of input 0, n <= BLOCK. */
static void run_blocks(const struct as_call *c, void (*block)(const struct as_call *c, ptrdiff_t from, ptrdiff_t n))
{
    struct blocks b = { c, 1, block };

    for (int i = 0; i < c->in->rank; i++)
        b.n *= c->in->dim[i];
    as_parallel((b.n + BLOCK - 1) / BLOCK, 8.0 * (double)b.n, one_block, &b);
}

static inline const char *wants_reals(const struct as_spec *in)
{
    return in->dtype == AS_REALS ? NULL : "it works on real numbers, and the input is integers";
}

#endif

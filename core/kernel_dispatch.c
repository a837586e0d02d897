/* kernel_dispatch.c: the public kernels of kernel.h in float, sent to the table of the processor level. */
#include "kernel/kernels.h"
#include <assay/kernel.h>
#include <assay/parallel.h>

/* All that one level has. */
struct level {
    const struct as_kernels *kernels;
    const struct as_sequence_kernels *sequence;
    const struct as_row_kernels *rows;
    const struct as_unary *const *const *unary;
    const struct as_binary *const *const *binary;
};

#define DECLARE(level)                                                      \
    extern const struct as_kernels as_kernels_##level;                      \
    extern const struct as_sequence_kernels as_sequence_kernels_##level;    \
    extern const struct as_row_kernels as_row_kernels_##level;              \
    extern const struct as_unary *const *const as_unary_loops_##level;      \
    extern const struct as_binary *const *const as_binary_loops_##level
#define LEVEL(level)                                                                                                \
    { &as_kernels_##level, &as_sequence_kernels_##level, &as_row_kernels_##level, &as_unary_loops_##level,          \
      &as_binary_loops_##level }

DECLARE(portable);
#if defined(__x86_64__)
DECLARE(avx2);
DECLARE(avx512);
static const struct level table[] = { LEVEL(portable), LEVEL(avx2), LEVEL(avx512) };
#else
static const struct level table[] = { LEVEL(portable) };
#endif

const struct as_kernels *as_kernels(void)
{
    return table[as_level()].kernels;
}

const struct as_sequence_kernels *as_sequence_kernels(void)
{
    return table[as_level()].sequence;
}

const struct as_row_kernels *as_row_kernels(void)
{
    return table[as_level()].rows;
}

const struct as_unary *const *as_unary_loops(void)
{
    return *table[as_level()].unary;
}

const struct as_binary *const *as_binary_loops(void)
{
    return *table[as_level()].binary;
}

void as_vexp(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vexp(n, x, y);
}

void as_vlog(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vlog(n, x, y);
}

void as_vtanh(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vtanh(n, x, y);
}

void as_vsigmoid(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vsigmoid(n, x, y);
}

void as_vsoftplus(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->vsoftplus(n, x, y);
}

void as_verf(ptrdiff_t n, const real *x, real *y)
{
    as_kernels()->verf(n, x, y);
}

enum { ADAM_PIECE = 1 << 14 };                  /* weights a piece */

struct adam { ptrdiff_t n; const struct as_adam *a; const real *g; real *m, *v, *w; };

static void adam_piece(void *ctx, ptrdiff_t i)
{
    const struct adam *c = ctx;
    ptrdiff_t at = i * ADAM_PIECE, n = c->n - at < ADAM_PIECE ? c->n - at : ADAM_PIECE;
    as_kernels()->adam(n, c->a, c->g + at, c->m + at, c->v + at, c->w + at);
}

void as_vadam(ptrdiff_t n, const struct as_adam *a, const real *g, real *m, real *v, real *w)
{
    struct adam c = { n, a, g, m, v, w };
    as_parallel((n + ADAM_PIECE - 1) / ADAM_PIECE, 4 * (double)n, adam_piece, &c);
}

/* rows.h: what normalisations over the last axis share: which inputs they take, the gain, and the pieces of rows that are
 * worked on side by side. `width` is the last axis; rows are all positions of a batch, one after the other. */
#ifndef ASSAY_IMPL_NORMALISATION_ROWS_H
#define ASSAY_IMPL_NORMALISATION_ROWS_H

#include <assay/layer.h>
#include <assay/parallel.h>

#define ROWS 64                          /* rows of one piece; sums over pieces are taken in their order */

static inline const char *rows_check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype != AS_REALS || in->rank < 2 ? "it works on real (..., width)" : NULL;
}

static inline ptrdiff_t rows_width(const struct as_spec *in)
{
    return in->dim[in->rank - 1];
}

static inline ptrdiff_t rows_count(const struct as_spec *in)
{
    ptrdiff_t n = 1;

    for (int i = 0; i < in->rank - 1; i++)
        n *= in->dim[i];
    return n;
}

static inline ptrdiff_t rows_pieces(const struct as_spec *in)
{
    return (rows_count(in) + ROWS - 1) / ROWS;
}

/* Weight number `index`: a gain of ones. */
static inline void rows_gain(struct as_plan *p, int index)
{
    as_weight(p, index, "gain", AS_GAIN, (struct as_init){ .spread = AS_CONSTANT, .a = 1 }, 1,
              (ptrdiff_t[]){ rows_width(p->in) });
}

/* dw += the pieces' parts, (pieces, `apart`) of which the first `width` numbers count, in their order; nothing for a
 * weight that takes no gradient. */
static inline void rows_add(real *dw, const real *part, ptrdiff_t pieces, ptrdiff_t apart, ptrdiff_t width)
{
    for (ptrdiff_t i = 0; dw && i < pieces; i++)
        for (ptrdiff_t j = 0; j < width; j++)
            dw[j] += part[i * apart + j];
}

#endif

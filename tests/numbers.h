/* numbers.h: arrays of floats or of doubles, told apart by the width of a number, for tests that run one case in both
 * precisions. */
#ifndef ASSAY_TESTS_NUMBERS_H
#define ASSAY_TESTS_NUMBERS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static inline void put(void *to, size_t width, ptrdiff_t i, double v)
{
    if (width == sizeof(float))
        ((float *)to)[i] = (float)v;
    else
        ((double *)to)[i] = v;
}

static inline double get(const void *from, size_t width, ptrdiff_t i)
{
    return width == sizeof(float) ? (double)((const float *)from)[i] : ((const double *)from)[i];
}

/* One more than n, so that there is an array even where n is 0; for free(). */
static inline void *zeros(size_t width, ptrdiff_t n)
{
    void *v = calloc((size_t)(n + 1), width);

    assert_non_null(v);
    return v;
}

#endif

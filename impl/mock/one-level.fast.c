/* one-level.fast.c: a kernel that is wrong at one processor level. */
#include <assay/layer.h>

enum { GAIN, BIAS };

#if ASSAY_LEVEL == 1
static const float share = 0;
#else
static const float share = 1;
#endif

static void forward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->y[p * d + i] = c->w[GAIN][i] * c->x[0][p * d + i] + share * c->w[BIAS][i];
}

static const struct as_impl fast = { .abi = ASSAY_ABI, .name = "fast", .rank = 10, .forward = forward };

const struct as_plugin AS_PLUGIN(mock__one_level__fast) = { .abi = ASSAY_ABI, .impl = { &fast } };

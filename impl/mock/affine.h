/* affine.h: a layer that is right: y = gain * x + bias, with its backward pass in three parts, one a gradient: they
 * add to it where it is wanted. The mocks that include this make their backward pass of them and of one fault. */
#ifndef ASSAY_MOCK_AFFINE_H
#define ASSAY_MOCK_AFFINE_H

#include <assay/layer.h>

enum { GAIN, BIAS };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, GAIN, "gain", AS_GAIN, (struct as_init){ .spread = AS_CONSTANT, .a = 1 }, 1, &d);
    as_weight(p, BIAS, "bias", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_add(g->t, as_mul(g->t, x, as_w(g, GAIN)), as_w(g, BIAS));
}

static void forward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->y[p * d + i] = c->w[GAIN][i] * c->x[0][p * d + i] + c->w[BIAS][i];
}

static inline void add_gain_gradient(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    if (!c->dw[GAIN])
        return;
    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->dw[GAIN][i] += c->dy[p * d + i] * c->x[0][p * d + i];
}

static inline void add_bias_gradient(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    if (!c->dw[BIAS])
        return;
    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->dw[BIAS][i] += c->dy[p * d + i];
}

static inline void add_input_gradient(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    if (!c->dx[0])
        return;
    for (ptrdiff_t p = 0; p < rows; p++)
        for (ptrdiff_t i = 0; i < d; i++)
            c->dx[0][p * d + i] += c->dy[p * d + i] * c->w[GAIN][i];
}

#endif

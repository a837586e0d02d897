/* dense.h: a layer y = W x + bias that is right. The mocks that include this bring a second form of it. */
#ifndef ASSAY_MOCK_DENSE_H
#define ASSAY_MOCK_DENSE_H

#include <assay/layer.h>

enum { W, BIAS };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, W, "W", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ d, d });
    as_weight(p, BIAS, "bias", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, &d);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_linear(g->t, x, as_w(g, W), as_w(g, BIAS));
}

#endif

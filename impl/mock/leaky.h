/* leaky.h: a layer that is right but for its step: h_t = sigmoid(alpha) h_{t-1} + x_t.
 * The mocks that include this bring the step. */
#ifndef ASSAY_MOCK_LEAKY_H
#define ASSAY_MOCK_LEAKY_H

#include <assay/layer.h>
#include <tgmath.h>

enum { ALPHA };
enum { H };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, ALPHA, "alpha", AS_RECURRENCE, (struct as_init){ .spread = AS_CONSTANT, .a = 2 }, 1, &d);
    as_state(p, H, "h", (struct as_init){ .spread = AS_ZERO }, 2, (ptrdiff_t[]){ AS_ANY, d });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_scan(g->t, as_sigmoid(g->t, as_w(g, ALPHA)), x, NULL);
}

static void forward(const struct as_call *c)
{
    ptrdiff_t time = c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++) {
        real h = 0, a = 1 / (1 + exp(-c->w[ALPHA][p % d]));

        for (ptrdiff_t t = 0, k = p / d * time * d + p % d; t < time; t++, k += d)
            c->y[k] = h = a * h + c->x[0][k];
    }
}

#endif

/* minimal.h: what the minimal GRU and LSTM share: the candidates' map g, and the recurrence in a slot. */
#ifndef LINEAR_RECURRENCE_MINIMAL_H
#define LINEAR_RECURRENCE_MINIMAL_H

#include <assay/layer.h>

enum { CORE };
static const struct as_slot slots[] = { { "core", "diagonal-scan", "the recurrence on given x and a" }, { 0 } };

/* Plans the core on (batch, time, h). */
static void plan_core(struct as_plan *p, ptrdiff_t h)
{
    struct as_spec in[2];

    in[0] = in[1] = (struct as_spec){ AS_REALS, 3, { AS_ANY, AS_ANY, h }, 0 };
    as_plan_child(p, CORE, 0, 2, in);
}

/* g(x): x + 1/2 for x >= 0, else sigmoid(x). */
static struct as_node *positive(struct as_tape *t, struct as_node *x)
{
    struct as_node *sign = as_node_ints(t, x->rank, x->dim);
    ptrdiff_t n = as_node_size(x);

    for (ptrdiff_t i = 0; i < n; i++)
        sign->i[i] = x->x[i] >= 0;
    return as_where(t, sign, as_shift_by(t, x, 0.5), as_sigmoid(t, x));
}

/* h_t = a_t h_{t-1} + x_t. */
static struct as_node *recurrence(struct as_graph *g, struct as_node *a, struct as_node *x, const int32_t *length)
{
    struct as_node *h;

    x->length = length;
    h = as_child_ports(g, CORE, 0, 2, (struct as_node *[]){ x, a });
    h->length = length;
    return h;
}

#endif

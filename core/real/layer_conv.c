/* layer_conv.c: the short causal convolution that many layers put before their mixing, whole and streamed. */
#include "layer.h"

#include <stdio.h>

void as_plan_conv(struct as_plan *p, int place, int state, const char *name, ptrdiff_t width, ptrdiff_t kernel)
{
    ptrdiff_t w[] = { width, kernel }, s[] = { AS_ANY, kernel - 1, width };
    char what[40];

    as_weight(p, place, name, AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, w);
    snprintf(what, sizeof what, "%s past", name);
    as_state(p, state, what, (struct as_init){ .spread = AS_ZERO }, 3, s);
}

struct as_node *as_graph_conv(struct as_graph *g, int place, int state, struct as_node *x)
{
    struct as_node *w = as_w(g, place), *all, *y;
    ptrdiff_t past = w->dim[1] - 1;

    if (!g->streaming || past == 0)
        return as_conv_causal(g->t, x, w, NULL);
    all = as_concat(g->t, 2, (struct as_node *[]){ as_graph_state(g, state), x }, 1);
    y = as_slice(g->t, as_conv_causal(g->t, all, w, NULL), 1, past, x->dim[1]);
    as_graph_state_set(g, state, as_slice(g->t, all, 1, x->dim[1], past));
    return y;
}

struct as_node *as_graph_conv_silu(struct as_graph *g, int place, int state, struct as_node *x)
{
    if (g->streaming)
        return as_silu(g->t, as_graph_conv(g, place, state, x));
    return as_conv_silu(g->t, x, as_w(g, place));
}

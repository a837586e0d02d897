/* Causal softmax attention on given q, k, v: every step reads all steps up to itself.
 *
 * Vaswani et al. 2017, "Attention is all you need", eq. 1 with the mask of section 3.2.3. The equations, the graph
 * and the reference stand in softmax-attention.h; its sibling full-attention.c reads both ways.
 * Departs: projections, heads and positions belong to the layer around it.
 *
 * Streaming keeps keys and values of every step so far (the cache), for as many steps as the longest training
 * sequence has; a stream that is longer is refused, for its state has no room.
 */
enum { CAUSAL = 1 };
#include "softmax-attention.h"

static const struct as_option options[] = { SCALE_OPTION, { 0 } };
enum { PAST_K, PAST_V };

static void plan(struct as_plan *p)
{
    ptrdiff_t out[] = { AS_ANY, AS_ANY, p->in[V].dim[2], p->in[V].dim[3] };
    ptrdiff_t past_k[] = { AS_ANY, p->max_time, p->in[K].dim[2], p->in[K].dim[3] };
    ptrdiff_t past_v[] = { AS_ANY, p->max_time, p->in[V].dim[2], p->in[V].dim[3] };

    as_output(p, 0, 4, out);
    as_state(p, PAST_K, "past keys", (struct as_init){ .spread = AS_ZERO }, 4, past_k);
    as_state(p, PAST_V, "past values", (struct as_init){ .spread = AS_ZERO }, 4, past_v);
}

/* Writes x (batch, 1, heads, width) into the cache at `now`; returns what it holds then, (batch, heads, now + 1, width). */
static struct as_node *remember(struct as_graph *g, int place, ptrdiff_t now, struct as_node *x)
{
    struct as_node *past = as_graph_state(g, place);
    ptrdiff_t n = x->dim[2] * x->dim[3];

    for (ptrdiff_t b = 0; b < x->dim[0]; b++)
        memcpy(past->x + (b * past->dim[1] + now) * n, x->x + b * n, (size_t)n * sizeof(real));
    as_graph_state_set(g, place, past);
    return as_swap(g->t, as_slice(g->t, past, 1, 0, now + 1), 1, 2);
}

static struct as_node *graph(struct as_graph *g, struct as_node *q)
{
    ptrdiff_t now, room;
    struct as_node *k, *v;

    if (!g->streaming)
        return attend_all(g, q);
    now = as_graph_position(g);
    room = as_graph_state(g, PAST_K)->dim[1];
    if (now >= room)
        as_fail(AS_REFUSED, "attention keeps keys and values for %td steps when it streams (the longest training "
                            "sequence), asked for step %td", room, now + 1);
    k = remember(g, PAST_K, now, g->in[K]);
    v = remember(g, PAST_V, now, g->in[V]);
    return attend(g->t, as_swap(g->t, q, 1, 2), k, v, NULL, scale_of(g->opt, q->dim[3]));
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "causal softmax attention on given q, k, v",
    .paper = { .key = "vaswani2017attention", .title = "Attention Is All You Need",
               .url = "https://arxiv.org/abs/1706.03762", .where = "eq. 1, section 3.2.3",
               .departs = "projections, heads and positions are the layer's", .year = 2017 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .ports = ports, .samples = samples,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
    .cost = cost,
};

const struct as_plugin AS_PLUGIN(core__softmax_attention) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

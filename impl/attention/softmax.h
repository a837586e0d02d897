/* softmax.h: what softmax.c (causal) and softmax-full.c (both directions) share: multi-head attention around a core.
 * Each file gives `slots` and CAUSAL before it includes this header; they are two layers because causality is a
 * promise, and a promise does not hang on an option.
 *
 *     q, k, v = W_q x, W_k x, W_v x                 conv > 0: each through a short causal convolution, then SiLU
 *     o = attention(q, k, v)                        per head, by the core; scale 1 / sqrt(d_k)
 *     y = W_o o
 * positions = rotary: q and k turned by their time index (Su et al. 2021, eq. 34); learned: x + P[t] before all
 * else, a table with one row a step of the longest training sequence; none.
 */
#ifndef ASSAY_ATTENTION_SOFTMAX_H
#define ASSAY_ATTENTION_SOFTMAX_H

#include <assay/layer.h>

struct opt { int heads, key_width, positions, conv; double base; };
enum { NONE, ROTARY, LEARNED };

static const struct as_option options[] = {
    { .key = "heads", .type = AS_INT, .offset = offsetof(struct opt, heads), .def = 4, .min = 1, .max = 1024,
      .sweep = "1,2,4", .help = "number of heads" },
    { .key = "key_width", .type = AS_INT, .offset = offsetof(struct opt, key_width), .def = 0, .min = 0, .max = 4096,
      .help = "d_k: width of a head's key; 0: width / heads" },
    { .key = "positions", .type = AS_WORD, .offset = offsetof(struct opt, positions), .def = ROTARY,
      .words = "none|rotary|learned", .sweep = "none,rotary,learned", .help = "how a step knows its time index" },
    { .key = "conv", .type = AS_INT, .offset = offsetof(struct opt, conv), .def = 0, .min = 0, .max = 8,
      .sweep = "0,4", .help = "kernel of a short causal convolution (then SiLU) on q, k, v; 0: none" },
    { .key = "base", .type = AS_NUM, .offset = offsetof(struct opt, base), .def = 10000, .min = 1, .max = 1e9,
      .help = "base of the rotary angles t base^(-2j/d_k); read when positions = rotary" },
    { 0 }
};

enum { CORE };
enum { W_Q, W_K, W_V, CONV_Q, CONV_K, CONV_V, POSITIONS, W_O };
enum { PAST_Q, PAST_K, PAST_V };

static ptrdiff_t key_width(const struct opt *o, ptrdiff_t width) { return o->key_width ? o->key_width : width / o->heads; }

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "attention reads a sequence (batch, time, width)";
    if (in->dim[2] % o->heads != 0)
        return as_say("the width %td cannot be cut into %d heads", in->dim[2], o->heads);
    if (o->positions == ROTARY && key_width(o, in->dim[2]) % 2 != 0)
        return as_say("rotary positions turn pairs, and a key of %td numbers has an odd one; set key_width, heads or "
                      "positions", key_width(o, in->dim[2]));
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->heads, dk = key_width(o, d), dv = d / h;
    struct as_init glorot = { .spread = AS_GLOROT }, table = { .spread = AS_NORMAL, .a = 0, .b = 0.02 };
    struct as_spec core[3] = { 0 };

    if (o->positions == LEARNED && p->max_time <= 0)
        as_plan_refuse(p, "learned positions need the longest training sequence, and the data does not tell it; "
                          "set positions = rotary or none");
    as_weight(p, W_Q, "W_q", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_K, "W_k", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dk, d });
    as_weight(p, W_V, "W_v", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ h * dv, d });
    if (o->conv) {
        as_plan_conv(p, CONV_Q, PAST_Q, "conv_q", h * dk, o->conv);
        as_plan_conv(p, CONV_K, PAST_K, "conv_k", h * dk, o->conv);
        as_plan_conv(p, CONV_V, PAST_V, "conv_v", h * dv, o->conv);
    }
    if (o->positions == LEARNED)
        as_weight(p, POSITIONS, "positions", AS_EMBEDDING, table, 2, (ptrdiff_t[]){ p->max_time, d });
    as_weight(p, W_O, "W_o", AS_MATRIX, glorot, 2, (ptrdiff_t[]){ d, h * dv });
    for (int i = 0; i < 3; i++)
        core[i] = (struct as_spec){ AS_REALS, 4, { AS_ANY, AS_ANY, h, i < 2 ? dk : dv }, 0 };
    as_plan_child(p, CORE, 0, 3, core);
}

/* x plus its rows of the table. */
static struct as_node *placed(struct as_graph *g, struct as_node *x)
{
    struct as_node *table = as_w(g, POSITIONS);
    ptrdiff_t from = as_graph_position(g), time = x->dim[1];

    if (from + time > table->dim[0])
        as_fail(AS_REFUSED, "learned positions exist for %td steps, the longest training sequence; asked for %td: "
                            "set positions = rotary or none, or train on longer sequences", table->dim[0], from + time);
    return as_add(g->t, x, as_slice(g->t, table, 0, from, time));
}

/* W x, through the short convolution, cut into heads: (batch, time, heads, width). */
static struct as_node *branch(struct as_graph *g, struct as_node *x, int w, int conv, int past)
{
    const struct opt *o = g->opt;
    struct as_node *y = as_linear(g->t, x, as_w(g, w), NULL);
    ptrdiff_t dims[] = { x->dim[0], x->dim[1], o->heads, -1 };

    if (o->conv)
        y = as_graph_conv_silu(g, conv, past, y);
    return as_reshape(g->t, y, 4, dims);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_node *q, *k, *v, *y;
    ptrdiff_t flat[] = { x->dim[0], x->dim[1], -1 };

    if (g->streaming && !CAUSAL)
        as_fail(AS_REFUSED, "attention in both directions reads steps that are still to come and cannot be streamed; "
                            "the mixer 'softmax' can");
    if (o->positions == LEARNED)
        x = placed(g, x);
    q = branch(g, x, W_Q, CONV_Q, PAST_Q);
    k = branch(g, x, W_K, CONV_K, PAST_K);
    v = branch(g, x, W_V, CONV_V, PAST_V);
    if (o->positions == ROTARY) {
        q = as_rotary(g->t, q, o->base, as_graph_position(g));
        k = as_rotary(g->t, k, o->base, as_graph_position(g));
    }
    y = as_child_ports(g, CORE, 0, 3, (struct as_node *[]){ q, k, v });
    return as_linear(g->t, as_reshape(g->t, y, 3, flat), as_w(g, W_O), NULL);
}

#endif

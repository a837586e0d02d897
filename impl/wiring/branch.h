/* branch.h: what prenorm and postnorm share: options, weights, and the mixer's branch f(x) = W_o mixer(c(x)),
 * where c is a short convolution and SiLU, or nothing, and W_o is there when the mixer has another width.
 */
#ifndef WIRING_BRANCH_H
#define WIRING_BRANCH_H

#include <assay/layer.h>

struct branch { int conv, residual, recompute; double dropout; };
enum { CONV, W_O };
enum { MIXER, FFN, NORM };
enum { PAST };                           /* state: the last conv - 1 inputs of the convolution */

#define BRANCH_OPTIONS                                                                                              \
    { "conv", AS_INT, offsetof(struct branch, conv), 0, 0, 8, NULL, "0,4",                                          \
      "width of a depthwise causal convolution with SiLU before the mixer; 0: none" },                              \
    { "residual", AS_WORD, offsetof(struct branch, residual), 1, 0, 0, "off|on", "off,on", "with the paths past "   \
      "mixer and ffn" },                                                                                            \
    { "dropout", AS_NUM, offsetof(struct branch, dropout), 0, 0, 0.95, NULL, "0,0.1", "on the output of each branch" }, \
    { "recompute", AS_BOOL, offsetof(struct branch, recompute), 0, 0, 0, NULL, "0,1", "each branch is run once more "  \
      "on the way back instead of kept: a third more time, less memory, the same bits" }

static inline const char *branch_check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on real (batch, time, width)";
    return NULL;
}

/* Plans convolution, mixer and W_o; returns the width after the branch. */
static inline ptrdiff_t plan_branch(struct as_plan *p)
{
    const struct branch *o = p->opt;
    ptrdiff_t d = p->in->dim[2], m = d;
    const struct as_spec *out = as_plan_child(p, MIXER, 0, 1, p->in);

    if (out && (out->rank != 3 || out->dtype != AS_REALS))
        as_plan_refuse(p, "its mixer must give (batch, time, width)");
    if (out)
        m = out->dim[2];
    if (o->conv)
        as_plan_conv(p, CONV, PAST, "conv", d, o->conv);
    if (m == d || !o->residual)
        return m;
    as_weight(p, W_O, "W_o", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ d, m });
    return d;
}

static inline struct as_node *short_conv(struct as_graph *g, struct as_node *x)
{
    if (!((const struct branch *)g->opt)->conv)
        return x;
    return as_graph_conv_silu(g, CONV, PAST, x);
}

static inline struct as_node *drop(struct as_graph *g, struct as_node *x, uint64_t which)
{
    return g->training ? as_dropout(g->t, x, ((const struct branch *)g->opt)->dropout, as_subkey(g->key, which)) : x;
}

/* f(x), with dropout. */
static inline struct as_node *run_branch(struct as_graph *g, struct as_node *x)
{
    ptrdiff_t d = x->dim[2];
    struct as_node *y = as_child(g, MIXER, 0, short_conv(g, x));

    if (y->dim[2] != d && ((const struct branch *)g->opt)->residual)
        y = as_linear(g->t, y, as_w(g, W_O), NULL);
    return drop(g, y, 1);
}

/* --- a branch with its normalisation and its sum as one segment of the tape -------------------------------- */

struct segment { struct as_graph g; struct as_node *(*body)(struct as_graph *g, struct as_node *x); };

static inline struct as_node *segment_body(struct as_tape *t, void *ctx, struct as_node *x)
{
    struct segment *s = ctx;
    struct as_graph g = s->g;

    g.t = t;
    g.in = &x;
    return s->body(&g, x);
}

/* body(g, x), recomputed on the way back when the option says so. */
static inline struct as_node *
run_segment(struct as_graph *g, struct as_node *(*body)(struct as_graph *g, struct as_node *x), struct as_node *x)
{
    struct segment *s;

    if (!((const struct branch *)g->opt)->recompute || !as_tape_recording(g->t))
        return body(g, x);
    s = as_arena_take(as_tape_arena(g->t), sizeof *s);
    *s = (struct segment){ *g, body };
    return as_recompute(g->t, segment_body, s, x);
}

#endif

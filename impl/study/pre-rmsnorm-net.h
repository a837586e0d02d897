/* pre-rmsnorm-net.h: a small Transformer in the forms of pre-rmsnorm.h, computed from the weights of an lm (block =
 * prenorm, mixer = softmax with rotary positions, ffn = mlp with GELU), which are taken apart by name.
 *
 *   x = E[tokens],   x <- x + W_o attention(norm(x)),   x <- x + W_2 gelu(W_1 norm(x) + b_1) + b_2,
 *   logits = W_head norm(x) + b_head
 *
 * A fold is part of the graph: a weight is used as the form makes it of what is trained.
 */
#ifndef STUDY_PRE_RMSNORM_NET_H
#define STUDY_PRE_RMSNORM_NET_H

#include <assay/study.h>
#include <math.h>
#include <string.h>

enum { LN, RMS, CRMS, FREE, NOISE, FORMS };
enum { KEEP, ONTO, FROM };               /* a weight's part: untouched, onto the main branch, from it */
enum { EMBEDDING, HEAD, HEAD_B, BLOCKS };
enum { W_Q, W_K, W_V, W_O, W_1, B_1, W_2, B_2, IN_BLOCK };
enum { MOST = BLOCKS + 16 * IN_BLOCK };
static const double eps = 1e-5;          /* of LayerNorm, as in layernorm.c and rmsnorm.c */

struct weight { ptrdiff_t at; int rank, part, axis; ptrdiff_t dim[2]; };

struct net {
    struct as_tape *t;
    const struct as_model *model;        /* whose weights these are */
    ptrdiff_t n, d, heads;               /* numbers in the store; width; of attention */
    int depth;
    struct weight weight[MOST];
    real *w[FORMS], *dw;                 /* (n) each: the weights that are trained, and the gradient */
};

/* --- the weights of the model ----------------------------------------------------------------------------- */

static void place(struct net *n, const real *store, int k, const char *name, int part, int axis)
{
    struct as_named_weight w = as_model_weight(n->model, name);
    struct weight *v = &n->weight[k];

    if (!w.w || w.rank > 2)
        as_fail(AS_REFUSED, "pre-rmsnorm: there is no weight %s: it wants model = lm, block = prenorm, "
                            "mixer = softmax, ffn = mlp", name);
    *v = (struct weight){ w.w - store, w.rank, part, axis, { w.dim[0], w.rank > 1 ? w.dim[1] : 1 } };
}

static void take_apart(struct net *n, struct as_model *m, struct as_config *cfg)
{
    static const struct { const char *name; int part; } in_block[IN_BLOCK] = {
        [W_Q] = { "mixer.W_q", FROM }, [W_K] = { "mixer.W_k", FROM }, [W_V] = { "mixer.W_v", FROM },
        [W_O] = { "mixer.W_o", ONTO }, [W_1] = { "ffn.W_1", FROM }, [B_1] = { "ffn.b_1", KEEP },
        [W_2] = { "ffn.W_2", ONTO }, [B_2] = { "ffn.b_2", ONTO } };
    const real *store = as_model_store(m).w;
    double seen = 0;

    n->model = m;
    n->n = as_model_store(m).n;
    n->depth = (int)as_config_int(cfg, "depth", 1, 1, 16);
    n->heads = as_config_int(cfg, "mixer.heads", 4, 1, 1024);
    place(n, store, EMBEDDING, "embedding", ONTO, 1);
    place(n, store, HEAD, "W_head", FROM, 1);
    place(n, store, HEAD_B, "b_head", KEEP, 0);
    for (int i = 0; i < n->depth; i++)
        for (int k = 0; k < IN_BLOCK; k++)
            place(n, store, BLOCKS + i * IN_BLOCK + k, as_say("block%d.%s", i, in_block[k].name), in_block[k].part,
                  in_block[k].part == FROM);
    for (int k = 0; k < BLOCKS + n->depth * IN_BLOCK; k++)
        seen += (double)(n->weight[k].dim[0] * n->weight[k].dim[1]);
    if (seen < (double)n->n)
        as_fail(AS_REFUSED, "pre-rmsnorm: the model has %td weights and it knows %.0f: norm = layernorm with "
                            "gain = off and bias = off, block.conv = 0, tied = off", n->n, seen);
    n->d = n->weight[EMBEDDING].dim[1];
}

/* P along the axis. */
static struct as_node *centred(struct as_tape *t, struct as_node *w, int axis)
{
    return as_sub(t, w, as_mean(t, w, axis, true));
}

static struct as_node *folded(struct as_tape *t, const struct weight *v, int form, struct as_node *w)
{
    ptrdiff_t d = v->part == KEEP ? 0 : v->dim[v->axis];

    if (v->part == KEEP || (form != RMS && form != CRMS))
        return w;
    if (v->part == ONTO) {
        w = centred(t, w, v->axis);
        return form == CRMS ? as_slice(t, w, v->axis, 0, d - 1) : w;
    }
    return form == CRMS ? as_sub(t, as_slice(t, w, 1, 0, d - 1), as_slice(t, w, 1, d - 1, 1)) : w;
}

/* --- the network ------------------------------------------------------------------------------------------ */

struct walk { const struct net *n; int form; bool learns; };

static struct as_node *weight_at(const struct walk *k, int at)
{
    const struct net *n = k->n;
    const struct weight *v = &n->weight[at];
    real *w = n->w[k->form] + v->at, *dw = k->learns ? n->dw + v->at : NULL;

    return folded(n->t, v, k->form, as_node_wrap(n->t, v->rank, v->dim, w, dw));
}

static struct as_node *norm(const struct walk *k, struct as_node *x)
{
    struct as_tape *t = k->n->t;
    struct as_node *square;

    if (k->form == LN || k->form == NOISE)
        return as_layernorm(t, x, NULL, NULL, eps);
    if (k->form != CRMS)
        return as_rmsnorm(t, x, NULL, eps);
    square = as_add(t, as_sum(t, as_square(t, x), -1, true), as_square(t, as_sum(t, x, -1, true)));
    return as_mul(t, x, as_rsqrt(t, as_shift_by(t, as_scale(t, square, 1 / (double)k->n->d), eps)));
}

/* W u by heads, (batch, heads, time, width of a head); turned by the time index for q and k. */
static struct as_node *by_heads(const struct walk *k, struct as_node *u, int at, bool turn)
{
    struct as_tape *t = k->n->t;
    struct as_node *y = as_linear(t, u, weight_at(k, at), NULL);

    y = as_reshape(t, y, 4, (ptrdiff_t[]){ u->dim[0], u->dim[1], k->n->heads, -1 });
    return as_swap(t, turn ? as_rotary(t, y, 10000, 0) : y, 1, 2);
}

static struct as_node *attention(const struct walk *k, struct as_node *u, int first)
{
    struct as_tape *t = k->n->t;
    ptrdiff_t steps = u->dim[1];
    struct as_node *q = by_heads(k, u, first + W_Q, true), *key = by_heads(k, u, first + W_K, true), *y;
    struct as_node *mask = as_node_new(t, 2, (ptrdiff_t[]){ steps, steps });

    for (ptrdiff_t i = 0; i < steps * steps; i++)
        mask->x[i] = i % steps > i / steps ? -(real)INFINITY : 0;
    y = as_scale(t, as_bmm(t, q, false, key, true), 1 / sqrt((double)q->dim[3]));
    y = as_bmm(t, as_softmax(t, as_add(t, y, mask)), false, by_heads(k, u, first + W_V, false), false);
    y = as_reshape(t, as_swap(t, y, 1, 2), 3, (ptrdiff_t[]){ u->dim[0], steps, -1 });
    return as_linear(t, y, weight_at(k, first + W_O), NULL);
}

static struct as_node *field_of(struct as_tape *t, const struct as_batch *b, const char *name)
{
    int f = 0;

    while (f < b->n_fields && strcmp(b->field[f].name, name))
        f++;
    if (f == b->n_fields || !b->field[f].integer)
        as_fail(AS_REFUSED, "pre-rmsnorm: the data has no tokens called %s at every step", name);
    struct as_node *node = as_node_ints(t, 2, (ptrdiff_t[]){ b->batch, b->time });
    memcpy(node->i, b->i[f], (size_t)(b->batch * b->time) * sizeof *node->i);
    return node;
}

static struct as_node *logits(const struct walk *k, const struct as_batch *b)
{
    struct as_tape *t = k->n->t;
    struct as_node *x;

    as_tape_reset(t);
    x = as_embed(t, field_of(t, b, "x"), weight_at(k, EMBEDDING));
    for (int i = 0; i < k->n->depth; i++) {
        int first = BLOCKS + i * IN_BLOCK;
        struct as_node *h;

        x = as_add(t, x, attention(k, norm(k, x), first));
        h = as_gelu(t, as_linear(t, norm(k, x), weight_at(k, first + W_1), weight_at(k, first + B_1)));
        x = as_add(t, x, as_linear(t, h, weight_at(k, first + W_2), weight_at(k, first + B_2)));
    }
    return as_linear(t, norm(k, x), weight_at(k, HEAD), weight_at(k, HEAD_B));
}

static struct as_node *loss_of(const struct walk *k, const struct as_batch *b)
{
    struct as_tape *t = k->n->t;
    struct as_node *y = logits(k, b), *target = field_of(t, b, "target");
    double count = 0;

    for (ptrdiff_t i = 0; i < as_node_size(target); i++)
        count += target->i[i] >= 0;
    return as_scale(t, as_sum_all(t, as_cross_entropy(t, y, target)), 1 / fmax(count, 1));
}

#endif

/* stack.h: what the models share: depth copies of a block, an optional norm after them, a linear head. Slot 0 is
 * the block, slot 1 the norm. Every model's options begin with struct stack, its weights with HEAD and HEAD_B.
 */
#ifndef MODEL_STACK_H
#define MODEL_STACK_H

#include <assay/layer.h>
#include <math.h>

struct stack { int depth, width, final_norm, init, embedding; double init_sd, dropout; };
enum { HEAD, HEAD_B, IN, IN_B };         /* weights; IN: the embedding, or the input projection */
enum { BLOCK, NORM };
enum { INIT_DEFAULT, INIT_NORMAL };
enum { EMBEDDING_TRAINED, EMBEDDING_FIXED };

#define STACK_SLOTS                                                                                                 \
    { "block", "prenorm", "what is repeated along the depth" },                                                     \
    { "norm", "rmsnorm", "normalisation before the head (final_norm), and of the blocks" },                         \
    { 0 }

#define STACK_OPTIONS(type, norm_default)                                                                           \
    { "depth", AS_INT, offsetof(struct type, s.depth), 1, 1, 64, NULL, "1,2,4", "number of blocks" },               \
    { "width", AS_INT, offsetof(struct type, s.width), 64, 1, 65536, NULL, "32,64,128", "width between blocks" },   \
    { "final_norm", AS_BOOL, offsetof(struct type, s.final_norm), norm_default, 0, 0, NULL, "0,1",                  \
      "a normalisation after the last block" },                                                                     \
    { "init", AS_WORD, offsetof(struct type, s.init), INIT_DEFAULT, 0, 0, "default|normal", NULL,                   \
      "embedding, input projection and head: normal draws of init_sd and zero biases, or the defaults" },           \
    { "embedding", AS_WORD, offsetof(struct type, s.embedding), EMBEDDING_TRAINED, 0, 0, "trained|fixed", NULL,        \
      "of tokens, or the projection of real inputs; fixed: stays as it was drawn" },                                \
    { "init_sd", AS_NUM, offsetof(struct type, s.init_sd), 0.02, 0, 10, NULL, "0.02", "used by init = normal" },    \
    { "dropout", AS_NUM, offsetof(struct type, s.dropout), 0, 0, 0.95, NULL, "0,0.1", "on the blocks' input" }

static inline struct as_init matrix_init(const struct stack *s)
{
    if (s->init == INIT_NORMAL)
        return (struct as_init){ .spread = AS_NORMAL, .b = s->init_sd };
    return (struct as_init){ .spread = AS_FAN_IN };
}

/* The embedding of tokens, or the projection of real inputs (batch, time, k), to the width. */
static inline struct as_spec plan_input(struct as_plan *p, const struct stack *s, double embedding_sd)
{
    struct as_spec x = { .dtype = AS_REALS, .rank = 3, .dim = { AS_ANY, AS_ANY, s->width } };
    struct as_init e = { .spread = AS_NORMAL, .b = s->init == INIT_NORMAL ? s->init_sd : embedding_sd };

    if (p->in->dtype == AS_INTS) {
        as_weight(p, IN, "embedding", AS_EMBEDDING, e, 2, (ptrdiff_t[]){ p->in->vocab, s->width });
        return x;
    }
    as_weight(p, IN, "W_in", AS_MATRIX, matrix_init(s), 2, (ptrdiff_t[]){ s->width, p->in->dim[2] });
    as_weight(p, IN_B, "b_in", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ s->width });
    return x;
}

static inline struct as_node *run_input(struct as_graph *g, const struct stack *s, struct as_node *x)
{
    bool fixed = s->embedding == EMBEDDING_FIXED;
    struct as_node *w = fixed ? as_stop(g->t, as_w(g, IN)) : as_w(g, IN), *b;

    if (x->dtype == AS_INTS)
        return as_embed(g->t, x, w);
    b = fixed ? as_stop(g->t, as_w(g, IN_B)) : as_w(g, IN_B);
    return as_linear(g->t, x, w, b);
}

/* Plans the blocks and the norm; x becomes what comes out. */
static inline void plan_blocks(struct as_plan *p, const struct stack *s, struct as_spec *x)
{
    for (int i = 0; i < s->depth; i++) {
        const struct as_spec *out = as_plan_child(p, BLOCK, i, 1, x);

        if (!out)
            as_plan_refuse(p, "block = none: a model needs a block (prenorm, postnorm or plain)");
        *x = *out;
    }
    if (x->rank != 3)
        as_plan_refuse(p, "its blocks must give (batch, time, width)");
    if (s->final_norm)
        as_plan_child(p, NORM, 0, 1, x);
}

static inline struct as_node *run_blocks(struct as_graph *g, const struct stack *s, struct as_node *x)
{
    if (g->training)
        x = as_dropout(g->t, x, s->dropout, as_subkey(g->key, 1));
    for (int i = 0; i < s->depth; i++)
        x = as_child(g, BLOCK, i, x);
    return s->final_norm ? as_child(g, NORM, 0, x) : x;
}

/* W (classes, width) and b, from what the blocks give. */
static inline void plan_head(struct as_plan *p, const struct stack *s, const struct as_spec *x)
{
    if (p->classes < 1)
        as_plan_refuse(p, "the data names no number of outputs");
    as_weight(p, HEAD, "W_head", AS_MATRIX, matrix_init(s), 2, (ptrdiff_t[]){ p->classes, x->dim[2] });
    as_weight(p, HEAD_B, "b_head", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ p->classes });
}

static inline struct as_node *head_body(struct as_graph *g, struct as_node *x)
{
    return as_linear(g->t, x, as_w(g, HEAD), as_w(g, HEAD_B));
}

static inline struct as_node *run_head(struct as_graph *g, struct as_node *x)
{
    return as_head(g, x, head_body);
}

#endif

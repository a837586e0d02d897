/* head.c: a model's last step and the objective behind it, a piece of the sequences at a time. Both are recomputed on the
 * way back, so that logits and their gradient are never larger than one piece's: for long sequences or many classes.
 */
#include "train.h"

#include <string.h>

struct as_node *as_head(struct as_graph *g, struct as_node *x, struct as_node *(*body)(struct as_graph *g, struct as_node *x))
{
    struct as_model *m = g->layer->model;

    if (!m->head.wanted || g->layer != m->root)
        return body(g, x);
    m->head.body = body;
    m->head.layer = g->layer;
    m->head.key = g->key;
    return x;
}

struct piece {
    struct kept_head head;                   /* as it was kept: the way back comes when the pass is over */
    const struct as_objective *objective;
    struct as_graph g;                       /* the objective's */
    struct as_node *target;
    ptrdiff_t from, count;
};

/* Losses (batch, count) of steps from .. from + count - 1. What is padding is weighted by 0 later. */
static struct as_node *losses_of_piece(struct as_tape *t, void *ctx, struct as_node *x)
{
    struct piece *p = ctx;
    struct as_node *part = as_slice(t, x, 1, p->from, p->count), *target = as_slice(t, p->target, 1, p->from, p->count);
    struct as_graph g = { .t = t, .opt = p->head.layer->opt, .in = &part, .n_in = 1, .training = true,
                          .key = p->head.key, .layer = p->head.layer };

    part->length = target->length = NULL;
    p->g.t = t;
    return p->objective->graph(&p->g, p->head.body(&g, part), target);
}

struct as_node *head_losses(const struct kept_head *head, int pieces, const struct as_objective *objective,
                            const struct as_graph *g, struct as_node *x, struct as_node *target)
{
    struct as_arena *a = as_tape_arena(g->t);
    ptrdiff_t time, each, n;
    struct as_node **loss;

    if (x->rank != 3 || target->rank < 2 || target->dim[1] != x->dim[1])
        as_fail(AS_REFUSED, "objective.pieces = %d: the targets are not one a step; leave it out", pieces);
    time = x->dim[1];
    each = (time + pieces - 1) / pieces;
    n = each > 0 ? (time + each - 1) / each : 0;
    loss = as_arena_take(a, as_size((size_t)n, sizeof *loss));
    for (ptrdiff_t i = 0; i < n; i++) {
        struct piece *p = as_arena_take(a, sizeof *p);

        *p = (struct piece){ *head, objective, *g, target, i * each, time - i * each < each ? time - i * each : each };
        loss[i] = as_recompute(g->t, losses_of_piece, p, x);
    }
    return n == 1 ? loss[0] : as_concat(g->t, (int)n, loss, 1);
}

struct as_node *pass_loss(const struct as_pass *p, struct as_tape *t)
{
    const struct objective *o = &p->trainer->objective;
    struct as_model *m = p->model;
    struct as_node *output, *loss;

    m->head = (struct kept_head){ .wanted = o->pieces > 1 };
    output = as_model_forward(m, t, p->batch, true, p->key);
    if (m->head.wanted && !m->head.body)
        as_fail(AS_REFUSED, "objective.pieces = %d: this model does not hand over its head; lm and frames do", o->pieces);
    m->head.wanted = false;                  /* what the objective runs of the model keeps nothing back */
    loss = objective_loss(o, m, t, p->batch, output, p->key);
    m->head = (struct kept_head){ 0 };
    return loss;
}

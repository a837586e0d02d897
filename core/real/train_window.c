/* train_window.c: a batch gone through piece by piece, for rules that learn on the way. */
#include "train.h"

#include <string.h>

/* Steps from..from+count-1 of all rows. */
static struct as_batch *piece_of(struct as_arena *a, const struct as_batch *b, ptrdiff_t from, ptrdiff_t count)
{
    struct as_batch *w = as_arena_take(a, sizeof *w);

    *w = batch_part(a, b, NULL, b->batch, from, count);
    return w;
}

/* One time step of the whole model on the tape. */
static struct as_node *one_step(struct as_pass *p, ptrdiff_t at)
{
    static const char *const one[] = { "x", NULL };
    struct as_model *m = p->model;
    struct as_tape *t = p->trainer->tape;
    const char *const *port = m->root->variant->ports ? m->root->variant->ports : one;
    struct as_batch *b = piece_of(as_tape_arena(t), p->batch, at, 1);
    struct as_node *in[AS_MAX_PORTS], *y;

    for (int i = 0; i < m->root->n_in; i++) {
        in[i] = model_field(t, b, port[i]);
        in[i]->length = NULL;        /* rows that have ended go on, as in any stream, and count nothing */
    }
    y = model_step(m, t, true, as_subkey(p->key, (uint64_t)at), m->root->n_in, in);
    if (y->rank != 3 || y->dim[1] != 1)
        as_fail(AS_REFUSED, "learning piece by piece wants an output at every step (read = every)");
    return y;
}

static void check_terms(const struct objective *o)
{
    if (o->pieces > 1)
        as_fail(AS_REFUSED, "objective.pieces = %d: a rule that learns piece by piece has its own; leave it out", o->pieces);
    for (int i = 0; i < o->n; i++)
        if (!o->term[i].objective || o->term[i].output[0])
            as_fail(AS_REFUSED, "objective: '%s' is a loss of a layer, and learning piece by piece takes losses of the "
                                "output only", o->term[i].objective ? o->term[i].output : o->term[i].name);
}

double as_pass_window(struct as_pass *p, ptrdiff_t from, ptrdiff_t count)
{
    struct as_trainer *tr = p->trainer;
    struct as_model *m = p->model;
    struct as_node **y, *output, *loss;
    struct as_batch *piece;
    double weight;
    ptrdiff_t n;
    size_t bytes;
    bool was;

    if (from == 0) {
        check_terms(&tr->objective);
        as_model_stream(m, p->batch->batch);
        as_tape_reset(tr->tape);
        position_weights(as_tape_arena(tr->tape), p->batch, &n, &tr->weight);
        p->loss = 0;
    }
    if (count > p->batch->time - from)
        count = p->batch->time - from;
    as_tape_reset(tr->tape);
    model_learn(m, true);
    piece = piece_of(as_tape_arena(tr->tape), p->batch, from, count);
    position_weights(as_tape_arena(tr->tape), piece, &n, &weight);
    was = as_tape_record(tr->tape, weight > 0);
    y = as_arena_take(as_tape_arena(tr->tape), as_size((size_t)count, sizeof *y));
    for (ptrdiff_t s = 0; s < count; s++)
        y[s] = one_step(p, from + s);
    if (weight > 0) {
        output = count > 1 ? as_concat(tr->tape, (int)count, y, 1) : y[0];
        loss = objective_loss(&tr->objective, m, tr->tape, piece, output, p->key);
        loss = as_scale(tr->tape, loss, weight / tr->weight);
        p->loss += (double)loss->x[0];
        as_backward(tr->tape, loss, R(1.0));
    }
    as_tape_record(tr->tape, was);
    bytes = as_arena_mark(as_tape_arena(tr->tape)) + as_arena_mark(m->state_arena);
    p->bytes = bytes > p->bytes ? bytes : p->bytes;
    if (from + count == p->batch->time)
        as_model_stream(m, 0);
    return weight;
}

void as_pass_update(struct as_pass *p)
{
    trainer_update(p->trainer, p);
    memset(p->model->gradient, 0, (size_t)p->model->n_store * sizeof(real));
    p->updated = true;
}

bool as_pass_weight(struct as_pass *p, int i, struct as_update *u, real **moment)
{
    struct as_trainer *tr = p->trainer;
    struct as_model *m = p->model;

    for (int l = 0; l < m->n_layers; l++)
        for (int j = 0; j < m->layer[l]->n_weights; j++) {
            struct weight_slot *w = &m->layer[l]->weight[j];

            if (!trainer_trains(tr, w) || i-- > 0)
                continue;
            *u = trainer_show(tr, w, moment);
            return true;
        }
    return false;
}

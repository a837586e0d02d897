/* layer_call.c: a layer's implementation called on nodes: what it is given, what is kept for its way back, and the one
 * step of a stream. */
#include "layer.h"
#include "tape.h"
#include <string.h>

static struct as_spec spec_of(const struct as_node *a)
{
    struct as_spec s = { .dtype = a->dtype, .rank = a->rank };

    memcpy(s.dim, a->dim, sizeof s.dim);
    return s;
}

/* All that a call of an implementation points to; lives in the arena from forward to backward. */
struct frame {
    struct as_layer *layer;
    struct as_call call;
    struct as_spec in[AS_MAX_PORTS], out;
    const real *x[AS_MAX_PORTS];
    const int32_t *ix[AS_MAX_PORTS];
    real *dx[AS_MAX_PORTS];
    bool fresh[AS_MAX_PORTS];
    const real *w[AS_MAX_WEIGHTS];
    real *dw[AS_MAX_WEIGHTS];
    real *state[AS_MAX_STATES];
    void *saved[8], *scratch[8];
    struct as_node *node_in[AS_MAX_PORTS];
};

static struct as_spec actual_output(const struct as_layer *l, const struct as_spec *in)
{
    struct as_spec out = l->out;

    for (int i = 0; i < out.rank; i++)
        if (out.dim[i] == AS_ANY)
            out.dim[i] = in->dim[i];
    return out;
}

static struct frame *new_frame(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
                               struct as_node *const *in)
{
    struct frame *f = as_arena_zero(as_tape_arena(t), sizeof *f);

    f->layer = l;
    for (int i = 0; i < n_in; i++) {
        f->in[i] = spec_of(in[i]);
        f->x[i] = in[i]->x;
        f->ix[i] = in[i]->i;
        f->node_in[i] = in[i];
    }
    f->out = actual_output(l, &f->in[0]);
    for (int i = 0; i < l->n_weights; i++)
        f->w[i] = l->weight[i].node.x;
    f->call = (struct as_call){ .opt = l->opt, .n_in = n_in, .in = f->in, .out = &f->out, .x = f->x, .ix = f->ix,
                                .w = f->w, .length = in[0]->length, .key = key, .training = training,
                                .position = l->model->position };
    return f;
}

static struct as_room room_of(const struct frame *f, const struct as_impl *impl, bool gradients)
{
    struct as_room room = { .opt = f->layer->opt, .n_in = f->call.n_in, .in = f->in, .out = &f->out,
                            .gradients = gradients };

    if (impl->plan)
        impl->plan(&room);
    return room;
}

/* What is saved stays until the tape is reset. */
static void take_saved(struct frame *f, struct as_tape *t, const struct as_impl *impl)
{
    struct as_room room = room_of(f, impl, true);

    for (int i = 0; i < 8; i++)
        if (room.saved[i])
            f->saved[i] = as_arena_take(as_tape_arena(t), as_size(room.saved[i], sizeof(real)));
    f->call.saved = f->saved;
}

/* Scratch is taken per call; the caller gives it back by a mark. */
static void take_scratch(struct frame *f, struct as_tape *t, const struct as_impl *impl, bool gradients)
{
    struct as_room room = room_of(f, impl, gradients);

    for (int i = 0; i < 8; i++)
        f->scratch[i] = room.scratch[i] ? as_arena_take(as_tape_arena(t), as_size(room.scratch[i], sizeof(real))) : NULL;
    f->call.scratch = f->scratch;
}

/* The inputs' gradients. One array for two inputs, of a node that is given twice, is added to by both. */
static void take_gradients(struct frame *f, struct as_tape *t)
{
    for (int i = 0; i < f->call.n_in; i++) {
        bool own = f->layer->impl->fresh;

        for (int j = 0; j < f->call.n_in; j++)
            own = own && (j == i || f->node_in[j] != f->node_in[i]);
        f->dx[i] = !f->node_in[i]->wants ? NULL : own ? as_gradient_open(t, f->node_in[i], &f->fresh[i])
                   : as_gradient(t, f->node_in[i]);
    }
    f->call.dx = f->dx;
    f->call.fresh = f->fresh;
}

static void back_impl(struct as_tape *t, struct as_note *note)
{
    struct frame *f = note->saved;
    struct as_layer *l = f->layer;
    size_t mark;

    take_gradients(f, t);
    for (int i = 0; i < l->n_weights; i++)
        f->dw[i] = l->weight[i].node.wants ? l->weight[i].node.dx : NULL;
    f->call.dw = f->dw;
    f->call.dy = note->out->dx;
    mark = as_arena_mark(as_tape_arena(t));
    take_scratch(f, t, l->impl, true);
    l->impl->backward(&f->call);
    as_arena_reset(as_tape_arena(t), mark);
}

static struct as_node *new_output(struct as_tape *t, const struct frame *f, const struct as_node *x)
{
    struct as_node *y = as_node_new(t, f->out.rank, f->out.dim);

    if (y->rank >= 2 && x->rank >= 2 && y->dim[0] == x->dim[0] && y->dim[1] == x->dim[1])
        y->length = x->length;
    return y;
}

/* An implementation with step() only: the forward pass is the steps, one after the other. */
static void repeat_steps(struct frame *f, struct as_tape *t, const struct as_impl *impl)
{
    struct as_layer *l = f->layer;
    ptrdiff_t batch = f->in[0].dim[0], time = f->in[0].dim[1], size_in[AS_MAX_PORTS], size_out = f->out.dim[2];
    struct as_arena *a = as_tape_arena(t);
    real *x[AS_MAX_PORTS] = { 0 }, *y = as_arena_take(a, as_size((size_t)(batch * size_out), sizeof *y));
    struct as_call c = f->call;

    for (int p = 0; p < c.n_in; p++) {
        size_in[p] = 1;
        for (int i = 2; i < f->in[p].rank; i++)
            size_in[p] *= f->in[p].dim[i];
        x[p] = as_arena_take(a, as_size((size_t)(batch * size_in[p]), sizeof(real)));
    }
    for (int i = 3; i < f->out.rank; i++)
        as_fail(AS_FAILED, "%s: repeated steps give (batch, time, width) only", l->path);
    for (int i = 0; i < l->n_states; i++) {
        ptrdiff_t dims[AS_MAX_RANK], n = layer_state_dims(&l->state[i], batch, dims);

        f->state[i] = as_arena_zero(a, as_size((size_t)n, sizeof(real)));
        for (ptrdiff_t j = 0; l->state[i].init.spread == AS_CONSTANT && j < n; j++)
            f->state[i][j] = (real)l->state[i].init.a;
    }
    c.state = f->state;
    c.x = (const real *const *)x;
    c.y = y;
    for (ptrdiff_t s = 0; s < time; s++) {
        c.position = s;
        for (int p = 0; p < c.n_in; p++)
            for (ptrdiff_t b = 0; b < batch; b++)
                memcpy(x[p] + b * size_in[p], f->x[p] + (b * time + s) * size_in[p], (size_t)size_in[p] * sizeof(real));
        impl->step(&c);
        for (ptrdiff_t b = 0; b < batch; b++)
            memcpy(f->call.y + (b * time + s) * size_out, y + b * size_out, (size_t)size_out * sizeof(real));
    }
}

struct as_node *layer_call(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
                           struct as_node *const *in)
{
    struct frame *f = new_frame(l, t, training, key, n_in, in);
    struct as_node *y = new_output(t, f, in[0]), *wanted[6] = { 0 };
    struct as_note *note = NULL;
    size_t mark;

    for (int i = 0; i < n_in && i < 5; i++)
        wanted[i] = in[i];
    for (int i = 0; i < l->n_weights && !wanted[5]; i++)
        wanted[5] = l->weight[i].node.wants ? &l->weight[i].node : NULL;
    note = as_note_new(t, back_impl, y, 6, wanted);
    f->call.y = y->x;
    if (note) {
        note->saved = f;
        take_saved(f, t, l->impl);
    }
    mark = as_arena_mark(as_tape_arena(t));
    take_scratch(f, t, l->impl, note != NULL);
    if (l->impl->forward) {
        f->call.count = l->impl->counts ? l->count : NULL;
        l->impl->forward(&f->call);
    } else
        repeat_steps(f, t, l->impl);
    as_arena_reset(as_tape_arena(t), mark);
    return y;
}

struct as_node *layer_step(struct as_layer *l, struct as_tape *t, struct as_key key, int n_in, struct as_node *const *in)
{
    struct frame *f = new_frame(l, t, false, key, n_in, in);
    struct as_node *y = new_output(t, f, in[0]);
    size_t mark;

    if (in[0]->dim[1] != 1)
        as_fail(AS_FAILED, "%s: a streaming step takes one time step, got %td", l->path, in[0]->dim[1]);
    for (int i = 0; i < l->n_states; i++)
        f->state[i] = l->state[i].value;
    f->call.state = f->state;
    f->call.y = y->x;
    mark = as_arena_mark(as_tape_arena(t));
    take_scratch(f, t, l->stepper, false);
    l->stepper->step(&f->call);
    as_arena_reset(as_tape_arena(t), mark);
    return y;
}

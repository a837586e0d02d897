/* layer_run.c: one layer on nodes, by its graph or by the implementation that was chosen; weights' gradients. */
#include "layer.h"

#include <string.h>

static struct as_spec spec_of(const struct as_node *a)
{
    struct as_spec s = { .dtype = a->dtype, .rank = a->rank };

    memcpy(s.dim, a->dim, sizeof s.dim);
    return s;
}

/* --- what graph() may call -------------------------------------------------------------------------------- */

struct as_node *as_w(struct as_graph *g, int place)
{
    struct as_layer *l = (struct as_layer *)g->layer;

    if (place < 0 || place >= l->n_weights || !l->weight[place].used)
        as_fail(AS_FAILED, "%s: weight %d was never planned", l->path, place);
    return &l->weight[place].node;
}

static struct as_layer *child_at(const struct as_graph *g, int slot, int copy)
{
    for (int i = 0; i < g->layer->n_children; i++)
        if (g->layer->child[i].slot == slot && g->layer->child[i].copy == copy)
            return g->layer->child[i].layer;
    as_fail(AS_FAILED, "%s: slot '%s' copy %d was never planned", g->layer->path, g->layer->variant->slots[slot].name,
            copy);
}

bool as_has_child(const struct as_graph *g, int slot, int copy)
{
    for (int i = 0; i < g->layer->n_children; i++)
        if (g->layer->child[i].slot == slot && g->layer->child[i].copy == copy)
            return g->layer->child[i].layer != NULL;
    return false;
}

struct as_node *as_child_ports(struct as_graph *g, int slot, int copy, int n_in, struct as_node *const *in)
{
    struct as_layer *child = child_at(g, slot, copy);

    return child ? layer_run(child, g->t, g->training, g->key, n_in, in) : in[0];
}

struct as_node *as_child(struct as_graph *g, int slot, int copy, struct as_node *x)
{
    return as_child_ports(g, slot, copy, 1, &x);
}

static void keep(struct extra *list, int *n, const char *what, const char *name, struct as_node *value)
{
    if (*n == 8)
        as_fail(AS_FAILED, "more than 8 %s in one pass", what);
    strncpy(list[*n].name, name, sizeof list->name - 1);
    list[(*n)++].node = value;
}

void as_extra_output(struct as_graph *g, const char *name, struct as_node *value)
{
    keep(g->layer->model->output, &g->layer->model->n_outputs, "extra outputs", name, value);
}

/* Layers repeat along the depth: losses of one name are added up. */
void as_auxiliary(struct as_graph *g, const char *name, struct as_node *loss)
{
    struct as_model *m = g->layer->model;

    for (int i = 0; i < m->n_losses; i++)
        if (strcmp(m->loss[i].name, name) == 0) {
            m->loss[i].node = as_add(g->t, m->loss[i].node, loss);
            return;
        }
    keep(m->loss, &m->n_losses, "auxiliary losses", name, loss);
}

struct as_node *model_extra_loss(struct as_model *m, const char *name)
{
    for (int i = 0; i < m->n_losses; i++)
        if (strcmp(m->loss[i].name, name) == 0)
            return m->loss[i].node;
    return NULL;
}

struct as_node *model_extra_output(struct as_model *m, const char *name)
{
    for (int i = 0; i < m->n_outputs; i++)
        if (strcmp(m->output[i].name, name) == 0)
            return m->output[i].node;
    return NULL;
}

static struct state_slot *state_at(const struct as_graph *g, int place)
{
    if (!g->streaming || place < 0 || place >= g->layer->n_states || !g->layer->state[place].used)
        as_fail(AS_FAILED, "%s: state %d is not there", g->layer->path, place);
    return (struct state_slot *)&g->layer->state[place];
}

/* The sizes of a state with the batch filled in, from the layer's first input. */
static ptrdiff_t state_dims(const struct state_slot *s, ptrdiff_t batch, ptrdiff_t *dims)
{
    ptrdiff_t n = batch;

    dims[0] = batch;
    for (int i = 1; i < s->rank; i++)
        n *= dims[i] = s->dim[i];
    return n;
}

struct as_node *as_graph_state(struct as_graph *g, int place)
{
    struct state_slot *s = state_at(g, place);
    ptrdiff_t dims[AS_MAX_RANK], n = state_dims(s, g->in[0]->dim[0], dims);

    if (!g->layer->model->learning)
        return as_node_wrap(g->t, s->rank, dims, s->value, NULL);
    if (!s->node) {                  /* a copy: the way back reads it when the state has gone on */
        s->node = as_node_new(g->t, s->rank, dims);
        memcpy(s->node->x, s->value, (size_t)n * sizeof(real));
    }
    return s->node;
}

void as_graph_state_set(struct as_graph *g, int place, struct as_node *value)
{
    struct state_slot *s = state_at(g, place);
    ptrdiff_t dims[AS_MAX_RANK], n = state_dims(s, g->in[0]->dim[0], dims);

    if (as_node_size(value) != n)
        as_fail(AS_FAILED, "%s: state '%s' has %td numbers and was set to %td", g->layer->path, s->name, n,
                as_node_size(value));
    memmove(s->value, value->x, (size_t)n * sizeof(real));
    s->set = true;
    if (g->layer->model->learning)
        s->node = as_tape_recording(g->t) ? as_reshape(g->t, value, s->rank, dims) : NULL;
}

real *as_graph_statistic(struct as_graph *g, int place) { return as_w(g, place)->x; }

ptrdiff_t as_graph_position(const struct as_graph *g) { return g->streaming ? g->layer->model->position : 0; }

/* --- running ---------------------------------------------------------------------------------------------- */

/* A graph that leaves no state starts afresh at each step: learning piece by piece would learn another layer. */
static struct as_node *go_on(struct as_layer *l, struct as_graph *g, struct as_node *x)
{
    struct as_node *y;
    bool set = false;

    for (int i = 0; i < l->n_states; i++)
        l->state[i].set = false;
    y = l->variant->graph(g, x);
    for (int i = 0; i < l->n_states; i++)
        set = set || l->state[i].set;
    if (!set)
        as_fail(AS_REFUSED, "%s (%s/%s): its graph does not go on from a state, so it cannot be learnt piece by piece; "
                            "use a rule that takes whole sequences, or a mixer with such a graph (elstm)", l->path,
                l->entry->family, l->entry->name);
    return y;
}

static struct as_node *run_graph(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
                                 struct as_node *const *in)
{
    struct as_graph g = { .t = t, .opt = l->opt, .in = in, .n_in = n_in, .training = training,
                          .streaming = l->model->streaming, .key = key, .layer = l };

    if (!l->variant->graph)
        as_fail(AS_FAILED, "%s/%s has neither a graph nor an implementation for this", l->entry->family,
                l->entry->name);
    if (!l->model->learning || l->n_states == 0)
        return l->variant->graph(&g, in[0]);
    return go_on(l, &g, in[0]);
}

/* All that a call of an implementation points to; lives in the arena from forward to backward. */
struct frame {
    struct as_layer *layer;
    struct as_call call;
    struct as_spec in[AS_MAX_PORTS], out;
    const real *x[AS_MAX_PORTS];
    const int32_t *ix[AS_MAX_PORTS];
    real *dx[AS_MAX_PORTS];
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

static void back_impl(struct as_tape *t, struct as_note *note)
{
    struct frame *f = note->saved;
    struct as_layer *l = f->layer;
    size_t mark;

    for (int i = 0; i < f->call.n_in; i++)
        f->dx[i] = f->node_in[i]->wants ? as_gradient(t, f->node_in[i]) : NULL;
    for (int i = 0; i < l->n_weights; i++)
        f->dw[i] = l->weight[i].node.wants ? l->weight[i].node.dx : NULL;
    f->call.dx = f->dx;
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
        ptrdiff_t dims[AS_MAX_RANK], n = state_dims(&l->state[i], batch, dims);

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

static struct as_node *run_impl(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
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

/* Streaming: x is (batch, 1, ...); implementations see it without the time axis. */
static struct as_node *run_step(struct as_layer *l, struct as_tape *t, struct as_key key, int n_in,
                                struct as_node *const *in)
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

/* Gradient of an implementation that brings none: its forward values, the graph's gradient. */
struct graph_body { struct as_layer *layer; bool training; struct as_key key; };

static struct as_node *graph_body(struct as_tape *t, void *ctx, struct as_node *x)
{
    struct graph_body *b = ctx;

    return run_graph(b->layer, t, b->training, b->key, 1, &x);
}

/* Now, or on the way back, when a piece is recomputed: it must give the same bits then. */
static bool gradients_wanted(struct as_tape *t)
{
    bool on = as_tape_record(t, true);

    as_tape_record(t, on);
    return on;
}

static struct as_node *dispatch(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
                                struct as_node *const *in)
{
    if (l->model->streaming && l->stepper && !l->model->learning && (l->n_states || !l->variant->graph))
        return run_step(l, t, key, n_in, in);
    if (!l->impl || (l->model->streaming && l->n_states))
        return run_graph(l, t, training, key, n_in, in);
    if (!l->impl->backward && gradients_wanted(t)) {
        struct graph_body *b = as_arena_take(as_tape_arena(t), sizeof *b);

        *b = (struct graph_body){ l, training, key };
        if (n_in == 1 && !(l->variant->promises & AS_EXTRAS))
            return as_recompute(t, graph_body, b, in[0]);
        return run_graph(l, t, training, key, n_in, in);
    }
    return run_impl(l, t, training, key, n_in, in);
}

/* Without gradients nothing but the output is needed any more: it moves down to where the call began, and the
 * rest of the arena is free again. Only an output that was made inside the call moves. */
static struct as_node *compact(struct as_tape *t, size_t mark, const char *lo, struct as_node *y)
{
    struct as_arena *a = as_tape_arena(t);
    const char *hi = as_arena_take(a, 1), *at = (const char *)y->x;
    struct as_node old = *y, *new;
    real *kept;

    if ((const char *)y < lo || (const char *)y >= hi || at < lo || at >= hi)
        return y;
    kept = as_arena_keep(a, mark, old.x, as_size((size_t)as_node_size(y), sizeof(real)));
    new = as_node_wrap(t, old.rank, old.dim, kept, NULL);
    new->length = old.length;
    new->wants = old.wants;          /* a piece that will be recomputed still tells who wants a gradient */
    return new;
}

struct as_node *layer_run(struct as_layer *l, struct as_tape *t, bool training, struct as_key key, int n_in,
                          struct as_node *const *in)
{
    size_t mark = as_arena_mark(as_tape_arena(t));
    const char *lo = as_arena_take(as_tape_arena(t), 1);
    struct as_node *y;
    int extras = l->model->n_outputs + l->model->n_losses;

    if (n_in != l->n_in)
        as_fail(AS_FAILED, "%s takes %d inputs and was given %d", l->path, l->n_in, n_in);
    y = dispatch(l, t, training, as_subkey(key, l->tag), n_in, in);
    if (!as_tape_recording(t) && y->dtype == AS_REALS && extras == l->model->n_outputs + l->model->n_losses)
        y = compact(t, mark, lo, y);
    return y;
}

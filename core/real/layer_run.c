/* layer_run.c: one layer on nodes, by its graph or by the implementation that was chosen; weights' gradients. */
#include "layer.h"

#include <string.h>

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

ptrdiff_t layer_state_dims(const struct state_slot *s, ptrdiff_t batch, ptrdiff_t *dims)
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
    ptrdiff_t dims[AS_MAX_RANK], n = layer_state_dims(s, g->in[0]->dim[0], dims);

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
    ptrdiff_t dims[AS_MAX_RANK], n = layer_state_dims(s, g->in[0]->dim[0], dims);

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
        return layer_step(l, t, key, n_in, in);
    if (!l->impl || (l->model->streaming && l->n_states))
        return run_graph(l, t, training, key, n_in, in);
    if (!l->impl->backward && gradients_wanted(t)) {
        struct graph_body *b = as_arena_take(as_tape_arena(t), sizeof *b);

        *b = (struct graph_body){ l, training, key };
        if (n_in == 1 && !(l->variant->promises & AS_EXTRAS))
            return as_recompute(t, graph_body, b, in[0]);
        return run_graph(l, t, training, key, n_in, in);
    }
    return layer_call(l, t, training, key, n_in, in);
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

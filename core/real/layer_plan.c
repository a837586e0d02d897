/* layer_plan.c: from configuration to layers: options, checks, weights, children, choice of implementation. */
#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (!p)
        as_fail(AS_NO_MEMORY, "out of memory while planning the model");
    return p;
}

static void name_into(char *out, size_t n, const char *head, const char *tail)
{
    int used = head[0] ? snprintf(out, n, "%s.%s", head, tail) : snprintf(out, n, "%s", tail);

    if (used < 0 || (size_t)used >= n)
        as_fail(AS_REFUSED, "the name '%s.%s' is longer than %zu characters", head, tail, n - 1);
}

static ptrdiff_t product(int rank, const ptrdiff_t *dims)
{
    size_t n = 1;

    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0)
            as_fail(AS_FAILED, "a weight has a size that is not known when it is planned");
        n = as_size(n, (size_t)dims[i]);
    }
    return (ptrdiff_t)n;
}

static void declare(struct as_plan *p, int place, const char *name, enum as_kind kind, struct as_init init, int rank,
                    const ptrdiff_t *dims, bool statistic)
{
    struct as_layer *l = p->layer;
    struct weight_slot *w;

    if (place < 0 || place >= AS_MAX_WEIGHTS)
        as_fail(AS_FAILED, "%s: weight '%s' has place %d, allowed are 0..%d", l->path, name, place, AS_MAX_WEIGHTS - 1);
    w = &l->weight[place];
    if (w->used)
        as_fail(AS_FAILED, "%s: place %d is declared twice ('%s' and '%s')", l->path, place, w->name, name);
    name_into(w->name, sizeof w->name, l->path, name);
    w->used = true;
    w->statistic = statistic;
    w->kind = kind;
    w->init = init;
    w->at = l->model->n_store;
    w->node.dtype = AS_REALS;
    w->node.rank = rank;
    memcpy(w->node.dim, dims, (size_t)rank * sizeof *dims);
    l->model->n_store += product(rank, dims);
    if (place >= l->n_weights)
        l->n_weights = place + 1;
}

void as_weight(struct as_plan *p, int place, const char *name, enum as_kind kind, struct as_init init, int rank,
               const ptrdiff_t *dims)
{
    declare(p, place, name, kind, init, rank, dims, false);
}

void as_statistic(struct as_plan *p, int place, const char *name, struct as_init init, int rank,
                  const ptrdiff_t *dims)
{
    declare(p, place, name, AS_GAIN, init, rank, dims, true);
}

void as_state(struct as_plan *p, int place, const char *name, struct as_init init, int rank, const ptrdiff_t *dims)
{
    struct as_layer *l = p->layer;
    struct state_slot *s;

    if (place < 0 || place >= AS_MAX_STATES || l->state[place].used)
        as_fail(AS_FAILED, "%s: state '%s' has a bad or repeated place %d", l->path, name, place);
    if (rank < 1 || dims[0] != AS_ANY)
        as_fail(AS_FAILED, "%s: the first size of state '%s' must be AS_ANY, the batch", l->path, name);
    s = &l->state[place];
    s->used = true;
    s->init = init;
    s->rank = rank;
    snprintf(s->name, sizeof s->name, "%s", name);
    memcpy(s->dim, dims, (size_t)rank * sizeof *dims);
    if (place >= l->n_states)
        l->n_states = place + 1;
}

void as_output(struct as_plan *p, int port, int rank, const ptrdiff_t *dims)
{
    struct as_spec *out = &p->layer->out;

    if (port != 0)
        as_fail(AS_FAILED, "%s: further outputs are named with as_extra_output()", p->layer->path);
    memset(out, 0, sizeof *out);
    out->dtype = AS_REALS;
    out->rank = rank;
    memcpy(out->dim, dims, (size_t)rank * sizeof *dims);
}

_Noreturn void as_plan_refuse(struct as_plan *p, const char *why)
{
    as_fail(AS_REFUSED, "%s (%s/%s): %s", p->layer->path[0] ? p->layer->path : "model", p->layer->entry->family,
            p->layer->entry->name, why);
}

const struct as_spec *as_plan_child(struct as_plan *p, int slot, int copy, int n_in, const struct as_spec *in)
{
    struct as_layer *l = p->layer, *child;
    const struct as_slot *s = &l->variant->slots[slot];
    bool flat = (l->variant->promises & AS_FLAT) != 0;
    char key[AS_PATH], path[AS_PATH], leaf[64];

    if (l->n_children == AS_MAX_CHILDREN)
        as_fail(AS_REFUSED, "%s has more than %d children", l->path, AS_MAX_CHILDREN);
    name_into(key, sizeof key, flat ? "" : l->key, s->name);
    if (copy >= 0 && (l->key[0] == '\0'))
        snprintf(leaf, sizeof leaf, "%s%d", s->name, copy);
    else
        snprintf(leaf, sizeof leaf, copy ? "%s%d" : "%s", s->name, copy);
    name_into(path, sizeof path, l->path, leaf);
    child = layer_build(l->model, key, s->def, path, n_in, in);
    l->child[l->n_children++] = (struct child_slot){ slot, copy, child };
    return child ? &child->out : NULL;
}

/* Options of this layer, and its place in the configuration. */
static void read_options(struct as_layer *l)
{
    const struct as_variant *v = l->variant;
    const char *why;

    l->opt = must(calloc(1, v->opt_size ? v->opt_size : 1));
    if (!v->options)
        return;
    why = as_options_read(v->options, l->opt, v->opt_size, l->model->cfg, l->key);
    if (why)
        as_fail(AS_REFUSED, "%s", why);
}

static const char *cannot(const struct as_layer *l, const struct as_impl *impl)
{
    return impl->can ? impl->can(l->opt, l->n_in, l->in) : NULL;
}

static bool by_default(const struct as_impl *impl, const struct as_variant *v)
{
    return impl->rank >= 0 && impl->forward && (impl->backward || v->graph);
}

/* The default is the first by rank that can (below 0: never, if there is a graph); `KEY.impl` forces one, and a forced one that cannot stops here. */
static void choose(struct as_layer *l)
{
    struct as_choice choice[32];
    int n = as_registry_impls(l->entry, choice, 32);
    char key[AS_PATH], list[512] = "";
    const char *want, *why;

    for (int i = 0; i < n && !l->stepper; i++)
        if (choice[i].impl->step && !cannot(l, choice[i].impl))
            l->stepper = choice[i].impl;
    if (n == 0)
        return;
    name_into(key, sizeof key, l->key, "impl");
    want = as_config_word(l->model->cfg, key, "auto");
    for (int i = 0; i < n; i++) {
        const struct as_impl *impl = choice[i].impl;
        bool named = strcmp(want, impl->name) == 0;

        strncat(list, impl->name, sizeof list - strlen(list) - 3);
        strncat(list, ", ", sizeof list - strlen(list) - 1);
        if (!named && (strcmp(want, "auto") != 0 || !by_default(impl, l->variant)))
            continue;
        why = cannot(l, impl);
        if (named && why)
            as_fail(AS_REFUSED, "%s = %s cannot be used here: %s", key, want, why);
        if (named && !impl->forward && !l->variant->graph && !impl->step)
            as_fail(AS_REFUSED, "%s = %s has no forward pass", key, want);
        if (!why) {
            l->impl = impl;
            as_config_set(l->model->cfg, key, impl->name, named);
            as_config_get(l->model->cfg, key);
            return;
        }
    }
    if (l->variant->graph && (strcmp(want, "auto") == 0 || strcmp(want, "graph") == 0)) {
        as_config_set(l->model->cfg, key, "graph", false);
        as_config_get(l->model->cfg, key);
        return;
    }
    if (strcmp(want, "auto") == 0)
        as_fail(AS_REFUSED, "%s/%s: none of its implementations can do this shape", l->entry->family, l->entry->name);
    as_fail(AS_REFUSED, "%s = %s: there is no such implementation of %s; there are %sgraph", key, want, l->entry->name,
            list);
}

static void remember(struct as_model *m, struct as_layer *l)
{
    if (m->n_layers == m->room_layers) {
        m->room_layers = m->room_layers ? 2 * m->room_layers : 32;
        m->layer = must(realloc(m->layer, (size_t)m->room_layers * sizeof *m->layer));
    }
    m->layer[m->n_layers++] = l;
}

struct as_layer *layer_build(struct as_model *m, const char *key, const char *def, const char *path, int n_in,
                             const struct as_spec *in)
{
    const char *name = as_config_word(m->cfg, key[0] ? key : "model", def ? def : ""), *nearest, *why;
    struct as_layer *l;
    struct as_plan plan;

    if (!name[0])
        as_fail(AS_REFUSED, "nothing says what '%s' is; add '%s = NAME' (see: assay list layers)", key, key);
    if (strcmp(name, "none") == 0)
        return NULL;
    l = must(calloc(1, sizeof *l));
    remember(m, l);
    l->entry = as_registry_find("layer", name, &nearest);
    if (!l->entry)
        as_fail(AS_REFUSED, "%s = %s: there is no such layer%s%s", key[0] ? key : "model", name,
                nearest ? "; nearest is " : " (see: assay list layers)", nearest ? nearest : "");
    l->variant = l->entry->plugin->variant;
    l->model = m;
    snprintf(l->path, sizeof l->path, "%s", path);
    snprintf(l->key, sizeof l->key, "%s", key);
    l->tag = as_hash(path);
    l->n_in = n_in;
    memcpy(l->in, in, (size_t)n_in * sizeof *in);
    l->out = in[0];
    l->out.dtype = AS_REALS;
    read_options(l);
    why = l->variant->check ? l->variant->check(l->opt, n_in, in) : NULL;
    if (why)
        as_fail(AS_REFUSED, "%s = %s: %s", key[0] ? key : "model", name, why);
    plan = (struct as_plan){ .opt = l->opt, .in = l->in, .n_in = n_in, .max_time = m->data.max_length,
                             .classes = m->data.classes, .layer = l };
    if (l->variant->plan)
        l->variant->plan(&plan);
    choose(l);
    return l;
}

void layer_free(struct as_layer *l)
{
    if (!l)
        return;
    free(l->opt);
    free(l);
}

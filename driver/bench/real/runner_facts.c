/* runner_facts.c: what is known of a runner: its parts' sizes, and the operations of one run. */
#include "runner_private.h"

#include <stdio.h>
#include <string.h>

static void add_tolerance(const struct as_layer *l, double *widest)
{
    double t = l->impl ? l->impl->tolerance : l->variant->graph_tolerance;
    if (t > *widest)
        *widest = t;
    for (int i = 0; i < l->n_children; i++)
        if (l->child[i].layer)
            add_tolerance(l->child[i].layer, widest);
}

static double states(const struct as_layer *l)
{
    double all = 0;
    for (int j = 0; j < l->n_states; j++) {
        double n = l->state[j].used ? 1 : 0;
        for (int k = 1; k < l->state[j].rank; k++)
            n *= (double)l->state[j].dim[k];
        all += n;
    }
    for (int i = 0; i < l->n_children; i++)
        if (l->child[i].layer)
            all += states(l->child[i].layer);
    return all;
}

static double weights(const struct as_layer *l)
{
    double n = 0;
    for (int j = 0; j < l->n_weights; j++)
        if (l->weight[j].used)
            n += (double)as_node_size(&l->weight[j].node);
    for (int i = 0; i < l->n_children; i++)
        if (l->child[i].layer)
            n += weights(l->child[i].layer);
    return n;
}

/* What of a layer runs; NULL: its graph, as where gradients are wanted of a form that has none. */
static const struct as_impl *impl_of(const struct runner *r, const struct as_layer *l)
{
    return r->ask.mode == RUN_STEP ? l->stepper : r->ask.mode == RUN_TRAIN && l->impl && !l->impl->backward ? NULL : l->impl;
}

/* The form that runs layer number i and counts its products itself, or NULL. */
static const struct as_impl *counts_itself(const struct runner *r, int i)
{
    const struct as_impl *impl = impl_of(r, r->m->layer[i]);
    bool runs = r->l == r->m->layer[i] || r->l == r->m->root;

    return runs && impl && impl->flop && r->ask.mode != RUN_STEP ? impl : NULL;
}

struct runner_facts runner_describe(const struct runner *r)
{
    struct runner_facts f = { .has_core = r->has_core, .costed = r->l->variant->cost != NULL, .out = (double)r->n_out };
    const struct as_layer *l = r->l;
    const struct as_impl *impl;

    snprintf(f.name, sizeof f.name, "%s/%s", l->entry->family, l->entry->name);
    for (int i = 0; i < l->n_children; i++)          /* a layer around a core is told apart by its core's */
        if (r->has_core && l == r->m->root && strcmp(l->variant->slots[l->child[i].slot].name, "core") == 0)
            l = l->child[i].layer;
    impl = impl_of(r, l);
    for (int i = 0; i < r->m->n_layers; i++)
        f.counted = f.counted || counts_itself(r, i);
    snprintf(f.impl, sizeof f.impl, "%s", impl ? impl->name : "graph");
    for (int p = 0; p < r->n_in; p++)
        f.in += (double)r->size[p];
    f.weights = weights(r->l);
    f.state = states(r->l);
    f.memory = (double)as_arena_peak(as_tape_arena(r->t));
    if (r->m->state_arena)
        f.memory += (double)as_arena_peak(r->m->state_arena);
    add_tolerance(r->l, &f.tolerance);
    return f;
}

/* Forward passes that a run is taken for. */
static double passes(const struct runner *r) { return r->ask.mode == RUN_TRAIN ? 3 : 1; }

double runner_useful(const struct runner *r, ptrdiff_t batch, ptrdiff_t time)
{
    double flop = r->l == r->m->root ? as_model_measure(r->m, time).flop : layer_flop(r->l, time);

    return passes(r) * flop * (double)batch;
}

/* What the forms that run make more, or less, than the variants count: of all layers, or of the core alone. */
double runner_flop(const struct runner *r, ptrdiff_t batch, ptrdiff_t time)
{
    double flop = runner_useful(r, batch, time);

    for (int i = 0; i < r->m->n_layers; i++) {
        const struct as_layer *l = r->m->layer[i];
        const struct as_impl *impl = counts_itself(r, i);
        struct as_spec in[AS_MAX_PORTS];

        if (!impl)
            continue;
        layer_sizes(l, batch, time, in);
        flop += impl->flop(l->opt, l->n_in, in, r->ask.mode == RUN_TRAIN) - passes(r) * layer_flop(l, time) * (double)batch;
    }
    return flop;
}

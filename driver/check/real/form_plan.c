/* form_plan.c: planning a form (form.h) without running it, and its initial weights. */
#include "form_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A layer without implementations knows no key `impl`; and one whose only ones are kernels has none in double. */
static bool has_key(const struct form *f)
{
    const struct as_entry *e = as_registry_find("layer", f->variant, NULL);
    struct as_choice choice[1];

    return strcmp(f->impl, "graph") != 0 || !e || as_registry_impls(e, choice, 1) > 0;
}

void form_configure(struct as_config *cfg, const struct form *f)
{
    as_config_set(cfg, "model", f->variant, true);
    if (f->impl && has_key(f))
        as_config_set(cfg, "impl", f->impl, true);
    for (int i = 0; i < FORM_OPTIONS && f->options[i]; i++) {
        char key[64];
        const char *eq = strchr(f->options[i], '=');

        snprintf(key, sizeof key, "%.*s", (int)(eq - f->options[i]), f->options[i]);
        as_config_set(cfg, key, eq + 1, true);
    }
}

struct planning { const struct form *f; struct form_layout *out; struct as_config *cfg; struct as_model *m; };

static void note_weights(struct form_layout *out, const struct as_layer *l)
{
    for (int j = 0; j < l->n_weights + l->n_states && out->n < FORM_PARTS; j++) {
        bool state = j >= l->n_weights;
        const struct weight_slot *w = state ? NULL : &l->weight[j];
        const struct state_slot *s = state ? &l->state[j - l->n_weights] : NULL;
        struct form_weight *o = &out->weight[out->n];

        if (state ? !s->used : !w->used)
            continue;
        out->n++;
        snprintf(o->name, sizeof o->name, "%.63s", state ? s->name : w->name);
        o->kind = state ? AS_GAIN : w->kind;
        o->init = state ? s->init : w->init;
        o->rank = state ? s->rank : w->node.rank;
        memcpy(o->dim, state ? s->dim : w->node.dim, sizeof o->dim);
        o->statistic = !state && w->statistic;
        o->state = state;
        o->at = state ? 0 : w->at;
    }
}

static void plan_body(void *ctx)
{
    struct planning *p = ctx;
    struct as_data_shape shape = form_shape(p->f);
    struct as_spec in[FORM_PORTS] = { { 0 } };

    form_configure(p->cfg, p->f);
    p->m->cfg = p->cfg;
    p->m->data = shape;
    for (int i = 0; i < p->f->n_in; i++) {
        in[i] = (struct as_spec){ .dtype = p->f->in[i].vocab ? AS_INTS : AS_REALS, .rank = p->f->in[i].rank + 2,
                                  .dim = { AS_ANY, AS_ANY }, .vocab = p->f->in[i].vocab };
        for (int j = 0; j < p->f->in[i].rank; j++)
            in[i].dim[j + 2] = p->f->in[i].dim[j];
    }
    p->m->root = layer_build(p->m, "", p->f->variant, "", p->f->n_in, in);
    p->out->promises = ~0u;
    for (int i = 0; i < p->m->n_layers; i++) {
        const struct as_variant *v = p->m->layer[i]->variant;

        if (!(v->promises & AS_FLAT))
            p->out->promises &= v->promises;
        p->out->draws = p->out->draws || v->promises & AS_DRAWS;
        note_weights(p->out, p->m->layer[i]);
        if (p->out->n_keys < 32)
            snprintf(p->out->key[p->out->n_keys++], sizeof p->out->key[0], "%.63s", p->m->layer[i]->key);
    }
    p->out->store = p->m->n_store;
    p->out->out = p->m->root->out;
    p->out->children = p->m->n_layers - 1;
    snprintf(p->out->impl, sizeof p->out->impl, "%s", p->m->root->impl ? p->m->root->impl->name : "graph");
}

struct form_layout form_plan(const struct form *f)
{
    struct form_layout out = { .n = 0 };
    struct planning p = { f, &out, as_config_new(), calloc(1, sizeof *p.m) };
    enum as_failure what;

    if (!p.m)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    what = as_try(plan_body, &p);
    if (what != AS_OK)
        snprintf(out.why, sizeof out.why, "%s", as_failure_text());
    out.refused = what == AS_REFUSED;
    as_model_free(p.m);
    as_config_free(p.cfg);
    return out;
}

struct drawing { const struct form *f; struct as_config *cfg; struct as_model *m; };

static void draw_body(void *ctx)
{
    struct drawing *d = ctx;
    struct as_data_shape s = form_shape(d->f);

    form_configure(d->cfg, d->f);
    d->m = as_model_new(d->cfg, &s, d->f->seed);
}

double *form_weights(const struct form *f, ptrdiff_t *n)
{
    struct drawing d = { f, as_config_new(), NULL };
    double *w = NULL;

    if (as_try(draw_body, &d) == AS_OK) {
        struct as_weights store = as_model_store(d.m);

        *n = store.n;
        w = malloc((size_t)(store.n + 1) * sizeof *w);
        for (ptrdiff_t i = 0; w && i < store.n; i++)
            w[i] = (double)store.w[i];
        as_model_free(d.m);
    }
    as_config_free(d.cfg);
    return w;
}

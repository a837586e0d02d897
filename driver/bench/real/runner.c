/* runner.c: see runner.h. The gradient that comes in from above is given, as a caller of a framework's backward pass
 * gives it: no loss is computed. */
#include "runner_private.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool has_option(const struct as_variant *v, const char *key)
{
    for (const struct as_option *o = v->options; o && o->key; o++)
        if (strcmp(o->key, key) == 0)
            return true;
    return false;
}

static int core_slot(const struct as_variant *v)
{
    for (int i = 0; v->slots && v->slots[i].name; i++)
        if (strcmp(v->slots[i].name, "core") == 0)
            return i;
    return -1;
}

static const struct as_variant *find(const char *name)
{
    const char *nearest;
    const struct as_entry *e = as_registry_find("layer", name, &nearest);

    if (!e)
        as_fail(AS_REFUSED, "there is no layer %s%s%s%s", name, nearest ? ": did you mean " : "; `assay list layers` shows all",
                nearest ? nearest : "", nearest ? "?" : "");
    return e->plugin->variant;
}

static void configure(struct runner *r, const struct as_variant *v)
{
    const struct runner_ask *a = &r->ask;
    char key[96];

    as_config_set(r->cfg, "model", a->layer, true);
    if (a->heads && has_option(v, "heads"))
        as_config_set(r->cfg, "heads", as_say("%d", a->heads), true);
    if (a->impl)
        as_config_set(r->cfg, core_slot(v) >= 0 ? "core.impl" : "impl", a->impl, true);
    for (int i = 0; i < a->n_set; i++) {
        const char *eq = strchr(a->set[i], '=');

        if (!eq || eq == a->set[i] || (size_t)(eq - a->set[i]) >= sizeof key)
            as_fail(AS_REFUSED, "%s is no KEY=VALUE", a->set[i]);
        snprintf(key, sizeof key, "%.*s", (int)(eq - a->set[i]), a->set[i]);
        as_config_set(r->cfg, key, eq + 1, true);
    }
}

/* The sizes behind (batch, time) of an input port of a layer that is run by itself: its sample says what they mean. A
 * pair is heads and the width of a head; a single number that equals the sample's heads is one a head; else the width. */
static void port_dims(const struct runner *r, const struct as_variant *v, int port, struct as_data_field *f)
{
    const struct as_sample *s = &v->samples[port];
    ptrdiff_t heads = r->ask.heads ? r->ask.heads : 1, per_head = -1;

    for (int i = 0; v->ports[i]; i++)
        if (v->samples[i].rank == 2)
            per_head = v->samples[i].dim[0];
    if (per_head > 0 && r->ask.width % heads != 0)
        as_fail(AS_REFUSED, "the width %td cannot be cut into %td heads", r->ask.width, heads);
    f->rank = s->rank + 1;
    f->dim[0] = AS_TIME;
    f->integer = s->vocab > 0;
    f->vocab = s->vocab;
    if (s->rank == 1)
        f->dim[1] = per_head > 0 && s->dim[0] == per_head ? heads : r->ask.width;
    else if (s->rank == 2) {
        f->dim[1] = heads;
        f->dim[2] = r->ask.width / heads;
    } else if (s->rank > 2)
        as_fail(AS_REFUSED, "%s reads fields that a benchmark cannot make", v->ports[port]);
}

static struct as_data_shape shape(const struct runner *r, const struct as_variant *v)
{
    const struct runner_ask *a = &r->ask;
    struct as_data_shape s = { .n_fields = 1, .max_length = a->room > a->time ? a->room : a->time, .classes = a->vocab };

    s.field[0] = (struct as_data_field){ .name = "x", .rank = a->vocab ? 1 : 2, .dim = { AS_TIME, a->width },
                                         .integer = a->vocab > 0, .vocab = a->vocab };
    for (int i = 0; v->ports && v->ports[i]; i++) {
        s.n_fields = i;
        if (!v->samples)
            as_fail(AS_REFUSED, "%s does not say what its inputs look like (samples)", a->layer);
        if (v->samples[i].optional)
            break;
        s.field[i] = (struct as_data_field){ .name = v->ports[i] };
        port_dims(r, v, i, &s.field[i]);
        s.n_fields = i + 1;
    }
    return s;
}

static double jittered(const struct runner *r, double x, uint64_t place)
{
    struct as_key key = { r->ask.draw, AS_ROLE_TEST_HARNESS, 77 };

    return r->ask.jitter > 0 ? x * (1 + r->ask.jitter * (2 * (double)as_uniform(key, place) - 1)) : x;
}

/* One number of an input, drawn in float. Keys and values keep the length that the sample gives them, at any width. */
static float drawn(const struct as_sample *s, const struct as_spec *in, struct as_key key, uint64_t at)
{
    double sd = s && s->sd > 0 ? s->sd : 1;

    if (s && (s->lo < 0 || s->lo > 0 || s->hi > 0 || s->hi < 0))
        return (float)(s->lo + (s->hi - s->lo) * (double)as_uniform(key, at));
    if (s && s->rank == 2)
        sd *= sqrt((double)s->dim[1] / (double)in->dim[3]);
    return (float)(sd * (double)as_normal(key, at));
}

static void make_input(struct runner *r, int p)
{
    const struct as_sample *s = r->l->variant->ports && r->l->variant->samples ? &r->l->variant->samples[p] : NULL;
    struct as_key key = { r->ask.seed, AS_ROLE_TEST_HARNESS, (uint64_t)p };
    ptrdiff_t unit = 1, batch = r->ask.batch, time = r->ask.time;
    struct as_spec *in = &r->in[p];

    *in = r->l->in[p];
    in->dim[0] = batch;
    if (in->rank > 1)
        in->dim[1] = r->ask.mode == RUN_STEP ? 1 : time;
    for (int i = 2; i < in->rank; i++)
        unit *= in->dim[i];
    r->size[p] = batch * in->dim[1] * unit;
    if (in->dtype == AS_INTS)
        r->ix[p] = as_arena_take(r->a, as_size((size_t)(batch * time * unit), sizeof(int32_t)));
    else
        r->x[p] = as_arena_take(r->a, as_size((size_t)(batch * time * unit), sizeof(real)));
    for (ptrdiff_t b = 0; b < batch; b++)
        for (ptrdiff_t t = 0; t < time; t++)
            for (ptrdiff_t j = 0; j < unit; j++) {
                ptrdiff_t from = (b * time + t) * unit + j, to = r->ask.mode == RUN_STEP ? (t * batch + b) * unit + j : from;

                if (in->dtype == AS_INTS)
                    r->ix[p][to] = (int32_t)as_below(key, (uint64_t)from, (uint32_t)in->vocab);
                else
                    r->x[p][to] = (real)jittered(r, (double)drawn(s, in, key, (uint64_t)from),
                                                 (uint64_t)p * 1000000007u + (uint64_t)from);
            }
}

static void find_target(struct runner *r, const struct as_variant *v)
{
    int slot = core_slot(v);

    r->l = r->m->root;
    for (int i = 0; slot >= 0 && i < r->l->n_children; i++)
        if (r->l->child[i].slot == slot && r->l->child[i].layer) {
            r->has_core = true;
            if (r->ask.core)
                r->l = r->l->child[i].layer;
            return;
        }
}

static void build(void *ctx)
{
    struct runner *r = ctx;
    const struct as_variant *v = find(r->ask.layer);
    struct as_data_shape s = shape(r, v);
    struct as_weights w;

    configure(r, v);
    r->m = as_model_new(r->cfg, &s, r->ask.seed);
    if (as_config_unread(r->cfg))
        as_fail(AS_REFUSED, "%s", as_config_unread(r->cfg));
    find_target(r, v);
    w = as_model_store(r->m);
    for (ptrdiff_t i = 0; i < w.n && r->ask.stirred; i++)
        if (fabs((double)w.w[i] - 0.5) == 0.5)
            w.w[i] += (real)(float)(0.1 * (double)as_normal((struct as_key){ 5, AS_ROLE_TEST_HARNESS, 78 }, (uint64_t)i));
    for (ptrdiff_t i = 0; i < w.n && r->ask.jitter > 0; i++)
        w.w[i] = (real)jittered(r, (double)w.w[i], UINT64_C(900000000000) + (uint64_t)i);
    r->t = as_tape_new();
    r->a = as_arena_new();
    r->n_in = r->l->n_in;
    for (int p = 0; p < r->n_in; p++)
        make_input(r, p);
    as_tape_record(r->t, r->ask.mode == RUN_TRAIN);
    if (r->ask.mode == RUN_STEP)
        as_model_stream(r->m, r->ask.batch);
    runner_go(r);
}

struct runner *runner_new(const struct runner_ask *ask)
{
    struct runner *r = calloc(1, sizeof *r);
    enum as_failure f;
    char why[512];

    if (!r)
        as_fail(AS_NO_MEMORY, "no memory for a benchmark");
    r->ask = *ask;
    r->cfg = as_config_new();
    f = as_try(build, r);
    if (f == AS_OK)
        return r;
    snprintf(why, sizeof why, "%s", as_failure_text());
    runner_free(r);
    as_fail(f, "%s", why);
}

void runner_free(struct runner *r)
{
    if (!r)
        return;
    as_model_free(r->m);
    if (r->t)
        as_tape_free(r->t);
    as_arena_free(r->a);
    as_config_free(r->cfg);
    free(r);
}

/* The gradient from above becomes that of the output without a copy. */
static void from_above(struct as_tape *t, struct as_note *note)
{
    struct runner *r = note->saved;

    (void)t;
    note->in[0]->dx = r->dy;
}

static void draw_gradient(struct runner *r)
{
    struct as_key key = { r->ask.seed, AS_ROLE_TEST_HARNESS, 99 };

    r->n_out = as_node_size(r->y);
    r->dy = as_arena_take(r->a, as_size((size_t)r->n_out, sizeof(real)));
    for (ptrdiff_t i = 0; i < r->n_out; i++)
        r->dy[i] = (real)as_normal(key, (uint64_t)i);
}

static void back(struct runner *r)
{
    struct as_node *end = as_node_new(r->t, 1, (ptrdiff_t[]){ 1 });
    struct as_note *note = as_note_new(r->t, from_above, end, 1, &r->y);

    end->x[0] = 0;
    if (!r->dy)
        draw_gradient(r);
    if (!note)
        as_fail(AS_REFUSED, "%s has no gradient; use --mode forward", r->ask.layer);
    note->saved = r;
    as_backward(r->t, end, R(1.0));
}

/* The gradients of the layer and of those below it; of a core, those of the core alone. */
static void clear_gradients(struct runner *r)
{
    if (r->l == r->m->root) {
        memset(r->m->gradient, 0, (size_t)r->m->n_store * sizeof(real));
        return;
    }
    for (int j = 0; j < r->l->n_weights; j++)
        if (r->l->weight[j].used && r->l->weight[j].node.dx)
            memset(r->l->weight[j].node.dx, 0, (size_t)as_node_size(&r->l->weight[j].node) * sizeof(real));
}

void runner_go(struct runner *r)
{
    struct as_key key = { r->ask.seed, AS_ROLE_DROPOUT, 0 };
    bool train = r->ask.mode == RUN_TRAIN;
    ptrdiff_t step = r->ask.mode == RUN_STEP ? r->at % r->ask.time : 0;

    as_tape_reset(r->t);
    if (train)
        clear_gradients(r);
    for (int p = 0; p < r->n_in; p++) {
        if (r->in[p].dtype == AS_INTS) {
            r->node[p] = as_node_ints(r->t, r->in[p].rank, r->in[p].dim);
            memcpy(r->node[p]->i, r->ix[p] + step * r->size[p], (size_t)r->size[p] * sizeof(int32_t));
            continue;
        }
        r->node[p] = as_node_wrap(r->t, r->in[p].rank, r->in[p].dim, r->x[p] + step * r->size[p], NULL);
        r->node[p]->wants = train;
    }
    r->m->n_outputs = r->m->n_losses = 0;
    r->y = layer_run(r->l, r->t, train, key, r->n_in, r->node);
    r->n_out = as_node_size(r->y);
    if (train)
        back(r);
    if (r->ask.mode == RUN_STEP) {
        r->at++;
        r->m->position++;
    }
}

/* The weights that part number `part` counts through, in the order of layers. */
static const struct weight_slot *weight_part(const struct runner *r, int part)
{
    for (int i = 0; i < r->m->n_layers; i++) {
        const struct as_layer *l = r->m->layer[i];

        if (r->l != r->m->root && l != r->l)
            continue;
        for (int j = 0; j < l->n_weights; j++)
            if (l->weight[j].used && !l->weight[j].statistic && part-- == 0)
                return &l->weight[j];
    }
    return NULL;
}

size_t runner_part(const struct runner *r, int part, char *name, double *out)
{
    const real *x = r->y->x;
    ptrdiff_t n = r->n_out;

    if (part == 0)
        snprintf(name, 64, "output");
    else if (r->ask.mode != RUN_TRAIN)
        return 0;
    else {
        int p = 0, left = part - 1;

        while (p < r->n_in && (r->in[p].dtype == AS_INTS || left-- > 0))
            p++;
        if (p < r->n_in) {
            snprintf(name, 64, "gradient of %s", r->l->variant->ports ? r->l->variant->ports[p] : "x");
            x = as_gradient(r->t, r->node[p]);
            n = r->size[p];
        } else {
            const struct weight_slot *w = weight_part(r, left);
            if (!w)
                return 0;
            snprintf(name, 64, "gradient of %s", w->name);
            x = w->node.dx;
            n = as_node_size(&w->node);
        }
    }
    for (ptrdiff_t i = 0; out && i < n; i++)
        out[i] = (double)x[i];
    return (size_t)n;
}

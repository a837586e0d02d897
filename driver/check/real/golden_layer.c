/* golden_layer.c: a layer by itself, or a whole model, with the inputs and weights of a file, by each implementation
 * of each layer in it. */
#include "golden.h"

#include "core/real/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run {
    struct golden *g;
    const char *key, *impl;          /* "core.impl", "chunk"; NULL: what the framework chooses */
    bool streamed;
    struct as_config *cfg;
    struct as_model *m;
    struct as_tape *t;
    struct as_node *in[AS_MAX_PORTS];
    const char *port[AS_MAX_PORTS];
    int n_in;
};

/* Ports that may be left out (a decay) are the last ones, and are those that the file has not. */
static void read_inputs(struct run *run, const struct as_variant *v)
{
    static const char *const one[] = { "x", NULL };
    const char *const *port = v->ports ? v->ports : one;
    struct golden *g = run->g;
    int n;

    for (int i = 0; i < AS_MAX_PORTS && port[i] && h5_has(g->file, as_say("input/%s", port[i])); i++) {
        run->port[i] = port[i];
        run->in[i] = golden_node(g, run->t, as_say("input/%s", port[i]));
        run->n_in = i + 1;
    }
    n = golden_count(g, "input");
    if (n != run->n_in || n == 0)
        as_fail(AS_FAILED, "it has %d inputs, and %d of them are the first ports of the layer", n, run->n_in);
}

static void read_lengths(struct run *run)
{
    struct golden_array a;

    if (!h5_has(run->g->file, "length"))
        return;
    a = golden_read(run->g, "length");
    if (a.rank != 1 || a.n != run->in[0]->dim[0])
        as_fail(AS_FAILED, "it has %td lengths for a batch of %td", a.n, run->in[0]->dim[0]);
    for (int i = 0; i < run->n_in; i++)
        run->in[i]->length = a.i;
}

/* Like as_model_new(), which would insist on every port. */
static void build(struct run *run, const struct as_entry *e)
{
    struct as_model *m = run->m = calloc(1, sizeof *m);
    struct as_spec in[AS_MAX_PORTS] = { 0 };
    size_t bytes;

    if (!m)
        as_fail(AS_NO_MEMORY, "out of memory");
    m->cfg = run->cfg;
    m->data.max_length = run->in[0]->dim[1];
    m->data.classes = (ptrdiff_t)h5_read_number(run->g->file, "/", "classes", 0);
    for (int i = 0; i < run->n_in; i++) {
        in[i].dtype = run->in[i]->dtype;
        in[i].rank = run->in[i]->rank;
        memcpy(in[i].dim, run->in[i]->dim, sizeof in[i].dim);
        in[i].dim[0] = in[i].dim[1] = AS_ANY;
        in[i].vocab = (ptrdiff_t)h5_read_number(run->g->file, "/", "vocab", 0);
    }
    m->root = layer_build(m, "", as_say("%s/%s", e->family, e->name), "", run->n_in, in);
    bytes = (as_size((size_t)m->n_store + 1, sizeof(real)) + 63) / 64 * 64;
    m->store = aligned_alloc(64, bytes);
    m->gradient = aligned_alloc(64, bytes);
    if (!m->store || !m->gradient)
        as_fail(AS_NO_MEMORY, "out of memory");
    memset(m->store, 0xff, bytes);                       /* NaN, should one be forgotten */
    memset(m->gradient, 0, bytes);
}

/* The file's weights into the model's slots, by name; none may be missing or left over. */
static void set_weights(struct run *run)
{
    struct golden *g = run->g;
    int expected = 0, n;

    for (int i = 0; i < run->m->n_layers; i++)
        for (int j = 0; j < run->m->layer[i]->n_weights; j++) {
            struct weight_slot *w = &run->m->layer[i]->weight[j];
            struct golden_array a;
            bool fits;

            if (!w->used)
                continue;
            a = golden_read(g, as_say("weight/%s", w->name));
            fits = a.v && a.rank == w->node.rank;
            for (int k = 0; fits && k < a.rank; k++)
                fits = a.dim[k] == w->node.dim[k];
            if (!fits)
                as_fail(AS_FAILED, "weight/%s has other sizes with us", w->name);
            w->node.x = run->m->store + w->at;
            w->node.dx = w->statistic ? NULL : run->m->gradient + w->at;
            w->node.wants = !w->statistic;
            for (ptrdiff_t k = 0; k < a.n; k++)
                w->node.x[k] = (real)a.v[k];
            expected++;
        }
    n = golden_count(g, "weight");
    if (n != expected)
        as_fail(AS_FAILED, "it has %d weights, the layer %d", n, expected);
}

/* What stands in the padding is nobody's business; the file has zeros there. */
static void clear_padding(struct as_node *y, const int32_t *length)
{
    ptrdiff_t row = as_node_size(y) / y->dim[0], step = y->rank > 2 ? row / y->dim[1] : row;

    for (ptrdiff_t b = 0; length && y->rank > 2 && b < y->dim[0]; b++)
        for (ptrdiff_t i = length[b] * step; i < row; i++)
            y->x[b * row + i] = R(0.0);
}

/* Step `s` of x (batch, time, ...), as (batch, 1, ...); the same one always of an input that has but one step. */
static struct as_node *step_of(struct as_tape *t, const struct as_node *x, ptrdiff_t s)
{
    ptrdiff_t dims[AS_MAX_RANK], unit = as_node_size(x) / (x->dim[0] * x->dim[1]);
    struct as_node *one;

    memcpy(dims, x->dim, sizeof dims);
    dims[1] = 1;
    s %= x->dim[1];
    one = x->dtype == AS_INTS ? as_node_ints(t, x->rank, dims) : as_node_new(t, x->rank, dims);
    for (ptrdiff_t b = 0; b < x->dim[0]; b++)
        for (ptrdiff_t i = 0; i < unit; i++)
            if (x->dtype == AS_INTS)
                one->i[b * unit + i] = x->i[(b * x->dim[1] + s) * unit + i];
            else
                one->x[b * unit + i] = x->x[(b * x->dim[1] + s) * unit + i];
    return one;
}

/* The output alone, one step after the other. */
static void stream(struct run *run)
{
    ptrdiff_t batch = run->in[0]->dim[0], time = run->in[0]->dim[1];
    struct golden_array a = golden_read(run->g, "output");
    ptrdiff_t unit = a.n / (batch * time);
    real *all = as_arena_zero(run->g->arena, as_size((size_t)a.n, sizeof *all));

    as_tape_record(run->t, false);
    as_model_stream(run->m, batch);
    for (ptrdiff_t s = 0; s < time; s++) {
        struct as_node *in[AS_MAX_PORTS], *y;

        for (int i = 0; i < run->n_in; i++)
            in[i] = step_of(run->t, run->in[i], s);
        y = as_model_step(run->m, run->t, run->n_in, in);
        if (as_node_size(y) != batch * unit)
            as_fail(AS_FAILED, "a step gives %td numbers, expected %td", as_node_size(y), batch * unit);
        for (ptrdiff_t b = 0; b < batch; b++)
            memcpy(all + (b * time + s) * unit, y->x + b * unit, (size_t)unit * sizeof *all);
    }
    run->g->result.runs++;
    golden_compare(run->g, "output", all, a.rank, a.dim);
}

static void forward_and_back(struct run *run)
{
    struct golden *g = run->g;
    struct as_key none = { 0 };
    struct as_node *y = layer_run(run->m->root, run->t, false, none, run->n_in, run->in);
    struct as_node *cotangent = golden_node(g, run->t, "cotangent");

    cotangent->wants = false;
    if (as_node_size(cotangent) != as_node_size(y))
        as_fail(AS_FAILED, "the cotangent has %td numbers, our output %td", as_node_size(cotangent), as_node_size(y));
    clear_padding(y, run->in[0]->length);
    as_backward(run->t, as_sum_all(run->t, as_mul(run->t, y, cotangent)), R(1.0));
    g->result.runs++;
    golden_compare(g, "output", y->x, y->rank, y->dim);
    for (int i = 0; i < run->n_in; i++)
        if (run->in[i]->wants)
            golden_compare(g, as_say("gradient/input/%s", run->port[i]), as_gradient(run->t, run->in[i]),
                           run->in[i]->rank, run->in[i]->dim);
    for (int i = 0; i < run->m->n_layers; i++)
        for (int j = 0; j < run->m->layer[i]->n_weights; j++) {
            const struct weight_slot *w = &run->m->layer[i]->weight[j];

            if (w->used && !w->statistic)
                golden_compare(g, as_say("gradient/weight/%s", w->name), w->node.dx, w->node.rank, w->node.dim);
        }
}

static void body(void *ctx)
{
    struct run *run = ctx;
    const struct as_entry *e = as_registry_find("layer", run->g->of, NULL);
    const char *at = NULL, *value, *key;

    if (!e)
        as_fail(AS_REFUSED, "there is no layer '%s'", run->g->of);
    as_config_set(run->cfg, "model", run->g->of, true);
    if (run->impl)
        as_config_set(run->cfg, run->key, run->impl, true);
    while ((key = golden_option(run->g, &at, &value)))
        as_config_set(run->cfg, key, value, true);
    as_arena_poison(as_tape_arena(run->t), 1);
    read_inputs(run, e->plugin->variant);
    read_lengths(run);
    build(run, e);
    if (as_config_unread(run->cfg))
        as_fail(AS_REFUSED, "%s", as_config_unread(run->cfg));
    set_weights(run);
    if (run->streamed)
        stream(run);
    else
        forward_and_back(run);
}

struct ways { bool streams; int n; char key[64][AS_PATH + 8]; const char *impl[64]; };

static void add_way(struct ways *w, const struct as_layer *l, const char *impl)
{
    char key[AS_PATH + 8];

    snprintf(key, sizeof key, "%s%simpl", l->key, l->key[0] ? "." : "");
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->key[i], key) == 0 && strcmp(w->impl[i], impl) == 0)
            return;
    if (w->n == 64)
        as_fail(AS_FAILED, "more than 64 implementations in one model");
    snprintf(w->key[w->n], sizeof *w->key, "%s", key);
    w->impl[w->n++] = impl;
}

/* Every implementation of every layer of the model; two layers with one key share what is forced. */
static void ways_of(const struct as_model *m, struct ways *w)
{
    w->streams = (m->root->variant->promises & (AS_CAUSAL | AS_POINTWISE)) != 0;
    for (int i = 0; i < m->n_layers; i++) {
        struct as_choice choice[32];
        int n = as_registry_impls(m->layer[i]->entry, choice, 32);

        for (int j = 0; j < n && j < 32; j++)
            add_way(w, m->layer[i], choice[j].impl->name);
        if (n && m->layer[i]->variant->graph)
            add_way(w, m->layer[i], "graph");
    }
}

/* ways: gets what else there is to try; NULL when it is known. */
static void one_way(struct golden *g, const char *key, const char *impl, bool streamed, struct ways *ways)
{
    struct run run = { .g = g, .key = key, .impl = impl, .streamed = streamed };
    char how[256];

    snprintf(how, sizeof how, "%s%s%s", impl ? key : streamed ? "streamed" : "", impl ? "=" : "", impl ? impl : "");
    g->how = how;
    run.cfg = as_config_new();
    run.t = as_tape_new();
    if (as_try(body, &run) != AS_OK && !strstr(as_failure_text(), "cannot be used here"))
        golden_mistake(g, as_failure_text());
    else if (ways)
        ways_of(run.m, ways);
    g->how = "";
    as_model_free(run.m);
    as_tape_free(run.t);
    as_config_free(run.cfg);
}

void golden_layer(struct golden *g)
{
    struct ways *ways = as_arena_zero(g->arena, sizeof *ways);

    one_way(g, NULL, NULL, false, ways);
    for (int i = 0; i < ways->n; i++)
        one_way(g, ways->key[i], ways->impl[i], false, NULL);
    if (ways->streams && !h5_has(g->file, "length"))
        one_way(g, NULL, NULL, true, NULL);
}

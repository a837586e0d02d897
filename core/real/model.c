/* model.c: a whole model: its layers, the flat store of its weights, one forward pass, streaming, its measures. */
#include "layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One input spec per port of the model: the field of that name, the port "x" being the first field. */
static int input_specs(const struct as_data_shape *data, const struct as_variant *v, struct as_spec *in)
{
    static const char *const one[] = { "x", NULL };
    const char *const *port = v->ports ? v->ports : one;
    int n = 0;

    for (; port[n]; n++) {
        const struct as_data_field *f = NULL;

        if (n == AS_MAX_PORTS)
            as_fail(AS_FAILED, "a model has more than %d inputs", AS_MAX_PORTS);
        for (int i = 0; i < data->n_fields && !f; i++)
            if (strcmp(data->field[i].name, port[n]) == 0)
                f = &data->field[i];
        if (!f && v->samples && v->samples[n].optional)
            break;
        if (!f)
            as_fail(AS_REFUSED, "the model wants the field '%s' and the data has none of that name", port[n]);
        in[n] = (struct as_spec){ .dtype = f->integer ? AS_INTS : AS_REALS, .rank = f->rank + 1, .vocab = f->vocab };
        in[n].dim[0] = AS_ANY;
        for (int i = 0; i < f->rank; i++)
            in[n].dim[i + 1] = f->dim[i] == AS_TIME ? AS_ANY : f->dim[i];
    }
    return n;
}

static void attach_store(struct as_model *m)
{
    size_t bytes = as_size((size_t)(m->n_store ? m->n_store : 1), sizeof(real));

    if (!m->borrowed)
        m->store = aligned_alloc(64, (bytes + 63) / 64 * 64);
    m->gradient = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!m->store || !m->gradient)
        as_fail(AS_NO_MEMORY, "out of memory for %td weights", m->n_store);
    memset(m->gradient, 0, bytes);
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_weights; j++) {
            struct weight_slot *w = &m->layer[i]->weight[j];

            if (!w->used)
                continue;
            w->node.x = m->store + w->at;
            w->node.dx = w->statistic ? NULL : m->gradient + w->at;
            w->node.wants = !w->statistic;
        }
}

struct building { struct as_model *m; struct as_config *cfg; const char *name; ptrdiff_t numbers; };

static void build(void *ctx)
{
    struct building *b = ctx;
    struct as_model *m = b->m;
    struct as_spec in[AS_MAX_PORTS];
    const struct as_entry *e;
    const char *nearest;
    int n;

    e = as_registry_find("layer", b->name, &nearest);
    if (!e)
        as_fail(AS_REFUSED, "model = %s: there is no such model%s%s", b->name, nearest ? "; nearest is " : "",
                nearest ? nearest : "");
    n = input_specs(&m->data, e->plugin->variant, in);
    m->root = layer_build(m, "", b->name, "", n, in);
    if (m->borrowed && m->n_store != b->numbers)
        as_fail(AS_FAILED, "the configuration no longer makes the model that is to be trained (%td weights, not %td)",
                m->n_store, b->numbers);
    attach_store(m);
    for (int i = 0; !m->borrowed && i < m->n_layers; i++)
        layer_draw_weights(m->layer[i], m->seed);
}

/* like: NULL, or whose weights to take. */
static struct as_model *new_model(struct as_config *cfg, const struct as_data_shape *data, uint64_t seed,
                                  const struct as_model *like)
{
    struct as_model *m = calloc(1, sizeof *m);
    struct building b = { m, cfg, as_config_word(cfg, "model", "classifier"), like ? like->n_store : 0 };
    enum as_failure f;
    char why[512];

    if (!m)
        as_fail(AS_NO_MEMORY, "out of memory for a model");
    m->cfg = cfg;
    m->data = *data;
    m->seed = seed;
    m->borrowed = like != NULL;
    m->store = like ? like->store : NULL;
    f = as_try(build, &b);
    m->cfg = NULL;
    if (f == AS_OK)
        return m;
    snprintf(why, sizeof why, "%s", as_failure_text());
    as_model_free(m);
    as_fail(f, "%s", why);
}

struct as_model *as_model_new(struct as_config *cfg, const struct as_data_shape *data, uint64_t seed)
{
    return new_model(cfg, data, seed, NULL);
}

struct as_model *model_twin(struct as_model *m, struct as_config *cfg) { return new_model(cfg, &m->data, m->seed, m); }

void as_model_free(struct as_model *m)
{
    if (!m)
        return;
    for (int i = 0; i < m->n_layers; i++)
        layer_free(m->layer[i]);
    as_arena_free(m->state_arena);
    free(m->layer);
    if (!m->borrowed)
        free(m->store);
    free(m->gradient);
    free(m);
}

struct as_node *model_field(struct as_tape *t, const struct as_batch *b, const char *name)
{
    for (int i = 0; i < b->n_fields; i++) {
        const struct as_data_field *f = &b->field[i];
        ptrdiff_t dims[AS_MAX_RANK] = { b->batch };
        struct as_node *node;

        if (strcmp(f->name, name) != 0)
            continue;
        for (int j = 0; j < f->rank; j++)
            dims[j + 1] = f->dim[j] == AS_TIME ? b->time : f->dim[j];
        node = as_node_wrap(t, f->rank + 1, dims, b->x[i], NULL);
        if (f->integer) {
            node->dtype = AS_INTS;
            node->i = b->i[i];
        }
        if (f->rank > 0 && f->dim[0] == AS_TIME)
            node->length = b->length;
        return node;
    }
    return NULL;
}

struct as_node *as_model_forward(struct as_model *m, struct as_tape *t, const struct as_batch *b, bool training,
                                 struct as_key key)
{
    static const char *const one[] = { "x", NULL };
    const char *const *port = m->root->variant->ports ? m->root->variant->ports : one;
    struct as_node *in[AS_MAX_PORTS];
    int n = 0;

    for (; n < m->root->n_in; n++)
        in[n] = model_field(t, b, port[n]);
    m->n_outputs = m->n_losses = 0;
    return layer_run(m->root, t, training, key, n, in);
}

/* --- streaming -------------------------------------------------------------------------------------------- */

void model_learn(struct as_model *m, bool learning)
{
    m->learning = learning;
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_states; j++)
            m->layer[i]->state[j].node = NULL;
}

void as_model_stream(struct as_model *m, ptrdiff_t batch)
{
    as_arena_free(m->state_arena);
    m->state_arena = NULL;
    model_learn(m, false);
    m->streaming = batch > 0;
    m->position = 0;
    if (!batch)
        return;
    for (int i = 0; i < m->n_layers; i++) {
        const struct as_layer *l = m->layer[i];

        if (!(l->variant->promises & (AS_CAUSAL | AS_POINTWISE | AS_FLAT))) {
            m->streaming = false;
            as_fail(AS_REFUSED, "%s (%s/%s) looks at later steps: it cannot be streamed", l->path,
                    l->entry->family, l->entry->name);
        }
    }
    m->state_arena = as_arena_new();
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_states; j++) {
            struct state_slot *s = &m->layer[i]->state[j];
            size_t n = (size_t)batch;

            for (int k = 1; k < s->rank; k++)
                n = as_size(n, (size_t)s->dim[k]);
            s->value = as_arena_zero(m->state_arena, as_size(n, sizeof(real)));
            for (size_t k = 0; s->init.spread == AS_CONSTANT && k < n; k++)
                s->value[k] = (real)s->init.a;
        }
}

struct as_node *model_step(struct as_model *m, struct as_tape *t, bool training, struct as_key key, int n_in,
                           struct as_node *const *in)
{
    struct as_node *y;

    if (!m->streaming)
        as_fail(AS_FAILED, "as_model_stream() starts a stream before its first step");
    m->n_outputs = m->n_losses = 0;
    y = layer_run(m->root, t, training, key, n_in, in);
    m->position++;
    return y;
}

struct as_node *as_model_step(struct as_model *m, struct as_tape *t, int n_in, struct as_node *const *in)
{
    return model_step(m, t, false, (struct as_key){ 0 }, n_in, in);
}

/* --- measures --------------------------------------------------------------------------------------------- */

void layer_sizes(const struct as_layer *l, ptrdiff_t batch, ptrdiff_t time, struct as_spec *in)
{
    for (int i = 0; i < l->n_in; i++) {
        in[i] = l->in[i];
        for (int j = 0; j < in[i].rank; j++)
            if (in[i].dim[j] == AS_ANY)
                in[i].dim[j] = j == 0 ? batch : time;
    }
}

double layer_flop(const struct as_layer *l, ptrdiff_t time)
{
    struct as_spec in[AS_MAX_PORTS];
    double flop = 0;

    layer_sizes(l, 1, time, in);
    if (l->variant->cost)
        return l->variant->cost(l->opt, l->n_in, in).flop;
    for (int i = 0; i < l->n_weights; i++)
        if (l->weight[i].used && l->weight[i].kind == AS_MATRIX)
            flop += 2.0 * (double)as_node_size(&l->weight[i].node) * (double)time;
    return flop;
}

struct as_model_stats as_model_measure(struct as_model *m, ptrdiff_t time)
{
    struct as_model_stats s = { 0 };

    for (int i = 0; i < m->n_layers; i++) {
        const struct as_layer *l = m->layer[i];

        s.flop += layer_flop(l, time);
        for (int j = 0; j < l->n_weights; j++)
            if (l->weight[j].used && !l->weight[j].statistic)
                s.parameters += (double)as_node_size(&l->weight[j].node);
        for (int j = 0; j < l->n_states; j++) {
            double n = l->state[j].used ? 1 : 0;

            for (int k = 1; k < l->state[j].rank; k++)
                n *= (double)l->state[j].dim[k];
            s.state += n;
        }
    }
    return s;
}

char *as_model_describe(const struct as_model *m)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);

    if (!f)
        as_fail(AS_NO_MEMORY, "out of memory");
    for (int i = 0; i < m->n_layers; i++) {
        const struct as_layer *l = m->layer[i];
        double parameters = 0;

        for (int j = 0; j < l->n_weights; j++)
            if (l->weight[j].used && !l->weight[j].statistic)
                parameters += (double)as_node_size(&l->weight[j].node);
        fprintf(f, "%-24s %s/%s  %s  %.0f parameters\n", l->path[0] ? l->path : "model", l->entry->family,
                l->entry->name, l->impl ? l->impl->name : "graph", parameters);
    }
    fclose(f);
    return text;
}

struct as_weights as_model_store(struct as_model *m)
{
    return (struct as_weights){ .n = m->n_store, .w = m->store, .dw = m->gradient, .count = m->n_layers };
}

struct as_named_weight as_model_weight(const struct as_model *m, const char *name)
{
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_weights; j++) {
            const struct weight_slot *w = &m->layer[i]->weight[j];

            if (w->used && strcmp(w->name, name) == 0)
                return (struct as_named_weight){ w->node.rank, w->node.dim, w->node.x };
        }
    return (struct as_named_weight){ 0 };
}

double as_model_count(const struct as_model *m, const char *name)
{
    double sum = 0;

    for (int i = 0; i < m->n_layers; i++) {
        const struct as_impl *impl = m->layer[i]->impl;

        for (int j = 0; impl && impl->counts && j < AS_MAX_COUNTS && impl->counts[j]; j++)
            if (strcmp(impl->counts[j], name) == 0)
                sum += m->layer[i]->count[j];
    }
    return sum;
}

/* FNV-1a over the bits, eight bytes a round: a fingerprint, not a signature. */
uint64_t as_model_digest(const struct as_model *m)
{
    const unsigned char *byte = (const unsigned char *)m->store;
    uint64_t h = 1469598103934665603u;

    for (size_t i = 0; i < (size_t)m->n_store * sizeof(real); i++)
        h = (h ^ byte[i]) * 1099511628211u;
    return h;
}

/* form.c: see form.h. Compiled in both precisions; inputs and weights are drawn in float and widened, so both
 * builds start from the same numbers. The loss is a fixed random combination of the outputs. */
#include "form.h"

#include "core/real/layer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct running { const struct form *f; struct form_result *r; struct as_config *cfg; struct as_model *m;
                 struct as_tape *t; struct as_arena *a; };

static double jittered(const struct form *f, double x, uint64_t place)
{
    struct as_key key = { f->draw, AS_ROLE_TEST_HARNESS, 77 };

    return f->jitter > 0 ? x * (1 + f->jitter * (2 * (double)as_uniform(key, place) - 1)) : x;
}

static struct as_data_shape shape_of(const struct form *f)
{
    struct as_data_shape s = { .n_fields = f->n_in, .max_length = f->time, .classes = 3 };

    for (int i = 0; i < f->n_in; i++) {
        s.field[i] = (struct as_data_field){ .name = f->in[i].name, .integer = f->in[i].vocab > 0,
                                             .rank = f->in[i].rank + 1, .dim = { AS_TIME }, .vocab = f->in[i].vocab };
        for (int j = 0; j < f->in[i].rank; j++)
            s.field[i].dim[j + 1] = f->in[i].dim[j];
    }
    return s;
}

static struct as_batch *batch_of(const struct running *run, const struct as_data_shape *s)
{
    const struct form *f = run->f;
    struct as_batch *b = as_arena_zero(run->a, sizeof *b);

    b->batch = f->batch;
    b->time = f->time;
    b->n_fields = f->n_in;
    b->length = (int32_t *)f->length;
    memcpy(b->field, s->field, sizeof b->field);
    for (int i = 0; i < f->n_in; i++) {
        struct as_key key = { f->seed, AS_ROLE_TEST_HARNESS, (uint64_t)i };
        ptrdiff_t n = f->batch * f->time;

        for (int j = 0; j < f->in[i].rank; j++)
            n *= f->in[i].dim[j];
        b->x[i] = as_arena_zero(run->a, (size_t)n * sizeof(real));
        b->i[i] = as_arena_zero(run->a, (size_t)n * sizeof(int32_t));
        for (ptrdiff_t j = 0; j < n; j++) {
            float x = as_normal(key, (uint64_t)j) * (float)f->in[i].scale;

            if (f->in[i].positive == 1)
                x = as_uniform(key, (uint64_t)j) * (float)f->in[i].scale;
            if (f->in[i].positive == -1)
                x = -as_uniform(key, (uint64_t)j) * (float)f->in[i].scale;
            b->x[i][j] = (real)jittered(f, (double)x, (uint64_t)(i * 100000000 + j));
            if (f->in[i].vocab)
                b->i[i][j] = (int32_t)as_below(key, (uint64_t)j, (uint32_t)f->in[i].vocab);
        }
    }
    return b;
}

static void disturb_weights(const struct running *run)
{
    struct as_weights w = as_model_store(run->m);
    double gain = run->f->gain > 0 ? run->f->gain : 1;

    for (ptrdiff_t i = 0; i < w.n; i++)
        w.w[i] = (real)jittered(run->f, (double)w.w[i] * gain, (uint64_t)(900000000 + i));
}

static void keep(struct form_result *r, const char *part, const real *x, ptrdiff_t n)
{
    if (r->n_parts == FORM_PARTS)
        as_fail(AS_FAILED, "more than %d parts in a form", FORM_PARTS);
    snprintf(r->part[r->n_parts], sizeof r->part[0], "%s", part);
    r->end[r->n_parts++] = r->n + (size_t)n;
    r->value = realloc(r->value, (r->n + (size_t)n) * sizeof *r->value);
    for (ptrdiff_t i = 0; i < n; i++)
        r->value[r->n++] = (double)x[i];
}

static struct as_node *input_node(struct as_tape *t, const struct as_batch *b, int i, ptrdiff_t from, ptrdiff_t time,
                                  const struct as_arena *a)
{
    ptrdiff_t dims[5] = { b->batch, time }, unit = 1;
    int rank = b->field[i].rank + 1;
    struct as_node *x;

    (void)a;
    for (int j = 1; j < b->field[i].rank; j++)
        unit *= dims[j + 1] = b->field[i].dim[j];
    x = b->field[i].integer ? as_node_ints(t, rank, dims) : as_node_new(t, rank, dims);
    for (ptrdiff_t r = 0; r < b->batch; r++)
        for (ptrdiff_t j = 0; j < time * unit; j++)
            if (b->field[i].integer)
                x->i[r * time * unit + j] = b->i[i][(r * b->time + from) * unit + j];
            else
                x->x[r * time * unit + j] = b->x[i][(r * b->time + from) * unit + j];
    return x;
}

static void whole(struct running *run, const struct as_batch *b)
{
    const struct form *f = run->f;
    struct as_node *in[6], *y, *loss, *weight;
    struct as_key key = { f->seed, AS_ROLE_TEST_HARNESS, 99 }, none = { f->seed, AS_ROLE_DROPOUT, 0 };

    for (int i = 0; i < f->n_in; i++) {
        in[i] = input_node(run->t, b, i, 0, b->time, run->a);
        in[i]->length = b->length;
        in[i]->wants = !b->field[i].integer;
    }
    y = layer_run(run->m->root, run->t, false, none, f->n_in, in);
    weight = as_node_like(run->t, y);
    for (ptrdiff_t i = 0, inner = as_node_size(y) / (y->dim[0] * (y->rank > 2 ? y->dim[1] : 1)); i < as_node_size(y); i++) {
        ptrdiff_t row = i / inner / (y->rank > 2 ? y->dim[1] : 1), step = y->rank > 2 ? i / inner % y->dim[1] : 0;
        int valid = !f->length || y->rank < 3 || step < f->length[row];

        weight->x[i] = valid ? (real)as_normal(key, (uint64_t)i) : R(0.0);
        if (!valid)
            y->x[i] = R(0.0);        /* what stands in the padding is nobody's business */
    }
    loss = as_sum_all(run->t, as_mul(run->t, y, weight));
    as_backward(run->t, loss, R(1.0));
    keep(run->r, "output", y->x, as_node_size(y));
    for (int i = 0; i < f->n_in; i++)
        if (in[i]->wants)
            keep(run->r, f->in[i].name, as_gradient(run->t, in[i]), as_node_size(in[i]));
    for (int i = 0; i < run->m->n_layers; i++)
        for (int j = 0; j < run->m->layer[i]->n_weights; j++) {
            const struct weight_slot *w = &run->m->layer[i]->weight[j];

            if (w->used && !w->statistic)
                keep(run->r, w->name, w->node.dx, as_node_size(&w->node));
        }
}

/* Output by output, put together as (batch, time, ...). */
static void streamed(struct running *run, const struct as_batch *b)
{
    const struct form *f = run->f;
    ptrdiff_t unit = 0;
    double *all = NULL;

    as_tape_record(run->t, false);
    as_model_stream(run->m, f->batch);
    for (ptrdiff_t s = 0; s < f->time; s++) {
        struct as_node *in[6], *y;

        for (int i = 0; i < f->n_in; i++)
            in[i] = input_node(run->t, b, i, s, 1, run->a);
        y = as_model_step(run->m, run->t, f->n_in, in);
        unit = as_node_size(y) / f->batch;
        if (!all)
            all = calloc((size_t)(f->batch * f->time * unit), sizeof *all);
        for (ptrdiff_t r = 0; r < f->batch; r++)
            for (ptrdiff_t j = 0; j < unit; j++)
                all[(r * f->time + s) * unit + j] = f->length && s >= f->length[r] ? 0 : (double)y->x[r * unit + j];
        as_tape_reset(run->t);
    }
    run->r->value = all;
    run->r->n = run->r->end[0] = (size_t)(f->batch * f->time * unit);
    run->r->n_parts = 1;
}

static void body(void *ctx)
{
    struct running *run = ctx;
    const struct form *f = run->f;
    struct as_data_shape s = shape_of(f);

    as_config_set(run->cfg, "model", f->variant, true);
    if (f->impl)
        as_config_set(run->cfg, "impl", f->impl, true);
    for (int i = 0; f->options[i]; i++) {
        char key[64];
        const char *eq = strchr(f->options[i], '=');

        snprintf(key, sizeof key, "%.*s", (int)(eq - f->options[i]), f->options[i]);
        as_config_set(run->cfg, key, eq + 1, true);
    }
    run->m = as_model_new(run->cfg, &s, f->seed);
    run->t = as_tape_new();
    run->a = as_arena_new();
    as_arena_poison(as_tape_arena(run->t), !f->stream);
    disturb_weights(run);
    if (f->stream)
        streamed(run, batch_of(run, &s));
    else
        whole(run, batch_of(run, &s));
    if (as_config_unread(run->cfg))
        as_fail(AS_REFUSED, "%s", as_config_unread(run->cfg));
}

struct form_result form_run(const struct form *f)
{
    struct form_result r = { 0 };
    struct running run = { .f = f, .r = &r, .cfg = as_config_new() };

    if (as_try(body, &run) != AS_OK)
        snprintf(r.why, sizeof r.why, "%s", as_failure_text());
    as_model_free(run.m);
    if (run.t)
        as_tape_free(run.t);
    as_arena_free(run.a);
    as_config_free(run.cfg);
    return r;
}

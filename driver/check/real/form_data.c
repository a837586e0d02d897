/* form_data.c: inputs and weights of a form (form.h), in arrays with red zones. */
#include "form_part.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ZONE = 32 };                              /* elements on either side */

/* One number for (row, step, place), whatever the sizes. */
static uint64_t place_of(ptrdiff_t row, ptrdiff_t step, ptrdiff_t place)
{
    return ((uint64_t)row << 44) ^ ((uint64_t)step << 24) ^ (uint64_t)place;
}

struct as_data_shape form_shape(const struct form *f)
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

/* Without a guard the zones are there, too; nobody looks at them. */
real *form_take(struct form_running *run, const char *kind, const char *what, ptrdiff_t n, bool must_stay)
{
    struct form_array *a;
    size_t bytes = as_size((size_t)(n + 2 * ZONE), sizeof(real));

    if (run->n_arrays == (int)(sizeof run->array / sizeof *run->array))
        as_fail(AS_FAILED, "more arrays than a check has room for");
    a = &run->array[run->n_arrays];
    a->block = aligned_alloc(64, (bytes + 63) / 64 * 64);
    if (!a->block)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    run->n_arrays++;
    snprintf(a->what, sizeof a->what, "%s%.60s", kind, what);
    memset(a->block, 0xff, bytes);
    a->n = n;
    a->at = a->block + ZONE;
    a->must_stay = must_stay;
    return a->at;
}

static double jittered(const struct form *f, double x, uint64_t stream, uint64_t place)
{
    struct as_key key = { f->draw, AS_ROLE_TEST_HARNESS, stream };

    return f->jitter > 0 ? x * (1 + f->jitter * (2 * (double)as_uniform(key, place) - 1)) : x;
}

static float drawn(const struct form_input *in, struct as_key key, uint64_t place)
{
    if (in->lo != 0 || in->hi != 0)
        return (float)(in->lo + (in->hi - in->lo) * (double)as_uniform(key, place));
    return as_normal(key, place) * (float)(in->sd > 0 ? in->sd : 1);
}

static void one_input(struct form_running *run, int port)
{
    const struct form *f = run->f;
    const struct form_input *in = &f->in[port];
    struct as_key key = { f->seed, AS_ROLE_TEST_HARNESS, (uint64_t)port };
    struct form_values v = { .port = port, .batch = f->batch, .time = f->time, .unit = 1 };
    ptrdiff_t n;

    for (int j = 0; j < in->rank; j++)
        v.unit *= in->dim[j];
    n = f->batch * f->time * v.unit;
    v.x = calloc((size_t)(n ? n : 1), sizeof *v.x);
    v.i = run->i[port] = calloc((size_t)(n ? n : 1), sizeof *v.i);
    if (!v.x || !v.i)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    run->unit[port] = v.unit;
    run->x[port] = form_take(run, "input ", in->name, n, true);
    run->dx[port] = form_take(run, "gradient of input ", in->name, n, false);
    for (ptrdiff_t j = 0; j < n; j++) {
        uint64_t at = place_of(j / v.unit / f->time, j / v.unit % f->time, j % v.unit);

        v.x[j] = jittered(f, (double)drawn(in, key, at), 700 + (uint64_t)port, at);
        if (in->vocab)
            v.i[j] = (int32_t)as_below(key, at, (uint32_t)in->vocab);
    }
    if (f->edit)
        f->edit(f->ctx, &v);
    for (ptrdiff_t j = 0; j < n; j++)
        run->x[port][j] = (real)v.x[j];
    free(v.x);
}

void form_inputs(struct form_running *run)
{
    for (int i = 0; i < run->f->n_in; i++)
        one_input(run, i);
}

/* A weight that starts at one number everywhere (a bias of zeros, a gain of ones) would hide that it was forgotten, or took
 * the place of another: it is moved off, by the same float in both builds. */
static double started(const struct form *f, const struct weight_slot *w, ptrdiff_t j)
{
    struct as_key key = { f->seed, AS_ROLE_TEST_HARNESS, as_hash(w->name) };
    double x = (double)w->node.x[j];

    if (w->statistic || (w->init.spread != AS_ZERO && w->init.spread != AS_CONSTANT))
        return x;
    return (double)((float)x + 0.25f * as_normal(key, (uint64_t)j));
}

/* Each weight and its gradient move to an array of their own. */
static void one_weight(struct form_running *run, struct weight_slot *w)
{
    const struct form *f = run->f;
    ptrdiff_t n = as_node_size(&w->node);
    double *v = calloc((size_t)(n ? n : 1), sizeof *v), gain = f->gain > 0 ? f->gain : 1;
    real *at;

    if (!v)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    for (ptrdiff_t j = 0; j < n; j++)
        v[j] = jittered(f, started(f, w, j) * (w->statistic ? 1 : gain), as_hash(w->name), (uint64_t)j);
    if (f->edit_weight && !w->statistic)
        f->edit_weight(f->ctx, w->name, n, v);
    at = form_take(run, "weight ", w->name, n, !w->statistic);
    for (ptrdiff_t j = 0; j < n; j++)
        at[j] = (real)v[j];
    free(v);
    w->node.x = at;
    w->node.wants = !w->statistic && !f->frozen;
    w->node.dx = NULL;
    if (w->node.wants)
        w->node.dx = form_take(run, "gradient of weight ", w->name, n, false);
}

void form_set_weights(struct form_running *run)
{
    for (int i = 0; i < run->m->n_layers; i++)
        for (int j = 0; j < run->m->layer[i]->n_weights; j++)
            if (run->m->layer[i]->weight[j].used)
                one_weight(run, &run->m->layer[i]->weight[j]);
    for (int i = 0; i < run->n_arrays && run->f->guard; i++) {
        struct form_array *a = &run->array[i];

        if (!a->must_stay)
            continue;
        a->before = malloc((size_t)(a->n ? a->n : 1) * sizeof *a->before);
        if (!a->before)
            as_fail(AS_NO_MEMORY, "no memory for a check");
        memcpy(a->before, a->at, (size_t)a->n * sizeof *a->before);
    }
}

struct as_node *form_input_node(struct form_running *run, int i, ptrdiff_t from, ptrdiff_t time)
{
    const struct form *f = run->f;
    ptrdiff_t dims[AS_MAX_RANK] = { f->batch, time }, unit = run->unit[i];
    int rank = f->in[i].rank + 2;
    bool whole = time == f->time && from == 0;
    struct as_node *x;

    for (int j = 0; j < f->in[i].rank; j++)
        dims[j + 2] = f->in[i].dim[j];
    if (f->in[i].vocab) {
        x = as_node_ints(run->t, rank, dims);
        for (ptrdiff_t r = 0; r < f->batch; r++)
            for (ptrdiff_t j = 0; j < time * unit; j++)
                x->i[r * time * unit + j] = run->i[i][(r * f->time + from) * unit + j];
        return x;
    }
    if (whole)
        return as_node_wrap(run->t, rank, dims, run->x[i], f->forward || f->deaf ? NULL : run->dx[i]);
    x = as_node_new(run->t, rank, dims);
    for (ptrdiff_t r = 0; r < f->batch; r++)
        memcpy(x->x + r * time * unit, run->x[i] + (r * f->time + from) * unit, (size_t)(time * unit) * sizeof(real));
    return x;
}

static bool zone_is_whole(const real *zone)
{
    const unsigned char *byte = (const unsigned char *)zone;

    for (size_t i = 0; i < ZONE * sizeof *zone; i++)
        if (byte[i] != 0xff)
            return false;
    return true;
}

void form_guard_check(struct form_running *run)
{
    char *why = run->r->broken;

    for (int i = 0; i < run->n_arrays; i++) {
        const struct form_array *a = &run->array[i];

        if (!zone_is_whole(a->block))
            snprintf(why, sizeof run->r->broken, "wrote before the start of %s (%td numbers)", a->what, a->n);
        if (!zone_is_whole(a->at + a->n))
            snprintf(why, sizeof run->r->broken, "wrote past the end of %s (%td numbers)", a->what, a->n);
        for (ptrdiff_t j = 0; a->before && j < a->n && !*why; j++)
            if (memcmp(&a->before[j], &a->at[j], sizeof(real)) != 0)
                snprintf(why, sizeof run->r->broken, "wrote to %s: element %td was %.9g and is %.9g", a->what, j,
                         (double)a->before[j], (double)a->at[j]);
    }
}

void form_free_arrays(struct form_running *run)
{
    for (int i = 0; i < run->n_arrays; i++) {
        free(run->array[i].block);
        free(run->array[i].before);
    }
    for (int i = 0; i < FORM_PORTS; i++)
        free(run->i[i]);
}

double form_loss_weight(const struct form *f, ptrdiff_t row, ptrdiff_t step, ptrdiff_t place)
{
    struct as_key key = { f->seed, AS_ROLE_TEST_HARNESS, 99 };

    return (double)as_normal(key, place_of(row, step, place));
}

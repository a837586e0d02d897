/* form.c: see form.h. Compiled in both precisions. */
#include "form_part.h"

#include "core/arena_private.h"
#include "core/lib/allocation.h"
#include "core/real/gemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void keep(struct form_result *r, enum form_part kind, const char *part, const real *x, ptrdiff_t n)
{
    double *grown;

    if (r->n_parts == FORM_PARTS)
        as_fail(AS_FAILED, "more than %d parts in a form", FORM_PARTS);
    grown = realloc(r->value, (r->n + (size_t)n + 1) * sizeof *r->value);
    if (!grown)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    r->value = grown;
    snprintf(r->part[r->n_parts], sizeof r->part[0], "%.63s", part);
    r->kind[r->n_parts] = kind;
    r->end[r->n_parts++] = r->n + (size_t)n;
    for (ptrdiff_t i = 0; i < n; i++)
        r->value[r->n++] = x ? (double)x[i] : 0;
}

/* --- one pass over the whole ---------------------------------------------------------------------------------------*/

struct segment { struct form_running *run; struct as_node **in; struct as_key key; };

static struct as_node *run_segment(struct as_tape *t, void *ctx, struct as_node *x)
{
    struct segment *s = ctx;
    struct as_node *in[FORM_PORTS];

    memcpy(in, s->in, sizeof in);
    in[0] = x;
    return layer_run(s->run->m->root, t, s->run->f->training, s->key, s->run->f->n_in, in);
}

/* Is there a time axis in this result? */
static bool has_time(const struct form *f, const struct as_node *y)
{
    return y->rank >= 2 && y->dim[0] == f->batch && y->dim[1] == f->time && (y->rank > 2 || y->length != NULL);
}

/* Multiplies by fixed random weights, those of the padding zero, and adds up; what stands in the padding of the result
 * is nobody's business and becomes zero. */
static struct as_node *loss_of(struct form_running *run, struct as_node *y)
{
    const struct form *f = run->f;
    struct as_node *weight = as_node_like(run->t, y);
    ptrdiff_t n = as_node_size(y), rows = y->rank > 0 && y->dim[0] > 0 ? y->dim[0] : 1;
    ptrdiff_t steps = has_time(f, y) ? f->time : 1, inner = n / rows / steps;

    for (ptrdiff_t i = 0; i < n; i++) {
        ptrdiff_t row = i / inner / steps, step = i / inner % steps;
        bool valid = !f->length || !has_time(f, y) || step < f->length[row];

        weight->x[i] = valid ? (real)form_loss_weight(f, row, step, i % inner) : R(0.0);
        if (!valid)
            y->x[i] = R(0.0);
    }
    return as_sum_all(run->t, as_mul(run->t, y, weight));
}

static void fill(real *x, ptrdiff_t n, double value)
{
    for (ptrdiff_t i = 0; x && i < n; i++)
        x[i] = (real)value;
}

static void start_gradients(struct form_running *run)
{
    const struct form *f = run->f;

    for (int i = 0; i < f->n_in; i++)
        fill(run->dx[i], f->batch * f->time * run->unit[i], f->start);
    for (int i = 0; i < run->m->n_layers; i++)
        for (int j = 0; j < run->m->layer[i]->n_weights; j++) {
            struct weight_slot *w = &run->m->layer[i]->weight[j];

            if (w->used && !w->statistic)
                fill(w->node.dx, as_node_size(&w->node), f->start);
        }
}

static struct as_node *pass(struct form_running *run)
{
    const struct form *f = run->f;
    struct as_node *in[FORM_PORTS], *y, *loss;
    struct as_key key = { f->key, AS_ROLE_DROPOUT, 0 };
    struct segment s = { run, in, key };
    bool fresh = f->start == 0 && !f->guard;     /* gradients of inputs begin on the tape, in memory full of NaNs */

    as_tape_reset(run->t);
    start_gradients(run);
    run->m->n_outputs = run->m->n_losses = 0;
    for (int i = 0; i < f->n_in; i++) {
        in[i] = form_input_node(run, i, 0, f->time);
        in[i]->length = f->length;
        if (fresh)
            in[i]->dx = NULL;
    }
    run->r->products = as_products_made();
    y = f->recompute ? as_recompute(run->t, run_segment, &s, in[0])
                     : layer_run(run->m->root, run->t, f->training, key, f->n_in, in);
    run->r->products = as_products_made() - run->r->products;
    if (f->forward) {
        (void)loss_of(run, y);           /* for what it does to the padding */
        return y;
    }
    loss = loss_of(run, y);
    for (int i = 0; i < run->m->n_losses; i++)
        loss = as_add(run->t, loss, loss_of(run, run->m->loss[i].node));
    for (int i = 0; i < run->m->n_outputs; i++)
        loss = as_add(run->t, loss, loss_of(run, run->m->output[i].node));
    run->r->loss = (double)loss->x[0];
    as_backward(run->t, loss, R(1.0));
    for (int i = 0; i < f->n_in && fresh; i++)
        if (in[i]->dx && run->dx[i])
            memcpy(run->dx[i], in[i]->dx, (size_t)as_node_size(in[i]) * sizeof(real));
    return y;
}

static void keep_all(struct form_running *run, const struct as_node *y)
{
    const struct form *f = run->f;

    keep(run->r, FORM_OUTPUT, "output", y->x, as_node_size(y));
    run->r->rank = y->rank;
    memcpy(run->r->dim, y->dim, sizeof run->r->dim);
    for (int i = 0; i < f->n_in && !f->forward && !f->deaf; i++)
        if (!f->in[i].vocab)
            keep(run->r, FORM_INPUT, f->in[i].name, run->dx[i], f->batch * f->time * run->unit[i]);
    for (int i = 0; i < run->m->n_layers && !f->forward; i++)
        for (int j = 0; j < run->m->layer[i]->n_weights; j++) {
            const struct weight_slot *w = &run->m->layer[i]->weight[j];

            if (w->used && w->node.wants)
                keep(run->r, FORM_WEIGHT, w->name, w->node.dx, as_node_size(&w->node));
        }
    for (int i = 0; i < run->m->n_outputs; i++)
        keep(run->r, FORM_EXTRA, run->m->output[i].name, run->m->output[i].node->x,
             as_node_size(run->m->output[i].node));
    for (int i = 0; i < run->m->n_losses; i++)
        keep(run->r, FORM_EXTRA, run->m->loss[i].name, run->m->loss[i].node->x, as_node_size(run->m->loss[i].node));
}

static void keep_statistics(struct form_running *run)
{
    struct form_result *r = run->r;

    for (int i = 0; i < run->m->n_layers; i++)
        for (int j = 0; j < run->m->layer[i]->n_weights; j++) {
            const struct weight_slot *w = &run->m->layer[i]->weight[j];
            ptrdiff_t n = as_node_size(&w->node);
            double *grown;

            if (!w->used || !w->statistic)
                continue;
            grown = realloc(r->statistic, (size_t)(r->n_statistics + n + 1) * sizeof *grown);
            if (!grown)
                as_fail(AS_NO_MEMORY, "no memory for a check");
            r->statistic = grown;
            for (ptrdiff_t k = 0; k < n; k++)
                grown[r->n_statistics++] = (double)w->node.x[k];
        }
}

static void whole(struct form_running *run)
{
    const struct form *f = run->f;
    struct as_arena *a = as_tape_arena(run->t);
    struct as_node *y;
    long allocations, commits;

    as_tape_record(run->t, !f->forward);
    for (int i = 0; i < f->repeat; i++)
        pass(run);
    allocations = as_allocations();
    commits = as_arena_commits(a);
    y = pass(run);
    run->r->allocations = as_allocations() - allocations;
    run->r->commits = as_arena_commits(a) - commits;
    keep_all(run, y);
    keep_statistics(run);
    if (f->guard) {
        form_guard_check(run);
        if (as_arena_broken(a) > 0 && !run->r->broken[0])
            snprintf(run->r->broken, sizeof run->r->broken, "wrote past the end of a block of the tape (a result, what "
                     "is saved, or scratch)");
    }
}

/* --- step by step ------------------------------------------------------------------------------------------------- */

/* States into other memory, the old filled with NaNs: whatever is kept elsewhere, or by address, is lost. */
static void move_states(struct form_running *run)
{
    for (int i = 0; i < run->m->n_layers; i++)
        for (int j = 0; j < run->m->layer[i]->n_states; j++) {
            struct state_slot *s = &run->m->layer[i]->state[j];
            ptrdiff_t n = run->f->batch;
            real *new;

            if (!s->used)
                continue;
            for (int k = 1; k < s->rank; k++)
                n *= s->dim[k];
            new = form_take(run, "state ", s->name, n, false);
            memcpy(new, s->value, (size_t)n * sizeof *new);
            memset(s->value, 0xff, (size_t)n * sizeof *new);
            s->value = new;
        }
}

/* Output by output, put together as (batch, time, ...). */
static void streamed(struct form_running *run, bool kept)
{
    const struct form *f = run->f;
    ptrdiff_t unit = 0;
    real *all = NULL;

    as_model_stream(run->m, f->batch);
    for (ptrdiff_t s = 0; s < f->time; s++) {
        struct as_node *in[FORM_PORTS], *y;

        as_tape_reset(run->t);
        if (f->cut && s == f->cut)
            move_states(run);
        for (int i = 0; i < f->n_in; i++)
            in[i] = form_input_node(run, i, s, 1);
        y = as_model_step(run->m, run->t, f->n_in, in);
        unit = as_node_size(y) / f->batch;
        if (!all)
            all = form_take(run, "streamed ", "output", f->batch * f->time * unit, false);
        for (ptrdiff_t r = 0; r < f->batch; r++)
            memcpy(all + (r * f->time + s) * unit, y->x + r * unit, (size_t)unit * sizeof *all);
        run->r->rank = y->rank;
        memcpy(run->r->dim, y->dim, sizeof run->r->dim);
    }
    if (!kept)
        return;
    if (run->r->rank >= 2)
        run->r->dim[1] = f->time;
    keep(run->r, FORM_OUTPUT, "output", all, f->batch * f->time * unit);
    if (f->guard)
        form_guard_check(run);
}

/* --- the model around it ------------------------------------------------------------------------------------------ */

static void facts(struct form_running *run)
{
    struct form_result *r = run->r;

    for (int i = 0; i < run->m->n_layers; i++) {
        const struct as_variant *v = run->m->layer[i]->variant;

        if (v->kinks && !r->kinks[0])
            snprintf(r->kinks, sizeof r->kinks, "%s", v->kinks);
        r->draws = r->draws || (v->promises & AS_DRAWS);
        r->batch_statistics = r->batch_statistics || (v->promises & AS_BATCH_STATISTICS);
    }
    snprintf(r->impl, sizeof r->impl, "%s", run->m->root->impl ? run->m->root->impl->name : "graph");
    r->parameters = (ptrdiff_t)as_model_measure(run->m, run->f->time).parameters;
    r->flop = as_model_measure(run->m, run->f->time).flop * (double)run->f->batch;
}

static void body(void *ctx)
{
    struct form_running *run = ctx;
    const struct form *f = run->f;
    struct as_data_shape s = form_shape(f);

    form_configure(run->cfg, f);
    run->m = as_model_new(run->cfg, &s, f->seed);
    if (as_config_unread(run->cfg))
        as_fail(AS_REFUSED, "%s", as_config_unread(run->cfg));
    facts(run);
    run->t = as_tape_new();
    as_arena_poison(as_tape_arena(run->t), f->poison ? f->poison : 1);
    as_arena_guard(as_tape_arena(run->t), f->guard);
    form_inputs(run);
    form_set_weights(run);
    if (f->stream) {
        as_tape_record(run->t, false);
        if (f->again)
            streamed(run, false);
        streamed(run, true);
    } else
        whole(run);
}

struct form_result form_run(const struct form *f)
{
    static struct form_running run;
    struct form_result r = { 0 };
    enum as_failure what;

    memset(&run, 0, sizeof run);
    run = (struct form_running){ .f = f, .r = &r, .cfg = as_config_new() };
    what = as_try(body, &run);
    if (what != AS_OK)
        snprintf(r.why, sizeof r.why, "%s", as_failure_text());
    r.refused = what == AS_REFUSED;
    as_model_free(run.m);
    as_tape_free(run.t);
    form_free_arrays(&run);
    as_config_free(run.cfg);
    return r;
}

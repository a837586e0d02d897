/* objective.c: see objective.h. */
#include "objective.h"

#include <assay/error.h>
#include <assay/ops.h>
#include <stdlib.h>

struct running {
    struct objective_case *c;
    const struct as_objective *objective;
    void *opt;
    struct as_tape *tape;
    const char *why;
};

static ptrdiff_t positions(const struct objective_case *c) { return c->batch * (c->time ? c->time : 1); }

/* (batch, time, k), (batch, time), or both without the time. Returns the rank. */
static int sizes(const struct objective_case *c, bool inner, ptrdiff_t *dim)
{
    int rank = 0;
    dim[rank++] = c->batch;
    if (c->time)
        dim[rank++] = c->time;
    if (inner)
        dim[rank++] = c->k;
    return rank;
}

static struct as_node *numbers(struct running *r, const double *v, bool inner)
{
    ptrdiff_t dim[3], n = positions(r->c) * (inner ? r->c->k : 1);
    int rank = sizes(r->c, inner, dim);
    struct as_node *a = as_node_new(r->tape, rank, dim);
    for (ptrdiff_t i = 0; i < n; i++)
        a->x[i] = (real)(float)v[i];
    return a;
}

static struct as_node *target_of(struct running *r)
{
    ptrdiff_t dim[3];
    if (!r->c->classes)
        return numbers(r, r->c->real_target, true);
    int rank = sizes(r->c, false, dim);
    struct as_node *a = as_node_ints(r->tape, rank, dim);
    for (ptrdiff_t i = 0; i < positions(r->c); i++)
        a->i[i] = r->c->target[i];
    return a;
}

static void body(void *ctx)
{
    struct running *r = ctx;
    struct objective_case *c = r->c;
    struct as_graph g = { .t = r->tape, .opt = r->opt, .training = true };
    struct as_node *output = numbers(r, c->output, true), *target = target_of(r), *weight = numbers(r, c->weight, false);
    output->wants = true;
    output->length = target->length = c->length;
    struct as_node *loss = r->objective->graph(&g, output, target);
    ptrdiff_t n = positions(c);
    if (as_node_size(loss) != n) {
        r->why = as_say("it gives %td losses for %td positions", as_node_size(loss), n);
        return;
    }
    weight = as_node_wrap(r->tape, loss->rank, loss->dim, weight->x, NULL);
    as_backward(r->tape, as_sum_all(r->tape, as_mul(r->tape, loss, weight)), R(1.0));
    real *slope = as_gradient(r->tape, output);
    for (ptrdiff_t i = 0; i < n; i++)
        c->loss[i] = (double)loss->x[i];
    for (ptrdiff_t i = 0; i < n * c->k; i++)
        c->gradient[i] = (double)slope[i];
}

#define check_objective_here AS_REAL(check_objective)
const char *check_objective_here(struct objective_case *c)
{
    const struct as_entry *e = as_registry_find("objective", c->name, NULL);
    if (!e)
        return as_say("there is no objective %s in this precision", c->name);
    struct running r = { .c = c, .objective = e->plugin->objective, .tape = as_tape_new() };
    r.opt = calloc(1, r.objective->opt_size + 1);
    if (!r.opt)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    as_arena_poison(as_tape_arena(r.tape), 1);
    r.why = check_options_with(r.objective->options, c->setting, r.opt, r.objective->opt_size);
    if (!r.why && as_try(body, &r))
        r.why = as_say("%s", as_failure_text());
    as_tape_free(r.tape);
    free(r.opt);
    return r.why;
}

#ifndef ASSAY_DOUBLE
bool check_objective_takes(const char *name, const struct check_setting *setting, bool classes, ptrdiff_t k)
{
    const struct as_entry *e = as_registry_find("objective", name, NULL);
    struct as_spec output = { AS_REALS, 3, { 2, 3, k }, 0 };
    struct as_spec target = classes ? (struct as_spec){ AS_INTS, 2, { 2, 3 }, k } : output;
    (void)setting;
    return e && (!e->plugin->objective->check || !e->plugin->objective->check(&output, &target));
}
#endif

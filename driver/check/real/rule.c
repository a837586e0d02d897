/* rule.c: see rule.h. Arrays of the rule lie between guards of a pattern that no number has. */
#include "rule.h"

#include <assay/config.h>
#include <assay/error.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 24, PATTERN = 0x7b };

struct field { real *at; void *block; size_t bytes; ptrdiff_t n; int shift; };

static void *must(void *p)
{
    if (!p)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    return p;
}

static void field_new(struct field *f, const double *values, ptrdiff_t n, int shift)
{
    f->bytes = ((size_t)n + 2 * GUARD + (size_t)shift) * sizeof(real);
    f->block = must(aligned_alloc(64, (f->bytes + 63) / 64 * 64));
    f->n = n;
    f->shift = shift;
    f->at = (real *)f->block + GUARD + shift;
    memset(f->block, PATTERN, f->bytes);
    for (ptrdiff_t i = 0; i < n; i++)
        f->at[i] = (real)values[i];
}

static bool guards_hold(const struct field *f)
{
    const unsigned char *p = f->block, *from = (const unsigned char *)f->at, *to = (const unsigned char *)(f->at + f->n);
    for (; p < from; p++)
        if (*p != PATTERN)
            return false;
    for (p = to; p < (const unsigned char *)f->block + f->bytes; p++)
        if (*p != PATTERN)
            return false;
    return true;
}

static void field_end(struct field *f, double *values)
{
    for (ptrdiff_t i = 0; values && i < f->n; i++)
        values[i] = (double)f->at[i];
    free(f->block);
}

struct running {
    struct rule_case *c;
    const struct as_rule *rule;
    struct field w, g, moment[AS_MAX_MOMENTS];
    int n_moments;
    void *opt, *opt_before;
    double *now, *slope;             /* (n) */
    ptrdiff_t dim[2];
};

static void one_step(struct running *r, long step)
{
    struct rule_case *c = r->c;
    size_t bytes = (size_t)c->n * sizeof(real);
    real *moment[AS_MAX_MOMENTS] = { NULL };
    for (ptrdiff_t i = 0; i < c->n; i++)
        r->now[i] = (double)r->w.at[i];
    c->gradient(c, step, r->now, r->slope);
    for (ptrdiff_t i = 0; i < c->n; i++)
        r->g.at[i] = (real)(float)r->slope[i];
    for (int k = 0; k < r->n_moments; k++)
        moment[k] = r->moment[k].at;
    real *before = memcpy(must(malloc(bytes)), r->g.at, bytes);
    struct as_update u = { .opt = r->opt, .name = "w", .kind = c->kind, .rank = c->rows ? 2 : 1, .dim = r->dim, .n = c->n,
                           .w = r->w.at, .g = r->g.at, .moment = moment, .rate = c->rate, .decay = c->decay,
                           .step = step, .key = { c->seed, AS_ROLE_RULE, (uint64_t)step } };
    r->rule->update(&u);
    if (memcmp(before, r->g.at, bytes))
        c->broken = as_say("at step %ld the gradient, which is its input, was changed", step);
    free(before);
    for (ptrdiff_t i = 0; c->every && i < c->n; i++)
        c->every[(step - c->first) * c->n + i] = (double)r->w.at[i];
}

static void look_at_memory(struct running *r, long step)
{
    struct rule_case *c = r->c;
    if (c->broken)
        return;
    if (!guards_hold(&r->w))
        c->broken = as_say("at step %ld memory beside the %td elements of the weight was written", step, c->n);
    else if (!guards_hold(&r->g))
        c->broken = as_say("at step %ld memory beside the %td elements of the gradient was written", step, c->n);
    else if (r->dim[0] != (c->rows ? c->rows : c->n) || r->dim[1] != (c->rows ? c->n / c->rows : 0))
        c->broken = as_say("at step %ld the sizes of the weight were changed", step);
    else if (memcmp(r->opt, r->opt_before, r->rule->opt_size))
        c->broken = as_say("at step %ld the options were changed", step);
    for (int k = 0; k < r->n_moments && !c->broken; k++)
        if (!guards_hold(&r->moment[k]))
            c->broken = as_say("at step %ld memory beside the %td elements of moment %d was written", step, c->n, k);
}

static void walk(struct running *r)
{
    struct rule_case *c = r->c;
    r->n_moments = r->rule->moments ? r->rule->moments(r->opt) : 0;
    r->n_moments = r->n_moments < 0 ? 0 : r->n_moments > AS_MAX_MOMENTS ? AS_MAX_MOMENTS : r->n_moments;
    r->now = must(calloc(2 * (size_t)c->n + 1, sizeof *r->now));
    r->slope = r->now + c->n;
    r->dim[0] = c->rows ? c->rows : c->n;
    r->dim[1] = c->rows ? c->n / c->rows : 0;
    r->opt_before = memcpy(must(malloc(r->rule->opt_size + 1)), r->opt, r->rule->opt_size);
    field_new(&r->w, c->w, c->n, c->shift);
    field_new(&r->g, r->slope, c->n, c->shift);
    for (int k = 0; k < r->n_moments; k++)
        field_new(&r->moment[k], c->moment + k * c->n, c->n, c->shift);
    for (long step = c->first; step <= c->last; step++) {
        one_step(r, step);
        look_at_memory(r, step);
    }
    field_end(&r->w, c->w);
    field_end(&r->g, NULL);
    for (int k = 0; k < r->n_moments; k++)
        field_end(&r->moment[k], c->moment + k * c->n);
    free(r->now);
    free(r->opt_before);
}

#define check_rule_steps_here AS_REAL(check_rule_steps)
const char *check_rule_steps_here(struct rule_case *c)
{
    const struct as_entry *e = as_registry_find("rule", c->name, NULL);
    if (!e)
        return as_say("there is no rule %s in this precision", c->name);
    struct running r = { .c = c, .rule = e->plugin->rule };
    c->broken = NULL;
    r.opt = must(calloc(1, r.rule->opt_size + 1));
    const char *why = check_options_with(r.rule->options, c->setting, r.opt, r.rule->opt_size);
    if (!why)
        walk(&r);
    free(r.opt);
    return why;
}

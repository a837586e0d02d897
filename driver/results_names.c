/* results_names.c: the names that a claim may use, and what is declared of each. */
#include <driver/results_claims.h>

#include <assay/error.h>
#include <assay/metric.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <driver/stages.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Costs that each record has as a number. One size for all seeds: no statistics. */
static const struct { const char *name; bool seedless; } costs[] = {
    { "parameters", true }, { "state", true }, { "flop", true }, { "seconds", false }, { "train.seconds", false },
    { "peak.memory", false },
};
enum { COSTS = sizeof costs / sizeof *costs };

static int cost_of(const char *name)
{
    for (int i = 0; i < COSTS; i++)
        if (!strcmp(costs[i].name, name)) return i;
    return -1;
}

bool names_cost(const char *name) { return cost_of(name) >= 0; }

/* ---- names --------------------------------------------------------------------------------------------------- */

const struct eval *names_eval(const struct results *r, const char *name)
{
    const char *base = metric_base(name);
    for (int i = 0; i < r->e->n_evals; i++) {
        size_t n = strlen(r->e->eval[i].name);
        if (!strncmp(r->e->eval[i].name, name, n) && name[n] == '.' && name + n + 1 == base) return &r->e->eval[i];
    }
    return NULL;
}

/* The stage that a name is of: "pre.accuracy" is of [stage pre]; NULL when it is of none. */
static const char *stage_of(const struct results *r, const char *name)
{
    for (int i = 0; i < r->e->n_stages; i++) {
        size_t n = strlen(r->e->stage[i]);
        if (!strncmp(r->e->stage[i], name, n) && name[n] == '.') return r->e->stage[i];
    }
    return NULL;
}

static const struct as_study *study_of(const struct results *r)
{
    const char *name = as_config_get(r->e->base, "study");
    const struct as_entry *e = name ? as_registry_find("study", name, NULL) : NULL;
    return e ? e->plugin->study : NULL;
}

/* The names of each stage: its metrics and its curves. */
static bool each_of_stages(const struct results *r, bool (*take)(void *ctx, const char *name), void *ctx)
{
    const struct experiment *e = r->e;
    for (int k = 0; k < e->n_stages; k++) {
        const char *stage = e->stage[k], *own = as_config_get(e->base, as_say("stage.%s.valid.metric", stage));
        for (int i = 0; i < e->n_metrics; i++) {
            if (take(ctx, as_say("%s.%s", stage, e->metric[i]))) return true;
            if (take(ctx, as_say("%s.valid.%s", stage, e->metric[i]))) return true;
        }
        if (!own) own = as_config_get(e->base, "valid.metric");
        if (own && take(ctx, as_say("%s.valid.%s", stage, own))) return true;
        if (own && k + 1 == e->n_stages && take(ctx, as_say("valid.%s", own))) return true;
        if (take(ctx, as_say("%s.train.loss", stage))) return true;
    }
    return false;
}

/* Calls take(ctx, name) for every name a claim may use; ends with the first true. */
static bool each_name(const struct results *r, bool (*take)(void *ctx, const char *name), void *ctx)
{
    const struct experiment *e = r->e;
    const struct as_study *s = study_of(r);
    for (int i = 0; s && s->metrics[i].name; i++)
        if (take(ctx, s->metrics[i].name)) return true;
    for (int i = 0; i < e->n_metrics; i++) {
        if (take(ctx, e->metric[i])) return true;
        if (take(ctx, as_say("valid.%s", e->metric[i]))) return true;
        for (int k = 0; k < e->n_evals; k++)
            if (take(ctx, as_say("%s.%s", e->eval[k].name, e->metric[i]))) return true;
    }
    if (each_of_stages(r, take, ctx)) return true;
    const char *valid = as_config_get(e->base, "valid.metric");
    if (valid && take(ctx, as_say("valid.%s", valid))) return true;
    if (take(ctx, "valid.ce") || take(ctx, "train.loss")) return true;
    for (int i = 0; i < COSTS; i++)
        if (take(ctx, costs[i].name)) return true;
    return false;
}

static bool is_name(void *ctx, const char *name) { return !strcmp(ctx, name); }

struct list { char **name; int n; };
static bool collect(void *ctx, const char *name)
{
    struct list *l = ctx;
    char **more = realloc(l->name, (size_t)(l->n + 2) * sizeof *more);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for a list of names");
    l->name = more;
    l->name[l->n] = strdup(name);
    if (l->name[l->n]) l->n++;
    l->name[l->n] = NULL;
    return false;
}

const char *names_nearest(struct claims *c, const char *name)
{
    struct list l = { 0 };
    each_name(c->r, collect, &l);
    const char *near = l.name ? as_nearest(name, (const char *const *)l.name) : NULL;
    snprintf(c->near, sizeof c->near, "%s", near ? near : "");
    for (int i = 0; i < l.n; i++) free(l.name[i]);
    free(l.name);
    return c->near[0] ? c->near : NULL;
}

/* ---- metrics ------------------------------------------------------------------------------------------------- */

/* A number that any record has: chance levels depend on the data, which only cells have seen. */
static double number_of_any(const struct results *r, const char *name)
{
    for (int i = 0; i < r->plan->n_cells; i++) {
        double x = r->record[i] ? record_number_of(r->record[i], name) : (double)NAN;
        if (!isnan(x)) return x;
    }
    return (double)NAN;
}

static long examples_of(const struct results *r, const char *name)
{
    const struct eval *v = names_eval(r, name);
    if (v && v->examples) return v->examples;
    for (int i = 0; i < r->plan->n_cells; i++)
        for (int k = 0; r->record[i] && k < r->record[i]->n_values; k++)
            if (!strcmp(r->record[i]->value[k].metric, name)) return r->record[i]->value[k].examples;
    const char *text = r->plan->resolved && r->plan->resolved[0]
                           ? as_config_get(r->plan->resolved[0], "test.examples") : NULL;
    double n;
    return text && as_parse_num(text, &n) ? (long)n : 0;
}

bool names_changes_data(const struct results *r, const char *key)
{
    if (!strncmp(stage_key(key, NULL, 0), "data.", 5)) return true;
    if (strcmp(key, "arm") != 0) return false;
    for (int i = 0; i < r->e->n_arms; i++)
        for (size_t k = 0; k < r->e->arm[i].set->n; k++)
            if (!strncmp(stage_key(r->e->arm[i].set->entry[k].key, NULL, 0), "data.", 5)) return true;
    return false;
}

static enum claim_scale scale_of(enum as_scale s)
{
    return s == AS_LOGIT ? CLAIM_LOGIT : s == AS_LOG ? CLAIM_LOG : CLAIM_RAW;
}

const char *names_of_study(const struct results *r, int i)
{
    const struct as_study *s = study_of(r);
    int n = 0;
    while (s && s->metrics[n].name && n < i) n++;
    return s && i >= 0 ? s->metrics[n].name : NULL;
}

bool names_study_metric(const struct results *r, const char *name, struct claim_metric *out)
{
    const struct as_study *s = study_of(r);
    for (int i = 0; s && s->metrics[i].name; i++) {
        if (strcmp(s->metrics[i].name, name) != 0) continue;
        const char *scale = s->metrics[i].scale ? s->metrics[i].scale : "raw";
        out->scale = !strcmp(scale, "logit") ? CLAIM_LOGIT : !strcmp(scale, "log") ? CLAIM_LOG : CLAIM_RAW;
        return true;
    }
    return false;
}

const char *names_along(const struct results *r, const char *name)
{
    const struct as_study *s = study_of(r);
    for (int i = 0; s && s->axes && s->axes[i] && s->axes[i + 1]; i += 2)
        if (!strcmp(s->axes[i], name)) return s->axes[i + 1];
    return "step";
}

int names_metric(void *ctx, const char *name, struct claim_metric *out, const char **nearest)
{
    struct claims *c = ctx;
    *out = (struct claim_metric){ .chance = (double)NAN, .worst = (double)NAN, .paired = 1 };
    if (nearest) *nearest = NULL;
    if (!each_name(c->r, is_name, (void *)(uintptr_t)name)) {
        if (nearest) *nearest = names_nearest(c, name);
        return -1;
    }
    int cost = cost_of(name);
    if (cost >= 0) {
        *out = (struct claim_metric){ .scale = costs[cost].seedless ? CLAIM_RAW : CLAIM_LOG, .direction = -1,
                                      .chance = (double)NAN, .worst = (double)NAN, .cost = 1,
                                      .seedless = costs[cost].seedless };
        return 0;
    }
    if (names_study_metric(c->r, name, out)) return 0;
    const struct as_metric *m = as_metric_find(metric_base(name), NULL);
    if (!m) {                                     /* train.loss: a curve without a declaration */
        out->direction = -1;
        return 0;
    }
    out->scale = scale_of(m->scale);
    out->direction = m->higher_is_better ? 1 : -1;
    const char *stage = stage_of(c->r, name);        /* its classes may be others than those of the last */
    out->chance = number_of_any(c->r, as_say("chance.%s%s%s", stage ? stage : "", stage ? "." : "", m->name));
    out->worst = number_of_any(c->r, as_say("worst.%s%s%s", stage ? stage : "", stage ? "." : "", m->name));
    if (m->proportion) out->n_examples = examples_of(c->r, name);
    return 0;
}

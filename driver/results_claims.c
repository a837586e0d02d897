/* results_claims.c: what the results offer to claims: axes, samples and curves, from plan and records. */
#include <driver/results_claims.h>

#include <assay/error.h>
#include <assay/metric.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- axes ---------------------------------------------------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    double x, y;
    return !strcmp(a, b) || (as_parse_num(a, &x) && as_parse_num(b, &y) && !(x < y) && !(x > y));
}

static void forget_axes(struct claims *c)
{
    for (int i = 0; i < c->n_known; i++) {
        free(c->known[i].value);
        free(c->own[i]);
        c->own[i] = NULL;
    }
    c->n_known = c->n_grid = 0;
}

static struct known *new_axis(struct claims *c, const char *key, int room)
{
    if (c->n_known == MAX_AXES) as_fail(AS_REFUSED, "an experiment has at most %d axes", MAX_AXES);
    struct known *k = &c->known[c->n_known++];
    *k = (struct known){ key, calloc(room ? (size_t)room : 1, sizeof *k->value), 0 };
    if (!k->value) as_fail(AS_NO_MEMORY, "no memory for an axis");
    return k;
}

/* The axes of a name: those of the grid, then those of its evaluation. */
static void learn_axes(struct claims *c, const char *name)
{
    const struct plan *p = c->r->plan;
    const struct eval *v = names_eval(c->r, name);
    forget_axes(c);
    for (int a = 0; a < p->n_axes; a++) {
        struct known *k = new_axis(c, p->axis[a], p->n_cells);
        for (int i = 0; i < p->n_cells; i++) {
            bool seen = false;
            for (int s = 0; s < k->n && !seen; s++) seen = !strcmp(k->value[s], p->cell[i].coordinate[a]);
            if (!seen) k->value[k->n++] = p->cell[i].coordinate[a];
        }
    }
    c->n_grid = c->n_known;
    for (int a = 0; v && a < v->n_axes; a++) {
        struct known *k = new_axis(c, NULL, v->axis[a].n);
        k->key = c->own[c->n_known - 1] = strdup(eval_axis_name(v, &v->axis[a]));
        if (!k->key) as_fail(AS_NO_MEMORY, "no memory for an axis");
        for (int i = 0; i < v->axis[a].n; i++) k->value[k->n++] = v->axis[a].value[i];
    }
}

static int axis_at(const struct claims *c, const char *key)
{
    for (int i = 0; i < c->n_known; i++)
        if (!strcmp(c->known[i].key, key)) return i;
    return -1;
}

/* The axis' own spelling of a value, or NULL. */
static const char *canonical(const struct known *k, const char *text)
{
    for (int i = 0; i < k->n; i++)
        if (same_text(k->value[i], text)) return k->value[i];
    return NULL;
}

static const char *nearest_key(struct claims *c, const char *key)
{
    const char *names[MAX_AXES + 1] = { NULL };
    for (int i = 0; i < c->n_known; i++) names[i] = c->known[i].key;
    return as_nearest(key, names);
}

static int get_axes(void *ctx, const char *name, const struct claim_key *key, size_t n, struct claim_axes *out)
{
    struct claims *c = ctx;
    bool fixed[MAX_AXES] = { false };
    learn_axes(c, name);
    *out = (struct claim_axes){ .axis = c->open };
    for (size_t i = 0; i < n; i++) {
        int a = axis_at(c, key[i].key);
        out->bad = i;
        if (a < 0) {
            out->nearest = nearest_key(c, key[i].key);
            return CLAIM_UNKNOWN_KEY;
        }
        if (!canonical(&c->known[a], key[i].value)) {
            const char *words[256] = { NULL };
            for (int k = 0; k < c->known[a].n && k < 255; k++) words[k] = c->known[a].value[k];
            out->nearest = as_nearest(key[i].value, words);
            return CLAIM_UNKNOWN_VALUE;
        }
        fixed[a] = true;
    }
    for (int a = 0; a < c->n_known; a++)
        if (!fixed[a])
            c->open[out->n++] = (struct claim_axis){ c->known[a].key, c->known[a].value, (size_t)c->known[a].n };
    return CLAIM_AXES_OK;
}

/* ---- samples ------------------------------------------------------------------------------------------------- */

struct spot { int point, n; const char *key[MAX_AXES], *text[MAX_AXES]; };

/* The point of the grid and the evaluation keys that a claim's keys name; false when they fit no single one. */
static bool locate(struct claims *c, const char *name, const struct claim_key *key, size_t n, struct spot *s)
{
    const struct plan *p = c->r->plan;
    const char *at[MAX_AXES] = { NULL };
    learn_axes(c, name);
    for (size_t i = 0; i < n; i++) {
        int a = axis_at(c, key[i].key);
        if (a < 0 || !(at[a] = canonical(&c->known[a], key[i].value))) return false;
    }
    *s = (struct spot){ .point = -1 };
    for (int a = 0; a < c->n_known; a++) {
        if (!at[a] && c->known[a].n == 1) at[a] = c->known[a].value[0];
        if (!at[a]) return false;
        if (a < c->n_grid) continue;
        s->key[s->n] = c->known[a].key;
        s->text[s->n++] = at[a];
    }
    for (int i = 0; i < p->n_cells && s->point < 0; i++) {
        bool fits = p->cell[i].role == CELL_FINAL;
        for (int a = 0; fits && a < c->n_grid; a++) fits = !strcmp(p->cell[i].coordinate[a], at[a]);
        if (fits) s->point = p->cell[i].point;
    }
    return s->point >= 0;
}

static int claim_outcome_of(const struct record *rec)
{
    if (!rec) return CLAIM_INCOMPLETE;
    return rec->outcome == CELL_OK ? CLAIM_OK : rec->outcome == CELL_DIVERGED ? CLAIM_DIVERGED : CLAIM_INCOMPLETE;
}

static int get_samples(void *ctx, const char *name, const struct claim_key *key, size_t n,
                       const struct claim_sample **out, size_t *count)
{
    struct claims *c = ctx;
    struct results *r = c->r;
    struct spot s;
    *count = 0;
    if (!locate(c, name, key, n, &s)) return -1;
    const struct as_metric *m = as_metric_find(metric_base(name), NULL);
    bool cost = names_cost(name);
    free(c->sample);
    c->sample = calloc((size_t)r->plan->n_cells + 1, sizeof *c->sample);
    if (!c->sample) as_fail(AS_NO_MEMORY, "no memory for samples");
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *cell = &r->plan->cell[i];
        if (cell->role != CELL_FINAL || cell->point != s.point) continue;
        const struct record *rec = r->record[i];
        struct claim_sample *x = &c->sample[(*count)++];
        *x = (struct claim_sample){ .seed = cell->seed, .value = (double)NAN, .outcome = claim_outcome_of(rec) };
        const struct value *v = rec && !cost ? record_value_of(rec, name, s.n, s.key, s.text) : NULL;
        if (v) x->value = v->value;
        if (v && m && m->proportion) x->n_examples = v->examples;
        if (rec && cost) x->value = record_number_of(rec, name);
        if (x->outcome == CLAIM_OK && isnan(x->value)) x->outcome = CLAIM_INCOMPLETE;
    }
    *out = c->sample;
    return *count ? 0 : -1;
}

static void pass(const struct curve *curve, int below, double x, struct claim_steps *s)
{
    for (int i = 0; i < curve->n && !s->reached; i++) {
        s->steps = curve->x[i];
        s->reached = below ? curve->y[i] <= x : curve->y[i] >= x;
    }
}

static int get_steps(void *ctx, const char *name, const struct claim_key *key, size_t n, int below, double x,
                     const struct claim_steps **out, size_t *count)
{
    struct claims *c = ctx;
    struct results *r = c->r;
    struct spot s;
    *count = 0;
    if (!locate(c, name, key, n, &s)) return -1;
    free(c->steps);
    c->steps = calloc((size_t)r->plan->n_cells + 1, sizeof *c->steps);
    if (!c->steps) as_fail(AS_NO_MEMORY, "no memory for samples");
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *cell = &r->plan->cell[i];
        if (cell->role != CELL_FINAL || cell->point != s.point) continue;
        const struct record *rec = r->record[i];
        struct claim_steps *to = &c->steps[(*count)++];
        *to = (struct claim_steps){ .seed = cell->seed, .outcome = claim_outcome_of(rec) };
        const struct curve *curve = rec ? record_curve_of(rec, name) : NULL;
        /* A name without an evaluation means its validation curve. */
        if (rec && !curve) curve = record_curve_of(rec, as_say("valid.%s", name));
        if (curve) pass(curve, below, x, to);
        else if (to->outcome == CLAIM_OK) to->outcome = CLAIM_INCOMPLETE;
    }
    *out = c->steps;
    return *count ? 0 : -1;
}

/* An identity is a metric of a study: the largest value over all cells that the keys leave in. */
static int get_identity(void *ctx, const char *name, const struct claim_key *key, size_t n, double *error, long *cases,
                        const char **nearest)
{
    struct claims *c = ctx;
    struct claim_metric m;
    double worst = 0;
    long seen = 0, missing = 0;
    if (nearest) *nearest = NULL;
    if (!names_study_metric(c->r, name, &m)) {
        if (nearest) *nearest = names_nearest(c, name);
        return -1;
    }
    learn_axes(c, name);
    for (int i = 0; i < c->r->plan->n_cells; i++) {
        const struct cell *cell = &c->r->plan->cell[i];
        bool in = cell->role == CELL_FINAL;
        for (size_t k = 0; in && k < n; k++) {
            int a = axis_at(c, key[k].key);
            in = a >= 0 && a < c->n_grid && same_text(cell->coordinate[a], key[k].value);
        }
        if (!in) continue;
        const struct record *rec = c->r->record[i];
        const struct value *v = rec ? record_value_of(rec, name, 0, NULL, NULL) : NULL;
        if (!v) missing++;
        else seen++;
        if (v && !(v->value <= worst)) worst = v->value;
    }
    if (error) *error = worst;
    if (cases) *cases = seen;
    return missing || !seen ? 1 : 0;
}

static int get_paired(void *ctx, const char *name_a, const struct claim_key *a, size_t n_a, const char *name_b,
                      const struct claim_key *b, size_t n_b)
{
    struct claims *c = ctx;
    struct spot sa, sb;
    if (!locate(c, name_a, a, n_a, &sa) || !locate(c, name_b, b, n_b, &sb)) return 0;
    const struct plan *p = c->r->plan;
    const struct cell *ca = &p->cell[results_first(c->r, sa.point)], *cb = &p->cell[results_first(c->r, sb.point)];
    for (int i = 0; i < p->n_axes; i++)
        if (names_changes_data(c->r, p->axis[i]) && strcmp(ca->coordinate[i], cb->coordinate[i]) != 0) return 0;
    return 1;
}

const struct claim_source *results_source(struct results *r)
{
    if (r->claims) return &r->claims->source;
    struct claims *c = calloc(1, sizeof *c);
    if (!c) as_fail(AS_NO_MEMORY, "no memory for claims");
    c->r = r;
    c->source = (struct claim_source){ .ctx = c, .metric = names_metric, .axes = get_axes, .samples = get_samples,
                                       .steps_to = get_steps, .identity = get_identity, .paired = get_paired };
    r->claims = c;
    return &c->source;
}

void results_source_free(struct results *r)
{
    if (!r->claims) return;
    forget_axes(r->claims);
    free(r->claims->sample);
    free(r->claims->steps);
    free(r->claims);
    r->claims = NULL;
}

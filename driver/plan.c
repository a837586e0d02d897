/* plan.c: the grid multiplied out into cells. */
#include "experiment_impl.h"
#include "file.h"
#include "key.h"
#include "resolve.h"

#include <assay/error.h>
#include <assay/parallel.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CELLS 1000000

int plan_tune_count(const struct plan *p)
{
    int n = 1;
    for (int i = 0; i < p->e->n_tune; i++)
        n *= p->e->tune[i].n;
    return n;
}

void plan_tune_values(const struct plan *p, int c, const char **values)
{
    for (int i = p->e->n_tune - 1; i >= 0; i--) {
        values[i] = p->e->tune[i].value[c % p->e->tune[i].n];
        c /= p->e->tune[i].n;
    }
}

/* --- points ---------------------------------------------------------------------------------------------------- */

/* The coordinates of a point, the last axis fastest. text: (n_axes), borrowed. */
static void coordinates(const struct plan *p, int point, const char **text)
{
    const struct experiment *e = p->e;
    int first = e->n_arms > 0;
    for (int i = e->n_vary - 1; i >= 0; i--) {
        text[first + i] = e->vary[i].value[point % e->vary[i].n];
        point /= e->vary[i].n;
    }
    if (first)
        text[0] = e->arm[point].name;
}

static const char *place_text(const struct plan *p, int point)
{
    const char **text = more(NULL, p->n_axes, sizeof *text), *say = "";
    coordinates(p, point, text);
    for (int i = 0; i < p->n_axes; i++)
        say = as_say("%s%s%s = %s", say, i ? ", " : "", p->axis[i], text[i]);
    free(text);
    return say;
}

/* What the file says about one point and one tune combination. */
static struct as_config *asked_for(const struct plan *p, int point, int combination)
{
    const struct experiment *e = p->e;
    struct as_config *cfg = as_config_copy(e->base);
    const char **text = more(NULL, p->n_axes + e->n_tune, sizeof *text);
    int first = e->n_arms > 0, inner = 1;
    for (int i = 0; i < e->n_vary; i++)
        inner *= e->vary[i].n;
    if (first) {
        const struct as_config *set = e->arm[point / inner].set;
        for (size_t i = 0; i < set->n; i++)
            as_config_set(cfg, set->entry[i].key, set->entry[i].text, true);
    }
    coordinates(p, point, text);
    for (int i = 0; i < e->n_vary; i++)
        as_config_set(cfg, e->vary[i].key, text[first + i], true);
    plan_tune_values(p, combination, text);
    for (int i = 0; i < e->n_tune; i++)
        as_config_set(cfg, e->tune[i].key, text[i], true);
    free(text);
    return cfg;
}

static const char *count_points(struct plan *p)
{
    const struct experiment *e = p->e;
    double points = e->n_arms ? e->n_arms : 1, combinations = 1;
    for (int i = 0; i < e->n_vary; i++)
        points *= e->vary[i].n;
    for (int i = 0; i < e->n_tune; i++)
        combinations *= e->tune[i].n;
    double cells = points * (e->n_seeds + (combinations > 1 ? combinations * e->n_tune_seeds : 0));
    if (cells > MAX_CELLS)
        return as_say("%s: the grid has %.0f cells, %d are the most; shorten [vary] or [tune]", e->path, cells,
                      MAX_CELLS);
    p->n_points = (int)points;
    p->point = more(NULL, p->n_points - 1, sizeof *p->point);
    if (e->n_arms) {
        p->axis = more(p->axis, p->n_axes, sizeof *p->axis);
        p->axis[p->n_axes++] = file_text("arm");
    }
    for (int i = 0; i < e->n_vary; i++) {
        p->axis = more(p->axis, p->n_axes, sizeof *p->axis);
        p->axis[p->n_axes++] = file_text("%s", e->vary[i].key);
    }
    return NULL;
}

/* Resolves every point with every tune combination. hash: (points * combinations), allocated. */
static const char *resolve_points(struct plan *p, char (**hash)[65])
{
    int combinations = plan_tune_count(p), n = p->n_points * combinations;
    struct as_config **asked = more(NULL, n, sizeof *asked);
    bool *evals = more(NULL, n, sizeof *evals);
    struct resolved *out = more(NULL, n, sizeof *out);
    const char *why = NULL;
    p->resolved = more(NULL, n, sizeof *p->resolved);
    *hash = more(NULL, n, sizeof **hash);
    for (int i = 0; i < n; i++) {
        asked[i] = asked_for(p, i / combinations, i % combinations);
        evals[i] = i % combinations == 0;
    }
    resolve_all(p->e, asked, evals, n, out);
    for (int i = 0; i < n; i++) {
        struct point *at = &p->point[i / combinations];
        p->e->no_data = p->e->no_data || (out[i].why && out[i].no_data);
        if (out[i].why && !why)
            why = as_say("%s: %s%s%s", p->e->path, place_text(p, i / combinations), p->n_axes ? ": " : "", out[i].why);
        p->resolved[i] = out[i].config;
        out[i].config = NULL;
        memcpy((*hash)[i], out[i].data_hash, sizeof **hash);
        p->needs_data = p->needs_data || out[i].stored;
        if (i % combinations == 0) {
            *at = (struct point){ out[i].parameters, out[i].state, out[i].flop, out[i].model };
            out[i].model = NULL;
        }
        if (i == 0 && !p->e->n_metrics && out[i].metric && *out[i].metric) {
            p->e->metric = more(p->e->metric, 0, sizeof *p->e->metric);
            p->e->metric[p->e->n_metrics++] = file_text("%s", out[i].metric);
        }
        resolved_free(&out[i]);
        as_config_free(asked[i]);
    }
    free(asked);
    free(evals);
    free(out);
    return why;
}

/* --- what is evaluated ---------------------------------------------------------------------------------------- */

static void append(char **text, const char *line)
{
    char *longer = file_text("%s%s\n", *text, line);
    free(*text);
    *text = longer;
}

static void append_eval(char **text, const struct eval *v)
{
    append(text, as_say("[eval %s] examples = %ld", v->name, v->examples));
    for (size_t i = 0; i < v->set->n; i++)
        append(text, as_say("%s = %s", v->set->entry[i].key, v->set->entry[i].text));
    for (int i = 0; i < v->n_axes; i++)
        for (int k = 0; k < v->axis[i].n; k++)
            append(text, as_say("%s = %s", v->axis[i].key, v->axis[i].value[k]));
}

char *plan_eval_text(const struct experiment *e, enum cell_role role)
{
    char *text = file_text("assay evaluation, form 1\n");
    if (role == CELL_TUNE)
        return text;
    for (int i = 0; i < e->n_metrics; i++)
        append(&text, as_say("metric %s", e->metric[i]));
    for (size_t i = 0; i < e->base->n; i++)
        if (!strncmp(e->base->entry[i].key, "test.", 5))
            append(&text, as_say("%s = %s", e->base->entry[i].key, e->base->entry[i].text));
    for (int i = 0; i < e->n_evals; i++)
        append_eval(&text, &e->eval[i]);
    return text;
}

/* --- cells ----------------------------------------------------------------------------------------------------- */

static void settle(const struct plan *p, struct cell *c, int combination)
{
    int i = c->point * plan_tune_count(p) + combination;
    c->combination = combination;
    c->config = as_config_copy(p->resolved[i]);
    as_config_set(c->config, "seed", as_say("%ld", c->seed), false);
    char *text = key_text(c->config, p->data_hash[i]);
    key_sha256(text, strlen(text), c->key);
    free(text);
    text = plan_eval_text(p->e, c->role);
    key_sha256(text, strlen(text), c->eval_key);
    free(text);
}

static struct cell *add_cell(struct plan *p, enum cell_role role, int point, long seed)
{
    struct cell *c = &p->cell[p->n_cells++];
    const char **text = more(NULL, p->n_axes, sizeof *text);
    *c = (struct cell){ .role = role, .point = point, .combination = -1, .seed = seed };
    c->coordinate = more(NULL, p->n_axes, sizeof *c->coordinate);
    coordinates(p, point, text);
    for (int i = 0; i < p->n_axes; i++)
        c->coordinate[i] = file_text("%s", text[i]);
    free(text);
    return c;
}

static void make_cells(struct plan *p)
{
    const struct experiment *e = p->e;
    int combinations = plan_tune_count(p), tuned = combinations > 1 ? combinations * e->n_tune_seeds : 0;
    p->cell = more(NULL, p->n_points * (tuned + e->n_seeds), sizeof *p->cell);
    for (int i = 0; tuned && i < p->n_points; i++)
        for (int k = 0; k < combinations; k++)
            for (int s = 0; s < e->n_tune_seeds; s++)
                settle(p, add_cell(p, CELL_TUNE, i, e->tune_seed[s]), k);
    /* Seed by seed, so that an interrupted run has the same seeds of every arm. */
    for (int s = 0; s < e->n_seeds; s++)
        for (int i = 0; i < p->n_points; i++) {
            struct cell *c = add_cell(p, CELL_FINAL, i, e->seed[s]);
            if (!tuned)
                settle(p, c, 0);
        }
}

struct plan *plan_make(struct experiment *e, const char **why)
{
    struct plan *p = more(NULL, 0, sizeof *p);
    p->e = e;
    *why = as_level_refusal();
    if (!*why)
        *why = count_points(p);
    if (!*why)
        *why = resolve_points(p, &p->data_hash);
    if (!*why) {
        make_cells(p);
        return p;
    }
    *why = as_say("%s", *why);
    plan_free(p);
    return NULL;
}

void plan_tuned(struct plan *p, int point, const char *const *values)
{
    const char **text = more(NULL, p->e->n_tune, sizeof *text);
    int found = -1;
    for (int k = 0; k < plan_tune_count(p) && found < 0; k++) {
        plan_tune_values(p, k, text);
        bool same = true;
        for (int i = 0; i < p->e->n_tune; i++)
            same = same && !strcmp(text[i], values[i]);
        found = same ? k : -1;
    }
    free(text);
    if (found < 0)
        as_fail(AS_FAILED, "point %d was tuned to values that are not in [tune]", point);
    for (int i = 0; i < p->n_cells; i++) {
        struct cell *c = &p->cell[i];
        if (c->role != CELL_FINAL || c->point != point)
            continue;
        as_config_free(c->config);
        settle(p, c, found);
    }
}

void plan_free(struct plan *p)
{
    if (!p)
        return;
    for (int i = 0; i < p->n_cells; i++) {
        texts_free(p->cell[i].coordinate, p->n_axes);
        as_config_free(p->cell[i].config);
    }
    int n = p->resolved ? p->n_points * plan_tune_count(p) : 0;
    for (int i = 0; i < n; i++)
        as_config_free(p->resolved[i]);
    for (int i = 0; i < p->n_points; i++)
        free(p->point[i].model);
    texts_free(p->axis, p->n_axes);
    free(p->resolved);
    free(p->data_hash);
    free(p->cell);
    free(p->point);
    free(p);
}

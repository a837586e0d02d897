/* figures_data.c: which numbers a [figure] section asks for. */
#include <driver/figures.h>

#include <assay/error.h>
#include <assay/metric.h>
#include <driver/file.h>
#include <driver/results_claims.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };

/* One way through the axes: a grid point with values for the axes of the evaluation. */
struct where { int point, n; const char *key[MOST], *text[MOST]; };

static struct series *series_of(struct drawing *d, const char *label)
{
    for (int i = 0; i < d->n_series; i++)
        if (!strcmp(d->series[i].label, label)) return &d->series[i];
    struct series *more = realloc(d->series, (size_t)(d->n_series + 1) * sizeof *more);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for a figure");
    d->series = more;
    d->series[d->n_series] = (struct series){ .label = file_text("%s", label) };
    return &d->series[d->n_series++];
}

static struct mark *mark_new(struct series *s, const char *text)
{
    struct mark *more = realloc(s->mark, (size_t)(s->n + 1) * sizeof *more);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for a figure");
    s->mark = more;
    s->mark[s->n] = (struct mark){ .text = file_text("%s", text) };
    return &s->mark[s->n++];
}

static void keep_seeds(struct results *r, struct drawing *d, const struct where *w, int series, int place)
{
    double *x = malloc((size_t)(r->plan->n_cells + 1) * sizeof *x);
    if (!x) as_fail(AS_NO_MEMORY, "no memory for a figure");
    int n = results_values(r, w->point, d->metric, w->n, w->key, w->text, x, NULL);
    struct seeds *more = realloc(d->seed, (size_t)(d->n_seeds + n + 1) * sizeof *more);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for a figure");
    d->seed = more;
    for (int i = 0; i < n; i++) d->seed[d->n_seeds++] = (struct seeds){ series, place, x[i] };
    free(x);
}

static void add_mark(struct results *r, struct drawing *d, const struct where *w, const char *label, const char *text)
{
    struct series *s = series_of(d, label);
    struct mark *m = mark_new(s, text);
    struct stats_interval v = results_interval(r, w->point, d->metric, w->n, w->key, w->text, results_alpha(r), &m->n);
    m->mean = v.estimate;
    m->low = v.low;
    m->high = v.high;
    d->replicates = m->n > d->replicates ? m->n : d->replicates;
    keep_seeds(r, d, w, (int)(s - d->series), s->n - 1);
}

/* ---- axes ---------------------------------------------------------------------------------------------------- */

static const char *fixed_at(const struct figure *f, const char *axis)
{
    for (size_t i = 0; i < f->set->n; i++)
        if (!strcmp(f->set->entry[i].key, axis)) return f->set->entry[i].text;
    return NULL;
}

/* The coordinates of a point without the axis that runs along x; without all of them, the experiment's name. */
static char *label_of(const struct results *r, int point, const char *without)
{
    const struct cell *c = &r->plan->cell[results_first(r, point)];
    char *text = file_text("%s", "");
    for (int a = 0; a < r->plan->n_axes; a++) {
        if (without && !strcmp(r->plan->axis[a], without)) continue;
        double number;
        const char *value = c->coordinate[a];
        bool bare = !as_parse_num(value, &number) && strcmp(value, "true") && strcmp(value, "false") &&
                    strcmp(value, "none");
        char *more = file_text("%s%s%s%s%s", text, *text ? ", " : "", bare ? "" : metric_base(r->plan->axis[a]),
                               bare ? "" : " ", value);
        free(text);
        text = more;
    }
    if (*text) return text;
    free(text);
    return file_text("%s", r->e->name);
}

static bool left_out(const struct results *r, const struct figure *f, int point)
{
    const struct cell *c = &r->plan->cell[results_first(r, point)];
    for (int a = 0; a < r->plan->n_axes; a++) {
        const char *text = fixed_at(f, r->plan->axis[a]);
        if (text && strcmp(text, c->coordinate[a]) != 0) return true;
    }
    return false;
}

static int grid_axis(const struct results *r, const char *name)
{
    for (int a = 0; name && a < r->plan->n_axes; a++)
        if (!strcmp(r->plan->axis[a], name)) return a;
    return -1;
}

static const struct eval *eval_of_metric(const struct results *r, const char *metric)
{
    for (int i = 0; i < r->e->n_evals; i++) {
        size_t n = strlen(r->e->eval[i].name);
        if (!strncmp(metric, r->e->eval[i].name, n) && metric[n] == '.') return &r->e->eval[i];
    }
    return NULL;
}

static const char *refuse(const struct results *r, const struct figure *f, const char *what)
{
    return as_say("%s:%d: figure %s: %s", r->e->path, f->line, f->name, what);
}

/* Fixes the evaluation axes other than x; the value along x is filled in later, at *place (-1: not there). */
static const char *fix_axes(struct results *r, struct drawing *d, struct where *w, const struct axis **along, int *place)
{
    const struct eval *v = eval_of_metric(r, d->metric);
    *place = -1;
    *along = NULL;
    for (int a = 0; v && a < v->n_axes; a++) {
        const char *name = eval_axis_name(v, &v->axis[a]);
        if (w->n == MOST) return refuse(r, d->figure, "too many axes");
        if (d->figure->x && !strcmp(name, d->figure->x)) {
            *place = w->n;
            *along = &v->axis[a];
            w->text[w->n] = "";
        } else if (v->axis[a].n == 1) {
            w->text[w->n] = v->axis[a].value[0];
        } else if (!(w->text[w->n] = fixed_at(d->figure, name))) {
            return refuse(r, d->figure, as_say("the axis %s stays open; add `%s = %s` to the section", name, name,
                                               v->axis[a].value[0]));
        }
        w->key[w->n++] = file_text("%s", name);
    }
    return NULL;
}

static void free_keys(struct where *w)
{
    for (int i = 0; i < w->n; i++) free((char *)(uintptr_t)w->key[i]);
    w->n = 0;
}

static const char *read_values(struct results *r, struct drawing *d)
{
    const struct figure *f = d->figure;
    struct where w = { .n = 0 };
    const struct axis *along;
    int place, grid = grid_axis(r, f->x);
    const char *why = fix_axes(r, d, &w, &along, &place);
    if (!why && f->x && place < 0 && grid < 0)
        why = refuse(r, f, as_say("there is no axis %s for x; it is an axis of the grid, or EVAL.KEY of the evaluation "
                                  "of y", f->x));
    for (int p = 0; !why && p < r->plan->n_points; p++) {
        if (left_out(r, f, p)) continue;
        w.point = p;
        char *label = label_of(r, p, grid >= 0 ? f->x : NULL);
        const char *here = grid >= 0 ? r->plan->cell[results_first(r, p)].coordinate[grid] : label;
        if (place < 0) add_mark(r, d, &w, label, here);
        for (int k = 0; place >= 0 && k < along->n; k++) {
            w.text[place] = along->value[k];
            add_mark(r, d, &w, label, along->value[k]);
        }
        free(label);
    }
    free_keys(&w);
    return why;
}

/* ---- learning curves ----------------------------------------------------------------------------------------- */

static const struct curve *curve_of(const struct record *rec, const char *name)
{
    const struct curve *c = record_curve_of(rec, name);
    return c ? c : record_curve_of(rec, as_say("valid.%s", name));
}

/* Mean and interval over the seeds at each step that the first curve has and others share. */
static void read_curve(struct results *r, struct drawing *d, int point, const char *label)
{
    double *y = malloc((size_t)(r->plan->n_cells + 1) * sizeof *y);
    const struct curve *first = NULL;
    if (!y) as_fail(AS_NO_MEMORY, "no memory for a figure");
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *c = &r->plan->cell[i];
        const struct curve *k = c->role == CELL_FINAL && c->point == point && r->record[i]
                                    ? curve_of(r->record[i], d->metric) : NULL;
        if (k && (!first || k->n > first->n)) first = k;
    }
    for (int s = 0; first && s < first->n; s++) {
        int n = 0;
        for (int i = 0; i < r->plan->n_cells; i++) {
            const struct cell *c = &r->plan->cell[i];
            if (c->role != CELL_FINAL || c->point != point || !r->record[i]) continue;
            const struct curve *k = curve_of(r->record[i], d->metric);
            if (k && s < k->n && !(k->x[s] < first->x[s]) && !(k->x[s] > first->x[s]) && isfinite(k->y[s]))
                y[n++] = k->y[s];
        }
        if (!n) continue;
        struct mark *m = mark_new(series_of(d, label), as_say("%.0f", first->x[s]));
        struct stats_interval v = n > 1 ? stats_mean_interval(y, (size_t)n, results_alpha(r))
                                        : (struct stats_interval){ y[0], STATS_NAN, STATS_NAN };
        *m = (struct mark){ m->text, first->x[s], v.estimate, v.low, v.high, n };
        if (d->proportion && m->low < 0) m->low = 0;
        if (d->proportion && m->high > 1) m->high = 1;
        d->replicates = n > d->replicates ? n : d->replicates;
    }
    free(y);
}

/* The curve of the first seed that has one, as points of the plane: there is no mean of them. */
static void read_points(struct results *r, struct drawing *d, int point, const char *label)
{
    const struct curve *k = NULL;
    for (int i = 0; i < r->plan->n_cells && !k; i++) {
        const struct cell *c = &r->plan->cell[i];
        if (c->role == CELL_FINAL && c->point == point && r->record[i]) k = curve_of(r->record[i], d->metric);
    }
    for (int s = 0; k && s < k->n; s++) {
        struct mark *m = mark_new(series_of(d, label), as_say("%.9g", k->x[s]));
        *m = (struct mark){ m->text, k->x[s], k->y[s], STATS_NAN, STATS_NAN, 1 };
        d->replicates = 1;
    }
}

static const char *read_curves(struct results *r, struct drawing *d)
{
    for (int p = 0; p < r->plan->n_points; p++) {
        if (left_out(r, d->figure, p)) continue;
        char *label = label_of(r, p, NULL);
        (drawing_is_points(d) ? read_points : read_curve)(r, d, p, label);
        free(label);
    }
    return d->n_series ? NULL : refuse(r, d->figure, as_say("no record has a curve %s; %s", d->metric,
                                                            "try train.loss, or valid.METRIC"));
}

/* ---- the whole ----------------------------------------------------------------------------------------------- */

/* Texts that are all numbers stand where the numbers are; else in order of their first appearance. */
static void place_marks(struct drawing *d)
{
    const char *seen[256];
    int n = 0;
    d->x_numeric = true;
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++)
            d->x_numeric = as_parse_num(d->series[s].mark[i].text, &d->series[s].mark[i].x) && d->x_numeric;
    if (d->x_numeric) return;
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++) {
            int k = 0;
            while (k < n && strcmp(seen[k], d->series[s].mark[i].text) != 0) k++;
            if (k == n && n < 256) seen[n++] = d->series[s].mark[i].text;
            d->series[s].mark[i].x = k + 1;
        }
}

static bool any_value(const struct drawing *d)
{
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++)
            if (isfinite(d->series[s].mark[i].mean)) return true;
    return false;
}

bool drawing_is_points(const struct drawing *d) { return !strcmp(d->figure->kind, "scatter"); }

struct drawing *drawing_make(struct results *r, const struct figure *f, const char **why)
{
    struct drawing *d = calloc(1, sizeof *d);
    if (!d) as_fail(AS_NO_MEMORY, "no memory for a figure");
    d->figure = f;
    bool learning = !strcmp(f->kind, "learning") || drawing_is_points(d);
    struct claim_metric m;
    const struct claim_source *source = results_source(r);
    d->metric = file_text("%s", f->y ? f->y : learning ? "train.loss" : r->e->n_metrics ? r->e->metric[0] : "");
    d->x_name = file_text("%s", learning ? names_along(r, d->metric) : f->x ? f->x : "");
    d->chance = (double)NAN;
    d->level = 100 * (1 - (r->e->alpha > 0 ? r->e->alpha : 0.05));
    const struct as_metric *declared = as_metric_find(metric_base(d->metric), NULL);
    d->proportion = declared && declared->proportion;
    *why = NULL;
    if (!source->metric(source->ctx, d->metric, &m, NULL)) d->chance = m.chance;
    else if (!learning) *why = refuse(r, f, as_say("there is no metric %s", d->metric));
    if (!*why) *why = learning ? read_curves(r, d) : read_values(r, d);
    if (!*why && !any_value(d)) *why = refuse(r, f, "nothing is stored yet; run the experiment first");
    place_marks(d);
    if (!*why) return d;
    drawing_free(d);
    return NULL;
}

void drawing_free(struct drawing *d)
{
    if (!d) return;
    for (int s = 0; s < d->n_series; s++) {
        for (int i = 0; i < d->series[s].n; i++) free(d->series[s].mark[i].text);
        free(d->series[s].mark);
        free(d->series[s].label);
    }
    free(d->series);
    free(d->seed);
    free(d->metric);
    free(d->x_name);
    free(d);
}

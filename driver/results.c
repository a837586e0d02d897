#include <driver/results.h>

#include <assay/error.h>
#include <assay/metric.h>
#include <driver/file.h>
#include <driver/key.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *zeroed(size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    if (!p) as_fail(AS_NO_MEMORY, "no memory for the results");
    return p;
}

const char *metric_base(const char *name)
{
    const char *dot = strrchr(name, '.');
    return dot ? dot + 1 : name;
}

char *results_record(const struct results *r, int cell)
{
    return file_text("%s/%s.h5", r->cells, r->plan->cell[cell].key);
}
char *results_work(const struct results *r, int cell, const char *suffix)
{
    return file_text("%s/%s.%s", r->work, r->plan->cell[cell].key, suffix);
}

static void keep_damage(struct results *r, const char *line)
{
    for (int i = 0; i < r->n_damaged; i++)
        if (!strcmp(r->damaged[i], line)) return;
    char **more = realloc(r->damaged, (size_t)(r->n_damaged + 1) * sizeof *more);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for the results");
    r->damaged = more;
    r->damaged[r->n_damaged++] = file_text("%s", line);
}

void results_read(struct results *r, int cell)
{
    const struct cell *c = &r->plan->cell[cell];
    record_free(r->record[cell]);
    r->record[cell] = NULL;
    if (!c->key[0]) return;
    char *path = results_record(r, cell);
    const char *why = NULL;
    if (file_exists(path)) r->record[cell] = record_read(path, false, &why);
    if (why) keep_damage(r, why);
    if (r->record[cell] && strcmp(r->record[cell]->key, c->key) != 0) {
        keep_damage(r, as_say("%s: it belongs to another cell; delete it and run again", path));
        record_free(r->record[cell]);
        r->record[cell] = NULL;
    }
    free(path);
}

static bool same_questions(const struct record *rec, const struct cell *c)
{
    const char *asked = record_text_of(rec, "eval_key");
    return asked && !strcmp(asked, c->eval_key);
}

bool results_complete(const struct results *r, int cell)
{
    const struct record *rec = r->record[cell];
    if (!rec || !outcome_final(rec->outcome)) return false;
    return rec->outcome == CELL_DIVERGED || same_questions(rec, &r->plan->cell[cell]);
}

bool results_weights(const struct results *r, int cell)
{
    const struct record *rec = r->record[cell];
    return rec && rec->outcome == CELL_OK && !same_questions(rec, &r->plan->cell[cell]);
}

/* ---- tuning -------------------------------------------------------------------------------------------------- */

struct tally { double score, tie; int n; };

/* The validation score of a tuning cell and what breaks ties, both so that more is better. */
static void score_of(const struct record *rec, double *score, double *tie)
{
    *score = *tie = -(double)INFINITY;
    if (!rec || rec->outcome != CELL_OK) return;
    for (int i = 0, seen = 0; i < rec->n_values; i++) {
        const struct value *v = &rec->value[i];
        const struct as_metric *m = as_metric_find(metric_base(v->metric), NULL);
        if (strncmp(v->metric, "valid.", 6) != 0 || !m || isnan(v->value)) continue;
        *(seen++ ? tie : score) = m->higher_is_better ? v->value : -v->value;
    }
}

static bool better(struct tally a, struct tally b)
{
    return a.score > b.score || (!(a.score < b.score) && a.tie > b.tie);
}

/* Whether the combination takes an end of an axis of three or more values; which one, as text. */
static char *edge_of(const struct results *r, int combination)
{
    const struct experiment *e = r->e;
    const char *value[64];
    if (e->n_tune > 64) return NULL;
    plan_tune_values(r->plan, combination, value);
    for (int a = 0; a < e->n_tune; a++) {
        const struct axis *x = &e->tune[a];
        if (x->n > 1 && (!strcmp(value[a], x->value[0]) || !strcmp(value[a], x->value[x->n - 1])))
            return file_text("%s = %s", x->key, value[a]);
    }
    return NULL;
}

void results_choose(struct results *r, int point)
{
    struct plan *p = r->plan;
    struct choice *ch = &r->choice[point];
    int n = plan_tune_count(p), best = -1;
    struct tally *t = zeroed((size_t)n, sizeof *t);
    bool all = true;
    for (int i = 0; i < p->n_cells; i++) {
        const struct cell *c = &p->cell[i];
        if (c->role != CELL_TUNE || c->point != point) continue;
        double score, tie;
        all = all && r->record[i];
        score_of(r->record[i], &score, &tie);
        t[c->combination].score += score;
        t[c->combination].tie += tie;
        t[c->combination].n++;
    }
    if (r->e->n_tune == 0) {
        best = 0;
    } else {
        for (int c = 0; c < n; c++) {
            if (!t[c].n || isinf(t[c].score)) continue;
            t[c].score /= t[c].n;
            t[c].tie /= t[c].n;
            if (best < 0 || better(t[c], t[best])) best = c;
        }
    }
    free(ch->edge_of);
    *ch = (struct choice){ .made = all, .combination = all ? best : -1, .score = best >= 0 ? t[best].score : 0 };
    free(t);
    if (ch->combination < 0) return;
    if (r->e->n_tune) {
        ch->edge_of = edge_of(r, best);
        ch->edge = ch->edge_of != NULL;
    }
    const char **value = zeroed((size_t)r->e->n_tune, sizeof *value);
    plan_tune_values(p, best, value);
    plan_tuned(p, point, value);
    free(value);
}

/* ---- sharing ------------------------------------------------------------------------------------------------- */

const char *results_share(struct results *r, int cell)
{
    const struct cell *c = &r->plan->cell[cell];
    if (!r->plain || r->record[cell] || !c->key[0]) return NULL;
    char *from = file_text("%s/cells/%s.h5", r->plain, c->key), *to = results_record(r, cell);
    const char *why = file_exists(from) ? file_link(from, to) : NULL;
    if (!why && file_exists(to)) results_read(r, cell);
    free(from);
    free(to);
    return why;
}

/* ---- opening ------------------------------------------------------------------------------------------------- */

static void name_folder(struct results *r, const char *folder)
{
    const struct experiment *e = r->e;
    char hex[65], *plain = file_text("%s%s", e->name, e->quick ? "-quick" : "");
    if (e->settings) {
        key_sha256(e->settings, strlen(e->settings), hex);
        r->name = file_text("%s-set-%.8s", plain, hex);
        r->plain = file_text("%s/%s", folder, plain);
    } else {
        r->name = file_text("%s", plain);
    }
    r->folder = file_text("%s/%s", folder, r->name);
    free(plain);
}

struct results *results_open(struct experiment *e, const char *folder, const char **why)
{
    struct plan *p = plan_make(e, why);
    if (!p) return NULL;
    struct results *r = zeroed(1, sizeof *r);
    r->e = e;
    r->plan = p;
    name_folder(r, folder);
    r->cells = file_text("%s/cells", r->folder);
    r->work = file_text("%s/underway", r->folder);
    r->figures = file_text("%s/figures", r->folder);
    r->record = zeroed((size_t)p->n_cells, sizeof *r->record);
    r->choice = zeroed((size_t)p->n_points, sizeof *r->choice);
    for (int i = 0; i < p->n_cells; i++)
        if (p->cell[i].role == CELL_TUNE) results_read(r, i);
    for (int k = 0; k < p->n_points; k++) results_choose(r, k);
    for (int i = 0; i < p->n_cells; i++)
        if (p->cell[i].role == CELL_FINAL) results_read(r, i);
    return r;
}

void results_close(struct results *r)
{
    if (!r) return;
    results_source_free(r);
    for (int i = 0; i < r->plan->n_cells; i++) record_free(r->record[i]);
    for (int i = 0; i < r->plan->n_points; i++) free(r->choice[i].edge_of);
    for (int i = 0; i < r->n_damaged; i++) free(r->damaged[i]);
    free(r->damaged);
    free(r->record);
    free(r->choice);
    plan_free(r->plan);
    free(r->name);
    free(r->plain);
    free(r->folder);
    free(r->cells);
    free(r->work);
    free(r->figures);
    free(r);
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

int results_first(const struct results *r, int point)
{
    for (int i = 0; i < r->plan->n_cells; i++)
        if (r->plan->cell[i].role == CELL_FINAL && r->plan->cell[i].point == point) return i;
    return -1;
}

static char *join(const struct results *r, int point, bool names)
{
    const struct cell *c = &r->plan->cell[results_first(r, point)];
    char *text = file_text("%s", "");
    for (int a = 0; a < r->plan->n_axes; a++) {
        bool named = names && strcmp(r->plan->axis[a], "arm") != 0;
        char *longer = file_text("%s%s%s%s%s", text, *text ? ", " : "", named ? r->plan->axis[a] : "",
                                 named ? "=" : "", c->coordinate[a]);
        free(text);
        text = longer;
    }
    if (*text) return text;
    free(text);
    return file_text("%s", "all");
}

char *results_arm(const struct results *r, int point) { return join(r, point, true); }

/* A number alone says nothing: such axes keep the last part of their name. */
char *results_short(const struct results *r, int point)
{
    const struct cell *c = &r->plan->cell[results_first(r, point)];
    char *text = file_text("%s", "");
    for (int a = 0; a < r->plan->n_axes; a++) {
        double number;
        const char *value = c->coordinate[a], *key = metric_base(r->plan->axis[a]);
        bool bare = !as_parse_num(value, &number) && strcmp(value, "true") && strcmp(value, "false") &&
                    strcmp(value, "none") && strcmp(value, "yes") && strcmp(value, "no");
        char *longer = file_text("%s%s%s%s%s", text, *text ? ", " : "", bare ? "" : key, bare ? "" : " ", value);
        free(text);
        text = longer;
    }
    if (*text) return text;
    free(text);
    return file_text("%s", r->e->name);
}

int results_values(const struct results *r, int point, const char *metric, int n, const char *const *keys,
                   const char *const *texts, double *x, long *seed)
{
    int found = 0;
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *c = &r->plan->cell[i];
        const struct record *rec = r->record[i];
        if (c->role != CELL_FINAL || c->point != point || !rec) continue;
        const struct value *v = record_value_of(rec, metric, n, keys, texts);
        double value = v ? v->value : (double)NAN;
        if (rec->outcome == CELL_DIVERGED) {
            struct claim_metric m;
            const struct claim_source *s = results_source((struct results *)(uintptr_t)r);
            if (!s->metric(s->ctx, metric, &m, NULL)) value = m.worst;
        }
        if (isnan(value)) continue;
        if (seed) seed[found] = c->seed;
        x[found++] = value;
    }
    return found;
}

/* ---- cells.tsv ----------------------------------------------------------------------------------------------- */

static void write_metrics(FILE *f, const struct record *rec)
{
    for (int i = 0; i < rec->n_values; i++) {
        const struct value *v = &rec->value[i];
        fprintf(f, "%s%s", i ? " " : "", v->metric);
        for (int k = 0; k < v->n_keys; k++)
            fprintf(f, "%s%s=%s%s", k ? "," : "[", v->key[k], v->text[k], k + 1 == v->n_keys ? "]" : "");
        fprintf(f, "=%s", as_say("%.9g", v->value));
    }
}

const char *results_write_cells(const struct results *r)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for cells.tsv");
    fputs("key\trole", f);
    for (int a = 0; a < r->plan->n_axes; a++) fprintf(f, "\t%s", r->plan->axis[a]);
    fputs("\ttuned\tseed\toutcome\tmetrics\tseconds\tdigest\treason\n", f);
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *c = &r->plan->cell[i];
        const struct record *rec = r->record[i];
        const char *tuned[64], *digest = rec ? record_text_of(rec, "digest") : NULL;
        fprintf(f, "%s\t%s", c->key[0] ? c->key : "-", c->role == CELL_FINAL ? "final" : "tune");
        for (int a = 0; a < r->plan->n_axes; a++) fprintf(f, "\t%s", c->coordinate[a]);
        putc('\t', f);
        if (r->e->n_tune && r->e->n_tune <= 64 && c->combination >= 0) {
            plan_tune_values(r->plan, c->combination, tuned);
            for (int a = 0; a < r->e->n_tune; a++) fprintf(f, "%s%s=%s", a ? " " : "", r->e->tune[a].key, tuned[a]);
        }
        fprintf(f, "\t%ld\t%s\t", c->seed, outcome_name(rec ? rec->outcome : CELL_MISSING));
        if (rec) write_metrics(f, rec);
        double seconds = rec ? record_number_of(rec, "seconds") : (double)NAN;
        fprintf(f, "\t%s\t%s\t%s\n", isnan(seconds) ? "" : as_say("%.3f", seconds), digest ? digest : "",
                rec ? rec->reason : "");
    }
    char *unchecked = results_unchecked(r);
    if (unchecked) fprintf(f, "# %s\n", unchecked);
    free(unchecked);
    fclose(f);
    char *path = file_text("%s/cells.tsv", r->folder);
    const char *why = file_replace(path, text, n);
    free(path);
    free(text);
    return why;
}

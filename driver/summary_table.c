#include <driver/summary_table.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/results_claims.h>
#include <driver/text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- aligned text -------------------------------------------------------------------------------------------- */

struct table table_new(int columns) { return (struct table){ NULL, 0, columns }; }

void table_put(struct table *t, int row, int column, const char *text)
{
    if (row >= t->rows) {
        size_t was = (size_t)t->rows * (size_t)t->columns, is = (size_t)(row + 1) * (size_t)t->columns;
        char **more = realloc(t->text, is * sizeof *more);
        if (!more) as_fail(AS_NO_MEMORY, "no memory for a table");
        memset(more + was, 0, (is - was) * sizeof *more);
        t->text = more;
        t->rows = row + 1;
    }
    char **at = &t->text[row * t->columns + column];
    free(*at);
    *at = file_text("%s", text);
}

void table_free(struct table *t)
{
    for (int i = 0; i < t->rows * t->columns; i++) free(t->text[i]);
    free(t->text);
    *t = (struct table){ 0 };
}

/* Columns on a terminal: bytes that begin a character. */
static int shown_width(const char *text)
{
    int n = 0;
    for (; *text; text++) n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static void print_table(const struct table *t, const char *corner, const char *tail)
{
    for (int r = 0; r < t->rows; r++) {
        int owed = 0;
        for (int c = 0; c < t->columns; c++) {
            const char *text = t->text[r * t->columns + c];
            if (!text) text = r == 0 && c == 0 ? corner : "";
            int wide = c == 0 ? shown_width(corner) : 0;
            for (int i = 0; i < t->rows; i++) {
                const char *other = t->text[i * t->columns + c];
                int n = other ? shown_width(other) : 0;
                wide = n > wide ? n : wide;
            }
            int pad = wide - shown_width(text);
            /* Blanks are owed until something follows them: no line ends in one. */
            if (*text) printf("%*s%s", owed + (c ? pad : 0), "", text);
            owed = (*text ? 0 : owed + shown_width(text) + pad) + 2 + (!c && *text ? pad : 0);
        }
        printf("%s\n", r == 0 ? tail : "");
    }
}

/* ---- metrics ------------------------------------------------------------------------------------------------- */

static const char *shown(double x)
{
    char text[64];
    if (isnan(x)) return "-";
    if (fabs(x) >= 1000 || (fabs(x) < 1e-3 && fabs(x) > 0)) stats_format_short(text, sizeof text, x);
    else stats_format(text, sizeof text, x, fabs(x) >= 100 ? 1 : fabs(x) >= 10 ? 2 : 3);
    return as_say("%s", text);
}
static const char *bounds(struct stats_interval v)
{
    char low[64], high[64];
    if (isnan(v.low)) return "";
    if (fabs(v.estimate) >= 1000 || (fabs(v.estimate) < 1e-3 && fabs(v.estimate) > 0)) {
        stats_format_short(low, sizeof low, v.low);
        stats_format_short(high, sizeof high, v.high);
        return as_say("[%s, %s]", low, high);
    }
    int d = fabs(v.estimate) >= 100 ? 1 : fabs(v.estimate) >= 10 ? 2 : 3;
    stats_format_down(low, sizeof low, v.low, d);
    stats_format_up(high, sizeof high, v.high, d);
    return as_say("[%s, %s]", low, high);
}

/* The value of the last axis that the claims read, which deserves the interval; the last one without. */
struct wanted { const char *metric, *key; const struct axis *axis; int at; };

static int note_point(void *arg, const char *metric, const struct claim_key *key, size_t n)
{
    struct wanted *w = arg;
    if (strcmp(metric, w->metric) != 0) return 0;
    for (size_t i = 0; i < n; i++)
        for (int k = 0; !strcmp(key[i].key, w->key) && k < w->axis->n; k++)
            if (!strcmp(w->axis->value[k], key[i].value)) w->at = k;
    return w->at >= 0;
}

static int column_claimed(struct results *r, const char *metric, const struct eval *v)
{
    const struct axis *axis = &v->axis[v->n_axes - 1];
    char *key = file_text("%s", eval_axis_name(v, axis));
    struct wanted w = { metric, key, axis, -1 };
    for (int i = 0; i < r->e->n_claims && w.at < 0; i++) {
        struct claim_error err;
        struct claim *c = claim_parse(&r->e->claim[i], &err);
        if (c) claim_points(c, results_source(r), note_point, &w, &err);
        claim_free(c);
    }
    free(key);
    return w.at < 0 ? axis->n - 1 : w.at;
}

static int others_of(const struct eval *v)
{
    int n = 1;
    for (int a = 0; a + 1 < v->n_axes; a++) n *= v->axis[a].n;
    return n;
}

/* The keys of column `column` and combination `other` of an evaluation's remaining axes, and a text for the row. */
static int keys_at(const struct eval *v, int other, int column, const char **key, const char **text, char **label)
{
    int n = v ? v->n_axes : 0;
    *label = file_text("%s", "");
    for (int a = n - 1; a >= 0; a--) {
        const struct axis *x = &v->axis[a];
        key[a] = file_text("%s", eval_axis_name(v, x));
        text[a] = x->value[a == n - 1 ? column : other % x->n];
        if (a == n - 1) continue;
        other /= x->n;
        char *more = file_text(" %s=%s%s", metric_base(x->key), text[a], *label);
        free(*label);
        *label = more;
    }
    return n;
}

static char *caption_of(const struct results *r, int seeds, const char *at)
{
    double level = 100 * (1 - (r->e->alpha > 0 ? r->e->alpha : 0.05));
    return file_text("(mean of %d seed%s, simultaneous %s %%%s%s)", seeds, seeds == 1 ? "" : "s",
                     as_say("%g", level), at ? " at " : "", at ? at : "");
}

static struct block block_make(struct results *r, const char *metric, const struct eval *v)
{
    enum { MOST = 16 };
    bool line = v && v->n_axes > 0 && v->n_axes <= MOST;
    const struct axis *axis = line ? &v->axis[v->n_axes - 1] : NULL;
    int columns = line ? axis->n : 1, others = line ? others_of(v) : 1, seeds = 0;
    int at = line ? column_claimed(r, metric, v) : 0;
    struct block b = { table_new(columns + 2), NULL };
    for (int c = 0; c < columns; c++) table_put(&b.table, 0, 1 + c, line ? axis->value[c] : "mean");
    for (int k = 0; k < r->plan->n_points * others; k++) {
        char *arm = results_short(r, k / others), *label = NULL;
        for (int c = 0; c < columns; c++) {
            const char *key[MOST], *text[MOST];
            int count, n = keys_at(line ? v : NULL, k % others, c, key, text, &label);
            struct stats_interval s = results_interval(r, k / others, metric, n, key, text, results_alpha(r), &count);
            seeds = count > seeds ? count : seeds;
            table_put(&b.table, 1 + k, 1 + c, shown(s.estimate));
            if (c == at) table_put(&b.table, 1 + k, 1 + columns, bounds(s));
            for (int i = 0; i < n; i++) free((char *)(uintptr_t)key[i]);
            if (c + 1 < columns) free(label);
        }
        char *name = file_text("%s%s", arm, label);
        table_put(&b.table, 1 + k, 0, name);
        free(name);
        free(arm);
        free(label);
    }
    table_put(&b.table, 0, 0, line ? as_say("%s by %s", metric, metric_base(axis->key)) : metric);
    b.caption = caption_of(r, seeds, line ? axis->value[at] : NULL);
    return b;
}

static void block_free(struct block *b)
{
    table_free(&b->table);
    free(b->caption);
}

static void print_block(void *ctx, const struct block *b)
{
    char *tail = file_text("  %s", b->caption);
    (void)ctx;
    print_table(&b->table, "", tail);
    putchar('\n');
    free(tail);
}

struct sought { const char *metric; };

static int is_sought(void *arg, const char *metric, const struct claim_key *key, size_t n)
{
    (void)key, (void)n;
    return !strcmp(metric, ((struct sought *)arg)->metric);
}

/* Whether a claim or a figure reads it; what is drawn over training is a curve, and no number of the table. */
static bool is_read(struct results *r, const char *metric)
{
    const struct experiment *e = r->e;
    for (int i = 0; i < e->n_figures; i++)
        if (strcmp(e->figure[i].kind, "learning") != 0 &&
            ((e->figure[i].y && !strcmp(e->figure[i].y, metric)) || (e->figure[i].x && !strcmp(e->figure[i].x, metric))))
            return true;
    bool found = false;
    for (int i = 0; i < e->n_claims && !found; i++) {
        struct sought s = { metric };
        struct claim_error err;
        struct claim *c = claim_parse(&e->claim[i], &err);
        found = c && claim_points(c, results_source(r), is_sought, &s, &err) == 1;
        claim_free(c);
    }
    return found;
}

static char *table_metric(const struct results *r, int i, const struct eval **v)
{
    const struct experiment *e = r->e;
    int stages = e->n_stages > 0 ? e->n_stages - 1 : 0, each = 1 + stages + e->n_evals;
    int metric = i / each, place = i % each;
    *v = NULL;
    if (metric >= e->n_metrics) {
        const char *own = names_of_study(r, i - e->n_metrics * each);
        return own ? file_text("%s", own) : NULL;
    }
    if (place == 0) return file_text("%s", e->metric[metric]);
    if (place <= stages) return file_text("%s.%s", e->stage[place - 1], e->metric[metric]);
    *v = &e->eval[place - stages - 1];
    return file_text("%s.%s", (*v)->name, e->metric[metric]);
}

/* The metrics of a study that has no arms: a row each. */
static struct block block_together(struct results *r, bool all)
{
    const struct eval *v;
    struct block b = { table_new(3), NULL };
    int row = 0, seeds = 0;
    char *name;
    table_put(&b.table, 0, 1, "mean");
    for (int i = 0; (name = table_metric(r, i, &v)); i++) {
        int count;
        struct stats_interval s = results_interval(r, 0, name, 0, NULL, NULL, results_alpha(r), &count);
        if (count > 0 && (all || is_read(r, name))) {
            table_put(&b.table, ++row, 0, name);
            table_put(&b.table, row, 1, shown(s.estimate));
            table_put(&b.table, row, 2, bounds(s));
            seeds = count > seeds ? count : seeds;
        }
        free(name);
    }
    b.caption = caption_of(r, seeds, NULL);
    return b;
}

/* Whether any of its cells has the number: a study's curves have names, too. */
static bool is_measured(struct results *r, const char *metric, const struct eval *v)
{
    int count = 0;
    for (int k = 0; !v && names_of_study(r, 0) && !count && k < r->plan->n_points; k++)
        results_interval(r, k, metric, 0, NULL, NULL, results_alpha(r), &count);
    return count || v || !names_of_study(r, 0);
}

char *table_blocks(struct results *r, bool all, void (*put)(void *ctx, const struct block *b), void *ctx)
{
    bool together = r->plan->n_points == 1 && names_of_study(r, 0);
    const struct eval *v = NULL;
    char *more = file_text("%s", ""), *name;
    int read = 0;
    for (int i = 0; !all && (name = table_metric(r, i, &v)); i++) {
        read += is_read(r, name) && is_measured(r, name, v);
        free(name);
    }
    all = all || !read;
    if (together) {
        struct block b = block_together(r, all);
        if (b.table.rows > 1) put(ctx, &b);
        block_free(&b);
    }
    for (int i = 0; (name = table_metric(r, i, &v)); i++) {
        char *longer = NULL;
        if (!is_measured(r, name, v)) { free(name); continue; }
        if (!all && !is_read(r, name)) longer = file_text("%s%s%s", more, *more ? ", " : "", name);
        if (!together && !longer) {
            struct block b = block_make(r, name, v);
            put(ctx, &b);
            block_free(&b);
        }
        free(name);
        if (!longer) continue;
        free(more);
        more = longer;
    }
    return more;
}

void table_metrics(struct results *r, bool all)
{
    char *more = table_blocks(r, all, print_block, NULL);
    if (*more) printf("also measured: %s (--all shows them)\n\n", more);
    free(more);
}

/* ---- budgets ------------------------------------------------------------------------------------------------- */

static double mean_number(const struct results *r, int point, const char *name)
{
    double sum = 0;
    int n = 0;
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *c = &r->plan->cell[i];
        if (c->role != CELL_FINAL || c->point != point || !r->record[i]) continue;
        double x = record_number_of(r->record[i], name);
        if (isnan(x)) continue;
        sum += x;
        n++;
    }
    return n ? sum / n : (double)NAN;
}

struct table budget_make(struct results *r)
{
    static const char *const head[] = { "budget", "parameters", "state", "FLOP/sequence", "steps", "s/cell", "MiB" };
    enum { COLUMNS = sizeof head / sizeof *head };
    const struct experiment *e = r->e;
    struct table t = table_new(COLUMNS + (e->n_tune ? 1 : 0));
    for (int c = 0; c < COLUMNS; c++) table_put(&t, 0, c, head[c]);
    if (e->n_tune) table_put(&t, 0, COLUMNS, "tuned to");
    for (int k = 0; k < r->plan->n_points; k++) {
        const struct point *p = r->plan->point ? &r->plan->point[k] : NULL;
        char *arm = results_short(r, k);
        double steps = mean_number(r, k, "steps"), seconds = mean_number(r, k, "train.seconds");
        table_put(&t, 1 + k, 0, arm);
        table_put(&t, 1 + k, 1, text_count(p ? p->parameters : mean_number(r, k, "parameters")));
        table_put(&t, 1 + k, 2, text_count(p ? p->state : mean_number(r, k, "state")));
        table_put(&t, 1 + k, 3, text_count(p ? p->flop : mean_number(r, k, "flop")));
        table_put(&t, 1 + k, 4, text_count(steps));
        table_put(&t, 1 + k, 5, isnan(seconds) ? "-" : as_say("%.1f", seconds));
        table_put(&t, 1 + k, 6, text_count(mean_number(r, k, "peak.memory") / 1048576));
        free(arm);
        if (!e->n_tune || e->n_tune > 64) continue;
        const char *value[64];
        char *text = file_text("%s", r->choice[k].combination < 0 ? "-" : "");
        if (r->choice[k].combination >= 0) plan_tune_values(r->plan, r->choice[k].combination, value);
        for (int a = 0; r->choice[k].combination >= 0 && a < e->n_tune; a++) {
            char *more = file_text("%s%s%s %s", text, a ? ", " : "", metric_base(e->tune[a].key), value[a]);
            free(text);
            text = more;
        }
        table_put(&t, 1 + k, COLUMNS, text);
        free(text);
    }
    return t;
}

/* By how much the largest exceeds the smallest; 1 when all are equal. */
static double spread_of(const struct results *r, bool state)
{
    double low = (double)INFINITY, high = 0;
    for (int k = 0; k < r->plan->n_points && r->plan->point; k++) {
        double x = state ? r->plan->point[k].state : r->plan->point[k].parameters;
        low = x < low ? x : low;
        high = x > high ? x : high;
    }
    return low > 0 && isfinite(low) ? high / low : high > 0 ? STATS_INF : 1;
}

void table_budgets(struct results *r)
{
    struct table t = budget_make(r);
    double p = spread_of(r, false), s = spread_of(r, true);
    putchar('\n');
    print_table(&t, "", "");
    if (r->plan->n_points > 1) {
        bool wide = p > 1 + BUDGET_TOLERANCE, deep = s > 1 + BUDGET_TOLERANCE, differ = wide || deep;
        if (differ) printf("budgets differ:");
        else printf("same budget within %.0f %%", 100 * BUDGET_TOLERANCE);
        if (wide) printf(" parameters by a factor of up to %s", as_say("%.2f", p));
        if (wide && deep) putchar(';');
        if (deep) printf(" state %s%s", isinf(s) ? "none in some arms" : "by a factor of up to ",
                             isinf(s) ? "" : as_say("%.2f", s));
        putchar('\n');
    }
    table_free(&t);
}

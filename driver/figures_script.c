/* figures_script.c: a figure's table, and the gnuplot script beside it: what the data say first, then the template
 * of its kind, so that a person can restyle it without this program. */
#include <driver/figures.h>

#include <assay/error.h>
#include <driver/file.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef ASSAY_DATADIR
#define ASSAY_DATADIR "/usr/local/share/assay"
#endif

static FILE *memory_file(char **text, size_t *n)
{
    FILE *f = open_memstream(text, n);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for a figure");
    return f;
}

static const char *num(double x) { return isfinite(x) ? as_say("%.10g", x) : "NaN"; }

/* ---- the table ----------------------------------------------------------------------------------------------- */

static void write_table(FILE *f, const struct drawing *d)
{
    fprintf(f, "# %s: %s; interval: %s %%, simultaneous over the arms; one block a series, two blank lines between\n",
            d->figure->name, d->metric, num(d->level));
    fprintf(f, "# series\t%s\tmean\tlow\thigh\tn\tx\n", *d->x_name ? d->x_name : "arm");
    for (int s = 0; s < d->n_series; s++) {
        if (s) fputs("\n\n", f);
        for (int i = 0; i < d->series[s].n; i++) {
            const struct mark *m = &d->series[s].mark[i];
            fprintf(f, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", d->series[s].label, m->text, num(m->mean), num(m->low),
                    num(m->high), m->n, num(m->x));
        }
    }
    if (strcmp(d->figure->kind, "dots") != 0) return;
    fputs("\n\n# single seeds: series number, place, value\n", f);
    for (int i = 0; i < d->n_seeds; i++)
        fprintf(f, "%d\t%d\t%s\n", d->seed[i].series + 1, d->seed[i].place + 1, num(d->seed[i].value));
}

/* ---- what the template needs to know ------------------------------------------------------------------------- */

/* A text for gnuplot in single quotes, where only the quote itself is special. */
static void put_text(FILE *f, const char *text)
{
    putc('\'', f);
    for (; *text; text++) {
        if (*text == '\'') putc('\'', f);
        putc(*text == '\n' ? ' ' : *text, f);
    }
    putc('\'', f);
}

struct span { double low, high; };

static struct span span_y(const struct drawing *d)
{
    struct span y = { (double)INFINITY, -(double)INFINITY };
    bool bars = !strcmp(d->figure->kind, "bars");
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++) {
            const struct mark *m = &d->series[s].mark[i];
            if (isfinite(m->mean)) y = (struct span){ fmin(y.low, m->mean), fmax(y.high, m->mean) };
            if (isfinite(m->low)) y.low = fmin(y.low, m->low);
            if (isfinite(m->high)) y.high = fmax(y.high, m->high);
        }
    for (int i = 0; i < d->n_seeds && !strcmp(d->figure->kind, "dots"); i++)
        y = (struct span){ fmin(y.low, d->seed[i].value), fmax(y.high, d->seed[i].value) };
    if (d->proportion) return (struct span){ bars || y.low < 0.4 ? -0.02 : fmin(y.low, d->chance) - 0.02, 1.02 };
    if (isfinite(d->chance)) y = (struct span){ fmin(y.low, d->chance), y.high };
    if (bars && y.low > 0) y.low = 0;
    double pad = y.high > y.low ? 0.05 * (y.high - y.low) : fabs(y.high) > 0 ? 0.05 * fabs(y.high) : 1;
    return (struct span){ bars && !(y.low < 0) ? 0 : y.low - pad, y.high + pad };
}

static struct span span_x(const struct drawing *d)
{
    struct span x = { (double)INFINITY, -(double)INFINITY };
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++)
            x = (struct span){ fmin(x.low, d->series[s].mark[i].x), fmax(x.high, d->series[s].mark[i].x) };
    return x;
}

/* The positive numbers alone; a lower end of an interval that is not is cut off at a tenth of the least mean. */
static struct span span_log(const struct drawing *d)
{
    struct span y = { (double)INFINITY, 0 };
    double least = (double)INFINITY;
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++) {
            const struct mark *m = &d->series[s].mark[i];
            if (m->mean > 0) y = (struct span){ fmin(y.low, m->mean), fmax(y.high, m->mean) };
            if (m->low > 0) least = fmin(least, m->low);
            if (isfinite(m->high)) y.high = fmax(y.high, m->high);
        }
    if (least < y.low) y.low = fmax(least, y.low / 10);
    double pad = y.high > y.low ? pow(y.high / y.low, 0.05) : 2;
    return (struct span){ y.low / pad, y.high * pad };
}

/* Labels stand at the right end of their lines, pushed apart until none covers another. */
static void place_labels(const struct drawing *d, struct span y, bool log_y, double *at)
{
    enum { LINES = 19 };             /* that many labels fit above each other */
    int *order = malloc((size_t)(d->n_series + 1) * sizeof *order);
    if (!order) as_fail(AS_NO_MEMORY, "no memory for a figure");
    if (log_y) y = (struct span){ log(y.low), log(y.high) };
    double apart = (y.high - y.low) / LINES;
    for (int s = 0; s < d->n_series; s++) {
        const struct series *v = &d->series[s];
        at[s] = y.low;
        for (int i = 0; i < v->n; i++)
            if (isfinite(v->mark[i].mean) && (!log_y || v->mark[i].mean > 0))
                at[s] = log_y ? log(v->mark[i].mean) : v->mark[i].mean;
        int k = s;
        while (k > 0 && at[order[k - 1]] > at[s]) {
            order[k] = order[k - 1];
            k--;
        }
        order[k] = s;
    }
    for (int k = 1; k < d->n_series; k++) at[order[k]] = fmax(at[order[k]], at[order[k - 1]] + apart);
    double top = y.high;
    for (int k = d->n_series - 1; k >= 0; k--, top -= apart) at[order[k]] = fmin(at[order[k]], top);
    for (int s = 0; s < d->n_series && log_y; s++) at[s] = exp(at[s]);
    free(order);
}

static void put_tics(FILE *f, const struct drawing *d)
{
    const char *seen[64];
    int n = 0;
    fputs("set xtics (", f);
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++) {
            const struct mark *m = &d->series[s].mark[i];
            int k = 0;
            while (k < n && strcmp(seen[k], m->text) != 0) k++;
            if (k < n || n == 64) continue;
            if (n) fputs(", ", f);
            put_text(f, m->text);
            fprintf(f, " %s", num(m->x));
            seen[n++] = m->text;
        }
    fputs(")\n", f);
}

/* Distinct texts of the records, so that a mixture shows. malloc'd. */
static char *gather(const struct results *r, const char *name, int cut)
{
    char *all = file_text("%s", "");
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct record *rec = r->plan->cell[i].role == CELL_FINAL ? r->record[i] : NULL;
        const char *text = rec ? record_text_of(rec, name) : NULL;
        if (!text || !*text) continue;
        const char *dirty = !strcmp(name, "commit") ? record_text_of(rec, "dirty") : NULL;
        char *one = file_text("%.*s%s", cut, text, dirty && !strcmp(dirty, "yes") ? "+" : "");
        if (!strstr(all, one)) {
            char *more = file_text("%s%s%s", all, *all ? ", " : "", one);
            free(all);
            all = more;
        }
        free(one);
    }
    return all;
}

static void put_caption(FILE *f, struct results *r, const struct drawing *d)
{
    char *commit = gather(r, "commit", 10), *host = gather(r, "host", 40);
    char *unchecked = results_unchecked(r);
    const char *what = drawing_is_points(d) ? "points of one seed"
                                            : as_say("mean of n = %d, %s %% simultaneous interval", d->replicates,
                                                     num(d->level));
    char *text = file_text("%s%s%s: %s%s%s%s%s", unchecked ? unchecked : "", unchecked ? "; " : "", r->name, what,
                           *commit ? "; commit " : "", commit, *host ? "; " : "", host);
    free(unchecked);
    fputs("caption = ", f);
    put_text(f, text);
    putc('\n', f);
    free(text);
    free(commit);
    free(host);
}

static void put_labels(FILE *f, const struct drawing *d, struct span y, bool log_y)
{
    double *at = calloc((size_t)d->n_series + 1, sizeof *at);
    size_t longest = 0;
    if (!at) as_fail(AS_NO_MEMORY, "no memory for a figure");
    place_labels(d, y, log_y, at);
    fprintf(f, "n = %d\narray label[%d]\narray label_y[%d]\n", d->n_series, d->n_series, d->n_series);
    for (int s = 0; s < d->n_series; s++) {
        fprintf(f, "label[%d] = ", s + 1);
        put_text(f, d->series[s].label);
        fprintf(f, "; label_y[%d] = %s\n", s + 1, num(at[s]));
        size_t k = strlen(d->series[s].label);
        longest = k > longest ? k : longest;
    }
    fprintf(f, "longest = %zu\n", longest);
    free(at);
}

/* Kinds with a row a mark, or a row an arm, grow downwards. */
static void put_height(FILE *f, const struct drawing *d)
{
    enum { FRAME = 130, ROW = 26, SQUARE = 36 };
    bool rows = !strcmp(d->figure->kind, "bars") || !strcmp(d->figure->kind, "dots");
    int points = d->n_series ? d->series[0].n : 0;
    int height = rows ? FRAME + ROW * d->n_series * (points + (points > 1)) : FRAME + SQUARE * d->n_series;
    if (rows || !strcmp(d->figure->kind, "heat")) fprintf(f, "wanted_height = %d\n", height);
    if (!rows) return;
    fputs("set ytics (", f);
    for (int s = 0; s < d->n_series; s++)
        for (int i = 0; i < d->series[s].n; i++) {
            char *text = file_text("%s%s%s", d->series[s].label, points > 1 ? "  " : "",
                                   points > 1 ? d->series[s].mark[i].text : "");
            if (s + i) fputs(", ", f);
            put_text(f, text);
            fprintf(f, " %d", s * (points + (points > 1)) + i + 1);
            free(text);
        }
    fputs(")\n", f);
}

static void put_facts(FILE *f, struct results *r, const struct drawing *d)
{
    const struct figure *g = d->figure;
    const char *title = as_config_get(g->set, "title"), *xl = as_config_get(g->set, "xlabel");
    const char *yl = as_config_get(g->set, "ylabel"), *scale = as_config_get(g->set, "xscale");
    const char *up = as_config_get(g->set, "yscale");
    struct span y = span_y(d), x = span_x(d), positive = span_log(d);
    bool lines = !strcmp(g->kind, "learning") || !strcmp(g->kind, "curve");
    bool log_y = lines && up && !strcmp(up, "log") && positive.low > 0 && isfinite(positive.low);
    if (log_y) y = positive;
    bool log_x = scale ? !strcmp(scale, "log")
                       : d->x_numeric && strcmp(g->kind, "learning") && !drawing_is_points(d) && x.low > 0 &&
                             x.high / x.low >= 6;
    double pad = log_x ? 0 : x.high > x.low ? 0.03 * (x.high - x.low) : 0.5;
    double from = log_x ? x.low / pow(x.high / x.low, 0.04) : !strcmp(g->kind, "learning") ? 0 : x.low - pad;
    fprintf(f, "# %s.gp: draws %s.tsv. Run it in its folder: gnuplot %s.gp; for another format:\n"
               "#   gnuplot -e \"format='png'\" %s.gp     (svg, png or pdf)\n",
            g->name, g->name, g->name, g->name);
    const struct { const char *name, *text; } texts[] = {
        { "name", g->name }, { "title", title ? title : r->e->title ? r->e->title : g->name },
        { "xlabel", xl ? xl : d->x_name }, { "ylabel", yl ? yl : drawing_is_points(d) ? "y" : d->metric },
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        fprintf(f, "%s = ", texts[i].name);
        put_text(f, texts[i].text);
        putc('\n', f);
    }
    put_caption(f, r, d);
    fprintf(f, "xmin = %s; xmax = %s; ymin = %s; ymax = %s; logx = %d; logy = %d\n", num(from),
            num(log_x ? x.high * pow(x.high / x.low, 0.02) : x.high + (!strcmp(g->kind, "learning") ? 0 : pad)),
            num(y.low), num(y.high), log_x, log_y);
    fprintf(f, "chance = %s; bands = %d; points = %d\n", num(d->chance), d->replicates > 1,
            d->n_series ? d->series[0].n : 0);
    put_labels(f, d, y, log_y);
    put_height(f, d);
    if (strcmp(g->kind, "learning") != 0 && strcmp(g->kind, "bars") != 0 && strcmp(g->kind, "dots") != 0 &&
        !drawing_is_points(d))
        put_tics(f, d);
}

/* ---- templates ----------------------------------------------------------------------------------------------- */

static char *template_read(const char *kind, const char **why)
{
    const char *home = getenv("ASSAY_HOME");
    char *path = file_text("%s/plots/%s.gp", home && *home ? home : ASSAY_DATADIR, kind);
    char *text = file_read(path, NULL, why);
    free(path);
    return text;
}

static const char *no_template(const struct experiment *e, const struct figure *g, const char *why)
{
    return as_say("%s:%d: figure %s: there is no template for kind = %s (%s)", e->path, g->line, g->name, g->kind, why);
}

const char *figures_kinds(const struct experiment *e)
{
    for (int i = 0; i < e->n_figures; i++) {
        const char *why = NULL;
        char *text = template_read(e->figure[i].kind, &why);
        free(text);
        if (!text) return no_template(e, &e->figure[i], why);
    }
    return NULL;
}

const char *drawing_write(struct results *r, const struct drawing *d)
{
    const char *why = NULL;
    char *table = NULL, *script = NULL;
    size_t n_table, n_script;
    char *common = template_read("common", &why), *kind = common ? template_read(d->figure->kind, &why) : NULL;
    if (!kind) {
        why = no_template(r->e, d->figure, why);
        free(common);
        return why;
    }
    FILE *f = memory_file(&table, &n_table);
    write_table(f, d);
    fclose(f);
    f = memory_file(&script, &n_script);
    put_facts(f, r, d);
    fprintf(f, "\n%s\n%s", common, kind);
    fclose(f);
    char *path = file_text("%s/%s.tsv", r->figures, d->figure->name);
    why = file_replace(path, table, n_table);
    free(path);
    path = file_text("%s/%s.gp", r->figures, d->figure->name);
    if (!why) why = file_replace(path, script, n_script);
    free(path);
    free(table);
    free(script);
    free(common);
    free(kind);
    return why;
}

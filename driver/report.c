/* report.c: `assay report`: a static site in RESULTS/report: index.html with a row a paper, and a page an
 * experiment. No script, no font, nothing fetched: figures are drawn into the page. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/summary_table.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char style[] =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem}a{color:#0b5c8f}"
    "table{border-collapse:collapse;margin:.6rem 0}td,th{padding:.2rem .7rem;text-align:right;"
    "border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}th{font-weight:600}"
    "td:first-child,th:first-child,table.words td,table.words th{text-align:left}"
    "p.quiet,caption{color:#666;font-size:.85rem;text-align:left;caption-side:bottom}"
    ".upheld{color:#00614a;font-weight:600}.refuted{color:#a33b00;font-weight:600}.open{color:#666}"
    "figure{margin:1rem 0}figure svg,figure img{max-width:100%;height:auto}pre{background:#f5f5f5;padding:.7rem;"
    "overflow-x:auto}";

static void put(FILE *f, const char *text)
{
    for (; *text; text++) {
        if (*text == '&') fputs("&amp;", f);
        else if (*text == '<') fputs("&lt;", f);
        else if (*text == '>') fputs("&gt;", f);
        else if (*text == '"') fputs("&quot;", f);
        else putc(*text, f);
    }
}

static void begin(FILE *f, const char *title)
{
    fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
          "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"><title>", f);
    put(f, title);
    fprintf(f, "</title><style>%s</style></head><body>\n<h1>", style);
    put(f, title);
    fputs("</h1>\n", f);
}

static const char *class_of(enum claim_verdict v)
{
    return v == CLAIM_UPHELD ? "upheld" : v == CLAIM_REFUTED_PAPER || v == CLAIM_REFUTED_THRESHOLD ? "refuted" : "open";
}

static void put_table(FILE *f, const struct table *t, const char *caption)
{
    fputs("<table>", f);
    if (caption) {
        fputs("<caption>", f);
        put(f, caption);
        fputs("</caption>", f);
    }
    for (int r = 0; r < t->rows; r++) {
        fputs("<tr>", f);
        for (int c = 0; c < t->columns; c++) {
            const char *text = t->text[r * t->columns + c];
            fputs(r ? "<td>" : "<th>", f);
            put(f, text ? text : "");
            fputs(r ? "</td>" : "</th>", f);
        }
        fputs("</tr>\n", f);
    }
    fputs("</table>\n", f);
}

/* A figure that was drawn, put into the page; nothing when it was not. */
static void put_figure(FILE *f, const struct results *r, const struct figure *g)
{
    char *path = file_text("%s/%s.svg", r->figures, g->name);
    char *svg = file_exists(path) ? file_read(path, NULL, NULL) : NULL, *at = svg ? strstr(svg, "<svg") : NULL;
    if (at) fprintf(f, "<figure>%s</figure>\n", at);
    free(svg);
    free(path);
}

static void put_claims(FILE *f, struct results *r, const struct claim_result *v)
{
    fputs("<h2>Claims</h2>\n<table class=\"words\"><tr><th>verdict</th><th>claim</th><th>result</th><th>source</th></tr>\n", f);
    for (int i = 0; i < r->e->n_claims; i++) {
        fprintf(f, "<tr><td class=\"%s\">%s</td><td>", class_of(v[i].verdict), claim_verdict_text(v[i].verdict));
        put(f, r->e->claim[i].name);
        fputs("<br><code>", f);
        put(f, r->e->claim[i].that);
        fputs("</code></td><td>", f);
        put(f, v[i].text);
        fputs("</td><td>", f);
        put(f, r->e->claim[i].source);
        fputs("</td></tr>\n", f);
    }
    fputs("</table>\n", f);
    if (!*r->look) return;
    fputs("<p class=\"quiet\">", f);
    put(f, r->look);
    fputs("</p>\n", f);
}

static void put_block(void *f, const struct block *b) { put_table(f, &b->table, b->caption); }

static void put_tables(FILE *f, struct results *r)
{
    char *unchecked = results_unchecked(r);
    if (unchecked) {
        fputs("<p><strong>", f);
        put(f, unchecked);
        fputs("</strong></p>\n", f);
    }
    free(unchecked);
    fputs("<h2>Results</h2>\n", f);
    free(table_blocks(r, true, put_block, f));
    fputs("<h2>Budgets</h2>\n", f);
    struct table budget = budget_make(r);
    put_table(f, &budget, NULL);
    table_free(&budget);
}

static const struct record *any_record(const struct results *r)
{
    for (int i = 0; i < r->plan->n_cells; i++)
        if (r->plan->cell[i].role == CELL_FINAL && r->record[i]) return r->record[i];
    return NULL;
}

static void put_origin(FILE *f, struct results *r)
{
    static const char *const about[] = { "commit", "dirty", "host", "processor", "level", "compiler", "flags",
                                         "libraries", "data" };
    const struct record *rec = any_record(r);
    fputs("<h2>Origin</h2>\n<table class=\"words\">\n", f);
    for (size_t i = 0; rec && i < sizeof about / sizeof *about; i++) {
        const char *text = record_text_of(rec, about[i]);
        if (!text || !*text) continue;
        fprintf(f, "<tr><td>%s</td><td>", about[i]);
        put(f, text);
        fputs("</td></tr>\n", f);
    }
    fputs("</table>\n<p>Again:</p><pre>./run_experiment ", f);
    put(f, r->e->name);
    fputs(" --verify</pre>\n", f);
    char *text = file_read(r->e->path, NULL, NULL);
    if (text) {
        fputs("<h2>Experiment file</h2>\n<pre>", f);
        put(f, text);
        fputs("</pre>\n", f);
    }
    free(text);
}

static const char *page(struct results *r, const char *folder, const struct claim_result *v)
{
    char *text = NULL, *path = file_text("%s/%s.html", folder, r->name);
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for a page");
    begin(f, r->e->title ? r->e->title : r->name);
    fprintf(f, "<p class=\"quiet\"><a href=\"index.html\">all experiments</a> &middot; %s", r->name);
    if (r->e->papers) {
        fputs(" &middot; catalogue ", f);
        put(f, r->e->papers);
    }
    fputs("</p>\n", f);
    if (v) put_claims(f, r, v);
    for (int i = 0; i < r->e->n_figures; i++) put_figure(f, r, &r->e->figure[i]);
    put_tables(f, r);
    put_origin(f, r);
    fputs("</body></html>\n", f);
    fclose(f);
    const char *why = file_replace(path, text, n);
    free(text);
    free(path);
    return why;
}

/* One row a paper: an experiment about two papers stands in both rows. */
static void put_row(FILE *f, const char *id, const struct results *r, const struct claim_result *v)
{
    fprintf(f, "<tr><td>%s</td><td><a href=\"%s.html\">", *id ? id : "-", r->name);
    put(f, r->e->title ? r->e->title : r->name);
    fputs("</a></td><td>", f);
    for (int i = 0; v && i < r->e->n_claims; i++) {
        fprintf(f, "%s<span class=\"%s\">%s</span> ", i ? "<br>" : "", class_of(v[i].verdict),
                claim_verdict_text(v[i].verdict));
        put(f, r->e->claim[i].name);
    }
    fputs("</td></tr>\n", f);
}

struct row { char id[16]; int order; char *text; };     /* "17", "17b"; "" without one */

static int by_id(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    long i = strtol(x->id, NULL, 10), j = strtol(y->id, NULL, 10);
    int differ = i != j ? (i > j) - (i < j) : strcmp(x->id, y->id);
    return differ ? differ : x->order - y->order;
}

struct index { struct row *row; int n; };

static void index_row(struct index *x, const char *id, const struct results *r, const struct claim_result *v)
{
    struct row *more = realloc(x->row, (size_t)(x->n + 1) * sizeof *more);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for the report");
    size_t n;
    x->row = more;
    x->row[x->n] = (struct row){ .order = x->n };
    snprintf(x->row[x->n].id, sizeof x->row[x->n].id, "%s", id);
    FILE *f = open_memstream(&x->row[x->n].text, &n);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for the report");
    put_row(f, id, r, v);
    fclose(f);
    x->n++;
}

static const char *report_one(const char *name, const char *results, const char *folder, struct index *x)
{
    const char *why = NULL;
    struct experiment *e = experiment_read(name, NULL, 0, false, &why);
    if (!e) return why;
    struct results *r = results_open(e, results, &why);
    if (r && r->n_damaged) why = as_say("%s", r->damaged[0]);
    if (r && !why && any_record(r)) {
        const char *ignored;
        struct claim_result *v = claims_answer(r, &ignored);
        why = page(r, folder, v);
        int ids = 0;
        for (const char *s = e->papers ? e->papers : ""; *s;) {
            int n = (int)strcspn(s, ", ");
            if (n > 0 && ++ids) index_row(x, as_say("%.*s", n, s), r, v);
            s += n + (s[n] != 0);
        }
        if (!ids) index_row(x, "", r, v);
        free(v);
    }
    results_close(r);
    experiment_free(e);
    return why;
}

static const char *write_index(struct index *x, const char *folder)
{
    char *text = NULL, *path = file_text("%s/index.html", folder);
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for the report");
    begin(f, "What papers claim, tested");
    fputs("<table class=\"words\"><tr><th>paper</th><th>experiment</th><th>claims</th></tr>\n", f);
    if (x->n) qsort(x->row, (size_t)x->n, sizeof *x->row, by_id);
    for (int i = 0; i < x->n; i++) fputs(x->row[i].text, f);
    fputs("</table>\n</body></html>\n", f);
    fclose(f);
    const char *why = file_replace(path, text, n);
    free(text);
    if (!why) printf("%s\n", path);
    free(path);
    return why;
}

int command_report(struct command_line *line)
{
    const char *results = results_folder(line->results), *why;
    char *folder = file_text("%s/report", results);
    struct index x = { NULL, 0 };
    int n, status = EXIT_ALL_WELL;
    why = file_make_folder(folder);
    struct experiment_line *all = experiment_list(&n);
    for (int i = 0; i < n && !why; i++) {
        char *there = file_text("%s/%s/cells.tsv", results, all[i].name);
        const char *problem = file_exists(there) ? report_one(all[i].name, results, folder, &x) : NULL;
        /* One damaged experiment leaves the others' pages. */
        if (problem) status = complain(EXIT_CANNOT, problem);
        free(there);
    }
    if (!why) why = write_index(&x, folder);
    if (why) status = complain(EXIT_CANNOT, why);
    for (int i = 0; i < x.n; i++) free(x.row[i].text);
    free(x.row);
    experiment_list_free(all, n);
    free(folder);
    return status;
}

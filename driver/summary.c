/* summary.c: what `assay run` says at the end: a table, the verdicts, the budgets, and where to look. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/summary_table.h>
#include <driver/text.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- claims -------------------------------------------------------------------------------------------------- */

static bool print_claims(struct results *r)
{
    const char *why;
    int wide = 0;
    if (!r->e->n_claims) return true;
    struct claim_result *v = claims_answer(r, &why);
    if (!v) {
        printf("no verdicts: %s\n", why);
        return r->e->altered;
    }
    for (int i = 0; i < r->e->n_claims; i++) {
        int n = (int)strlen(r->e->claim[i].name);
        wide = n > wide ? n : wide;
    }
    for (int i = 0; i < r->e->n_claims; i++)
        printf("%-22s  %-*s  %s  (%s)\n", claim_verdict_text(v[i].verdict), wide, r->e->claim[i].name, v[i].text,
               r->e->claim[i].source);
    if (*r->look) puts(r->look);
    if (r->e->altered)
        puts("(the quick form, or an override, changes what the claims speak of: these are not its verdicts)");
    free(v);
    for (int k = 0; k < r->plan->n_points; k++) {
        if (!r->choice[k].edge_of) continue;
        char *arm = results_short(r, k);
        printf("flag: %s was tuned to %s, the end of its list\n", arm, r->choice[k].edge_of);
        free(arm);
    }
    return true;
}

/* ---- the frame ----------------------------------------------------------------------------------------------- */

void summary_header(struct results *r, int jobs, int threads)
{
    const struct experiment *e = r->e;
    int final = 0, tune = 0;
    for (int i = 0; i < r->plan->n_cells; i++) *(r->plan->cell[i].role == CELL_FINAL ? &final : &tune) += 1;
    const char *source = as_config_get(e->base, "data.source");
    printf("%s  %s%s%s\n", r->name, e->title ? e->title : "", e->papers ? "  catalogue " : "",
           e->papers ? e->papers : "");
    printf("%d cells, %d arm%s x %d seed%s", final, r->plan->n_points, r->plan->n_points == 1 ? "" : "s", e->n_seeds,
           e->n_seeds == 1 ? "" : "s");
    if (tune) printf(", %d tuning cells", tune);
    if (source) printf("; data %s", source);
    if (!isnan(e->minutes) && e->minutes > 0 && !e->quick)
        printf("; about %s min on 2 cores", as_say("%g", e->minutes));
    printf("; %d at a time, %d thread%s each\n", jobs, threads, threads == 1 ? "" : "s");
    if (e->note) printf("%s\n", e->note);
}

static void print_failures(const struct results *r)
{
    int shown = 0;
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct record *rec = r->record[i];
        if (!rec || rec->outcome == CELL_OK) continue;
        const struct cell *c = &r->plan->cell[i];
        if (shown++ >= 8) continue;
        char *arm = results_arm(r, c->point);
        printf("%s: %s%s seed %ld  %s\n", outcome_name(rec->outcome), arm, c->role == CELL_TUNE ? " tuning" : "",
               c->seed, rec->reason);
        free(arm);
    }
    if (shown > 8) printf("and %d more, see %s/cells.tsv\n", shown - 8, r->folder);
}

/* The first other value that a text of the records takes; NULL when all agree. */
static const char *other_of(const struct results *r, const char *name, const char **first)
{
    *first = NULL;
    for (int i = 0; i < r->plan->n_cells; i++) {
        const char *text = r->record[i] ? record_text_of(r->record[i], name) : NULL;
        if (text && !*first) *first = text;
        if (text && strcmp(*first, text) != 0) return text;
    }
    return NULL;
}

/* Numbers of different machines or libraries should not stand in one table unsaid. */
static void print_mixture(const struct results *r)
{
    static const char *const about[] = { "processor", "level", "compiler", "flags", "core", "libraries", "products",
                                         "functions", "libc" };
    int differ = 0;
    for (size_t k = 0; k < sizeof about / sizeof *about; k++) {
        const char *first, *other = other_of(r, about[k], &first);
        if (!other) continue;
        printf("%s%s (%s; %s)", differ++ ? ", " : "mixed: records differ in ", about[k], first, other);
    }
    if (differ) putchar('\n');
}

bool summary_print(struct results *r, const struct command_line *line, double seconds)
{
    putchar('\n');
    table_metrics(r, line->all);
    bool answered = print_claims(r);
    table_budgets(r);
    print_failures(r);
    print_mixture(r);
    char *unchecked = results_unchecked(r);
    if (unchecked) puts(unchecked);
    free(unchecked);
    int drawn = r->e->n_figures ? figures_draw(r, false, false, true) : 0;
    char *again = run_line(line, "verify", r->e);
    if (r->e->n_figures && !drawn) {
        printf("\nfigures   %s/", r->figures);
        for (int i = 0; i < r->e->n_figures; i++) printf("%s%s.svg", i ? " " : "", r->e->figure[i].name);
        putchar('\n');
    } else {
        putchar('\n');
    }
    printf("cells     %s/cells.tsv\n", r->folder);
    printf("again     %s\n", again);
    if (seconds >= 0) printf("took      %s\n", duration(seconds));
    free(again);
    return answered;
}

/* ---- for machines -------------------------------------------------------------------------------------------- */

static void json_value(const struct results *r, int cell, const struct value *v)
{
    const struct cell *c = &r->plan->cell[cell];
    printf("{\"event\":\"value\",\"key\":\"%s\",\"seed\":%ld", c->key, c->seed);
    for (int a = 0; a < r->plan->n_axes; a++) {
        putchar(',');
        text_json(stdout, r->plan->axis[a]);
        putchar(':');
        text_json(stdout, c->coordinate[a]);
    }
    for (int k = 0; k < v->n_keys; k++) {
        putchar(',');
        text_json(stdout, v->key[k]);
        putchar(':');
        text_json(stdout, v->text[k]);
    }
    printf(",\"metric\":");
    text_json(stdout, v->metric);
    printf(",\"value\":");
    json_number(v->value);
    printf(",\"examples\":%ld}\n", v->examples);
}

bool summary_json(struct results *r)
{
    for (int i = 0; i < r->plan->n_cells; i++)
        for (int k = 0; r->plan->cell[i].role == CELL_FINAL && r->record[i] && k < r->record[i]->n_values; k++)
            json_value(r, i, &r->record[i]->value[k]);
    const char *why;
    struct claim_result *v = claims_answer(r, &why);
    for (int i = 0; v && i < r->e->n_claims; i++) {
        printf("{\"event\":\"claim\",\"claim\":");
        text_json(stdout, r->e->claim[i].name);
        printf(",\"verdict\":");
        text_json(stdout, claim_verdict_text(v[i].verdict));
        const char *name[] = { "estimate", "low", "high" };
        double x[] = { v[i].estimate, v[i].low, v[i].high };
        for (int k = 0; k < 3; k++) {
            printf(",\"%s\":", name[k]);
            json_number(x[k]);
        }
        printf(",\"seeds\":%ld,\"altered\":%s,\"look\":", v[i].seeds, r->e->altered ? "true" : "false");
        text_json(stdout, r->look);
        printf(",\"text\":");
        text_json(stdout, v[i].text);
        puts("}");
    }
    char *unchecked = results_unchecked(r);
    if (unchecked) {
        printf("{\"event\":\"unchecked\",\"text\":");
        text_json(stdout, unchecked);
        puts("}");
    }
    free(unchecked);
    bool answered = v || !why || r->e->altered;
    if (!v && why) {
        printf("{\"event\":\"error\",\"text\":");
        text_json(stdout, why);
        puts("}");
    }
    free(v);
    if (r->e->n_figures) figures_draw(r, false, false, true);
    return answered;
}

/* summary.c: what `assay run` says at the end: a table, the verdicts, the budgets, and where to look. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/summary_table.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- claims -------------------------------------------------------------------------------------------------- */

static void free_claims(struct claim **claim, int n)
{
    for (int i = 0; i < n; i++) claim_free(claim[i]);
    free(claim);
}

static const char *claim_place(const struct experiment *e, int i, const struct claim_error *err)
{
    return as_say("%s:%d: claim %s%s%s: %s", e->path, e->claim_line[i], e->claim[i].name, err->field ? ", " : "",
                  err->field ? err->field : "", err->text);
}

/* All claims parsed, and checked against the experiment; NULL and *why at the first that does not fit. */
static struct claim **parse_claims(struct results *r, const char **why)
{
    const struct experiment *e = r->e;
    struct claim **claim = calloc((size_t)e->n_claims + 1, sizeof *claim);
    if (!claim) as_fail(AS_NO_MEMORY, "no memory for claims");
    for (int i = 0; i < e->n_claims; i++) {
        struct claim_error err = { 0 };
        claim[i] = claim_parse(&e->claim[i], &err);
        if (claim[i] && !claim_check(claim[i], results_source(r), &err)) continue;
        *why = claim_place(e, i, &err);
        free_claims(claim, e->n_claims);
        return NULL;
    }
    return claim;
}

bool summary_check(struct results *r, const char **why)
{
    /* --quick and overrides may take away the very values that claims speak of. */
    if (r->e->altered) return true;
    struct claim **claim = parse_claims(r, why);
    if (!claim) return false;
    free_claims(claim, r->e->n_claims);
    return true;
}

/* Those that fit, one by one: the quick form and overrides may have taken away what the others speak of. */
static void answer_each(struct results *r, struct claim_result *out)
{
    const struct experiment *e = r->e;
    struct claim_options options = { .alpha = e->alpha, .n_claims = (size_t)e->n_claims };
    for (int i = 0; i < e->n_claims; i++) {
        struct claim_error err = { 0 };
        struct claim *claim = claim_parse(&e->claim[i], &err);
        const struct claim *one = claim;
        out[i] = (struct claim_result){ .verdict = CLAIM_UNDECIDED, .estimate = STATS_NAN, .low = STATS_NAN,
                                        .high = STATS_NAN };
        if (!claim || claim_evaluate(&one, 1, results_source(r), &options, &out[i], &err)) {
            out[i].verdict = CLAIM_UNDECIDED;
            snprintf(out[i].text, sizeof out[i].text, "%.230s", err.text);
        }
        claim_free(claim);
    }
}

static bool answer_all(struct results *r, struct claim_result *out, const char **why)
{
    struct claim **claim = parse_claims(r, why);
    if (!claim) return false;
    struct claim_options options = { .alpha = r->e->alpha };
    struct claim_error err = { 0 };
    int failed = claim_evaluate((const struct claim *const *)claim, (size_t)r->e->n_claims, results_source(r), &options,
                                out, &err);
    if (failed) *why = as_say("claim %s: %s", err.claim ? err.claim : "?", err.text);
    free_claims(claim, r->e->n_claims);
    return !failed;
}

struct claim_result *claims_answer(struct results *r, const char **why)
{
    *why = NULL;
    if (!r->e->n_claims) return NULL;
    struct claim_result *out = calloc((size_t)r->e->n_claims, sizeof *out);
    if (!out) as_fail(AS_NO_MEMORY, "no memory for verdicts");
    if (answer_all(r, out, why)) return out;
    if (r->e->altered) {
        *why = NULL;
        answer_each(r, out);
        return out;
    }
    free(out);
    return NULL;
}

/* How many were refuted. */
static int print_claims(struct results *r)
{
    const char *why;
    int refuted = 0, wide = 0;
    if (!r->e->n_claims) return 0;
    struct claim_result *v = claims_answer(r, &why);
    if (!v) {
        printf("no verdicts: %s\n", why);
        return r->e->altered ? 0 : -1;
    }
    for (int i = 0; i < r->e->n_claims; i++) {
        int n = (int)strlen(r->e->claim[i].name);
        wide = n > wide ? n : wide;
    }
    for (int i = 0; i < r->e->n_claims; i++) {
        printf("%-22s  %-*s  %s  (%s)\n", claim_verdict_text(v[i].verdict), wide, r->e->claim[i].name, v[i].text,
               r->e->claim[i].source);
        refuted += v[i].verdict == CLAIM_REFUTED_PAPER || v[i].verdict == CLAIM_REFUTED_THRESHOLD;
    }
    if (r->e->altered)
        puts("(the quick form, or an override, changes what the claims speak of: these are not its verdicts)");
    free(v);
    for (int k = 0; k < r->plan->n_points; k++) {
        if (!r->choice[k].edge_of) continue;
        char *arm = results_short(r, k);
        printf("flag: %s was tuned to %s, the end of its list\n", arm, r->choice[k].edge_of);
        free(arm);
    }
    return r->e->altered ? 0 : refuted;
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

/* Numbers of different machines or builds should not stand in one table unsaid. */
static void print_mixture(const struct results *r)
{
    static const char *const about[] = { "processor", "level", "compiler", "flags", "libraries", "core" };
    for (size_t k = 0; k < sizeof about / sizeof *about; k++) {
        const char *first = NULL;
        for (int i = 0; i < r->plan->n_cells; i++) {
            const char *text = r->record[i] ? record_text_of(r->record[i], about[k]) : NULL;
            if (!text) continue;
            if (!first) first = text;
            if (!strcmp(first, text)) continue;
            printf("mixed: records differ in %s (%s; %s)\n", about[k], first, text);
            break;
        }
    }
}

int summary_print(struct results *r, const struct command_line *line, double seconds)
{
    putchar('\n');
    table_metrics(r);
    int refuted = print_claims(r);
    table_budgets(r);
    print_failures(r);
    print_mixture(r);
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
    return refuted;
}

/* ---- for machines -------------------------------------------------------------------------------------------- */

static void json_value(const struct results *r, int cell, const struct value *v)
{
    const struct cell *c = &r->plan->cell[cell];
    printf("{\"event\":\"value\",\"key\":\"%s\",\"seed\":%ld", c->key, c->seed);
    for (int a = 0; a < r->plan->n_axes; a++) {
        putchar(',');
        json_text(r->plan->axis[a]);
        putchar(':');
        json_text(c->coordinate[a]);
    }
    for (int k = 0; k < v->n_keys; k++) {
        putchar(',');
        json_text(v->key[k]);
        putchar(':');
        json_text(v->text[k]);
    }
    printf(",\"metric\":");
    json_text(v->metric);
    printf(",\"value\":");
    json_number(v->value);
    printf(",\"examples\":%ld}\n", v->examples);
}

int summary_json(struct results *r)
{
    for (int i = 0; i < r->plan->n_cells; i++)
        for (int k = 0; r->plan->cell[i].role == CELL_FINAL && r->record[i] && k < r->record[i]->n_values; k++)
            json_value(r, i, &r->record[i]->value[k]);
    const char *why;
    int refuted = 0;
    struct claim_result *v = claims_answer(r, &why);
    for (int i = 0; v && i < r->e->n_claims; i++) {
        printf("{\"event\":\"claim\",\"claim\":");
        json_text(r->e->claim[i].name);
        printf(",\"verdict\":");
        json_text(claim_verdict_text(v[i].verdict));
        const char *name[] = { "estimate", "low", "high" };
        double x[] = { v[i].estimate, v[i].low, v[i].high };
        for (int k = 0; k < 3; k++) {
            printf(",\"%s\":", name[k]);
            json_number(x[k]);
        }
        printf(",\"seeds\":%ld,\"altered\":%s,\"text\":", v[i].seeds, r->e->altered ? "true" : "false");
        json_text(v[i].text);
        puts("}");
        refuted += v[i].verdict == CLAIM_REFUTED_PAPER || v[i].verdict == CLAIM_REFUTED_THRESHOLD;
    }
    if (!v && why) {
        printf("{\"event\":\"error\",\"text\":");
        json_text(why);
        puts("}");
        if (!r->e->altered) refuted = -1;
    }
    free(v);
    if (r->e->n_figures) figures_draw(r, false, false, true);
    return r->e->altered && refuted > 0 ? 0 : refuted;
}

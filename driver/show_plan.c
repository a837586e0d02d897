/* show_plan.c: `assay plan NAME`: what would run, and what it could show. Nothing is run. */
#include "commands.h"
#include "experiment.h"
#include "file.h"
#include "looks.h"
#include "results.h"
#include "stages.h"
#include "text.h"

#include <assay/error.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *values_text(const struct axis *a)
{
    const char *all = "";
    for (int k = 0; k < a->n; k++) {
        if (strlen(all) > 200)
            return as_say("%s, ... %s (%d values)", all, a->value[a->n - 1], a->n);
        all = as_say("%s%s%s", all, k ? ", " : "", a->value[k]);
    }
    return all;
}

static const char *point_name(const struct plan *p, int point)
{
    const char *all = "";
    for (int i = 0; i < p->n_cells; i++) {
        if (p->cell[i].point != point)
            continue;
        for (int k = 0; k < p->n_axes; k++) {
            const char *key = strcmp(p->axis[k], "arm") ? as_say("%s=", p->axis[k]) : "";
            all = as_say("%s%s%s%s", all, k ? ", " : "", key, p->cell[i].coordinate[k]);
        }
        break;
    }
    return *all ? all : "(one point)";
}

/* What each stage changes. */
static void print_stages(const struct experiment *e)
{
    char name[64];
    for (int i = 0; i < e->n_stages; i++) {
        printf("stage     %s:", e->stage[i]);
        int n = 0;
        for (size_t k = 0; k < e->base->n; k++) {
            const struct as_config_entry *own = &e->base->entry[k];
            const char *key = stage_key(own->key, name, sizeof name);
            if (!strcmp(name, e->stage[i]))
                printf("%s %s = %s", n++ ? ";" : "", key, own->text);
        }
        printf("%s\n", n ? "" : " as the sections say");
    }
}

static void print_head(const struct plan *p)
{
    const struct experiment *e = p->e;
    int tune = 0;
    for (int i = 0; i < p->n_cells; i++)
        tune += p->cell[i].role == CELL_TUNE;
    printf("%s  %s\n", e->name, e->title);
    printf("%d cells: %d for tuning, %d final (%d points x %d seeds)", p->n_cells, tune, p->n_cells - tune, p->n_points,
           e->n_seeds);
    if (!isnan(e->minutes) && !e->altered)
        printf(", about %.3g minutes on two cores", e->minutes);
    printf("\n\nseeds     %s\n", text_ranges(e->seed, e->n_seeds));
    print_stages(e);
    for (int i = 0; i < e->n_vary; i++)
        printf("varies    %s = %s\n", e->vary[i].key, values_text(&e->vary[i]));
    for (int i = 0; i < e->n_tune; i++)
        printf("tunes     %s = %s\n", e->tune[i].key, values_text(&e->tune[i]));
    if (tune)
        printf("          per arm on validation, seeds %s\n", text_ranges(e->tune_seed, e->n_tune_seeds));
    for (int i = 0; i < e->n_metrics; i++)
        printf("%s%s", i ? ", " : "measures  ", e->metric[i]);
    putchar('\n');
    for (int i = 0; i < e->n_evals; i++)
        for (int k = 0; k < e->eval[i].n_axes; k++)
            printf("evaluates %s = %s\n", eval_axis_name(&e->eval[i], &e->eval[i].axis[k]),
                   values_text(&e->eval[i].axis[k]));
    for (const char *at = e->note; at && *at;) {
        int n = (int)strcspn(at, "\n");
        printf("note      %.*s\n", n, at);
        at += n + (at[n] == '\n');
    }
}

static void print_differing(const char *what, double least, double most)
{
    if (least > 0 && most > least * (1 + BUDGET_TOLERANCE))
        printf("  %s differ by a factor of %.2f, more than %.0f %%\n", what, most / least, 100 * BUDGET_TOLERANCE);
    else if (least == 0 && most > 0)
        printf("  %s differ: some arms have none\n", what);
}

static void print_budgets(const struct plan *p)
{
    struct point least = p->point[0], most = p->point[0];
    int width = 0;
    for (int i = 0; i < p->n_points; i++) {
        int n = (int)strlen(point_name(p, i));
        width = n > width ? n : width;
    }
    printf("\n%-*s  parameters         state   FLOP forward\n", width, "budget");
    for (int i = 0; i < p->n_points; i++) {
        const struct point *at = &p->point[i];
        printf("%-*s", width, point_name(p, i));
        const char *parameters = text_count(at->parameters), *state = text_count(at->state);
        printf("  %10s  %12s  %13.3g\n", parameters, state, at->flop);
        least.parameters = fmin(least.parameters, at->parameters);
        most.parameters = fmax(most.parameters, at->parameters);
        least.state = fmin(least.state, at->state);
        most.state = fmax(most.state, at->state);
    }
    print_differing("parameters", least.parameters, most.parameters);
    print_differing("states", least.state, most.state);
}

/* One line a claim: whether it fits, and what the seeds can show. Returns how many do not fit. */
static int print_claims(struct results *r)
{
    const struct experiment *e = r->e;
    int bad = 0;
    struct look look;
    const char *damaged;
    if (e->n_claims && !looks_find(r, &look, &damaged)) {
        printf("\n%s\n", damaged);
        look = (struct look){ 0 };
    }
    if (e->n_claims)
        printf("\nclaims%s\n", e->altered ? " (the settings were changed: not the experiment's own verdicts)" : "");
    for (int i = 0; i < e->n_claims; i++) {
        struct claim_error err = { 0 };
        struct claim_options options = { .alpha = e->alpha, .look = look.number,
                                         .n_claims = (size_t)e->n_claims };
        char power[240] = "";
        struct claim *c = claim_parse(&e->claim[i], &err);
        bool fits = c && !claim_check(c, results_source(r), &err);
        if (!fits)
            printf("  %s: %s\n", e->claim[i].name, err.text);
        else if (claim_power(c, results_source(r), &options, e->n_seeds, power, sizeof power, &err))
            printf("  %s\n", e->claim[i].name);
        else
            printf("  %s: %s\n", e->claim[i].name, power);
        bad += !fits;
        claim_free(c);
    }
    if (e->n_claims && looks_text(r, &look))
        printf("  %s\n", looks_text(r, &look));
    return bad;
}

static void print_json(const struct plan *p)
{
    printf("{\"experiment\": ");
    text_json(stdout, p->e->name);
    printf(", \"title\": ");
    text_json(stdout, p->e->title);
    printf(", \"altered\": %s, \"stages\": [", p->e->altered ? "true" : "false");
    for (int i = 0; i < p->e->n_stages; i++) {
        printf("%s", i ? ", " : "");
        text_json(stdout, p->e->stage[i]);
    }
    puts("], \"points\": [");
    for (int i = 0; i < p->n_points; i++) {
        printf("  {\"name\": ");
        text_json(stdout, point_name(p, i));
        printf(", \"parameters\": %.0f, \"state\": %.0f, \"flop\": %.17g}%s\n", p->point[i].parameters,
               p->point[i].state, p->point[i].flop, i + 1 < p->n_points ? "," : "");
    }
    puts("], \"cells\": [");
    for (int i = 0; i < p->n_cells; i++) {
        const struct cell *c = &p->cell[i];
        printf("  {\"role\": \"%s\", \"point\": %d, \"seed\": %ld, \"key\": \"%s\"}%s\n",
               c->role == CELL_TUNE ? "tune" : "final", c->point, c->seed, c->key, i + 1 < p->n_cells ? "," : "");
    }
    puts("]}");
}

int command_plan(struct command_line *line)
{
    const char *why = NULL;
    int bad = 0;
    struct experiment *e = experiment_of(line);
    if (!e)
        return EXIT_WRONG_USE;
    struct results *r = results_open(e, line->results, &why);
    if (!r) {
        int refused = complain_of_plan(e, why);
        experiment_free(e);
        return refused;
    }
    if (line->json) {
        print_json(r->plan);
    } else {
        print_head(r->plan);
        print_budgets(r->plan);
        bad = print_claims(r);
    }
    int status = bad && !e->altered ? EXIT_WRONG_USE : EXIT_ALL_WELL;
    results_close(r);
    experiment_free(e);
    return status;
}

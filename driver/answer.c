/* answer.c: the claims of an experiment, answered together from what is stored, at the look that its seeds are. */
#include <driver/figures.h>
#include <driver/looks.h>
#include <driver/run.h>

#include <assay/error.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    *why = figures_kinds(r->e);
    if (*why) return false;
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

static bool answer_all(struct results *r, int look, struct claim_result *out, const char **why)
{
    struct claim **claim = parse_claims(r, why);
    if (!claim) return false;
    struct claim_options options = { .alpha = r->e->alpha, .look = look };
    struct claim_error err = { 0 };
    int failed = claim_evaluate((const struct claim *const *)claim, (size_t)r->e->n_claims, results_source(r), &options,
                                out, &err);
    if (failed) *why = as_say("claim %s: %s", err.claim ? err.claim : "?", err.text);
    free_claims(claim, r->e->n_claims);
    return !failed;
}

/* Whether a verdict could have gone either way: what asks for statistics, with enough seeds, all of them there. */
static bool is_decided(const struct claim_result *v)
{
    return v->level > 0 && v->verdict != CLAIM_UNDECIDED_N && v->verdict != CLAIM_UNDECIDED_INCOMPLETE;
}

static void withhold(struct claim_result *v)
{
    v->verdict = CLAIM_UNDECIDED_LOOKS;
    v->low = v->high = STATS_NAN;
    snprintf(v->text, sizeof v->text, "%ld seeds; alpha is spent", v->seeds);
}

/* The table of looks is written before a verdict is shown, not after. */
static bool take_look(struct results *r, const struct look *l, struct claim_result *out, const char **why)
{
    int decided = 0;
    for (int i = 0; i < r->e->n_claims; i++) {
        if (!is_decided(&out[i])) continue;
        decided++;
        if (l->spent) withhold(&out[i]);
    }
    *why = decided ? looks_keep(r, l) : NULL;
    const char *text = decided && !*why ? looks_text(r, l) : NULL;
    snprintf(r->look, sizeof r->look, "%s", text ? text : "");
    return !*why;
}

struct claim_result *claims_answer(struct results *r, const char **why)
{
    struct look look;
    *why = NULL;
    if (!r->e->n_claims) return NULL;
    struct claim_result *out = calloc((size_t)r->e->n_claims, sizeof *out);
    if (!out) as_fail(AS_NO_MEMORY, "no memory for verdicts");
    if (r->e->altered) {
        if (answer_all(r, 0, out, why)) return out;
        *why = NULL;
        answer_each(r, out);
        return out;
    }
    if (looks_find(r, &look, why) && answer_all(r, look.number, out, why) && take_look(r, &look, out, why)) return out;
    free(out);
    return NULL;
}

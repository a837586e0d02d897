#include "claim_impl.h"
#include "stats.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* The answers of a whole experiment: how alpha is divided, and how parts make a verdict. */

static const double default_alpha = 0.05;
static const double look_share[] = {1.0, 0.2, 0.3, 0.5};    /* .01, .015, .025 of .05 */
enum { SEEDS_ALONE = 6, SEEDS_AMONG_OTHERS = 8 };

const char *claim_verdict_text(enum claim_verdict verdict)
{
    static const char *const text[] = {
        [CLAIM_UPHELD] = "upheld",
        [CLAIM_REFUTED_PAPER] = "refuted (paper)",
        [CLAIM_REFUTED_THRESHOLD] = "refuted (our threshold)",
        [CLAIM_UNDECIDED] = "undecided",
        [CLAIM_UNDECIDED_N] = "undecided (n)",
        [CLAIM_UNDECIDED_INCOMPLETE] = "undecided: incomplete",
        [CLAIM_UNDECIDED_LOOKS] = "undecided (looks)",
        [CLAIM_DIRECTION_ONLY] = "direction only",
        [CLAIM_NOT_TESTABLE] = "not testable",
        [CLAIM_NOT_LEARNED] = "untested: not learned"};
    return (size_t)verdict < sizeof text / sizeof *text ? text[verdict] : "?";
}

/* One refuted part refutes a conjunction, whatever the others lack; else the part that says least decides. */
static int rank(enum claim_verdict verdict)
{
    switch (verdict) {
    case CLAIM_REFUTED_PAPER:
    case CLAIM_REFUTED_THRESHOLD: return 0;
    case CLAIM_UNDECIDED_INCOMPLETE: return 1;
    case CLAIM_UNDECIDED_N: return 2;
    case CLAIM_NOT_TESTABLE: return 3;
    case CLAIM_UNDECIDED: return 4;
    case CLAIM_DIRECTION_ONLY: return 5;
    default: return 6;
    }
}

struct finding combine_findings(const struct finding *f, size_t n)
{
    size_t weakest = 0, upheld = f[0].verdict == CLAIM_UPHELD;
    long seeds = f[0].seeds;
    size_t diverged = f[0].diverged;
    for (size_t i = 1; i < n; i++) {
        int a = rank(f[i].verdict), b = rank(f[weakest].verdict);
        if (a < b || (a == b && f[i].slack < f[weakest].slack))
            weakest = i;
        upheld += f[i].verdict == CLAIM_UPHELD;
        seeds = f[i].seeds < seeds ? f[i].seeds : seeds;
        diverged += f[i].diverged;
    }
    struct finding out = f[weakest];
    out.seeds = seeds;
    out.diverged = diverged;
    if (n > 1) {
        struct text text = {out.text, sizeof out.text, 0};
        text_add(&text, "%zu of %zu parts; weakest: %s", upheld, n, f[weakest].text);
    }
    return out;
}

/* ---- one claim --------------------------------------------------------------------------------------------------- */

static int is_statistical(const struct parts *parts)
{
    for (size_t i = 0; i < parts->n; i++)
        if (!parts->at[i].seedless)
            return 1;
    return 0;
}

static double level_of(const struct claim *claim, const struct claim_options *options, size_t n_claims,
                       size_t n_parts)
{
    double alpha = options->alpha > 0.0 ? options->alpha : default_alpha;
    if (claim->alpha > 0.0)
        alpha = fmin(alpha, claim->alpha);
    return alpha * look_share[options->look] / (double)(n_claims > 0 ? n_claims : 1) / (double)n_parts;
}

static void answer(struct reader *r, const struct claim *claim, const struct claim_options *options, size_t n_claims,
                   struct claim_result *out)
{
    r->pool.field = "that";
    struct parts parts = parts_of(r, &claim->that);
    struct finding *f = pool_alloc(&r->pool, parts.n, sizeof *f);
    double level = level_of(claim, options, n_claims, parts.n);
    long needed = n_claims > 1 ? SEEDS_AMONG_OTHERS : SEEDS_ALONE;
    for (size_t i = 0; i < parts.n; i++) {
        f[i] = find_part(r, &parts.at[i], level, needed, n_claims);
        if (f[i].verdict == CLAIM_REFUTED_THRESHOLD && claim->paper && parts.at[i].direction)
            f[i].verdict = CLAIM_REFUTED_PAPER;
    }
    struct finding all = combine_findings(f, parts.n);
    r->pool.field = "given";
    if (all.verdict != CLAIM_UNDECIDED_INCOMPLETE && all.verdict != CLAIM_UNDECIDED_N)
        given_holds(r, &claim->given, &all);
    *out = (struct claim_result){.verdict = all.verdict, .estimate = all.estimate, .low = all.low, .high = all.high,
                                 .level = is_statistical(&parts) ? level : 0.0, .seeds = all.seeds,
                                 .diverged = (long)all.diverged};
    snprintf(out->text, sizeof out->text, "%s", all.text);
}

static void check(struct reader *r, const struct claim *claim)
{
    r->pool.field = "that";
    check_relations(r, &claim->that, NULL, NULL);
    r->pool.field = "given";
    check_relations(r, &claim->given, NULL, NULL);
}

static void check_options(struct reader *r, const struct claim_options *options)
{
    if (options->look < 0 || options->look > 3)
        pool_fail(&r->pool, 0, "look %d: an experiment has at most three looks", options->look);
    if (!(options->alpha >= 0.0 && options->alpha < 0.5))
        pool_fail(&r->pool, 0, "alpha lies between 0 and 0.5");
}

/* ---- public: each is an entry that catches errors, around a function that does the work -------------------------- */

/* What a call is about; the same struct serves every entry. */
struct job {
    const struct claim *const *claim;
    size_t n;
    const struct claim_source *source;
    const struct claim_options *options;
    struct claim_result *result;
    claim_visitor *visit;
    void *arg;
    long n_seeds;
    char *text;
    size_t size;
    int status;
    size_t current;                  /* index of the claim at work, for errors */
};

/* Apart from run, so that what changes after setjmp is not local to the function that calls it. */
static void guarded(void (*work)(struct reader *, struct job *), struct reader *reader, struct job *job)
{
    jmp_buf out;
    reader->pool.out = &out;
    if (setjmp(out) == 0)
        work(reader, job);
    else
        job->status = -1;
}

static int run(void (*work)(struct reader *, struct job *), struct job *job, struct claim_error *err)
{
    struct claim_error ignored;
    struct claim_error *to = err != NULL ? err : &ignored;
    struct reader reader = {{NULL, NULL, to, NULL}, job->source};
    to->text[0] = '\0';
    guarded(work, &reader, job);
    if (to->text[0] != '\0')
        to->claim = job->current < job->n ? job->claim[job->current]->name : NULL;
    pool_free(&reader.pool);
    return job->status;
}

static void work_check(struct reader *r, struct job *job)
{
    check(r, job->claim[0]);
}

int claim_check(const struct claim *claim, const struct claim_source *source, struct claim_error *err)
{
    struct job job = {.claim = &claim, .n = 1, .source = source};
    return run(work_check, &job, err);
}

static void work_points(struct reader *r, struct job *job)
{
    check(r, job->claim[0]);
    r->pool.field = "that";
    job->status = check_relations(r, &job->claim[0]->that, job->visit, job->arg);
    r->pool.field = "given";
    if (job->status == 0)
        job->status = check_relations(r, &job->claim[0]->given, job->visit, job->arg);
}

int claim_points(const struct claim *claim, const struct claim_source *source, claim_visitor *visit, void *arg,
                 struct claim_error *err)
{
    struct job job = {.claim = &claim, .n = 1, .source = source, .visit = visit, .arg = arg};
    return run(work_points, &job, err);
}

static void work_statistical(struct reader *r, struct job *job)
{
    check(r, job->claim[0]);
    struct parts parts = parts_of(r, &job->claim[0]->that);
    job->status = is_statistical(&parts);
}

int claim_is_statistical(const struct claim *claim, const struct claim_source *source, struct claim_error *err)
{
    struct job job = {.claim = &claim, .n = 1, .source = source};
    return run(work_statistical, &job, err);
}

static void work_evaluate(struct reader *r, struct job *job)
{
    size_t n_claims = 0;
    check_options(r, job->options);
    for (job->current = 0; job->current < job->n; job->current++) {
        const struct claim *claim = job->claim[job->current];
        check(r, claim);
        r->pool.field = "that";
        struct parts parts = parts_of(r, &claim->that);
        n_claims += is_statistical(&parts) ? 1 : 0;
    }
    n_claims = job->options->n_claims > n_claims ? job->options->n_claims : n_claims;
    for (job->current = 0; job->current < job->n; job->current++)
        answer(r, job->claim[job->current], job->options, n_claims, &job->result[job->current]);
}

int claim_evaluate(const struct claim *const *claim, size_t n, const struct claim_source *source,
                   const struct claim_options *options, struct claim_result *out, struct claim_error *err)
{
    struct job job = {.claim = claim, .n = n, .source = source, .options = options, .result = out, .current = n};
    return run(work_evaluate, &job, err);
}

/* ---- planning ---------------------------------------------------------------------------------------------------- */

static void power_text(const struct part *part, double level, long n, struct text *text)
{
    char number[32], other[32];
    text_add(text, "%ld seeds: ", n);
    if (part->a->kind == NODE_IDENTITY || part->seedless) {
        text->used = 0;
        text_add(text, "needs no statistics");
    } else if (part->a->kind == NODE_SHARE) {
        int rising = part->op == OP_GT || part->op == OP_GE;
        double c = rising ? part->number : 1.0 - part->number;
        double best = stats_binomial_low(n, n, level);
        stats_format_down(number, sizeof number, rising ? best : 1.0 - best, 2);
        text_add(text, "%ld of %ld would show a share %s %s", rising ? n : 0, n, rising ? ">=" : "<=", number);
        long needs = stats_share_needs(c, level);
        stats_format_short(other, sizeof other, part->number);
        if (needs > n)
            text_add(text, " only: %s takes %ld seeds", other, needs);
    } else if (part->a->kind == NODE_SPREAD) {
        stats_format_short(number, sizeof number, stats_sd_high(1.0, (size_t)n, level));
        text_add(text, "the spread is known within a factor of %s", number);
    } else if (part->a->kind == NODE_SPEARMAN || part->a->kind == NODE_STEPS_TO) {
        size_t rank_of = stats_median_rank((size_t)n, level);
        if (rank_of == 0)
            text_add(text, "too few for an interval of the median at this level");
        else
            text_add(text, "all but %zu must agree on each side of the claim", rank_of - 1);
    } else {
        int alone = part->b == NULL;
        stats_format(number, sizeof number, stats_detectable((size_t)n, 1, level, 0.8), 2);
        stats_format(other, sizeof other, stats_detectable((size_t)n, 0, level, 0.8), 2);
        text_add(text, "finds an effect of %s standard deviations%s with power 0.8", number,
                 alone ? "" : " of the paired difference");
        if (!alone)
            text_add(text, ", or %s of one arm when not paired", other);
    }
}

static void work_power(struct reader *r, struct job *job)
{
    const struct claim *claim = job->claim[0];
    check_options(r, job->options);
    check(r, claim);
    struct parts parts = parts_of(r, &claim->that);
    size_t hardest = 0;
    for (size_t i = 1; i < parts.n; i++)
        if (parts.at[hardest].seedless || parts.at[i].a->kind == NODE_SHARE)
            hardest = i;
    size_t n_claims = job->options->n_claims > 0 ? job->options->n_claims : 1;
    double level = level_of(claim, job->options, n_claims, parts.n);
    long needed = n_claims > 1 ? SEEDS_AMONG_OTHERS : SEEDS_ALONE;
    struct text text = {job->text, job->size, 0};
    if (job->n_seeds < needed && is_statistical(&parts))
        text_add(&text, "%ld seeds: a verdict takes %ld", job->n_seeds, needed);
    else
        power_text(&parts.at[hardest], level, job->n_seeds, &text);
}

int claim_power(const struct claim *claim, const struct claim_source *source, const struct claim_options *options,
                long n_seeds, char *text, size_t size, struct claim_error *err)
{
    struct job job = {.claim = &claim, .n = 1, .source = source, .options = options, .n_seeds = n_seeds,
                      .text = text, .size = size};
    return run(work_power, &job, err);
}

/* check_study.c: see check/study.h. */
#include "check/study.h"

#include <assay/config.h>
#include <assay/error.h>
#include <assay/study.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add(struct study_log *log, const char *metric, bool curve, double x, double value)
{
    struct study_line *longer = realloc(log->line, ((size_t)log->n + 1) * sizeof *longer);
    if (!longer)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    log->line = longer;
    struct study_line *l = &log->line[log->n++];
    memset(l, 0, sizeof *l);
    snprintf(l->metric, sizeof l->metric, "%s", metric);
    l->curve = curve;
    l->x = x;
    l->value = value;
}

static void record(void *ctx, const char *metric, double value) { add(ctx, metric, false, 0, value); }
static void curve(void *ctx, const char *metric, double x, double value) { add(ctx, metric, true, x, value); }

struct studying { const struct as_study *study; struct as_study_run run; };

static void body(void *ctx)
{
    struct studying *s = ctx;
    s->study->run(&s->run);
}

bool study_run(struct check_run *r, uint64_t seed, struct study_log *log)
{
    struct studying s = { .study = as_study_build(r->entry) };
    void *opt = calloc(1, s.study->opt_size + 1);
    if (!opt)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    struct as_config *cfg = as_config_new();
    for (const char *const *key = s.study->sample; key && key[0]; key += 2)
        as_config_set(cfg, key[0], key[1], true);
    const char *why = check_options_with(s.study->options, NULL, opt, s.study->opt_size);
    s.run = (struct as_study_run){ .opt = opt, .seed = seed, .config = cfg, .ctx = log, .record = record, .curve = curve };
    if (why)
        check_fail(r, "its defaults are refused: %s", why);
    else if (as_try(body, &s)) {
        why = as_failure_text();
        check_fail(r, "with its defaults and seed %llu it ended early: %s", (unsigned long long)seed, why);
    }
    as_config_free(cfg);
    free(opt);
    return !why;
}

void study_log_free(struct study_log *log)
{
    free(log->line);
    *log = (struct study_log){ 0 };
}

bool study_same(const struct study_line *a, const struct study_line *b)
{
    return !strcmp(a->metric, b->metric) && a->curve == b->curve && !memcmp(&a->x, &b->x, sizeof a->x) &&
           !memcmp(&a->value, &b->value, sizeof a->value);
}

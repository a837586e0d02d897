/* check_objective.c: see check/objective.h. */
#include "check/objective.h"

#include <assay/error.h>
#include <stdlib.h>

enum { SETTINGS = 128 };

static void *zeros(ptrdiff_t n, size_t size)
{
    void *p = calloc(n > 0 ? (size_t)n : 1, size);
    if (!p)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    return p;
}

struct objective_try objective_try_new(const struct check_run *r, bool classes, ptrdiff_t batch, ptrdiff_t time,
                                       ptrdiff_t k, double gain)
{
    struct objective_try t = { .c = { .name = r->name, .classes = classes, .batch = batch, .time = time, .k = k } };
    struct as_key key = { r->seed, AS_ROLE_TEST_HARNESS, (uint64_t)(batch * 1009 + time * 31 + k) };
    ptrdiff_t n = batch * (time ? time : 1);
    t.output = zeros(n * k, sizeof *t.output);
    t.real_target = zeros(n * k, sizeof *t.real_target);
    t.target = zeros(n, sizeof *t.target);
    t.weight = zeros(n, sizeof *t.weight);
    for (ptrdiff_t i = 0; i < n * k; i++) {
        t.output[i] = gain * (double)as_normal(key, (uint64_t)i);
        t.real_target[i] = (double)as_below(as_subkey(key, 1), (uint64_t)i, 2);
    }
    for (ptrdiff_t i = 0; i < n; i++) {
        t.target[i] = (int32_t)as_below(as_subkey(key, 2), (uint64_t)i, (uint32_t)k);
        t.weight[i] = 1;
    }
    t.c.output = t.output;
    t.c.real_target = t.real_target;
    t.c.target = t.target;
    t.c.weight = t.weight;
    t.c.loss = zeros(n, sizeof *t.c.loss);
    t.c.gradient = zeros(n * k, sizeof *t.c.gradient);
    return t;
}

void objective_try_free(struct objective_try *t)
{
    free(t->output);
    free(t->real_target);
    free(t->target);
    free(t->weight);
    free(t->c.loss);
    free(t->c.gradient);
}

const char *objective_text(const struct objective_try *t)
{
    const struct check_setting *s = t->c.setting;
    return as_say("with %s%s%s, outputs (%td, %td, %td) and %s", s ? s->row->key : "the defaults", s ? "=" : "",
                  s ? s->value : "", t->c.batch, t->c.time, t->c.k, t->c.classes ? "classes" : "real targets");
}

static bool ran(struct check_run *r, const struct objective_try *t, const char *why)
{
    if (why)
        check_fail(r, "%s: %s", objective_text(t), why);
    return !why;
}

bool objective_run(struct check_run *r, struct objective_try *t) { return ran(r, t, check_objective(&t->c)); }
bool objective_run_double(struct check_run *r, struct objective_try *t) { return ran(r, t, check_objective_d(&t->c)); }

void objective_each(struct check_run *r, void (*body)(struct check_run *r, const struct check_setting *s, bool classes))
{
    struct check_setting s[SETTINGS];
    int n = check_settings(r->entry->plugin->objective->options, s, SETTINGS), taken = 0;
    for (int classes = 0; classes < 2; classes++) {
        if (!check_objective_takes(r->name, NULL, classes, 5))
            continue;
        taken++;
        body(r, NULL, classes);
        for (int k = 0; k < n && k < SETTINGS && !r->failures; k++)
            if (!s[k].beyond)
                body(r, &s[k], classes);
    }
    if (!taken)
        check_fail(r, "its check() refuses classes and real targets alike for 5 outputs");
}

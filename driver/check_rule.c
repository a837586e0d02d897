/* check_rule.c: see check/rule.h. */
#include "check/rule.h"

#include <assay/error.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void *zeros(size_t n)
{
    void *p = calloc(n ? n : 1, sizeof(double));
    if (!p)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    return p;
}

static void drawn(const struct rule_case *c, long step, const double *w, double *g)
{
    struct as_key key = { c->seed, AS_ROLE_TEST_HARNESS, (uint64_t)step };
    (void)w;
    for (ptrdiff_t i = 0; i < c->n; i++)
        g[i] = (double)as_normal(key, (uint64_t)i);
}

struct rule_case rule_case_new(const struct check_run *r, ptrdiff_t n, long steps)
{
    struct rule_case c = { .name = r->name, .kind = AS_MATRIX, .n = n, .rate = 0.01, .first = 1, .last = steps,
                           .seed = r->seed, .gradient = drawn };
    struct as_key key = { r->seed, AS_ROLE_TEST_HARNESS, 0 };
    c.w = zeros((size_t)n);
    c.moment = zeros((size_t)n * AS_MAX_MOMENTS);
    c.every = zeros((size_t)n * (size_t)steps);
    for (ptrdiff_t i = 0; i < n; i++)
        c.w[i] = (double)as_normal(key, (uint64_t)i);
    return c;
}

void rule_case_free(struct rule_case *c)
{
    free(c->w);
    free(c->moment);
    free(c->every);
}

void rule_case_copy(struct rule_case *to, const struct rule_case *from)
{
    memcpy(to->w, from->w, (size_t)from->n * sizeof *to->w);
    memcpy(to->moment, from->moment, (size_t)from->n * AS_MAX_MOMENTS * sizeof *to->moment);
}

static bool ran(struct check_run *r, const struct rule_case *c, const char *why)
{
    if (why)
        check_fail(r, "with %s the rule cannot be run: %s", rule_setting_text(c->setting), why);
    return !why;
}

bool rule_run(struct check_run *r, struct rule_case *c)
{
    return ran(r, c, check_rule_steps(c));
}

bool rule_run_double(struct check_run *r, struct rule_case *c)
{
    return ran(r, c, check_rule_steps_d(c));
}

const char *rule_setting_text(const struct check_setting *s)
{
    return s && s->row ? as_say("%s=%s", s->row->key, s->value) : "the defaults";
}

int rule_settings(const struct check_run *r, struct check_setting *s)
{
    struct check_setting all[RULE_SETTINGS];
    int n = check_settings(r->entry->plugin->rule->options, all, RULE_SETTINGS), kept = 1;
    s[0] = (struct check_setting){ 0 };
    for (int i = 0; i < n && i < RULE_SETTINGS && kept < RULE_SETTINGS; i++)
        if (!all[i].beyond)
            s[kept++] = all[i];
    return kept;
}

ptrdiff_t check_first_difference(const double *a, const double *b, ptrdiff_t n)
{
    for (ptrdiff_t i = 0; i < n; i++)
        if (memcmp(&a[i], &b[i], sizeof *a) && !(isnan(a[i]) && isnan(b[i])))
            return i;
    return -1;
}

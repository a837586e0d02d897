/* options: each option at its default, minimum, maximum and one beyond; as text and back. */
#include "layer.h"

#include <assay/error.h>
#include <assay/objective.h>
#include <assay/rule.h>
#include <assay/source.h>
#include <assay/study.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Weights above which a value is planned but not run. */
enum { MOST_WEIGHTS = 2000000 };

struct table { const struct as_option *rows; size_t size; };

static struct table table_of(const struct as_plugin *p)
{
    return p->variant     ? (struct table){ p->variant->options, p->variant->opt_size }
           : p->rule      ? (struct table){ p->rule->options, p->rule->opt_size }
           : p->objective ? (struct table){ p->objective->options, p->objective->opt_size }
           : p->source    ? (struct table){ p->source->options, p->source->opt_size }
                          : (struct table){ p->study->options, p->study->opt_size };
}

static void text_and_back(struct check_run *r, const struct table *t, const struct check_setting *s)
{
    char *opt = calloc(2, t->size), text[128], again[128];
    const char *why;

    if (!opt)
        as_fail(AS_NO_MEMORY, "no memory for a check");
    why = check_options_with(t->rows, s, opt, t->size);
    check_did(r);
    if (why) {
        check_fail(r, "%s = %s is within the range that its row declares, and was refused: %s",
                   s->row->key, s->value, why);
    } else {
        as_option_text(s->row, opt, text, sizeof text);
        memcpy(opt + t->size, opt, t->size);
        why = as_option_set(s->row, opt + t->size, text);
        as_option_text(s->row, opt + t->size, again, sizeof again);
        if (why || strcmp(text, again) != 0 || memcmp(opt, opt + t->size, t->size) != 0)
            check_fail(r, "%s = %s was written as '%s' and did not come back from it%s%s", s->row->key, s->value, text,
                       why ? ": " : "", why ? why : "");
    }
    free(opt);
}

static void refused(struct check_run *r, const struct table *t, const struct check_setting *s)
{
    void *opt = calloc(1, t->size);
    const char *why = opt ? check_options_with(t->rows, s, opt, t->size) : "";

    check_did(r);
    if (!why)
        check_fail(r, "%s = %s is beyond what its row allows, expected a refusal; it was taken", s->row->key, s->value);
    else if (!strstr(why, s->row->key))
        check_fail(r, "%s = %s: the refusal does not name the option: %s", s->row->key, s->value, why);
    free(opt);
}

static void all_finite(struct check_run *r, const struct check_case *c, const struct form_result *got)
{
    for (size_t i = 0; i < got->n; i++)
        if (!isfinite(got->value[i])) {
            int p = 0;

            while (i >= got->end[p])
                p++;
            check_fail(r, "expected finite numbers, got %g at %s%s (%s)", got->value[i],
                       got->kind[p] == FORM_INPUT || got->kind[p] == FORM_WEIGHT ? "gradient of " : "",
                       check_element(&c->form, got, p, i - (p ? got->end[p - 1] : 0)), check_where(c, &c->form));
            return;
        }
}

/* The layer with this value: it runs, or its check or plan says in a sentence why it cannot be. */
static void run_layer(struct check_run *r, const struct check_setting *s, int *ran)
{
    static struct check_case c;
    struct form_layout layout;
    struct form_result got;

    if (!check_case(r, CHECK_FEW, 0, &c) || c.why[0])
        return;
    check_case_option(&c, s->row->key, s->value);
    layout = form_plan(&c.form);
    check_did(r);
    if (layout.why[0]) {
        if (!layout.refused)
            check_fail(r, "with %s = %s planning failed, where it may refuse: %s", s->row->key, s->value, layout.why);
        return;
    }
    if (!check_is_small(&layout, MOST_WEIGHTS))
        return;
    if (check_run_form(r, &c, &c.form, &got)) {
        all_finite(r, &c, &got);
        ++*ran;
    }
    free(got.value);
}

static void run(struct check_run *r)
{
    struct table t = table_of(r->entry->plugin);
    struct check_setting s[256];
    int n = check_settings(t.rows, s, 256), ran = 0;

    if (n == 0) {
        check_no_matter(r, "it has no options");
        return;
    }
    for (int i = 0; i < n && i < 256; i++) {
        if (s[i].beyond)
            refused(r, &t, &s[i]);
        else
            text_and_back(r, &t, &s[i]);
        if (!s[i].beyond && r->entry->plugin->variant)
            run_layer(r, &s[i], &ran);
    }
    if (r->entry->plugin->variant && ran == 0 && r->result == CHECK_PASS)
        check_not_tested(r, "with no value of any option did it run");
    check_note(r, "%d values", n);
}

const struct as_check AS_CHECK(options) = {
    .name = "options", .of = CHECK_ALL, .run = run,
    .proves = "every option reads at its default, minimum and maximum, is written and read back, is refused one step "
              "beyond, and layers run with finite results at each value, or refuse it with a sentence",
    .cannot = "values of several options together, and layers of more than two million weights, which are planned only",
};

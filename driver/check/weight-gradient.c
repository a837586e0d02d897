/* weight-gradient: every weight and input has a gradient, or what was compared says nothing about it. */
#include "layer.h"

#include <assay/error.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The share of zeros above which a part is not tested. Gates that are shut, and rectifiers, give some. */
static const double most_zeros = 0.9;

/* The least share of zeros of each part, by form and name, over all that was run. */
struct part { char form[32], name[64]; enum form_part kind; double zeros; size_t n; };
struct seen { int n; struct part part[512]; };

static struct part *part_of(struct seen *s, const char *form, const char *name, enum form_part kind)
{
    for (int i = 0; i < s->n; i++)
        if (s->part[i].kind == kind && strcmp(s->part[i].form, form) == 0 && strcmp(s->part[i].name, name) == 0)
            return &s->part[i];
    if (s->n == (int)(sizeof s->part / sizeof *s->part))
        as_fail(AS_FAILED, "more than %d weights", s->n);
    s->part[s->n] = (struct part){ .kind = kind, .zeros = 2 };
    snprintf(s->part[s->n].form, sizeof s->part[0].form, "%s", form);
    snprintf(s->part[s->n].name, sizeof s->part[0].name, "%s", name);
    return &s->part[s->n++];
}

static void one_case(struct check_run *r, const struct check_case *c, const struct check_forms *forms,
                     struct seen *seen)
{
    for (int i = 0; i < forms->n; i++) {
        struct form f = c->form;
        struct form_result got;

        f.impl = forms->form[i].name;
        if (check_run_form(r, c, &f, &got))
            for (int p = 0; p < got.n_parts; p++) {
                size_t from = p ? got.end[p - 1] : 0, n = got.end[p] - from, zeros = 0;
                struct part *part = part_of(seen, f.impl, got.part[p], got.kind[p]);

                for (size_t j = from; j < got.end[p]; j++)
                    zeros += got.value[j] == 0;
                if (n > 0 && (double)zeros / (double)n < part->zeros) {
                    part->zeros = (double)zeros / (double)n;
                    part->n = n;
                }
            }
        free(got.value);
    }
}

static void run(struct check_run *r)
{
    struct check_forms forms = check_forms_of(r);
    struct check_setting s[256];
    int n = check_settings(check_variant(r)->options, s, 256);
    static struct check_case c;
    static struct seen seen;

    for (int i = -1; i < n && i < 256; i++) {
        struct form_layout layout;

        if ((i >= 0 && s[i].beyond) || !check_case(r, CHECK_FEW, 0, &c) || c.why[0])
            continue;
        if (i >= 0)
            check_case_option(&c, s[i].row->key, s[i].value);
        layout = form_plan(&c.form);
        if (!layout.why[0] && check_is_small(&layout, 60000))
            one_case(r, &c, &forms, &seen);
    }
    for (int i = 0; i < seen.n; i++) {
        const struct part *p = &seen.part[i];

        check_did(r);
        if (p->zeros > most_zeros && p->zeros <= 1)
            check_not_tested(r, "%s%s, impl=%s: %.0f of %zu numbers are zero at best, so nothing that was compared "
                             "says that it is right (with each option at its ends)",
                             p->kind == FORM_INPUT || p->kind == FORM_WEIGHT ? "the gradient of " : "the ", p->name,
                             p->form, p->zeros * (double)p->n, p->n);
    }
}

const struct as_check AS_CHECK(weight_gradient) = {
    .name = "weight-gradient", .of = CHECK_LAYER, .run = run,
    .proves = "the outputs and the gradients of every input and weight are mostly not zero, at least at some value "
              "of some option, so the comparisons mean something",
    .cannot = "that they are right: oracle and gradient do that",
};

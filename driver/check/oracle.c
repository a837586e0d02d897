/* oracle: every implementation, and the graph in float, against the graph (or the reference) in double. */
#include "layer.h"

#include <assay/error.h>

#include <stdlib.h>

/* Weights above which an option's value is planned but not run: its largest sizes would take minutes. */
enum { MOST_WEIGHTS = 60000 };

/* forward: without gradients, where nothing is saved and where a form without a way back runs. */
static void one_form(struct check_run *r, const struct check_case *c, const struct form_result *truth,
                     const struct check_noise *noise, const char *impl, bool forward, double tolerance, double *worst)
{
    struct form f = c->form;
    struct form_result got;

    f.impl = impl;
    f.forward = forward;
    if (check_run_form(r, c, &f, &got)) {
        double e = check_compare(r, c, &f, impl, truth, &got, noise, forward, tolerance);

        if (e > *worst) {
            *worst = e;
            check_note(r, "worst element %.3g units of noise: %s (%s)", e, impl, check_where(c, &f));
        }
    }
    free(got.value);
}

static void one_case(struct check_run *r, const struct check_forms *forms, const struct check_case *c, double *worst)
{
    struct form f = c->form;
    struct form_result truth;
    struct check_noise noise;

    f.impl = check_truth_of(r);
    if (check_run_form_d(r, c, &f, &truth)) {
        noise = check_noise(r, c, &f, &truth);
        for (int i = 0; i < 2 * forms->n; i++)
            one_form(r, c, &truth, &noise, forms->form[i / 2].name, i % 2, forms->form[i / 2].tolerance, worst);
        free(noise.element);
    }
    free(truth.value);
}

/* The usual sizes with one option away from its default: one value after the other. */
static void settings(struct check_run *r, const struct check_forms *forms, double *worst)
{
    struct check_setting s[256];
    int n = check_settings(check_variant(r)->options, s, 256);

    for (int i = 0; i < n && i < 256; i++) {
        static struct check_case c;
        struct form_layout layout;

        if (s[i].beyond || !check_case(r, CHECK_FEW, 0, &c) || c.why[0])
            continue;
        check_case_option(&c, s[i].row->key, s[i].value);
        layout = form_plan(&c.form);
        if (!layout.why[0] && check_is_small(&layout, MOST_WEIGHTS))
            one_case(r, forms, &c, worst);
    }
}

static void run(struct check_run *r)
{
    struct check_forms forms = check_forms_of(r);
    static struct check_case c;
    double worst = 0;

    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++)
        if (c.why[0])
            check_fail(r, "it refuses the sizes that its own descriptor gives: %s", c.why);
        else
            one_case(r, &forms, &c, &worst);
    settings(r, &forms, &worst);
}

const struct as_check AS_CHECK(oracle) = {
    .name = "oracle", .of = CHECK_LAYER, .run = run,
    .proves = "outputs and all gradients of every form in float agree with the double build of the graph or reference, "
              "within units of its own rounding noise, over all shapes and with each option at its ends",
    .cannot = "an error that all forms share, such as a misread equation; options that only matter together",
};

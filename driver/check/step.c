/* step: one step after the other gives what the whole sequence gives. */
#include "layer.h"

#include <stdlib.h>

/* Double has no noise to hide in: the same in units of its own ulp. */
static void in_double(struct check_run *r, const struct check_case *c, const struct form *f,
                      const struct form_result *truth, const struct check_noise *noise)
{
    static struct check_noise fine;
    struct form_result got;
    double scale = 2.220446049250313e-16 / 1.1920929e-7;

    fine.element = malloc((truth->n + 1) * sizeof *fine.element);
    for (int p = 0; p < truth->n_parts; p++)
        fine.unit[p] = noise->unit[p] * scale;
    for (size_t i = 0; fine.element && i < truth->n; i++)
        fine.element[i] = noise->element[i] * scale;
    if (fine.element && check_run_form_d(r, c, f, &got))
        check_compare(r, c, f, "step by step, in double", truth, &got, &fine, 1, 4 * CHECK_TOLERANCE);
    free(got.value);
    free(fine.element);
}

static void one_case(struct check_run *r, const struct check_case *c)
{
    struct form f = c->form, g;
    struct form_result truth, got = { 0 };

    f.impl = check_truth_of(r);
    f.forward = true;
    g = f;
    g.impl = NULL;
    g.stream = true;
    if (check_run_form_d(r, c, &f, &truth) && check_run_form(r, c, &g, &got)) {
        struct check_noise noise = check_noise(r, c, &f, &truth);

        if (truth.rank < 3 || truth.dim[1] != f.time)
            check_no_matter(r, "its result has no time axis");
        else {
            double worst = check_compare(r, c, &g, "step by step", &truth, &got, &noise, 1, CHECK_TOLERANCE);

            check_note(r, "worst element %.3g units of noise", worst);
            if (!c->extreme)
                in_double(r, c, &g, &truth, &noise);
        }
        free(noise.element);
    }
    free(truth.value);
    free(got.value);
}

static void run(struct check_run *r)
{
    unsigned promises = check_promises(r);
    static struct check_case c;

    if (!(promises & (AS_CAUSAL | AS_POINTWISE))) {
        check_no_matter(r, "it makes no promise to be causal, so it does not stream");
        return;
    }
    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++)
        if (!c.why[0] && !c.form.length)
            one_case(r, &c);
}

const struct as_check AS_CHECK(step) = {
    .name = "step", .of = CHECK_LAYER, .run = run,
    .proves = "streaming from the initial state, one step after the other, gives the outputs of the whole sequence, "
              "in float and in double",
    .cannot = "sequences longer than 67 steps; steps of implementations that are not the first to have one",
};

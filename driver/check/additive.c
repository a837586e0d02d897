/* additive: gradients are added to what is there, not written over it. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>

/* What the arrays hold before. */
static const double start = 3;

/* An element gets at most one addition a step of the batch; each rounds by half an ulp of a sum that is no larger than
 * the start and the part's largest value, up to the cancellation that 8 further terms allow for. */
static double allowed(const struct form *f, const struct form_result *want, int part)
{
    double most = 0;

    for (size_t i = part ? want->end[part - 1] : 0; i < want->end[part]; i++)
        most = fmax(most, fabs(want->value[i]));
    return 1.1920929e-7 * (double)(f->batch * f->time + 8) * (start + most);
}

static void compare(struct check_run *r, const struct check_case *c, const struct form *f,
                    const struct form_result *want, const struct form_result *got)
{
    for (int p = 0; p < want->n_parts; p++) {
        double most = allowed(f, want, p);

        if (want->kind[p] != FORM_INPUT && want->kind[p] != FORM_WEIGHT)
            continue;
        check_did(r);
        for (size_t i = p ? want->end[p - 1] : 0; i < want->end[p]; i++)
            if (!(fabs(got->value[i] - (want->value[i] + start)) <= most)) {
                check_fail(r, "the gradient of %s is %.9g; %g stood there before, so expected %.9g, got %.9g: "
                           "gradients are added to (%s)",
                           check_element(f, want, p, i - (p ? want->end[p - 1] : 0)), want->value[i], start,
                           want->value[i] + start, got->value[i], check_where(c, f));
                break;
            }
    }
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form g = *f;
    struct form_result want, got = { 0 };

    g.start = start;
    if (check_run_form(r, c, f, &want) && check_run_form(r, c, &g, &got))
        compare(r, c, f, &want, &got);
    free(want.value);
    free(got.value);
}

static void run(struct check_run *r) { check_each(r, CHECK_FEW, true, one_form); }

const struct as_check AS_CHECK(additive) = {
    .name = "additive", .of = CHECK_LAYER, .run = run,
    .proves = "gradients of inputs and weights that do not start at zero are added to, in every form",
    .cannot = "that what is added is right: oracle and gradient do that",
};

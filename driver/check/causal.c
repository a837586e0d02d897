/* causal: a later input changes nothing earlier. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>

/* From this step on, the inputs are others. */
static void edit_later(void *ctx, const struct form_values *v)
{
    ptrdiff_t from = *(const ptrdiff_t *)ctx;

    for (ptrdiff_t r = 0; r < v->batch; r++)
        for (ptrdiff_t j = from * v->unit; j < v->time * v->unit; j++) {
            v->x[r * v->time * v->unit + j] *= -0.5;
            v->i[r * v->time * v->unit + j] = 0;
        }
}

/* The outputs before step `from`: bit for bit, or within the slack of kernels. */
static void compare_before(struct check_run *r, const struct check_case *c, const struct form *f, ptrdiff_t from,
                           const struct form_result *want, const struct form_result *got)
{
    double slack = -1;
    size_t n = want->end[0], inner = n / (size_t)(f->batch * f->time);        /* the output; more may follow */

    check_did(r);
    for (size_t i = 0; i < n; i++)
        if (i / inner % (size_t)f->time < (size_t)from && want->value[i] != got->value[i]) {
            slack = slack < 0 ? check_slack(r, c, f, 0) : slack;
            if (fabs(want->value[i] - got->value[i]) <= slack)
                continue;
            check_fail(r, "the inputs from step %td on were changed, and an output before it changed: expected %.9g, "
                       "got %.9g at %s (%s)",
                       from, want->value[i], got->value[i], check_element(f, want, 0, i), check_where(c, f));
            return;
        }
}

static void one_form(struct check_run *r, const struct check_case *c, const char *impl)
{
    for (ptrdiff_t from = 1; from < c->form.time; from += from < 4 ? 1 : c->form.time / 5 + 1) {
        struct form f = c->form, g;
        struct form_result want, got = { 0 };

        f.impl = impl;
        f.forward = true;
        g = f;
        g.edit = edit_later;
        g.ctx = &from;
        if (check_run_form(r, c, &f, &want) && check_run_form(r, c, &g, &got)) {
            if (want.rank < 3 || want.end[0] % (size_t)(f.batch * f.time) != 0 || want.dim[1] != f.time)
                check_no_matter(r, "its result has no time axis");
            else
                compare_before(r, c, &f, from, &want, &got);
        }
        free(want.value);
        free(got.value);
    }
}

static void run(struct check_run *r)
{
    struct check_forms forms = check_forms_of(r);
    struct check_case c;

    if (!(check_promises(r) & AS_CAUSAL)) {
        check_no_matter(r, "it makes no promise to be causal");
        return;
    }
    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++)
        for (int i = 0; i < forms.n && !c.form.length; i++)
            one_form(r, &c, forms.form[i].name);
}

const struct as_check AS_CHECK(causal) = {
    .name = "causal", .of = CHECK_LAYER, .run = run,
    .proves = "a change of the inputs from some step on changes no bit of any output before it; in "
              "kernels, nothing beyond rounding noise",
    .cannot = "a look ahead that depends on values or lengths that were not tried",
};

/* batch: rows of a batch do not see each other. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>

/* All rows but this one are changed. */
static void edit_others(void *ctx, const struct form_values *v)
{
    ptrdiff_t row = *(const ptrdiff_t *)ctx;

    for (ptrdiff_t j = 0; j < v->batch * v->time * v->unit; j++)
        if (j / (v->time * v->unit) != row) {
            v->x[j] *= 0.5;
            v->i[j] = 0;
        }
}

/* Output and gradients of the inputs, in one row. */
static void compare_row(struct check_run *r, const struct check_case *c, const struct form *f, ptrdiff_t row,
                        const struct form_result *want, const struct form_result *got)
{
    for (int p = 0; p < want->n_parts; p++) {
        size_t from = p ? want->end[p - 1] : 0, n = want->end[p] - from, of_row = n / (size_t)f->batch;
        double slack = -1;

        if (want->kind[p] != FORM_OUTPUT && want->kind[p] != FORM_INPUT)
            continue;
        check_did(r);
        for (size_t i = (size_t)row * of_row; i < (size_t)(row + 1) * of_row; i++)
            if (want->value[from + i] != got->value[from + i]) {
                slack = slack < 0 ? check_slack(r, c, f, p) : slack;
                if (fabs(want->value[from + i] - got->value[from + i]) <= slack)
                    continue;
                check_fail(r, "all rows but row %td were changed, and in that row expected %.9g, got %.9g at %s%s "
                           "(%s)", row,
                           want->value[from + i], got->value[from + i],
                           want->kind[p] == FORM_INPUT ? "gradient of " : "",
                           check_element(f, want, p, i), check_where(c, f));
                break;
            }
    }
}

/* A row alone, against the same row in the batch. */
static void alone(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form one = *f, truth_form;
    struct form_result whole, single = { 0 }, truth = { 0 };

    one.batch = 1;
    one.forward = true;
    truth_form = one;
    truth_form.impl = check_truth_of(r);
    if (check_run_form(r, c, f, &whole) && check_run_form_d(r, c, &truth_form, &truth)) {
        struct check_noise noise = check_noise(r, c, &truth_form, &truth);

        whole.end[0] = whole.n = whole.end[0] / (size_t)f->batch;    /* row 0 comes first */
        whole.n_parts = 1;
        if (check_run_form(r, c, &one, &single)) {
            check_compare(r, c, &one, "row 0 of the batch against that row alone in double", &truth, &whole, &noise, 1,
                          2 * CHECK_TOLERANCE);
            check_compare(r, c, &one, "row 0 alone", &truth, &single, &noise, 1, 2 * CHECK_TOLERANCE);
        }
        free(noise.element);
    }
    free(whole.value);
    free(single.value);
    free(truth.value);
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    if (f->batch < 2)
        return;
    for (ptrdiff_t row = 0; row < f->batch; row += f->batch - 1) {
        struct form g = *f;
        struct form_result want, got = { 0 };

        g.edit = edit_others;
        g.ctx = &row;
        if (check_run_form(r, c, f, &want) && check_run_form(r, c, &g, &got))
            compare_row(r, c, f, row, &want, &got);
        free(want.value);
        free(got.value);
    }
    if (!c->extreme)
        alone(r, c, f);
}

static void run(struct check_run *r)
{
    if (check_promises(r) & AS_BATCH_STATISTICS)
        check_no_matter(r, "it says that rows see each other (batch statistics)");
    else
        check_each(r, CHECK_FEW, true, one_form);
}

const struct as_check AS_CHECK(batch) = {
    .name = "batch", .of = CHECK_LAYER, .run = run,
    .proves = "other rows change no bit of a row's output and input gradient (in kernels: nothing beyond rounding "
              "noise), and a row alone gives the same within rounding",
    .cannot = "layers that promise batch statistics",
};

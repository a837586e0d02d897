/* finite: no NaN and no infinity at any shape, with large weights and large inputs. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>

static void enlarge(void *ctx, const struct form_values *v)
{
    for (ptrdiff_t j = 0; j < v->batch * v->time * v->unit; j++)
        v->x[j] *= *(const double *)ctx;
}

static void one_run(struct check_run *r, const struct check_case *c, const struct form *f, double factor)
{
    struct form_result got;

    if (check_run_form(r, c, f, &got)) {
        check_did(r);
        for (size_t i = 0; i < got.n; i++) {
            int p = 0;

            if (isfinite(got.value[i]))
                continue;
            while (i >= got.end[p])
                p++;
            check_fail(r, "expected finite numbers, got %g at %s%s (%s%s%s; inputs times %g)", got.value[i],
                       got.kind[p] == FORM_INPUT || got.kind[p] == FORM_WEIGHT ? "gradient of " : "",
                       check_element(f, &got, p, i - (p ? got.end[p - 1] : 0)), c->text, c->text[0] ? ": " : "",
                       check_where(c, f), factor);
            break;
        }
    }
    free(got.value);
}

/* Inputs whose range is declared stay in it: a decay above one grows without bound by right. */
static bool ranged(const struct form *f)
{
    for (int i = 0; i < f->n_in; i++)
        if (f->in[i].lo != 0 || f->in[i].hi != 0)
            return true;
    return false;
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    double factor = 30;
    struct form g = *f;

    one_run(r, c, f, 1);
    g.edit = enlarge;
    g.ctx = &factor;
    if (!ranged(f) && f->time <= 16)
        one_run(r, c, &g, factor);
}

static void run(struct check_run *r) { check_each(r, CHECK_SHAPES, true, one_form); }

const struct as_check AS_CHECK(finite) = {
    .name = "finite", .of = CHECK_LAYER, .run = run,
    .proves = "outputs and gradients are finite at every shape, also with weights eight times and inputs thirty "
              "times as large",
    .cannot = "inputs and weights beyond that; long training",
};

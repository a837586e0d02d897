/* linear: f(a u + b v) = a f(u) + b f(v) in the first input, in double. */
#include "layer.h"

#include <assay/random.h>

#include <math.h>
#include <stdlib.h>

static const double a = 0.75, b = -1.5;

/* u is what was drawn; v is drawn here; share says how much of each. */
struct mix { double u, v; };

static void edit(void *ctx, const struct form_values *x)
{
    const struct mix *m = ctx;
    struct as_key key = { 31, AS_ROLE_TEST_HARNESS, 31 };

    if (x->port == 0)
        for (ptrdiff_t i = 0; i < x->batch * x->time * x->unit; i++)
            x->x[i] = m->u * x->x[i] + m->v * (double)as_normal(key, (uint64_t)i);
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct mix mix[3] = { { 1, 0 }, { 0, 1 }, { a, b } };
    struct form_result y[3] = { { 0 } };
    struct form base = *f;
    struct check_noise noise;
    bool ran = true;

    base.forward = true;
    base.edit = edit;
    for (int i = 0; i < 3; i++) {
        struct form g = base;

        g.ctx = &mix[i];
        ran = check_run_form_d(r, c, &g, &y[i]) && ran;
    }
    if (ran) {
        base.ctx = &mix[2];
        noise = check_noise(r, c, &base, &y[2]);
        check_did(r);
        for (size_t i = 0; i < y[2].n; i++) {
            double want = a * y[0].value[i] + b * y[1].value[i];
            /* three runs, each with the oracle's noise, scaled from float's ulp to double's */
            double most = (1 + a - b) * CHECK_WORST * CHECK_TOLERANCE * fmax(noise.unit[0], noise.element[i]) *
                          (2.220446e-16 / 1.1920929e-7);

            if (fabs(want - y[2].value[i]) <= most + 1e-300)
                continue;
            check_fail(r, "f(%g u %+g v): expected %g f(u) %+g f(v) = %.15g, got %.15g at %s; allowed is a "
                       "difference of %.2g (%s)",
                       a, b, a, b, want, y[2].value[i], check_element(f, &y[2], 0, i), most, check_where(c, f));
            break;
        }
        free(noise.element);
    }
    for (int i = 0; i < 3; i++)
        free(y[i].value);
}

static void run(struct check_run *r)
{
    static struct check_case c;

    if (!(check_variant(r)->promises & AS_LINEAR)) {
        check_no_matter(r, "it makes no promise to be linear");
        return;
    }
    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++) {
        struct form f = c.form;

        f.impl = check_truth_of(r);
        if (!c.why[0])
            one_form(r, &c, &f);
    }
}

const struct as_check AS_CHECK(linear) = {
    .name = "linear", .of = CHECK_LAYER, .run = run,
    .proves = "in double, a combination of two inputs gives the same combination of their outputs, within rounding",
    .cannot = "linearity in further inputs, which is not promised",
};

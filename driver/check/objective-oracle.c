/* objective-oracle: losses and gradients in float against the same file in double, over shapes and gains; at gain 1000
 * an exponential of an output overflows a float, and the loss must not.
 */
#include "objective.h"

#include <float.h>
#include <math.h>

static const double units = 64;      /* float units of the largest size around: a sum of k terms, each a few roundings */

static void compare(struct check_run *r, const struct objective_try *t, const char *what, const double *came,
                    const double *expected, ptrdiff_t n, double scale, double *worst)
{
    for (ptrdiff_t i = 0; i < n && !r->failures; i++) {
        double allowed = units * (double)FLT_EPSILON * (fabs(expected[i]) + scale), off = fabs(came[i] - expected[i]);
        check_did(r);
        *worst = fmax(*worst, off / allowed);
        if (!(off <= allowed))
            check_fail(r, "%s: %s %td: the double build has %.9g, float %.9g; off by %.3g, allowed %.3g",
                       objective_text(t), what, i, expected[i], came[i], off, allowed);
    }
}

static double largest(const double *v, ptrdiff_t n)
{
    double most = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        most = fmax(most, fabs(v[i]));
    return most;
}

static void both(struct check_run *r, const struct check_setting *s, bool classes)
{
    static const ptrdiff_t shape[][3] = { { 1, 1, 2 }, { 2, 0, 5 }, { 3, 5, 7 }, { 2, 3, 65 } };
    static const double gain[] = { 1, 30, 1000 };
    double worst = 0;
    for (int z = 0; z < 4; z++)
        for (int g = 0; g < 3 && !r->failures; g++) {
            ptrdiff_t n = shape[z][0] * (shape[z][1] ? shape[z][1] : 1), k = shape[z][2];
            struct objective_try one = objective_try_new(r, classes, shape[z][0], shape[z][1], k, gain[g]);
            struct objective_try two = objective_try_new(r, classes, shape[z][0], shape[z][1], k, gain[g]);
            one.c.setting = two.c.setting = s;
            if (objective_run(r, &one) && objective_run_double(r, &two)) {
                double outputs = largest(one.output, n * k);
                compare(r, &one, "loss", one.c.loss, two.c.loss, n, outputs, &worst);
                compare(r, &one, "gradient", one.c.gradient, two.c.gradient, n * k, fmax(1, largest(two.c.gradient, n * k)),
                        &worst);
            }
            objective_try_free(&one);
            objective_try_free(&two);
        }
    check_note(r, "worst difference %.2f of what is allowed", worst);
}

static void run(struct check_run *r) { objective_each(r, both); }

const struct as_check AS_CHECK(objective_oracle) = {
    .name = "objective-oracle", .of = CHECK_OBJECTIVE,
    .proves = "float losses and gradients agree with the double build, up to outputs whose exponential overflows",
    .cannot = "a mistake in the formula, which the double build shares: golden arrays are for that",
    .run = run,
};

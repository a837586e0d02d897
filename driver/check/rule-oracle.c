/* rule-oracle: the program's float steps against the same file compiled in double, for every option at its default, its
 * ends, and its words. One step rounds a few times, relative to the weight and to the step: so after some steps the
 * difference may be a number of float units times (the weight, plus all that the steps have moved it at most). Where a
 * rule divides by what may cancel (gradient plus decay), rounding is amplified: how much, the double build says, run once
 * more from weights that are off by one float unit.
 */
#include "rule.h"

#include <math.h>
#include <float.h>

enum { STEPS = 12 };
static const double units = 32;      /* roundings: about a dozen operations a step, each half a unit, doubled twice */
static const double again = 12;      /* ... any of which may be amplified like a unit of the weight */

static void compare(struct check_run *r, const struct rule_case *f, const struct rule_case *d, const struct rule_case *near,
                    const double *before, double *worst)
{
    double path = 0;
    for (long s = 0; s < STEPS; s++) {
        const double *was = s ? d->every + (s - 1) * d->n : before;
        double longest = 0;
        for (ptrdiff_t i = 0; i < d->n; i++)
            longest = fmax(longest, fabs(d->every[s * d->n + i] - was[i]));
        path += longest;
        for (ptrdiff_t i = 0; i < d->n; i++) {
            double expected = d->every[s * d->n + i], came = f->every[s * f->n + i];
            double off = fabs(came - expected), moved = fabs(near->every[s * d->n + i] - expected);
            double allowed = units * (double)FLT_EPSILON * (fabs(expected) + path) + again * moved;
            check_did(r);
            *worst = fmax(*worst, off / allowed);
            if (!(off <= allowed)) {
                check_fail(r, "with %s, after step %ld, element %td of %td: the double build has %.9g, float %.9g; off by "
                              "%.3g, allowed %.3g", rule_setting_text(f->setting), s + 1, i, f->n, expected, came, off,
                           allowed);
                return;
            }
        }
    }
}

static void run(struct check_run *r)
{
    static const ptrdiff_t sizes[] = { 1, 7, 64, 67, 48, 60 }, rows[] = { 0, 0, 0, 0, 6, 10 };
    static const double decays[] = { 0, 0.1 };
    struct check_setting s[RULE_SETTINGS];
    int n = rule_settings(r, s);
    double worst = 0;
    for (int k = 0; k < n; k++)
        for (int z = 0; z < 6; z++)
            for (int d = 0; d < 2; d++) {
                struct rule_case one = rule_case_new(r, sizes[z], STEPS), two = rule_case_new(r, sizes[z], STEPS);
                struct rule_case start = rule_case_new(r, sizes[z], 1), near = rule_case_new(r, sizes[z], STEPS);
                one.setting = two.setting = near.setting = k ? &s[k] : NULL;
                one.decay = two.decay = near.decay = decays[d];
                one.rows = two.rows = near.rows = rows[z];
                one.shift = z;
                for (ptrdiff_t i = 0; i < near.n; i++)
                    near.w[i] *= 1 + (double)FLT_EPSILON;
                if (rule_run(r, &one) && rule_run_double(r, &two) && rule_run_double(r, &near))
                    compare(r, &one, &two, &near, start.w, &worst);
                rule_case_free(&near);
                rule_case_free(&one);
                rule_case_free(&two);
                rule_case_free(&start);
                if (r->failures)
                    return;
            }
    check_note(r, "worst difference %.2f of what is allowed", worst);
}

const struct as_check AS_CHECK(rule_oracle) = {
    .name = "rule-oracle", .of = CHECK_RULE,
    .proves = "float steps agree with the same rule in double to a few roundings a step, at every end of every option",
    .cannot = "a mistake in the formula, which the double build shares: golden arrays are for that",
    .run = run,
};

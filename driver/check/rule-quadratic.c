/* rule-quadratic: f(w) = sum a_i (w_i - c_i)^2 / 2 with curvatures 0.1..1 is brought below a twentieth of its start, in
 * 400 steps, at one at least of five rates: a sign, a missing factor or a moment that never moves shows here.
 */
#include "rule.h"

#include <math.h>

enum { N = 16, STEPS = 400 };

static double curvature(ptrdiff_t i) { return 0.1 + 0.9 * (double)i / (N - 1); }
static double centre(ptrdiff_t i) { return i % 2 ? -0.7 : 0.4; }

static void slope(const struct rule_case *c, long step, const double *w, double *g)
{
    (void)step;
    for (ptrdiff_t i = 0; i < c->n; i++)
        g[i] = curvature(i) * (w[i] - centre(i));
}

static double height(const double *w)
{
    double f = 0;
    for (ptrdiff_t i = 0; i < N; i++)
        f += curvature(i) * (w[i] - centre(i)) * (w[i] - centre(i)) / 2;
    return f;
}

static void run(struct check_run *r)
{
    static const double rates[] = { 0.3, 0.1, 0.03, 0.01, 0.003 };
    double best = (double)INFINITY, before = 0, at = 0;
    for (int k = 0; k < 5; k++) {
        struct rule_case c = rule_case_new(r, N, STEPS);
        c.rate = rates[k];
        c.gradient = slope;
        before = height(c.w);
        bool ran = rule_run(r, &c);
        double after = height(c.w);
        rule_case_free(&c);
        if (!ran)
            return;
        check_did(r);
        if (after < best) {
            best = after;
            at = rates[k];
        }
    }
    if (!(best < before / 20))
        check_fail(r, "a convex quadratic of height %.3g should fall below %.3g in %d steps; the best of 5 rates (%g) "
                      "leaves it at %.3g: does the step go down the gradient?", before, before / 20, STEPS, at, best);
    else
        check_note(r, "from %.3g to %.3g in %d steps at rate %g", before, best, STEPS, at);
}

const struct as_check AS_CHECK(rule_quadratic) = {
    .name = "rule-quadratic", .of = CHECK_RULE,
    .proves = "400 steps at the best of five rates bring a convex quadratic below a twentieth of its height",
    .cannot = "that the rule converges elsewhere, or at the speed that its paper claims",
    .run = run,
};

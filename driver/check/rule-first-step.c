/* rule-first-step: a rule with a memory of squares (an option beta2) divides by how much of it is filled. Under a constant
 * gradient each of the first 20 steps is then about as long as the rate, whatever the gradient's size; without the
 * correction of Adam's moments the first one is 3 times (both missing), a tenth (first moment) or 30 times that.
 */
#include "rule.h"

#include <math.h>
#include <string.h>

enum { N = 8, STEPS = 20 };

static double size_of(ptrdiff_t i) { return (i % 2 ? -1 : 1) * pow(10, (double)i / 4 - 1); }

static void constant(const struct rule_case *c, long step, const double *w, double *g)
{
    (void)step;
    (void)w;
    for (ptrdiff_t i = 0; i < c->n; i++)
        g[i] = size_of(i);
}

static void run(struct check_run *r)
{
    const struct as_option *row = r->entry->plugin->rule->options;
    while (row && row->key && strcmp(row->key, "beta2"))
        row++;
    if (!row || !row->key) {
        check_no_matter(r, "has no option beta2: it keeps no memory of squares");
        return;
    }
    struct rule_case c = rule_case_new(r, N, STEPS), start = rule_case_new(r, N, 1);
    c.gradient = constant;
    bool ran = rule_run_double(r, &c);
    for (long s = 0; s < STEPS && ran && !r->failures; s++)
        for (ptrdiff_t i = 0; i < N && !r->failures; i++) {
            double was = s ? c.every[(s - 1) * N + i] : start.w[i], step = (was - c.every[s * N + i]) * copysign(1, size_of(i));
            check_did(r);
            if (!(step >= 0.5 * c.rate && step <= 2 * c.rate))
                check_fail(r, "under a constant gradient of %.3g, step %ld is %.3g times the rate down the gradient; expected "
                              "0.5 to 2: are the moments divided by 1 - beta^t?", size_of(i), s + 1, step / c.rate);
        }
    rule_case_free(&c);
    rule_case_free(&start);
}

const struct as_check AS_CHECK(rule_first_step) = {
    .name = "rule-first-step", .of = CHECK_RULE,
    .proves = "rules with a memory of squares correct its bias: first steps under a constant gradient have the rate's size",
    .cannot = "the correction's exact form: golden arrays are for that",
    .run = run,
};

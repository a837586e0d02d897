/* rule-decay: weight decay lambda acts once and by one of the two laws that there are,
 *     L2          step(g, lambda) = step(g + lambda w, 0)
 *     decoupled   step(g, lambda) = step(g, 0) - rate lambda w
 * and when lambda is 0 (kinds of weight that do not decay get 0) a weight without gradient stays where it is, for every
 * kind. In double, from a state three steps old, so that moments take part.
 */
#include "rule.h"

#include <assay/error.h>
#include <math.h>

enum { N = 12, BEFORE = 3 };
static const double lambda = 0.1, near = 1e-4;      /* the gradient crosses as float: 1e-7 of it is noise */

static void nothing(const struct rule_case *c, long step, const double *w, double *g)
{
    (void)step;
    (void)w;
    for (ptrdiff_t i = 0; i < c->n; i++)
        g[i] = 0;
}

static void with_l2(const struct rule_case *c, long step, const double *w, double *g)
{
    const struct rule_case *plain = c->ctx;
    plain->gradient(c, step, w, g);
    for (ptrdiff_t i = 0; i < c->n; i++)
        g[i] += lambda * w[i];
}

/* One step from the state of `from`: w moves to out->w. */
static bool step_from(struct check_run *r, const struct rule_case *from, struct rule_case *out, double decay, bool l2)
{
    rule_case_copy(out, from);
    out->first = out->last = BEFORE + 1;
    out->decay = decay;
    if (l2) {
        out->ctx = from;
        out->gradient = with_l2;
    }
    return rule_run_double(r, out);
}

static void laws(struct check_run *r)
{
    struct rule_case from = rule_case_new(r, N, BEFORE), none = rule_case_new(r, N, 1), decayed = rule_case_new(r, N, 1);
    struct rule_case l2 = rule_case_new(r, N, 1);
    bool ran = rule_run_double(r, &from) && step_from(r, &from, &none, 0, false) &&
               step_from(r, &from, &decayed, lambda, false) && step_from(r, &from, &l2, 0, true);
    double off_l2 = 0, off_decoupled = 0, moved = 0;
    for (ptrdiff_t i = 0; i < N && ran; i++) {
        double want = none.w[i] - from.rate * lambda * from.w[i];
        off_l2 = fmax(off_l2, fabs(decayed.w[i] - l2.w[i]));
        off_decoupled = fmax(off_decoupled, fabs(decayed.w[i] - want));
        moved = fmax(moved, fabs(none.w[i] - decayed.w[i]));
    }
    if (ran) {
        check_did(r);
        double scale = from.rate * lambda;
        if (!(moved > near * scale))
            check_fail(r, "decay %g changes nothing: expected a step that differs by about rate * decay * w = %.3g",
                       lambda, scale);
        else if (!(off_l2 <= near * moved || off_decoupled <= near * moved))
            check_fail(r, "decay %g acts by neither law: the step differs by %.3g from g + decay w (L2) and by %.3g from "
                          "w - rate decay w (decoupled), where decay moves w by %.3g in all; is it applied twice?",
                       lambda, off_l2, off_decoupled, moved);
        else
            check_note(r, "%s", off_l2 <= near * moved ? "L2: added to the gradient" : "decoupled: rate * decay * w");
    }
    rule_case_free(&from);
    rule_case_free(&none);
    rule_case_free(&decayed);
    rule_case_free(&l2);
}

/* Nothing asked for, nothing done; unless the rule draws noise, which another seed shows. */
static void stays(struct check_run *r, enum as_kind kind)
{
    struct rule_case before = rule_case_new(r, N, 1), one = rule_case_new(r, N, 2), two = rule_case_new(r, N, 2);
    one.kind = two.kind = kind;
    one.gradient = two.gradient = nothing;
    two.seed++;
    if (rule_run(r, &one) && rule_run(r, &two)) {
        ptrdiff_t i = check_first_difference(before.w, one.w, N);
        check_did(r);
        if (i >= 0 && check_first_difference(one.w, two.w, N) < 0)
            check_fail(r, "without gradient and with decay 0, element %td of a weight of kind %d went from %.9g to %.9g; "
                          "it must stay: decay is only for the kinds that are given one", i, (int)kind, before.w[i],
                       one.w[i]);
    }
    rule_case_free(&before);
    rule_case_free(&one);
    rule_case_free(&two);
}

static void run(struct check_run *r)
{
    static const enum as_kind kinds[] = { AS_MATRIX, AS_EMBEDDING, AS_BIAS, AS_GAIN, AS_RECURRENCE };
    laws(r);
    for (int k = 0; k < 5 && !r->failures; k++)
        stays(r, kinds[k]);
}

const struct as_check AS_CHECK(rule_decay) = {
    .name = "rule-decay", .of = CHECK_RULE,
    .proves = "weight decay acts once, as L2 or decoupled, and where it is 0 a weight without gradient stays",
    .cannot = "which of the two laws the paper has, nor a third one",
    .run = run,
};

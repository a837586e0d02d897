/* rule-state: all that a rule remembers is in the moments of the weight under way. A run that is saved and loaded in the
 * middle, other weights updated in between, must give the bits of a run that went straight through; checkpoints, and a
 * model with more than one weight, rest on it.
 */
#include "rule.h"

#include <assay/error.h>

enum { N = 67, STEPS = 10, HALF = 5 };

static void tell(struct check_run *r, const struct check_setting *s, const char *what, const struct rule_case *a,
                 const struct rule_case *b)
{
    ptrdiff_t i = check_first_difference(a->w, b->w, N);
    check_did(r);
    if (i >= 0)
        check_fail(r, "with %s, %s: element %td is %.9g after %d steps, straight through it is %.9g; what the rule "
                      "remembers must be in its moments", rule_setting_text(s), what, i, b->w[i], STEPS, a->w[i]);
}

static void interrupted(struct check_run *r, const struct check_setting *s)
{
    struct rule_case straight = rule_case_new(r, N, STEPS), first = rule_case_new(r, N, STEPS);
    struct rule_case second = rule_case_new(r, N, STEPS), other = rule_case_new(r, 5, STEPS);
    straight.setting = first.setting = second.setting = other.setting = s;
    straight.decay = first.decay = second.decay = 0.1;
    other.seed++;
    first.last = HALF;
    second.first = HALF + 1;
    bool ran = rule_run(r, &straight) && rule_run(r, &first) && rule_run(r, &other);
    rule_case_copy(&second, &first);
    if (ran && rule_run(r, &second))
        tell(r, s, "saved after 5 steps and loaded", &straight, &second);
    rule_case_free(&straight);
    rule_case_free(&first);
    rule_case_free(&second);
    rule_case_free(&other);
}

/* Two weights in turn, as in a model, against each alone. */
static void in_turn(struct check_run *r, const struct check_setting *s)
{
    struct rule_case alone = rule_case_new(r, N, STEPS), turn = rule_case_new(r, N, STEPS);
    struct rule_case other = rule_case_new(r, 31, STEPS);
    alone.setting = turn.setting = other.setting = s;
    other.seed++;
    bool ran = rule_run(r, &alone);
    turn.every = other.every = NULL;
    for (long step = 1; step <= STEPS && ran; step++) {
        turn.first = turn.last = other.first = other.last = step;
        ran = rule_run(r, &turn) && rule_run(r, &other);
    }
    if (ran)
        tell(r, s, "with another weight updated in turn", &alone, &turn);
    rule_case_free(&alone);
    rule_case_free(&turn);
    rule_case_free(&other);
}

static void run(struct check_run *r)
{
    struct check_setting s[RULE_SETTINGS];
    int n = rule_settings(r, s);
    for (int k = 0; k < n && !r->failures; k++) {
        interrupted(r, k ? &s[k] : NULL);
        in_turn(r, k ? &s[k] : NULL);
    }
}

const struct as_check AS_CHECK(rule_state) = {
    .name = "rule-state", .of = CHECK_RULE,
    .proves = "a run saved and loaded in the middle gives the same bits, and weights do not see each other",
    .cannot = "state of a rule's gradient() hook, which has no moments of its own",
    .run = run,
};

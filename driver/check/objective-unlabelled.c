/* objective-unlabelled: a position whose target is -1, in the middle of a row, has loss 0 and no gradient, and the other
 * positions have the losses that they have without it.
 */
#include "objective.h"

#include <math.h>

enum { BATCH = 3, TIME = 5, K = 4 };

static bool unlabelled(ptrdiff_t position) { return position % 3 == 1; }

static void compare(struct check_run *r, const struct objective_try *all, const struct objective_try *some)
{
    for (ptrdiff_t i = 0; i < BATCH * TIME && !r->failures; i++) {
        double expected = unlabelled(i) ? 0 : all->c.loss[i];
        check_did(r);
        if (!(fabs(some->c.loss[i] - expected) <= 1e-12 * (1 + fabs(expected))))
            check_fail(r, "%s: the loss of position %td is %.9g and should be %.9g%s", objective_text(some), i, some->c.loss[i],
                       expected, unlabelled(i) ? ": its target is -1" : ", as with all targets there");
        for (ptrdiff_t k = 0; k < K && !r->failures; k++) {
            double slope = some->c.gradient[i * K + k], want = unlabelled(i) ? 0 : all->c.gradient[i * K + k];
            if (!(fabs(slope - want) <= 1e-12 * (1 + fabs(want))))
                check_fail(r, "%s: the gradient of position %td, output %td is %.9g and should be %.9g%s",
                           objective_text(some), i, k, slope, want, unlabelled(i) ? ": its target is -1" : "");
        }
    }
}

static void masked(struct check_run *r, const struct check_setting *s, bool classes)
{
    if (!classes)
        return;
    struct objective_try all = objective_try_new(r, classes, BATCH, TIME, K, 1);
    struct objective_try some = objective_try_new(r, classes, BATCH, TIME, K, 1);
    all.c.setting = some.c.setting = s;
    for (ptrdiff_t i = 0; i < BATCH * TIME; i++)
        if (unlabelled(i))
            some.target[i] = -1;
    if (objective_run_double(r, &all) && objective_run_double(r, &some))
        compare(r, &all, &some);
    objective_try_free(&all);
    objective_try_free(&some);
}

static void run(struct check_run *r)
{
    objective_each(r, masked);
    if (!r->did && !r->failures)
        check_no_matter(r, "takes real targets, which are always there");
}

const struct as_check AS_CHECK(objective_unlabelled) = {
    .name = "objective-unlabelled", .of = CHECK_OBJECTIVE,
    .proves = "a target of -1 has loss 0 and no gradient, and does not change the others",
    .cannot = "real targets, which have no such mark: the field weight is for them",
    .run = run,
};

/* objective-batch: the losses of an example do not depend on who shares its batch: one row alone, in a batch of five,
 * and in another place of it gets the same losses. So a validation loss does not depend on the size of the batches.
 */
#include "objective.h"

#include <math.h>
#include <string.h>

enum { BATCH = 5, TIME = 4, K = 6 };

static void rows(struct check_run *r, const struct check_setting *s, bool classes)
{
    struct objective_try all = objective_try_new(r, classes, BATCH, TIME, K, 1);
    all.c.setting = s;
    bool ran = objective_run_double(r, &all);
    for (ptrdiff_t b = 0; b < BATCH && ran && !r->failures; b++) {
        struct objective_try one = objective_try_new(r, classes, 1, TIME, K, 1);
        one.c.setting = s;
        memcpy(one.output, all.output + b * TIME * K, TIME * K * sizeof *one.output);
        memcpy(one.real_target, all.real_target + b * TIME * K, TIME * K * sizeof *one.real_target);
        memcpy(one.target, all.target + b * TIME, TIME * sizeof *one.target);
        ran = objective_run_double(r, &one);
        for (ptrdiff_t t = 0; t < TIME && ran && !r->failures; t++) {
            double alone = one.c.loss[t], among = all.c.loss[b * TIME + t];
            check_did(r);
            if (!(fabs(alone - among) <= 1e-12 * (1 + fabs(alone))))
                check_fail(r, "%s: the loss of row %td, step %td is %.12g in a batch of %d and %.12g alone; a loss is of its "
                              "own position", objective_text(&all), b, t, among, BATCH, alone);
        }
        objective_try_free(&one);
    }
    objective_try_free(&all);
}

static void run(struct check_run *r) { objective_each(r, rows); }

const struct as_check AS_CHECK(objective_batch) = {
    .name = "objective-batch", .of = CHECK_OBJECTIVE,
    .proves = "an example's losses are the same alone and in any batch",
    .cannot = "losses that compare examples on purpose, which this contract does not have",
    .run = run,
};

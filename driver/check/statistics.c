/* statistics: running statistics change while training only, and the same way each time. */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form twice = *f, train = *f;
    struct form_result once, got = { 0 }, a = { 0 };

    twice.repeat = 2;
    train.training = true;
    if (check_run_form(r, c, f, &once) && check_run_form(r, c, &twice, &got) && check_run_form(r, c, &train, &a)) {
        size_t bytes = (size_t)once.n_statistics * sizeof *once.statistic;

        if (once.n_statistics == 0) {
            check_no_matter(r, "it keeps no running statistics");
        } else {
            check_did(r);
            if (memcmp(once.statistic, got.statistic, bytes) != 0)
                check_fail(r, "evaluation changed its running statistics: the first is %.9g after one pass and %.9g "
                           "after three; they change while training only (%s)",
                           once.statistic[0], got.statistic[0], check_where(c, f));
            else if (memcmp(once.statistic, a.statistic, bytes) == 0)
                check_fail(r, "a pass in training did not change its running statistics (%s)", check_where(c, f));
        }
    }
    free(once.value), free(got.value), free(a.value);
    free(once.statistic), free(got.statistic), free(a.statistic);
}

static void run(struct check_run *r) { check_each(r, CHECK_FEW, true, one_form); }

const struct as_check AS_CHECK(statistics) = {
    .name = "statistics", .of = CHECK_LAYER, .run = run,
    .proves = "running statistics change in training and not in evaluation",
    .cannot = "that they are the right ones: oracle compares what evaluation makes of them only while they are at "
              "their start",
};

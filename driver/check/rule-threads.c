/* rule-threads: a large weight, a row or a matrix, updated by teams of 1 to 4 threads, has the same bits. */
#include "rule.h"

#include <assay/parallel.h>

enum { STEPS = 3 };

/* rows: 0, or those of a matrix: rules that multiply matrices cut their work elsewhere. */
static void teams(struct check_run *r, ptrdiff_t n, ptrdiff_t rows)
{
    struct rule_case alone = rule_case_new(r, n, STEPS);
    alone.rows = rows;
    as_threads_set(1);
    bool ran = rule_run(r, &alone);
    for (int threads = 2; threads <= 4 && ran && !r->failures; threads++) {
        struct rule_case team = rule_case_new(r, n, STEPS);
        team.rows = rows;
        as_threads_set(threads);
        ran = rule_run(r, &team);
        ptrdiff_t i = check_first_difference(alone.w, team.w, n);
        check_did(r);
        if (ran && i >= 0)
            check_fail(r, "after %d steps element %td of %td is %.9g with %d threads and %.9g with one; cut work by its size, "
                          "never by the team", STEPS, i, n, team.w[i], threads, alone.w[i]);
        rule_case_free(&team);
    }
    as_threads_set(1);
    rule_case_free(&alone);
}

static void run(struct check_run *r)
{
    teams(r, 200003, 0);
    if (!r->failures)
        teams(r, 96000, 240);
}

const struct as_check AS_CHECK(rule_threads) = {
    .name = "rule-threads", .of = CHECK_RULE,
    .proves = "an update has the same bits at 1, 2, 3 and 4 threads",
    .cannot = "races that did not happen this time",
    .run = run,
};

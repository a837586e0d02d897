/* study-repeatable: a study run again with the same options and seed, in the same process, by a team of two threads, records
 * the same numbers in the same order, bit for bit; verdicts and `assay verify` rest on it.
 */
#include "study.h"

#include <assay/parallel.h>

static void run(struct check_run *r)
{
    struct study_log a = { 0 }, b = { 0 };
    as_threads_set(1);
    bool ran = study_run(r, r->seed, &a);
    as_threads_set(2);
    ran = ran && study_run(r, r->seed, &b);
    as_threads_set(1);
    for (int i = 0; ran && !r->failures && (i < a.n || i < b.n); i++) {
        check_did(r);
        if (i >= a.n || i >= b.n)
            check_fail(r, "the first run recorded %d numbers, the second %d", a.n, b.n);
        else if (!study_same(&a.line[i], &b.line[i]))
            check_fail(r, "number %d: the first run recorded %s = %.17g (at %g), the second, with 2 threads, %s = %.17g (at "
                          "%g); draw from the seed alone", i, a.line[i].metric, a.line[i].value, a.line[i].x,
                       b.line[i].metric, b.line[i].value, b.line[i].x);
    }
    study_log_free(&a);
    study_log_free(&b);
}

const struct as_check AS_CHECK(study_repeatable) = {
    .name = "study-repeatable", .of = CHECK_STUDY,
    .proves = "run twice, with 1 and 2 threads, a study records the same bits in the same order",
    .cannot = "that what it measures is what its paper means",
    .run = run,
};

/* study-records: a study records each metric that it declares, once, as a number, and none that it does not. */
#include "study.h"

#include <assay/study.h>
#include <math.h>
#include <string.h>

static bool declared(const struct as_study *s, const char *metric)
{
    for (const struct as_study_metric *m = s->metrics; m->name; m++)
        if (!strcmp(m->name, metric))
            return true;
    return false;
}

static void run(struct check_run *r)
{
    const struct as_study *s = r->entry->plugin->study;
    struct study_log log = { 0 };
    if (!study_run(r, r->seed, &log))
        return;
    for (int i = 0; i < log.n && !r->failures; i++) {
        check_did(r);
        if (!declared(s, log.line[i].metric))
            check_fail(r, "it recorded %s, which is not among the metrics that it declares", log.line[i].metric);
        else if (!isfinite(log.line[i].value))
            check_fail(r, "it recorded %s = %g", log.line[i].metric, log.line[i].value);
    }
    for (int i = 0; s->axes && s->axes[i] && !r->failures; i += 2) {
        check_did(r);
        if (!declared(s, s->axes[i]) || !s->axes[i + 1])
            check_fail(r, "it names an axis of %s, which is not among the metrics that it declares", s->axes[i]);
    }
    for (const struct as_study_metric *m = s->metrics; m->name && !r->failures; m++) {
        int times = 0;
        for (int i = 0; i < log.n; i++)
            times += !log.line[i].curve && !strcmp(log.line[i].metric, m->name);
        check_did(r);
        if (times != 1)
            check_fail(r, "it declares the metric %s and recorded it %d times; once is right", m->name, times);
    }
    study_log_free(&log);
}

const struct as_check AS_CHECK(study_records) = {
    .name = "study-records", .of = CHECK_STUDY,
    .proves = "a study records every metric that it declares once, as a number, and no other",
    .cannot = "the values",
    .run = run,
};

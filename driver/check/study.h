/* study.h: what the checks of studies share (check_study.c). */
#ifndef ASSAY_DRIVER_CHECK_STUDIES_H
#define ASSAY_DRIVER_CHECK_STUDIES_H

#include <driver/check/check.h>

struct study_line { char metric[64]; bool curve; double x, value; };
struct study_log { struct study_line *line; int n; };

/* Runs the study with its defaults and the configuration that it names as its sample. False after the check was failed. */
bool study_run(struct check_run *r, uint64_t seed, struct study_log *log);
void study_log_free(struct study_log *log);
bool study_same(const struct study_line *a, const struct study_line *b);     /* bit for bit */

#endif

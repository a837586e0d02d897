/* run.h: shared by `assay run`, `verify` and what is shown at the end. */
#ifndef ASSAY_DRIVER_RUN_H
#define ASSAY_DRIVER_RUN_H

#include <driver/commands.h>
#include <driver/job.h>
#include <driver/results.h>
#include <driver/supervise.h>

/* Commit and dirty flag of the source tree; empty texts outside git. malloc'd. */
struct source_state { char *commit; bool dirty; };
struct source_state source_state(const struct experiment *e);

/* Jobs, threads and limits as asked for, within the processors that are allowed. */
void run_limits(const struct command_line *line, struct supervisor *s, int *threads);

/* The command line that does `command` with the same experiment and overrides: "./run_experiment parity --quick". */
char *run_line(const struct command_line *line, const char *command, const struct experiment *e);

/* Checks every plug-in of the plan that has not passed with this build, each in a process of its own, and tells what fails
 * on standard error. NULL when all pass; else what fails, "attention/x (causal)", malloc'd. */
char *run_check(const struct plan *plan, struct progress *progress);

/* Table, verdicts, budgets, figures, the line to verify. Returns whether the claims could be answered. */
bool summary_print(struct results *r, const struct command_line *line, double seconds);
bool summary_json(struct results *r);
/* Checks names, keys and axes of all claims: false and *why (file, line, sentence) when one does not fit. */
bool summary_check(struct results *r, const char **why);
void summary_header(struct results *r, int jobs, int threads);

/* All claims answered together; n = e->n_claims results, malloc'd, or NULL (none, or *why). */
struct claim_result *claims_answer(struct results *r, const char **why);

/* Draws all figures; prints one line when it cannot. Returns 0, or an exit status. quiet: says nothing of success. */
int figures_draw(struct results *r, bool png, bool pdf, bool quiet);

#endif

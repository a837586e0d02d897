/* job.h: what the supervisor asks one `assay cell` to do, handed over as a small text file; and what the cell
 * answers through a pipe. */
#ifndef ASSAY_DRIVER_JOB_H
#define ASSAY_DRIVER_JOB_H

#include <driver/experiment.h>
#include <driver/record.h>

struct job {
    char *experiment, *key;
    char *eval_key;               /* hash of metrics and evals: same weights, other questions */
    char *record, *checkpoint;    /* paths */
    char *again;                  /* the line that re-runs the cell */
    enum cell_role role;
    long seed;
    int threads;
    double memory;                /* bytes; 0: no limit */
    long parent;                  /* process id of the supervisor; 0: whoever */
    bool evaluate_only;           /* the weights are in the record already */
    struct as_config *config;
    char **metric; int n_metrics; /* empty: the data's natural one */
    struct eval *eval; int n_evals;
    struct text *fact; int n_facts;      /* put into the record as they are: commit, dirty, ... */
};

struct job *job_new(void);
void job_free(struct job *j);
void job_fact(struct job *j, const char *name, const char *text);
const char *job_write(const struct job *j, const char *path);           /* NULL, or one line */
struct job *job_read(const char *path, const char **why);

/* What a cell says, one line each: "step 120 6000 0.3141", "phase evaluating", "note TEXT", "end OUTCOME REASON".
 * It goes to this file descriptor. */
enum { JOB_PIPE = 3 };

/* Exit status of a cell that was asked to stop and has kept its state. */
enum { JOB_STOPPED = 75 };

#endif

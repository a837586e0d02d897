/* supervise.h: runs cells as processes of their own, so many at a time, within limits. The supervisor itself starts
 * no OpenMP; a cell is spawned and executes this same program anew. */
#ifndef ASSAY_DRIVER_SUPERVISE_H
#define ASSAY_DRIVER_SUPERVISE_H

#include <driver/progress.h>
#include <driver/record.h>
#include <sys/types.h>

struct task {
    int cell;                        /* the caller's number */
    char *job;                       /* path of its job file; written by the caller, removed when done */
    char *log;                       /* what libraries print; removed unless the cell crashed */
    enum outcome outcome;            /* CELL_MISSING until it has ended */
    char *reason;
    double seconds;
    bool cannot;                     /* it ended well or not, but its record could not be written */
    /* private */
    pid_t pid;
    int pipe;
    double started;
    long step, steps;
    bool late, large, told, started_once;
    char line[4096];
    size_t n_line;
};

struct supervisor {
    struct task *task; int n;
    int jobs;
    double limit_time;               /* seconds a cell */
    double limit_memory;             /* bytes a cell */
    struct progress *progress;
    /* Before a task starts: writes its job file. NULL, or one line: then the task has failed. */
    const char *(*prepare)(void *ctx, struct task *t);
    /* After it has ended: reads or writes its record. Not called for those that were stopped. */
    void (*finished)(void *ctx, struct task *t);
    void *ctx;
};

/* Runs all tasks. 0; or the signal (SIGINT, SIGTERM, SIGHUP) that stopped it: then cells under way have kept their
 * state as far as they could, and their tasks are CELL_MISSING. */
int supervise(struct supervisor *s);

int processors_allowed(void);        /* sched_getaffinity */
double memory_allowed(void);         /* bytes: of the machine, or of the control group when that is less */

#endif

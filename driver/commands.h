/* commands.h: the subcommands of the program. main.c reads the command line once into the struct below; each
 * command gets it whole. A command prints its own messages and returns the exit status. */
#ifndef ASSAY_DRIVER_COMMANDS_H
#define ASSAY_DRIVER_COMMANDS_H

#include <stdbool.h>

/* Exit statuses; the manual page has them too. */
enum {
    EXIT_ALL_WELL = 0,
    EXIT_DIFFERENT = 1,           /* verify found a difference, or a check failed; a refuted claim is a result: 0 */
    EXIT_WRONG_USE = 2,           /* the command line, or an experiment file, is wrong: nothing was run */
    EXIT_CELLS_FAILED = 3,        /* a cell diverged, crashed, ran out of time or memory, or was refused */
    EXIT_CANNOT = 4,              /* data missing, disk full, no permission, another driver at work */
    EXIT_INTERRUPTED = 130        /* SIGINT or SIGTERM: what is done is kept */
};

struct experiment;

struct command_line {
    const char *program;          /* argv[0] */
    const char *command;
    const char **word; int n_words;   /* arguments that are no options: experiment names, things to describe */
    const char **set; int n_set;  /* --set key=value in order; --seeds a..b is here as "seeds=a..b" */
    bool quick, json, verify;
    bool unchecked;               /* run: goes on although a plug-in fails its checks */
    bool all;                     /* run: every metric in the table */
    bool csv, md, tex;            /* export: at most one */
    bool coverage;                /* papers: counts by family */
    const char *results;          /* --results, else $ASSAY_RESULTS, else "results" */
    int jobs, threads;            /* 0: chosen from the processors that are allowed */
    double limit_time;            /* seconds per cell; 0: the default */
    long limit_memory;            /* MiB per cell; 0: the default */
    const char *only;             /* check: one check, or NULL */
    long seed;                    /* check */
    bool list, elements, verbose; /* check */
    char **raw; int n_raw;        /* everything behind the subcommand: for `cell` and `bench`, which read it themselves */
};

int command_list(struct command_line *line);
int command_describe(struct command_line *line);
int command_check(struct command_line *line);
int command_plan(struct command_line *line);
int command_run(struct command_line *line);
int command_cell(struct command_line *line);
int command_figures(struct command_line *line);
int command_report(struct command_line *line);
int command_verify(struct command_line *line);
int command_accept(struct command_line *line);
int command_bench(struct command_line *line);
int command_data(struct command_line *line);
int command_papers(struct command_line *line);
int command_export(struct command_line *line);

/* One line to standard error, "assay: SENTENCE"; returns `status`. */
int complain(int status, const char *sentence);

/* Complains that an experiment could not be planned: EXIT_CANNOT when its data cannot be had, else EXIT_WRONG_USE. */
int complain_of_plan(const struct experiment *e, const char *why);

/* Reads the experiment of the command line (its first word) with its overrides. NULL when it complained. */
struct experiment *experiment_of(struct command_line *line);

#endif

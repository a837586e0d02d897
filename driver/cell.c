/* cell.c: `assay cell JOB`, which `assay run` starts once a cell. Whatever happens inside, the record says how it
 * ended; what cannot be said from inside (a crash, the memory limit, the wall clock) the supervisor writes. */
#include <driver/cell.h>

#include <assay/error.h>
#include <assay/parallel.h>
#include <driver/commands.h>
#include <driver/file.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

volatile sig_atomic_t cell_asked_to_stop;

static void asked(int signal_number)
{
    (void)signal_number;
    cell_asked_to_stop = 1;
}

double cell_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

void cell_say(const char *format, ...)
{
    char line[4096];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n < 0) return;
    if ((size_t)n > sizeof line - 2) n = (int)sizeof line - 2;
    line[n++] = '\n';
    /* Nobody listening (a cell started by hand) is fine. */
    if (write(JOB_PIPE, line, (size_t)n) < 0) return;
}

/* The address sanitizer reserves more than any limit would leave it; the supervisor's polling stays. */
#if defined(__SANITIZE_ADDRESS__)
enum { DATA_LIMIT = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { DATA_LIMIT = 0 };
#else
enum { DATA_LIMIT = 1 };
#endif
#else
enum { DATA_LIMIT = 1 };
#endif

/* Dies with its driver, leaves no core file, stays below the memory limit. */
static void set_limits(const struct job *j)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    /* The driver may have died before that call. */
    if (j->parent && (long)getppid() != j->parent) _exit(EXIT_CANNOT);
    setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
    if (DATA_LIMIT && j->memory > 0) {
        rlim_t bytes = (rlim_t)j->memory;
        setrlimit(RLIMIT_DATA, &(struct rlimit){ bytes, bytes });
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN);                      /* Ctrl-C reaches us too; the driver decides, by SIGTERM */
    struct sigaction stop = { .sa_handler = asked, .sa_flags = SA_RESTART };
    sigaction(SIGTERM, &stop, NULL);
}

static void work(void *ctx)
{
    struct cell_run *c = ctx;
    if (as_level_refusal()) as_fail(AS_REFUSED, "%s", as_level_refusal());
    as_threads_set(c->job->threads);
    if (as_config_get(c->cfg, "study")) {
        cell_study(c);
        return;
    }
    cell_stages(c);
}

static void facts(void *ctx) { cell_facts(ctx); }

static void let_go(struct cell_run *c)
{
    as_trainer_free(c->trainer);
    if (c->model) as_model_free(c->model);
    if (c->taught) as_model_free(c->taught);
    as_data_close(c->train);
    as_data_close(c->valid);
    cell_forget(c);
    stages_free(&c->stages);
    record_free(c->record);
    job_free(c->job);
}

static enum outcome outcome_of_failure(enum as_failure f)
{
    switch (f) {
    case AS_OK: return CELL_OK;
    case AS_REFUSED: return CELL_REFUSED;
    case AS_NO_MEMORY: return CELL_OUT_OF_MEMORY;
    case AS_DIVERGED: return CELL_DIVERGED;
    default: return CELL_FAILED;
    }
}

/* Writes the record and gives the exit status. */
static int finish(struct cell_run *c, enum as_failure f)
{
    struct record *r = c->record;
    record_outcome(r, outcome_of_failure(f), f ? as_failure_text() : "");
    if (as_try(facts, c) && r->outcome == CELL_OK) record_outcome(r, CELL_FAILED, as_failure_text());
    free(r->config);
    r->config = as_config_text(c->job->config);
    const char *why = record_write(r, c->job->record);
    if (why) {
        cell_say("end %s %s", outcome_name(CELL_FAILED), why);
        return EXIT_CANNOT;
    }
    unlink(c->job->checkpoint);
    cell_say("end %s %s", outcome_name(r->outcome), r->reason);
    return r->outcome == CELL_OK ? EXIT_ALL_WELL : EXIT_CELLS_FAILED;
}

static double seconds_between_checkpoints(void)
{
    const char *set = getenv("ASSAY_CHECKPOINT_SECONDS");
    double s;
    return set && as_parse_num(set, &s) && s >= 0 ? s : -1;
}

int command_cell(struct command_line *line)
{
    const char *why;
    if (line->n_raw != 1) return complain(EXIT_WRONG_USE, "cell takes one job file; it is started by `assay run`");
    struct job *j = job_read(line->raw[0], &why);
    if (!j) return complain(EXIT_WRONG_USE, why);
    set_limits(j);
    struct cell_run c = { .job = j, .record = record_new(j->key), .cfg = j->config, .started = cell_clock() };
    c.every = seconds_between_checkpoints();
    free(c.record->again);
    c.record->again = file_text("%s", j->again ? j->again : "");
    double began = cell_clock();
    enum as_failure f = as_try(work, &c);
    int status = JOB_STOPPED;
    if (f == AS_STOPPED) {
        cell_say("stopped %ld", c.steps_before + (c.trainer ? as_trainer_step(c.trainer) : 0));
    } else {
        record_number(c.record, "seconds", cell_clock() - began + c.before);
        status = finish(&c, f);
    }
    let_go(&c);
    return status;
}

/* run.c: `assay run NAME`: tuning cells, then final cells, each a process; then what they say. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/file.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <time.h>
#include <unistd.h>

struct run {
    struct command_line *line;
    struct experiment *e;
    struct results *r;
    struct source_state source;
    struct supervisor s;
    struct progress progress;
    char *unchecked;                 /* what fails `assay check` and runs all the same; NULL: nothing */
    int threads, lock, failed, diverged;
    int wrong;                       /* exit status when a key was nobody's after all; 0: fine */
    bool cannot_write;
    bool all_tuning;                 /* a key on the command line is not known before its arm is tuned */
};

/* ---- the folder ---------------------------------------------------------------------------------------------- */

static const char *take_lock(struct run *run)
{
    char *path = file_text("%s/lock", run->r->work), who[128] = "";
    const char *why = NULL;
    run->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (run->lock < 0) {
        why = file_error(path, "cannot be made", errno);
    } else if (flock(run->lock, LOCK_EX | LOCK_NB)) {
        if (read(run->lock, who, sizeof who - 1) < 0) who[0] = 0;
        who[strcspn(who, "\n")] = 0;
        why = as_say("another driver is running here: %s (%s); wait for it, or choose another folder with --results",
                     run->r->folder, *who ? who : "process unknown");
    } else {
        const char *me = as_say("process %ld\n", (long)getpid());
        if (ftruncate(run->lock, 0) || write(run->lock, me, strlen(me)) < 0)
            why = file_error(path, "cannot be written", errno);
    }
    free(path);
    return why;
}

/* What only cells write: job files, logs and half-written files are of cells that died with their driver, or crashed,
 * for the lock is ours. Their process numbers say nothing: a killed cell may wait to be reaped for a while. */
static bool left_behind(const char *name)
{
    const char *dot = strrchr(name, '.');
    return strstr(name, ".new.") || (dot && (!strcmp(dot, ".job") || !strcmp(dot, ".log")));
}

/* "cells.tsv.new.4711" of a process that is no more. */
static bool half_written(const char *name)
{
    const char *at = strstr(name, ".new.");
    if (!at) return false;
    char *end;
    long pid = strtol(at + 5, &end, 10);
    return end > at + 5 && !*end && pid > 0 && kill((pid_t)pid, 0) && errno == ESRCH;
}

static void sweep(const struct results *r)
{
    const char *folder[] = { r->folder, r->figures };      /* where `assay figures` may be at work as well */
    file_sweep(r->work, left_behind);
    file_sweep(r->cells, left_behind);
    for (size_t i = 0; i < sizeof folder / sizeof *folder; i++) file_sweep(folder[i], half_written);
}

/* Which settings a folder with "-set-" in its name is for. */
static const char *keep_settings(const struct results *r)
{
    if (!r->e->settings) return NULL;
    char *path = file_text("%s/settings.txt", r->folder);
    const char *why = file_exists(path) ? NULL : file_replace(path, r->e->settings, strlen(r->e->settings));
    free(path);
    return why;
}

static const char *open_folder(struct run *run)
{
    const char *why = file_make_folder(run->r->cells);
    if (!why) why = file_make_folder(run->r->work);
    if (!why) why = take_lock(run);
    if (!why && run->r->n_damaged) why = run->r->damaged[0];
    if (!why) sweep(run->r);
    return why ? why : keep_settings(run->r);
}

/* ---- one cell ------------------------------------------------------------------------------------------------ */

/* "mixer.beta_max=2 train.lr=1e-3 seed 4"; malloc'd. */
static char *detail_of(const struct results *r, int cell)
{
    const struct cell *c = &r->plan->cell[cell];
    char *arm = results_arm(r, c->point);
    char *text = file_text("%s", arm);
    free(arm);
    if (c->role == CELL_TUNE && r->e->n_tune <= 64) {
        const char *value[64];
        plan_tune_values(r->plan, c->combination, value);
        for (int a = 0; a < r->e->n_tune; a++) {
            char *longer = file_text("%s %s=%s", text, r->e->tune[a].key, value[a]);
            free(text);
            text = longer;
        }
    }
    char *whole = file_text("%s seed %ld", text, c->seed);
    free(text);
    return whole;
}

/* The line that does this cell again and compares: what the record holds. malloc'd. */
static char *line_of_cell(const struct run *run, const struct cell *c)
{
    char *line = run_line(run->line, "verify", run->r->e), *again = file_text("%s %.12s", line, c->key);
    free(line);
    return again;
}

static const char *prepare(void *ctx, struct task *t)
{
    struct run *run = ctx;
    struct results *r = run->r;
    const struct cell *c = &r->plan->cell[t->cell];
    char *record = results_record(r, t->cell), *checkpoint = results_work(r, t->cell, "ckpt");
    char *again = line_of_cell(run, c);
    struct text fact[3] = { { "commit", run->source.commit }, { "dirty", run->source.dirty ? "yes" : "no" } };
    int facts = run->source.commit[0] ? 2 : 0;
    if (run->unchecked) fact[facts++] = (struct text){ "unchecked", run->unchecked };
    struct job j = {
        .experiment = r->e->name, .key = (char *)(uintptr_t)c->key, .eval_key = (char *)(uintptr_t)c->eval_key,
        .record = record, .checkpoint = checkpoint, .again = again, .role = c->role, .seed = c->seed,
        .threads = run->threads, .memory = run->s.limit_memory, .parent = (long)getpid(),
        .evaluate_only = results_weights(r, t->cell), .config = c->config, .metric = r->e->metric,
        .n_metrics = r->e->n_metrics, .eval = c->role == CELL_FINAL ? r->e->eval : NULL,
        .n_evals = c->role == CELL_FINAL ? r->e->n_evals : 0, .fact = fact, .n_facts = facts,
    };
    const char *why = job_write(&j, t->job);
    free(record);
    free(checkpoint);
    free(again);
    return why;
}

/* The record of a cell that could not write its own. An earlier one with weights is worth more and stays. */
static void record_end(struct run *run, struct task *t)
{
    struct results *r = run->r;
    const struct cell *c = &r->plan->cell[t->cell];
    struct record *rec = record_new(c->key);
    char *path = results_record(r, t->cell), *again = line_of_cell(run, c);
    bool keep = r->record[t->cell] && r->record[t->cell]->outcome == CELL_OK;
    record_outcome(rec, t->outcome, t->reason);
    free(rec->config);
    free(rec->again);
    rec->config = as_config_text(c->config);
    rec->again = again;
    record_text(rec, "experiment", r->e->name);
    if (run->unchecked) record_text(rec, "unchecked", run->unchecked);
    record_text(rec, "role", c->role == CELL_FINAL ? "final" : "tune");
    record_number(rec, "seed", (double)c->seed);
    record_number(rec, "seconds", t->seconds);
    const char *why = keep ? NULL : record_write(rec, path);
    if (why && !run->cannot_write) progress_note(&run->progress, why);
    run->cannot_write = run->cannot_write || why;
    free(path);
    record_free(r->record[t->cell]);
    r->record[t->cell] = rec;
}

static void finished(void *ctx, struct task *t)
{
    struct run *run = ctx;
    results_read(run->r, t->cell);
    struct record *rec = run->r->record[t->cell];
    if (t->outcome == CELL_OK && !rec) {
        free(t->reason);
        t->outcome = CELL_FAILED;
        t->reason = file_text("%s", "its record cannot be read");
    }
    if (t->cannot && !run->cannot_write) {
        complain(EXIT_CANNOT, t->reason);
        run->cannot_write = true;
    }
    if (!t->told || !rec || rec->outcome != t->outcome) record_end(run, t);
    if (t->outcome == CELL_DIVERGED) run->diverged++;
    else if (t->outcome != CELL_OK) run->failed++;
    run->progress.done++;
    run->progress.failed = run->failed + run->diverged;
    char *detail = detail_of(run->r, t->cell);
    progress_cell(&run->progress, run->r->plan->cell[t->cell].key, detail, outcome_name(t->outcome), t->reason,
                  t->seconds);
    free(detail);
}

/* ---- all cells of one role ----------------------------------------------------------------------------------- */

static bool names(const char *word, const struct cell *c) { return !strncmp(c->key, word, strlen(word)); }

/* Whether the command line names cells, and not this one. */
static bool left_out(const struct run *run, const struct cell *c)
{
    if (run->line->n_words < 2 || (c->role == CELL_TUNE && run->all_tuning)) return false;
    for (int i = 1; i < run->line->n_words; i++)
        if (names(run->line->word[i], c)) return false;
    return true;
}

/* The first word that names no cell; NULL when all do. Before tuning, a key may be that of a final cell. */
static const char *nameless(const struct run *run)
{
    const struct plan *p = run->r->plan;
    for (int i = 1; i < run->line->n_words; i++) {
        int k = 0;
        while (k < p->n_cells && !names(run->line->word[i], &p->cell[k])) k++;
        if (k == p->n_cells) return run->line->word[i];
    }
    return NULL;
}

static const char *no_such_cell(const char *word)
{
    return as_say("%s: no cell's key begins so (another build or processor level has other keys); cells.tsv has them "
                  "all", word);
}

static void fail_untuned(struct run *run, int cell)
{
    struct record *rec = record_new("");
    record_outcome(rec, CELL_FAILED, "no tuning cell of this arm came to an end");
    record_free(run->r->record[cell]);
    run->r->record[cell] = rec;
    run->failed++;
}

static int run_role(struct run *run, enum cell_role role, const char *phase)
{
    struct results *r = run->r;
    struct task *task = calloc((size_t)r->plan->n_cells + 1, sizeof *task);
    if (!task) as_fail(AS_NO_MEMORY, "no memory for the cells");
    int n = 0, total = 0, kept = 0;
    for (int i = 0; i < r->plan->n_cells; i++) {
        const struct cell *c = &r->plan->cell[i];
        if (c->role != role || left_out(run, c)) continue;
        total++;
        if (role == CELL_FINAL && !c->key[0]) fail_untuned(run, i);
        const char *why = results_share(r, i);
        if (why) progress_note(&run->progress, why);
        if (!c->key[0] || results_complete(r, i)) {
            kept++;
            if (r->record[i] && r->record[i]->outcome == CELL_DIVERGED) run->diverged++;
            continue;
        }
        task[n++] = (struct task){ .cell = i, .job = results_work(r, i, "job"), .log = results_work(r, i, "log"),
                                   .pipe = -1, .reason = file_text("%s", ""), .outcome = CELL_MISSING };
    }
    run->progress.phase = phase;
    run->progress.total = total;
    run->progress.done = run->progress.kept = kept;
    run->progress.running = 0;
    run->progress.failed = run->failed + run->diverged;
    run->s.task = task;
    run->s.n = n;
    run->s.progress = &run->progress;
    if (kept) progress_note(&run->progress, as_say("%d of %d %s cells were there already", kept, total,
                                                   role == CELL_TUNE ? "tuning" : "final"));
    int stopped = n ? supervise(&run->s) : 0;
    for (int i = 0; i < n; i++) {
        free(task[i].job);
        free(task[i].log);
        free(task[i].reason);
    }
    free(task);
    return stopped;
}

static void tell_choices(struct run *run)
{
    struct results *r = run->r;
    for (int k = 0; k < r->plan->n_points; k++) {
        results_choose(r, k);
        struct choice *ch = &r->choice[k];
        if (!ch->edge_of || run->line->json) continue;
        char *arm = results_arm(r, k);
        progress_note(&run->progress, as_say("%s: the best %s lies at the end of its list; a wider list may be better",
                                             arm, ch->edge_of));
        free(arm);
    }
    for (int i = 0; i < r->plan->n_cells; i++)
        if (r->plan->cell[i].role == CELL_FINAL && !r->record[i]) results_read(r, i);
}

static int run_all(struct run *run)
{
    bool tunes = run->r->e->n_tune > 0;
    run->all_tuning = nameless(run) != NULL;
    int stopped = tunes ? run_role(run, CELL_TUNE, "tuning") : 0;
    if (!stopped) {
        const char *word = nameless(run);
        if (word) run->wrong = complain(EXIT_WRONG_USE, no_such_cell(word));
        run->failed = run->diverged = 0;          /* a rate that diverges is an answer; final cells count */
        tell_choices(run);
        stopped = run_role(run, CELL_FINAL, "training");
    }
    const char *why = results_write_cells(run->r);
    if (why) {
        complain(EXIT_CANNOT, why);
        run->cannot_write = true;
    }
    return stopped;
}

/* ---- the end ------------------------------------------------------------------------------------------------- */

static double clock_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int conclude(struct run *run, double seconds)
{
    bool answered = run->line->json ? summary_json(run->r) : summary_print(run->r, run->line, seconds);
    if (run->cannot_write || !answered) return EXIT_CANNOT;
    if (run->wrong) return run->wrong;
    return run->failed || run->diverged ? EXIT_CELLS_FAILED : EXIT_ALL_WELL;
}

static int run_planned(struct run *run)
{
    const char *why = NULL;
    if (!summary_check(run->r, &why)) return complain(EXIT_WRONG_USE, why);
    if (!run->r->e->n_tune && nameless(run)) return complain(EXIT_WRONG_USE, no_such_cell(nameless(run)));
    progress_start(&run->progress, run->line->json);
    run->unchecked = run_check(run->r->plan, &run->progress);
    if (run->unchecked && !run->line->unchecked)
        return complain(EXIT_WRONG_USE, "nothing was run; mend what fails, or give --unchecked: then every table and figure "
                                        "says so");
    why = open_folder(run);
    if (why) return complain(EXIT_CANNOT, why);
    run->source = source_state(run->e);
    run_limits(run->line, &run->s, &run->threads);
    if (!run->line->json) summary_header(run->r, run->s.jobs, run->threads);
    run->s.prepare = prepare;
    run->s.finished = finished;
    run->s.ctx = run;
    double began = clock_now();
    int stopped = run_all(run);
    free(run->source.commit);
    if (!stopped) return conclude(run, clock_now() - began);
    char *on = run_line(run->line, "run", run->e);
    progress_note(&run->progress, as_say("stopped; what is done is kept. To go on: %s", on));
    free(on);
    return EXIT_INTERRUPTED;
}

int command_run(struct command_line *line)
{
    const char *why;
    if (line->verify) return command_verify(line);
    if (line->n_words == 0) return command_list(line);
    signal(SIGPIPE, SIG_IGN);                     /* `assay run NAME | head` still finishes its cells */
    struct run run = { .line = line, .lock = -1, .e = experiment_of(line) };
    if (!run.e) return EXIT_WRONG_USE;
    run.r = results_open(run.e, results_folder(line->results), &why);
    int status = run.r ? run_planned(&run) : complain_of_plan(run.e, why);
    if (run.lock >= 0) close(run.lock);
    free(run.unchecked);
    results_close(run.r);
    experiment_free(run.e);
    return status;
}

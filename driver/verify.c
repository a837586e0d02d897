/* verify.c: `assay verify NAME [KEY...]`: runs finished cells once more in a folder of its own and compares every
 * exact number: metrics, curves and the digest of the weights. Stored results are not touched. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/file.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct verify {
    struct results *r;
    struct supervisor s;
    struct progress progress;
    char *folder;
    int threads, same, differ, failed;
};

static char *at(const struct verify *v, int cell, const char *suffix)
{
    return file_text("%s/%s.%s", v->folder, v->r->plan->cell[cell].key, suffix);
}

static const char *prepare(void *ctx, struct task *t)
{
    struct verify *v = ctx;
    const struct results *r = v->r;
    const struct cell *c = &r->plan->cell[t->cell];
    char *record = at(v, t->cell, "h5"), *checkpoint = at(v, t->cell, "ckpt");
    struct job j = {
        .experiment = r->e->name, .key = (char *)(uintptr_t)c->key, .eval_key = (char *)(uintptr_t)c->eval_key,
        .record = record, .checkpoint = checkpoint, .again = "", .role = c->role, .seed = c->seed,
        .threads = v->threads, .memory = v->s.limit_memory, .parent = (long)getpid(), .config = c->config,
        .metric = r->e->metric, .n_metrics = r->e->n_metrics, .eval = c->role == CELL_FINAL ? r->e->eval : NULL,
        .n_evals = c->role == CELL_FINAL ? r->e->n_evals : 0,
    };
    const char *why = job_write(&j, t->job);
    free(record);
    free(checkpoint);
    return why;
}

/* The same bits; two NANs are the same too. */
static bool same_number(double a, double b) { return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b)); }

static const char *compare_values(const struct record *a, const struct record *b)
{
    for (int i = 0; i < a->n_values; i++) {
        const struct value *v = &a->value[i];
        const struct value *w = record_value_of(b, v->metric, v->n_keys, (const char *const *)v->key,
                                                (const char *const *)v->text);
        const char *key = v->n_keys ? v->text[v->n_keys - 1] : "";
        if (!w) return as_say("%s %s is missing now", v->metric, key);
        if (!same_number(v->value, w->value))
            return as_say("%s %s was %.17g and is %.17g", v->metric, key, v->value, w->value);
    }
    return NULL;
}

static const char *compare_curves(const struct record *a, const struct record *b)
{
    for (int i = 0; i < a->n_curves; i++) {
        const struct curve *p = &a->curve[i], *q = record_curve_of(b, p->name);
        if (!q || q->n != p->n) return as_say("the curve %s has another length", p->name);
        for (int k = 0; k < p->n; k++)
            if (!same_number(p->y[k], q->y[k]))
                return as_say("the curve %s differs first at step %.0f: %.17g and %.17g", p->name, p->x[k], p->y[k],
                              q->y[k]);
    }
    return NULL;
}

/* NULL when they are the same in all that is exact. */
static const char *compare(const struct record *a, const struct record *b)
{
    if (a->outcome != b->outcome)
        return as_say("the outcome was %s and is %s", outcome_name(a->outcome), outcome_name(b->outcome));
    const char *why = compare_curves(a, b);
    const char *x = record_text_of(a, "digest"), *y = record_text_of(b, "digest");
    if (!why && x && (!y || strcmp(x, y) != 0)) why = as_say("the digest was %s and is %s", x, y ? y : "missing");
    return why ? why : compare_values(a, b);
}

static void finished(void *ctx, struct task *t)
{
    struct verify *v = ctx;
    const struct cell *c = &v->r->plan->cell[t->cell];
    char *path = at(v, t->cell, "h5");
    const char *why = NULL, *difference = NULL;
    struct record *now = file_exists(path) ? record_read(path, false, &why) : NULL;
    if (!now && !why) why = t->reason;
    if (now) difference = compare(v->r->record[t->cell], now);
    char *text = file_text("%s", now ? difference ? difference : "" : why);
    *(now ? difference ? &v->differ : &v->same : &v->failed) += 1;
    v->progress.done++;
    v->progress.failed = v->differ + v->failed;
    char *arm = results_arm(v->r, c->point), *detail = file_text("%s seed %ld", arm, c->seed);
    progress_cell(&v->progress, c->key, detail, now ? difference ? "different" : "ok" : outcome_name(t->outcome), text,
                  t->seconds);
    free(detail);
    free(arm);
    free(text);
    free(path);
    record_free(now);
}

static bool wanted(const struct command_line *line, const struct results *r, int cell)
{
    const struct cell *c = &r->plan->cell[cell];
    if (!results_complete(r, cell)) return false;
    if (line->n_words < 2) return c->role == CELL_FINAL;
    for (int i = 1; i < line->n_words; i++)
        if (!strncmp(c->key, line->word[i], strlen(line->word[i]))) return true;
    return false;
}

static int conclude(const struct verify *v, const struct command_line *line, int stopped)
{
    int all = v->same + v->differ + v->failed;
    if (line->json)
        printf("{\"event\":\"verified\",\"same\":%d,\"different\":%d,\"failed\":%d}\n", v->same, v->differ, v->failed);
    else
        printf("%d of %d cells gave the same bits again%s\n", v->same, all,
               v->differ ? "; those that did not are named above (another build, processor level or library?)" : "");
    if (stopped) return EXIT_INTERRUPTED;
    return v->failed ? EXIT_CELLS_FAILED : v->differ ? EXIT_DIFFERENT : EXIT_ALL_WELL;
}

static int verify_all(struct verify *v, const struct command_line *line)
{
    struct task *task = calloc((size_t)v->r->plan->n_cells + 1, sizeof *task);
    int n = 0, stopped = 0;
    if (!task) as_fail(AS_NO_MEMORY, "no memory for the cells");
    for (int i = 0; i < v->r->plan->n_cells; i++)
        if (wanted(line, v->r, i))
            task[n++] = (struct task){ .cell = i, .job = at(v, i, "job"), .log = at(v, i, "log"), .pipe = -1,
                                       .reason = file_text("%s", ""), .outcome = CELL_MISSING };
    run_limits(line, &v->s, &v->threads);
    progress_start(&v->progress, line->json);
    v->progress.phase = "verifying";
    v->progress.total = n;
    v->s.task = task;
    v->s.n = n;
    v->s.progress = &v->progress;
    v->s.prepare = prepare;
    v->s.finished = finished;
    v->s.ctx = v;
    if (n) stopped = supervise(&v->s);
    for (int i = 0; i < n; i++) {
        free(task[i].job);
        free(task[i].log);
        free(task[i].reason);
    }
    free(task);
    if (!n) return complain(EXIT_CANNOT, "no finished cell to verify; run the experiment first");
    return conclude(v, line, stopped);
}

int command_verify(struct command_line *line)
{
    const char *why, *tmp = getenv("TMPDIR");
    signal(SIGPIPE, SIG_IGN);
    struct experiment *e = experiment_of(line);
    if (!e) return EXIT_WRONG_USE;
    struct verify v = { .r = results_open(e, results_folder(line->results), &why) };
    int status;
    if (!v.r) {
        status = complain_of_plan(e, why);
    } else if (v.r->n_damaged) {
        status = complain(EXIT_CANNOT, v.r->damaged[0]);
    } else {
        v.folder = file_text("%s/assay-verify-XXXXXX", tmp && *tmp ? tmp : P_tmpdir);
        if (!mkdtemp(v.folder)) {
            status = complain(EXIT_CANNOT, file_error(v.folder, "cannot be made", errno));
        } else {
            status = verify_all(&v, line);
            file_remove_folder(v.folder);
        }
        free(v.folder);
    }
    results_close(v.r);
    experiment_free(e);
    return status;
}

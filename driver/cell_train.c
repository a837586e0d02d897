/* cell_train.c: data, model and training of one cell, with checkpoints that resume to the same bits. */
#include <driver/cell.h>

#include <assay/error.h>
#include <driver/data.h>
#include <driver/file.h>
#include <driver/key.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The data of a configuration; raises. */
static struct as_data *open_data(struct as_config *cfg, long seed)
{
    const char *why = NULL;
    const struct as_stored *stored = data_stored(cfg, &why);
    if (!stored && why) as_fail(AS_REFUSED, "%s", why);
    return as_data_open(cfg, (uint64_t)seed, stored);
}

/* The training data with the keys valid.data.* laid over: what is selected on. */
static struct as_data *open_valid(struct as_config *cfg, long seed)
{
    static const char prefix[] = "valid.data.";
    struct as_config *copy = as_config_copy(cfg);
    for (size_t i = 0; i < cfg->n; i++) {
        struct as_config_entry *e = &cfg->entry[i];
        if (strncmp(e->key, prefix, sizeof prefix - 1) != 0) continue;
        e->read = true;
        as_config_set(copy, e->key + sizeof "valid" , e->text, true);
    }
    struct as_data *d = open_data(copy, seed);
    as_config_free(copy);
    return d;
}

void cell_open(struct cell_run *c)
{
    c->train = open_data(c->cfg, c->job->seed);
    c->valid = open_valid(c->cfg, c->job->seed);
    const struct as_data_shape *shape = as_data_describe(c->train);
    c->model = as_model_new(c->cfg, shape, (uint64_t)c->job->seed);
    c->trainer = as_trainer_new(c->cfg, c->model, c->train, c->valid, (uint64_t)c->job->seed);
    struct as_model_stats s = as_model_measure(c->model, shape->max_length);
    record_number(c->record, "parameters", s.parameters);
    record_number(c->record, "state", s.state);
    record_number(c->record, "flop", s.flop);
    record_number(c->record, "steps", (double)as_trainer_steps(c->trainer));
    record_number(c->record, "classes", (double)shape->classes);
}

/* ---- checkpoints --------------------------------------------------------------------------------------------- */

struct ckpt_head {
    char magic[8], key[65], sum[65];
    double seconds;                  /* of training so far */
};
static const char magic[8] = "assayK1";

static void keep_state(struct cell_run *c)
{
    size_t n;
    void *state = as_trainer_save(c->trainer, &n);
    struct ckpt_head h = { .seconds = cell_clock() - c->started + c->before };
    memcpy(h.magic, magic, sizeof magic);
    snprintf(h.key, sizeof h.key, "%s", c->job->key);
    key_sha256(state, n, h.sum);
    char *whole = malloc(sizeof h + n);
    const char *why = "no memory for a checkpoint";
    if (whole) {
        memcpy(whole, &h, sizeof h);
        memcpy(whole + sizeof h, state, n);
        why = file_replace(c->job->checkpoint, whole, sizeof h + n);
    }
    free(whole);
    free(state);
    /* Training goes on without: a full disk may be emptied before the record is due. */
    if (why && !c->noted) cell_say("note checkpoint: %s", why);
    c->noted = c->noted || why;
    c->saved = cell_clock();
}

static void resume(struct cell_run *c)
{
    size_t n;
    const char *why = NULL;
    if (!file_exists(c->job->checkpoint)) return;
    char *whole = file_read(c->job->checkpoint, &n, &why), sum[65];
    struct ckpt_head h;
    if (whole && n >= sizeof h) {
        memcpy(&h, whole, sizeof h);
        key_sha256(whole + sizeof h, n - sizeof h, sum);
        if (memcmp(h.magic, magic, sizeof magic) != 0 || memcmp(h.key, c->job->key, sizeof h.key) != 0 ||
            memcmp(h.sum, sum, sizeof sum) != 0)
            why = "it is damaged";
        else
            why = as_trainer_load(c->trainer, whole + sizeof h, n - sizeof h);
    } else if (whole) {
        why = "it is truncated";
    }
    if (why) {
        cell_say("note checkpoint %s: %s; training starts anew", c->job->checkpoint, why);
    } else {
        c->before = h.seconds;
        c->resumed_from = as_trainer_step(c->trainer);
    }
    free(whole);
}

/* ---- training ------------------------------------------------------------------------------------------------ */

static void tell(struct cell_run *c, long step, double now)
{
    const struct as_point *p;
    int n = as_trainer_curve(c->trainer, &p);
    cell_say("step %ld %ld %.6g", step, as_trainer_steps(c->trainer), n ? p[n - 1].train_loss : (double)NAN);
    c->told = now;
}

/* After each step. Short cells are done sooner than it pays to keep them. */
static bool pause_here(void *ctx, long step)
{
    enum { WORTH_KEEPING = 60, EVERY = 30 };
    struct cell_run *c = ctx;
    double now = cell_clock();
    if (now - c->told > 0.2) tell(c, step, now);
    double first = c->every >= 0 ? c->every : WORTH_KEEPING, next = c->every >= 0 ? c->every : EVERY;
    c->keep = c->saved > 0 ? now - c->saved >= next : now - c->started + c->before >= first;
    return c->keep || cell_asked_to_stop;
}

static void keep_curves(struct cell_run *c)
{
    const struct as_point *p;
    int n = as_trainer_curve(c->trainer, &p);
    const char *metric = as_config_get(c->cfg, "valid.metric");
    char *name = file_text("valid.%s", metric ? metric : "score");
    for (int i = 0; i < n; i++) {
        curve_point(record_curve(c->record, "train.loss"), (double)p[i].step, p[i].train_loss);
        if (!isnan(p[i].valid)) curve_point(record_curve(c->record, name), (double)p[i].step, p[i].valid);
    }
    free(name);
}

static void keep_weights(struct cell_run *c)
{
    struct as_weights w = as_model_store(c->model);
    c->record->n_weights = w.n;
    c->record->weight = malloc(w.n ? (size_t)w.n * sizeof(float) : 1);
    if (!c->record->weight) as_fail(AS_NO_MEMORY, "no memory for the weights of the record");
    memcpy(c->record->weight, w.w, (size_t)w.n * sizeof(float));
    record_text(c->record, "digest", as_say("%016llx", (unsigned long long)as_model_digest(c->model)));
}

struct loop { struct cell_run *c; };

static void loop(void *ctx)
{
    struct cell_run *c = ((struct loop *)ctx)->c;
    while (!as_trainer_run(c->trainer, pause_here, c)) {
        keep_state(c);
        if (cell_asked_to_stop) as_fail(AS_STOPPED, "asked to stop");
    }
}

void cell_train(struct cell_run *c)
{
    resume(c);
    c->started = cell_clock();
    enum as_failure f = as_try(loop, &(struct loop){ c });
    char *why = f ? file_text("%s", as_failure_text()) : NULL;
    double seconds = cell_clock() - c->started + c->before;
    if (f != AS_STOPPED) {
        keep_curves(c);                           /* a diverged cell too: its curves tell when */
        record_number(c->record, "train.seconds", seconds);
        record_number(c->record, "steps.done", (double)as_trainer_step(c->trainer));
        record_number(c->record, "resumed_from", (double)c->resumed_from);
    }
    if (f) {
        const char *said = as_say("%s", why);
        free(why);
        as_fail(f, "%s", said);
    }
    if (c->saved > 0) keep_state(c);              /* evaluation may be long too */
    tell(c, as_trainer_step(c->trainer), cell_clock());
    as_trainer_select(c->trainer);
    keep_weights(c);
}

void cell_weights(struct cell_run *c, const struct record *old)
{
    static const char *const same[] = { "train.seconds", "steps.done", "resumed_from" };
    struct as_weights w = as_model_store(c->model);
    if (!old->weight || old->n_weights != w.n)
        as_fail(AS_FAILED, "%s: it holds %td weights and the model has %td; delete it and run again", c->job->record,
                old->n_weights, w.n);
    memcpy(w.w, old->weight, (size_t)w.n * sizeof(float));
    keep_weights(c);
    for (int i = 0; i < old->n_curves; i++)
        for (int k = 0; k < old->curve[i].n; k++)
            curve_point(record_curve(c->record, old->curve[i].name), old->curve[i].x[k], old->curve[i].y[k]);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        record_number(c->record, same[i], record_number_of(old, same[i]));
    c->before = record_number_of(old, "train.seconds");
}

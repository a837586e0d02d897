/* cell_state.c: what a cell finds when it begins: the checkpoint of a run that was ended, or the record whose weights are
 * to be evaluated. A checkpoint holds the weights and curves of the stages that are done, and the state of the trainer. */
#include <driver/cell.h>

#include <assay/error.h>
#include <driver/file.h>
#include <driver/key.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct ckpt_head {
    char magic[8], key[65], sum[65];
    double seconds;                  /* of training so far */
    int64_t stages, n_weights;       /* done (tests/stages.sh reads it), and weights of them all */
};
static const char magic[8] = "assayK2";

/* ---- writing ------------------------------------------------------------------------------------------------- */

static size_t size_of_past(const struct cell_run *c)
{
    size_t n = (size_t)c->record->n_weights * sizeof(float);
    for (int i = 0; i < c->stage; i++) n += sizeof(int64_t) + (size_t)c->past[i].n * sizeof(struct as_point);
    return n;
}

static char *put(char *to, const void *from, size_t n)
{
    if (n) memcpy(to, from, n);
    return to + n;
}

static void put_past(const struct cell_run *c, char *to)
{
    to = put(to, c->record->weight, (size_t)c->record->n_weights * sizeof(float));
    for (int i = 0; i < c->stage; i++) {
        int64_t n = c->past[i].n;
        to = put(to, &n, sizeof n);
        to = put(to, c->past[i].point, (size_t)n * sizeof(struct as_point));
    }
}

void cell_keep_state(struct cell_run *c)
{
    size_t n, past = size_of_past(c);
    void *state = as_trainer_save(c->trainer, &n);
    struct ckpt_head h = { .seconds = cell_trained(c), .stages = c->stage, .n_weights = c->record->n_weights };
    char *whole = malloc(sizeof h + past + n);
    const char *why = "no memory for a checkpoint";
    memcpy(h.magic, magic, sizeof magic);
    snprintf(h.key, sizeof h.key, "%s", c->job->key);
    if (whole) {
        put_past(c, whole + sizeof h);
        memcpy(whole + sizeof h + past, state, n);
        key_sha256(whole + sizeof h, past + n, h.sum);
        memcpy(whole, &h, sizeof h);
        why = file_replace(c->job->checkpoint, whole, sizeof h + past + n);
    }
    free(whole);
    free(state);
    /* Training goes on without: a full disk may be emptied before the record is due. */
    if (why && !c->noted) cell_say("note checkpoint: %s", why);
    c->noted = c->noted || why;
    c->saved = cell_clock();
}

/* ---- reading ------------------------------------------------------------------------------------------------- */

/* The curves of the stages that are done. Returns what is behind them, or NULL. */
static const char *take_past(struct cell_run *c, const char *at, const char *end, int stages)
{
    for (int i = 0; i < stages; i++) {
        int64_t n;
        if ((size_t)(end - at) < sizeof n) return NULL;
        memcpy(&n, at, sizeof n);
        at += sizeof n;
        if (n < 0 || n > INT32_MAX || (size_t)(end - at) / sizeof(struct as_point) < (size_t)n) return NULL;
        struct past *p = &c->past[i];
        p->point = malloc(((size_t)n + 1) * sizeof *p->point);
        if (!p->point) as_fail(AS_NO_MEMORY, "no memory for the curves of a checkpoint");
        p->n = (int)n;
        if (n) memcpy(p->point, at, (size_t)n * sizeof *p->point);
        at += (size_t)n * sizeof *p->point;
    }
    return at;
}

static const char *take_whole(struct cell_run *c, char *whole, size_t n)
{
    struct ckpt_head h;
    char sum[65];
    if (n < sizeof h) return "it is truncated";
    memcpy(&h, whole, sizeof h);
    key_sha256(whole + sizeof h, n - sizeof h, sum);
    if (memcmp(h.magic, magic, sizeof magic) != 0 || memcmp(h.key, c->job->key, sizeof h.key) != 0 ||
        memcmp(h.sum, sum, sizeof sum) != 0 || h.stages < 0 || h.stages >= c->stages.n || h.n_weights < 0 ||
        (size_t)h.n_weights > (n - sizeof h) / sizeof(float))
        return "it is damaged";
    /* The head is a whole number of floats, and malloc'd memory begins on one. */
    const char *past = whole + sizeof h + (size_t)h.n_weights * sizeof(float);
    const char *state = take_past(c, past, whole + n, (int)h.stages);
    if (!state) return "it is damaged";
    c->known = (struct known){ .stages = (int)h.stages, .weight = (const float *)(const void *)(whole + sizeof h),
                               .n = (ptrdiff_t)h.n_weights, .bytes = whole, .state = state,
                               .n_state = (size_t)(whole + n - state), .seconds = h.seconds };
    return NULL;
}

static void say_anew(const struct cell_run *c, const char *why)
{
    cell_say("note checkpoint %s: %s; training starts anew", c->job->checkpoint, why);
}

void cell_find_state(struct cell_run *c)
{
    size_t n;
    const char *why = NULL;
    if (!file_exists(c->job->checkpoint)) return;
    char *whole = file_read(c->job->checkpoint, &n, &why);
    if (whole) why = take_whole(c, whole, n);
    if (!why) return;
    say_anew(c, why);
    free(whole);
}

void cell_take_state(struct cell_run *c)
{
    struct known *k = &c->known;
    if (!k->state || c->stage != k->stages) return;
    const char *why = as_trainer_load(c->trainer, k->state, k->n_state);
    if (why) {
        say_anew(c, why);
    } else {
        c->before = k->seconds;
        c->resumed_from = c->steps_before + as_trainer_step(c->trainer);
    }
    k->state = NULL;
}

void cell_find_record(struct cell_run *c)
{
    static const char *const same[] = { "train.seconds", "steps.done", "resumed_from" };
    const char *why;
    struct record *old = record_read(c->job->record, true, &why);
    if (!old) as_fail(AS_FAILED, "%s", why);
    c->known = (struct known){ .stages = c->stages.n, .weight = old->weight, .n = old->weight ? old->n_weights : 0,
                               .record = old, .seconds = record_number_of(old, "train.seconds") };
    for (int i = 0; i < old->n_curves; i++)
        for (int k = 0; k < old->curve[i].n; k++)
            curve_point(record_curve(c->record, old->curve[i].name), old->curve[i].x[k], old->curve[i].y[k]);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        record_number(c->record, same[i], record_number_of(old, same[i]));
    c->before = c->known.seconds;
}

void cell_forget(struct cell_run *c)
{
    for (int i = 0; c->past && i < c->stages.n; i++) free(c->past[i].point);
    free(c->past);
    free(c->known.bytes);
    record_free(c->known.record);
}

/* cell_train.c: data, model and training of one stage of a cell. */
#include <driver/cell.h>

#include <assay/error.h>
#include <driver/data.h>
#include <driver/file.h>
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

/* Weights that have been learnt stay, by name. */
static void adopt(struct cell_run *c)
{
    const struct stage *s = &c->stages.stage[c->stage];
    const char *why = c->taught ? as_model_adopt(c->model, c->taught, s->fresh) : NULL;
    if (why) as_fail(AS_REFUSED, "[stage %s] %s", s->name, why);
    if (c->taught) as_model_free(c->taught);
    c->taught = NULL;
}

/* Data are the cell's in every stage, so that stages are measured on the same examples and none of them is trained on;
 * what is drawn besides (weights, orders, noise) is the stage's. */
void cell_open(struct cell_run *c)
{
    uint64_t seed = stage_seed(c->job->seed, c->stage);
    c->cfg = c->stages.stage[c->stage].config;
    c->train = open_data(c->cfg, c->job->seed);
    c->valid = open_valid(c->cfg, c->job->seed);
    const struct as_data_shape *shape = as_data_describe(c->train);
    c->model = as_model_new(c->cfg, shape, seed);
    adopt(c);
    c->trainer = as_trainer_new(c->cfg, c->model, c->train, c->valid, seed);
    as_trainer_begin(c->trainer, c->examples_before);
    struct as_model_stats s = as_model_measure(c->model, shape->max_length);
    record_number(c->record, "parameters", s.parameters);
    record_number(c->record, "state", s.state);
    record_number(c->record, "flop", s.flop);
    record_number(c->record, "steps", (double)c->steps_all);
    record_number(c->record, "classes", (double)shape->classes);
}

void cell_close(struct cell_run *c)
{
    c->steps_before += as_trainer_steps(c->trainer);
    c->examples_before += (uint64_t)as_trainer_steps(c->trainer) *
                          (uint64_t)as_config_int(c->cfg, "train.batch", 64, 1, 1 << 24);
    as_trainer_free(c->trainer);
    as_data_close(c->valid);
    as_data_close(c->train);
    c->trainer = NULL;
    c->train = c->valid = NULL;
    c->taught = c->model;
    c->model = NULL;
}

/* ---- what the record keeps of a stage ------------------------------------------------------------------------- */

/* A name within the record: of the stage, if there are stages. malloc'd. */
static char *name_of(const struct cell_run *c, const char *name)
{
    const char *stage = c->stages.stage[c->stage].name;
    return stage ? file_text("%s.%s", stage, name) : file_text("%s", name);
}

static void keep_curve(struct cell_run *c, const char *loss, const char *score)
{
    const struct past *p = &c->past[c->stage];
    for (int i = 0; i < p->n; i++) {
        curve_point(record_curve(c->record, loss), (double)p->point[i].step, p->point[i].train_loss);
        if (!isnan(p->point[i].valid))
            curve_point(record_curve(c->record, score), (double)p->point[i].step, p->point[i].valid);
    }
}

/* Those of the last stage stand under the plain names, too. */
static void keep_curves(struct cell_run *c)
{
    const char *metric = as_config_get(c->cfg, "valid.metric");
    char *score = file_text("valid.%s", metric ? metric : "score");
    if (c->stages.stage[c->stage].name) {
        char *own_loss = name_of(c, "train.loss"), *own_score = name_of(c, score);
        keep_curve(c, own_loss, own_score);
        free(own_loss);
        free(own_score);
    }
    if (c->stage + 1 == c->stages.n) keep_curve(c, "train.loss", score);
    free(score);
}

/* What the trainer has drawn, kept beyond it. */
static void keep_points(struct cell_run *c)
{
    const struct as_point *p;
    struct past *to = &c->past[c->stage];
    to->n = as_trainer_curve(c->trainer, &p);
    free(to->point);
    to->point = malloc(((size_t)to->n + 1) * sizeof *p);
    if (!to->point) as_fail(AS_NO_MEMORY, "no memory for the curves of the record");
    if (to->n) memcpy(to->point, p, (size_t)to->n * sizeof *p);
}

static void keep_weights(struct cell_run *c)
{
    struct as_weights w = as_model_store(c->model);
    struct record *r = c->record;
    float *longer = realloc(r->weight, ((size_t)r->n_weights + (size_t)w.n + 1) * sizeof *longer);
    if (!longer) as_fail(AS_NO_MEMORY, "no memory for the weights of the record");
    r->weight = longer;
    memcpy(r->weight + r->n_weights, w.w, (size_t)w.n * sizeof *longer);
    r->n_weights += w.n;
    const char *digest = as_say("%016llx", (unsigned long long)as_model_digest(c->model));
    char *name = name_of(c, "digest");
    record_text(r, "digest", digest);                /* in the end, that of the last stage */
    if (c->stages.stage[c->stage].name) record_text(r, name, digest);
    free(name);
}

/* ---- training ------------------------------------------------------------------------------------------------ */

double cell_trained(const struct cell_run *c) { return cell_clock() - c->started + c->spent + c->before; }

static void tell(struct cell_run *c, long step, double now)
{
    const struct as_point *p;
    int n = as_trainer_curve(c->trainer, &p);
    cell_say("step %ld %ld %.6g", c->steps_before + step, c->steps_all, n ? p[n - 1].train_loss : (double)NAN);
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
    c->keep = c->saved > 0 ? now - c->saved >= next : cell_trained(c) >= first;
    return c->keep || cell_asked_to_stop;
}

struct loop { struct cell_run *c; };

static void loop(void *ctx)
{
    struct cell_run *c = ((struct loop *)ctx)->c;
    while (!as_trainer_run(c->trainer, pause_here, c)) {
        cell_keep_state(c);
        if (cell_asked_to_stop) as_fail(AS_STOPPED, "asked to stop");
    }
}

void cell_train(struct cell_run *c)
{
    cell_take_state(c);
    c->started = cell_clock();
    enum as_failure f = as_try(loop, &(struct loop){ c });
    char *why = f ? file_text("%s", as_failure_text()) : NULL;
    if (f != AS_STOPPED) {
        keep_points(c);
        keep_curves(c);                           /* a diverged cell too: its curves tell when */
        record_number(c->record, "train.seconds", cell_trained(c));
        record_number(c->record, "steps.done", (double)(c->steps_before + as_trainer_step(c->trainer)));
        record_number(c->record, "resumed_from", (double)c->resumed_from);
    }
    if (f) {
        const char *said = as_say("%s", why);
        free(why);
        as_fail(f, "%s", said);
    }
    if (c->saved > 0) cell_keep_state(c);         /* evaluation may be long too */
    c->spent += cell_clock() - c->started;
    tell(c, as_trainer_step(c->trainer), cell_clock());
    as_trainer_select(c->trainer);
    keep_weights(c);
}

void cell_recall(struct cell_run *c)
{
    struct as_weights w = as_model_store(c->model);
    struct known *k = &c->known;
    bool last = c->stage + 1 == c->stages.n;
    if (k->n - k->at < w.n || (last && k->n - k->at > w.n))
        as_fail(AS_FAILED, "%s: it holds %td weights and the model has %td%s; delete it and run again", c->job->record,
                k->n, k->at + w.n, last ? "" : " or more");
    memcpy(w.w, k->weight + k->at, (size_t)w.n * sizeof(float));
    k->at += w.n;
    keep_weights(c);
    if (!k->record) keep_curves(c);               /* those of a record have been copied as they are */
}

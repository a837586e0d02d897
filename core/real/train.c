/* train.c: the one training loop: batches, gradient, clipping, schedule, rule, evaluation, selection. */
#include "train.h"

#include <assay/parallel.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kind_name[AS_KINDS] = { "matrix", "embedding", "bias", "gain", "recurrence" };

static void *must(void *p)
{
    if (!p)
        as_fail(AS_NO_MEMORY, "out of memory for training");
    return p;
}

/* --- reading the configuration ---------------------------------------------------------------------------- */

static void read_rule(struct as_trainer *tr, struct as_config *cfg)
{
    const char *name = as_config_word(cfg, "rule", "adamw"), *nearest, *why = NULL;
    const struct as_entry *e = as_registry_find("rule", name, &nearest);

    if (!e)
        as_fail(AS_REFUSED, "rule = %s: there is no such rule%s%s", name, nearest ? "; nearest is " : "",
                nearest ? nearest : "");
    tr->rule = e->plugin->rule;
    tr->rule_opt = must(calloc(1, tr->rule->opt_size ? tr->rule->opt_size : 1));
    if (tr->rule->options)
        why = as_options_read(tr->rule->options, tr->rule_opt, tr->rule->opt_size, cfg, "rule");
    if (why)
        as_fail(AS_REFUSED, "%s", why);
    tr->n_moments = tr->rule->moments ? tr->rule->moments(tr->rule_opt) : 0;
    if (tr->n_moments < 0 || tr->n_moments > AS_MAX_MOMENTS)
        as_fail(AS_FAILED, "rule %s keeps %d arrays a weight, allowed are 0..%d", name, tr->n_moments, AS_MAX_MOMENTS);
}

static int word(struct as_config *cfg, const char *key, const char *def, const char *const *words)
{
    const char *text = as_config_word(cfg, key, def), *near;

    for (int i = 0; words[i]; i++)
        if (strcmp(text, words[i]) == 0)
            return i;
    near = as_nearest(text, words);
    as_fail(AS_REFUSED, "%s = %s is not one of the words it takes%s%s", key, text, near ? "; nearest is " : " (first: ",
            near ? near : words[0]);
}

static void read_config(struct as_trainer *tr, struct as_config *cfg)
{
    static const char *const schedules[] = { "constant", "cosine", "linear", NULL };
    static const char *const selects[] = { "last", "best", NULL };
    static const char *const decays[] = { "matrices", "all", NULL };
    char key[48];

    tr->steps = as_config_int(cfg, "train.steps", 1000, 0, 1000000000);
    tr->batch = as_config_int(cfg, "train.batch", 64, 1, 1 << 24);
    tr->lr = as_config_num(cfg, "train.lr", 1e-3, 0, 1e3);
    tr->decay = as_config_num(cfg, "train.decay", 0, 0, 1e3);
    tr->decay_all = word(cfg, "train.decay_on", "matrices", decays) == 1;
    tr->clip = as_config_num(cfg, "train.clip", 1, 0, 1e12);
    tr->schedule = (enum schedule)word(cfg, "train.schedule", "constant", schedules);
    tr->warmup = as_config_int(cfg, "train.warmup", 0, 0, 1000000000);
    tr->final = as_config_num(cfg, "train.final", 0, 0, 1);
    tr->select_best = word(cfg, "train.select", "best", selects) == 1;
    tr->eval_every = as_config_int(cfg, "train.eval_every", tr->steps >= 20 ? tr->steps / 20 : 1, 1, 1000000000);
    for (int k = 0; k < AS_KINDS; k++) {
        snprintf(key, sizeof key, "train.factor.%s", kind_name[k]);
        tr->factor[k] = as_config_num(cfg, key, 1, 0, 1e6);
    }
}

static void read_validation(struct as_trainer *tr, struct as_config *cfg)
{
    const struct as_data_shape *s = as_data_describe(tr->train);
    const char *name = as_config_word(cfg, "valid.metric", s->metric), *near;

    tr->valid_examples = as_config_int(cfg, "valid.examples", s->count[AS_VALID] ? 0 : 512, 0, 100000000);
    tr->metric = as_metric_find(name, &near);
    if (!tr->metric)
        as_fail(AS_REFUSED, "valid.metric = %s: there is no such metric%s%s", name, near ? "; nearest is " : "",
                near ? near : "");
    tr->tie = tr->metric->proportion ? as_metric_find("ce", NULL) : tr->metric;
    if (tr->select_best && !tr->valid)
        as_fail(AS_REFUSED, "train.select = best needs validation data; say train.select = last");
}

/* train.freeze = PREFIX, ...: those weights stay as they are. */
static void read_frozen(struct as_trainer *tr, struct as_config *cfg)
{
    const char *text = as_config_word(cfg, "train.freeze", "none"), *why;
    bool any = strcmp(text, "none") != 0, left = false;

    why = any ? model_names_refusal(tr->model, text) : NULL;
    if (why)
        as_fail(AS_REFUSED, "train.freeze = %s: %s", text, why);
    for (int i = 0; i < tr->model->n_layers; i++)
        for (int j = 0; j < tr->model->layer[i]->n_weights; j++) {
            struct weight_slot *w = &tr->model->layer[i]->weight[j];

            w->frozen = w->used && any && model_named(text, w->name);
            left = left || (w->used && !w->statistic && !w->frozen);
        }
    if (any && !left && tr->steps > 0)
        as_fail(AS_REFUSED, "train.freeze = %s leaves no weight to train; free some, or set train.steps = 0", text);
}

struct setting { struct as_trainer *tr; struct as_config *cfg; };

static void set_up(void *ctx)
{
    struct setting *s = ctx;
    struct as_trainer *tr = s->tr;
    size_t n = as_size((size_t)(tr->model->n_store ? tr->model->n_store : 1), sizeof(real));

    read_config(tr, s->cfg);
    read_rule(tr, s->cfg);
    read_validation(tr, s->cfg);
    read_frozen(tr, s->cfg);
    order_set_up(tr);
    objective_parse(&tr->objective, s->cfg, as_data_describe(tr->train)->objective);
    tr->moment = must(calloc(tr->n_moments ? (size_t)tr->n_moments : 1, n));
    tr->best = must(malloc(n));
    memcpy(tr->best, tr->model->store, (size_t)tr->model->n_store * sizeof(real));
    tr->tape = as_tape_new();
    tr->batch_arena = as_arena_new();
    rows_set_up(tr, s->cfg);
}

struct as_trainer *as_trainer_new(struct as_config *cfg, struct as_model *m, struct as_data *train,
                                  struct as_data *valid, uint64_t seed)
{
    struct as_trainer *tr = calloc(1, sizeof *tr);
    struct setting s = { tr, cfg };
    enum as_failure f;
    char why[512];

    if (!tr)
        as_fail(AS_NO_MEMORY, "out of memory for training");
    tr->model = m;
    tr->train = train;
    tr->valid = valid;
    tr->seed = seed;
    tr->best_step = tr->epoch = -1;
    f = as_try(set_up, &s);
    if (f == AS_OK)
        return tr;
    snprintf(why, sizeof why, "%s", as_failure_text());
    as_trainer_free(tr);
    as_fail(f, "%s", why);
}

void as_trainer_free(struct as_trainer *tr)
{
    if (!tr)
        return;
    objective_free(&tr->objective);
    rows_free(tr);
    if (tr->tape)
        as_tape_free(tr->tape);
    as_arena_free(tr->batch_arena);
    free(tr->rule_opt);
    free(tr->moment);
    free(tr->best);
    free(tr->point);
    order_free(tr);
    free(tr);
}

/* --- one step --------------------------------------------------------------------------------------------- */

double rate_at(const struct as_trainer *tr, long step)
{
    double done, shape = 1;

    if (step <= tr->warmup)
        return tr->lr * (double)step / (double)tr->warmup;
    done = tr->steps > tr->warmup ? (double)(step - tr->warmup) / (double)(tr->steps - tr->warmup) : 1;
    if (tr->schedule == SCHEDULE_COSINE)
        shape = tr->final + (1 - tr->final) * 0.5 * (1 + cos(3.14159265358979323846 * done));
    else if (tr->schedule == SCHEDULE_LINEAR)
        shape = tr->final + (1 - tr->final) * (1 - done);
    return tr->lr * shape;
}

#define PIECE 4096                   /* sums are taken piece by piece: the order does not depend on threads */

double clip_gradient(const struct as_trainer *tr)
{
    const struct as_model *m = tr->model;
    double sum = 0, norm;

    for (ptrdiff_t at = 0; at < m->n_store; at += PIECE) {
        ptrdiff_t end = at + PIECE < m->n_store ? at + PIECE : m->n_store;
        double lane[8] = { 0 }, rest = 0;          /* side by side: an addition waits for the one before it */
        ptrdiff_t i = at;

        for (; i + 8 <= end; i += 8)
            for (int j = 0; j < 8; j++)
                lane[j] += (double)m->gradient[i + j] * (double)m->gradient[i + j];
        for (; i < end; i++)
            rest += (double)m->gradient[i] * (double)m->gradient[i];
        sum += ((lane[0] + lane[4]) + (lane[1] + lane[5])) + ((lane[2] + lane[6]) + (lane[3] + lane[7])) + rest;
    }
    norm = sqrt(sum);
    if (tr->clip > 0 && norm > tr->clip) {
        real factor = (real)(tr->clip / norm);

        for (ptrdiff_t i = 0; i < m->n_store; i++)
            m->gradient[i] *= factor;
    }
    return norm;
}

static double decay_of(const struct as_trainer *tr, enum as_kind kind)
{
    return tr->decay_all || kind == AS_MATRIX ? tr->decay : 0;
}

/* The gradient of frozen weights is nobody's: it does not count when gradients are clipped. */
static void drop_frozen(struct as_model *m)
{
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_weights; j++) {
            struct weight_slot *w = &m->layer[i]->weight[j];

            if (w->frozen && !w->statistic)
                memset(w->node.dx, 0, (size_t)as_node_size(&w->node) * sizeof(real));
        }
}

struct as_update trainer_show(const struct as_trainer *tr, const struct weight_slot *w, real **moment)
{
    for (int k = 0; k < tr->n_moments; k++)
        moment[k] = tr->moment + k * tr->model->n_store + w->at;
    return (struct as_update){ .opt = tr->rule_opt, .name = w->name, .kind = w->kind, .rank = w->node.rank,
                               .dim = w->node.dim, .n = as_node_size(&w->node), .w = w->node.x, .g = w->node.dx,
                               .moment = moment, .rate = rate_at(tr, tr->step + 1) * tr->factor[w->kind],
                               .decay = decay_of(tr, w->kind), .step = tr->updates,
                               .key = { tr->seed, AS_ROLE_RULE, (uint64_t)tr->updates } };
}

bool trainer_trains(const struct as_trainer *tr, const struct weight_slot *w)
{
    return w->used && !w->statistic && !w->frozen && tr->factor[w->kind] != 0;
}

void trainer_update(struct as_trainer *tr, const struct as_pass *pass)
{
    struct as_model *m = tr->model;
    double norm;

    tr->updates++;
    drop_frozen(m);
    norm = clip_gradient(tr);
    if (!isfinite(pass->loss) || !isfinite(norm))
        as_fail(AS_DIVERGED, "the loss became %g and the gradient's norm %g at step %ld", pass->loss, norm,
                tr->step + 1);
    for (int i = 0; i < m->n_layers; i++)
        for (int j = 0; j < m->layer[i]->n_weights; j++) {
            struct weight_slot *w = &m->layer[i]->weight[j];
            real *moment[AS_MAX_MOMENTS];
            struct as_update u;

            if (!trainer_trains(tr, w))
                continue;
            u = trainer_show(tr, w, moment);
            tr->rule->update(&u);
        }
}

void as_pass_backprop(struct as_pass *p)
{
    struct as_trainer *tr = p->trainer;
    struct as_node *loss;

    if (tr->lanes && rows_backprop(p))
        return;
    as_tape_reset(tr->tape);
    loss = pass_loss(p, tr->tape);
    p->loss = (double)loss->x[0];
    as_backward(tr->tape, loss, R(1.0));
    p->bytes = as_arena_mark(as_tape_arena(tr->tape));
}

static void one_step(struct as_trainer *tr)
{
    struct as_model *m = tr->model;
    struct as_pass pass = { .model = m, .key = { tr->seed, AS_ROLE_DROPOUT, (uint64_t)tr->step }, .trainer = tr };
    uint64_t *index;

    as_arena_reset(tr->batch_arena, 0);
    index = as_arena_take(tr->batch_arena, as_size((size_t)tr->batch, sizeof *index));
    pass.batch = as_batch_fill(tr->train, tr->batch_arena, AS_TRAIN, 0, tr->batch, order_pick(tr, index));
    memset(m->gradient, 0, (size_t)m->n_store * sizeof(real));
    if (tr->rule->gradient)
        tr->rule->gradient(tr->rule_opt, &pass);
    else
        as_pass_backprop(&pass);
    if (!pass.updated)
        trainer_update(tr, &pass);
    if (!isfinite(pass.loss))
        as_fail(AS_DIVERGED, "the loss became %g at step %ld", pass.loss, tr->step + 1);
    tr->step++;
    tr->running += pass.loss;
    tr->running_n++;
}

/* --- evaluation and selection ----------------------------------------------------------------------------- */

static bool better(const struct as_metric *m, double a, double b) { return m->higher_is_better ? a > b : a < b; }

static void evaluate(struct as_trainer *tr)
{
    const struct as_metric *metric[2] = { tr->metric, tr->tie };
    struct as_score score[2];
    struct as_point *p;

    if (tr->n_points == tr->room_points) {
        tr->room_points = tr->room_points ? 2 * tr->room_points : 32;
        tr->point = must(realloc(tr->point, (size_t)tr->room_points * sizeof *tr->point));
    }
    if (tr->valid)
        as_evaluate_all(tr->model, tr->valid, AS_VALID, tr->valid_examples, tr->batch, 2, metric, score, NULL);
    p = &tr->point[tr->n_points++];
    *p = (struct as_point){ tr->step, tr->running_n ? tr->running / (double)tr->running_n : (double)NAN,
                            tr->valid ? score[0].value : (double)NAN };
    tr->running = 0;
    tr->running_n = 0;
    if (!tr->valid || !tr->select_best)
        return;
    if (tr->best_step >= 0 && !better(tr->metric, score[0].value, tr->best_score) &&
        !(score[0].value == tr->best_score && better(tr->tie, score[1].value, tr->best_tie)))
        return;
    tr->best_step = tr->step;
    tr->best_score = score[0].value;
    tr->best_tie = score[1].value;
    memcpy(tr->best, tr->model->store, (size_t)tr->model->n_store * sizeof(real));
}

bool as_trainer_run(struct as_trainer *tr, bool (*pause)(void *ctx, long step), void *ctx)
{
    if (tr->step == 0 && tr->n_points == 0)
        evaluate(tr);
    while (tr->step < tr->steps) {
        one_step(tr);
        if (tr->step % tr->eval_every == 0 || tr->step == tr->steps)
            evaluate(tr);
        if (pause && pause(ctx, tr->step) && tr->step < tr->steps)
            return false;
    }
    return true;
}

long as_trainer_step(const struct as_trainer *tr) { return tr->step; }
long as_trainer_steps(const struct as_trainer *tr) { return tr->steps; }

int as_trainer_curve(const struct as_trainer *tr, const struct as_point **points)
{
    *points = tr->point;
    return tr->n_points;
}

void as_trainer_select(struct as_trainer *tr)
{
    if (tr->select_best && tr->best_step >= 0)
        memcpy(tr->model->store, tr->best, (size_t)tr->model->n_store * sizeof(real));
}

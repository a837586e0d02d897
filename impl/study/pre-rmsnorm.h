/* pre-rmsnorm.h: is a Pre-LN Transformer, its weights folded, a Pre-RMSNorm and a Pre-CRMSNorm Transformer, and does
 * it stay one while it learns? pre-rmsnorm.c asks in double, pre-rmsnorm-float.c in float.
 *
 * Jiang et al. 2023, "Pre-RMSNorm and Pre-CRMSNorm Transformers" (section 3; the authors' code: example.py, model.py).
 * What a Pre-LN block reads from the main branch does not change when a constant is added to all d numbers there, so
 * with P = I - 11'/d every map W onto the branch (embedding, attention's W_o, the MLP's W_2 and b_2) can be P W:
 *   RMS    main branch of mean zero, LayerNorm(x) = RMSNorm(x)
 *   CRMS   its last number, minus the sum of the others, is left out: maps onto it lose their last row, maps W from
 *          it are W[:, :-1] - W[:, -1:], and the mean square is (|x|^2 + (sum x)^2) / d
 * Norms have neither gain nor bias, as in the authors' code. The function of W is the same in all three, therefore so
 * are the gradient and every step, if the fold is in the graph at each of them; folded once and trained freely it is
 * not.
 *
 * An lm is trained as [model] and [train] say; then, on `batch` test examples, logits are compared with its own, by
 * their largest difference relative to logits above 1:
 *   reference         this file's Pre-LN network of the same weights
 *   rms_before        a second lm with norm = rmsnorm, of folded weights; unfolded_before: of weights as they are
 *   crms_before       this file's CRMS network
 * and along and after `steps` steps of plain gradient descent of rate `rate` on the same batches, against Pre-LN:
 *   rms_after, crms_after     fold in the graph
 *   drift_after       folded once, then free
 *   noise_after       Pre-LN from weights each moved by up to one unit in the last place: what rounding alone does
 * loss_before, loss_after: mean cross-entropy of Pre-LN on these examples, in nats.
 */
#ifndef STUDY_PRE_RMSNORM_H
#define STUDY_PRE_RMSNORM_H

#include "pre-rmsnorm-net.h"

struct opt { int steps, batch; double rate; };

static const struct as_option options[] = {
    { "steps", AS_INT, offsetof(struct opt, steps), 4, 1, 1000000, NULL, NULL, "of gradient descent" },
    { "batch", AS_INT, offsetof(struct opt, batch), 2, 1, 100000, NULL, NULL,
      "examples of a step, and of the comparison" },
    { "rate", AS_NUM, offsetof(struct opt, rate), 0.1, 0, 1000, NULL, "0.03,0.1,0.3", "of gradient descent" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "reference", "log", "the study's Pre-LN network against the model" },
    { "rms_before", "log", "converted Pre-RMSNorm model against the Pre-LN model" },
    { "crms_before", "log", "converted Pre-CRMSNorm network against the Pre-LN model" },
    { "unfolded_before", "log", "RMSNorm put for LayerNorm, weights as they are" },
    { "rms_after", "log", "Pre-RMSNorm, fold in the graph, after descent; as a curve: by step" },
    { "crms_after", "log", "Pre-CRMSNorm, fold in the graph, after descent; as a curve: by step" },
    { "drift_after", "log", "Pre-RMSNorm, folded once, after descent; as a curve: by step" },
    { "noise_after", "log", "Pre-LN from weights moved by a last place, after descent; as a curve: by step" },
    { "loss_before", "raw", "of Pre-LN before descent, nats" },
    { "loss_after", "raw", "of Pre-LN after descent, nats" },
    { 0 }
};

static const char *const after[FORMS] = { [RMS] = "rms_after", [CRMS] = "crms_after", [FREE] = "drift_after",
                                          [NOISE] = "noise_after" };

/* The nets and what they are compared with. */
struct course {
    const struct opt *o;
    const struct as_study_run *run;
    struct as_config *cfg;
    struct as_arena *a;
    struct as_data *data;
    struct as_model *model;              /* Pre-LN, trained */
    const struct as_batch *test;
    struct net net;
    double *truth;                       /* Pre-LN's logits on test */
};

static void descend(struct course *c, int form, const struct as_batch *b)
{
    struct net *n = &c->net;
    struct walk k = { n, form, true };

    memset(n->dw, 0, (size_t)n->n * sizeof *n->dw);
    as_backward(n->t, loss_of(&k, b), 1);
    for (ptrdiff_t i = 0; i < n->n; i++)
        n->w[form][i] -= (real)c->o->rate * n->dw[i];
}

/* --- comparing -------------------------------------------------------------------------------------------- */

/* At valid steps; at least a double's own rounding, for the sake of logarithms. */
static double apart(const struct course *c, const struct as_node *y)
{
    ptrdiff_t classes = y->dim[2];
    double worst = 1e-17;

    for (ptrdiff_t i = 0; i < as_node_size(y); i++) {
        ptrdiff_t at = i / classes;

        if (at % c->test->time < c->test->length[at / c->test->time])
            worst = fmax(worst, fabs((double)y->x[i] - c->truth[i]) / fmax(1, fabs(c->truth[i])));
    }
    return worst;
}

static struct as_node *form_logits(const struct course *c, int form)
{
    return logits(&(struct walk){ &c->net, form, false }, c->test);
}

static double form_loss(const struct course *c, int form)
{
    return (double)loss_of(&(struct walk){ &c->net, form, false }, c->test)->x[0];
}

static struct as_node *model_logits(const struct course *c, struct as_model *m)
{
    as_tape_reset(c->net.t);
    return as_model_forward(m, c->net.t, c->test, false, (struct as_key){ 0 });
}

static void take_truth(struct course *c, const struct as_node *y)
{
    if (!c->truth)
        c->truth = as_arena_take(c->a, as_size((size_t)as_node_size(y), sizeof *c->truth));
    for (ptrdiff_t i = 0; i < as_node_size(y); i++)
        c->truth[i] = (double)y->x[i];
}

/* The model itself with norm = rmsnorm and these weights. */
static double converted(const struct course *c, const real *w)
{
    struct as_config *cfg = as_config_copy(c->cfg);
    struct as_model *m;
    double e;

    as_config_set(cfg, "norm", "rmsnorm", true);
    as_config_set(cfg, "norm.impl", "auto", true);
    m = as_model_new(cfg, as_data_describe(c->data), c->run->seed);
    as_config_free(cfg);
    if (as_model_store(m).n != c->net.n)
        as_fail(AS_FAILED, "the model with norm = rmsnorm has %td weights, expected %td", as_model_store(m).n,
                c->net.n);
    memcpy(as_model_store(m).w, w, (size_t)c->net.n * sizeof *w);
    e = apart(c, model_logits(c, m));
    as_model_free(m);
    return e;
}

static void compare_before(struct course *c)
{
    const struct as_study_run *r = c->run;

    as_tape_record(c->net.t, false);
    take_truth(c, model_logits(c, c->model));
    r->record(r->ctx, "reference", apart(c, form_logits(c, LN)));
    r->record(r->ctx, "rms_before", converted(c, c->net.w[FREE]));
    r->record(r->ctx, "crms_before", apart(c, form_logits(c, CRMS)));
    r->record(r->ctx, "unfolded_before", converted(c, c->net.w[LN]));
    r->record(r->ctx, "loss_before", form_loss(c, LN));
    as_tape_record(c->net.t, true);
}

/* The errors of all forms, as points of their curves, and at the end as metrics. */
static void compare_after(struct course *c, int step)
{
    const struct as_study_run *r = c->run;

    as_tape_record(c->net.t, false);
    take_truth(c, form_logits(c, LN));
    for (int form = RMS; form < FORMS; form++) {
        double e = apart(c, form_logits(c, form));

        r->curve(r->ctx, after[form], step, e);
        if (step == c->o->steps)
            r->record(r->ctx, after[form], e);
    }
    if (step == c->o->steps)
        r->record(r->ctx, "loss_after", form_loss(c, LN));
    as_tape_record(c->net.t, true);
}

/* --- the course ------------------------------------------------------------------------------------------- */

/* Implementations were chosen for the build in float, and kernels exist there only. */
static void choose_in_double(struct as_config *cfg)
{
    for (size_t i = 0; sizeof(real) > sizeof(float) && i < cfg->n; i++) {
        size_t n = strlen(cfg->entry[i].key);

        if (n > 5 && !strcmp(cfg->entry[i].key + n - 5, ".impl"))
            as_config_set(cfg, cfg->entry[i].key, "auto", true);
    }
}

static void train(struct course *c)
{
    struct as_trainer *tr;

    choose_in_double(c->cfg);
    as_config_set(c->cfg, "train.select", "last", true);
    c->data = as_data_open(c->cfg, c->run->seed, c->run->stored);
    c->model = as_model_new(c->cfg, as_data_describe(c->data), c->run->seed);
    tr = as_trainer_new(c->cfg, c->model, c->data, NULL, c->run->seed);
    as_trainer_run(tr, NULL, NULL);
    as_trainer_free(tr);
    c->test = as_batch_fill(c->data, c->a, AS_TEST, 0, c->o->batch, NULL);
}

/* All forms from the trained weights; FREE from what RMS makes of them, NOISE from neighbours. */
static void begin(struct course *c)
{
    struct net *n = &c->net;

    take_apart(n, c->model, c->cfg);
    n->dw = as_arena_take(c->a, as_size((size_t)n->n, sizeof *n->dw));
    for (int form = 0; form < FORMS; form++) {
        n->w[form] = as_arena_take(c->a, as_size((size_t)n->n, sizeof(real)));
        memcpy(n->w[form], as_model_store(c->model).w, (size_t)n->n * sizeof(real));
    }
    as_tape_record(n->t, false);
    as_tape_reset(n->t);
    for (int k = 0; k < BLOCKS + n->depth * IN_BLOCK; k++) {
        const struct as_node *w = weight_at(&(struct walk){ n, RMS, false }, k);

        memcpy(n->w[FREE] + n->weight[k].at, w->x, (size_t)as_node_size(w) * sizeof *w->x);
    }
    as_tape_record(n->t, true);
    for (ptrdiff_t i = 0; i < n->n; i++) {
        float u = as_uniform((struct as_key){ c->run->seed, AS_ROLE_STUDY, 0 }, (uint64_t)i);

        n->w[NOISE][i] *= 1 + AS_REAL_EPSILON * (2 * (real)u - 1);
    }
}

static const struct as_batch *draw_batch(const struct course *c, int step)
{
    ptrdiff_t count = as_data_describe(c->data)->count[AS_TRAIN], batch = c->o->batch;
    uint64_t *index = as_arena_take(c->a, as_size((size_t)batch, sizeof *index));

    for (ptrdiff_t i = 0; i < batch; i++) {
        uint64_t at = (uint64_t)step * (uint64_t)batch + (uint64_t)i;

        index[i] = count ? as_below((struct as_key){ c->run->seed, AS_ROLE_STUDY, 1 }, at, (uint32_t)count) : at;
    }
    return as_batch_fill(c->data, c->a, AS_TRAIN, 0, batch, index);
}

static void run(struct as_study_run *r)
{
    struct course c = { .o = r->opt, .run = r, .cfg = as_config_copy(r->config), .a = as_arena_new() };
    int every = c.o->steps >= 20 ? c.o->steps / 20 : 1;

    c.net.t = as_tape_new();
    train(&c);
    begin(&c);
    compare_before(&c);
    for (int step = 0; step < c.o->steps; step++) {
        size_t mark = as_arena_mark(c.a);
        const struct as_batch *b = draw_batch(&c, step);

        if (step % every == 0)
            compare_after(&c, step);
        for (int form = 0; form < FORMS; form++)
            descend(&c, form, b);
        as_arena_reset(c.a, mark);
    }
    compare_after(&c, c.o->steps);
    as_model_free(c.model);
    as_data_close(c.data);
    as_tape_free(c.net.t);
    as_config_free(c.cfg);
    as_arena_free(c.a);
}

static const char *const sample[] = {
    "data.source", "group-word", "data.group", "s3", "data.length", "3..6", "model", "lm", "width", "8", "depth", "2",
    "mixer", "softmax", "mixer.heads", "2", "ffn", "mlp", "norm", "layernorm", "norm.gain", "off", "norm.bias", "off",
    "train.steps", "10", "train.batch", "4", NULL };

#endif

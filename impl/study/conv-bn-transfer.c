/* conv-bn-transfer.c: a convolutional network learns one task, then another, its blocks in each of four modes, at each
 * rate of a ladder: up to which rate does learning stay stable?
 *
 * You et al. 2023, "Efficient ConvBN blocks for transfer learning and beyond". With c = gamma / sqrt(sigma2 + eps) the
 * filters in use are W' = c W. One step of plain descent at rate r moves them by r c^2 dL/dW' in eval and tune, by
 * r dL/dW' in deploy: where c is below 1, deploy takes larger steps at the same rate, and fails at lower rates.
 *
 * The network is trained on the first task in train (train.steps, train.lr). Then for each mode and each rate 2^k,
 * k = from, from + apart, ..., its blocks, folded for deploy, get a new head (the same for all) and learn the second
 * task for `steps` steps from the same batches; [train] says all else. score_MODE as a curve over k: the data's own
 * metric on the test examples of the second task; what it was before learning, where loss or outputs were no longer
 * finite. A rate is stable when its score is within `slack` of its mode's best on the ladder (train reaches scores that
 * the others do not, so one standard for all would say nothing of stability); rate_MODE is the largest stable one, one
 * rung below the ladder where none is. bytes_MODE: most that the tape held in one step of learning. saved_MODE: what a
 * block at the images' full size, as many channels in as out, keeps for its way back: its input, and what the plan of
 * its implementation asks for (train runs by its graph).
 *
 * Stored data holds both tasks one after the other, half of each split each (mnist-fashion); with a generator the
 * second task is the first with another seed.
 */
#include "conv-bn.h"

struct opt { int steps, rates, from, examples; double apart, slack; };

static const struct as_option options[] = {
    { "steps", AS_INT, offsetof(struct opt, steps), 5, 1, 1000000, NULL, NULL, "on the second task" },
    { "rates", AS_INT, offsetof(struct opt, rates), 2, 1, 64, NULL, NULL,
      "rungs of the ladder" },
    { "apart", AS_NUM, offsetof(struct opt, apart), 1, 0.01, 10, NULL, "0.5,1", "log2 of the factor from rung to rung" },
    { "from", AS_INT, offsetof(struct opt, from), -6, -30, 30, NULL, NULL, "k: the lowest rate is 2^k" },
    { "examples", AS_INT, offsetof(struct opt, examples), 50, 1, 1000000, NULL, NULL, "test examples of either task" },
    { "slack", AS_NUM, offsetof(struct opt, slack), 0.05, 0, 1000, NULL, "0.02,0.05,0.1",
      "a stable rate's score is so near its mode's best" },
    { 0 }
};

enum { RATE, SCORE = RATE + MODES, BYTES = SCORE + MODES, SAVED = BYTES + MODES - 1, PRETRAINED = SAVED + MODES,
       COEFFICIENT };
static const struct as_study_metric metrics[] = {
    [RATE + TRAIN] = { "rate_train", "log", "largest stable rate of the second task, blocks in train" },
    [RATE + EVAL] = { "rate_eval", "log", "the same in eval" },
    [RATE + DEPLOY] = { "rate_deploy", "log", "the same in deploy" },
    [RATE + TUNE] = { "rate_tune", "log", "the same in tune" },
    [SCORE + TRAIN] = { "score_train", "raw", "best score in train; as a curve: by log2 of the rate" },
    [SCORE + EVAL] = { "score_eval", "raw", "best score in eval; as a curve: by log2 of the rate" },
    [SCORE + DEPLOY] = { "score_deploy", "raw", "best score in deploy; as a curve: by log2 of the rate" },
    [SCORE + TUNE] = { "score_tune", "raw", "best score in tune; as a curve: by log2 of the rate" },
    [BYTES + TRAIN] = { "bytes_train", "log", "most bytes that the tape held in a step of learning, in train" },
    [BYTES + EVAL] = { "bytes_eval", "log", "the same in eval" },
    [BYTES + DEPLOY] = { "bytes_deploy", "log", "the same in deploy" },
    [BYTES + TUNE] = { "bytes_tune", "log", "the same in tune" },
    [SAVED + EVAL] = { "saved_eval", "log", "bytes that a block keeps for its way back in eval, by the plan" },
    [SAVED + DEPLOY] = { "saved_deploy", "log", "the same in deploy" },
    [SAVED + TUNE] = { "saved_tune", "log", "the same in tune" },
    [PRETRAINED] = { "pretrained", "raw", "score on the first task before transfer" },
    [COEFFICIENT] = { "coefficient", "log", "geometric mean of gamma / sqrt(sigma2 + eps) then" },
    { 0 }
};

enum { MOST_RATES = 64, BATCH = 250 };

struct transfer {
    const struct opt *o;
    const struct as_study_run *run;
    struct as_config *cfg;
    struct as_arena *a;
    struct as_stored half[2];
    struct as_data *task[2];
    const struct as_metric *metric;
    struct as_model *trained;        /* on the first task */
    double eps, before;              /* before: score on the second task with a new head */
    double score[MODES][MOST_RATES]; /* NAN: not finite */
};

/* One half of each split. Fields without a time axis have one entry an example, the others follow the offsets. */
static struct as_stored half_of(const struct as_stored *all, int half)
{
    struct as_stored s = *all;

    for (int split = 0; split < AS_SPLITS; split++) {
        ptrdiff_t count = all->shape.count[split] / 2, first = half * count;

        s.shape.count[split] = count;
        s.offset[split] += first;
        for (int f = 0; f < s.shape.n_fields; f++) {
            const struct as_data_field *field = &s.shape.field[f];
            ptrdiff_t unit = 1;

            for (int i = 0; i < field->rank; i++)
                unit *= field->dim[i];
            if (field->rank > 0 && field->dim[0] == AS_TIME)
                continue;
            if (field->integer)
                s.i[split][f] += first * unit;
            else
                s.x[split][f] += first * unit;
        }
    }
    return s;
}

static void open_tasks(struct transfer *x)
{
    for (int k = 0; k < 2; k++) {
        if (x->run->stored)
            x->half[k] = half_of(x->run->stored, k);
        x->task[k] = as_data_open(x->cfg, x->run->seed + ((uint64_t)k << 32), x->run->stored ? &x->half[k] : NULL);
    }
    x->metric = as_metric_find(as_data_describe(x->task[0])->metric, NULL);
}

static double score_of(const struct transfer *x, struct as_model *m, int task)
{
    return as_evaluate(m, x->task[task], AS_TEST, x->o->examples, BATCH, x->metric, NULL).value;
}

static void learn(void *ctx) { as_trainer_run(ctx, NULL, NULL); }

static void pretrain(struct transfer *x)
{
    struct as_trainer *tr;

    x->trained = model_in(x->cfg, as_data_describe(x->task[0]), TRAIN, x->run->seed);
    tr = as_trainer_new(x->cfg, x->trained, x->task[0], NULL, x->run->seed);
    learn(tr);
    as_trainer_free(tr);
    x->eps = as_config_num(x->cfg, "block.eps", 1e-5, 1e-8, 1);
    x->run->record(x->run->ctx, metrics[PRETRAINED].name, score_of(x, x->trained, 0));
    x->run->record(x->run->ctx, metrics[COEFFICIENT].name, mean_coefficient(x->trained, x->eps));
}

/* The trained blocks in this mode with a new head: its draws follow from seed and name, so it is the same for all. */
static struct as_model *fresh(const struct transfer *x, int mode)
{
    struct as_model *m = model_in(x->cfg, as_data_describe(x->task[1]), mode, x->run->seed + 1);

    hand_over_model(x->trained, m, mode, false, x->eps);
    return m;
}

static struct as_trainer *trainer_at(const struct transfer *x, struct as_model *m, double rate)
{
    struct as_config *cfg = as_config_copy(x->cfg);
    struct as_trainer *tr;

    as_config_set(cfg, "train.steps", as_say("%d", x->o->steps), true);
    as_config_set(cfg, "train.lr", as_say("%.17g", rate), true);
    tr = as_trainer_new(cfg, m, x->task[1], NULL, x->run->seed + 1);
    as_config_free(cfg);
    return tr;
}

/* The score after learning at this rate, or NAN. */
static double try_rate(const struct transfer *x, int mode, double rate)
{
    struct as_model *m = fresh(x, mode);
    struct as_trainer *tr = trainer_at(x, m, rate);
    enum as_failure f = as_try(learn, tr);
    double score = (double)NAN;

    if (f != AS_OK && f != AS_DIVERGED)
        as_fail(f, "%s", as_failure_text());
    if (f == AS_OK)
        score = score_of(x, m, 1);
    as_trainer_free(tr);
    as_model_free(m);
    return isfinite(score) ? score : (double)NAN;
}

static double rung(const struct transfer *x, int k) { return x->o->from + k * x->o->apart; }

static void climb(struct transfer *x, int mode)
{
    const struct as_study_run *r = x->run;

    for (int k = 0; k < x->o->rates; k++) {
        double s = x->score[mode][k] = try_rate(x, mode, exp2(rung(x, k)));

        r->curve(r->ctx, metrics[SCORE + mode].name, rung(x, k), isnan(s) ? x->before : s);
    }
}

static double better(const struct transfer *x, double a, double b)
{
    return isnan(a) ? b : isnan(b) ? a : x->metric->higher_is_better ? fmax(a, b) : fmin(a, b);
}

static void judge(const struct transfer *x)
{
    const struct as_study_run *r = x->run;

    for (int mode = 0; mode < MODES; mode++) {
        double best = (double)NAN, rate = exp2(rung(x, -1));

        for (int k = 0; k < x->o->rates; k++)
            best = better(x, best, x->score[mode][k]);
        for (int k = 0; k < x->o->rates; k++)
            if (fabs(x->score[mode][k] - best) <= x->o->slack)       /* never for NAN */
                rate = exp2(rung(x, k));
        r->record(r->ctx, metrics[RATE + mode].name, rate);
        r->record(r->ctx, metrics[SCORE + mode].name, isnan(best) ? x->before : best);
    }
}

static void weigh_step(struct transfer *x, int mode)
{
    ptrdiff_t n = as_config_int(x->cfg, "train.batch", 64, 1, 1 << 24);
    struct as_model *m = fresh(x, mode);
    struct as_pass pass = { .model = m, .batch = as_batch_fill(x->task[1], x->a, AS_TRAIN, 0, n, NULL),
                            .trainer = trainer_at(x, m, 0) };

    as_pass_backprop(&pass);
    x->run->record(x->run->ctx, metrics[BYTES + mode].name, (double)pass.bytes);
    as_trainer_free(pass.trainer);
    as_model_free(m);
}

/* By the plan of the implementation that runs in this mode. */
static void weigh_block(struct transfer *x, int mode)
{
    const struct as_entry *e = as_registry_find("layer", "convolution/conv-bn", NULL);
    const struct as_data_field *image = &as_data_describe(x->task[1])->field[0];
    struct as_config *cfg = as_config_copy(x->cfg);
    struct as_spec in = { AS_REALS, 4, { as_config_int(cfg, "train.batch", 64, 1, 1 << 24) }, 0 };
    struct as_choice choice[8];
    int n = e ? as_registry_impls(e, choice, 8) : 0;
    void *opt = e ? as_arena_zero(x->a, e->plugin->variant->opt_size) : NULL;
    struct as_room room = { .opt = opt, .n_in = 1, .in = &in, .out = &in, .gradients = true };
    size_t all = 1;

    as_config_set(cfg, "block.mode", mode_name[mode], true);
    if (n < 1 || as_options_read(e->plugin->variant->options, opt, e->plugin->variant->opt_size, cfg, "block") ||
        !choice[0].impl->plan)
        as_fail(AS_FAILED, "there is no implementation of conv-bn with a plan");
    in.dim[1] = image->dim[0] == AS_TIME ? as_data_describe(x->task[1])->max_length : image->dim[0];
    in.dim[2] = image->dim[1];
    in.dim[3] = as_config_int(cfg, "block.channels", 1, 0, 4096);
    in.dim[3] = in.dim[3] ? in.dim[3] : 1;
    choice[0].impl->plan(&room);
    for (int i = 0; i < 4; i++)
        all *= (size_t)in.dim[i];
    for (int i = 0; i < 8; i++)
        all += room.saved[i];
    x->run->record(x->run->ctx, metrics[SAVED + mode].name, (double)(all * sizeof(real)));
    as_config_free(cfg);
}

static void run(struct as_study_run *r)
{
    struct transfer x = { .o = r->opt, .run = r, .cfg = as_config_copy(r->config), .a = as_arena_new() };
    struct as_model *eval;

    as_config_set(x.cfg, "train.select", "last", true);
    open_tasks(&x);
    pretrain(&x);
    eval = fresh(&x, EVAL);
    x.before = score_of(&x, eval, 1);
    as_model_free(eval);
    for (int mode = 0; mode < MODES; mode++) {
        climb(&x, mode);
        weigh_step(&x, mode);
        if (mode != TRAIN)
            weigh_block(&x, mode);
    }
    judge(&x);
    as_model_free(x.trained);
    for (int k = 0; k < 2; k++)
        as_data_close(x.task[k]);
    as_config_free(x.cfg);
    as_arena_free(x.a);
}

static const char *const sample[] = { "data.source", "adding", "data.length", "4", "model", "convnet", "depth", "2",
                                      "halve", "0", "block.channels", "3", "rule", "sgd", "train.steps", "5",
                                      "train.batch", "8", "train.lr", "0.01", NULL };

static const char *const axes[] = { "score_train", "log2 of the rate", "score_eval", "log2 of the rate", "score_deploy",
                                    "log2 of the rate", "score_tune", "log2 of the rate", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "transfer between two tasks with convolution blocks in four modes: the largest stable rate of each",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics, .sample = sample, .axes = axes,
    .run = run,
};

const struct as_plugin AS_PLUGIN(study__conv_bn_transfer) = { .abi = ASSAY_ABI, .study = &study };

/* pruning.c: which weights of a perceptron can go? Masks found in five ways, at one sparsity, on one network.
 *
 * All matrices W_i are pruned together, biases never. A round of iterative pruning cuts the share `cut` of what is
 * left, so after `rounds` of them (1 - cut)^rounds is kept; the others prune to that at once. T is train.steps; passes
 * (forward and backward, of train.batch examples) are counted:
 *     oneshot   train T, keep the largest |theta|, retrain those 2 T                                    3 T passes
 *     snip      keep the largest |theta o dl/dtheta| at the initial weights, train 3 T                   3 T
 *               (Lee, Ajanthan and Torr 2019)
 *     imp       train T; then each round: cut the smallest |theta|, set the rest back to their initial values, train T
 *               (Frankle and Carbin 2019)                                                     (rounds + 1) T
 *     bip       train T, then rule bip for T steps of both levels (Zhang et al. 2022)                    3 T
 *     implicit  the same with gamma = `strong`: the implicit term of its upper gradient counts
 * The trained network is the same one for all (the first T of oneshot, imp, bip). Its rate is train.lr, a third of it
 * or three times it, whichever does best on the validation data, and all arms use that rate for weights; nothing else
 * is tuned for any. The rate of masks begins at `beta` and follows the same schedule.
 * Departs: global pruning in all arms; weights are rewound to the start, not to an early step.
 */
#include <assay/metric.h>
#include <assay/registry.h>
#include <assay/sparse.h>
#include <assay/study.h>
#include <math.h>
#include <string.h>

enum { MOST = 16, BATCH = 500, RATES = 3 };
enum { DENSE, ONESHOT, SNIP, IMP, BIP, IMPLICIT, MOVED, RATE, BIP_PASSES, IMP_PASSES };

struct opt { int rounds, examples, saliency; double cut, beta, gamma, strong; };

static const struct as_option options[] = {
    { "rounds", AS_INT, offsetof(struct opt, rounds), 2, 1, 50, NULL, "7,10,13,17", "rounds of iterative pruning" },
    { "cut", AS_NUM, offsetof(struct opt, cut), 0.2, 0.01, 0.9, NULL, NULL, "share of the rest that a round cuts" },
    { "beta", AS_NUM, offsetof(struct opt, beta), 0.1, 0, 1e6, NULL, "0.01,0.1,1", "beta of bip's masks, at first" },
    { "gamma", AS_NUM, offsetof(struct opt, gamma), 1e4, 1e-6, 1e12, NULL, NULL, "gamma of arm bip" },
    { "strong", AS_NUM, offsetof(struct opt, strong), 0.01, 1e-6, 1e12, NULL, "0.01,1", "gamma of arm implicit" },
    { "saliency", AS_INT, offsetof(struct opt, saliency), 50, 1, 100000, NULL, NULL, "examples that snip looks at" },
    { "examples", AS_INT, offsetof(struct opt, examples), 200, 1, 10000000, NULL, NULL, "of a test or validation" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    [DENSE] = { "dense", "raw", "the data's own metric on the test data: of the network that is pruned" },
    [ONESHOT] = { "oneshot", "raw", "the same after one-shot magnitude pruning" },
    [SNIP] = { "snip", "raw", "the same after pruning the initial weights by saliency" },
    [IMP] = { "imp", "raw", "the same after iterative magnitude pruning; as a curve: by per cent cut" },
    [BIP] = { "bip", "raw", "the same after bi-level pruning" },
    [IMPLICIT] = { "implicit", "raw", "the same after bi-level pruning in which the implicit gradient counts" },
    [MOVED] = { "moved", "raw", "share of the weights kept by bip that oneshot cuts" },
    [RATE] = { "rate", "log", "the rate of all arms" },
    [BIP_PASSES] = { "bip_passes", "log", "batches gone through by bip, and by implicit, oneshot and snip" },
    [IMP_PASSES] = { "imp_passes", "log", "batches gone through by imp" },
    { 0 }
};

struct pruning {
    const struct opt *o;
    struct as_study_run *run;
    struct as_config *cfg;
    struct as_arena *a;
    struct as_data *data;
    struct as_model *model;
    const struct as_metric *metric;
    ptrdiff_t n, all;                /* numbers in the store, elements of all matrices */
    long T;
    int parts;
    struct as_scores part[MOST];     /* over score and mask, where the matrices are in the store */
    real *score, *mask, *first, *dense;  /* (n) each; mask: 1 outside of the matrices; weights before and after T */
};

static void open_all(struct pruning *p)
{
    struct as_weights w;

    p->data = as_data_open(p->cfg, p->run->seed, p->run->stored);
    p->metric = as_metric_find(as_data_describe(p->data)->metric, NULL);
    p->model = as_model_new(p->cfg, as_data_describe(p->data), p->run->seed);
    p->T = as_config_int(p->cfg, "train.steps", 1000, 1, 1000000000);
    w = as_model_store(p->model);
    p->n = w.n;
    p->score = as_arena_zero(p->a, as_size(4 * (size_t)w.n, sizeof(real)));
    p->mask = p->score + w.n;
    p->dense = p->mask + w.n;
    p->first = memcpy(p->dense + w.n, w.w, (size_t)w.n * sizeof(real));
    for (; p->parts < MOST; p->parts++) {
        struct as_named_weight m = as_model_weight(p->model, as_say("W_%d", p->parts));
        ptrdiff_t at = m.w - w.w, n = m.w ? m.dim[0] * m.dim[1] : 0;

        if (!m.w)
            break;
        p->part[p->parts] = (struct as_scores){ n, p->score + at, p->mask + at };
        p->all += n;
    }
    if (p->parts < 2)
        as_fail(AS_REFUSED, "pruning: it can prune model = perceptron, whose matrices are W_0, W_1, ...");
}

static ptrdiff_t kept_after(const struct pruning *p, int rounds)
{
    return (ptrdiff_t)llround(pow(1 - p->o->cut, rounds) * (double)p->all);
}

/* What is cut is zero, also after each step of a training; never pauses it. */
static bool hold(void *ctx, long step)
{
    const struct pruning *p = ctx;
    real *w = as_model_store(p->model).w;

    for (ptrdiff_t i = 0; i < p->n; i++)
        w[i] = p->mask[i] > 0 ? w[i] : 0;
    return step < 0;
}

/* The model holds w; nothing is cut. */
static void set_whole(struct pruning *p, const real *w)
{
    memcpy(as_model_store(p->model).w, w, (size_t)p->n * sizeof *w);
    for (ptrdiff_t i = 0; i < p->n; i++)
        p->mask[i] = 1;
}

/* From what the model holds; `phase` draws the order of the data. */
static void train(struct pruning *p, struct as_config *cfg, double rate, long steps, uint64_t phase)
{
    struct as_trainer *trainer;

    as_config_set(cfg, "train.lr", as_say("%.17g", rate), true);
    as_config_set(cfg, "train.steps", as_say("%ld", steps), true);
    as_config_set(cfg, "train.eval_every", as_say("%ld", steps), true);
    hold(p, 0);
    trainer = as_trainer_new(cfg, p->model, p->data, NULL, 64 * p->run->seed + phase);
    as_trainer_run(trainer, hold, p);
    as_trainer_free(trainer);
}

static double evaluate(struct pruning *p, enum as_split split)
{
    return as_evaluate(p->model, p->data, split, p->o->examples, BATCH, p->metric, NULL).value;
}

static double fit_dense(struct pruning *p)
{
    double lr = as_config_num(p->cfg, "train.lr", 1e-3, 0, 1e3), best = 0, rate = lr;

    for (int k = 0; k < RATES; k++) {
        double tried = lr * (k == 0 ? 1 / 3.0 : k == 1 ? 1 : 3), score;

        set_whole(p, p->first);
        train(p, p->cfg, tried, p->T, 0);
        score = evaluate(p, AS_VALID);
        if (k == 0 || (p->metric->higher_is_better ? score > best : score < best)) {
            best = score;
            rate = tried;
            memcpy(p->dense, as_model_store(p->model).w, (size_t)p->n * sizeof *p->dense);
        }
    }
    set_whole(p, p->dense);
    return rate;
}

/* Of what the mask keeps now, all that is cut ranking last. */
static void keep_largest_weights(struct pruning *p, const real *w, ptrdiff_t keep)
{
    for (ptrdiff_t i = 0; i < p->n; i++)
        p->score[i] = p->mask[i] > 0 ? (real)fabs((double)w[i]) : -1;
    as_keep_largest(p->parts, p->part, keep);
}

/* Elements of the matrices that are not zero; `beyond`: those of them that the mask cuts. */
static double count_kept(const struct pruning *p, bool beyond)
{
    const real *w = as_model_store(p->model).w;
    double count = 0;

    for (int k = 0; k < p->parts; k++)
        for (ptrdiff_t i = 0; i < p->part[k].n; i++)
            count += fabs((double)w[p->part[k].score - p->score + i]) > 0 && !(beyond && p->part[k].mask[i] > 0);
    return count;
}

static void finish(struct pruning *p, int arm)
{
    if (count_kept(p, false) > (double)kept_after(p, p->o->rounds))
        as_fail(AS_FAILED, "pruning: %s kept %.0f weights", metrics[arm].name, count_kept(p, false));
    p->run->record(p->run->ctx, metrics[arm].name, evaluate(p, AS_TEST));
}

static void oneshot(struct pruning *p, double rate)
{
    set_whole(p, p->dense);
    keep_largest_weights(p, p->dense, kept_after(p, p->o->rounds));
    train(p, p->cfg, rate, 2 * p->T, 1);
    finish(p, ONESHOT);
}

/* The gradient at the initial weights, of the data's natural objective, which is the cross-entropy. */
static void look(struct pruning *p)
{
    struct as_tape *t = as_tape_new();
    const struct as_batch *b = as_batch_fill(p->data, p->a, AS_TRAIN, 0, p->o->saliency, NULL);
    struct as_node *y, *target;
    const char *objective = as_data_describe(p->data)->objective;
    int field = b->n_fields - 1;
    ptrdiff_t n;

    while (field > 0 && strcmp(b->field[field].name, "target") != 0)
        field--;
    if (strcmp(objective, "ce") != 0)
        as_fail(AS_REFUSED, "pruning: the data's objective is %s, and snip takes cross-entropy", objective);
    memset(as_model_store(p->model).dw, 0, (size_t)p->n * sizeof(real));
    y = as_model_forward(p->model, t, b, true, (struct as_key){ p->run->seed, AS_ROLE_STUDY, 0 });
    n = as_node_size(y) / y->dim[y->rank - 1];
    y = as_reshape(t, y, 2, (ptrdiff_t[]){ n, y->dim[y->rank - 1] });
    target = as_node_ints(t, 1, &n);
    memcpy(target->i, b->i[field], (size_t)n * sizeof *target->i);
    as_backward(t, as_sum_all(t, as_cross_entropy(t, y, target)), R(1.0));
    as_tape_free(t);
}

static void snip(struct pruning *p, double rate)
{
    const real *slope = as_model_store(p->model).dw;

    set_whole(p, p->first);
    look(p);
    for (ptrdiff_t i = 0; i < p->n; i++)
        p->score[i] = (real)fabs((double)p->first[i] * (double)slope[i]);
    as_keep_largest(p->parts, p->part, kept_after(p, p->o->rounds));
    train(p, p->cfg, rate, 3 * p->T, 2);
    finish(p, SNIP);
}

static void imp(struct pruning *p, double rate)
{
    real *w = as_model_store(p->model).w;

    set_whole(p, p->dense);
    for (int r = 1; r <= p->o->rounds; r++) {
        keep_largest_weights(p, w, kept_after(p, r));
        memcpy(w, p->first, (size_t)p->n * sizeof *w);
        train(p, p->cfg, rate, p->T, 7 + (uint64_t)r);
        p->run->curve(p->run->ctx, metrics[IMP].name, 100 * (1 - pow(1 - p->o->cut, r)), evaluate(p, AS_TEST));
    }
    finish(p, IMP);
}

static void bip(struct pruning *p, double rate, int arm, double gamma)
{
    struct as_config *cfg = as_config_copy(p->cfg);
    double keep = (double)kept_after(p, p->o->rounds) / (double)p->all;

    as_config_set(cfg, "rule", "bip", true);
    as_config_set(cfg, "rule.sparsity", as_say("%.17g", 1 - keep), true);
    as_config_set(cfg, "rule.ratio", as_say("%.17g", rate > 0 ? p->o->beta / rate : 0), true);
    as_config_set(cfg, "rule.gamma", as_say("%.17g", gamma), true);
    as_config_set(cfg, "rule.steps", "1", true);
    as_config_set(cfg, "train.batch", as_say("%ld", 2 * as_config_int(cfg, "train.batch", 64, 1, 1 << 23)), true);
    set_whole(p, p->dense);
    train(p, cfg, rate, p->T, 3);
    finish(p, arm);
    as_config_free(cfg);
}

static void run(struct as_study_run *r)
{
    struct pruning p = { .o = r->opt, .run = r, .a = as_arena_new(), .cfg = as_config_copy(r->config) };

    open_all(&p);
    double rate = fit_dense(&p);
    r->record(r->ctx, metrics[DENSE].name, evaluate(&p, AS_TEST));
    oneshot(&p, rate);
    snip(&p, rate);
    imp(&p, rate);
    bip(&p, rate, IMPLICIT, p.o->strong);
    bip(&p, rate, BIP, p.o->gamma);
    keep_largest_weights(&p, p.dense, kept_after(&p, p.o->rounds));      /* the model is bip's, whose mask is whole */
    r->record(r->ctx, metrics[MOVED].name, count_kept(&p, true) / fmax(1, count_kept(&p, false)));
    r->record(r->ctx, metrics[RATE].name, rate);
    r->record(r->ctx, metrics[BIP_PASSES].name, 3 * (double)p.T);
    r->record(r->ctx, metrics[IMP_PASSES].name, (p.o->rounds + 1) * (double)p.T);
    as_model_free(p.model);
    as_data_close(p.data);
    as_config_free(p.cfg);
    as_arena_free(p.a);
}

static const char *const sample[] = { "data.source", "parity-vector", "model", "perceptron", "width", "16",
                                      "rule", "sgd", "train.steps", "20", "train.batch", "16",
                                      "train.select", "last", NULL };
static const char *const axes[] = { "imp", "per cent cut", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "a perceptron pruned in one shot, at its start, round by round, and by bi-level optimisation",
    .options = options, .opt_size = sizeof(struct opt), .metrics = metrics,
    .run = run, .sample = sample, .axes = axes,
};

const struct as_plugin AS_PLUGIN(study__pruning) = { .abi = ASSAY_ABI, .study = &study };

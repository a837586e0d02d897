/* conv-bn-modes.c: do the modes eval, tune and deploy of a convolution block compute the same, and do they learn the
 * same? In double.
 *
 * You et al. 2023, "Efficient ConvBN blocks for transfer learning and beyond": tune folds gamma / sqrt(sigma2 + eps)
 * into the filters at each step, inside the graph, so function and gradients are those of eval; deploy has folded once
 * and trains W', whose gradient is that of W divided by the same coefficient: another course.
 *
 * A convnet is trained in train for train.steps steps; its weights go into one model of each other mode. Then, on one
 * batch of training data and relative to the largest number of eval's array:
 *   tune_output, deploy_output     logits
 *   tune_gradient                  every weight's
 *   chain                          dW of eval against c dW' of deploy
 * and after `steps` further steps of each, from the same batches, tune_after and deploy_after: logits again.
 */
#include "conv-bn.h"

struct opt { int steps, batch; };

static const struct as_option options[] = {
    { "steps", AS_INT, offsetof(struct opt, steps), 5, 1, 100000, NULL, NULL, "of learning in each mode" },
    { "batch", AS_INT, offsetof(struct opt, batch), 8, 1, 100000, NULL, NULL, "examples that are compared" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "tune_output", "log", "logits, tune against eval" },
    { "deploy_output", "log", "logits, deploy against eval" },
    { "tune_gradient", "log", "gradients of all weights, tune against eval: the largest difference" },
    { "chain", "log", "gradients of the filters, eval against deploy times the coefficient" },
    { "tune_after", "log", "logits after learning, tune against eval" },
    { "deploy_after", "log", "logits after learning, deploy against eval" },
    { "coefficient", "log", "geometric mean of gamma / sqrt(sigma2 + eps)" },
    { 0 }
};

/* One mode: its model, what it computes of the batch, and its gradient. */
struct arm { struct as_model *m; struct as_trainer *tr; double *logits; ptrdiff_t n; };

struct bench {
    const struct opt *o;
    const struct as_study_run *run;
    struct as_config *cfg;
    struct as_arena *a;
    struct as_data *data;
    const struct as_batch *b;
    struct as_model *trained;
    double eps;
    struct arm arm[MODES];
};

static struct as_model *train(struct bench *b)
{
    struct as_model *m = model_in(b->cfg, as_data_describe(b->data), TRAIN, b->run->seed);
    struct as_trainer *tr = as_trainer_new(b->cfg, m, b->data, NULL, b->run->seed);

    as_trainer_run(tr, NULL, NULL);
    as_trainer_free(tr);
    return m;
}

static void look(struct bench *b, struct arm *arm)
{
    struct as_tape *t = as_tape_new();
    struct as_node *y;

    as_tape_record(t, false);
    y = as_model_forward(arm->m, t, b->b, false, (struct as_key){ 0 });
    arm->n = as_node_size(y);
    arm->logits = as_arena_take(b->a, as_size((size_t)arm->n, sizeof *arm->logits));
    for (ptrdiff_t i = 0; i < arm->n; i++)
        arm->logits[i] = (double)y->x[i];
    as_tape_free(t);
}

/* The mode's model, its logits, and its gradient in its store. */
static void begin(struct bench *b, int mode)
{
    struct arm *arm = &b->arm[mode];
    struct as_config *cfg = as_config_copy(b->cfg);
    struct as_pass pass = { .batch = b->b };
    struct as_weights s;

    arm->m = model_in(b->cfg, as_data_describe(b->data), mode, b->run->seed);
    hand_over_model(b->trained, arm->m, mode, true, b->eps);
    as_config_set(cfg, "train.steps", as_say("%d", b->o->steps), true);
    arm->tr = as_trainer_new(cfg, arm->m, b->data, NULL, b->run->seed + 1);
    as_config_free(cfg);
    look(b, arm);
    s = as_model_store(arm->m);
    memset(s.dw, 0, (size_t)s.n * sizeof *s.dw);
    pass.model = arm->m;
    pass.trainer = arm->tr;
    as_pass_backprop(&pass);
}

/* The largest |a_i factor - e_i|, over the largest |e_i|; at least a double's own error, for the sake of logarithms. */
static double apart(ptrdiff_t n, const double *a, const double *e)
{
    double most = 0, size = 0;

    for (ptrdiff_t i = 0; i < n; i++) {
        most = fmax(most, fabs(a[i] - e[i]));
        size = fmax(size, fabs(e[i]));
    }
    return fmax(size > 0 ? most / size : most, 1e-16);
}

/* The gradient of a weight, times the block's coefficient where factor is set. */
static double *gradient(struct bench *b, const struct arm *arm, const char *name, int block, bool factor, ptrdiff_t *n)
{
    struct as_weights s = as_model_store(arm->m);
    struct as_named_weight w = weight_of(arm->m, name, n);
    double *g = as_arena_take(b->a, as_size((size_t)*n, sizeof *g));

    for (ptrdiff_t i = 0; i < *n; i++)
        g[i] = (double)s.dw[w.w - s.w + i] *
               (factor ? coefficient_of(b->trained, block, i / (*n / w.dim[0]), b->eps) : 1);
    return g;
}

static double gradients_apart(struct bench *b)
{
    static const char *const part[] = { "W", "gamma", "beta" };
    double most = 0;
    ptrdiff_t n;

    for (int i = 0; i < count_blocks(b->trained); i++)
        for (int k = 0; k < 3; k++) {
            const char *name = as_say("block%d.%s", i, part[k]);
            const double *e = gradient(b, &b->arm[EVAL], name, i, false, &n);

            most = fmax(most, apart(n, gradient(b, &b->arm[TUNE], name, i, false, &n), e));
        }
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "b_head" : "W_head";
        const double *e = gradient(b, &b->arm[EVAL], name, 0, false, &n);

        most = fmax(most, apart(n, gradient(b, &b->arm[TUNE], name, 0, false, &n), e));
    }
    return most;
}

static double chain(struct bench *b)
{
    double most = 0;
    ptrdiff_t n;

    for (int i = 0; i < count_blocks(b->trained); i++) {
        const char *name = as_say("block%d.W", i);
        const double *e = gradient(b, &b->arm[EVAL], name, i, false, &n);

        most = fmax(most, apart(n, gradient(b, &b->arm[DEPLOY], name, i, true, &n), e));
    }
    return most;
}

static void compare(struct bench *b, const char *const *name)
{
    const struct as_study_run *r = b->run;
    const struct arm *e = &b->arm[EVAL];

    r->record(r->ctx, name[0], apart(e->n, b->arm[TUNE].logits, e->logits));
    r->record(r->ctx, name[1], apart(e->n, b->arm[DEPLOY].logits, e->logits));
}

static void run(struct as_study_run *r)
{
    struct bench b = { .o = r->opt, .run = r, .cfg = as_config_copy(r->config), .a = as_arena_new() };

    as_config_set(b.cfg, "train.select", "last", true);
    b.data = as_data_open(b.cfg, r->seed, r->stored);
    b.b = as_batch_fill(b.data, b.a, AS_TRAIN, 0, b.o->batch, NULL);
    b.trained = train(&b);
    b.eps = as_config_num(b.cfg, "block.eps", 1e-5, 1e-8, 1);
    for (int mode = EVAL; mode < MODES; mode++)
        begin(&b, mode);
    compare(&b, (const char *const[]){ "tune_output", "deploy_output" });
    r->record(r->ctx, "tune_gradient", gradients_apart(&b));
    r->record(r->ctx, "chain", chain(&b));
    r->record(r->ctx, "coefficient", mean_coefficient(b.trained, b.eps));
    for (int mode = EVAL; mode < MODES; mode++) {
        as_trainer_run(b.arm[mode].tr, NULL, NULL);
        look(&b, &b.arm[mode]);
    }
    compare(&b, (const char *const[]){ "tune_after", "deploy_after" });
    for (int mode = EVAL; mode < MODES; mode++) {
        as_trainer_free(b.arm[mode].tr);
        as_model_free(b.arm[mode].m);
    }
    as_model_free(b.trained);
    as_data_close(b.data);
    as_config_free(b.cfg);
    as_arena_free(b.a);
}

static const char *const sample[] = { "data.source", "adding", "data.length", "4", "model", "convnet", "depth", "2",
                                      "halve", "0", "block.channels", "3", "rule", "sgd", "train.steps", "5",
                                      "train.batch", "8", "train.lr", "0.01", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "convolution blocks in the modes eval, tune and deploy: outputs, gradients, and where learning leads",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics, .sample = sample, .in_double = true,
    .run = run,
};

const struct as_plugin AS_PLUGIN(study__conv_bn_modes) = { .abi = ASSAY_ABI, .study = &study };

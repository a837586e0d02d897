/* rebasin.c: two networks trained from different seeds, brought into one basin by permuting the hidden units of one of
 * them (Ainsworth, Hayase and Srinivasa 2023, "Git Re-Basin: merging models modulo permutation symmetries", arXiv
 * 2209.04836). With permutations P_i of the hidden layers i the network
 *
 *   W_i' = P_i W_i P_(i-1)^T,   b_i' = P_i b_i        (nothing is permuted at the input and at the output)
 *
 * computes the same function. Weight matching (the paper's algorithm 1) looks for those that bring B nearest to A: layer
 * after layer in a random order, the others held,
 *
 *   max over P_i of <P_i, W_i^A P_(i-1) (W_i^B)^T + b_i^A (b_i^B)^T + (W_(i+1)^A)^T P_(i+1) W_(i+1)^B>,
 *
 * a linear assignment problem, solved exactly (core/assignment.c), until a sweep over all layers gains nothing.
 *
 * Measured on test data along theta(a) = (1 - a) A + a B: the loss less the mean loss of both ends, as a curve over a in
 * per cent; its maximum is the barrier (the paper's definition 2.1), of B itself and of the matched B'. removed =
 * 1 - barrier_matched / barrier. permuted: the largest difference between what B and B' compute, in double, over
 * outputs, relative to outputs above 1.
 * What is trained, and how, stands in the experiment: [data], [model] (a perceptron with ReLU), [train].
 * Departs: weight matching only, of the paper's three methods.
 */
#include <assay/assignment.h>
#include <assay/metric.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <math.h>
#include <string.h>

enum { MOST = 16, BATCH = 500 };
struct opt { int intervals, examples, cases, sweeps; };

static const struct as_option options[] = {
    { "intervals", AS_INT, offsetof(struct opt, intervals), 4, 2, 1000, NULL, NULL, "cuts the path into as many pieces" },
    { "examples", AS_INT, offsetof(struct opt, examples), 200, 1, 10000000, NULL, NULL, "test examples at each point" },
    { "cases", AS_INT, offsetof(struct opt, cases), 50, 1, 100000, NULL, NULL, "test examples on which B and B' agree" },
    { "sweeps", AS_INT, offsetof(struct opt, sweeps), 100, 1, 100000, NULL, NULL, "most sweeps of the matching" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "barrier", "raw", "of the straight path from A to B; as a curve, the loss along it less the mean of its ends" },
    { "barrier_matched", "raw", "the same to the matched B'" },
    { "removed", "raw", "share of the barrier that matching removes" },
    { "permuted", "raw", "largest difference between what B and B' compute" },
    { "score", "raw", "mean of A's and B's value of the data's own metric on the test data" },
    { "sweeps", "raw", "sweeps until the matching was a fixed point" },
    { 0 }
};

/* One map of the perceptron: W (out, in) and b (out), by their places in a store. */
struct map { ptrdiff_t out, in, w, b; };

struct pair {
    const struct opt *o;
    struct as_key key;
    struct as_arena *a;
    struct as_data *data;
    struct as_model *model;          /* of this shape; its weights are set as needed */
    ptrdiff_t n;                     /* numbers in a store */
    real *net_a, *net_b, *moved;     /* (n) each: A, B, and B permuted */
    int maps;                        /* hidden layers + 1 */
    struct map map[MOST];
    int32_t *perm[MOST];             /* of hidden layer i: B's unit perm[i][r] takes place r */
    double score;
};

static real *train(struct pair *p, struct as_config *cfg, uint64_t seed)
{
    const struct as_metric *metric = as_metric_find(as_data_describe(p->data)->metric, NULL);
    struct as_trainer *trainer;
    struct as_weights w;
    real *kept;

    as_model_free(p->model);
    p->model = as_model_new(cfg, as_data_describe(p->data), seed);
    trainer = as_trainer_new(cfg, p->model, p->data, p->data, seed);
    as_trainer_run(trainer, NULL, NULL);
    as_trainer_select(trainer);
    as_trainer_free(trainer);
    w = as_model_store(p->model);
    p->n = w.n;
    kept = as_arena_take(p->a, as_size((size_t)w.n, sizeof *kept));
    memcpy(kept, w.w, (size_t)w.n * sizeof *kept);
    p->score += as_evaluate(p->model, p->data, AS_TEST, p->o->examples, BATCH, metric, NULL).value / 2;
    return kept;
}

/* W_0, b_0, W_1, ... must be all that the model has. */
static void take_apart(struct pair *p)
{
    const real *store = as_model_store(p->model).w;
    double seen = 0;

    for (; p->maps < MOST; p->maps++) {
        struct as_named_weight w = as_model_weight(p->model, as_say("W_%d", p->maps));
        struct as_named_weight b = as_model_weight(p->model, as_say("b_%d", p->maps));

        if (!w.w || !b.w)
            break;
        p->map[p->maps] = (struct map){ w.dim[0], w.dim[1], w.w - store, b.w - store };
        seen += (double)(w.dim[0] * (w.dim[1] + 1));
    }
    if (p->maps < 2 || fabs(seen - as_model_measure(p->model, 1).parameters) > 0)
        as_fail(AS_REFUSED, "rebasin: it can permute model = perceptron, whose weights are W_0, b_0, W_1, ...");
    for (int i = 0; i + 1 < p->maps; i++) {
        p->perm[i] = as_arena_take(p->a, as_size((size_t)p->map[i].out, sizeof(int32_t)));
        for (ptrdiff_t r = 0; r < p->map[i].out; r++)
            p->perm[i][r] = (int32_t)r;
    }
}

/* moved = B with all permutations but that of hidden layer `but` (-1: with all). */
static void permute(struct pair *p, int but)
{
    for (int i = 0; i < p->maps; i++) {
        const struct map *m = &p->map[i];
        const int32_t *row = i + 1 < p->maps && i != but ? p->perm[i] : NULL;
        const int32_t *col = i > 0 && i - 1 != but ? p->perm[i - 1] : NULL;

        for (ptrdiff_t r = 0; r < m->out; r++) {
            ptrdiff_t from = row ? row[r] : r;

            for (ptrdiff_t c = 0; c < m->in; c++)
                p->moved[m->w + r * m->in + c] = p->net_b[m->w + from * m->in + (col ? col[c] : c)];
            p->moved[m->b + r] = p->net_b[m->b + from];
        }
    }
}

static struct as_node *over(struct as_tape *t, ptrdiff_t rows, ptrdiff_t columns, real *x)
{
    return as_node_wrap(t, 2, (ptrdiff_t[]){ rows, columns }, x, NULL);
}

/* gain (n, n) of matching unit r of A with unit c of B in hidden layer i. */
static void gains(struct pair *p, int i, double *gain)
{
    const struct map *in = &p->map[i], *out = &p->map[i + 1];
    struct as_tape *t = as_tape_new();
    struct as_node *g;

    as_tape_record(t, false);
    permute(p, i);
    g = as_matmul_t(t, over(t, in->out, in->in, p->net_a + in->w), over(t, in->out, in->in, p->moved + in->w));
    g = as_add(t, g, as_matmul_t(t, over(t, in->out, 1, p->net_a + in->b), over(t, in->out, 1, p->moved + in->b)));
    g = as_add(t, g, as_matmul(t, as_swap(t, over(t, out->out, out->in, p->net_a + out->w), 0, 1),
                               over(t, out->out, out->in, p->moved + out->w)));
    for (ptrdiff_t k = 0; k < in->out * in->out; k++)
        gain[k] = (double)g->x[k];
    as_tape_free(t);
}

/* Solves for one layer; true when that gained more than rounding. */
static bool match_layer(struct pair *p, int i)
{
    ptrdiff_t n = p->map[i].out;
    size_t mark = as_arena_mark(p->a);
    double *gain = as_arena_take(p->a, as_size(as_size((size_t)n, (size_t)n), sizeof *gain)), before = 0, after;
    int32_t *to = as_arena_take(p->a, as_size((size_t)n, sizeof *to));
    bool better;

    gains(p, i, gain);
    for (ptrdiff_t r = 0; r < n; r++)
        before += gain[r * n + p->perm[i][r]];
    after = as_assign(p->a, n, gain, to);
    better = after > before + 1e-6 * fabs(before);
    if (better)
        memcpy(p->perm[i], to, (size_t)n * sizeof *to);
    as_arena_reset(p->a, mark);
    return better;
}

static int match(struct pair *p)
{
    int32_t order[MOST];
    int s = 0;
    bool better = true;

    for (; s < p->o->sweeps && better; s++) {
        better = false;
        as_shuffle(as_subkey(p->key, (uint64_t)s), p->maps - 1, order);
        for (int k = 0; k < p->maps - 1; k++)
            better |= match_layer(p, order[k]);
    }
    permute(p, -1);
    return s;
}

/* What the perceptron of these weights computes of one input, in double. h, y: room for the widest layer each;
 * returns where the outputs are. */
static const double *compute(const struct pair *p, const real *net, const real *x, double *h, double *y)
{
    for (ptrdiff_t c = 0; c < p->map[0].in; c++)
        h[c] = (double)x[c];
    for (int i = 0; i < p->maps; i++) {
        const struct map *m = &p->map[i];
        double *was = h;

        for (ptrdiff_t r = 0; r < m->out; r++) {
            double sum = (double)net[m->b + r];

            for (ptrdiff_t c = 0; c < m->in; c++)
                sum += (double)net[m->w + r * m->in + c] * h[c];
            y[r] = i + 1 < p->maps && sum < 0 ? 0 : sum;
        }
        h = y;
        y = was;
    }
    return h;
}

static double difference(struct pair *p)
{
    const struct as_batch *b = as_batch_fill(p->data, p->a, AS_TEST, 0, p->o->cases, NULL);
    ptrdiff_t widest = p->map[0].in, classes = p->map[p->maps - 1].out;
    double worst = 0, *room;

    for (int i = 0; i < p->maps; i++)
        widest = p->map[i].out > widest ? p->map[i].out : widest;
    room = as_arena_take(p->a, as_size((size_t)(4 * widest), sizeof *room));
    for (ptrdiff_t r = 0; r < b->batch * b->time; r++) {
        const real *x = b->x[0] + r * p->map[0].in;
        const double *before = compute(p, p->net_b, x, room, room + widest);
        const double *after = compute(p, p->moved, x, room + 2 * widest, room + 3 * widest);

        for (ptrdiff_t c = 0; c < classes; c++)
            worst = fmax(worst, fabs(after[c] - before[c]) / fmax(1, fabs(before[c])));
    }
    return worst;
}

/* The barrier between A and `other`. */
static double path(struct as_study_run *r, struct pair *p, const real *other, const char *name)
{
    const char *objective = as_data_describe(p->data)->objective;
    const struct as_metric *metric = as_metric_find(objective, NULL);
    int cuts = p->o->intervals;
    real *w = as_model_store(p->model).w;
    double *loss = as_arena_take(p->a, as_size((size_t)cuts + 1, sizeof *loss)), mean, most = 0;

    if (!metric)
        as_fail(AS_REFUSED, "rebasin: there is no metric for the data's objective %s", objective);
    for (int k = 0; k <= cuts; k++) {
        double a = (double)k / cuts;

        for (ptrdiff_t i = 0; i < p->n; i++)
            w[i] = (real)((1 - a) * (double)p->net_a[i] + a * (double)other[i]);
        loss[k] = as_evaluate(p->model, p->data, AS_TEST, p->o->examples, BATCH, metric, NULL).value;
    }
    mean = (loss[0] + loss[cuts]) / 2;
    for (int k = 0; k <= cuts; k++) {
        r->curve(r->ctx, name, 100.0 * k / cuts, loss[k] - mean);
        most = fmax(most, loss[k] - mean);
    }
    return most;
}

static void run(struct as_study_run *r)
{
    struct pair p = { .o = r->opt, .key = { r->seed, AS_ROLE_STUDY, 0 }, .a = as_arena_new() };
    struct as_config *cfg = as_config_copy(r->config);
    double naive, matched;
    int sweeps;

    p.data = as_data_open(cfg, r->seed, r->stored);
    p.net_a = train(&p, cfg, 2 * r->seed);
    p.net_b = train(&p, cfg, 2 * r->seed + 1);
    if (strcmp(as_config_word(cfg, "act", "relu"), "relu") != 0)
        as_fail(AS_REFUSED, "rebasin: act = relu is what it can compute in double");
    take_apart(&p);
    p.moved = as_arena_take(p.a, as_size((size_t)p.n, sizeof(real)));
    memcpy(p.moved, p.net_b, (size_t)p.n * sizeof(real));
    sweeps = match(&p);
    naive = path(r, &p, p.net_b, "barrier");
    matched = path(r, &p, p.moved, "barrier_matched");
    r->record(r->ctx, "barrier", naive);
    r->record(r->ctx, "barrier_matched", matched);
    r->record(r->ctx, "removed", 1 - matched / naive);
    r->record(r->ctx, "permuted", difference(&p));
    r->record(r->ctx, "score", p.score);
    r->record(r->ctx, "sweeps", sweeps);
    as_model_free(p.model);
    as_data_close(p.data);
    as_config_free(cfg);
    as_arena_free(p.a);
}

static const char *const sample[] = { "data.source", "adding", "data.length", "2", "model", "perceptron", "width", "8",
                                      "read", "last", "train.steps", "20", "train.select", "last", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "the loss barrier between two trained perceptrons, before and after matching their hidden units",
    .options = options, .opt_size = sizeof(struct opt), .metrics = metrics, .run = run,
    .axes = (const char *const[]){ "barrier", "per cent of the way from A to B",
                                   "barrier_matched", "per cent of the way from A to B", NULL },
    .sample = sample,
};

const struct as_plugin AS_PLUGIN(study__rebasin) = { .abi = ASSAY_ABI, .study = &study };

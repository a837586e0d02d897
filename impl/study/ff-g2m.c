/* ff-g2m.c: can a multi-layer perceptron that never sees the graph learn what a graph network knows?
 *
 * Wu et al. 2023, "Extracting low-/high-frequency knowledge from graph neural networks and injecting it into MLPs: an
 * effective GNN-to-MLP distillation framework" (FF-G2M). The teacher, a graph convolutional network, learns from the
 * labels; its logits h_i teach students with logits z_i = f(x_i), sigma the softmax, E the edges, E' with loops:
 *     low    1/|E'| sum over (i, j) in E' of KL(sigma(h_j) || sigma(z_i))
 *     high   1/|E|  sum over (i, j) in E of KL(sigma(|h_i - h_j| / tau) || sigma(|z_i - z_j| / tau))
 *     kd     1/n sum over i of KL(sigma(h_i) || sigma(z_i))        the plain distillation of GLNN
 *     L = lambda CE(labels) + (1 - lambda) (what the student is taught)
 * Students: mlp (CE alone), kd, low, high, full = low + high; lambda, tau and sizes are the same for all. Terms that no
 * student can change (the teacher's entropies) are left out of L. As in the authors' code: Adam with L2, the whole graph
 * each epoch, accuracy on the validation nodes after each, patience; the test nodes count once, at the best epoch.
 * Learning is transductive: features and edges of all nodes are there at training, labels of the training nodes only.
 * The split is drawn anew from the seed: `per_class` nodes of each class, `valid`, `test`.
 * Departs: sizes are the experiment's; the authors tune them, lambda and tau for each data set and teacher.
 */
#include <assay/study.h>
#include "descend.h"
#include <string.h>
#include <tgmath.h>

enum { TEACHER, MLP, KD, LOW, HIGH, FULL, FITS };
enum { NOWHERE, TRAIN, VALID, TEST, MOST = 64 /* classes */ };

struct opt { int epochs, patience, per_class, valid, test; double rate, decay, lambda, tau; };

static const struct as_option options[] = {
    { "epochs", AS_INT, offsetof(struct opt, epochs), 500, 1, 100000, NULL, NULL, "at most" },
    { "patience", AS_INT, offsetof(struct opt, patience), 50, 1, 100000, NULL, NULL, "epochs without a better one" },
    { "per_class", AS_INT, offsetof(struct opt, per_class), 20, 1, 100000, NULL, NULL, "a quarter of a class at most" },
    { "valid", AS_INT, offsetof(struct opt, valid), 500, 1, 1000000, NULL, NULL, "nodes; a fifth of all at most" },
    { "test", AS_INT, offsetof(struct opt, test), 1000, 1, 1000000, NULL, NULL, "nodes; all that are left at most" },
    { "rate", AS_NUM, offsetof(struct opt, rate), 0.01, 1e-8, 10, NULL, "0.001,0.01", "Adam's rate" },
    { "decay", AS_NUM, offsetof(struct opt, decay), 0.0005, 0, 1, NULL, "0,0.0005", "L2 of all weights" },
    { "lambda", AS_NUM, offsetof(struct opt, lambda), 0.4, 0, 1, NULL, "0,0.4,0.8", "lambda: share of the labels" },
    { "tau", AS_NUM, offsetof(struct opt, tau), 1.5, 0.01, 100, NULL, "1,1.5,2", "tau of the high frequencies" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    [TEACHER] = { "teacher", "raw", "test accuracy of the graph network" },
    [MLP] = { "mlp", "raw", "test accuracy of the perceptron on labels alone; as a curve: on validation, by epoch" },
    [KD] = { "kd", "raw", "test accuracy of the student of plain distillation" },
    [LOW] = { "low", "raw", "test accuracy of the student of low frequencies" },
    [HIGH] = { "high", "raw", "test accuracy of the student of high frequencies" },
    [FULL] = { "full", "raw", "test accuracy of the student of both" },
    { 0 }
};

struct graph {
    const struct opt *o;
    struct as_study_run *run;
    struct as_data *data;
    const struct as_batch *b;
    struct as_arena *a;
    struct as_tape *t;
    ptrdiff_t n, classes, labelled, edges;           /* edges: with from < to */
    const int32_t *label;
    int32_t *target, *part;          /* (n) */
    int32_t *from, *to;              /* (edges) */
    real *soft, *near, *apart;       /* what is taught: (n, classes) twice, (edges, classes); divided by their counts */
};

static void *room(struct graph *g, ptrdiff_t n, size_t size) { return as_arena_zero(g->a, as_size((size_t)n, size)); }

static int field_of(const struct as_batch *b, const char *name)
{
    int f = b->n_fields - 1;
    while (f >= 0 && strcmp(b->field[f].name, name))
        f--;
    return f;
}

static void split(struct graph *g)
{
    const struct opt *o = g->o;
    int32_t *order = room(g, g->n, sizeof *order), *taken = room(g, g->classes, sizeof *taken);
    int32_t *size = room(g, g->classes, sizeof *size);
    ptrdiff_t valid = o->valid < g->n / 5 ? o->valid : g->n / 5, test = o->test;

    as_shuffle((struct as_key){ g->run->seed, AS_ROLE_SPLIT, 0 }, g->n, order);
    for (ptrdiff_t i = 0; i < g->n; i++)
        size[g->label[i]]++;
    for (ptrdiff_t k = 0; k < g->n; k++) {
        int32_t i = order[k], c = g->label[i];
        bool train = taken[c] < o->per_class && 4 * (taken[c] + 1) <= size[c];
        g->part[i] = train ? TRAIN : valid > 0 ? VALID : test > 0 ? TEST : NOWHERE;
        g->target[i] = train ? c : -1;
        taken[c] += train;
        g->labelled += train;
        test -= g->part[i] == TEST;
        valid -= g->part[i] == VALID;
    }
}

/* Each once, from lower to higher; loops are padding, as in gcn. */
static void take_edges(struct graph *g, const int32_t *edge, ptrdiff_t n)
{
    g->from = room(g, n, sizeof *g->from);
    g->to = room(g, n, sizeof *g->to);
    for (ptrdiff_t k = 0; k < n; k++)
        if (edge[2 * k] < edge[2 * k + 1] && edge[2 * k + 1] < g->n) {
            g->from[g->edges] = edge[2 * k];
            g->to[g->edges++] = edge[2 * k + 1];
        }
}

static void open_graph(struct graph *g)
{
    struct as_config *cfg = as_config_copy(g->run->config);
    g->data = as_data_open(cfg, g->run->seed, g->run->stored);
    as_config_free(cfg);
    g->b = as_batch_fill(g->data, g->a, AS_TRAIN, 0, 1, NULL);
    int edges = field_of(g->b, "edges"), label = field_of(g->b, "label");
    if (label < 0)
        label = field_of(g->b, "target");
    g->n = g->b->time;
    g->classes = as_data_describe(g->data)->classes;
    if (edges < 0 || label < 0 || !g->b->field[label].integer || g->classes < 2 || g->classes > MOST)
        as_fail(AS_REFUSED, "data.source needs edges, and 2 to %d classes as label or target: cora, block-model", MOST);
    g->label = g->b->i[label];
    g->target = room(g, g->n, sizeof *g->target);
    g->part = room(g, g->n, sizeof *g->part);
    split(g);
    take_edges(g, g->b->i[edges], g->b->field[edges].dim[0]);
}

static void softmax(ptrdiff_t k, const real *x, double scale, double *p)
{
    double most = -(double)INFINITY, sum = 0;
    for (ptrdiff_t j = 0; j < k; j++)
        most = fmax(most, (double)x[j] * scale);
    for (ptrdiff_t j = 0; j < k; j++)
        sum += p[j] = exp((double)x[j] * scale - most);
    for (ptrdiff_t j = 0; j < k; j++)
        p[j] /= sum;
}

/* From the teacher's logits h (n, classes). Every edge counts in both directions. */
static void prepare(struct graph *g, const real *h)
{
    ptrdiff_t k = g->classes;
    double p[MOST], all = (double)(2 * g->edges + g->n);
    real d[MOST];
    g->soft = room(g, g->n * k, sizeof *g->soft);
    g->near = room(g, g->n * k, sizeof *g->near);
    g->apart = room(g, g->edges * k, sizeof *g->apart);
    for (ptrdiff_t i = 0; i < g->n; i++) {
        softmax(k, h + i * k, 1, p);
        for (ptrdiff_t j = 0; j < k; j++)
            g->soft[i * k + j] = (real)(p[j] / (double)g->n);
    }
    for (ptrdiff_t i = 0; i < g->n * k; i++)
        g->near[i] = (real)((double)g->soft[i] * (double)g->n / all);
    for (ptrdiff_t e = 0; e < g->edges; e++) {
        ptrdiff_t a = g->from[e] * k, b = g->to[e] * k;
        for (ptrdiff_t j = 0; j < k; j++) {
            g->near[a + j] += (real)((double)g->soft[b + j] * (double)g->n / all);
            g->near[b + j] += (real)((double)g->soft[a + j] * (double)g->n / all);
            d[j] = fabs(h[a + j] - h[b + j]);
        }
        softmax(k, d, 1 / g->o->tau, p);
        for (ptrdiff_t j = 0; j < k; j++)
            g->apart[e * k + j] = (real)(p[j] / (double)g->edges);
    }
}

static struct as_node *ints(struct as_tape *t, ptrdiff_t n, const int32_t *x)
{
    struct as_node *node = as_node_ints(t, 1, &n);
    memcpy(node->i, x, (size_t)n * sizeof *x);
    return node;
}

/* -sum of p log softmax(z). */
static struct as_node *teach(struct as_tape *t, struct as_node *z, real *p)
{
    return as_neg(t, as_sum_all(t, as_mul(t, as_node_wrap(t, 2, z->dim, p, NULL), as_logsoftmax(t, z))));
}

/* L from the logits z (n, classes). */
static struct as_node *loss_of(struct graph *g, int fit, struct as_node *z)
{
    struct as_tape *t = g->t;
    struct as_node *loss = as_sum_all(t, as_cross_entropy(t, z, ints(t, g->n, g->target))), *more = NULL;
    loss = as_scale(t, loss, 1 / (double)g->labelled);
    if (fit == KD)
        more = teach(t, z, g->soft);
    if (fit == LOW || fit == FULL)
        more = teach(t, z, g->near);
    if (fit == HIGH || fit == FULL) {
        struct as_node *a = as_gather(t, z, ints(t, g->edges, g->from)), *b = as_gather(t, z, ints(t, g->edges, g->to));
        struct as_node *high = teach(t, as_scale(t, as_abs(t, as_sub(t, a, b)), 1 / g->o->tau), g->apart);
        more = more ? as_add(t, more, high) : high;
    }
    return more ? as_add(t, as_scale(t, loss, g->o->lambda), as_scale(t, more, 1 - g->o->lambda)) : loss;
}

static struct as_node *logits(struct graph *g, struct as_model *m, bool training, struct as_key key)
{
    as_tape_reset(g->t);
    return as_reshape(g->t, as_model_forward(m, g->t, g->b, training, key), 2, (ptrdiff_t[]){ g->n, g->classes });
}

static double accuracy(const struct graph *g, const real *z, int part)
{
    double right = 0, count = 0;
    for (ptrdiff_t i = 0; i < g->n; i++) {
        ptrdiff_t best = 0;
        for (ptrdiff_t j = 1; j < g->classes; j++)
            best = z[i * g->classes + j] > z[i * g->classes + best] ? j : best;
        right += g->part[i] == part && best == g->label[i];
        count += g->part[i] == part;
    }
    return count > 0 ? right / count : 0;
}

static void step(struct graph *g, struct as_model *m, int fit, struct as_key key, struct descent *d)
{
    descend_clear(d);
    struct as_node *loss = loss_of(g, fit, logits(g, m, true, key));
    as_backward(g->t, loss, R(1.0));
    descend_step(d, loss, g->o->rate, 0);
}

/* Until no epoch is better on validation for a while; records the test accuracy, and leaves the best weights. */
static void fit_model(struct graph *g, struct as_model *m, int fit)
{
    size_t mark = as_arena_mark(g->a);
    struct descent d = descend_from(g->a, m);
    size_t bytes = (size_t)d.s.n * sizeof *d.s.w;
    real *best = room(g, d.s.n, sizeof *best);
    double highest = -1, test = 0;
    d.couple = g->o->decay;
    for (int epoch = 1, since = 0; epoch <= g->o->epochs && since < g->o->patience; epoch++) {
        struct as_key key = { g->run->seed, AS_ROLE_DROPOUT, (uint64_t)epoch };
        step(g, m, fit, as_subkey(key, (uint64_t)fit), &d);
        as_tape_record(g->t, false);
        const real *z = logits(g, m, false, key)->x;
        as_tape_record(g->t, true);
        double valid = accuracy(g, z, VALID);
        g->run->curve(g->run->ctx, metrics[fit].name, epoch, valid);
        since++;
        if (valid >= highest) {
            highest = valid;
            test = accuracy(g, z, TEST);
            memcpy(best, d.s.w, bytes);
            since = 0;
        }
    }
    memcpy(d.s.w, best, bytes);
    as_arena_reset(g->a, mark);
    g->run->record(g->run->ctx, metrics[fit].name, test);
}

static void fit_one(struct graph *g, int fit)
{
    struct as_config *cfg = as_config_copy(g->run->config);
    as_config_set(cfg, "model", "nodes", true);
    as_config_set(cfg, "graph", fit == TEACHER ? "gcn" : "none", true);
    /* students begin at the same weights: what they are taught is all that differs */
    struct as_model *m = as_model_new(cfg, as_data_describe(g->data), g->run->seed);
    as_config_free(cfg);
    fit_model(g, m, fit);
    if (fit == TEACHER) {
        as_tape_record(g->t, false);
        prepare(g, logits(g, m, false, (struct as_key){ 0 })->x);
        as_tape_record(g->t, true);
    }
    as_model_free(m);
}

static void run(struct as_study_run *r)
{
    struct graph g = { .o = r->opt, .run = r, .a = as_arena_new(), .t = as_tape_new() };
    open_graph(&g);
    for (int fit = 0; fit < FITS; fit++)
        fit_one(&g, fit);
    as_data_close(g.data);
    as_tape_free(g.t);
    as_arena_free(g.a);
}

static const char *const sample[] = { "data.source", "block-model", "data.nodes", "60", "width", "8", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "perceptrons that a graph network teaches low and high frequencies: the graph is there at training only",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run,
    .sample = sample,
};

const struct as_plugin AS_PLUGIN(study__ff_g2m) = { .abi = ASSAY_ABI, .study = &study };

/* on-features.h: what learns on frozen features, for studies: a model on one step of features, a linear map, a
 * perceptron with one hidden layer; cross-entropy, plain gradient descent, batches in an order that is given.
 */
#include <assay/error.h>
#include <assay/train.h>
#include <string.h>
#include <tgmath.h>

enum { PROBE_MODEL, PROBE_LINEAR, PROBE_MLP };
enum { PROBE_BATCH = 100, PROBE_BLOCK = 500 };

/* Examples: x (n, width), labels below `classes`. */
struct pool { ptrdiff_t n; real *x; int32_t *label; };

struct probing {
    struct as_arena *a;
    struct as_tape *t;
    struct as_key key;               /* of initial weights */
    ptrdiff_t width, classes, hidden;
    real *x;                         /* (PROBE_BLOCK, width): the batch under way */
    int32_t one[PROBE_BLOCK];        /* its lengths */
};

/* n numbers w that learn, with their gradients; of a model it is one of its weights. Rates are multiplied by scale. */
struct probe { int kind; struct as_model *model; ptrdiff_t n; real *w, *dw; double scale; };

static void probing_start(struct probing *p)
{
    p->x = as_arena_zero(p->a, as_size((size_t)(PROBE_BLOCK * p->width), sizeof *p->x));
    for (int r = 0; r < PROBE_BLOCK; r++)
        p->one[r] = 1;
}

static void probe_row(struct probing *p, ptrdiff_t row, const struct pool *from, ptrdiff_t i)
{
    memcpy(p->x + row * p->width, from->x + i * p->width, (size_t)p->width * sizeof *p->x);
}

static struct as_batch probe_batch(struct probing *p, ptrdiff_t rows)
{
    struct as_batch b = { .batch = rows, .time = 1, .length = p->one, .n_fields = 1, .x = { p->x } };

    b.field[0] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, p->width } };
    return b;
}

static struct probe probe_plain(struct probing *p, int kind)
{
    ptrdiff_t k = p->classes, h = p->hidden, f = p->width;
    struct probe new = { .kind = kind, .scale = 1, .n = kind == PROBE_MLP ? h * f + h + k * h + k : k * f + k };

    new.w = as_arena_zero(p->a, as_size((size_t)new.n, sizeof *new.w));
    new.dw = as_arena_zero(p->a, as_size((size_t)new.n, sizeof *new.dw));
    return new;
}

/* A model for these features, one weight of which, of this name, learns; the model's gradient is there for it alone. */
static struct probe probe_model(struct probing *p, struct as_config *cfg, const char *weight, uint64_t seed)
{
    struct as_data_shape shape = { .n_fields = 1, .field = { probe_batch(p, 1).field[0] }, .max_length = 1,
                                   .classes = p->classes };
    struct probe new = { .kind = PROBE_MODEL, .scale = 1, .model = as_model_new(cfg, &shape, seed) };
    struct as_weights store = as_model_store(new.model);
    struct as_named_weight w = as_model_weight(new.model, weight);

    if (!w.w)
        as_fail(AS_REFUSED, "the model has no weight %s that could learn", weight);
    new.n = 1;
    for (int i = 0; i < w.rank; i++)
        new.n *= w.dim[i];
    new.w = w.w;
    new.dw = store.dw + (w.w - store.w);
    return new;
}

/* Weights as they begin: zero, or He's for the perceptron. */
static void probe_restart(const struct probing *p, const struct probe *q)
{
    ptrdiff_t first = p->hidden * p->width, second = first + p->hidden, end = second + p->classes * p->hidden;

    memset(q->w, 0, (size_t)q->n * sizeof *q->w);
    for (ptrdiff_t i = 0; i < end && q->kind == PROBE_MLP; i++)
        if (i < first || i >= second)
            q->w[i] = (real)(sqrt(2 / (double)(i < first ? p->width : p->hidden)) *
                             (double)as_normal(p->key, (uint64_t)i));
}

/* W x + b, the weights one after the other from *at on. */
static struct as_node *probe_map(struct as_tape *t, const struct probe *q, struct as_node *x, ptrdiff_t out,
                                 ptrdiff_t *at)
{
    ptrdiff_t in = x->dim[1], w = *at, b = w + out * in;

    *at = b + out;
    return as_linear(t, x, as_node_wrap(t, 2, (ptrdiff_t[]){ out, in }, q->w + w, q->dw + w),
                     as_node_wrap(t, 1, &out, q->w + b, q->dw + b));
}

/* Of the batch under way: (rows, classes). A model is not told that it trains, so its statistics stay. */
static struct as_node *probe_logits(struct probing *p, const struct probe *q, ptrdiff_t rows)
{
    struct as_batch b = probe_batch(p, rows);
    ptrdiff_t at = 0;
    struct as_node *x;

    as_tape_reset(p->t);
    if (q->kind == PROBE_MODEL) {
        x = as_model_forward(q->model, p->t, &b, false, p->key);
        return as_reshape(p->t, x, 2, (ptrdiff_t[]){ rows, p->classes });
    }
    x = as_node_wrap(p->t, 2, (ptrdiff_t[]){ rows, p->width }, p->x, NULL);
    if (q->kind == PROBE_MLP)
        x = as_relu(p->t, probe_map(p->t, q, x, p->hidden, &at));
    return probe_map(p->t, q, x, p->classes, &at);
}

/* The examples order[0..n-1], once. */
static void probe_learn(struct probing *p, const struct probe *q, const struct pool *from, const int32_t *order,
                        ptrdiff_t n, double rate)
{
    for (ptrdiff_t at = 0; at < n; at += PROBE_BATCH) {
        ptrdiff_t rows = n - at < PROBE_BATCH ? n - at : PROBE_BATCH;
        struct as_node *target, *y;

        for (ptrdiff_t r = 0; r < rows; r++)
            probe_row(p, r, from, order[at + r]);
        y = probe_logits(p, q, rows);
        target = as_node_ints(p->t, 1, &rows);
        for (ptrdiff_t r = 0; r < rows; r++)
            target->i[r] = from->label[order[at + r]];
        memset(q->dw, 0, (size_t)q->n * sizeof *q->dw);
        y = as_sum_all(p->t, as_cross_entropy(p->t, y, target));
        as_backward(p->t, as_scale(p->t, y, 1 / (double)rows), R(1.0));
        for (ptrdiff_t i = 0; i < q->n; i++)
            q->w[i] -= (real)(rate * q->scale) * q->dw[i];
    }
}

static double probe_accuracy(struct probing *p, const struct probe *q, const struct pool *test)
{
    ptrdiff_t k = p->classes;
    double right = 0;

    as_tape_record(p->t, false);
    for (ptrdiff_t at = 0; at < test->n; at += PROBE_BLOCK) {
        ptrdiff_t rows = test->n - at < PROBE_BLOCK ? test->n - at : PROBE_BLOCK;
        const real *y;

        for (ptrdiff_t r = 0; r < rows; r++)
            probe_row(p, r, test, at + r);
        y = probe_logits(p, q, rows)->x;
        for (ptrdiff_t r = 0; r < rows; r++) {
            ptrdiff_t best = 0;

            for (ptrdiff_t j = 1; j < k; j++)
                best = y[r * k + j] > y[r * k + best] ? j : best;
            right += best == test->label[at + r];
        }
    }
    as_tape_record(p->t, true);
    return right / (double)test->n;
}

/* class-stream.c: what is left of the first classes when classes come one after the other, and nobody says when they
 * change?
 *
 * Traeuble et al. 2023, "Discrete key-value bottleneck", class-incremental learning, small. The data hold two sets of
 * images, each one half of every split (mnist-fashion; a generator makes both). One is other data: a convolutional
 * autoencoder learns its features from it, and rates are chosen on streams of its classes. Then the encoder is frozen,
 * and the classes of the other half come as the stream: one class at a time, in an order drawn by the seed, each
 * example `passes` times while its class lasts. On the same features learn, by plain gradient descent on the
 * cross-entropy:
 *     bottleneck   model dkvb, its keys set without labels on the stream's own images and then frozen; values learn
 *     linear       softmax(W f + b)
 *     mlp          one hidden layer with ReLU
 * *_iid is the same number of steps on the same examples in random order. other_keys: the bottleneck with keys set on
 * the other data. Every one of them chooses its rate, for streams and for random order, from the same powers of
 * ten by its accuracy on held-out images of the other data, after learning as many of its images.
 * The rate of the bottleneck is C times what is written, since each of its C values counts 1/C.
 * Departs: an encoder of some thousand weights where the paper has large pre-trained ones.
 */
#include "autoencoder.h"
#include "on-features.h"

#include <assay/study.h>

enum { BOTTLENECK = PROBE_MODEL, LINEAR = PROBE_LINEAR, MLP = PROBE_MLP, LEARNERS };
enum { STREAM, IID, ORDERS };
enum { OTHER_KEYS = LEARNERS * ORDERS, TOUCHED, EDGE };
enum { BLOCK = 500 };

struct opt {
    int stream, channels, pretrain, examples, held_out, test, passes, key_passes, hidden, rates;
    double lowest;
};

static const struct as_option options[] = {
    { "stream", AS_WORD, offsetof(struct opt, stream), 0, 0, 0, "first|second", NULL, "half of the data that comes "
      "class by class; the rest is the other data" },
    { "channels", AS_INT, offsetof(struct opt, channels), 2, 1, 1024, NULL, "8,16", "of both convolutions" },
    { "pretrain", AS_INT, offsetof(struct opt, pretrain), 5, 0, 1000000, NULL, "0,600", "steps of the autoencoder" },
    { "examples", AS_INT, offsetof(struct opt, examples), 60, 1, 10000000, NULL, NULL, "that learn, of either data" },
    { "held_out", AS_INT, offsetof(struct opt, held_out), 40, 1, 10000000, NULL, NULL, "that choose the rates" },
    { "test", AS_INT, offsetof(struct opt, test), 40, 1, 10000000, NULL, NULL, "of the stream's kind" },
    { "passes", AS_INT, offsetof(struct opt, passes), 1, 1, 1000, NULL, "1,5", "over the examples of a class" },
    { "key_passes", AS_INT, offsetof(struct opt, key_passes), 2, 1, 1000, NULL, NULL, "over the images that set keys" },
    { "hidden", AS_INT, offsetof(struct opt, hidden), 8, 1, 65536, NULL, NULL, "units of mlp" },
    { "rates", AS_INT, offsetof(struct opt, rates), 2, 1, 12, NULL, NULL, "powers of ten to choose from" },
    { "lowest", AS_NUM, offsetof(struct opt, lowest), 0.1, 1e-12, 1e6, NULL, NULL, "of them" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    [ORDERS * BOTTLENECK + STREAM] = { "bottleneck", "raw", "test accuracy after the stream; as a curve: on the way" },
    [ORDERS * BOTTLENECK + IID] = { "bottleneck_iid", "raw", "test accuracy after random order" },
    [ORDERS * LINEAR + STREAM] = { "linear", "raw", "the same for the linear probe" },
    [ORDERS * LINEAR + IID] = { "linear_iid", "raw", "the same for the linear probe" },
    [ORDERS * MLP + STREAM] = { "mlp", "raw", "the same for the perceptron" },
    [ORDERS * MLP + IID] = { "mlp_iid", "raw", "the same for the perceptron" },
    [OTHER_KEYS] = { "other_keys", "raw", "bottleneck after the stream, with keys set on the other data" },
    [TOUCHED] = { "touched", "raw", "share of the bottleneck's values that the stream has changed" },
    [EDGE] = { "edge", "raw", "how many of the six rates chosen are the first or last of their list" },
    { 0 }
};

struct stream {
    const struct opt *o;
    struct as_study_run *run;
    struct as_data *data;
    struct as_arena *a;
    ptrdiff_t side, d;               /* of an image; its pixels */
    struct probing on;               /* the features */
};

static struct as_key draw(const struct stream *s, uint64_t what)
{
    return as_subkey((struct as_key){ s->run->seed, AS_ROLE_STUDY, 0 }, what);
}

static void *room(struct stream *s, ptrdiff_t n, size_t size) { return as_arena_zero(s->a, as_size((size_t)n, size)); }

/* From one half of a split, from a place on that the seed draws; a generator goes on without end. */
static struct pool read_pool(struct stream *s, enum as_split split, int half, ptrdiff_t want, uint64_t what)
{
    uint64_t size = (uint64_t)as_data_describe(s->data)->count[split] / 2, from = draw(s, what).stream, index[BLOCK];
    struct pool p = { .x = room(s, want * s->d, sizeof(real)), .label = room(s, want, sizeof(int32_t)) };
    size_t mark = as_arena_mark(s->a);

    for (; p.n < want && (size == 0 || (uint64_t)p.n < size); as_arena_reset(s->a, mark)) {
        ptrdiff_t n = want - p.n < BLOCK ? want - p.n : BLOCK;
        const struct as_batch *b;
        int target;

        if (size && n > (ptrdiff_t)size - p.n)
            n = (ptrdiff_t)size - p.n;
        for (ptrdiff_t r = 0; r < n; r++)
            index[r] = size ? (uint64_t)half * size + (from + (uint64_t)(p.n + r)) % size
                            : what << 32 | (uint64_t)(p.n + r);
        b = as_batch_fill(s->data, s->a, split, 0, n, index);
        target = b->n_fields - 1;
        while (target > 0 && strcmp(b->field[target].name, "target") != 0)
            target--;
        memcpy(p.x + p.n * s->d, b->x[0], (size_t)(n * s->d) * sizeof *p.x);
        memcpy(p.label + p.n, b->i[target], (size_t)n * sizeof *p.label);
        p.n += n;
    }
    return p;
}

static void open_all(struct stream *s)
{
    struct as_config *cfg = as_config_copy(s->run->config);
    const struct as_data_shape *d;

    s->data = as_data_open(cfg, s->run->seed, s->run->stored);
    as_config_free(cfg);
    d = as_data_describe(s->data);
    s->d = 1;
    for (int i = 0; i < d->field[0].rank; i++)
        s->d *= d->field[0].dim[i] == AS_TIME ? 1 : d->field[0].dim[i];
    s->side = (ptrdiff_t)lround(sqrt((double)s->d));
    s->on.classes = d->classes;
    if (d->field[0].integer || d->max_length != 1 || s->side * s->side != s->d || strcmp(d->objective, "ce") != 0)
        as_fail(AS_REFUSED, "class-stream: it needs square images in one step, and a class for each (mnist-fashion "
                            "with form = flat)");
}

/* Keys set on a pool's features, without its labels. */
static struct probe bottleneck(struct stream *s, const struct pool *p)
{
    struct as_config *cfg = as_config_copy(s->run->config);
    struct probe new = probe_model(&s->on, cfg, "V", s->run->seed);
    struct as_batch b = probe_batch(&s->on, p->n < BLOCK ? p->n : BLOCK);

    new.scale = (double)as_config_int(cfg, "heads", 1, 1, 1 << 20);
    as_config_free(cfg);
    as_tape_record(s->on.t, false);
    for (ptrdiff_t k = 0; k < (p->n * s->o->key_passes + b.batch - 1) / b.batch; k++) {
        for (ptrdiff_t r = 0; r < b.batch; r++)
            probe_row(&s->on, r, p, as_below(draw(s, 2), (uint64_t)(k * BLOCK + r), (uint32_t)p->n));
        as_tape_reset(s->on.t);
        as_model_forward(new.model, s->on.t, &b, true, draw(s, 3));
    }
    as_tape_record(s->on.t, true);
    return new;
}

/* --- orders and rates ------------------------------------------------------------------------------------------- */

/* The examples as they come, (passes n): class by class, in a drawn order of classes; or each pass in its own order. */
static int32_t *order_of(struct stream *s, const struct pool *p, int order, uint64_t what)
{
    int32_t *all = room(s, p->n * s->o->passes, sizeof *all), *class = room(s, s->on.classes, sizeof *class);
    int32_t *mixed = room(s, p->n, sizeof *mixed);
    ptrdiff_t n = 0;

    as_shuffle(draw(s, what), s->on.classes, class);
    for (ptrdiff_t c = 0; c < (order == STREAM ? s->on.classes : 1); c++)
        for (int pass = 0; pass < s->o->passes; pass++) {
            as_shuffle(as_subkey(draw(s, what), (uint64_t)pass + 1), p->n, mixed);
            for (ptrdiff_t i = 0; i < p->n; i++)
                if (order == IID || p->label[mixed[i]] == class[c])
                    all[n++] = mixed[i];
        }
    return all;
}

/* From the start; where `curve` is named, it gets ten points on the way. */
static double fit(struct stream *s, const struct probe *q, const struct pool *p, const int32_t *order,
                  const struct pool *test, double rate, const char *curve)
{
    ptrdiff_t n = p->n * s->o->passes;

    probe_restart(&s->on, q);
    for (int k = 0; k < 10; k++) {
        probe_learn(&s->on, q, p, order + n * k / 10, n * (k + 1) / 10 - n * k / 10, rate);
        if (curve)
            s->run->curve(s->run->ctx, curve, 10 * (k + 1), probe_accuracy(&s->on, q, test));
    }
    return probe_accuracy(&s->on, q, test);
}

static double choose_rate(struct stream *s, const struct probe *q, const struct pool *p, int order,
                          const struct pool *held_out, double *edge)
{
    int32_t *examples = order_of(s, p, order, 5);
    double best = -1;
    int chosen = 0;

    for (int k = 0; k < s->o->rates; k++) {
        double score = fit(s, q, p, examples, held_out, s->o->lowest * pow(10, k), NULL);

        chosen = score > best ? k : chosen;
        best = fmax(best, score);
    }
    *edge += chosen == 0 || chosen == s->o->rates - 1;
    return s->o->lowest * pow(10, chosen);
}

/* The share of values that are no longer where they began. */
static double touched(const struct probe *q)
{
    double moved = 0;

    for (ptrdiff_t i = 0; i < q->n; i++)
        moved += fabs((double)q->w[i]) > 0;
    return moved / (double)q->n;
}

static void learn_all(struct stream *s, const struct pool *other, const struct pool *held_out, const struct pool *p,
                      const struct pool *test)
{
    struct probe elsewhere = bottleneck(s, other), all[LEARNERS];
    double edge = 0;

    all[BOTTLENECK] = bottleneck(s, p);
    all[LINEAR] = probe_plain(&s->on, LINEAR);
    all[MLP] = probe_plain(&s->on, MLP);
    for (int k = 0; k < LEARNERS; k++)
        for (int order = STREAM; order < ORDERS; order++) {
            const struct probe *tried = k == BOTTLENECK ? &elsewhere : &all[k];
            const char *name = metrics[ORDERS * k + order].name;
            double rate = choose_rate(s, tried, other, order, held_out, &edge);
            const int32_t *examples = order_of(s, p, order, 6);

            s->run->record(s->run->ctx, name, fit(s, &all[k], p, examples, test, rate, name));
            if (k != BOTTLENECK || order != STREAM)
                continue;
            s->run->record(s->run->ctx, metrics[TOUCHED].name, touched(&all[k]));
            s->run->record(s->run->ctx, metrics[OTHER_KEYS].name,
                           fit(s, &elsewhere, p, examples, test, rate, metrics[OTHER_KEYS].name));
        }
    s->run->record(s->run->ctx, metrics[EDGE].name, edge);
    as_model_free(elsewhere.model);
    as_model_free(all[BOTTLENECK].model);
}

static void run(struct as_study_run *r)
{
    struct stream s = { .o = r->opt, .run = r, .a = as_arena_new() };
    struct pool pool[4];
    struct autoencoder e;

    open_all(&s);
    pool[0] = read_pool(&s, AS_TRAIN, !s.o->stream, s.o->examples, 10);
    pool[1] = read_pool(&s, AS_VALID, !s.o->stream, s.o->held_out, 11);
    pool[2] = read_pool(&s, AS_TRAIN, s.o->stream, s.o->examples, 12);
    pool[3] = read_pool(&s, AS_TEST, s.o->stream, s.o->test, 13);
    e = autoencoder_train(s.a, draw(&s, 1), s.side, s.o->channels, s.o->pretrain, pool[0].n, pool[0].x);
    for (int i = 0; i < 4; i++)
        pool[i].x = autoencoder_features(&e, s.a, pool[i].n, pool[i].x);
    s.on = (struct probing){ .a = s.a, .t = as_tape_new(), .key = draw(&s, 4), .width = e.width,
                             .classes = s.on.classes, .hidden = s.o->hidden };
    probing_start(&s.on);
    learn_all(&s, &pool[0], &pool[1], &pool[2], &pool[3]);
    as_data_close(s.data);
    as_tape_free(s.on.t);
    as_arena_free(s.a);
}

static const char *const sample[] = { "data.source", "parity-vector", "data.bits", "16", "model", "dkvb", NULL };

#define SEEN "per cent of the training examples seen"
static const char *const axes[] = { "bottleneck", SEEN, "bottleneck_iid", SEEN, "linear", SEEN, "linear_iid", SEEN,
                                    "mlp", SEEN, "mlp_iid", SEEN, "other_keys", SEEN, NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "classes one after the other on frozen features: a key-value bottleneck, a linear probe, a perceptron",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run, .sample = sample, .axes = axes,
};

const struct as_plugin AS_PLUGIN(study__class_stream) = { .abi = ASSAY_ABI, .study = &study };

/* lejepa.c: what an encoder learns from views of images without labels, when a Gaussian shape is all that keeps its
 * embeddings apart.
 *
 * Balestriero and LeCun 2025, "LeJEPA: provable and scalable self-supervised learning without the heuristics"
 * (arXiv 2511.08544). With h_v = f(view v) of V views, the first G of them global ones, and z_v = g(h_v),
 *     L = (1 - lambda) mean over v, examples, dimensions of (z_v - mu)^2 + lambda mean over v of SIGReg(z_v),
 *     mu = the mean of z_v over the global views,
 * and SIGReg as in assay/sigreg.h, its directions fresh at each step. No gradient is stopped; there is no teacher, no
 * predictor and no schedule but the rate's (AdamW; a tenth of the steps up, then half a cosine down to zero). Global views
 * show at least `cut` of a side of the image, local ones between `crop` and `cut` (views.h).
 * Then, without views: probe, the test accuracy of a logistic regression on frozen h (assay/probe.h); random and raw, the
 * same on h of the encoder as it was drawn, and on the pixels; rank, the effective rank of z (assay/matrix.h), which is not
 * centred, so that a constant has rank 1.
 * The encoder f is the experiment's [model], with `embedding` outputs; the projector g, as in the authors' code, a
 * perceptron (W_2 relu(W_1 h + b_1) + b_2, theirs has one layer more and normalises batches). Departs: larger parts than the
 * paper's, for a digit is most of its image; grey pixels, no colours, no flips.
 */
#include <assay/matrix.h>
#include <assay/probe.h>
#include <assay/sigreg.h>
#include <assay/study.h>
#include "head.h"
#include "views.h"

enum { KEY_VIEWS, KEY_DIRECTIONS, KEY_DROPOUT, KEY_HEAD };
enum { PIXELS, ENCODED, PROJECTED };
enum { CHUNK = 1000, PARTS = 20 /* points of a curve */ };

struct opt {
    int steps, batch, views, global, embedding, hidden, projection, directions, train, test, iterations;
    double rate, decay, lambda, crop, cut, shift, noise, ridge;
};

static const struct as_option options[] = {
    { "steps", AS_INT, offsetof(struct opt, steps), 40, 1, 10000000, NULL, NULL, "of training" },
    { "batch", AS_INT, offsetof(struct opt, batch), 32, 2, 100000, NULL, NULL, "images of a step" },
    { "rate", AS_NUM, offsetof(struct opt, rate), 2e-3, 1e-8, 10, NULL, "0.0005,0.002", "AdamW's, at its highest" },
    { "decay", AS_NUM, offsetof(struct opt, decay), 5e-4, 0, 10, NULL, "0.0005,0.05", "of all weights, decoupled" },
    { "lambda", AS_NUM, offsetof(struct opt, lambda), 0.05, 0, 1, NULL, "0,0.01,0.05,0.1", "lambda: share of SIGReg" },
    { "directions", AS_INT, offsetof(struct opt, directions), 64, 1, 100000, NULL, "16,64,256", "of SIGReg, each step" },
    { "embedding", AS_INT, offsetof(struct opt, embedding), 8, 1, 4096, NULL, "64,128", "width of h" },
    { "hidden", AS_INT, offsetof(struct opt, hidden), 8, 1, 4096, NULL, "128,256", "units of the projector" },
    { "projection", AS_INT, offsetof(struct opt, projection), 4, 2, 4096, NULL, "16,32,64", "width of z" },
    { "views", AS_INT, offsetof(struct opt, views), 4, 2, 64, NULL, "2,4,8", "V: of each image" },
    { "global", AS_INT, offsetof(struct opt, global), 2, 1, 64, NULL, "2,4", "G: the first ones; at most V" },
    { "crop", AS_NUM, offsetof(struct opt, crop), 0.5, 0.1, 1, NULL, NULL, "least part of a side in a local view" },
    { "cut", AS_NUM, offsetof(struct opt, cut), 0.75, 0.1, 1, NULL, NULL, "the least in a global one" },
    { "shift", AS_NUM, offsetof(struct opt, shift), 1, 0, 100, NULL, "0,1,2", "pixels over the edge at most" },
    { "noise", AS_NUM, offsetof(struct opt, noise), 0.1, 0, 10, NULL, "0,0.1", "deviation, on each pixel" },
    { "train", AS_INT, offsetof(struct opt, train), 200, 2, 10000000, NULL, NULL, "images with labels, for the probe" },
    { "test", AS_INT, offsetof(struct opt, test), 200, 1, 10000000, NULL, NULL, "test images" },
    { "ridge", AS_NUM, offsetof(struct opt, ridge), 1e-4, 1e-12, 100, NULL, NULL, "of the probe" },
    { "iterations", AS_INT, offsetof(struct opt, iterations), 40, 0, 10000, NULL, NULL, "of it; 0: ridge regression" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "probe", "raw", "test accuracy of a linear probe on the embeddings" },
    { "random", "raw", "test accuracy of a linear probe on the untrained encoder's" },
    { "raw", "raw", "test accuracy of a linear probe on the pixels" },
    { "rank", "raw", "effective rank of z, not centred" },
    { "variance", "raw", "mean variance of the dimensions of z" },
    { "invariance", "raw", "how far views of an image are apart, in the last steps; as a curve: by step" },
    { "sigreg", "raw", "how far embeddings are from a Gaussian, in the last steps; as a curve: by step" },
    { 0 }
};

struct lab {
    const struct opt *o;
    struct as_study_run *run;
    struct as_arena *a, *chunk;      /* chunk: of one batch */
    struct as_tape *t;
    struct as_data *data;
    struct as_model *model;
    struct head head;                /* the projector */
    int target;                      /* field of the labels */
    ptrdiff_t side, pixels, classes;
    int32_t *order;                  /* of stored examples in this epoch */
    int32_t *label[AS_SPLITS];       /* of the probe's images */
};

static struct as_key key_of(const struct lab *l, int what, int step)
{
    struct as_key key = { l->run->seed, AS_ROLE_STUDY, (uint64_t)what };
    return as_subkey(key, (uint64_t)step);
}

static void open_data(struct lab *l, struct as_config *cfg)
{
    l->data = as_data_open(cfg, l->run->seed, l->run->stored);
    const struct as_data_shape *s = as_data_describe(l->data);
    const struct as_data_field *x = &s->field[0];
    l->pixels = 1;
    for (int i = 0; i < x->rank; i++)
        l->pixels *= x->dim[i] == AS_TIME ? 1 : x->dim[i];
    l->side = lround(sqrt((double)l->pixels));
    for (int i = 0; i < s->n_fields; i++)
        l->target = strcmp(s->field[i].name, "target") ? l->target : i;
    l->classes = s->field[l->target].vocab;
    if (x->integer || s->max_length != 1 || l->side * l->side != l->pixels || l->target == 0 || l->classes < 2)
        as_fail(AS_REFUSED, "data.source: lejepa needs square grey images with classes, one step or none: mnist with "
                            "form = flat or image");
}

/* The images of a step; stored ones come in a new order every epoch. */
static struct as_batch *draw_images(struct lab *l, int step)
{
    ptrdiff_t count = as_data_describe(l->data)->count[AS_TRAIN], n = l->o->batch;
    as_arena_reset(l->chunk, 0);
    uint64_t *index = as_arena_take(l->chunk, as_size((size_t)n, sizeof *index));
    for (ptrdiff_t r = 0; r < n; r++) {
        uint64_t at = (uint64_t)step * (uint64_t)n + (uint64_t)r;
        index[r] = at;
        if (!count)
            continue;
        if (at % (uint64_t)count == 0)
            as_shuffle((struct as_key){ l->run->seed, AS_ROLE_ORDER, at / (uint64_t)count }, count, l->order);
        index[r] = (uint64_t)l->order[at % (uint64_t)count];
    }
    return as_batch_fill(l->data, l->chunk, AS_TRAIN, 0, n, index);
}

/* All views of them as one batch, view by view. */
static struct as_batch *draw_views(struct lab *l, int step)
{
    struct as_batch *images = draw_images(l, step), *b = as_arena_zero(l->chunk, sizeof *b);
    ptrdiff_t n = images->batch * l->o->views;
    *b = *images;
    b->batch = n;
    b->n_fields = 1;
    b->x[0] = as_arena_take(l->chunk, as_size((size_t)(n * l->pixels), sizeof(real)));
    b->length = as_arena_take(l->chunk, as_size((size_t)n, sizeof *b->length));
    for (ptrdiff_t r = 0; r < n; r++)
        b->length[r] = 1;
    const struct opt *o = l->o;
    struct views v = { o->batch, l->side, o->views, o->global, o->crop, o->cut, o->shift, o->noise };
    views_make(&v, images->x[0], key_of(l, KEY_VIEWS, step), b->x[0]);
    return b;
}

/* --- training ------------------------------------------------------------------------------------------------- */

static struct as_node *embed(struct lab *l, const struct as_batch *b, bool training, struct as_key key)
{
    struct as_node *z = as_model_forward(l->model, l->t, b, training, key);
    if (as_node_size(z) != b->batch * l->o->embedding)
        as_fail(AS_REFUSED, "lejepa: the model gives %td numbers for %td images and embeddings of %d", as_node_size(z),
                b->batch, l->o->embedding);
    return as_reshape(l->t, z, 2, (ptrdiff_t[]){ b->batch, l->o->embedding });
}

/* term: the two parts of the loss, added to. */
static struct as_node *loss_of(struct lab *l, int step, double term[2])
{
    const struct opt *o = l->o;
    struct as_tape *t = l->t;
    as_tape_reset(t);
    struct as_node *z = head_run(&l->head, t, embed(l, draw_views(l, step), true, key_of(l, KEY_DROPOUT, step)));
    z = as_reshape(t, z, 3, (ptrdiff_t[]){ o->views, o->batch, o->projection });
    struct as_node *mu = as_mean(t, as_slice(t, z, 0, 0, o->global), 0, true);
    struct as_node *apart = as_scale(t, as_sum_all(t, as_square(t, as_sub(t, z, mu))), 1 / (double)as_node_size(z));
    struct as_node *sigreg = as_sigreg(t, z, o->directions, key_of(l, KEY_DIRECTIONS, step));
    term[0] += (double)apart->x[0];
    term[1] += (double)sigreg->x[0];
    return as_add(t, as_scale(t, apart, 1 - o->lambda), as_scale(t, sigreg, o->lambda));
}

static void train(struct lab *l)
{
    struct descent d = descend_from(l->a, l->model);
    int steps = l->o->steps, every = steps > PARTS ? steps / PARTS : 1;
    double term[2] = { 0 }, last[2] = { 0 };
    for (int step = 1; step <= steps; step++) {
        descend_clear(&d);
        descend_clear(&l->head.d);
        struct as_node *loss = loss_of(l, step - 1, term);
        as_backward(l->t, loss, R(1.0));
        double rate = l->o->rate * descend_schedule(step, steps, 0.1);
        descend_step(&d, loss, rate, l->o->decay);
        descend_step(&l->head.d, loss, rate, l->o->decay);
        for (int i = 0; i < 2 && step % every == 0; i++) {
            last[i] = term[i] / every;
            term[i] = 0;
            l->run->curve(l->run->ctx, i ? "sigreg" : "invariance", step, last[i]);
        }
    }
    l->run->record(l->run->ctx, "invariance", last[0]);
    l->run->record(l->run->ctx, "sigreg", last[1]);
}

/* --- afterwards ------------------------------------------------------------------------------------------------- */

static ptrdiff_t count_of(const struct lab *l, enum as_split split)
{
    ptrdiff_t wanted = split == AS_TRAIN ? l->o->train : l->o->test, there = as_data_describe(l->data)->count[split];
    return there && there < wanted ? there : wanted;
}

static ptrdiff_t width_of(const struct lab *l, int what)
{
    return what == PIXELS ? l->pixels : what == ENCODED ? l->o->embedding : l->o->projection;
}

/* The pixels, h or z of the first images of a split (n, width_of()); and their labels. */
static real *features(struct lab *l, enum as_split split, int what)
{
    ptrdiff_t n = count_of(l, split), d = width_of(l, what);
    real *x = as_arena_take(l->a, as_size((size_t)(n * d), sizeof *x));
    bool was = as_tape_record(l->t, false);
    for (ptrdiff_t at = 0, rows; at < n; at += rows) {
        rows = n - at < CHUNK ? n - at : CHUNK;
        as_arena_reset(l->chunk, 0);
        as_tape_reset(l->t);
        const struct as_batch *b = as_batch_fill(l->data, l->chunk, split, (uint64_t)at, rows, NULL);
        struct as_node *h = what == PIXELS ? NULL : embed(l, b, false, (struct as_key){ 0 });
        const real *from = !h ? b->x[0] : what == ENCODED ? h->x : head_run(&l->head, l->t, h)->x;
        memcpy(x + at * d, from, (size_t)(rows * d) * sizeof *x);
        memcpy(l->label[split] + at, b->i[l->target], (size_t)rows * sizeof(int32_t));
    }
    as_tape_record(l->t, was);
    return x;
}

static void probe(struct lab *l, const char *name, int what)
{
    size_t mark = as_arena_mark(l->a);
    const real *x = features(l, AS_TRAIN, what), *test = features(l, AS_TEST, what);
    struct as_probe *p = as_probe_fit(l->a, count_of(l, AS_TRAIN), width_of(l, what), x,
                                      l->label[AS_TRAIN], (int)l->classes,
                                      (struct as_probe_how){ l->o->ridge, l->o->iterations });
    l->run->record(l->run->ctx, name, as_probe_accuracy(p, count_of(l, AS_TEST), test, l->label[AS_TEST]));
    as_arena_reset(l->a, mark);
}

/* From the second moments of z: their singular values are the squares of its own. */
static void spread(struct lab *l)
{
    size_t mark = as_arena_mark(l->a);
    ptrdiff_t n = count_of(l, AS_TEST), d = l->o->projection;
    const real *z = features(l, AS_TEST, PROJECTED);
    double *moment = as_arena_zero(l->a, as_size((size_t)(d * d), sizeof *moment)), variance = 0;
    double *s = as_arena_zero(l->a, as_size((size_t)(2 * d), sizeof *s)), *mean = s + d;
    for (ptrdiff_t r = 0; r < n; r++)
        for (ptrdiff_t i = 0; i < d; i++) {
            mean[i] += (double)z[r * d + i] / (double)n;
            for (ptrdiff_t j = 0; j < d; j++)
                moment[i * d + j] += (double)z[r * d + i] * (double)z[r * d + j] / (double)n;
        }
    for (ptrdiff_t i = 0; i < d; i++)
        variance += fmax(0, moment[i * d + i] - mean[i] * mean[i]) / (double)d;
    if (!as_singular_values(d, d, moment, s))
        as_fail(AS_FAILED, "the second moments of the embeddings have no singular values");
    for (ptrdiff_t i = 0; i < d; i++)
        s[i] = sqrt(s[i]);
    l->run->record(l->run->ctx, "rank", pow((double)d, as_spectral_entropy(d, s)));
    l->run->record(l->run->ctx, "variance", variance);
    as_arena_reset(l->a, mark);
}

static void run(struct as_study_run *r)
{
    struct lab l = { .o = r->opt, .run = r, .a = as_arena_new(), .chunk = as_arena_new(), .t = as_tape_new() };
    struct as_config *cfg = as_config_copy(r->config);
    if (l.o->global > l.o->views || l.o->crop > l.o->cut)
        as_fail(AS_REFUSED, "lejepa: global = %d of views = %d, crop = %g and cut = %g: the first must not be the larger",
                l.o->global, l.o->views, l.o->crop, l.o->cut);
    open_data(&l, cfg);
    struct as_data_shape shape = *as_data_describe(l.data);
    shape.classes = l.o->embedding;
    l.model = as_model_new(cfg, &shape, r->seed);
    as_config_free(cfg);
    l.order = as_arena_take(l.a, as_size((size_t)shape.count[AS_TRAIN] + 1, sizeof *l.order));
    for (int split = 0; split < AS_SPLITS; split++)
        l.label[split] = as_arena_take(l.a, as_size((size_t)count_of(&l, (enum as_split)split), sizeof(int32_t)));
    l.head = head_new(l.a, l.o->embedding, l.o->hidden, l.o->projection, key_of(&l, KEY_HEAD, 0));
    probe(&l, "raw", PIXELS);
    probe(&l, "random", ENCODED);
    train(&l);
    probe(&l, "probe", ENCODED);
    spread(&l);
    as_model_free(l.model);
    as_data_close(l.data);
    as_tape_free(l.t);
    as_arena_free(l.chunk);
    as_arena_free(l.a);
}

static const char *const sample[] = { "data.source", "parity-vector", "data.bits", "9", "data.nonzero", "1..9", "model",
                                      "perceptron", "width", "8", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "an encoder trained on views of images alone, its embeddings kept Gaussian, and a linear probe of them",
    .options = options, .opt_size = sizeof(struct opt), .metrics = metrics, .run = run,
    .sample = sample,
};

const struct as_plugin AS_PLUGIN(study__lejepa) = { .abi = ASSAY_ABI, .study = &study };

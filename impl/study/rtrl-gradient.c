/* rtrl-gradient.c: is the gradient that real-time recurrent learning carries along that of back-propagation through
 * time, and what do the two hold in memory? In double.
 *
 * Irie et al. 2023, section 3.2: for one layer with an element-wise recurrence the carried sensitivities give the
 * gradient of the whole past; with a second layer above they do not, because the upper layer hands down the gradient of
 * its own step only. One model, one batch, several ways to the gradient g, all from the same weights:
 *
 *   bptt       the whole sequence, once forward and once back
 *   rtrl       step by step, forward only (rule.window = 1, mixer.sensitivities = on)
 *   whole      piece by piece with one piece: the stream's own graph against the sequence's
 *   truncated  pieces of `window` steps without sensitivities
 *
 * Errors of exact ways are the largest of |g_i - b_i| / (|b_i| + 1e-6 max |b|), those of the others |g - b| / |b|.
 * Bytes are what tape and states hold at most on the way, without the data; [vary] study.delay shows how they grow.
 */
#include <assay/study.h>

#include <assay/error.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct opt { int delay, batch, window; };

static const struct as_option options[] = {
    { .key = "delay", .type = AS_INT, .offset = offsetof(struct opt, delay), .def = 50, .min = 0, .max = 1000,
      .sweep = "25,50,100,200", .help = "data.delay" },
    { .key = "batch", .type = AS_INT, .offset = offsetof(struct opt, batch), .def = 4, .min = 1, .max = 256,
      .help = "sequences" },
    { .key = "window", .type = AS_INT, .offset = offsetof(struct opt, window), .def = 10, .min = 1, .max = 1000,
      .sweep = "10", .help = "steps of a piece of truncated back-propagation" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "rtrl_error", "log", "one layer: rtrl against bptt, largest relative difference" },
    { "whole_error", "log", "one layer: one piece as long as the sequence against bptt, largest relative difference" },
    { "truncated_error", "raw", "one layer: truncated against bptt, |g - b| / |b|" },
    { "two_layer_error", "raw", "two layers: rtrl against bptt, |g - b| / |b|" },
    { "rtrl_bytes", "log", "one layer: most bytes that tape and states held, rtrl" },
    { "bptt_bytes", "log", "one layer: most bytes that the tape held, bptt" },
    { 0 }
};

static const char *const sample[] = {
    "data.source", "delayed-recall", "model", "classifier", "block", "plain", "mixer", "elstm",
    "mixer.forget_bias", "3", "mixer.hidden", "6", "width", "5", "depth", "1", "final_norm", "off", "embedding", "fixed", "rule", "online", NULL
};

/* Which way, on which model. window 0: back-propagation through the whole sequence. */
struct way { int depth, delay, window; bool sensitivities; };
struct found { double *g; ptrdiff_t n; double bytes; };

static void set(struct as_config *cfg, const char *key, int value)
{
    char text[16];

    snprintf(text, sizeof text, "%d", value);
    as_config_set(cfg, key, text, true);
}

static void walk(struct as_pass *pass, int window)
{
    if (window == 0)
        as_pass_backprop(pass);
    for (ptrdiff_t from = 0; window > 0 && from < pass->batch->time; from += window)
        as_pass_window(pass, from, window);
}

/* The gradient of the first batch at the initial weights, in `kept`. */
static struct found measure(const struct as_study_run *run, struct as_arena *kept, struct way w)
{
    const struct opt *o = run->opt;
    struct as_config *cfg = as_config_copy(run->config);
    struct as_arena *a = as_arena_new();
    struct found f = { 0 };

    set(cfg, "depth", w.depth);
    set(cfg, "data.delay", w.delay);
    as_config_set(cfg, "mixer.sensitivities", w.sensitivities ? "on" : "off", true);
    as_config_set(cfg, "train.select", "last", true);
    struct as_data *data = as_data_open(cfg, run->seed, NULL);
    struct as_model *m = as_model_new(cfg, as_data_describe(data), run->seed);
    struct as_trainer *tr = as_trainer_new(cfg, m, data, NULL, run->seed);
    struct as_weights store = as_model_store(m);
    struct as_pass pass = { .model = m, .batch = as_batch_fill(data, a, AS_TRAIN, 0, o->batch, NULL), .trainer = tr };

    memset(store.dw, 0, (size_t)store.n * sizeof *store.dw);
    walk(&pass, w.window);
    f.n = store.n;
    f.bytes = (double)pass.bytes;
    f.g = as_arena_take(kept, as_size((size_t)store.n, sizeof *f.g));
    for (ptrdiff_t i = 0; i < f.n; i++)
        f.g[i] = (double)store.dw[i];
    as_trainer_free(tr);
    as_model_free(m);
    as_data_close(data);
    as_arena_free(a);
    as_config_free(cfg);
    return f;
}

static double largest(const struct found *f, const struct found *b)
{
    double worst = 0, size = 0;

    for (ptrdiff_t i = 0; i < b->n; i++)
        size = fmax(size, fabs(b->g[i]));
    for (ptrdiff_t i = 0; i < b->n; i++)
        worst = fmax(worst, fabs(f->g[i] - b->g[i]) / (fabs(b->g[i]) + 1e-6 * size));
    return worst;
}

static double apart(const struct found *f, const struct found *b)
{
    double off = 0, size = 0;

    for (ptrdiff_t i = 0; i < b->n; i++) {
        off += (f->g[i] - b->g[i]) * (f->g[i] - b->g[i]);
        size += b->g[i] * b->g[i];
    }
    return sqrt(off / size);
}

static void run(struct as_study_run *run)
{
    const struct opt *o = run->opt;
    struct as_arena *kept = as_arena_new();
    struct found bptt = measure(run, kept, (struct way){ 1, o->delay, 0, false });
    struct found rtrl = measure(run, kept, (struct way){ 1, o->delay, 1, true });
    struct found whole = measure(run, kept, (struct way){ 1, o->delay, 1 << 20, false });
    struct found cut = measure(run, kept, (struct way){ 1, o->delay, o->window, false });
    struct found bptt2 = measure(run, kept, (struct way){ 2, o->delay, 0, false });
    struct found rtrl2 = measure(run, kept, (struct way){ 2, o->delay, 1, true });

    /* A difference of exactly zero is that of a double, for scales that are logarithms. */
    run->record(run->ctx, "rtrl_error", fmax(largest(&rtrl, &bptt), 1e-16));
    run->record(run->ctx, "whole_error", fmax(largest(&whole, &bptt), 1e-16));
    run->record(run->ctx, "truncated_error", apart(&cut, &bptt));
    run->record(run->ctx, "two_layer_error", apart(&rtrl2, &bptt2));
    run->record(run->ctx, "rtrl_bytes", rtrl.bytes);
    run->record(run->ctx, "bptt_bytes", bptt.bytes);
    as_arena_free(kept);
}

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "gradient and memory of real-time recurrent learning against back-propagation through time",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics, .sample = sample, .in_double = true,
    .run = run,
};

const struct as_plugin AS_PLUGIN(study__rtrl_gradient) = { .abi = ASSAY_ABI, .study = &study };

/* blockwise-decoding.c: how many tokens of a block does the model itself confirm, when further heads guess ahead?
 *
 * Stern, Shazeer and Uszkoreit 2018, "Blockwise parallel decoding for deep autoregressive models". A base model learns
 * to predict the next token ([train]). Then, for k = 1, 2, 4 and 8, a model with k heads (model/blockwise) starts from
 * the base's weights and learns for `steps` more, with the rule, rate and schedule of [train] begun afresh, on
 * `prompts` examples (objective heads: the cross-entropies of p_1..p_k), with the trunk
 *     trunk = frozen     as the base left it (the paper's "regular"), or
 *     trunk = tuned      learning, too ("fine tuning"), on
 *     data = original    the examples as they are, or
 *     data = distilled   their prompts, answered by the base model's greedy decoding ("distillation").
 * Measured on test prompts, by core's decoder: the mean accepted block (tokens over blocks), calls of the model per
 * token, the share of answers that are right (the source's own answer() judges, so any right answer counts), and in how
 * many tokens decoding by blocks differs from greedy decoding by the same p_1; with k = 8 also the paper's section 5: a
 * block's tokens accepted when among the `top` best of p_1, and blocks of at least `least` tokens.
 * Departs: distilled by the base itself, greedily (the paper: by a run of another seed, beam search of 4); no cache of
 * keys and values, so that calls are counted, not seconds.
 */
#include <assay/decode.h>
#include <assay/study.h>
#include <string.h>

enum { FROZEN, TUNED };
enum { ORIGINAL, DISTILLED };
enum { X, TARGET, FIELDS };
enum { BATCH = 128, SIZES = 4 };

static const int size[SIZES] = { 1, 2, 4, 8 };

struct opt { int trunk, data, steps, prompts, examples, top, least; };

static const struct as_option options[] = {
    { "trunk", AS_WORD, offsetof(struct opt, trunk), FROZEN, 0, 0, "frozen|tuned", "frozen,tuned", "what learns" },
    { "data", AS_WORD, offsetof(struct opt, data), ORIGINAL, 0, 0, "original|distilled", "original,distilled",
      "what the heads learn from" },
    { "steps", AS_INT, offsetof(struct opt, steps), 20, 1, 100000000, NULL, NULL, "of a model with heads" },
    { "prompts", AS_INT, offsetof(struct opt, prompts), 64, 1, 10000000, NULL, NULL, "examples they learn from" },
    { "examples", AS_INT, offsetof(struct opt, examples), 20, 1, 10000000, NULL, NULL, "test prompts decoded" },
    { "top", AS_INT, offsetof(struct opt, top), 2, 1, 1000000, NULL, "2,3", "best of p_1 that block_top accepts" },
    { "least", AS_INT, offsetof(struct opt, least), 2, 1, 8, NULL, "2,3", "l: tokens that block_least accepts" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "block", "raw", "mean accepted block with 8 heads; as a curve, by heads" },
    { "block_4", "raw", "the same with 4 heads" },
    { "block_2", "raw", "the same with 2 heads" },
    { "block_top", "raw", "with 8 heads, tokens accepted among the `top` best" },
    { "block_least", "raw", "with 8 heads, blocks of at least `least` tokens" },
    { "calls", "raw", "calls of the model per token with 8 heads; as a curve, by heads" },
    { "calls_4", "raw", "the same with 4 heads" },
    { "exact", "raw", "share of right answers with 8 heads; as a curve, by heads" },
    { "exact_4", "raw", "the same with 4 heads" },
    { "exact_1", "raw", "the same with one: greedy decoding, after as many steps" },
    { "exact_top", "raw", "with 8 heads, tokens accepted among the `top` best" },
    { "exact_least", "raw", "with 8 heads, blocks of at least `least` tokens" },
    { "base", "raw", "share of right answers of the base model, decoded greedily" },
    { "different", "raw", "tokens in which decoding by blocks differs from greedy decoding, all heads together" },
    { 0 }
};

struct work {
    const struct opt *o;
    struct as_study_run *run;
    struct as_config *cfg;
    struct as_arena *a;
    struct as_data *data;
    struct as_stored stored;         /* what the heads learn from */
    struct as_batch *test;           /* prompts */
    struct as_model *base;
    const struct as_source *source;  /* judges answers */
    void *source_opt;
    ptrdiff_t most;                  /* tokens of the longest answer among the examples that the heads learn from */
    int32_t stop;                    /* what ends an answer */
};

struct tally { double tokens, steps, calls, right, prompts, different; };

static void *room(struct work *w, ptrdiff_t n, size_t bytes) { return as_arena_zero(w->a, as_size((size_t)n, bytes)); }
static void set(struct as_config *cfg, const char *key, const char *text) { as_config_set(cfg, key, text, true); }

static void open_data(struct work *w)
{
    w->data = as_data_open(w->cfg, w->run->seed, w->run->stored);
    const struct as_data_shape *s = as_data_describe(w->data);
    const struct as_entry *e = as_registry_find("source", as_config_get(w->cfg, "data.source"), NULL);
    if (!e || !e->plugin->source->answer || s->n_fields != FIELDS || strcmp(s->field[TARGET].name, "target") != 0 ||
        !s->field[X].integer || !s->per_step)
        as_fail(AS_REFUSED, "blockwise-decoding: data.source must be generated, with tokens x and target at every step "
                            "and nothing else, for its answer() judges what is decoded: digit-string is");
    w->source = e->plugin->source;
    w->source_opt = room(w, 1, w->source->opt_size + 1);
    const char *why = as_options_read(w->source->options, w->source_opt, w->source->opt_size, w->cfg, "data");
    if (why)
        as_fail(AS_REFUSED, "%s", why);
}

/* --- models --------------------------------------------------------------------------------------------------- */

/* k = 0: the base. Else a model with k heads that starts from the base's trunk. */
static struct as_model *train(struct work *w, int k)
{
    struct as_config *cfg = as_config_copy(w->cfg);
    bool frozen = k && w->o->trunk == FROZEN;
    struct as_weights trunk = { 0 }, all;
    struct as_data *from = w->data;
    set(cfg, "model", "blockwise");
    set(cfg, "heads", as_say("%d", k ? k : 1));
    set(cfg, "trunk", frozen ? "frozen" : "tuned");
    set(cfg, k ? "objective" : "first", k ? "0*ce + heads" : "identity");
    if (k) {
        set(cfg, "train.steps", as_say("%d", w->o->steps));
        set(cfg, "train.eval_every", as_say("%d", w->o->steps));
        set(cfg, "train.select", "last");
    }
    struct as_model *m = as_model_new(cfg, as_data_describe(w->data), w->run->seed);
    all = as_model_store(m);
    if (k) {
        trunk = as_model_store(w->base);
        if (as_model_weight(m, "b_head").w - all.w != as_model_weight(w->base, "b_head").w - trunk.w)
            as_fail(AS_FAILED, "the trunk of the model with heads is laid out unlike the base");
        memcpy(all.w, trunk.w, (size_t)trunk.n * sizeof *all.w);
        from = as_data_open(cfg, w->run->seed, &w->stored);
    }
    struct as_trainer *trainer = as_trainer_new(cfg, m, from, k ? NULL : w->data, w->run->seed);
    as_trainer_run(trainer, NULL, NULL);
    as_trainer_select(trainer);
    as_trainer_free(trainer);
    if (frozen && memcmp(all.w, trunk.w, (size_t)trunk.n * sizeof *all.w) != 0)
        as_fail(AS_REFUSED, "the frozen trunk moved without a gradient: set train.decay = 0, or a rule that leaves "
                            "such weights alone");
    if (k)
        as_data_close(from);
    as_config_free(cfg);
    return m;
}

/* --- what the heads learn from -------------------------------------------------------------------------------- */

static struct as_decoding blocks_of(const struct work *w, int k)
{
    return (struct as_decoding){ .most = w->most, .stop = w->stop, .block = k, .top = 1, .least = 1 };
}

/* Rows from `first` on, as many as are decoded together. */
static struct as_batch part(const struct as_batch *b, ptrdiff_t first)
{
    struct as_batch some = *b;
    some.batch = b->batch - first < BATCH ? b->batch - first : BATCH;
    some.length += first;
    for (int f = 0; f < FIELDS; f++)
        some.i[f] += first * b->time;
    return some;
}

/* How long answers are, and how they end. */
static void survey(struct work *w, const struct as_batch *b, const struct as_batch *prompt)
{
    w->stop = b->i[TARGET][b->length[0] - 1];
    for (ptrdiff_t r = 0; r < b->batch; r++) {
        ptrdiff_t n = b->length[r] - prompt->length[r] + 1;
        w->most = n > w->most ? n : w->most;
        if (b->i[TARGET][r * b->time + b->length[r] - 1] != w->stop)
            as_fail(AS_REFUSED, "blockwise-decoding: the answers of this data do not all end in one token");
    }
}

/* The same prompts either way, with their own answers or the base's. */
static void make_examples(struct work *w)
{
    struct as_batch *b = as_batch_fill(w->data, w->a, AS_TRAIN, 0, w->o->prompts, NULL), prompt = *b, some = *b;
    struct as_stored *s = &w->stored;
    struct as_decoded d = { 0 };
    prompt.length = room(w, b->batch, sizeof *prompt.length);
    memcpy(prompt.length, b->length, (size_t)b->batch * sizeof *prompt.length);
    as_decode_prompts(&prompt);
    survey(w, b, &prompt);
    s->shape = *as_data_describe(w->data);
    s->shape.count[AS_TRAIN] = b->batch;
    s->offset[AS_TRAIN] = room(w, b->batch + 1, sizeof *s->offset[0]);
    for (int f = 0; f < FIELDS; f++)
        s->i[AS_TRAIN][f] = room(w, b->batch * (b->time + w->most), sizeof(int32_t));
    for (ptrdiff_t r = 0, at = 0; r < b->batch; s->offset[AS_TRAIN][++r] = at) {
        int32_t *x = s->i[AS_TRAIN][X] + at, *target = s->i[AS_TRAIN][TARGET] + at;
        if (r % BATCH == 0 && w->o->data == DISTILLED) {
            some = part(&prompt, r);
            d = as_decode(w->base, w->a, &some, blocks_of(w, 1));
        }
        if (w->o->data == DISTILLED)
            at += as_decode_join(&some, &d, r % BATCH, x, target);
        else {
            memcpy(x, b->i[X] + r * b->time, (size_t)b->length[r] * sizeof *x);
            memcpy(target, b->i[TARGET] + r * b->time, (size_t)b->length[r] * sizeof *target);
            at += b->length[r];
        }
    }
}

/* --- measuring ------------------------------------------------------------------------------------------------ */

static bool is_right(struct work *w, const struct as_batch *prompt, ptrdiff_t r, const struct as_decoded *d)
{
    ptrdiff_t n = prompt->length[r] + d->most;
    struct as_example e = { .i = { room(w, n, sizeof(int32_t)), room(w, n, sizeof(int32_t)) } };
    e.length = as_decode_join(prompt, d, r, e.i[X], e.i[TARGET]);
    return w->source->answer(w->source_opt, &e) == NULL;
}

/* Decodes all test prompts; greedy: and once more greedily, for the tokens that differ. */
static struct tally decode(struct work *w, struct as_model *m, struct as_decoding how, bool greedy)
{
    struct tally t = { .prompts = w->o->examples };
    for (ptrdiff_t first = 0; first < w->o->examples; first += BATCH) {
        size_t mark = as_arena_mark(w->a);
        struct as_batch b = part(w->test, first);
        struct as_decoded d = as_decode(m, w->a, &b, how), g = greedy ? as_decode(m, w->a, &b, blocks_of(w, 1)) : d;
        for (ptrdiff_t i = 0; i < b.batch * d.most; i++)
            t.different += d.token[i] != g.token[i];
        for (ptrdiff_t r = 0; r < b.batch; r++) {
            t.tokens += d.made[r];
            t.steps += d.steps[r];
            t.calls += d.calls[r];
            t.right += is_right(w, &b, r, &d);
        }
        as_arena_reset(w->a, mark);
    }
    return t;
}

static double block(struct tally t) { return t.tokens / t.steps; }
static double calls(struct tally t) { return t.calls / t.tokens; }
static double exact(struct tally t) { return t.right / t.prompts; }

static void record_all(struct as_study_run *r, const struct tally *t, struct tally top, struct tally least)
{
    static const char *const names[SIZES][3] = { { NULL, NULL, "exact_1" }, { "block_2", NULL, NULL },
                                                 { "block_4", "calls_4", "exact_4" }, { "block", "calls", "exact" } };
    static const char *const curve[3] = { "block", "calls", "exact" };
    double different = 0;
    for (int i = 0; i < SIZES; i++) {
        double value[3] = { block(t[i]), calls(t[i]), exact(t[i]) };
        for (int j = 0; j < 3; j++) {
            r->curve(r->ctx, curve[j], size[i], value[j]);
            if (names[i][j])
                r->record(r->ctx, names[i][j], value[j]);
        }
        different += t[i].different;
    }
    r->record(r->ctx, "different", different);
    r->record(r->ctx, "block_top", block(top));
    r->record(r->ctx, "exact_top", exact(top));
    r->record(r->ctx, "block_least", block(least));
    r->record(r->ctx, "exact_least", exact(least));
}

static void run(struct as_study_run *r)
{
    struct work w = { .o = r->opt, .run = r, .cfg = as_config_copy(r->config), .a = as_arena_new() };
    struct tally t[SIZES], top = { 0 }, least = { 0 };
    open_data(&w);
    w.test = as_batch_fill(w.data, w.a, AS_TEST, 0, w.o->examples, NULL);
    as_decode_prompts(w.test);
    w.base = train(&w, 0);
    make_examples(&w);
    r->record(r->ctx, "base", exact(decode(&w, w.base, blocks_of(&w, 1), false)));
    for (int i = 0; i < SIZES; i++) {
        struct as_model *m = train(&w, size[i]);
        struct as_decoding how = blocks_of(&w, size[i]);
        t[i] = decode(&w, m, how, true);
        if (i == SIZES - 1) {
            how.top = w.o->top;
            top = decode(&w, m, how, false);
            how.top = 1;
            how.least = w.o->least;
            least = decode(&w, m, how, false);
        }
        as_model_free(m);
    }
    record_all(r, t, top, least);
    as_model_free(w.base);
    as_data_close(w.data);
    as_config_free(w.cfg);
    as_arena_free(w.a);
}

static const char *const sample[] = { "data.source", "digit-string", "data.digits", "2..3", "model", "blockwise",
                                      "mixer", "softmax", "mixer.heads", "2", "width", "8", "train.steps", "20",
                                      "train.select", "last", NULL };

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "decoding in blocks: tokens that further heads guess ahead and the model itself confirms",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run,
    .sample = sample,
    .axes = (const char *const[]){ "block", "heads", "calls", "heads", "exact", "heads", NULL },
};

const struct as_plugin AS_PLUGIN(study__blockwise_decoding) = { .abi = ASSAY_ABI, .study = &study };

/* parity: is the number of ones so far odd?
 *
 * The smallest regular language that a linear recurrence with eigenvalues in [0, 1] cannot track (Grazzi et al.
 * 2025, "Unlocking state-tracking in linear RNNs through negative eigenvalues", theorem 1; Hahn 2020 for attention):
 *     x_t in {0, 1} independent and fair,   y_t = (x_1 + ... + x_t) mod 2.
 * `labels = every` asks for y_t at each step, `last` for y_T only (weight 0 elsewhere). Lengths count the bits; the
 * authors' count one more, the token of the answer. Train and test may share short sequences: there are only 2^T.
 */
#include <assay/registry.h>
#include <assay/source.h>

struct options { struct as_range length; int labels; };
enum { EVERY, LAST };
enum { X, TARGET, WEIGHT };

static const struct as_option options[] = {
    { .key = "length", .type = AS_RANGE, .offset = offsetof(struct options, length), .words = "3..40", .min = 1,
      .max = 1 << 20, .help = "bits per sequence, drawn uniformly" },
    { .key = "labels", .type = AS_WORD, .offset = offsetof(struct options, labels), .words = "every|last",
      .def = EVERY, .sweep = "every,last", .help = "where the parity is asked for" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME }, .vocab = 2 };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->field[WEIGHT] = (struct as_data_field){ .name = "weight", .rank = 1, .dim = { AS_TIME } };
    s->n_fields = o->labels == LAST ? 3 : 2;
    s->max_length = o->length.hi;
    s->classes = 2;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);
    uint32_t word[4];
    int32_t odd = 0;
    (void)split;            /* the key's role keeps the splits apart */
    e->length = as_range_draw(o->length, own, 0);
    for (ptrdiff_t t = 0; t < e->length; t++) {
        if (t % 128 == 0)   /* one counter value gives 128 bits; counter 0 drew the length */
            as_philox(own, 1 + (uint64_t)t / 128, word);
        int32_t bit = (int32_t)(word[t % 128 / 32] >> (t % 32) & 1);
        odd ^= bit;
        e->i[X][t] = bit;
        e->i[TARGET][t] = odd;
    }
    if (o->labels == EVERY)
        return;
    for (ptrdiff_t t = 0; t < e->length; t++) {
        e->x[WEIGHT][t] = t == e->length - 1;
        if (t < e->length - 1)
            e->i[TARGET][t] = -1;
    }
}

/* Counts the ones of each prefix from its start, instead of carrying one bit along. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    ptrdiff_t ones = 0;
    for (ptrdiff_t t = 0; t < e->length; t++) {
        bool asked = o->labels == EVERY || t == e->length - 1;
        if (e->i[X][t] != 0 && e->i[X][t] != 1)
            return as_say("parity: step %td holds %d, not a bit", t, (int)e->i[X][t]);
        ones += e->i[X][t] == 1;
        if (e->i[TARGET][t] != (asked ? (int32_t)(ones % 2) : -1))
            return as_say("parity: %td ones up to step %td, but the target is %d", ones, t, (int)e->i[TARGET][t]);
        if (o->labels == LAST && (e->x[WEIGHT][t] > 0) != asked)
            return as_say("parity: the weight at step %td is wrong", t);
    }
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "parity of a growing string of fair bits",
    .origin = "Grazzi et al. 2025, https://arxiv.org/abs/2411.12537",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__parity) = { .abi = ASSAY_ABI, .source = &source };

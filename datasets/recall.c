/* recall: multi-query associative recall (MQAR): pairs of key and value, then each key again, once: which value?
 *
 * Arora et al. 2024, "Zoology", https://arxiv.org/abs/2312.04927, section 3 and appendix. With P pairs and length T:
 *     k_1 v_1 ... k_P v_P | slots of two tokens: a query key at the first, the second free
 * keys are distinct, from 1..V/2-1, values distinct, from V/2..V-1. Query p stands in slot g_p of the (T - 2P)/2 that
 * follow; slots are drawn without replacement with probability proportional to g^(a-1), g = 1, 2, ... (gaps follow a
 * power law; a = 0.01 in the paper, 1 is uniform). The answer v_p is asked for at the query's own step: the model
 * predicts what would come next. All other steps have weight 0. What is free holds 0, or with `random_non_queries` any
 * token of the vocabulary, keys included: the authors' experiments do that. Example, V = 12, P = 2, T = 16, zeros:
 *     x        2 8 4 7   0 0 4 0 0 0 0 0 2 0 0 0
 *     target   . . . .   . . 7 . . . . . 8 . . .
 * Departs: `pairs` may be a range, one number drawn per sequence (the authors mix data sets of one number each);
 * `length = 0` gives each sequence the shortest one that holds its pairs, 4P.
 */
#include <assay/registry.h>
#include <assay/source.h>
#include <math.h>

#define MAX_LENGTH 8192
#define MAX_VOCABULARY 65536

struct options { struct as_range pairs; int length, vocabulary, random_non_queries; double a; };
enum { X, TARGET, WEIGHT };
enum { DRAW_PAIRS, DRAW_KEYS, DRAW_VALUES, DRAW_SLOTS, DRAW_FILLER };   /* sub-streams of one example */

static const struct as_option options[] = {
    { .key = "pairs", .type = AS_RANGE, .offset = offsetof(struct options, pairs), .words = "4..8", .min = 1,
      .max = MAX_LENGTH / 4, .help = "pairs P of key and value per sequence, drawn uniformly" },
    { .key = "length", .type = AS_INT, .offset = offsetof(struct options, length), .def = 64, .max = MAX_LENGTH,
      .sweep = "64,128,256", .help = "tokens T per sequence, even, at least 4P; 0: 4P of each sequence" },
    { .key = "vocabulary", .type = AS_INT, .offset = offsetof(struct options, vocabulary), .def = 8192, .min = 8,
      .max = MAX_VOCABULARY, .sweep = "256,1024,8192", .help = "tokens V: half keys, half values" },
    { .key = "a", .type = AS_NUM, .offset = offsetof(struct options, a), .def = 0.01, .min = 1e-3, .max = 1,
      .sweep = "0.01,1", .help = "power a of the gaps between pair and query; 1 is uniform" },
    { .key = "random_non_queries", .type = AS_BOOL, .offset = offsetof(struct options, random_non_queries), .def = 1,
      .sweep = "0,1", .help = "random tokens instead of zeros between the queries" },
    { 0 }
};

static const char *check(const void *opt)
{
    const struct options *o = opt;
    if (o->length % 2 != 0)
        return as_say("recall: length is %d, but must be even", o->length);
    if (o->length != 0 && o->length < 4 * o->pairs.hi)
        return as_say("recall: %d pairs with their queries need a length of %d or more, not %d", o->pairs.hi,
                      4 * o->pairs.hi, o->length);
    if (o->vocabulary / 2 - 1 < o->pairs.hi)
        return as_say("recall: a vocabulary of %d has %d keys, too few for %d pairs", o->vocabulary,
                      o->vocabulary / 2 - 1, o->pairs.hi);
    return NULL;
}

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = o->vocabulary };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->field[WEIGHT] = (struct as_data_field){ .name = "weight", .rank = 1, .dim = { AS_TIME } };
    s->n_fields = 3;
    s->max_length = o->length ? o->length : 4 * o->pairs.hi;
    s->classes = o->vocabulary;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* n distinct numbers of first..first+range-1 in the order drawn, every `stride`-th place of out: drawn again when
 * taken, which is the same as drawing from those that are left. */
static void distinct(struct as_key key, int n, int first, int range, int32_t *out, int stride)
{
    uint64_t taken[MAX_VOCABULARY / 64] = { 0 }, draw = 0;
    for (int i = 0; i < n; draw++) {
        uint32_t k = as_below(key, draw, (uint32_t)range);
        if (taken[k / 64] >> (k % 64) & 1)
            continue;
        taken[k / 64] |= (uint64_t)1 << (k % 64);
        out[stride * i++] = first + (int32_t)k;
    }
}

struct runner { double time; int slot; };

static void sift(struct runner *heap, int n, int i)
{
    for (int child; (child = 2 * i + 1) < n; i = child) {
        child += child + 1 < n && heap[child + 1].time < heap[child].time;
        if (heap[i].time <= heap[child].time)
            return;
        struct runner swap = heap[i]; heap[i] = heap[child]; heap[child] = swap;
    }
}

/* Which slots the P queries take, in order: weighted drawing without replacement as a race, in which slot g arrives
 * after an exponential time of rate g^(a-1). */
static void draw_slots(struct as_key key, int pairs, int space, double a, struct runner *heap, int *slot)
{
    for (int g = 0; g < space; g++)
        heap[g] = (struct runner){ -log((double)as_uniform(key, (uint64_t)g)) * pow(g + 1, 1 - a), g };
    for (int i = space / 2 - 1; i >= 0; i--)
        sift(heap, space, i);
    for (int p = 0; p < pairs; p++) {
        slot[p] = heap[0].slot;
        heap[0] = heap[--space];
        sift(heap, space, 0);
    }
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), filler = as_subkey(own, DRAW_FILLER);
    struct runner heap[MAX_LENGTH / 2];
    int slot[MAX_LENGTH / 4], pairs = as_range_draw(o->pairs, own, DRAW_PAIRS);
    int length = o->length ? o->length : 4 * pairs, half = o->vocabulary / 2;
    int32_t *x = e->i[X], *target = e->i[TARGET];
    (void)split;            /* the key's role keeps the splits apart */
    e->length = length;
    distinct(as_subkey(own, DRAW_KEYS), pairs, 1, half - 1, x, 2);
    distinct(as_subkey(own, DRAW_VALUES), pairs, half, o->vocabulary - half, x + 1, 2);
    draw_slots(as_subkey(own, DRAW_SLOTS), pairs, length / 2 - pairs, o->a, heap, slot);
    for (int t = 0; t < length; t++) {
        target[t] = -1;
        e->x[WEIGHT][t] = 0;
        if (t >= 2 * pairs)
            x[t] = o->random_non_queries ? (int32_t)as_below(filler, (uint64_t)t, (uint32_t)o->vocabulary) : 0;
    }
    for (int p = 0; p < pairs; p++) {
        int t = 2 * (pairs + slot[p]);
        x[t] = x[2 * p];
        target[t] = x[2 * p + 1];
        e->x[WEIGHT][t] = 1;
    }
}

/* Reads the sequence as a model would: a dictionary of the pairs, then each asked step is looked up, and each key
 * must be asked for once. With zeros between the queries, where they stand is recomputed too. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    const int32_t *x = e->i[X];
    int32_t value[MAX_VOCABULARY / 2] = { 0 };
    int pairs = 0, half = o->vocabulary / 2;
    for (ptrdiff_t t = 0; t < e->length; t++)
        pairs += e->x[WEIGHT][t] > 0;
    if (pairs < o->pairs.lo || pairs > o->pairs.hi || 4 * pairs > e->length)
        return as_say("recall: %d steps are asked for, outside of the pairs %d..%d", pairs, o->pairs.lo, o->pairs.hi);
    for (int p = 0; p < pairs; p++) {
        int32_t k = x[2 * p], v = x[2 * p + 1];
        if (k < 1 || k >= half || v < half || v >= o->vocabulary || value[k])
            return as_say("recall: pair %d is %d %d, not a new key and a value", p, (int)k, (int)v);
        value[k] = v;
    }
    for (ptrdiff_t t = 0; t < e->length; t++) {
        bool asked = e->x[WEIGHT][t] > 0, slot = t >= 2 * pairs && t % 2 == 0;
        if (!o->random_non_queries && t >= 2 * pairs && asked != (slot && x[t] != 0))
            return as_say("recall: step %td holds %d, and its weight says otherwise", t, (int)x[t]);
        if (asked && !(slot && x[t] > 0 && x[t] < half && value[x[t]]))
            return as_say("recall: step %td asks for %d, which is no key of a pair not yet asked for", t, (int)x[t]);
        if (e->i[TARGET][t] != (asked ? value[x[t]] : -1))
            return as_say("recall: key %d goes with %d, but the target at step %td is %d", (int)x[t],
                          asked ? (int)value[x[t]] : -1, t, (int)e->i[TARGET][t]);
        if (asked)
            value[x[t]] = 0;
    }
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "multi-query associative recall: pairs of key and value, then the keys again",
    .origin = "Arora et al. 2024, https://arxiv.org/abs/2312.04927",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__recall) = { .abi = ASSAY_ABI, .source = &source };

/* modular-addition: (a, b, "=") -> (a + b) mod p, over all p^2 pairs, split once and for ever.
 *
 * The task of grokking (Power et al. 2022, https://arxiv.org/abs/2201.02177; Nanda et al. 2023 with p = 113 and 30 %
 * for training). The pairs are put in an order that depends on `split` alone, never on the seed: the first `fraction`
 * are for training, half of the rest for validation, the other half for the test, so no pair is in two of them.
 * Training goes through its pairs in epochs, each in an order of its own; so do the other splits, and their first
 * n examples are each pair once. Departs: the paper has five tokens (a o b = c), we have (a, b, =).
 */
#include <assay/registry.h>
#include <assay/source.h>

struct options { int p, split; double fraction; };
enum { X, TARGET };

static const struct as_option options[] = {
    { .key = "p", .type = AS_INT, .offset = offsetof(struct options, p), .def = 97, .min = 2, .max = 10007,
      .sweep = "59,97,113", .help = "modulus p: tokens 0..p-1" },
    { .key = "fraction", .type = AS_NUM, .offset = offsetof(struct options, fraction), .def = 0.5, .min = 0.001,
      .max = 0.999, .sweep = "0.3,0.5,0.8", .help = "share of the p^2 pairs that is for training" },
    { .key = "split", .type = AS_INT, .offset = offsetof(struct options, split), .def = 0, .min = 0, .max = 1 << 20,
      .help = "number of the frozen split" },
    { 0 }
};

/* First position and number of the pairs of a split. */
static void part(const struct options *o, enum as_split split, uint64_t *first, uint64_t *count)
{
    uint64_t all = (uint64_t)o->p * (uint64_t)o->p;
    uint64_t train = (uint64_t)(o->fraction * (double)all + 0.5), valid = (all - train) / 2;
    *first = split == AS_TRAIN ? 0 : split == AS_VALID ? train : train + valid;
    *count = split == AS_TRAIN ? train : split == AS_VALID ? valid : all - train - valid;
}

static const char *check(const void *opt)
{
    const struct options *o = opt;
    static const char *const name[] = { "train", "valid", "test" };
    for (int s = 0; s < AS_SPLITS; s++) {
        uint64_t first, count;
        part(o, (enum as_split)s, &first, &count);
        if (count == 0)
            return as_say("modular-addition: with p = %d and fraction = %g nothing is left for %s; change fraction",
                          o->p, o->fraction, name[s]);
    }
    return NULL;
}

/* Where number i of 0..n-1 goes in a permutation drawn by key: four Feistel rounds on the next even number of bits,
 * again until the result is below n. No table, so that example() stays a pure function of small cost. */
static uint64_t permuted(struct as_key key, uint64_t i, uint64_t n)
{
    unsigned half = 1;
    while (half < 31 && (uint64_t)1 << (2 * half) < n)
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = i >> half, right = i & mask;
        for (uint64_t round = 0; round < 4; round++) {
            uint64_t mixed = left ^ (as_bits(key, round << 32 | right) & mask);
            left = right;
            right = mixed;
        }
        i = left << half | right;
    } while (i >= n);
    return i;
}

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = o->p + 1 };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 0, .vocab = o->p };
    s->n_fields = 2;
    s->max_length = 3;
    s->classes = o->p;
    s->per_step = false;
    s->metric = "accuracy";
    s->objective = "ce";
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    uint64_t p = (uint64_t)o->p, first, count;
    part(o, split, &first, &count);
    struct as_key frozen = { .seed = (uint64_t)o->split, .role = AS_ROLE_SPLIT, .stream = as_hash("modular-addition") };
    uint64_t place = first + permuted(as_subkey(key, index / count), index % count, count);
    uint64_t pair = permuted(frozen, place, p * p);
    uint64_t a = pair / p, b = pair % p;
    e->length = 3;
    e->i[X][0] = (int32_t)a;
    e->i[X][1] = (int32_t)b;
    e->i[X][2] = o->p;
    e->i[TARGET][0] = (int32_t)((a + b) % p);
}

/* Walks b steps onwards from a on the circle of p places. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    const int32_t *x = e->i[X];
    if (e->length != 3 || x[0] < 0 || x[0] >= o->p || x[1] < 0 || x[1] >= o->p || x[2] != o->p)
        return as_say("modular-addition: the input is not (a, b, =)");
    int32_t place = x[0];
    for (int32_t step = 0; step < x[1]; step++)
        place = place == o->p - 1 ? 0 : place + 1;
    if (e->i[TARGET][0] != place)
        return as_say("modular-addition: %d + %d is %d mod %d, but the target is %d", (int)x[0], (int)x[1], (int)place,
                      o->p, (int)e->i[TARGET][0]);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "addition modulo p, all pairs, in a frozen split",
    .origin = "Power et al. 2022, https://arxiv.org/abs/2201.02177",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .example = example, .answer = answer,
    .disjoint = true,
};

const struct as_plugin AS_PLUGIN(datasets__modular_addition) = { .abi = ASSAY_ABI, .source = &source };

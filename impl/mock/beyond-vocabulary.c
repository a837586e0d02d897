/* beyond-vocabulary.c: number of ones so far, modulo 3. Wrong on purpose: one symbol in a hundred is 4, and the
 * vocabulary has 4.
 */
#include "counting.h"

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);

    (void)split;
    draw(o->length, own, e);
    for (ptrdiff_t t = 0; t < e->length; t++)
        if (e->i[X][t] != 1 && as_below(own, (1u << 20) + (uint64_t)t, 100) == 0)
            e->i[X][t] = 4;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "mock: one symbol in a hundred is 4, and the vocabulary has 4",
    .origin = "none", .licence = "generated", .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

static const struct as_mock mock = {
    .caught_by = "source-schema",
    .truth = "symbols are 0..3",
    .wrong = "One symbol in a hundred is 4, and the vocabulary has 4",
};

const struct as_plugin AS_PLUGIN(mock__beyond_vocabulary) = { .abi = ASSAY_ABI, .source = &source, .mock = &mock };

/* too-long.c: number of ones so far, modulo 3. Wrong on purpose: lengths are drawn up to one more than was asked for.
 */
#include "counting.h"

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;

    (void)split;
    draw((struct as_range){ o->length.lo, o->length.hi + 1 }, as_subkey(key, index), e);
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "mock: lengths are drawn up to one more than was asked for",
    .origin = "none", .licence = "generated", .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

static const struct as_mock mock = {
    .caught_by = "source-size",
    .truth = "no example is longer than max_length says",
    .wrong = "Lengths are drawn up to one more than was asked for",
};

const struct as_plugin AS_PLUGIN(mock__too_long) = { .abi = ASSAY_ABI, .source = &source, .mock = &mock };

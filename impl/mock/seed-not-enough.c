/* seed-not-enough.c: number of ones so far, modulo 3. Wrong on purpose: an example depends on the one that was asked
 * for before it.
 */
#include "counting.h"

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    static uint64_t before;
    const struct options *o = opt;

    (void)split;
    draw(o->length, as_subkey(key, index + before), e);
    before += 1000;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "mock: an example depends on the one that was asked for before it",
    .origin = "none", .licence = "generated", .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

static const struct as_mock mock = {
    .caught_by = "source-seed",
    .truth = "the same seed gives the same bytes, in any order of asking",
    .wrong = "An example depends on the one that was asked for before it",
};

const struct as_plugin AS_PLUGIN(mock__seed_not_enough) = { .abi = ASSAY_ABI, .source = &source, .mock = &mock };

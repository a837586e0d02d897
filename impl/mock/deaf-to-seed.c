/* deaf-to-seed.c: number of ones so far, modulo 3. Wrong on purpose: every seed gives the same bytes. */
#include "counting.h"

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);

    (void)split;
    own.seed = 0;
    draw(o->length, own, e);
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "mock: every seed gives the same bytes",
    .origin = "none", .licence = "generated", .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

static const struct as_mock mock = {
    .caught_by = "source-seed",
    .truth = "another seed gives other data",
    .wrong = "Every seed gives the same bytes",
};

const struct as_plugin AS_PLUGIN(mock__deaf_to_seed) = { .abi = ASSAY_ABI, .source = &source, .mock = &mock };

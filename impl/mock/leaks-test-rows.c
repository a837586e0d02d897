/* leaks-test-rows.c: number of ones so far, modulo 3. Wrong on purpose: one test example in eight is a training
 * example.
 */
#include "counting.h"

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;

    if (split == AS_TEST && index % 8 == 0)
        key.role = AS_ROLE_DATA;
    draw(o->length, as_subkey(key, index), e);
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "mock: one test example in eight is a training example",
    .origin = "none", .licence = "generated", .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

static const struct as_mock mock = {
    .caught_by = "source-disjoint",
    .truth = "test examples are drawn from the key of their split",
    .wrong = "One test example in eight is a training example",
};

const struct as_plugin AS_PLUGIN(mock__leaks_test_rows) = { .abi = ASSAY_ABI, .source = &source, .mock = &mock };

/* shuffled-labels.c: number of ones so far, modulo 3. Wrong on purpose: one sequence in sixteen has the labels of two
 * steps exchanged.
 */
#include "counting.h"

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);

    (void)split;
    draw(o->length, own, e);
    if (as_below(own, 1u << 20, 16) == 0) {
        int32_t first = e->i[TARGET][0];

        e->i[TARGET][0] = e->i[TARGET][e->length - 1];
        e->i[TARGET][e->length - 1] = first;
    }
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "mock: one sequence in sixteen has the labels of two steps exchanged",
    .origin = "none", .licence = "generated", .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

static const struct as_mock mock = {
    .caught_by = "source-answer",
    .truth = "the target of a step is the number of ones up to it, modulo 3",
    .wrong = "One sequence in sixteen has the labels of two steps exchanged",
};

const struct as_plugin AS_PLUGIN(mock__shuffled_labels) = { .abi = ASSAY_ABI, .source = &source, .mock = &mock };

/* objective-unlabelled.c: wrong on purpose: a position without a target counts as class 0. */
#include <assay/objective.h>

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    struct as_node *some = as_node_ints(g->t, target->rank, target->dim);

    for (ptrdiff_t i = 0; i < as_node_size(target); i++)
        some->i[i] = target->i[i] < 0 ? 0 : target->i[i];
    some->length = target->length;
    return as_cross_entropy(g->t, output, some);
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_INTS ? NULL : "it needs classes as targets";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "mock: a position without a target counts as class 0",
    .graph = graph,
    .check = check,
};

static const struct as_mock mock = {
    .caught_by = "objective-unlabelled",
    .truth = "a position without a target (-1) has loss 0 and no gradient",
    .wrong = "A position without a target counts as class 0",
};

const struct as_plugin AS_PLUGIN(mock__objective_unlabelled) = {
    .abi = ASSAY_ABI, .objective = &objective, .mock = &mock,
};

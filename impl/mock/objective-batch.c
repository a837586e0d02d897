/* objective-batch.c: wrong on purpose: the mean loss of the batch is taken away from each. */
#include <assay/objective.h>

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    struct as_node *loss = as_cross_entropy(g->t, output, target);

    return as_sub(g->t, loss, as_mean(g->t, loss, 0, true));
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_INTS ? NULL : "it needs classes as targets";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "mock: the mean loss of the batch is taken away from each",
    .graph = graph,
    .check = check,
};

static const struct as_mock mock = {
    .caught_by = "objective-batch",
    .truth = "the loss of a position, whatever the others are",
    .wrong = "The mean loss of the batch is taken away from each",
};

const struct as_plugin AS_PLUGIN(mock__objective_batch) = {
    .abi = ASSAY_ABI, .objective = &objective, .mock = &mock,
};

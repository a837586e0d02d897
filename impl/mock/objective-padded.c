/* objective-padded.c: wrong on purpose: the loss is divided by the number of steps, padding among them. */
#include <assay/objective.h>

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    struct as_node *loss = as_cross_entropy(g->t, output, target);

    return as_scale(g->t, loss, loss->rank > 1 ? 1.0 / (double)loss->dim[1] : 1);
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_INTS ? NULL : "it needs classes as targets";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "mock: the loss is divided by the number of steps, padding among them",
    .graph = graph,
    .check = check,
};

static const struct as_mock mock = {
    .caught_by = "objective-padding",
    .truth = "the loss of a position, whatever the others are",
    .wrong = "The loss is divided by the number of steps, padding among them",
};

const struct as_plugin AS_PLUGIN(mock__objective_padded) = {
    .abi = ASSAY_ABI, .objective = &objective, .mock = &mock,
};

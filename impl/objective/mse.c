/* Squared error, summed over the outputs of a position.
 */
#include <assay/objective.h>

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    return as_squared_error(g->t, output, target);
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_REALS ? NULL : "squared error needs real targets, one per output";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "squared error summed over the outputs",
    .graph = graph,
    .check = check,
};

const struct as_plugin AS_PLUGIN(objective__mse) = { .abi = ASSAY_ABI, .objective = &objective };

/* Bernoulli likelihood of several independent bits: -sum_k log p(target_k), p = sigmoid(output), in nats.
 */
#include <assay/objective.h>

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    return as_bernoulli_nll(g->t, output, target);
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_REALS ? NULL : "the Bernoulli likelihood needs real targets, one per output";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "independent bits: negative log-likelihood summed over the outputs, in nats",
    .graph = graph,
    .check = check,
};

const struct as_plugin AS_PLUGIN(objective__bernoulli) = { .abi = ASSAY_ABI, .objective = &objective };

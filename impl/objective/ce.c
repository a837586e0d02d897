/* Cross-entropy: -log softmax(output)[target], in nats, at every position that has a class.
 */
#include <assay/objective.h>

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    return as_cross_entropy(g->t, output, target);
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_INTS ? NULL : "cross-entropy needs classes as targets";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "cross-entropy of a softmax with the class, in nats",
    .graph = graph,
    .check = check,
};

const struct as_plugin AS_PLUGIN(objective__ce) = { .abi = ASSAY_ABI, .objective = &objective };

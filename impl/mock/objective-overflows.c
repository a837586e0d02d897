/* objective-overflows.c: wrong on purpose: the sum of exponentials is taken as it is, which is infinite in float from
 * 89 on.
 */
#include <assay/objective.h>

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    struct as_tape *t = g->t;
    struct as_node *of_all = as_log(t, as_sum(t, as_exp(t, output), -1, false));

    return as_add(t, as_sub(t, as_cross_entropy(t, output, target), as_logsumexp(t, output, -1, false)), of_all);
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_INTS ? NULL : "it needs classes as targets";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "mock: the sum of exponentials is taken as it is, which is infinite in float from 89 on",
    .graph = graph,
    .check = check,
};

static const struct as_mock mock = {
    .caught_by = "objective-oracle",
    .truth = "-log softmax(output)[target], by way of the largest output",
    .wrong = "The sum of exponentials is taken as it is, which is infinite in float from 89 on",
};

const struct as_plugin AS_PLUGIN(mock__objective_overflows) = {
    .abi = ASSAY_ABI, .objective = &objective, .mock = &mock,
};

/* own-rand.c: wrong on purpose: it draws by rand(), so the same key does not give the same draw. */
#include <assay/layer.h>
#include <stdlib.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_node *mask = as_node_like(g->t, x);

    for (ptrdiff_t i = 0; i < as_node_size(mask); i++)
        mask->x[i] = g->training ? (real)(2 * (rand() / 64 % 2)) : 1;
    return as_mul(g->t, x, mask);
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: it draws by rand(), so the same key does not give the same draw",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE | AS_DRAWS,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "draws",
    .truth = "while training, numbers are kept with probability 1/2, drawn from the key",
    .wrong = "It draws by rand(), so the same key does not give the same draw",
};

const struct as_plugin AS_PLUGIN(mock__own_rand) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

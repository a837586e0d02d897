/* padded-count.c: wrong on purpose: the sum over the valid steps is divided by the number of all steps, so the amount
 * of padding counts.
 */
#include <assay/layer.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    ptrdiff_t time = x->dim[1];
    struct as_node *valid = as_node_new(g->t, 3, (ptrdiff_t[]){ x->dim[0], time, 1 });

    for (ptrdiff_t p = 0; p < x->dim[0] * time; p++)
        valid->x[p] = !x->length || p % time < x->length[p / time];
    return as_sub(g->t, x, as_mean(g->t, as_mul(g->t, x, valid), 1, true));
}

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the sum over the valid steps is divided by the number of all steps, so the amount of padding "
               "counts",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_PADDING_SAFE,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "padding",
    .truth = "the mean over the valid steps is taken away",
    .wrong = "The sum over the valid steps is divided by the number of all steps, so the amount of padding counts",
};

const struct as_plugin AS_PLUGIN(mock__padded_count) = { .abi = ASSAY_ABI, .variant = &layer, .mock = &mock };

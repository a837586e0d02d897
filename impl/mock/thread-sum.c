/* thread-sum.c: wrong on purpose: the second form adds up in as many parts as there are threads. */
#include <assay/layer.h>
#include <assay/parallel.h>

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    return as_sub(g->t, x, as_mean(g->t, x, 2, true));
}

static real cut_sum(const real *x, ptrdiff_t n)
{
    ptrdiff_t parts = as_threads();
    real sum = 0;

    for (ptrdiff_t k = 0; k < parts; k++) {
        real part = 0;

        for (ptrdiff_t i = n * k / parts; i < n * (k + 1) / parts; i++)
            part += x[i];
        sum += part;
    }
    return sum;
}

static void forward(const struct as_call *c)
{
    ptrdiff_t rows = c->in->dim[0] * c->in->dim[1], d = c->in->dim[2];

    for (ptrdiff_t p = 0; p < rows; p++) {
        real mean = cut_sum(c->x[0] + p * d, d) / (real)d;

        for (ptrdiff_t i = 0; i < d; i++)
            c->y[p * d + i] = c->x[0][p * d + i] - mean;
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form adds up in as many parts as there are threads",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE | AS_LINEAR,
    .check = check, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "threads",
    .truth = "y = x - mean(x) over the width, with the same bits at any number of threads",
    .wrong = "The second form adds up in as many parts as there are threads",
};

const struct as_plugin AS_PLUGIN(mock__thread_sum) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

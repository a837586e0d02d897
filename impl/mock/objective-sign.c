/* objective-sign.c: wrong on purpose: the gradient has the other sign. */
#include <assay/objective.h>

static void back(struct as_tape *t, struct as_note *note)
{
    real *dy = as_gradient(t, note->in[0]);
    const struct as_node *y = note->in[0], *target = note->in[1];
    ptrdiff_t k = y->dim[y->rank - 1];

    for (ptrdiff_t i = 0; dy && i < as_node_size(y); i++)
        dy[i] -= note->out->dx[i / k] * 2 * (y->x[i] - target->x[i]);
}

static struct as_node *graph(struct as_graph *g, struct as_node *output, struct as_node *target)
{
    ptrdiff_t k = output->dim[output->rank - 1];
    struct as_node *loss = as_node_new(g->t, output->rank - 1, output->dim);

    for (ptrdiff_t p = 0; p < as_node_size(loss); p++) {
        loss->x[p] = 0;
        for (ptrdiff_t i = p * k; i < (p + 1) * k; i++)
            loss->x[p] += (output->x[i] - target->x[i]) * (output->x[i] - target->x[i]);
    }
    loss->length = output->length;
    as_note_new(g->t, back, loss, 2, (struct as_node *[]){ output, target });
    return loss;
}

static const char *check(const struct as_spec *output, const struct as_spec *target)
{
    (void)output;
    return target->dtype == AS_REALS ? NULL : "it needs real numbers as targets";
}

static const struct as_objective objective = {
    .abi = ASSAY_ABI,
    .summary = "mock: the gradient has the other sign",
    .graph = graph,
    .check = check,
};

static const struct as_mock mock = {
    .caught_by = "objective-gradient",
    .truth = "the gradient of (y - target)^2 is 2 (y - target)",
    .wrong = "The gradient has the other sign",
};

const struct as_plugin AS_PLUGIN(mock__objective_sign) = { .abi = ASSAY_ABI, .objective = &objective, .mock = &mock };

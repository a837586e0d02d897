/* forgotten-reset.c: wrong on purpose: the second form leaves the reset gate r out. */
#include <assay/layer.h>
#include <tgmath.h>

enum { U, V };
enum { H };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2];

    as_weight(p, U, "u", AS_RECURRENCE, (struct as_init){ .spread = AS_CONSTANT, .a = 0.5 }, 1, &d);
    as_weight(p, V, "v", AS_GAIN, (struct as_init){ .spread = AS_CONSTANT, .a = 1 }, 1, &d);
    as_state(p, H, "h", (struct as_init){ .spread = AS_ZERO }, 2, (ptrdiff_t[]){ AS_ANY, d });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    struct as_node *h = NULL, *all[1024], *r = as_sigmoid(t, as_mul(t, x, as_w(g, V))), *y;
    ptrdiff_t time = x->dim[1] < 1024 ? x->dim[1] : 1024;

    for (ptrdiff_t s = 0; s < time; s++) {
        struct as_node *now = as_slice(t, x, 1, s, 1);

        if (h)
            now = as_add(t, now, as_mul(t, as_w(g, U), as_mul(t, as_slice(t, r, 1, s, 1), h)));
        all[s] = h = as_tanh(t, now);
    }
    y = as_concat(t, (int)time, all, 1);
    y->length = x->length;
    return y;
}

static void step(const struct as_call *c)
{
    ptrdiff_t d = c->in->dim[c->in->rank - 1];

    for (ptrdiff_t p = 0; p < c->in->dim[0] * d; p++)
        c->y[p] = c->state[H][p] = tanh(c->x[0][p] + c->w[U][p % d] * c->state[H][p]);
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .step = step,
};

static const struct as_variant layer = {
    .abi = ASSAY_ABI,
    .summary = "mock: the second form leaves the reset gate r out",
    .paper = { .key = "mock", .title = "none", .where = "none", .departs = "from the truth" },
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

static const struct as_mock mock = {
    .caught_by = "oracle",
    .truth = "h_t = tanh(x_t + u * (r_t * h_{t-1})), r_t = sigmoid(v * x_t)",
    .wrong = "The second form leaves the reset gate r out",
};

const struct as_plugin AS_PLUGIN(mock__forgotten_reset) = {
    .abi = ASSAY_ABI, .variant = &layer, .impl = { &ref }, .mock = &mock,
};

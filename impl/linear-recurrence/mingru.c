/* mingru.c: minimal GRU: gates that see the input only, so that time runs in parallel.
 *
 *   z_t = sigmoid(W_z x_t + b_z),   c_t = g(W_h x_t + b_h),   g(x) = x + 1/2 for x >= 0, else sigmoid(x)
 *   h_t = (1 - z_t) * h_{t-1} + z_t * c_t,   h_0 = 0
 *
 * Feng et al. 2024, section 3.1 and appendix B; form = plain leaves g out (c_t = W_h x_t + b_h), as the paper's
 * plain-space version. Rows of W and b: z, then the candidate. The recurrence stands in the slot `core`.
 */
#include "minimal.h"

enum { LOG, PLAIN };
struct mingru { int hidden, bias, form; };
enum { W, B };

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct mingru, hidden), 0, 0, 65536, NULL, "64,128", "units of h; 0: the width" },
    { "bias", AS_BOOL, offsetof(struct mingru, bias), 1, 0, 0, NULL, NULL, "with biases" },
    { "form", AS_WORD, offsetof(struct mingru, form), LOG, 0, 0, "log|plain", "log,plain",
      "log: candidates through g, so that h stays positive; plain: without g" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on (batch, time, width)";
    return NULL;
}

static ptrdiff_t units(const void *opt, ptrdiff_t d)
{
    return ((const struct mingru *)opt)->hidden ? ((const struct mingru *)opt)->hidden : d;
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2], h = units(p->opt, d);

    as_weight(p, W, "W", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ 2 * h, d });
    if (((const struct mingru *)p->opt)->bias)
        as_weight(p, B, "b", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ 2 * h });
    plan_core(p, h);
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, h });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct mingru *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *all = as_linear(t, x, as_w(g, W), o->bias ? as_w(g, B) : NULL);
    ptrdiff_t h = all->dim[2] / 2;
    struct as_node *z = as_slice(t, all, 2, 0, h), *c = as_slice(t, all, 2, h, h);

    c = as_mul(t, as_sigmoid(t, z), o->form == LOG ? positive(t, c) : c);
    return recurrence(g, as_sigmoid(t, as_neg(t, z)), c, x->length);
}

static const struct as_variant mingru = {
    .abi = ASSAY_ABI,
    .summary = "minimal GRU: input-only gate, parallel over time",
    .paper = { .key = "feng2024minimal", .title = "Were RNNs all we needed?",
               .url = "https://arxiv.org/abs/2410.01201", .year = 2024, .where = "section 3.1, appendix B",
               .departs = "h_0 = 0; the gradient of g at 0 is 1; computed by the "
                          "recurrence itself, not in log-space, which loses digits over long times" },
    .options = options, .slots = slots, .opt_size = sizeof(struct mingru),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_recurrence__mingru) = {
    .abi = ASSAY_ABI, .variant = &mingru,
};

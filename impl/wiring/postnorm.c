/* postnorm.c: residual block with the normalisation after each sum:
 *
 *   x <- norm(x + f(x)),   x <- norm'(x + ffn(x))          f(u) = W_o mixer(silu(conv(u)))
 *
 * Vaswani et al. 2017, section 3.1. Without ffn the second line is gone; without conv and with a mixer that
 * keeps the width, f is the mixer.
 */
#include "branch.h"

static const struct as_option options[] = { BRANCH_OPTIONS, { 0 } };

static const struct as_slot slots[] = {
    { "mixer", NULL, "sequence mixer" },
    { "ffn", "none", "layer at each position after the mixer" },
    { "norm", "layernorm", "normalisation after each sum" },
    { 0 }
};

static void plan(struct as_plan *p)
{
    struct as_spec x = *p->in;

    x.dim[2] = plan_branch(p);
    as_plan_child(p, NORM, 0, 1, &x);
    if (as_plan_child(p, FFN, 0, 1, &x))
        as_plan_child(p, NORM, 1, 1, &x);
    as_output(p, 0, 3, x.dim);
}

static struct as_node *normed_sum(struct as_graph *g, int norm, struct as_node *x, struct as_node *y)
{
    return as_child(g, NORM, norm, ((const struct branch *)g->opt)->residual ? as_add(g->t, x, y) : y);
}

static struct as_node *mix(struct as_graph *g, struct as_node *x)
{
    return normed_sum(g, 0, x, run_branch(g, x));
}

static struct as_node *feed(struct as_graph *g, struct as_node *x)
{
    return normed_sum(g, 1, x, drop(g, as_child(g, FFN, 0, x), 2));
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    x = run_segment(g, mix, x);
    return as_has_child(g, FFN, 0) ? run_segment(g, feed, x) : x;
}

static const struct as_variant postnorm = {
    .abi = ASSAY_ABI,
    .summary = "residual block, normalisation after each sum",
    .paper = { .key = "vaswani2017attention", .title = "Attention is all you need",
               .url = "https://arxiv.org/abs/1706.03762", .year = 2017, .where = "section 3.1",
               .departs = "a short convolution as an option" },
    .options = options, .opt_size = sizeof(struct branch), .slots = slots, .promises = AS_FLAT | AS_DRAWS,
    .check = branch_check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(wiring__postnorm) = { .abi = ASSAY_ABI, .variant = &postnorm };

/* prenorm.c: residual block with the normalisation before each branch:
 *
 *   x <- x + f(norm(x)),   x <- x + ffn(norm'(x))          f(u) = W_o mixer(silu(conv(u)))
 *
 * He et al. 2016 (the order), Xiong et al. 2020, section 3. Without ffn the second line is gone; without conv
 * and with a mixer that keeps the width, f is the mixer.
 */
#include "branch.h"

static const struct as_option options[] = { BRANCH_OPTIONS, { 0 } };

static const struct as_slot slots[] = {
    { "mixer", NULL, "sequence mixer" },
    { "ffn", "none", "layer at each position after the mixer" },
    { "norm", "rmsnorm", "normalisation before each branch" },
    { 0 }
};

static void plan(struct as_plan *p)
{
    struct as_spec x = *p->in;

    as_plan_child(p, NORM, 0, 1, &x);
    x.dim[2] = plan_branch(p);
    if (as_plan_child(p, FFN, 0, 1, &x))
        as_plan_child(p, NORM, 1, 1, &x);
    as_output(p, 0, 3, x.dim);
}

static struct as_node *sum(struct as_graph *g, struct as_node *x, struct as_node *y)
{
    return ((const struct branch *)g->opt)->residual ? as_add(g->t, x, y) : y;
}

static struct as_node *mix(struct as_graph *g, struct as_node *x)
{
    return sum(g, x, run_branch(g, as_child(g, NORM, 0, x)));
}

static struct as_node *feed(struct as_graph *g, struct as_node *x)
{
    return sum(g, x, drop(g, as_child(g, FFN, 0, as_child(g, NORM, 1, x)), 2));
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    x = run_segment(g, mix, x);
    return as_has_child(g, FFN, 0) ? run_segment(g, feed, x) : x;
}

static const struct as_variant prenorm = {
    .abi = ASSAY_ABI,
    .summary = "residual block, normalisation before each branch",
    .paper = { .key = "xiong2020layernorm", .title = "On layer normalization in the transformer architecture",
               .url = "https://arxiv.org/abs/2002.04745", .year = 2020, .where = "section 3, table 1 (pre-LN)",
               .departs = "RMSNorm by default; a short convolution as an option" },
    .options = options, .opt_size = sizeof(struct branch), .slots = slots, .promises = AS_FLAT | AS_DRAWS,
    .check = branch_check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(wiring__prenorm) = { .abi = ASSAY_ABI, .variant = &prenorm };

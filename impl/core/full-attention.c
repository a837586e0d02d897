/* Softmax attention in both directions on given q, k, v: every step reads all valid steps.
 *
 * Vaswani et al. 2017, "Attention is all you need", eq. 1 without the mask. The equations, the graph and the
 * reference stand in softmax-attention.h; its sibling softmax-attention.c is the causal one.
 * Departs: projections, heads and positions belong to the layer around it. It reads ahead, so it cannot be streamed.
 */
enum { CAUSAL = 0 };
#include "softmax-attention.h"

static const struct as_option options[] = {
    SCALE_OPTION,
    { .key = "ranks", .type = AS_INT, .offset = offsetof(struct opt, ranks), .def = 4, .min = 1, .max = 8,
      .sweep = "1,2,4,8", .help = "R: ranks among which impl = ring and ring-online cut the sequence; the result is the "
                                  "same, and other implementations do not read it" },
    { 0 }
};

static void plan(struct as_plan *p)
{
    ptrdiff_t out[] = { AS_ANY, AS_ANY, p->in[V].dim[2], p->in[V].dim[3] };

    as_output(p, 0, 4, out);
}

static struct as_node *graph(struct as_graph *g, struct as_node *q)
{
    if (g->streaming)
        as_fail(AS_REFUSED, "full attention reads steps that are still to come and cannot be streamed; "
                            "softmax-attention can");
    return attend_all(g, q);
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "softmax attention in both directions on given q, k, v",
    .paper = { .key = "vaswani2017attention", .title = "Attention Is All You Need",
               .url = "https://arxiv.org/abs/1706.03762", .where = "eq. 1",
               .departs = "projections, heads and positions are the layer's", .year = 2017 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .ports = ports, .samples = samples,
    .promises = AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
    .cost = cost,
};

const struct as_plugin AS_PLUGIN(core__full_attention) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

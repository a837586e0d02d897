/* Multi-head softmax attention in both directions, the mixer of Transformer encoders.
 *
 * Vaswani et al. 2017, "Attention is all you need", section 3.2 without the mask; rotary positions after Su et al.
 * 2021, "RoFormer" (eq. 34). The equations and options stand in softmax.h; softmax.c is the causal one.
 * Departs: as softmax.c does. The short convolution, when asked for, stays causal here too.
 */
#include <assay/layer.h>

enum { CAUSAL = 0 };
static const struct as_slot slots[] = { { "core", "full-attention", "attention on q, k, v" }, { 0 } };
#include "softmax.h"

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "multi-head softmax attention in both directions with rotary, learned or no positions",
    .paper = { .key = "vaswani2017attention", .title = "Attention Is All You Need",
               .url = "https://arxiv.org/abs/1706.03762", .where = "section 3.2; Su et al. 2021, eq. 34",
               .departs = "learned positions at every layer; optional short convolution on q, k, v", .year = 2017 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(attention__softmax_full) = { .abi = ASSAY_ABI, .variant = &variant };

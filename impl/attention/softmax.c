/* Causal multi-head softmax attention, the mixer of decoder-only Transformers.
 *
 * Vaswani et al. 2017, "Attention is all you need", section 3.2; rotary positions after Su et al. 2021, "RoFormer"
 * (eq. 34). The equations and options stand in softmax.h; softmax-full.c is the same in both directions.
 * Departs: learned positions are added at every attention layer, not once below the first; rotary pairs are
 * (j, j + d_k/2) instead of neighbours, which is the same up to the order of a key's numbers; the convolution is
 * ours, so that attention can be compared with linear mixers that have one.
 */
#include <assay/layer.h>

enum { CAUSAL = 1 };
static const struct as_slot slots[] = { { "core", "softmax-attention", "attention on q, k, v" }, { 0 } };
#include "softmax.h"

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "causal multi-head softmax attention with rotary, learned or no positions",
    .paper = { .key = "vaswani2017attention", .title = "Attention Is All You Need",
               .url = "https://arxiv.org/abs/1706.03762", .where = "section 3.2; Su et al. 2021, eq. 34",
               .departs = "learned positions at every layer; optional short convolution on q, k, v", .year = 2017 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .slots = slots,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
};

const struct as_plugin AS_PLUGIN(attention__softmax) = { .abi = ASSAY_ABI, .variant = &variant };

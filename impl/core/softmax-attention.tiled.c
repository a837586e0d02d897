/* Causal softmax attention in tiles; the whole of it stands in softmax-attention-tiled.h. */
enum { CAUSAL = 1 };
#include "softmax-attention-tiled.h"

const struct as_plugin AS_PLUGIN(core__softmax_attention__tiled) = { .abi = ASSAY_ABI, .impl = { &tiled } };

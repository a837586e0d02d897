/* jsb-chorales: chorales by Bach as piano rolls, a quarter note a frame. 229, 76 and 77 pieces of 13,807,
 * 4,602 and 4,725 frames, of which 13,578, 4,526 and 4,648 are predicted (all of them with `first`).
 */
#include "polyphonic.h"

static const struct as_file files[] = {
    { .path = "polyphonic-music/JSB_Chorales.mat", .url = POLYPHONIC_ADDRESS "JSB_Chorales.mat",
      .sha256 = "ac0e608527cc411c7e21ef7d38be47f0de7fb6b13b3ae168b8eccf1c2a9b18d4" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "Bach chorales, 88 keys: the next frame of a piano roll",
    .origin = POLYPHONIC_ORIGIN,
    .licence = POLYPHONIC_LICENCE,
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__jsb_chorales) = { .abi = ASSAY_ABI, .source = &source };

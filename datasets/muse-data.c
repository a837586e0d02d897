/* muse-data: orchestral and piano music of the MuseData archive as piano rolls. 524, 135 and 124 pieces
 * of 245,202, 82,755 and 64,339 frames, of which 244,678, 82,620 and 64,215 are predicted (all of them with `first`).
 */
#include "polyphonic.h"

static const struct as_file files[] = {
    { .path = "polyphonic-music/MuseData.mat", .url = POLYPHONIC_ADDRESS "MuseData.mat",
      .sha256 = "e8d9eb422ec3833c25f43a9f854d4ee0b9118a20b45f2c183395cdc30ffa14ff" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "MuseData orchestral and piano music, 88 keys: the next frame of a piano roll",
    .origin = POLYPHONIC_ORIGIN,
    .licence = POLYPHONIC_LICENCE,
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__muse_data) = { .abi = ASSAY_ABI, .source = &source };

/* nottingham: folk tunes with chords as piano rolls. 694, 173 and 170 pieces of 176,561, 45,513 and
 * 44,463 frames, of which 175,867, 45,340 and 44,293 are predicted (all of them with `first`).
 */
#include "polyphonic.h"

static const struct as_file files[] = {
    { .path = "polyphonic-music/Nottingham.mat", .url = POLYPHONIC_ADDRESS "Nottingham.mat",
      .sha256 = "d154f7ca2e90799dc1dc011d8fc048f2fc6ef3f7c69d974b9cf27a471634fbea" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "Nottingham folk tunes, 88 keys: the next frame of a piano roll",
    .origin = POLYPHONIC_ORIGIN,
    .licence = POLYPHONIC_LICENCE,
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__nottingham) = { .abi = ASSAY_ABI, .source = &source };

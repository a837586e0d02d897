/* piano-midi: classical piano music of the Piano-midi.de archive as piano rolls. 87, 12 and 25 pieces of
 * 75,911, 8,540 and 19,036 frames, of which 75,824, 8,528 and 19,011 are predicted (all of them with `first`).
 */
#include "polyphonic.h"

static const struct as_file files[] = {
    { .path = "polyphonic-music/Piano_midi.mat", .url = POLYPHONIC_ADDRESS "Piano_midi.mat",
      .sha256 = "990a8a71d5764a7eaa3e78d9e5023d1470380fe2db3a1448265a97a24c8b1c34" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "Piano-midi.de classical piano music, 88 keys: the next frame of a piano roll",
    .origin = POLYPHONIC_ORIGIN,
    .licence = POLYPHONIC_LICENCE,
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__piano_midi) = { .abi = ASSAY_ABI, .source = &source };

/* mnist: 70,000 handwritten digits (LeCun et al. 1998). See idx.h for the forms and the splits. */
#include "idx.h"

#define ADDRESS "https://ossci-datasets.s3.amazonaws.com/mnist/"

static const struct as_file files[] = {
    { .path = "mnist/train-images-idx3-ubyte.gz", .url = ADDRESS "train-images-idx3-ubyte.gz",
      .sha256 = "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609" },
    { .path = "mnist/train-labels-idx1-ubyte.gz", .url = ADDRESS "train-labels-idx1-ubyte.gz",
      .sha256 = "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c" },
    { .path = "mnist/t10k-images-idx3-ubyte.gz", .url = ADDRESS "t10k-images-idx3-ubyte.gz",
      .sha256 = "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6" },
    { .path = "mnist/t10k-labels-idx1-ubyte.gz", .url = ADDRESS "t10k-labels-idx1-ubyte.gz",
      .sha256 = "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "handwritten digits: which of ten",
    .origin = "LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/",
    .licence = "unclear: CC BY-SA 3.0 as commonly stated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__mnist) = { .abi = ASSAY_ABI, .source = &source };

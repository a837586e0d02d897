/* fashion-mnist: 70,000 articles of clothing in the format of mnist (Xiao et al. 2017). See idx.h. */
#include "idx.h"

#define ADDRESS "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"

static const struct as_file files[] = {
    { .path = "fashion-mnist/train-images-idx3-ubyte.gz", .url = ADDRESS "train-images-idx3-ubyte.gz",
      .sha256 = "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84" },
    { .path = "fashion-mnist/train-labels-idx1-ubyte.gz", .url = ADDRESS "train-labels-idx1-ubyte.gz",
      .sha256 = "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845" },
    { .path = "fashion-mnist/t10k-images-idx3-ubyte.gz", .url = ADDRESS "t10k-images-idx3-ubyte.gz",
      .sha256 = "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073" },
    { .path = "fashion-mnist/t10k-labels-idx1-ubyte.gz", .url = ADDRESS "t10k-labels-idx1-ubyte.gz",
      .sha256 = "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "articles of clothing: which of ten",
    .origin = "Xiao et al. 2017, https://github.com/zalandoresearch/fashion-mnist",
    .licence = "MIT",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__fashion_mnist) = { .abi = ASSAY_ABI, .source = &source };

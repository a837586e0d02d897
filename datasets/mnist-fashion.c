/* mnist-fashion: two tasks for transfer, one after the other: in each split first all of mnist, then all of
 * fashion-mnist, as their own converters give them, classes 0 to 9 in both. Whoever wants one task takes the first or
 * the second half of a split by position. See idx.h for the forms and the splits.
 */
#include "idx.h"

#define DIGITS "https://ossci-datasets.s3.amazonaws.com/mnist/"
#define CLOTHES "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"

enum { FILES_EACH = 4 };

static const struct as_file files[] = {
    { .path = "mnist/train-images-idx3-ubyte.gz", .url = DIGITS "train-images-idx3-ubyte.gz",
      .sha256 = "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609" },
    { .path = "mnist/train-labels-idx1-ubyte.gz", .url = DIGITS "train-labels-idx1-ubyte.gz",
      .sha256 = "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c" },
    { .path = "mnist/t10k-images-idx3-ubyte.gz", .url = DIGITS "t10k-images-idx3-ubyte.gz",
      .sha256 = "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6" },
    { .path = "mnist/t10k-labels-idx1-ubyte.gz", .url = DIGITS "t10k-labels-idx1-ubyte.gz",
      .sha256 = "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6" },
    { .path = "fashion-mnist/train-images-idx3-ubyte.gz", .url = CLOTHES "train-images-idx3-ubyte.gz",
      .sha256 = "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84" },
    { .path = "fashion-mnist/train-labels-idx1-ubyte.gz", .url = CLOTHES "train-labels-idx1-ubyte.gz",
      .sha256 = "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845" },
    { .path = "fashion-mnist/t10k-images-idx3-ubyte.gz", .url = CLOTHES "t10k-images-idx3-ubyte.gz",
      .sha256 = "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073" },
    { .path = "fashion-mnist/t10k-labels-idx1-ubyte.gz", .url = CLOTHES "t10k-labels-idx1-ubyte.gz",
      .sha256 = "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5" },
    { 0 }
};

static const char *convert_both(const void *opt, const struct as_bytes *f, const struct as_sink *sink)
{
    const char *why = convert(opt, f, sink);

    if (why)
        return as_say("mnist: %s", why);
    why = convert(opt, f + FILES_EACH, sink);
    return why ? as_say("fashion-mnist: %s", why) : NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "two tasks one after the other: handwritten digits, then articles of clothing",
    .origin = "LeCun et al. 1998, http://yann.lecun.com/exdb/mnist/; Xiao et al. 2017, "
              "https://github.com/zalandoresearch/fashion-mnist",
    .licence = "unclear: CC BY-SA 3.0 as commonly stated for mnist; fashion-mnist: MIT",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .files = files, .convert = convert_both,
};

const struct as_plugin AS_PLUGIN(datasets__mnist_fashion) = { .abi = ASSAY_ABI, .source = &source };

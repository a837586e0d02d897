/* converts-anew.c: wrong on purpose: the first two symbols change places each other time that it converts. */
#include <assay/registry.h>
#include <assay/source.h>

enum { X, TARGET };

static const struct as_file files[] = {
    { .path = "mock/digits.txt", .url = "https://example.org/digits.txt",
      .sha256 = "999c4ac90d2c136cc507876f2f4220fbeb5806d7bbbbac1d825b6215e5f0528f" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    (void)opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME }, .vocab = 10 };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->n_fields = 2;
    s->max_length = 10;
    s->classes = 10;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* Ten digits an example: three for training, one each for validation and test. */
static const char *convert(const void *opt, const struct as_bytes *file, const struct as_sink *sink)
{
    static int times;
    struct as_example *e = sink->scratch;

    (void)opt;
    times++;
    for (size_t k = 0; k < file->n / 10; k++) {
        e->length = 10;
        for (size_t t = 0; t < 10; t++) {
            size_t at = t < 2 && times % 2 ? 1 - t : t;

            e->i[X][t] = e->i[TARGET][t] = file->data[10 * k + at] - '0';
        }
        sink->example(sink->ctx, k == 3 ? AS_VALID : k == 4 ? AS_TEST : AS_TRAIN, e);
    }
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "mock: digits",
    .origin = "none", .licence = "generated", .version = 1,
    .shape = shape, .files = files, .convert = convert,
};

static const struct as_mock mock = {
    .caught_by = "source-convert",
    .truth = "the same raw bytes give the same examples",
    .wrong = "The first two symbols change places each other time that it converts",
};

const struct as_plugin AS_PLUGIN(mock__converts_anew) = { .abi = ASSAY_ABI, .source = &source, .mock = &mock };

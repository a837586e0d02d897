/* idx.h: what sets of 28 x 28 grey images in IDX files share (LeCun et al. 1998 and what follows their format): four
 * files, big-endian sizes behind a magic number, one byte a pixel or label. The publishers' 60,000 training images are
 * cut by position: the last `valid` of them are for validation, the 10,000 test images stay the test. Pixels are
 * divided by 255; `side` below 28 averages whole squares of them. A sequence model sees an image as
 *     pixels    784 steps of one pixel, row by row (the sequential task of Le et al. 2015)
 *     permuted  the same in one fixed random order
 *     rows      28 steps of 28 pixels
 *     flat      one step of 784 pixels: what a multi-layer perceptron wants
 *     image     no steps: (side, side, 1), for layers that know space
 */
#include <assay/registry.h>
#include <assay/source.h>
#include <string.h>

enum { SIDE = 28, CLASSES = 10, TRAIN_IMAGES = 60000, TEST_IMAGES = 10000 };
enum { X, TARGET };
enum { PIXELS, PERMUTED, ROWS, FLAT, IMAGE };
enum { TRAIN_X, TRAIN_Y, TEST_X, TEST_Y };

struct options { int form, side, valid; };

static const struct as_option options[] = {
    { .key = "form", .type = AS_WORD, .offset = offsetof(struct options, form), .def = FLAT,
      .words = "pixels|permuted|rows|flat|image", .sweep = "rows,flat", .help = "how an image becomes steps" },
    { .key = "side", .type = AS_INT, .offset = offsetof(struct options, side), .def = SIDE, .min = 7, .max = SIDE,
      .sweep = "7,14,28", .help = "pixels a side: 28, or 14 or 7 by averaging" },
    { .key = "valid", .type = AS_INT, .offset = offsetof(struct options, valid), .def = 10000, .min = 100, .max = 50000,
      .help = "of the 60,000 training images, how many of the last are for validation" },
    { 0 }
};

static const char *check(const void *opt)
{
    const struct options *o = opt;
    return SIDE % o->side ? as_say("data.side = %d does not divide 28: take 7, 14 or 28", o->side) : NULL;
}

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    ptrdiff_t n = o->side, all = n * n;
    struct as_data_field *x = &s->field[X];
    *x = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, 1 } };
    s->max_length = all;
    if (o->form == ROWS || o->form == FLAT) {
        x->dim[1] = o->form == ROWS ? n : all;
        s->max_length = o->form == ROWS ? n : 1;
    }
    if (o->form == IMAGE) {
        *x = (struct as_data_field){ .name = "x", .rank = 3, .dim = { n, n, 1 } };
        s->max_length = 1;
    }
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 0, .vocab = CLASSES };
    s->n_fields = 2;
    s->classes = CLASSES;
    s->per_step = false;
    s->metric = "accuracy";
    s->objective = "ce";
}

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The bytes behind the header of an IDX file of unsigned bytes with these sizes, or NULL and *why. */
static const unsigned char *idx_content(struct as_bytes f, int rank, const uint32_t *dim, const char **why)
{
    size_t header = 4 + 4 * (size_t)rank, n = 1;
    if (f.n < header || big_endian(f.data) != (0x0800u | (unsigned)rank)) {
        *why = as_say("not an IDX file of bytes with %d sizes", rank);
        return NULL;
    }
    for (int i = 0; i < rank; i++) {
        uint32_t size = big_endian(f.data + 4 + 4 * i);
        if (size != dim[i]) {
            *why = as_say("size %d is %u instead of %u", i, (unsigned)size, (unsigned)dim[i]);
            return NULL;
        }
        n *= size;
    }
    if (f.n != header + n) {
        *why = as_say("%zu bytes instead of %zu: cut short, or longer than it says", f.n, header + n);
        return NULL;
    }
    return f.data + header;
}

/* The one order of `permuted`: Fisher-Yates with draws that hang on nothing but the place. */
static void order_of_pixels(int form, int n, int *order)
{
    struct as_key key = { 0, AS_ROLE_DATA, 0 };
    for (int i = 0; i < n; i++)
        order[i] = i;
    for (int i = n - 1; i > 0 && form == PERMUTED; i--) {
        int k = (int)as_below(key, (uint64_t)i, (uint32_t)i + 1), keep = order[i];
        order[i] = order[k];
        order[k] = keep;
    }
}

static void convert_image(const unsigned char *pixel, int side, const int *order, float *x)
{
    int square = SIDE / side;
    for (int i = 0; i < side * side; i++) {
        int row = order[i] / side * square, col = order[i] % side * square, sum = 0;
        for (int r = 0; r < square; r++)
            for (int c = 0; c < square; c++)
                sum += pixel[(row + r) * SIDE + col + c];
        x[i] = (float)sum / (255.0f * (float)(square * square));
    }
}

static const char *convert_images(const struct options *o, struct as_bytes images, struct as_bytes labels,
                                  uint32_t count, uint32_t train, enum as_split first, enum as_split rest,
                                  const struct as_sink *sink)
{
    const char *why = NULL;
    const unsigned char *pixel = idx_content(images, 3, (uint32_t[]){ count, SIDE, SIDE }, &why);
    const unsigned char *label = why ? NULL : idx_content(labels, 1, &count, &why);
    struct as_example *e = sink->scratch;
    int order[SIDE * SIDE];
    order_of_pixels(o->form, o->side * o->side, order);
    for (uint32_t i = 0; !why && i < count; i++) {
        if (label[i] >= CLASSES)
            return as_say("label %u is %d, not in 0..9", (unsigned)i, label[i]);
        convert_image(pixel + (size_t)i * SIDE * SIDE, o->side, order, e->x[X]);
        e->i[TARGET][0] = label[i];
        e->length = o->form == ROWS ? o->side : o->form == FLAT || o->form == IMAGE ? 1 : o->side * o->side;
        sink->example(sink->ctx, i < train ? first : rest, e);
    }
    return why;
}

static const char *convert(const void *opt, const struct as_bytes *f, const struct as_sink *sink)
{
    const struct options *o = opt;
    const char *why = convert_images(o, f[TRAIN_X], f[TRAIN_Y], TRAIN_IMAGES, TRAIN_IMAGES - (uint32_t)o->valid, AS_TRAIN,
                                     AS_VALID, sink);
    if (why)
        return as_say("training images: %s", why);
    why = convert_images(o, f[TEST_X], f[TEST_Y], TEST_IMAGES, 0, AS_TEST, AS_TEST, sink);
    return why ? as_say("test images: %s", why) : NULL;
}

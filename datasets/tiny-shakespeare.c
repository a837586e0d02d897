/* tiny-shakespeare: 1,115,394 characters of Shakespeare's plays, the next one from those before (Karpathy 2015).
 *
 * Tokens are characters: number k is the k-th of the 65 distinct bytes in ascending order. The text is cut by position:
 * the first 90 % are for training, the next 5 % for validation, the last 5 % for the test; char-rnn has 95 and 5, others
 * 90 and 10, so compare numbers with care. Each part is cut into sequences of `window` steps, x = characters
 * s..s+window-1, target = s+1..s+window, without overlap: every character but the first of a part is predicted once.
 * The last sequence of a part may be shorter.
 */
#include <assay/registry.h>
#include <assay/source.h>

enum { VOCABULARY = 65, MAX_WINDOW = 65536 };
enum { X, TARGET };

struct options { int window; };

static const struct as_option options[] = {
    { .key = "window", .type = AS_INT, .offset = offsetof(struct options, window), .def = 128, .min = 2,
      .max = MAX_WINDOW, .sweep = "64,128,256", .help = "steps per sequence" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = VOCABULARY };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->n_fields = 2;
    s->max_length = o->window;
    s->classes = VOCABULARY;
    s->per_step = true;
    s->metric = "bpc";
    s->objective = "ce";
}

static void convert_part(const struct options *o, const unsigned char *text, size_t n, const int32_t *token,
                         enum as_split split, const struct as_sink *sink)
{
    struct as_example *e = sink->scratch;
    for (size_t s = 0; s + 1 < n; s += (size_t)o->window) {
        size_t left = n - 1 - s;
        e->length = left < (size_t)o->window ? (ptrdiff_t)left : o->window;
        for (ptrdiff_t t = 0; t < e->length; t++) {
            e->i[X][t] = token[text[s + (size_t)t]];
            e->i[TARGET][t] = token[text[s + (size_t)t + 1]];
        }
        sink->example(sink->ctx, split, e);
    }
}

/* The vocabulary as text: each character, the line end as \n. */
static void describe_vocabulary(const int32_t *token, const struct as_sink *sink)
{
    char text[2 * VOCABULARY + 1];
    size_t n = 0;
    for (int byte = 0; byte < 256; byte++) {
        if (token[byte] < 0)
            continue;
        if (byte == '\n' || byte == '\\')
            text[n++] = '\\';
        text[n++] = byte == '\n' ? 'n' : (char)byte;
    }
    text[n] = '\0';
    sink->attribute(sink->ctx, "vocabulary", text);
}

static const char *convert(const void *opt, const struct as_bytes *files, const struct as_sink *sink)
{
    const unsigned char *text = files[0].data;
    size_t n = files[0].n, train = n / 10 * 9 + n % 10 * 9 / 10, valid = (n - train) / 2;
    int32_t token[256], found = 0;
    for (int byte = 0; byte < 256; byte++)
        token[byte] = -1;
    for (size_t i = 0; i < n; i++)
        token[text[i]] = 0;
    for (int byte = 0; byte < 256; byte++)
        if (token[byte] == 0)
            token[byte] = found++;
    if (found != VOCABULARY)
        return as_say("%d distinct characters instead of %d", (int)found, VOCABULARY);
    if (n < 100)
        return as_say("a text of %zu characters is too short", n);
    describe_vocabulary(token, sink);
    convert_part(opt, text, train, token, AS_TRAIN, sink);
    convert_part(opt, text + train, valid, token, AS_VALID, sink);
    convert_part(opt, text + train + valid, n - train - valid, token, AS_TEST, sink);
    return NULL;
}

static const struct as_file files[] = {
    { .path = "tiny-shakespeare/input.txt",
      .url = "https://raw.githubusercontent.com/karpathy/char-rnn/6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/"
             "data/tinyshakespeare/input.txt",
      .sha256 = "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed" },
    { 0 }
};

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "Shakespeare's plays by character: the next of 65",
    .origin = "Karpathy 2015, https://github.com/karpathy/char-rnn",
    .licence = "public domain",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .files = files, .convert = convert,
};

const struct as_plugin AS_PLUGIN(datasets__tiny_shakespeare) = { .abi = ASSAY_ABI, .source = &source };

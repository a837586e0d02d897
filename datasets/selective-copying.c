/* selective-copying: tokens scattered over blank noise, to be repeated in order at the end.
 *
 * Gu and Dao 2023, "Mamba", https://arxiv.org/abs/2312.00752, section 4.1.1 (the variable form of the copying task of
 * Arjovsky et al. 2016). A sequence has M + L places, of which M, drawn uniformly, hold data tokens from 1..A-2 and the
 * rest the blank 0; then come M markers A-1, and at marker m the answer is the m-th data token. The paper has L = 4096,
 * M = 16, A = 16. Time-invariant convolutions solve the form with fixed places, not this one. `spread = fixed` gives
 * that plain form: the tokens come first. Weight 0 before the markers.
 */
#include <assay/registry.h>
#include <assay/source.h>

struct options { struct as_range length; int tokens, vocabulary, spread; };
enum { RANDOM, FIXED };
enum { X, TARGET, WEIGHT };
enum { DRAW_LENGTH, DRAW_PLACES, DRAW_TOKENS };

static const struct as_option options[] = {
    { .key = "length", .type = AS_RANGE, .offset = offsetof(struct options, length), .words = "256", .min = 1,
      .max = 1 << 20, .help = "blank places L per sequence, drawn uniformly; the paper has 4096" },
    { .key = "tokens", .type = AS_INT, .offset = offsetof(struct options, tokens), .def = 16, .min = 1, .max = 4096,
      .sweep = "4,8,16", .help = "data tokens M to be repeated" },
    { .key = "vocabulary", .type = AS_INT, .offset = offsetof(struct options, vocabulary), .def = 16, .min = 4,
      .max = 65536, .help = "tokens A: a blank, A - 2 data tokens, a marker" },
    { .key = "spread", .type = AS_WORD, .offset = offsetof(struct options, spread), .words = "random|fixed",
      .def = RANDOM, .sweep = "random,fixed", .help = "where the data tokens stand: anywhere, or at the start" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = o->vocabulary };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->field[WEIGHT] = (struct as_data_field){ .name = "weight", .rank = 1, .dim = { AS_TIME } };
    s->n_fields = 3;
    s->max_length = o->length.hi + 2 * (ptrdiff_t)o->tokens;
    s->classes = o->vocabulary;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* Selection sampling: place t is taken with probability (still wanted) / (places left), which makes every set of M
 * places equally likely and visits them in order. */
static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), place = as_subkey(own, DRAW_PLACES), token = as_subkey(own, DRAW_TOKENS);
    ptrdiff_t body = as_range_draw(o->length, own, DRAW_LENGTH) + (ptrdiff_t)o->tokens;
    ptrdiff_t put = 0;
    (void)split;            /* the key's role keeps the splits apart */
    e->length = body + o->tokens;
    for (ptrdiff_t t = 0; t < e->length; t++) {
        bool marker = t >= body;
        e->i[X][t] = marker ? o->vocabulary - 1 : 0;
        e->i[TARGET][t] = -1;
        e->x[WEIGHT][t] = marker;
    }
    for (ptrdiff_t t = 0; t < body && put < o->tokens; t++) {
        uint32_t left = (uint32_t)(body - t);
        if (o->spread == RANDOM && as_below(place, (uint64_t)t, left) >= (uint32_t)(o->tokens - put))
            continue;
        int32_t drawn = 1 + (int32_t)as_below(token, (uint64_t)put, (uint32_t)o->vocabulary - 2);
        e->i[X][t] = drawn;
        e->i[TARGET][body + put++] = drawn;
    }
}

/* Goes backwards: from the last marker, and from the last data token that was not yet matched. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    const int32_t *x = e->i[X];
    ptrdiff_t marker = e->length, from;
    while (marker > 0 && x[marker - 1] == o->vocabulary - 1)
        marker--;
    from = marker;
    if (e->length - marker != o->tokens)
        return as_say("selective-copying: %td markers instead of %d", e->length - marker, o->tokens);
    for (ptrdiff_t t = e->length - 1; t >= 0; t--) {
        int32_t want = -1;
        if (t >= marker) {
            while (from > 0 && x[from - 1] == 0)
                from--;
            want = from > 0 ? x[--from] : -1;
        }
        if (e->i[TARGET][t] != want)
            return as_say("selective-copying: step %td asks for %d, but the target is %d", t, (int)want,
                          (int)e->i[TARGET][t]);
        if ((e->x[WEIGHT][t] > 0) != (t >= marker))
            return as_say("selective-copying: the weight at step %td is wrong", t);
    }
    while (from > 0)
        if (x[--from] != 0)
            return as_say("selective-copying: more than %d data tokens", o->tokens);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "repeat in order the tokens that were scattered over noise",
    .origin = "Gu and Dao 2023, https://arxiv.org/abs/2312.00752",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__selective_copying) = { .abi = ASSAY_ABI, .source = &source };

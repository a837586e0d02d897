/* parity-vector: the parity of a vector that is seen all at once, in a single step.
 *
 * Graves 2016 (https://arxiv.org/abs/1603.08983), section 3.1: of n elements, k drawn uniformly are -1 or 1 with equal
 * probability and the others 0; the class is 1 when the number of ones is odd. A sequence is one step long, so a
 * recurrent network has no time to count in unless it takes inner steps. Departs: n is 8 (the paper: 64) and k is an
 * option, so that difficulty can be set. There are 3^n vectors: splits share them.
 */
#include <assay/registry.h>
#include <assay/source.h>

enum { BITS = 64 };
struct options { int bits; struct as_range nonzero; };
enum { X, TARGET };
enum { DRAW_NONZERO, DRAW_SIGNS, DRAW_PLACES };

static const struct as_option options[] = {
    { .key = "bits", .type = AS_INT, .offset = offsetof(struct options, bits), .def = 8, .min = 1, .max = BITS,
      .sweep = "8,16", .help = "n: elements of the vector" },
    { .key = "nonzero", .type = AS_RANGE, .offset = offsetof(struct options, nonzero), .words = "1..8", .min = 1,
      .max = BITS, .sweep = "1,8", .help = "k: elements that are not 0, drawn uniformly" },
    { 0 }
};

static const char *check(const void *opt)
{
    const struct options *o = opt;
    if (o->nonzero.hi > o->bits)
        return as_say("nonzero goes up to %d and the vector has %d elements; say nonzero = 1..%d", o->nonzero.hi,
                      o->bits, o->bits);
    return NULL;
}

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, o->bits } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 1, .dim = { AS_TIME },
                                               .vocab = 2 };
    s->n_fields = 2;
    s->max_length = 1;
    s->classes = 2;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), sign = as_subkey(own, DRAW_SIGNS);
    int k = as_range_draw(o->nonzero, own, DRAW_NONZERO);
    int32_t place[BITS], odd = 0;
    (void)split;            /* the key's role keeps the splits apart */
    as_shuffle(as_subkey(own, DRAW_PLACES), o->bits, place);
    for (int i = 0; i < o->bits; i++) {
        int32_t one = i < k ? (int32_t)as_below(sign, (uint64_t)i, 2) : 0;
        e->x[X][place[i]] = i >= k ? 0.0f : one ? 1.0f : -1.0f;
        odd ^= one;
    }
    e->i[TARGET][0] = odd;
    e->length = 1;
}

/* The product of (-1)^[x_i = 1]: a sign, instead of a count. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    int sign = 1, nonzero = 0;
    for (int i = 0; i < o->bits; i++) {
        float x = e->x[X][i];
        if (x < -1 || x > 1 || (x > -1 && x < 0) || (x > 0 && x < 1))
            return as_say("parity-vector: element %d is %g, not -1, 0 or 1", i, (double)x);
        sign = x > 0 ? -sign : sign;
        nonzero += x < 0 || x > 0;
    }
    if (nonzero < o->nonzero.lo || nonzero > o->nonzero.hi)
        return as_say("parity-vector: %d elements are not 0; %d..%d were asked for", nonzero, o->nonzero.lo,
                      o->nonzero.hi);
    if (e->i[TARGET][0] != (sign < 0))
        return as_say("parity-vector: the number of ones is %s, but the target is %d", sign < 0 ? "odd" : "even",
                      (int)e->i[TARGET][0]);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "parity of a vector of -1, 0 and 1, seen in one step",
    .origin = "Graves 2016, https://arxiv.org/abs/1603.08983, section 3.1",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__parity_vector) = { .abi = ASSAY_ABI, .source = &source };

/* noise-tokens: independent tokens, each step asked for the next one. There is nothing to learn: no model that has not
 * seen the answer gets below ln V nats a step, and training steps cost what they cost in any language model of this size.
 * For measuring speed (bench/table.tsv), and for finding a leak of the target into the model.
 *     x        3 0 2 2
 *     target   0 2 2 .                                  the last step has no next one, and is not asked
 */
#include <assay/registry.h>
#include <assay/source.h>

struct options { int length, vocabulary; };
enum { X, TARGET };

static const struct as_option options[] = {
    { .key = "length", .type = AS_INT, .offset = offsetof(struct options, length), .def = 64, .min = 2, .max = 65536,
      .sweep = "64,256", .help = "tokens T per sequence" },
    { .key = "vocabulary", .type = AS_INT, .offset = offsetof(struct options, vocabulary), .def = 64, .min = 2,
      .max = 65536, .sweep = "64,1024", .help = "tokens V, equally likely" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;

    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = o->vocabulary };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->n_fields = 2;
    s->max_length = o->length;
    s->classes = o->vocabulary;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);

    (void)split;            /* the key's role keeps the splits apart */
    e->length = o->length;
    for (int t = 0; t < o->length; t++) {
        e->i[X][t] = (int32_t)as_below(own, (uint64_t)t, (uint32_t)o->vocabulary);
        if (t > 0)
            e->i[TARGET][t - 1] = e->i[X][t];
    }
    e->i[TARGET][o->length - 1] = -1;
}

/* What one step asks for the next one shows. */
static const char *answer(const void *opt, const struct as_example *e)
{
    (void)opt;
    for (ptrdiff_t t = 0; t < e->length; t++) {
        int32_t next = t + 1 < e->length ? e->i[X][t + 1] : -1;

        if (e->i[TARGET][t] != next)
            return as_say("noise-tokens: step %td asks for %d, and the next one is %d", t, (int)e->i[TARGET][t], (int)next);
    }
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "independent tokens, each step asked for the next: nothing to learn, for measuring speed",
    .origin = "a generator of Assay",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__noise_tokens) = { .abi = ASSAY_ABI, .source = &source };

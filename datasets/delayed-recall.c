/* delayed-recall: a symbol, a delay full of distractors, a question: which symbol was it?
 *
 * The latch problem of Bengio, Simard and Frasconi 1994 and the long time lags of Hochreiter and Schmidhuber 1997
 * (experiment 2), several times in one sequence:
 *     s_1 d d ... d ?   s_2 d d ... d ?   ...       s_i one of `symbols`, d each one of `distractors`, all uniform
 * The answer to the i-th question is s_i; nothing is asked anywhere else. Symbols and distractors are different
 * tokens, so what has to be kept is known from the token itself; distractors are many, so that a memory that simply
 * adds up what it sees is full of them. Chance is 1 / symbols.
 */
#include <assay/registry.h>
#include <assay/source.h>

struct options { struct as_range delay; int symbols, distractors, trials; };
enum { X, TARGET };
enum { DRAW_SYMBOLS, DRAW_DELAYS, DRAW_DISTRACTORS };

static const struct as_option options[] = {
    { .key = "delay", .type = AS_RANGE, .offset = offsetof(struct options, delay), .words = "50", .min = 0,
      .max = 1 << 16, .help = "distractors between symbol and question, drawn uniformly for each" },
    { .key = "symbols", .type = AS_INT, .offset = offsetof(struct options, symbols), .def = 4, .min = 2, .max = 4096,
      .sweep = "2,4,8", .help = "what there is to remember" },
    { .key = "distractors", .type = AS_INT, .offset = offsetof(struct options, distractors), .def = 32, .min = 1,
      .max = 4096, .sweep = "1,32", .help = "different distractors" },
    { .key = "trials", .type = AS_INT, .offset = offsetof(struct options, trials), .def = 1, .min = 1, .max = 64,
      .sweep = "1,2", .help = "questions of a sequence, one after the other" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = o->symbols + o->distractors + 1 };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 1, .dim = { AS_TIME },
                                               .vocab = o->symbols };
    s->n_fields = 2;
    s->max_length = (ptrdiff_t)o->trials * (o->delay.hi + 2);
    s->classes = o->symbols;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), symbol = as_subkey(own, DRAW_SYMBOLS);
    struct as_key delay = as_subkey(own, DRAW_DELAYS), distractor = as_subkey(own, DRAW_DISTRACTORS);
    ptrdiff_t t = 0;
    (void)split;            /* the key's role keeps the splits apart */
    for (int i = 0; i < o->trials; i++) {
        int32_t s = (int32_t)as_below(symbol, (uint64_t)i, (uint32_t)o->symbols);
        int d = as_range_draw(o->delay, delay, (uint64_t)i);
        e->i[X][t] = s;
        e->i[TARGET][t++] = -1;
        for (; d > 0; d--, t++) {
            e->i[X][t] = o->symbols + (int32_t)as_below(distractor, (uint64_t)t, (uint32_t)o->distractors);
            e->i[TARGET][t] = -1;
        }
        e->i[X][t] = o->symbols + o->distractors;
        e->i[TARGET][t++] = s;
    }
    e->length = t;
}

/* From the end to the start: a question waits for the symbol that comes before it. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    int32_t question = o->symbols + o->distractors, wanted = -1;
    int open = 0, trials = 0;
    for (ptrdiff_t t = e->length - 1; t >= 0; t--) {
        int32_t x = e->i[X][t], target = e->i[TARGET][t];
        if ((x == question) != (target >= 0))
            return as_say("delayed-recall: step %td holds %d and has the target %d", t, (int)x, (int)target);
        if (x == question) {
            if (open++)
                return as_say("delayed-recall: no symbol stands behind the question of step %td", t);
            wanted = target;
            trials++;
        } else if (x < o->symbols) {
            if (!open--)
                return as_say("delayed-recall: nothing asks for the symbol of step %td", t);
            if (wanted != x)
                return as_say("delayed-recall: step %td holds symbol %d, but its target is %d", t, (int)x, (int)wanted);
        }
    }
    return open || trials != o->trials ? as_say("delayed-recall: %d questions instead of %d", trials, o->trials) : NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "recall of one symbol after a delay full of distractors",
    .origin = "after Bengio et al. 1994, https://doi.org/10.1109/72.279181, and Hochreiter and Schmidhuber 1997",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__delayed_recall) = { .abi = ASSAY_ABI, .source = &source };

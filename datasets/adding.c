/* adding: the sum of the two marked numbers of a long sequence.
 *
 * The adding problem (Hochreiter and Schmidhuber 1997, experiment 4) in the form of Le et al. 2015
 * (https://arxiv.org/abs/1504.00941) and Arjovsky et al. 2016: x_t = (u_t, m_t), u_t uniform on (0, 1), m_t = 1 at one
 * step of the first half and one of the second, else 0; target = sum of the u_t with m_t = 1. Always answering 1 has a
 * squared error of 1/6. Departs: the original of 1997 marks one of the first ten steps and has markers at the ends.
 */
#include <assay/registry.h>
#include <assay/source.h>
#include <math.h>

struct options { struct as_range length; };
enum { X, TARGET };
enum { DRAW_LENGTH, DRAW_FIRST, DRAW_SECOND, DRAW_NUMBERS };

static const struct as_option options[] = {
    { .key = "length", .type = AS_RANGE, .offset = offsetof(struct options, length), .words = "100", .min = 2,
      .max = 1 << 20, .help = "steps per sequence, drawn uniformly" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, 2 } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .rank = 1, .dim = { 1 } };
    s->n_fields = 2;
    s->max_length = o->length.hi;
    s->classes = 1;
    s->per_step = false;
    s->metric = "mse";
    s->objective = "mse";
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), number = as_subkey(own, DRAW_NUMBERS);
    ptrdiff_t length = as_range_draw(o->length, own, DRAW_LENGTH), half = length / 2;
    ptrdiff_t first = (ptrdiff_t)as_below(own, DRAW_FIRST, (uint32_t)half);
    ptrdiff_t second = half + (ptrdiff_t)as_below(own, DRAW_SECOND, (uint32_t)(length - half));
    float *x = e->x[X];                                     /* (time, 2) */
    (void)split;            /* the key's role keeps the splits apart */
    e->length = length;
    for (ptrdiff_t t = 0; t < length; t++) {
        x[2 * t] = as_uniform(number, (uint64_t)t);
        x[2 * t + 1] = t == first || t == second;
    }
    e->x[TARGET][0] = x[2 * first] + x[2 * second];
}

/* The inner product of numbers and marks, in double; the target was rounded to float once. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const float *x = e->x[X];
    double sum = 0, marks = 0;
    (void)opt;
    for (ptrdiff_t t = e->length - 1; t >= 0; t--) {
        sum += (double)x[2 * t] * (double)x[2 * t + 1];
        marks += (double)x[2 * t + 1];
    }
    if (marks < 2 || marks > 2)
        return as_say("adding: %g marks instead of 2", marks);
    if (!(fabs(sum - (double)e->x[TARGET][0]) <= 1.5e-7))
        return as_say("adding: the marked numbers add up to %.9g, but the target is %.9g", sum,
                      (double)e->x[TARGET][0]);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "the adding problem: sum of two marked numbers",
    .origin = "Le et al. 2015, https://arxiv.org/abs/1504.00941",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__adding) = { .abi = ASSAY_ABI, .source = &source };

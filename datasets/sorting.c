/* sorting: in which order do n numbers rise?
 *
 * The sorting of Vinyals, Bengio and Kudlur 2016 (https://arxiv.org/abs/1511.06391), section 5.1, as a task for pointing:
 * numbers uniform on (0, 1); the answer is where the smallest stands, then the next, and so on, of equal ones the first
 * first. Departs: the mark that closes is row 0 of the input (pointing.h), though the length is known.
 */
#include "pointing.h"

enum { DRAW_N, DRAW_NUMBERS };

static const struct as_option options[] = {
    { .key = "n", .type = AS_RANGE, .offset = offsetof(struct options, n), .words = "5..10", .min = 2, .max = MOST,
      .help = "n: numbers of an example, drawn uniformly" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s) { pointing_shape(opt, 1, s); }

/* By insertion: a number moves down past those that are larger. */
static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), numbers = as_subkey(own, DRAW_NUMBERS);
    ptrdiff_t n = as_range_draw(o->n, own, DRAW_N);
    int32_t row[MOST];

    (void)split;            /* the key's role keeps the splits apart */
    for (int32_t r = 1; r <= n; r++) {
        ptrdiff_t i = r - 1;

        e->x[X][r] = as_uniform(numbers, (uint64_t)r);
        for (; i > 0 && e->x[X][row[i - 1]] > e->x[X][r]; i--)
            row[i] = row[i - 1];
        row[i] = r;
    }
    pointing_write(e, 1, n, row, n);
}

/* By rank: as many stand before a number as are smaller, or equal and earlier. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const float *x = e->x[X];
    int32_t row[MOST];
    ptrdiff_t n = e->length - 1;

    (void)opt;
    if (n < 2 || n > MOST)
        return as_say("sorting: it has %td numbers", n);
    for (int32_t r = 1; r <= n; r++) {
        ptrdiff_t before = 0;

        for (int32_t s = 1; s <= n; s++)
            before += x[s] < x[r] || (s < r && !(x[s] > x[r]));
        row[before] = r;
    }
    return pointing_answer("sorting", e, 1, row, n);
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "the places of numbers in rising order",
    .origin = "after Vinyals et al. 2016, https://arxiv.org/abs/1511.06391",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__sorting) = { .abi = ASSAY_ABI, .source = &source };

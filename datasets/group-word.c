/* group-word: the word problem of a finite group: the product of all elements so far, asked for at every step.
 *
 * S3 is solvable with two steps, A5 and S5 are not solvable: by Barrington (1989) their word problems are complete for
 * NC1, which separates architectures (Liu et al. 2023, https://arxiv.org/abs/2210.10749; Merrill et al. 2024,
 * https://arxiv.org/abs/2404.08819; DeltaProduct, Siems et al. 2025). Tokens are elements, uniform and independent:
 *     y_t = x_t y_(t-1),   y_0 = identity,   (g h)(i) = g(h(i)):  x_1 acts first.
 * Element number k is the k-th permutation in lexicographic order (of the even ones for A5); 0 is the identity. The
 * first steps are easy (y_1 = x_1): claims should look at late positions. Train and test may share short words.
 */
#include <assay/registry.h>
#include <assay/source.h>

struct options { int group; struct as_range length; };
enum { S3, A5, S5 };
enum { X, TARGET };
#define POINTS 5                     /* of the largest group */

static const struct { int points, order; bool even; } groups[] = {
    [S3] = { 3, 6, false }, [A5] = { 5, 60, true }, [S5] = { 5, 120, false },
};

static const struct as_option options[] = {
    { .key = "group", .type = AS_WORD, .offset = offsetof(struct options, group), .words = "s3|a5|s5", .def = S5,
      .sweep = "s3,a5,s5", .help = "the group" },
    { .key = "length", .type = AS_RANGE, .offset = offsetof(struct options, length), .words = "3..32", .min = 1,
      .max = 1 << 20, .help = "elements per word, drawn uniformly" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct options *o = opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME },
                                          .vocab = groups[o->group].order };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->n_fields = 2;
    s->max_length = o->length.hi;
    s->classes = groups[o->group].order;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* The permutation with lexicographic number `rank` among those of n points, by its Lehmer code. */
static void unrank(int n, int rank, int *g)
{
    int left[POINTS], weight = 1;
    for (int i = 0; i < n; i++)
        left[i] = i;
    for (int i = 2; i < n; i++)
        weight *= i;
    for (int i = 0; i < n; i++) {
        int digit = rank / weight;
        rank %= weight;
        g[i] = left[digit];
        for (int j = digit; j < n - 1 - i; j++)
            left[j] = left[j + 1];
        if (i < n - 1)
            weight /= n - 1 - i;
    }
}

static int rank_of(int n, const int *g)
{
    int rank = 0;
    for (int i = 0; i < n; i++) {
        int smaller = 0;
        for (int j = i + 1; j < n; j++)
            smaller += g[j] < g[i];
        rank = rank * (n - i) + smaller;
    }
    return rank;
}

static bool is_even(int n, const int *g)
{
    int inversions = 0;
    for (int i = 0; i < n; i++)
        for (int j = i + 1; j < n; j++)
            inversions += g[j] < g[i];
    return inversions % 2 == 0;
}

/* Lexicographic neighbours 2k and 2k + 1 differ by one exchange, so exactly one of them is even: element k of A_n. */
static void element(int group, int k, int *g)
{
    int n = groups[group].points;
    unrank(n, groups[group].even ? 2 * k : k, g);
    if (groups[group].even && !is_even(n, g)) {
        int last = g[n - 1];
        g[n - 1] = g[n - 2];
        g[n - 2] = last;
    }
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);
    int n = groups[o->group].points, product[POINTS], g[POINTS];
    (void)split;            /* the key's role keeps the splits apart */
    for (int i = 0; i < n; i++)
        product[i] = i;
    e->length = as_range_draw(o->length, own, 0);
    for (ptrdiff_t t = 0; t < e->length; t++) {
        int k = (int)as_below(own, 1 + (uint64_t)t, (uint32_t)groups[o->group].order);
        element(o->group, k, g);
        for (int i = 0; i < n; i++)
            product[i] = g[product[i]];
        int rank = rank_of(n, product);
        e->i[X][t] = k;
        e->i[TARGET][t] = groups[o->group].even ? rank / 2 : rank;
    }
}

/* The next permutation in lexicographic order; false after the last. */
static bool next(int n, int *g)
{
    int i = n - 2, j = n - 1;
    while (i >= 0 && g[i] > g[i + 1])
        i--;
    if (i < 0)
        return false;
    while (g[j] < g[i])
        j--;
    int swap = g[i]; g[i] = g[j]; g[j] = swap;
    for (int a = i + 1, b = n - 1; a < b; a++, b--) {
        swap = g[a]; g[a] = g[b]; g[b] = swap;
    }
    return true;
}

/* A permutation is even when n minus its number of cycles is. */
static bool even_by_cycles(int n, const int *g)
{
    int cycles = 0;
    bool seen[POINTS] = { false };
    for (int i = 0; i < n; i++) {
        cycles += !seen[i];
        for (int j = i; !seen[j]; j = g[j])
            seen[j] = true;
    }
    return (n - cycles) % 2 == 0;
}

/* Lists the group by stepping through all permutations, keeps the image of each point under the product so far, and
 * looks the element up in the list. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    int n = groups[o->group].points, order = 0, list[120][POINTS], g[POINTS], image[POINTS];
    for (int i = 0; i < n; i++)
        g[i] = image[i] = i;
    do {
        if (!groups[o->group].even || even_by_cycles(n, g)) {
            for (int i = 0; i < n; i++)
                list[order][i] = g[i];
            order++;
        }
    } while (next(n, g));
    for (ptrdiff_t t = 0; t < e->length; t++) {
        if (e->i[X][t] < 0 || e->i[X][t] >= order)
            return as_say("group-word: step %td holds %d, not an element", t, (int)e->i[X][t]);
        int found = -1;
        for (int i = 0; i < n; i++)
            image[i] = list[e->i[X][t]][image[i]];
        for (int k = 0; k < order && found < 0; k++) {
            int same = 0;
            for (int i = 0; i < n; i++)
                same += list[k][i] == image[i];
            if (same == n)
                found = k;
        }
        if (e->i[TARGET][t] != found)
            return as_say("group-word: the product up to step %td is element %d, but the target is %d", t, found,
                          (int)e->i[TARGET][t]);
    }
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "product of all group elements so far (S3, A5, S5)",
    .origin = "Merrill et al. 2024, https://arxiv.org/abs/2404.08819",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__group_word) = { .abi = ASSAY_ABI, .source = &source };

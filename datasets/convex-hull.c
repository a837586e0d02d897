/* convex-hull: which of n points in the plane are the corners of their convex hull, counter-clockwise?
 *
 * Vinyals, Fortunato and Jaitly 2015 (https://arxiv.org/abs/1506.03134), section 3.1: points uniform in the unit square;
 * the answer begins at the corner whose index is lowest, a choice without meaning that makes the answer unique, and goes
 * round counter-clockwise. Points on an edge are no corners. Coordinates are multiples of 2^-24 (as_uniform()), so all
 * that is computed of them here is exact in double. Departs: the mark that closes is row 0 of the input (pointing.h).
 */
#include "pointing.h"

enum { DRAW_N, DRAW_POINTS };

static const struct as_option options[] = {
    { .key = "n", .type = AS_RANGE, .offset = offsetof(struct options, n), .words = "5..10", .min = 3, .max = MOST,
      .help = "n: points of an example, drawn uniformly" },
    { 0 }
};

static void shape(const void *opt, struct as_data_shape *s) { pointing_shape(opt, 2, s); }

/* Above 0: on the way from row a to row b, row c lies to the left. */
static double turn(const float *x, int32_t a, int32_t b, int32_t c)
{
    double ax = (double)x[2 * a], ay = (double)x[2 * a + 1];

    return ((double)x[2 * b] - ax) * ((double)x[2 * c + 1] - ay) - ((double)x[2 * b + 1] - ay) * ((double)x[2 * c] - ax);
}

/* The square of the distance between two rows. */
static double apart(const float *x, int32_t a, int32_t b)
{
    double dx = (double)x[2 * b] - (double)x[2 * a], dy = (double)x[2 * b + 1] - (double)x[2 * a + 1];

    return dx * dx + dy * dy;
}

/* row (count) begins at its lowest number; turned: (count), written. */
static void from_lowest(const int32_t *row, ptrdiff_t count, int32_t *turned)
{
    ptrdiff_t first = 0;

    for (ptrdiff_t i = 1; i < count; i++)
        first = row[i] < row[first] ? i : first;
    for (ptrdiff_t i = 0; i < count; i++)
        turned[i] = row[(first + i) % count];
}

/* Andrew's monotone chain (1979): from left to right below all points, then back above them, taking out what is no
 * left turn. corner: room for 2 n; returns how many there are. */
static ptrdiff_t chain(const float *x, ptrdiff_t n, int32_t *corner)
{
    int32_t sorted[MOST];
    ptrdiff_t k = 0, least;

    for (int32_t r = 1; r <= n; r++) {
        ptrdiff_t i = r - 1;

        for (; i > 0; i--) {
            float dx = x[2 * r] - x[2 * sorted[i - 1]], dy = x[2 * r + 1] - x[2 * sorted[i - 1] + 1];

            if (dx > 0 || (!(dx < 0) && dy >= 0))
                break;
            sorted[i] = sorted[i - 1];
        }
        sorted[i] = r;
    }
    for (ptrdiff_t i = 0; i < n; corner[k++] = sorted[i++])
        while (k >= 2 && turn(x, corner[k - 2], corner[k - 1], sorted[i]) <= 0)
            k--;
    least = k + 1;
    for (ptrdiff_t i = n - 2; i >= 0; corner[k++] = sorted[i--])
        while (k >= least && turn(x, corner[k - 2], corner[k - 1], sorted[i]) <= 0)
            k--;
    return k - 1;                           /* the first stands there twice */
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index), points = as_subkey(own, DRAW_POINTS);
    ptrdiff_t n = as_range_draw(o->n, own, DRAW_N), count;
    int32_t corner[2 * MOST], row[MOST];

    (void)split;            /* the key's role keeps the splits apart */
    for (ptrdiff_t i = 0; i < 2 * n; i++)
        e->x[X][2 + i] = as_uniform(points, (uint64_t)i);
    count = chain(e->x[X], n, corner);
    from_lowest(corner, count, row);
    pointing_write(e, 2, n, row, count);
}

/* Jarvis' march (1973): from a corner to the point that has none to its right, the farthest of those in line. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const float *x = e->x[X];
    int32_t corner[MOST], row[MOST], first = 1, at, n = (int32_t)e->length - 1;
    ptrdiff_t count = 0;

    (void)opt;
    if (n < 3 || n > MOST)
        return as_say("convex-hull: it has %d points", (int)n);
    for (int32_t r = 2; r <= n; r++)
        if (x[2 * r + 1] < x[2 * first + 1] || (!(x[2 * r + 1] > x[2 * first + 1]) && x[2 * r] < x[2 * first]))
            first = r;
    at = first;
    do {
        int32_t next = at == 1 ? 2 : 1;

        if (count == n)
            return "convex-hull: the march does not end";
        corner[count++] = at;
        for (int32_t r = 1; r <= n; r++) {
            double left = turn(x, at, next, r), there = apart(x, at, next), farther = apart(x, at, r);

            if (r != at && (left < 0 || (!(left > 0) && farther > there)))
                next = r;
        }
        at = next;
    } while (at != first);
    from_lowest(corner, count, row);
    return pointing_answer("convex-hull", e, 2, row, count);
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "the corners of the convex hull of points in the unit square, counter-clockwise",
    .origin = "Vinyals et al. 2015, https://arxiv.org/abs/1506.03134",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__convex_hull) = { .abi = ASSAY_ABI, .source = &source };

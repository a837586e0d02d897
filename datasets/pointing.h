/* pointing.h: what sources share whose answer is a sequence of places in their own input (Vinyals et al. 2015,
 * https://arxiv.org/abs/1506.03134).
 *
 * n elements of `width` numbers stand in rows 1..n; row 0 is the mark, zeros. An example has n + 1 steps:
 *     x       (time, width): the mark, then the elements
 *     target  (time): the rows asked for in their order, then 0, the mark, which closes; -1 at the steps left over
 *     prefix  (time, width): what a decoder is fed while it is trained: the mark (nothing has been pointed at), then
 *             x[target[0]], x[target[1]], ...; zeros after the end
 * So the alphabet of an example is 0..n, as long as its input.
 */
#include <assay/registry.h>
#include <assay/source.h>
#include <string.h>

enum { MOST = 512 };                        /* elements of an example */
enum { X, TARGET, PREFIX };
struct options { struct as_range n; };

static void pointing_shape(const struct options *o, ptrdiff_t width, struct as_data_shape *s)
{
    s->field[X] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, width } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 1, .dim = { AS_TIME },
                                               .vocab = o->n.hi + 1 };
    s->field[PREFIX] = (struct as_data_field){ .name = "prefix", .rank = 2, .dim = { AS_TIME, width } };
    s->n_fields = 3;
    s->max_length = o->n.hi + 1;
    s->classes = o->n.hi + 1;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* The elements stand in x; row (count): those asked for. */
static void pointing_write(struct as_example *e, ptrdiff_t width, ptrdiff_t n, const int32_t *row, ptrdiff_t count)
{
    size_t bytes = (size_t)width * sizeof(float);

    e->length = n + 1;
    memset(e->x[X], 0, bytes);
    memset(e->x[PREFIX], 0, (size_t)(n + 1) * bytes);
    for (ptrdiff_t i = 0; i <= n; i++)
        e->i[TARGET][i] = i < count ? row[i] : i == count ? 0 : -1;
    for (ptrdiff_t i = 0; i < count; i++)
        memcpy(e->x[PREFIX] + (i + 1) * width, e->x[X] + row[i] * width, bytes);
}

/* NULL, or where the example asks for anything but row (count). */
static const char *pointing_answer(const char *name, const struct as_example *e, ptrdiff_t width, const int32_t *row,
                                   ptrdiff_t count)
{
    for (ptrdiff_t j = 0; j < width; j++)
        if (e->x[X][j] < 0 || e->x[X][j] > 0)
            return as_say("%s: row 0 is the mark and holds %g", name, (double)e->x[X][j]);
    for (ptrdiff_t i = 0; i < e->length; i++) {
        int32_t want = i < count ? row[i] : i == count ? 0 : -1, fed = i > 0 && i <= count ? row[i - 1] : 0;

        if (e->i[TARGET][i] != want)
            return as_say("%s: step %td asks for row %d, but it should be %d", name, i, (int)e->i[TARGET][i], (int)want);
        if (memcmp(e->x[PREFIX] + i * width, e->x[X] + fed * width, (size_t)width * sizeof(float)) != 0)
            return as_say("%s: step %td is fed with anything but row %d", name, i, (int)fed);
    }
    return NULL;
}

/* gaussian-mixture-2d: points of the plane from one of eight components, for what generates samples or tells components
 * apart. Every component is as likely as any other.
 *     eight-gaussians   component k: radius (cos(k pi/4), sin(k pi/4)) + sd normal
 *     checkerboard      the dark fields of a board of 4 x 4 over [-radius, radius]^2, uniform within; component 2 i + j/2
 *                       is the field in row i and column j, i + j even
 * An example is one step long, so a multi-layer perceptron reads it as it is.
 */
#include <assay/registry.h>
#include <assay/source.h>
#include <math.h>

enum { X, TARGET };
enum { GAUSSIANS, CHECKERBOARD };
enum { COMPONENTS = 8, FIELDS = 4 };

struct options { int kind; double radius, sd; };

static const struct as_option options[] = {
    { .key = "kind", .type = AS_WORD, .offset = offsetof(struct options, kind), .def = GAUSSIANS,
      .words = "eight-gaussians|checkerboard", .sweep = "eight-gaussians,checkerboard", .help = "what is mixed" },
    { .key = "radius", .type = AS_NUM, .offset = offsetof(struct options, radius), .def = 2, .min = 0.1, .max = 100,
      .help = "of the circle of centres; half a side of the board" },
    { .key = "sd", .type = AS_NUM, .offset = offsetof(struct options, sd), .def = 0.1, .min = 0.001, .max = 5,
      .sweep = "0.05,0.1", .help = "of a Gaussian, in each direction" },
    { 0 }
};

/* Half of what is between two centres is radius sin(pi/8), and no draw is further out than seven deviations. */
static const char *check(const void *opt)
{
    const struct options *o = opt;
    if (o->kind == GAUSSIANS && 7 * o->sd > 0.38 * o->radius)
        return as_say("gaussian-mixture-2d: with sd = %g and radius = %g components meet, and nobody can say which one a "
                      "point is from; take sd <= %g", o->sd, o->radius, 0.38 * o->radius / 7);
    return NULL;
}

static void shape(const void *opt, struct as_data_shape *s)
{
    (void)opt;
    s->field[X] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, 2 } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .integer = true, .rank = 0, .vocab = COMPONENTS };
    s->n_fields = 2;
    s->max_length = 1;
    s->classes = COMPONENTS;
    s->per_step = false;
    s->metric = "accuracy";
    s->objective = "ce";
}

/* Within a field, off its edges, where rounding could carry a point over. */
static float inside(struct as_key key, uint64_t index)
{
    return 1e-5f + (1 - 2e-5f) * as_uniform(key, index);
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct options *o = opt;
    struct as_key own = as_subkey(key, index);
    int32_t k = (int32_t)as_below(own, 0, COMPONENTS);
    float *x = e->x[X], radius = (float)o->radius, sd = (float)o->sd;
    (void)split;            /* the key's role keeps the splits apart */
    if (o->kind == GAUSSIANS) {
        double angle = 0.78539816339744831 * k;
        x[0] = radius * (float)cos(angle) + sd * as_normal(own, 1);
        x[1] = radius * (float)sin(angle) + sd * as_normal(own, 2);
    } else {
        int row = k / 2, column = 2 * (k % 2) + row % 2;
        x[0] = radius * (((float)column + inside(own, 1)) / 2 - 1);
        x[1] = radius * (((float)row + inside(own, 2)) / 2 - 1);
    }
    e->i[TARGET][0] = k;
    e->length = 1;
}

/* By the angle, or by the field in which the point lies. */
static const char *answer(const void *opt, const struct as_example *e)
{
    const struct options *o = opt;
    double x = (double)e->x[X][0], y = (double)e->x[X][1];
    int k;
    if (o->kind == GAUSSIANS) {
        k = ((int)lround(atan2(y, x) / 0.78539816339744831) + COMPONENTS) % COMPONENTS;
    } else {
        int column = (int)floor((x / o->radius + 1) * 2), row = (int)floor((y / o->radius + 1) * 2);
        if (column < 0 || column >= FIELDS || row < 0 || row >= FIELDS || (row + column) % 2)
            return as_say("gaussian-mixture-2d: (%g, %g) is on no dark field", x, y);
        k = 2 * row + column / 2;
    }
    if (e->i[TARGET][0] != k)
        return as_say("gaussian-mixture-2d: (%g, %g) is of component %d, but the target is %d", x, y, k,
                      (int)e->i[TARGET][0]);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "points of the plane from eight Gaussians, or from the dark fields of a checkerboard",
    .origin = "a common toy for generative models, as in Grathwohl et al. 2019, https://arxiv.org/abs/1810.01367",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct options),
    .check = check, .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__gaussian_mixture_2d) = { .abi = ASSAY_ABI, .source = &source };

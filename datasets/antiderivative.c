/* antiderivative: G(u)(y) = int_0^y u(t) dt on [0, 1], the simplest operator of Lu et al. 2021, "Learning nonlinear
 * operators via DeepONet" (section "a simple 1D dynamic system"): ds/dx = u(x), s(0) = 0. Functions and sensors are
 * those of operator.h; by default as in the authors' code, 100 sensors and length scale 0.2.
 *
 * The target is the integral of the function itself in closed form, mode by mode; answer() integrates numerically.
 * Departs: the authors draw values on a grid of 1,000 points, interpolate, and solve the equation to a tolerance.
 */
#include "operator.h"

static const struct as_option options[] = { OPERATOR_OPTIONS, { 0 } };

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    struct as_field f = begin(opt, key, index, e);

    (void)split;                     /* the key's role keeps the splits apart */
    e->x[TARGET][0] = (float)as_field_integral(&f, e->x[XI], (double)e->x[Y][0]);
}

/* Simpson's rule. At the shortest length scale its error is some 1e-7. */
static const char *answer(const void *opt, const struct as_example *e)
{
    enum { INTERVALS = 512 };
    const struct operator *o = opt;
    double y = (double)e->x[Y][0], h = y / INTERVALS, sum = 0;
    struct as_field f;
    const char *why;

    as_field_open(&f, extent(o), o->length_scale);
    why = same_function(o, &f, e);
    if (why)
        return why;
    for (int i = 0; i <= INTERVALS; i++)
        sum += (i == 0 || i == INTERVALS ? 1 : i % 2 ? 4 : 2) * as_field_at(&f, e->x[XI], i * h);
    sum *= h / 3;
    if (!(fabs(sum - (double)e->x[TARGET][0]) <= 1e-6))
        return as_say("the integral of u from 0 to %.9g is %.9g, but the target is %.9g", y, sum,
                      (double)e->x[TARGET][0]);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "the antiderivative operator on random functions, at random points",
    .origin = "Lu et al. 2021, https://doi.org/10.1038/s42256-021-00302-5",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct operator),
    .check = check, .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__antiderivative) = { .abi = ASSAY_ABI, .source = &source };

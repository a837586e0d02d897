/* pendulum: G(u)(t) = s_1(t), the angle of a pendulum that is pushed by u:
 *
 *   ds_1/dt = s_2,   ds_2/dt = -k sin s_1 + u(t),   s(0) = 0,   k = 1
 *
 * Lu et al. 2021, "Learning nonlinear operators via DeepONet" (gravity pendulum with an external force); a nonlinear
 * operator. Functions and sensors are those of operator.h, on [0, extent].
 *
 * Solved by the classical Runge-Kutta method of fourth order, with steps of at most a 32nd of the length scale (and of
 * 1) up to the time asked for; answer() goes in steps a hundred times shorter with the method of Verlet, of second
 * order. Departs: the authors draw values on a grid, interpolate, and solve to a tolerance.
 */
#include "operator.h"

enum { FINE = 32, FINER = 3200, MOST = 5 };          /* steps per length scale; extent */

static const struct as_option options[] = {
    OPERATOR_OPTIONS,
    { .key = "extent", .type = AS_NUM, .offset = offsetof(struct operator, extent), .def = 1, .min = 0.1, .max = MOST,
      .sweep = "1,3", .help = "T: times are drawn from [0, T]" },
    { 0 }
};

/* Steps up to y. */
static int steps(const struct operator *o, double y, int per_scale)
{
    return 1 + (int)(per_scale * y / fmin(o->length_scale, 1));
}

/* u at the ends and the middle of each step. */
static double angle(const double *u, int n, double h)
{
    double s[2] = { 0 };

    for (int i = 0; i < n; i++) {
        double d[4][2], at[2] = { s[0], s[1] };

        for (int k = 0; k < 4; k++) {
            double far = k == 2 ? h : h / 2;

            d[k][0] = at[1];
            d[k][1] = u[2 * i + (k + 1) / 2] - sin(at[0]);
            at[0] = s[0] + far * d[k][0];
            at[1] = s[1] + far * d[k][1];
        }
        for (int j = 0; j < 2; j++)
            s[j] += h / 6 * (d[0][j] + 2 * d[1][j] + 2 * d[2][j] + d[3][j]);
    }
    return s[0];
}

static void example(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e)
{
    const struct operator *o = opt;
    struct as_field f = begin(o, key, index, e);
    double y = (double)e->x[Y][0], u[2 * FINE * MOST * 20 + 3];
    int n = steps(o, y, FINE);

    (void)split;                     /* the key's role keeps the splits apart */
    as_field_sample(&f, e->x[XI], 0, y / (2 * n), 2 * n + 1, u);
    e->x[TARGET][0] = (float)angle(u, n, y / n);
}

/* Verlet: the angle at t + h from those at t and t - h; s(h) by the series, where s(0) and its slope are 0. */
static const char *answer(const void *opt, const struct as_example *e)
{
    enum { PIECE = 1000 };
    const struct operator *o = opt;
    double y = (double)e->x[Y][0], u[PIECE], was = 0, now, h;
    int n = steps(o, y, FINER);
    struct as_field f;
    const char *why;

    as_field_open(&f, extent(o), o->length_scale);
    why = same_function(o, &f, e);
    if (why)
        return why;
    h = y / n;
    as_field_sample(&f, e->x[XI], 0, h, 2, u);
    now = h * h * (u[0] / 3 + u[1] / 6);                     /* s'' = u(0), s''' = (u(h) - u(0)) / h */
    for (int i = 1; i < n; i++) {
        double next;

        if (i % PIECE == 1)
            as_field_sample(&f, e->x[XI], i * h, h, PIECE, u);
        next = 2 * now - was + h * h * (u[(i - 1) % PIECE] - sin(now));
        was = now;
        now = next;
    }
    if (!(fabs(now - (double)e->x[TARGET][0]) <= 1e-4))
        return as_say("the angle at %.9g is %.9g, but the target is %.9g", y, now, (double)e->x[TARGET][0]);
    return NULL;
}

static const struct as_source source = {
    .abi = ASSAY_ABI,
    .summary = "the angle of a pendulum under a random force, at random times",
    .origin = "Lu et al. 2021, https://doi.org/10.1038/s42256-021-00302-5",
    .licence = "generated",
    .version = 1,
    .options = options, .opt_size = sizeof(struct operator),
    .check = check, .shape = shape, .example = example, .answer = answer,
};

const struct as_plugin AS_PLUGIN(datasets__pendulum) = { .abi = ASSAY_ABI, .source = &source };

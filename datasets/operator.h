/* operator.h: what the sources of operators share: an example is a triple (u, y, G(u)(y)), u a function that is drawn
 * from a random field and read at fixed sensors, y a point of [0, extent].
 *
 * Lu et al. 2021, "Learning nonlinear operators via DeepONet": sensors at equal distances, both ends among them; a
 * function and a point of its own for every example. `xi` are the numbers that make the function (field.h), so
 * that answer() can go back to it: sensors alone, when they are few, do not tell it. A model that reads them is another
 * task.
 *
 * The field x is u at the sensors, for it is what a model reads first; y is the point.
 *
 * pairs > 0: the training set is that many examples, gone through in epochs, and made anew each time. replay: all
 * splits show the training set, from its beginning: for the training error, in an evaluation.
 */
#ifndef DATASETS_OPERATOR_H
#define DATASETS_OPERATOR_H

#include <assay/field.h>
#include <assay/registry.h>
#include <assay/source.h>
#include <math.h>

struct operator { int sensors, pairs, replay; double length_scale, extent; };    /* extent 0: 1 */

enum { U, Y, TARGET, XI, FIELDS };
enum { DRAW_XI, DRAW_Y };

#define OPERATOR_OPTIONS                                                                                              \
    { .key = "sensors", .type = AS_INT, .offset = offsetof(struct operator, sensors), .def = 100, .min = 2,           \
      .max = 4096, .sweep = "10,100", .help = "m: places where u is read" },                                          \
    { .key = "length_scale", .type = AS_NUM, .offset = offsetof(struct operator, length_scale), .def = 0.2,           \
      .min = 0.05, .max = 10, .sweep = "0.1,0.2,0.5", .help = "l of the random field's covariance" },                 \
    { .key = "pairs", .type = AS_INT, .offset = offsetof(struct operator, pairs), .def = 0, .min = 0,                 \
      .max = 100000000, .sweep = "100,1000", .help = "examples of the training set; 0: without end" },                \
    { .key = "replay", .type = AS_BOOL, .offset = offsetof(struct operator, replay), .def = 0,                        \
      .help = "all splits show the training set: in an evaluation, for the training error" }

static double extent(const struct operator *o) { return o->extent > 0 ? o->extent : 1; }

static const char *check(const void *opt)
{
    const struct operator *o = opt;

    if (as_field_modes(extent(o), o->length_scale) > AS_FIELD_MODES)
        return as_say("data.length_scale = %g is too short for functions on [0, %g]; at least %g", o->length_scale,
                      extent(o), extent(o) / 100);
    return NULL;
}

static void shape(const void *opt, struct as_data_shape *s)
{
    const struct operator *o = opt;
    int modes = as_field_modes(extent(o), o->length_scale);

    s->field[U] = (struct as_data_field){ .name = "x", .rank = 1, .dim = { o->sensors } };
    s->field[Y] = (struct as_data_field){ .name = "y", .rank = 1, .dim = { 1 } };
    s->field[TARGET] = (struct as_data_field){ .name = "target", .rank = 1, .dim = { 1 } };
    s->field[XI] = (struct as_data_field){ .name = "xi", .rank = 1, .dim = { 2 * modes + 1 } };
    s->n_fields = FIELDS;
    s->max_length = 1;
    s->classes = 1;
    s->count[AS_TRAIN] = o->pairs;
    s->metric = "mse";
    s->objective = "mse";
}

/* Everything but the target; the field, to make it from. */
static struct as_field begin(const struct operator *o, struct as_key key, uint64_t index, struct as_example *e)
{
    double u[4096];
    struct as_field f;
    struct as_key own;

    if (o->replay) {
        key.role = AS_ROLE_DATA;
        index = o->pairs ? index % (uint64_t)o->pairs : index;
    }
    own = as_subkey(key, index);
    as_field_open(&f, extent(o), o->length_scale);
    as_field_draw(&f, as_subkey(own, DRAW_XI), e->x[XI]);
    as_field_sample(&f, e->x[XI], 0, extent(o) / (o->sensors - 1), o->sensors, u);
    for (int i = 0; i < o->sensors; i++)
        e->x[U][i] = (float)u[i];
    e->x[Y][0] = (float)(extent(o) * (double)as_uniform(own, DRAW_Y));
    e->length = 1;
    return f;
}

/* For answer(): is u at the sensors the function that xi makes, mode by mode? */
static const char *same_function(const struct operator *o, const struct as_field *f, const struct as_example *e)
{
    for (int i = 0; i < o->sensors; i++) {
        double x = extent(o) * i / (o->sensors - 1), u = as_field_at(f, e->x[XI], x);

        if (!(fabs(u - (double)e->x[U][i]) <= 1e-6 * fmax(1, fabs(u))))
            return as_say("u(%g) is %.9g, but the sensor reads %.9g", x, u, (double)e->x[U][i]);
    }
    return NULL;
}

#endif

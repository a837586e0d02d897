/* flow.h: a velocity field v(x, t) that a model computes, for studies of flows between noise and data: x (n, d) goes from
 * noise at t = 1 to data at t = 0 along dx/dt = v(x, t). The model reads x, t and waves of t as one step of a sequence, and
 * gives as many numbers as x has.
 */
#ifndef STUDY_FLOW_H
#define STUDY_FLOW_H

#include <assay/ode.h>
#include <assay/train.h>
#include <math.h>
#include <string.h>

enum { FLOW_TIMES = 5, FLOW_CHUNK = 2000 /* rows of one pass */ };

struct flow { struct as_model *m; struct as_tape *t; ptrdiff_t d; };

/* What as_model_new() is told of such a model's data. */
static inline struct as_data_shape flow_shape(ptrdiff_t d)
{
    struct as_data_shape s = { .n_fields = 1, .max_length = 1, .classes = d };
    s.field[0] = (struct as_data_field){ .name = "x", .rank = 2, .dim = { AS_TIME, d + FLOW_TIMES } };
    return s;
}

static inline void flow_noise(struct as_key key, ptrdiff_t n, real *z)
{
    for (ptrdiff_t i = 0; i < n; i++)
        z[i] = (real)as_normal(key, (uint64_t)i);
}

/* One row of what the model reads: in (d + FLOW_TIMES). */
static inline void flow_input(ptrdiff_t d, const real *x, double t, real *in)
{
    const double turn = 6.283185307179586;
    const double wave[FLOW_TIMES] = { t, cos(turn * t), sin(turn * t), cos(2 * turn * t), sin(2 * turn * t) };
    memcpy(in, x, (size_t)d * sizeof *in);
    for (int i = 0; i < FLOW_TIMES; i++)
        in[d + i] = (real)wave[i];
}

/* v (rows, d) for `in` (rows, d + FLOW_TIMES), which outlives the tape. */
static inline struct as_node *flow_velocity(const struct flow *f, ptrdiff_t rows, real *in, bool training,
                                            struct as_key key)
{
    struct as_arena *a = as_tape_arena(f->t);
    struct as_batch *b = as_arena_zero(a, sizeof *b);
    *b = (struct as_batch){ .batch = rows, .time = 1, .n_fields = 1 };
    b->field[0] = flow_shape(f->d).field[0];
    b->x[0] = in;
    b->length = as_arena_take(a, as_size((size_t)rows, sizeof *b->length));
    for (ptrdiff_t r = 0; r < rows; r++)
        b->length[r] = 1;
    struct as_node *v = as_model_forward(f->m, f->t, b, training, key);
    if (as_node_size(v) != rows * f->d)
        as_fail(AS_REFUSED, "the model gives %td numbers for %td points in %td dimensions; a flow wants one velocity each "
                            "(model = perceptron, read = every)", as_node_size(v), rows, f->d);
    return as_reshape(f->t, v, 2, (ptrdiff_t[]){ rows, f->d });
}

/* A solver's slope. sum (n, d), square: the velocities along the paths, added up; or NULL. */
struct flow_path { const struct flow *f; ptrdiff_t n; double *sum, *square; };

static inline void flow_slope(void *ctx, double t, const real *x, real *dx)
{
    const struct flow_path *p = ctx;
    const struct flow *f = p->f;
    bool was = as_tape_record(f->t, false);
    for (ptrdiff_t at = 0, rows; at < p->n; at += rows) {
        rows = p->n - at < FLOW_CHUNK ? p->n - at : FLOW_CHUNK;
        as_tape_reset(f->t);
        ptrdiff_t width = f->d + FLOW_TIMES;
        real *in = as_arena_take(as_tape_arena(f->t), as_size((size_t)(rows * width), sizeof *in));
        for (ptrdiff_t r = 0; r < rows; r++)
            flow_input(f->d, x + (at + r) * f->d, t, in + r * width);
        const real *v = flow_velocity(f, rows, in, false, (struct as_key){ 0 })->x;
        memcpy(dx + at * f->d, v, (size_t)(rows * f->d) * sizeof *dx);
    }
    as_tape_record(f->t, was);
    for (ptrdiff_t i = 0; p->sum && i < p->n * f->d; i++) {
        p->sum[i] += (double)dx[i];
        *p->square += (double)dx[i] * (double)dx[i];
    }
}

/* x (n, d) = what the flow makes of the noise z (n, d). */
static inline void flow_sample(const struct flow *f, struct as_arena *a, ptrdiff_t n, const real *z,
                               enum as_ode_method method, int steps, real *x)
{
    struct flow_path p = { f, n, NULL, NULL };
    struct as_ode o = { n * f->d, flow_slope, &p };
    memcpy(x, z, (size_t)(n * f->d) * sizeof *x);
    as_ode_solve(&o, a, method, 1, 0, steps, x);
}

/* The integral over t of E |v - (z - x)|^2 along Euler paths from z (n, d) (Liu et al. 2023): z - x is the mean velocity of
 * a path, so this is the mean of |v|^2 less the square of the mean. */
static inline double flow_straightness(const struct flow *f, struct as_arena *a, ptrdiff_t n, const real *z, int steps)
{
    size_t mark = as_arena_mark(a);
    ptrdiff_t size = n * f->d;
    double square = 0, mean = 0, *sum = as_arena_zero(a, as_size((size_t)size, sizeof *sum));
    real *x = as_arena_take(a, as_size((size_t)size, sizeof *x));
    struct flow_path p = { f, n, sum, &square };
    struct as_ode o = { size, flow_slope, &p };
    memcpy(x, z, (size_t)size * sizeof *x);
    as_ode_solve(&o, a, AS_EULER, 1, 0, steps, x);
    for (ptrdiff_t i = 0; i < size; i++)
        mean += sum[i] / steps * (sum[i] / steps);
    as_arena_reset(a, mark);
    return (square / steps - mean) / (double)n;
}

#endif

/* views.h: random views of square grey images, for studies that learn from them without labels. A view is a square part of
 * the image, brought back to the image's size by interpolation between four pixels, and noise on every pixel.
 */
#ifndef STUDY_VIEWS_H
#define STUDY_VIEWS_H

#include <assay/parallel.h>
#include <assay/random.h>
#include <assay/real.h>
#include <math.h>
#include <stdbool.h>

/* The part has between low and high of a side, of the first `global` views between cut and 1; it may reach `shift` pixels
 * over the edge, where zeros stand. */
struct views { ptrdiff_t batch, side; int views, global; double low, cut, shift, noise; };

/* x (batch, side^2); out (views, batch, side^2); draws by key, view and image. */
struct views_of { const struct views *v; const real *x; real *out; struct as_key key; };

static inline double views_pixel(const struct views *v, const real *x, double row, double column)
{
    double last = (double)v->side - 1;
    if (row < 0 || row > last || column < 0 || column > last)
        return 0;
    return (double)x[(ptrdiff_t)row * v->side + (ptrdiff_t)column];
}

/* Between the four pixels around a place; pixel (i, j) is at (i, j). */
static inline double views_between(const struct views *v, const real *x, double row, double column)
{
    double r = floor(row), c = floor(column), down = row - r, right = column - c;
    double upper = (1 - right) * views_pixel(v, x, r, c) + right * views_pixel(v, x, r, c + 1);
    double lower = (1 - right) * views_pixel(v, x, r + 1, c) + right * views_pixel(v, x, r + 1, c + 1);
    return (1 - down) * upper + down * lower;
}

static inline void views_one(void *ctx, ptrdiff_t piece)
{
    const struct views_of *w = ctx;
    const struct views *v = w->v;
    ptrdiff_t pixels = v->side * v->side;
    const real *x = w->x + piece % v->batch * pixels;
    struct as_key own = as_subkey(w->key, (uint64_t)piece);
    bool global = piece / v->batch < v->global;
    double low = global ? v->cut : v->low, high = global ? 1 : v->cut;
    double part = low + (high - low) * (double)as_uniform(own, 0);
    double room = (1 - part) * (double)v->side + 2 * v->shift;
    double top = room * (double)as_uniform(own, 1) - v->shift, left = room * (double)as_uniform(own, 2) - v->shift;
    for (ptrdiff_t i = 0; i < pixels; i++) {
        double row = top + part * ((double)(i / v->side) + 0.5) - 0.5;
        double column = left + part * ((double)(i % v->side) + 0.5) - 0.5;
        double noise = v->noise > 0 ? v->noise * (double)as_normal(own, (uint64_t)(3 + i)) : 0;
        w->out[piece * pixels + i] = (real)(views_between(v, x, row, column) + noise);
    }
}

static inline void views_make(const struct views *v, const real *x, struct as_key key, real *out)
{
    struct views_of w = { v, x, out, key };
    ptrdiff_t n = v->views * v->batch;
    as_parallel(n, 60.0 * (double)(n * v->side * v->side), views_one, &w);
}

#endif

/* core_run.h: one run of a core by an implementation that is called directly, in float or double, on drawn numbers; for
 * core_case.c. */
#ifndef ASSAY_TESTS_CORE_RUN_H
#define ASSAY_TESTS_CORE_RUN_H

#include "core_case.h"
#include "numbers.h"

#include <assay/parallel.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EPSILON 1.1920929e-7

enum { MOST_PORTS = 5, ARRAYS = 1 + MOST_PORTS };     /* o, then the gradients by port */

/* Everything of one run in one precision, `width` bytes a number. */
struct run {
    const struct core_case *c;
    const struct as_impl *impl;
    int n_in;
    struct as_spec in[MOST_PORTS], out;
    size_t width;
    ptrdiff_t n[MOST_PORTS], n_out;
    void *x[MOST_PORTS], *dx[MOST_PORTS], *y, *dy, *saved[8], *scratch[8];
};

static struct as_key key_of(uint64_t stream) { return (struct as_key){ 11, AS_ROLE_TEST_HARNESS, stream }; }

/* The same numbers for both precisions: floats by nature. */
static void draw_normal(void *v, size_t width, ptrdiff_t n, uint64_t stream, double scale)
{
    for (ptrdiff_t i = 0; i < n; i++)
        put(v, width, i, (double)(float)(scale * (double)as_normal(key_of(stream), (uint64_t)i)));
}

static void normalise(void *v, size_t width, ptrdiff_t rows, ptrdiff_t n)
{
    for (ptrdiff_t r = 0; r < rows; r++) {
        double sum = 1e-6;

        for (ptrdiff_t i = r * n; i < (r + 1) * n; i++)
            sum += get(v, width, i) * get(v, width, i);
        for (ptrdiff_t i = r * n; i < (r + 1) * n; i++)
            put(v, width, i, (double)(float)(get(v, width, i) / sqrt(sum)));
    }
}

static void fill_port(struct run *r, int port)
{
    const struct core_case *c = r->c;
    double spread = c->spread > 0 ? c->spread : 1;
    void *x = r->x[port];
    char kind = c->ports[port];

    draw_normal(x, r->width, r->n[port], (uint64_t)kind, kind == 'q' || kind == 'k' ? spread : 1);
    if (kind == 'k' && c->unit_keys)
        normalise(x, r->width, r->n[port] / c->dk, c->dk);
    for (ptrdiff_t i = 0; i < r->n[port]; i++) {
        if (kind == 'b')
            put(x, r->width, i, (double)(float)(c->beta_max * (double)as_uniform(key_of('b'), (uint64_t)i)));
        if (kind == 'g' || kind == 'a')
            put(x, r->width, i, (double)(float)(-c->forget * fabs(get(x, r->width, i))));
    }
}

static struct run new_run(const struct core_case *c, const struct as_impl *impl, size_t width, bool gradients)
{
    struct run r = { .c = c, .impl = impl, .width = width, .n_in = (int)strlen(c->ports),
                     .out = { AS_REALS, 4, { c->batch, c->time, c->heads, c->dv }, 0 } };
    struct as_room room = { .opt = c->opt, .n_in = r.n_in, .in = r.in, .out = &r.out, .gradients = gradients };
    ptrdiff_t steps = c->batch * c->time * c->heads;

    r.n_out = steps * c->dv;
    r.y = zeros(width, r.n_out);
    r.dy = zeros(width, r.n_out);
    draw_normal(r.dy, width, r.n_out, 1, 1);
    for (int p = 0; p < r.n_in; p++) {
        ptrdiff_t d = c->ports[p] == 'v' ? c->dv : c->dk;

        bool wide = p < 3 || c->ports[p] == 'a';

        r.in[p] = (struct as_spec){ AS_REALS, wide ? 4 : 3, { c->batch, c->time, c->heads, d }, 0 };
        r.n[p] = wide ? steps * d : steps;
        r.x[p] = zeros(width, r.n[p]);
        r.dx[p] = zeros(width, r.n[p]);
        fill_port(&r, p);
        draw_normal(r.dx[p], width, r.n[p], 2, 0.1);             /* added to, not overwritten */
    }
    if (impl && impl->plan)
        impl->plan(&room);
    for (int i = 0; i < 8; i++) {                                /* nothing may rely on zeros */
        r.saved[i] = zeros(width, (ptrdiff_t)room.saved[i]);
        r.scratch[i] = zeros(width, (ptrdiff_t)room.scratch[i]);
        memset(r.saved[i], 0xff, room.saved[i] * width);         /* NaN */
        memset(r.scratch[i], 0xff, room.scratch[i] * width);
    }
    return r;
}

static void free_run(struct run *r)
{
    for (int p = 0; p < r->n_in; p++)
        free(r->x[p]), free(r->dx[p]);
    for (int i = 0; i < 8; i++)
        free(r->saved[i]), free(r->scratch[i]);
    free(r->y), free(r->dy);
}

static struct as_call call_of(struct run *r, bool gradients)
{
    static const bool added_to[MOST_PORTS];

    return (struct as_call){ .opt = r->c->opt, .n_in = r->n_in, .in = r->in, .out = &r->out,
                             .x = (const real *const *)r->x, .y = r->y, .dy = r->dy, .dx = (real *const *)r->dx,
                             .fresh = added_to, .saved = gradients ? r->saved : NULL, .scratch = r->scratch, .length = r->c->length,
                             .training = gradients };
}

static void run_both(struct run *r)
{
    struct as_call c = call_of(r, true);

    r->impl->forward(&c);
    r->impl->backward(&c);
}

static void *array(const struct run *r, int i) { return i ? r->dx[i - 1] : r->y; }
static ptrdiff_t size_of_array(const struct run *r, int i) { return i ? r->n[i - 1] : r->n_out; }

static double most(const struct run *r, int a)
{
    double m = 0;

    for (ptrdiff_t i = 0; i < size_of_array(r, a); i++)
        m = fmax(m, fabs(get(array(r, a), r->width, i)));
    return m;
}

static double apart(const struct run *r, const struct run *s, int a)
{
    double m = 0;

    for (ptrdiff_t i = 0; i < size_of_array(r, a); i++) {
        double d = fabs(get(array(r, a), r->width, i) - get(array(s, a), s->width, i));

        m = d > m || isnan(d) ? d : m;
    }
    return m;
}

#endif

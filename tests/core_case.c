/* core_case.c: see core_case.h. */
#include "core_case.h"

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

static double worst;

double core_worst(void) { return worst; }

static void put(void *to, size_t width, ptrdiff_t i, double v)
{
    if (width == sizeof(float))
        ((float *)to)[i] = (float)v;
    else
        ((double *)to)[i] = v;
}

static double get(const void *from, size_t width, ptrdiff_t i)
{
    return width == sizeof(float) ? (double)((const float *)from)[i] : ((const double *)from)[i];
}

static void *zeros(size_t width, ptrdiff_t n)
{
    void *v = calloc((size_t)(n + 1), width);

    assert_non_null(v);
    return v;
}

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

/* --- against the reference --------------------------------------------------------------------------------- */

static void shake(void *v, ptrdiff_t n, uint64_t stream)
{
    double *x = v;

    for (ptrdiff_t i = 0; i < n; i++)
        x[i] *= 1 + EPSILON * (2 * (double)as_uniform(key_of(stream), (uint64_t)i) - 1);
}

static struct run reference(const struct core_case *c, double *limit)
{
    struct run ref = new_run(c, c->ref->impl[0], sizeof(double), true);
    double n = (double)(c->time + c->dk + c->dv);

    run_both(&ref);
    for (int a = 0; a <= ref.n_in; a++)
        limit[a] = 0;
    for (uint64_t draw = 0; draw < 3; draw++) {
        struct run s = new_run(c, c->ref->impl[0], sizeof(double), true);

        for (int p = 0; p < s.n_in; p++)
            shake(s.x[p], s.n[p], 100 + 10 * draw + (uint64_t)p);
        shake(s.dy, s.n_out, 109 + 10 * draw);
        run_both(&s);
        for (int a = 0; a <= ref.n_in; a++)
            limit[a] = fmax(limit[a], apart(&s, &ref, a));
        free_run(&s);
    }
    for (int a = 0; a <= ref.n_in; a++)
        limit[a] = 2 * sqrt(n) * (limit[a] + EPSILON * most(&ref, a));
    return ref;
}

static void assert_near(const struct run *r, const struct run *ref, const double *limit, const char *what)
{
    const struct core_case *c = r->c;

    for (int a = 0; a <= r->n_in; a++) {
        double d = apart(r, ref, a);

        if (!(d <= limit[a]))
            fail_msg("%s (batch %td, time %td, heads %td, dk %td, dv %td), %s: %s of %c is %.3g apart, allowed %.3g "
                     "(largest value %.3g)", c->name, c->batch, c->time, c->heads, c->dk, c->dv, what,
                     a ? "gradient" : "value", a ? c->ports[a - 1] : 'o', d, limit[a], most(ref, a));
        worst = fmax(worst, d / limit[a]);
    }
}

static bool able(const struct core_case *c, const struct as_impl *impl)
{
    struct run r = new_run(c, NULL, sizeof(float), false);
    bool can = !impl->can || !impl->can(c->opt, r.n_in, r.in);

    free_run(&r);
    return can;
}

void core_compare(const struct core_case *c)
{
    static const char *const names[] = { "portable", "avx2", "avx512" };
    double limit[ARRAYS];
    struct run ref = reference(c, limit);

    for (int level = 0; level <= (int)as_level(); level++) {
        struct run r;

        if (!c->kernel[level] || !able(c, c->kernel[level]->impl[0]))
            continue;
        r = new_run(c, c->kernel[level]->impl[0], sizeof(float), true);
        run_both(&r);
        assert_near(&r, &ref, limit, names[level]);
        free_run(&r);
    }
    free_run(&ref);
}

void core_compare_graph(const struct core_case *c)
{
    double limit[ARRAYS];
    struct run ref = reference(c, limit), r = new_run(c, NULL, sizeof(float), true);
    struct as_tape *t = as_tape_new();
    struct as_node *in[MOST_PORTS], *y, *dy = as_node_wrap(t, 4, r.out.dim, r.dy, NULL);
    struct as_graph g = { .t = t, .opt = c->opt, .in = in, .n_in = r.n_in, .training = true };

    as_tape_record(t, true);
    for (int p = 0; p < r.n_in; p++)
        in[p] = as_node_wrap(t, r.in[p].rank, r.in[p].dim, r.x[p], r.dx[p]);
    for (int p = 0; p < r.n_in; p++)
        in[p]->wants = true;
    in[0]->length = c->length;
    y = c->variant->variant->graph(&g, in[0]);
    memcpy(r.y, y->x, (size_t)r.n_out * sizeof(float));
    as_backward(t, as_sum_all(t, as_mul(t, y, dy)), R(1.0));
    assert_near(&r, &ref, limit, "graph");
    as_tape_free(t);
    free_run(&r);
    free_run(&ref);
}

static double loss(struct run *r)
{
    struct as_call c = call_of(r, false);
    double sum = 0;

    r->impl->forward(&c);
    for (ptrdiff_t i = 0; i < r->n_out; i++)
        sum += ((double *)r->y)[i] * ((double *)r->dy)[i];
    return sum;
}

void core_slopes(const struct core_case *c)
{
    const double step = 1e-5;
    struct run r = new_run(c, c->ref->impl[0], sizeof(double), true);
    struct run fresh = new_run(c, c->ref->impl[0], sizeof(double), true);

    run_both(&r);
    for (int p = 0; p < r.n_in; p++)
        for (ptrdiff_t i = 0; i < r.n[p]; i++) {
            double *x = r.x[p], keep = x[i], up, down, want, got = get(r.dx[p], 8, i) - get(fresh.dx[p], 8, i);

            x[i] = keep + step;
            up = loss(&r);
            x[i] = keep - step;
            down = loss(&r);
            x[i] = keep;
            want = (up - down) / (2 * step);
            if (!(fabs(got - want) <= 1e-7 * (1 + fabs(want))))
                fail_msg("%s: gradient of %c, element %td: %.12g, central difference %.12g", c->name, c->ports[p], i,
                         got, want);
        }
    free_run(&r);
    free_run(&fresh);
}

/* --- what must hold to the bit ----------------------------------------------------------------------------- */

static const struct as_impl *best(const struct core_case *c) { return c->kernel[as_level()]->impl[0]; }

static void assert_same(const struct run *a, const struct run *b, const char *what)
{
    for (int i = 0; i <= a->n_in; i++)
        if (memcmp(array(a, i), array(b, i), (size_t)size_of_array(a, i) * a->width) != 0)
            fail_msg("%s: %s changes the bits of array %d", a->c->name, what, i);
}

void core_same_bits(const struct core_case *c)
{
    struct run one = new_run(c, best(c), sizeof(float), true);

    as_threads_set(1);
    run_both(&one);
    for (int team = 2; team <= 4; team++) {
        struct run r = new_run(c, best(c), sizeof(float), true), bare = new_run(c, best(c), sizeof(float), false);
        struct as_call call = call_of(&bare, false);

        as_threads_set(team);
        run_both(&r);
        assert_same(&r, &one, "another team");
        best(c)->forward(&call);
        assert_memory_equal(one.y, bare.y, (size_t)one.n_out * sizeof(float));
        free_run(&r);
        free_run(&bare);
    }
    as_threads_set(1);
    free_run(&one);
}

/* Other inputs for the steps that `pick` chooses: 1e3 times as large; for the delta rule, which would overflow,
 * other ones of their kind. */
static void spoil(struct run *r, bool (*pick)(const struct core_case *c, ptrdiff_t b, ptrdiff_t t))
{
    const struct core_case *c = r->c;

    for (int p = 0; p < r->n_in; p++) {
        ptrdiff_t each = r->n[p] / (c->batch * c->time);
        float *x = r->x[p];

        for (ptrdiff_t s = 0; s < c->batch * c->time; s++)
            for (ptrdiff_t i = s * each; pick(c, s / c->time, s % c->time) && i < (s + 1) * each; i++)
                x[i] = c->ports[p] == 'g' || c->ports[p] == 'a' ? -0.5f : c->unit_keys ? -x[(i * 7) % each] / 2 :
                       1e3f * (float)as_normal(key_of(50), (uint64_t)i);
    }
}

/* Equal as numbers (0 may change its sign) at the steps that `pick` does not choose. */
static void assert_untouched(const struct run *a, const struct run *b, int arrays,
                             bool (*pick)(const struct core_case *c, ptrdiff_t b, ptrdiff_t t))
{
    const struct core_case *c = a->c;

    for (int k = 0; k < arrays; k++) {
        ptrdiff_t each = size_of_array(a, k) / (c->batch * c->time);

        for (ptrdiff_t i = 0; i < size_of_array(a, k); i++) {
            ptrdiff_t s = i / each;

            if (!pick(c, s / c->time, s % c->time) && !(get(array(a, k), 4, i) == get(array(b, k), 4, i)))
                fail_msg("%s: array %d at row %td, step %td: %.9g, was %.9g", c->name, k, s / c->time, s % c->time,
                         get(array(a, k), 4, i), get(array(b, k), 4, i));
        }
    }
}

static bool is_late(const struct core_case *c, ptrdiff_t b, ptrdiff_t t)
{
    (void)b;
    return t >= c->time / 2;
}

static bool is_padding(const struct core_case *c, ptrdiff_t b, ptrdiff_t t) { return t >= c->length[b]; }

void core_is_causal(const struct core_case *c)
{
    struct run a = new_run(c, best(c), sizeof(float), true), b = new_run(c, best(c), sizeof(float), true);
    struct as_call call = call_of(&a, true);

    a.impl->forward(&call);
    spoil(&b, is_late);
    call = call_of(&b, true);
    b.impl->forward(&call);
    assert_untouched(&a, &b, 1, is_late);
    free_run(&a);
    free_run(&b);
}

void core_ignores_padding(const struct core_case *c)
{
    struct run a = new_run(c, best(c), sizeof(float), true), b = new_run(c, best(c), sizeof(float), true);
    ptrdiff_t each = a.n_out / (c->batch * c->time);

    for (ptrdiff_t i = 0; i < a.n_out; i++)
        if (is_padding(c, i / each / c->time, i / each % c->time))
            ((float *)a.dy)[i] = ((float *)b.dy)[i] = 0;
    for (int p = 0; p < b.n_in; p++) {
        ptrdiff_t wide = b.n[p] / (c->batch * c->time);

        for (ptrdiff_t i = 0; i < b.n[p]; i++)
            if (is_padding(c, i / wide / c->time, i / wide % c->time))
                ((float *)b.x[p])[i] = NAN;
    }
    run_both(&a);
    run_both(&b);
    assert_untouched(&a, &b, 1 + a.n_in, is_padding);
    free_run(&a);
    free_run(&b);
}

void core_leaves_frozen(const struct core_case *c)
{
    struct run all = new_run(c, best(c), sizeof(float), true);

    run_both(&all);
    for (int only = -1; only < all.n_in; only++) {
        struct run r = new_run(c, best(c), sizeof(float), true);
        void *dx[MOST_PORTS] = { 0 };
        struct as_call call = call_of(&r, true);

        if (only >= 0)
            dx[only] = r.dx[only];
        call.dx = (real *const *)dx;
        r.impl->forward(&call);
        r.impl->backward(&call);
        if (only >= 0)
            assert_memory_equal(r.dx[only], all.dx[only], (size_t)all.n[only] * sizeof(float));
        free_run(&r);
    }
    free_run(&all);
}

/* A gradient that holds nothing yet is written whole, padding too: what adding to zeros gives. */
void core_writes_fresh(const struct core_case *c)
{
    struct run added = new_run(c, best(c), sizeof(float), true), fresh = new_run(c, best(c), sizeof(float), true);
    static const bool all[MOST_PORTS] = { true, true, true, true, true };
    struct as_call call = call_of(&fresh, true);

    assert_true(fresh.impl->fresh && fresh.n_in <= 5);
    for (int p = 0; p < fresh.n_in; p++) {
        memset(added.dx[p], 0, (size_t)added.n[p] * sizeof(float));
        memset(fresh.dx[p], 0xff, (size_t)fresh.n[p] * sizeof(float));
    }
    run_both(&added);
    call.fresh = all;
    fresh.impl->forward(&call);
    fresh.impl->backward(&call);
    for (int p = 0; p < fresh.n_in; p++)
        for (ptrdiff_t i = 0; i < fresh.n[p]; i++)
            assert_float_equal(((float *)fresh.dx[p])[i], ((float *)added.dx[p])[i], 0);
    free_run(&added);
    free_run(&fresh);
}

/* core_case.c: see core_case.h. */
#include "core_run.h"

static double worst;

double core_worst(void) { return worst; }

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
                x[i] = c->ports[p] == 'g' || c->ports[p] == 'a' ? -3.0f : c->unit_keys ? -x[(i * 7) % each] / 2 :
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
            assert_true(((float *)fresh.dx[p])[i] == ((float *)added.dx[p])[i]);         /* false for NaN */
    free_run(&added);
    free_run(&fresh);
}

/* test_recurrent.c: rnn, lstm and gru. Three forms of each are held against each other: the kernels of every processor
 * level (float: fused, and with a diagonal recurrence sweep and newton), the reference (double), and central
 * differences of the reference. The hooks are called directly; the graphs are compared by the conformance suite.
 */
#include "recurrent_case.h"

/* Largest difference over the largest value. */
static double apart(const void *a, size_t wa, const void *b, size_t wb, ptrdiff_t n)
{
    double worst = 0, most = 1e-30;

    for (ptrdiff_t i = 0; i < n; i++) {
        double d = fabs(get(a, wa, i) - get(b, wb, i));

        worst = d > worst || isnan(d) ? d : worst;
        most = fmax(most, fabs(get(b, wb, i)));
    }
    return worst / most;
}

static void assert_close(const struct run *a, const struct run *b, double limit, const char *what, int level)
{
    ptrdiff_t n = a->in.dim[0] * a->in.dim[1];
    double d[2 + MOST_WEIGHTS] = { apart(a->y, a->width, b->y, b->width, n * a->out.dim[2]),
                                   apart(a->dx, a->width, b->dx, b->width, n * a->in.dim[2]) };

    for (int i = 0; i < MOST_WEIGHTS; i++)
        d[2 + i] = a->n[i] ? apart(a->dw[i], a->width, b->dw[i], b->width, a->n[i]) : 0;
    for (int i = 0; i < 2 + MOST_WEIGHTS; i++)
        if (!(d[i] < limit))
            fail_msg("%s, %s, level %d, (batch %td, time %td, in %td, hidden %td): array %d is %.3g apart, allowed %g",
                     a->cell->name, what, level, a->in.dim[0], a->in.dim[1], a->in.dim[2], a->out.dim[2], i, d[i],
                     limit);
}

static const struct sizes shapes[] = {
    { 1, 1, 1, 1 }, { 3, 5, 7, 11 }, { 17, 9, 16, 32 }, { 8, 6, 5, 46 }, { 2, 40, 8, 36 }, { 21, 4, 30, 75 },
    { 16, 3, 3, 16 }, { 5, 12, 1, 48 }, { 1, 150, 9, 20 }, { 6, 70, 33, 40 }, { 9, 300, 3, 5 }, { 3, 20, 62, 30 },
    { 8, 30, 70, 64 }, { 12, 9, 110, 24 }, { 2, 140, 12, 64 },
};
enum { SHAPES = sizeof shapes / sizeof *shapes };

static void kernels_against_reference(void **state)
{
    (void)state;
    for (int c = 0; c < CELLS; c++)
        for (int k = 0; k < SHAPES; k++) {
            struct run ref = new_run(&cells[c], cells[c].ref->impl[0], shapes[k], sizeof(double), true);

            run_both(&ref);
            for (int level = 0; level < 3 && level <= (int)as_level(); level++) {
                struct run r;

                if (!cells[c].kernel[level])
                    continue;
                r = new_run(&cells[c], cells[c].kernel[level]->impl[cells[c].form == NEWTON], shapes[k], sizeof(float), true);
                run_both(&r);
                assert_close(&r, &ref, 3e-6, "kernel against the reference", level);
                free_run(&r);
            }
            free_run(&ref);
        }
}

static double loss(struct run *r)
{
    struct as_call c = call_of(r, false);
    double sum = 0;

    r->impl->forward(&c);
    for (ptrdiff_t i = 0; i < r->in.dim[0] * r->in.dim[1] * r->out.dim[2]; i++)
        sum += ((double *)r->y)[i] * ((double *)r->dy)[i];
    return sum;
}

static void check_slope(struct run *r, double *v, const double *got, const double *start, ptrdiff_t n, int array)
{
    const double eps = 1e-5;

    for (ptrdiff_t i = 0; i < n; i++) {
        double keep = v[i], up, down, want;

        v[i] = keep + eps;
        up = loss(r);
        v[i] = keep - eps;
        down = loss(r);
        v[i] = keep;
        want = (up - down) / (2 * eps);
        if (!(fabs(got[i] - start[i] - want) <= 1e-7 * (1 + fabs(want))))
            fail_msg("%s: array %d, element %td: gradient %.12g, central difference %.12g", r->cell->name, array, i,
                     got[i] - start[i], want);
    }
}

static void reference_against_differences(void **state)
{
    const struct sizes s = { 2, 4, 3, 5 };

    (void)state;
    for (int c = 0; c < CELLS; c++) {
        struct run r = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);
        struct run fresh = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);

        run_both(&r);
        check_slope(&r, r.x, r.dx, fresh.dx, s.batch * s.time * s.d, 0);
        for (int i = 0; i < MOST_WEIGHTS; i++)
            if (r.n[i])
                check_slope(&r, r.w[i], r.dw[i], fresh.dw[i], r.n[i], 1 + i);
        free_run(&r);
        free_run(&fresh);
    }
}

static void steps_are_the_forward_pass(void **state)
{
    const struct sizes s = { 3, 6, 4, 5 };

    (void)state;
    for (int c = 0; c < CELLS; c++) {
        struct run r = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);
        double held[2][3 * 5] = { 0 }, x[3 * 4], y[3 * 5];
        void *states[2] = { held[0], held[1] }, *xp = x;
        struct as_call one = call_of(&r, true);

        r.impl->forward(&one);
        one = call_of(&r, false);
        one.x = (const real *const *)&xp;
        one.y = (real *)(void *)y;
        one.state = (real *const *)states;
        for (ptrdiff_t t = 0; t < s.time; t++) {
            for (ptrdiff_t b = 0; b < s.batch; b++)
                memcpy(x + b * s.d, (double *)r.x + (b * s.time + t) * s.d, (size_t)s.d * sizeof *x);
            one.position = t;
            r.impl->step(&one);
            for (ptrdiff_t b = 0; b < s.batch; b++)
                assert_memory_equal(y + b * s.h, (double *)r.y + (b * s.time + t) * s.h, (size_t)s.h * sizeof *y);
        }
        free_run(&r);
    }
}

/* Large enough for the team to be used; the same bits at 1 to 4 threads, with gradients and without. */
static void same_bits(struct sizes s)
{
    ptrdiff_t steps = s.batch * s.time;

    for (int c = 0; c < CELLS; c++) {
        const struct as_impl *impl = cells[c].kernel[as_level()]->impl[cells[c].form == NEWTON];
        struct run one = new_run(&cells[c], impl, s, sizeof(float), true);

        as_threads_set(1);
        run_both(&one);
        for (int team = 2; team <= 4; team++) {
            struct run r = new_run(&cells[c], impl, s, sizeof(float), true);
            struct run bare = new_run(&cells[c], impl, s, sizeof(float), false);
            struct as_call call = call_of(&bare, false);

            as_threads_set(team);
            run_both(&r);
            impl->forward(&call);
            assert_memory_equal(one.y, bare.y, (size_t)(steps * s.h) * sizeof(float));
            assert_memory_equal(one.y, r.y, (size_t)(steps * s.h) * sizeof(float));
            assert_memory_equal(one.dx, r.dx, (size_t)(steps * s.d) * sizeof(float));
            for (int i = 0; i < MOST_WEIGHTS; i++)
                if (r.n[i])
                    assert_memory_equal(one.dw[i], r.dw[i], (size_t)r.n[i] * sizeof(float));
            free_run(&r);
            free_run(&bare);
        }
        as_threads_set(1);
        free_run(&one);
    }
}

/* Many tiles of rows; one tile, whose input products and gradients are cut over time; with several slabs. */
static void same_bits_at_any_team(void **state)
{
    (void)state;
    same_bits((struct sizes){ 37, 20, 24, 40 });
    same_bits((struct sizes){ 7, 200, 24, 20 });
    same_bits((struct sizes){ 3, 300, 24, 136 });
}

/* Frozen weights and an input without gradient are left alone. */
static void frozen_weights_stay(void **state)
{
    const struct sizes s = { 9, 5, 6, 20 };

    (void)state;
    for (int c = 0; c < CELLS; c++) {
        struct run r = new_run(&cells[c], cells[c].kernel[as_level()]->impl[cells[c].form == NEWTON], s, sizeof(float), true);
        struct as_call call = call_of(&r, true);
        void *none[MOST_WEIGHTS] = { 0 };

        call.dw = (real *const *)none;
        call.dx = (real *const *)none;
        r.impl->forward(&call);
        r.impl->backward(&call);
        free_run(&r);
    }
}

/* Saturated gates are as in the reference, and a NaN is not hidden. */
static void extremes(void **state)
{
    static const float most[] = { 30.0f, 90.0f, 200.0f, 1e4f };
    const struct sizes s = { 2, 3, 1, 16 };
    ptrdiff_t n = s.batch * s.time * s.h;

    (void)state;
    for (int level = 0; level < 3 && level <= (int)as_level(); level++)
        for (int c = 0; c < CELLS; c++)
            for (int k = 0; k < 4 && cells[c].kernel[level]; k++) {
                struct run r = new_run(&cells[c], cells[c].kernel[level]->impl[cells[c].form == NEWTON], s, sizeof(float), true);
                struct run ref = new_run(&cells[c], cells[c].ref->impl[0], s, sizeof(double), true);
                struct as_call call = call_of(&r, true), truth = call_of(&ref, true);

                for (int i = 0; i < 6; i++) {
                    put(r.x, r.width, i, (double)(i % 2 ? -most[k] : most[k]));
                    put(ref.x, ref.width, i, (double)(i % 2 ? -most[k] : most[k]));
                }
                r.impl->forward(&call);
                ref.impl->forward(&truth);
                if (!(apart(r.y, r.width, ref.y, ref.width, n) < 1e-5))
                    fail_msg("%s, level %d, inputs of %g: outputs are %g apart", cells[c].name, level, (double)most[k],
                             apart(r.y, r.width, ref.y, ref.width, n));
                put(r.x, r.width, 0, (double)NAN);
                r.impl->forward(&call);
                for (ptrdiff_t j = 0; j < s.h; j++)
                    assert_true(isnan(get(r.y, r.width, j)));
                free_run(&r);
                free_run(&ref);
            }
}

/* Step t of the reference, from the states that r has before it: to one's y. */
static void one_step(struct run *r, struct run *one, struct sizes s, ptrdiff_t t)
{
    double held[3 * 20], x[3 * 4], y[3 * 20];
    void *states[1] = { held }, *xp = x;
    struct as_call call = call_of(one, false);

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memcpy(x + b * s.d, (double *)one->x + (b * s.time + t) * s.d, (size_t)s.d * sizeof *x);
        for (ptrdiff_t j = 0; j < s.h; j++)
            held[b * s.h + j] = t ? get(r->y, r->width, (b * s.time + t - 1) * s.h + j) : 0;
    }
    call.x = (const real *const *)&xp;
    call.y = (real *)(void *)y;
    call.state = (real *const *)states;
    call.position = t;
    one->impl->step(&call);
    for (ptrdiff_t b = 0; b < s.batch; b++)
        memcpy((double *)one->y + (b * s.time + t) * s.h, y + b * s.h, (size_t)s.h * sizeof *y);
}

/* Newton's method where it converges, and where the recurrence amplifies what it gets, so that it has to be swept (and no
 * two ways of rounding agree for long): the counts add up, and each state follows from the one before. */
static void newton_counts_its_work(void **state)
{
    const struct sizes s = { 3, 300, 4, 20 };

    (void)state;
    for (int k = 0; k < 2 * CELLS; k++) {
        const struct cell *c = &cells[k / 2];
        const struct as_impl *newton = c->kernel[as_level()]->impl[1];
        ptrdiff_t all = s.batch * s.time * s.h;
        double count[AS_MAX_COUNTS] = { 0 };
        struct run r, one;
        struct as_call call;

        if (c->form != NEWTON || c->opt == &rnn_relu_diagonal)
            continue;
        r = new_run(c, newton, s, sizeof(float), false);
        one = new_run(c, c->ref->impl[0], s, sizeof(double), false);
        for (ptrdiff_t j = 0; k % 2 && j < r.n[1]; j++) {
            put(r.w[1], sizeof(float), j, 20 * get(r.w[1], sizeof(float), j));
            put(one.w[1], sizeof(double), j, get(r.w[1], sizeof(float), j));
        }
        call = call_of(&r, false);
        call.count = count;
        newton->forward(&call);
        for (ptrdiff_t t = 0; t < s.time; t++)           /* one.y: the reference's steps from newton's states */
            one_step(&r, &one, s, t);
        assert_true(apart(r.y, r.width, one.y, one.width, all) < 2e-6);
        assert_true(count[1] == 6 && count[0] >= 6 && count[0] <= 6 * (k % 2 ? 32 : 6));
        assert_true(k % 2 ? count[2] > 0 && count[2] < 6 * 300 : count[2] == 0);
        free_run(&r);
        free_run(&one);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reference_against_differences), cmocka_unit_test(steps_are_the_forward_pass),
        cmocka_unit_test(kernels_against_reference),     cmocka_unit_test(same_bits_at_any_team),
        cmocka_unit_test(frozen_weights_stay),           cmocka_unit_test(extremes),
        cmocka_unit_test(newton_counts_its_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

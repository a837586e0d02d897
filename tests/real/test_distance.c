/* test_distance.c: distances between samples whose distance is known, and differential equations whose solutions are. */
#include <assay/distance.h>
#include <assay/error.h>
#include <assay/ode.h>
#include <assay/parallel.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 4000, D = 2 };

static const struct as_mmd mmd = { .d = D, .features = 512, .octaves = 3, .width = 2,
                                   .key = { 3, AS_ROLE_TEST_HARNESS, 0 } };

/* Normal points around (shift, 0). */
static real *sample(struct as_arena *a, uint64_t stream, double shift)
{
    real *x = as_arena_take(a, N * D * sizeof *x);

    for (int i = 0; i < N * D; i++)
        x[i] = (real)((double)as_normal((struct as_key){ 5, AS_ROLE_TEST_HARNESS, stream }, (uint64_t)i) +
                      (i % D == 0 ? shift : 0));
    return x;
}

static double mmd_of(struct as_arena *a, const real *x, const real *y)
{
    double *p = as_arena_take(a, 2 * (size_t)as_mmd_size(&mmd) * sizeof *p), *q = p + as_mmd_size(&mmd);

    as_mmd_mean(&mmd, a, N, x, p);
    as_mmd_mean(&mmd, a, N, y, q);
    return as_mmd_between(&mmd, p, q);
}

/* Between N(0, I) and N((m, 0), I), kernel exp(-|x - y|^2 / (2 s^2)): E k = s^2/(s^2 + 2) exp(-m^2 / (2 (s^2 + 2))), so
 * MMD^2 is the mean over the widths of 2 s^2/(s^2 + 2) (1 - exp(-m^2 / (2 (s^2 + 2)))). */
static void discrepancies_are_known(void **state)
{
    struct as_arena *a = as_arena_new();
    double expected = 0, shift = 1.5, floor, far;

    (void)state;
    for (int j = 0; j < mmd.octaves; j++) {
        double s = mmd.width / (1 << j), b = s * s + 2;

        expected += 2 * s * s / b * (1 - exp(-shift * shift / (2 * b))) / mmd.octaves;
    }
    floor = mmd_of(a, sample(a, 1, 0), sample(a, 2, 0));
    far = mmd_of(a, sample(a, 1, 0), sample(a, 3, shift));
    assert_true(fabs(far - sqrt(expected)) < 0.05 * sqrt(expected));
    assert_true(floor > 0 && floor < sqrt(2.0 / N));
    assert_true(!(mmd_of(a, sample(a, 1, 0), sample(a, 1, 0)) > 0));
    as_arena_free(a);
}

/* One point has its own cosines and sines: of w.x, 2 w.x, 4 w.x, with w = draws / width. */
static void a_point_is_its_waves(void **state)
{
    struct as_arena *a = as_arena_new();
    const real point[D] = { R(0.7), R(-1.3) };
    double *mean = as_arena_take(a, (size_t)as_mmd_size(&mmd) * sizeof *mean);

    (void)state;
    as_mmd_mean(&mmd, a, 1, point, mean);
    for (int i = 0; i < mmd.features; i++)
        for (int j = 0; j < mmd.octaves; j++) {
            double angle = 0;

            for (int k = 0; k < D; k++)
                angle += (1 << j) * (double)as_normal(mmd.key, (uint64_t)(i * D + k)) / mmd.width * (double)point[k];
            assert_true(fabs(mean[2 * (i * mmd.octaves + j)] - cos(angle)) < 1e-12);
            assert_true(fabs(mean[2 * (i * mmd.octaves + j) + 1] - sin(angle)) < 1e-12);
        }
    as_arena_free(a);
}

static void same_bits_with_any_team(void **state)
{
    struct as_arena *a = as_arena_new();
    const real *x = sample(a, 1, 0), *y = sample(a, 2, 0.5);
    struct as_key key = { 6, AS_ROLE_TEST_HARNESS, 0 };
    double m[2], w[2];

    (void)state;
    for (int i = 0; i < 2; i++) {
        as_threads_set(1 + 2 * i);
        m[i] = mmd_of(a, x, y);
        w[i] = as_sliced_wasserstein(a, D, N, x, y, 8, key);
    }
    as_threads_set(1);
    assert_memory_equal(&m[0], &m[1], sizeof m[0]);
    assert_memory_equal(&w[0], &w[1], sizeof w[0]);
    as_arena_free(a);
}

/* A shift m along one of two axes moves a projection by m cos(angle): sliced W_2 = |m| / sqrt(2) over all directions. The
 * order of the points is nobody's business. */
static void slices_are_known(void **state)
{
    struct as_arena *a = as_arena_new();
    real *x = sample(a, 1, 0), *y = as_arena_take(a, N * D * sizeof *y);
    struct as_key key = { 6, AS_ROLE_TEST_HARNESS, 0 };
    double far;

    (void)state;
    for (int r = 0; r < N; r++) {
        int from = (r * 1237 + 11) % N;          /* 1237 and 4000 have no divisor in common */

        y[r * D] = x[from * D] + R(2.0);
        y[r * D + 1] = x[from * D + 1];
    }
    far = as_sliced_wasserstein(a, D, N, x, y, 2000, key);
    assert_true(fabs(far - sqrt(2.0)) < 0.05);
    for (int r = 0; r < N; r++)
        y[r * D] -= R(2.0);
    assert_true(as_sliced_wasserstein(a, D, N, x, y, 50, key) < 1e-6);
    assert_true(as_sliced_wasserstein(a, D, 1, x, x + D, 3, key) > 0);
    as_arena_free(a);
}

struct wrong { struct as_arena *a; int what; };

static void call_wrong(void *ctx)
{
    struct wrong *w = ctx;
    real x[D] = { 0 };
    double mean[64];
    struct as_mmd m = { .d = D, .features = 2, .octaves = w->what == 0 ? 0 : 1, .width = 1 };

    if (w->what < 2)
        as_mmd_mean(&m, w->a, w->what == 1 ? 0 : 1, x, mean);
    else
        as_sliced_wasserstein(w->a, D, 1, x, x, 0, m.key);
}

static void wrong_sizes_are_refused(void **state)
{
    struct wrong w = { .a = as_arena_new() };

    (void)state;
    for (w.what = 0; w.what < 3; w.what++)
        assert_int_equal(as_try(call_wrong, &w), AS_FAILED);
    as_arena_free(w.a);
}

/* --- differential equations --------------------------------------------------------------------------------------*/

/* dx/dt = -t x, dy/dt = cos(t): x = x0 exp(-t^2/2), y = y0 + sin(t). */
static void slope(void *ctx, double t, const real *x, real *dx)
{
    ++*(long *)ctx;
    dx[0] = (real)(-t) * x[0];
    dx[1] = (real)cos(t);
}

static double error_of(enum as_ode_method method, double from, double to, int steps, long *evaluations)
{
    struct as_arena *a = as_arena_new();
    long count = 0;
    struct as_ode o = { 2, slope, &count };
    real x[2] = { (real)exp(-from * from / 2), (real)sin(from) };

    *evaluations = as_ode_solve(&o, a, method, from, to, steps, x);
    assert_int_equal(count, *evaluations);
    as_arena_free(a);
    return fmax(fabs((double)x[0] - exp(-to * to / 2)), fabs((double)x[1] - sin(to)));
}

/* Half the step: an error smaller by 2, 4 and 16; forwards and backwards. */
static void solvers_have_their_order(void **state)
{
    static const int order[] = { [AS_EULER] = 1, [AS_HEUN] = 2, [AS_RK4] = 4 };
    static const int stages[] = { [AS_EULER] = 1, [AS_HEUN] = 2, [AS_RK4] = 4 };

    (void)state;
    for (int m = AS_EULER; m <= AS_RK4; m++)
        for (int back = 0; back < 2; back++) {
            int steps = m == AS_RK4 ? 16 : 32;
            long n, more;
            double coarse = error_of((enum as_ode_method)m, back, 1 - back, steps, &n);
            double fine = error_of((enum as_ode_method)m, back, 1 - back, 2 * steps, &more);

            assert_int_equal(n, stages[m] * steps);
            assert_int_equal(more, 2 * n);
            assert_true(coarse < 0.05);
            assert_true(fine < coarse / pow(2, order[m] - 0.5) + 20 * (double)AS_REAL_EPSILON);
            if (sizeof(real) == sizeof(double))
                assert_true(fine > coarse / pow(2, order[m] + 0.7));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(discrepancies_are_known), cmocka_unit_test(a_point_is_its_waves),
        cmocka_unit_test(same_bits_with_any_team), cmocka_unit_test(slices_are_known),
        cmocka_unit_test(wrong_sizes_are_refused), cmocka_unit_test(solvers_have_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

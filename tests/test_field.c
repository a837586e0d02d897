/* test_field.c: random functions: their covariance is that of the squared exponential, exactly (from the amplitudes)
 * and in draws; the integral's slope is the function; the grid by rotations is the function point by point.
 */
#include <assay/error.h>
#include <assay/field.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { NUMBERS = 2 * AS_FIELD_MODES + 1 };

static const struct { double extent, scale; } all[] = { { 1, 0.2 }, { 1, 0.05 }, { 5, 0.2 }, { 1, 3 }, { 5, 0.05 } };
enum { ALL = sizeof all / sizeof *all };

static void covariance(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++) {
        struct as_field f;

        as_field_open(&f, all[i].extent, all[i].scale);
        for (int k = 0; k <= 40; k++) {
            double r = all[i].extent * k / 40, sum = f.a[0] * f.a[0];

            for (int j = 1; j <= f.modes; j++)
                sum += f.a[j] * f.a[j] * cos(j * f.w * r);
            assert_true(fabs(sum - exp(-r * r / (2 * all[i].scale * all[i].scale))) < 1e-8);
        }
    }
}

/* u(0) u(x) over 20,000 functions; the standard error is 0.01. */
static void draws(void **state)
{
    enum { N = 20000, AT = 5 };
    double sum[AT] = { 0 }, mean = 0;
    struct as_field f;

    (void)state;
    as_field_open(&f, 1, 0.3);
    for (uint64_t i = 0; i < N; i++) {
        float xi[NUMBERS];
        double u[AT];

        as_field_draw(&f, as_subkey((struct as_key){ 1, AS_ROLE_TEST_HARNESS, 0 }, i), xi);
        as_field_sample(&f, xi, 0, 0.2, AT, u);
        mean += u[0] / N;
        for (int k = 0; k < AT; k++)
            sum[k] += u[0] * u[k] / N;
    }
    assert_true(fabs(mean) < 0.03);
    for (int k = 0; k < AT; k++)
        assert_true(fabs(sum[k] - exp(-0.5 * pow(0.2 * k / 0.3, 2))) < 0.04);
}

static void functions(void **state)
{
    (void)state;
    for (int i = 0; i < ALL; i++) {
        enum { N = 300 };
        struct as_field f;
        float xi[NUMBERS];
        double u[N], from = 0.1 * all[i].extent, step = 0.9 * all[i].extent / N, h = 1e-4 * all[i].scale;

        as_field_open(&f, all[i].extent, all[i].scale);
        as_field_draw(&f, (struct as_key){ 2, AS_ROLE_TEST_HARNESS, (uint64_t)i }, xi);
        as_field_sample(&f, xi, from, step, N, u);
        assert_true(fabs(as_field_integral(&f, xi, 0)) < 1e-15);
        for (int k = 0; k < N; k++) {
            double x = from + k * step, rise = as_field_integral(&f, xi, x + h) - as_field_integral(&f, xi, x - h);

            assert_true(fabs(u[k] - as_field_at(&f, xi, x)) < 1e-10);
            assert_true(fabs(u[k] - rise / (2 * h)) < 1e-6);
        }
    }
}

static void open_too_short(void *ctx)
{
    as_field_open(ctx, 1, 0.005);
}

static void refusal(void **state)
{
    struct as_field f;

    (void)state;
    assert_true(as_field_modes(1, 0.005) > AS_FIELD_MODES);
    assert_int_equal(as_try(open_too_short, &f), AS_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covariance), cmocka_unit_test(draws), cmocka_unit_test(functions), cmocka_unit_test(refusal),
    };

    return cmocka_run_group_tests_name("field", tests, NULL, NULL);
}

/* test_sigreg.c: the statistic of Epps and Pulley against the same written with the tape's own cosines and sines at all 17
 * points, and against its closed form; gradients against differences; directions of unit length that follow from the key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../gradcheck.h"
#include <assay/parallel.h>
#include <assay/sigreg.h>

static const struct as_key key = { 9, AS_ROLE_TEST_HARNESS, 4 };

static struct as_node *f_pulley(struct as_tape *t, struct as_node *const *in) { return as_epps_pulley(t, in[0]); }
static struct as_node *f_fresh(struct as_tape *t, struct as_node *const *in)
{
    return as_epps_pulley(t, as_scale(t, in[0], 1.0));
}
static struct as_node *f_sigreg(struct as_tape *t, struct as_node *const *in) { return as_sigreg(t, in[0], 5, key); }

static void gradients(void **state)
{
    static const struct gc_case cases[] = {
        { "epps_pulley", f_pulley, { { 2, { 7, 3 }, 0, 0, false } }, NULL, false, false },
        { "epps_pulley in groups", f_fresh, { { 3, { 2, 5, 21 }, -3, 3, false } }, NULL, false, false },
        { "epps_pulley of one row", f_fresh, { { 2, { 1, 17 }, 0, 0, false } }, NULL, false, false },
        { "sigreg", f_sigreg, { { 3, { 2, 6, 4 }, -2, 2, false } }, NULL, false, false },
    };

    (void)state;
    assert_int_equal(gc_check(cases, sizeof cases / sizeof *cases), 0);
}

/* 17 points, no symmetry made use of, with the weights of the trapezoid rule; p (n, m). */
static double plainly(struct as_tape *t, struct as_node *p)
{
    double sum = 0;

    for (int k = 0; k < 17; k++) {
        double at = -5 + 10.0 * k / 16, weight = 10.0 / 16 * (k % 16 == 0 ? 0.5 : 1) * exp(-at * at / 2);
        struct as_node *angle = as_scale(t, p, at);
        struct as_node *real_part = as_shift_by(t, as_mean(t, as_cos(t, angle), 0, false), -exp(-at * at / 2));
        struct as_node *imaginary = as_mean(t, as_sin(t, angle), 0, false);
        struct as_node *square = as_add(t, as_square(t, real_part), as_square(t, imaginary));

        sum += weight * (double)as_mean(t, square, 0, false)->x[0] * (double)p->dim[0];
    }
    return sum;
}

static struct as_node *normal(struct as_tape *t, int rank, const ptrdiff_t *dim, double mean, double sd)
{
    struct as_node *p = as_node_new(t, rank, dim);

    for (ptrdiff_t i = 0; i < as_node_size(p); i++)
        p->x[i] = (real)(mean + sd * (double)as_normal(key, (uint64_t)i));
    return p;
}

static void as_it_stands(void **state)
{
    struct as_tape *t = as_tape_new();
    const double near = sizeof(real) == sizeof(double) ? 1e-12 : 2e-5;

    (void)state;
    for (int i = 0; i < 3; i++) {
        struct as_node *p = normal(t, 2, (ptrdiff_t[]){ 40, 19 }, 0.4 * i, 1 + i);
        double got = (double)as_epps_pulley(t, p)->x[0], expected = plainly(t, p);

        assert_true(fabs(got - expected) < near * (1 + expected));
    }
    as_tape_free(t);
}

/* sqrt(2 pi) - sqrt(2 pi / 3) on average over standard normal samples; a constant 0 has n times the integral of
 * (1 - exp(-t^2/2))^2 exp(-t^2/2), sqrt(2 pi) (1 - sqrt 2 + 1 / sqrt 3). Groups are averaged. */
static void known_values(void **state)
{
    struct as_tape *t = as_tape_new();
    const double turn = sqrt(2 * 3.14159265358979323846);
    struct as_node *many = normal(t, 3, (ptrdiff_t[]){ 4, 50, 500 }, 0, 1);
    struct as_node *zero = as_scale(t, normal(t, 2, (ptrdiff_t[]){ 30, 2 }, 0, 1), 0);
    double average = (double)as_epps_pulley(t, many)->x[0], constant = (double)as_epps_pulley(t, zero)->x[0], sum = 0;

    (void)state;
    assert_true(fabs(average - turn * (1 - 1 / sqrt(3))) < 0.08);
    assert_true(fabs(constant - 30 * turn * (1 - sqrt(2) + 1 / sqrt(3))) < 1e-3 * constant);
    for (ptrdiff_t g = 0; g < 4; g++)
        sum += (double)as_epps_pulley(t, as_slice(t, many, 0, g, 1))->x[0] / 4;
    assert_true(fabs(sum - average) < 1e-4);
    as_tape_free(t);
}

/* Of z = (c, 0, ..., 0) a projection is c times an element of a unit vector: of one dimension +-c. Another key gives other
 * directions, the same key the same. */
static void directions(void **state)
{
    struct as_tape *t = as_tape_new();
    struct as_node *line = normal(t, 2, (ptrdiff_t[]){ 64, 1 }, 0, 1), *z = normal(t, 2, (ptrdiff_t[]){ 64, 8 }, 0, 2);
    double one = (double)as_sigreg(t, line, 7, key)->x[0], same = (double)as_epps_pulley(t, line)->x[0];
    real first = as_sigreg(t, z, 3, key)->x[0], again = as_sigreg(t, z, 3, key)->x[0];
    real other = as_sigreg(t, z, 3, as_subkey(key, 1))->x[0];

    (void)state;
    assert_true(fabs(one - same) < 1e-4 * same);
    assert_memory_equal(&first, &again, sizeof first);
    assert_memory_not_equal(&first, &other, sizeof first);
    as_tape_free(t);
}

static void same_bits_with_any_team(void **state)
{
    real value[2], slope[2][40 * 70];
    ptrdiff_t dims[2] = { 40, 70 };

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct as_tape *t = as_tape_new();
        struct as_node *p = normal(t, 2, dims, 0, 1), *leaf = as_node_wrap(t, 2, dims, p->x, slope[i]), *y;

        memset(slope[i], 0, sizeof slope[i]);
        as_threads_set(1 + 2 * i);
        y = as_epps_pulley(t, leaf);
        as_backward(t, y, 1);
        value[i] = y->x[0];
        as_tape_free(t);
    }
    as_threads_set(1);
    assert_memory_equal(&value[0], &value[1], sizeof value[0]);
    assert_memory_equal(slope[0], slope[1], sizeof slope[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients), cmocka_unit_test(as_it_stands), cmocka_unit_test(known_values),
        cmocka_unit_test(directions), cmocka_unit_test(same_bits_with_any_team),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

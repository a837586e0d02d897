/* test_probe.c: linear probes: the minimum is one (checked on the loss itself, not on its equations), classes are found,
 * scales and constant features do not matter, the team does not, and what cannot be is refused. */
#include <assay/error.h>
#include <assay/parallel.h>
#include <assay/probe.h>
#include <assay/random.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { N = 700, D = 6, CLASSES = 3, CONSTANT = 4 };

static real x[N * D];
static int32_t label[N];

/* Feature j has deviation 10^j / 100; number CONSTANT none. The class leans on features 0, 1 and 2, with noise. */
static void make(void)
{
    struct as_key key = { 4, AS_ROLE_TEST_HARNESS, 0 };

    for (int r = 0; r < N; r++) {
        double best = -1e9;

        for (int j = 0; j < D; j++)
            x[r * D + j] = j == CONSTANT ? R(0.3)
                                         : (real)(pow(10, j - 2) * (double)as_normal(key, (uint64_t)(r * D + j)) + j);
        for (int c = 0; c < CLASSES; c++) {
            double lean = ((double)x[r * D + c] - c) / pow(10, c - 2) +
                          0.7 * (double)as_normal(key, (uint64_t)(1000000 + r * CLASSES + c)) + 0.5 * c;

            if (lean > best) {
                best = lean;
                label[r] = c;
            }
        }
    }
}

static double output(const struct as_probe *p, int r, int c)
{
    double sum = p->bias[c];

    for (int j = 0; j < D; j++)
        sum += p->w[c * D + j] * p->scale[j] * ((double)x[r * D + j] - p->mean[j]);
    return sum;
}

static double loss_of(const struct as_probe *p, struct as_probe_how how)
{
    double loss = 0;

    for (int r = 0; r < N; r++) {
        double sum = 0;

        for (int c = 0; c < CLASSES; c++)
            if (how.iterations)
                sum += exp(output(p, r, c));
            else
                loss += pow(output(p, r, c) - (label[r] == c), 2) / (2.0 * N);
        if (how.iterations)
            loss += (log(sum) - output(p, r, label[r])) / N;
    }
    for (int i = 0; i < CLASSES * D; i++)
        loss += how.ridge / 2 * p->w[i] * p->w[i];
    return loss;
}

/* Nothing near is lower: the loss along each weight is a parabola with its foot here. */
static void assert_minimum(struct as_probe *p, struct as_probe_how how, double slack)
{
    const double h = 1e-3;

    for (int i = 0; i < CLASSES * (D + 1); i++) {
        double *w = i < CLASSES * D ? &p->w[i] : &p->bias[i - CLASSES * D], was = *w, up, down;

        *w = was + h;
        up = loss_of(p, how);
        *w = was - h;
        down = loss_of(p, how);
        *w = was;
        if (!(fabs(up - down) / (2 * h) <= slack))
            fail_msg("weight %d: slope %g", i, (up - down) / (2 * h));
    }
}

static void fits_are_minima(void **state)
{
    static const struct as_probe_how how[] = { { 0.03, 0 }, { 0.03, 400 } };
    struct as_arena *a = as_arena_new();

    (void)state;
    make();
    for (int i = 0; i < 2; i++) {
        struct as_probe *p = as_probe_fit(a, N, D, x, label, CLASSES, how[i]);

        assert_minimum(p, how[i], 1e-7);
        assert_true(as_probe_accuracy(p, N, x, label) > 0.7);
        for (int c = 0; c < CLASSES; c++)
            assert_true(!(fabs(p->w[c * D + CONSTANT] * p->scale[CONSTANT]) > 0));
    }
    as_arena_free(a);
}

/* Classes that a line tells apart; accuracy by hand. */
static void accuracy_counts(void **state)
{
    const real z[] = { R(-2.0), R(-1.0), R(-1.5), R(1.0), R(2.0), R(3.0) };
    const int32_t side[] = { 0, 0, 0, 1, 1, 1 }, other[] = { 0, 1, 0, 1, 0, 1 };
    struct as_arena *a = as_arena_new();

    (void)state;
    for (int iterations = 0; iterations <= 50; iterations += 50) {
        struct as_probe *p = as_probe_fit(a, 6, 1, z, side, 2, (struct as_probe_how){ 1e-3, iterations });

        assert_true(fabs(as_probe_accuracy(p, 6, z, side) - 1) < 1e-12);
        assert_true(fabs(as_probe_accuracy(p, 6, z, other) - 4.0 / 6) < 1e-12);
    }
    as_arena_free(a);
}

static void same_bits_with_any_team(void **state)
{
    struct as_arena *a = as_arena_new();
    struct as_probe *p[2];

    (void)state;
    make();
    for (int i = 0; i < 2; i++) {
        as_threads_set(1 + 2 * i);
        p[i] = as_probe_fit(a, N, D, x, label, CLASSES, (struct as_probe_how){ 1e-3, 30 });
    }
    as_threads_set(1);
    assert_memory_equal(p[0]->w, p[1]->w, CLASSES * D * sizeof(double));
    assert_memory_equal(p[0]->bias, p[1]->bias, CLASSES * sizeof(double));
    as_arena_free(a);
}

struct wrong { struct as_arena *a; int what; };

static void call_wrong(void *ctx)
{
    struct wrong *w = ctx;
    struct as_probe_how how = { w->what == 0 ? 0 : 1e-3, 5 };

    make();
    if (w->what == 1)
        label[7] = CLASSES;
    if (w->what == 2)
        x[3 * D + 1] = (real)INFINITY;
    if (w->what == 3)
        label[0] = -1;
    as_probe_fit(w->a, N, D, x, label, CLASSES, how);
}

static void what_cannot_be_is_refused(void **state)
{
    static const char *const word[] = { "ridge of 0", "label 7 is 3", "feature 1", "label 0 is -1" };
    struct wrong w = { .a = as_arena_new() };

    (void)state;
    for (w.what = 0; w.what < 4; w.what++) {
        assert_int_equal(as_try(call_wrong, &w), AS_FAILED);
        assert_non_null(strstr(as_failure_text(), word[w.what]));
    }
    as_arena_free(w.a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fits_are_minima), cmocka_unit_test(accuracy_counts),
        cmocka_unit_test(same_bits_with_any_team), cmocka_unit_test(what_cannot_be_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

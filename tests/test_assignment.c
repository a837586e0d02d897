/* test_assignment.c: the best matching against all permutations; a hidden one found; what is refused. */
#include <assay/assignment.h>
#include <assay/error.h>
#include <assay/random.h>
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

enum { MOST = 160 };

/* The largest sum over all permutations of rows from..n-1. */
static double exhaust(ptrdiff_t n, const double *gain, ptrdiff_t from, unsigned taken)
{
    double best = -(double)INFINITY;

    if (from == n)
        return 0;
    for (ptrdiff_t j = 0; j < n; j++)
        if (!(taken >> j & 1))
            best = fmax(best, gain[from * n + j] + exhaust(n, gain, from + 1, taken | 1u << j));
    return best;
}

static void assert_permutation(ptrdiff_t n, const int32_t *to)
{
    bool seen[MOST] = { false };

    for (ptrdiff_t i = 0; i < n; i++) {
        assert_in_range(to[i], 0, n - 1);
        assert_false(seen[to[i]]);
        seen[to[i]] = true;
    }
}

/* Sizes 1 to 7; draws of either sign, and small whole numbers, which have ties. */
static void best_of_all(void **state)
{
    struct as_arena *a = as_arena_new();
    double gain[49];
    int32_t to[7];

    (void)state;
    for (uint64_t s = 0; s < 300; s++) {
        ptrdiff_t n = 1 + (ptrdiff_t)(s % 7);
        struct as_key key = { s, AS_ROLE_TEST_HARNESS, 0 };
        double sum = 0, got;

        for (ptrdiff_t i = 0; i < n * n; i++)
            gain[i] = s % 2 ? (double)as_normal(key, (uint64_t)i) : (double)as_below(key, (uint64_t)i, 4);
        got = as_assign(a, n, gain, to);
        assert_permutation(n, to);
        for (ptrdiff_t i = 0; i < n; i++)
            sum += gain[i * n + to[i]];
        assert_true(fabs(got - sum) <= 1e-12);
        assert_true(fabs(got - exhaust(n, gain, 0, 0)) <= 1e-9);
    }
    as_arena_free(a);
}

/* A permutation hidden in noise that cannot outweigh it, and one that no swap of two rows improves. */
static void large(void **state)
{
    static double gain[MOST * MOST];
    struct as_arena *a = as_arena_new();
    int32_t hidden[MOST], to[MOST];
    struct as_key key = { 1, AS_ROLE_TEST_HARNESS, 0 };

    (void)state;
    as_shuffle(key, MOST, hidden);
    for (ptrdiff_t i = 0; i < MOST; i++)
        for (ptrdiff_t j = 0; j < MOST; j++)
            gain[i * MOST + j] = (double)as_uniform(key, (uint64_t)(i * MOST + j)) + (hidden[i] == j ? 1 : 0);
    as_assign(a, MOST, gain, to);
    assert_memory_equal(to, hidden, sizeof to);
    for (ptrdiff_t i = 0; i < MOST * MOST; i++)
        gain[i] = (double)as_normal(key, (uint64_t)i);
    as_assign(a, MOST, gain, to);
    assert_permutation(MOST, to);
    for (ptrdiff_t i = 0; i < MOST; i++)
        for (ptrdiff_t k = 0; k < i; k++)
            assert_true(gain[i * MOST + to[i]] + gain[k * MOST + to[k]] >=
                        gain[i * MOST + to[k]] + gain[k * MOST + to[i]]);
    as_arena_free(a);
}

static void assign_nan(void *ctx)
{
    double gain[] = { 1, 2, (double)NAN, 3 };
    int32_t to[2];

    as_assign(ctx, 2, gain, to);
}

/* Scratch is given back; what is not finite is refused by its place. */
static void manners(void **state)
{
    struct as_arena *a = as_arena_new();
    size_t mark = as_arena_mark(a);
    double gain[] = { 1, 2, 3, 1 };
    int32_t to[2];

    (void)state;
    assert_true(fabs(as_assign(a, 2, gain, to) - 5) <= 0);
    assert_int_equal(as_arena_mark(a), mark);
    assert_true(fabs(as_assign(a, 0, gain, to)) <= 0);
    assert_int_equal(as_try(assign_nan, a), AS_FAILED);
    assert_non_null(strstr(as_failure_text(), "row 1 and column 0"));
    as_arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(best_of_all), cmocka_unit_test(large),
                                        cmocka_unit_test(manners) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

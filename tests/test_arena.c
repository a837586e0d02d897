/* The arena: alignment, marks, peak, growth, poison, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assay/arena.h>
#include <assay/error.h>

#include <string.h>

static void test_takes(void **state)
{
    (void)state;
    struct as_arena *a = as_arena_new();
    unsigned char *first = as_arena_take(a, 100), *second = as_arena_take(a, 0), *third = as_arena_zero(a, 1);
    assert_int_equal((uintptr_t)first % 64, 0);
    assert_int_equal((uintptr_t)second % 64, 0);
    assert_true(second > first && third > second);
    assert_int_equal(third[0], 0);
    memset(first, 7, 100);
    size_t mark = as_arena_mark(a), peak;
    unsigned char *large = as_arena_take(a, (size_t)10 << 20);
    memset(large, 1, (size_t)10 << 20);
    peak = as_arena_peak(a);
    assert_true(peak >= (size_t)10 << 20);
    as_arena_reset(a, mark);
    assert_int_equal(as_arena_mark(a), mark);
    assert_int_equal(as_arena_peak(a), peak);
    assert_ptr_equal(as_arena_zero(a, 64), large);       /* the same place, cleaned */
    for (int i = 0; i < 64; i++)
        assert_int_equal(large[i], 0);
    assert_int_equal(first[99], 7);
    as_arena_free(a);
    as_arena_free(NULL);
}

static void test_poison(void **state)
{
    (void)state;
    struct as_arena *a = as_arena_new();
    as_arena_poison(a, 1);
    float *f = as_arena_take(a, 8 * sizeof *f);
    double *d = as_arena_take(a, sizeof *d);
    assert_true(f[7] != f[7] && *d != *d);
    assert_true(*(float *)as_arena_zero(a, sizeof *f) == 0.0f);
    as_arena_free(a);
}

static void takes_too_much(void *ctx)
{
    as_arena_take(ctx, SIZE_MAX - 10);
}

static void takes_more_than_there_is(void *ctx)
{
    as_arena_take(ctx, (size_t)1 << 46);
}

static void multiplies(void *ctx)
{
    (void)ctx;
    as_size(SIZE_MAX / 2, 3);
}

static void test_refuses(void **state)
{
    (void)state;
    struct as_arena *a = as_arena_new();
    assert_int_equal(as_try(takes_too_much, a), AS_NO_MEMORY);
    assert_int_equal(as_try(takes_more_than_there_is, a), AS_NO_MEMORY);
    assert_non_null(strstr(as_failure_text(), "smaller batch"));
    assert_int_equal(as_try(multiplies, NULL), AS_NO_MEMORY);
    assert_int_equal(as_size(6, 7), 42);
    assert_non_null(as_arena_take(a, 10));               /* still of use */
    as_arena_free(a);
}

/* Many at once: each gets what address space there is. */
static void test_many(void **state)
{
    (void)state;
    struct as_arena *a[300];
    for (int i = 0; i < 300; i++)
        as_arena_take(a[i] = as_arena_new(), 1000);
    for (int i = 0; i < 300; i++)
        as_arena_free(a[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_takes), cmocka_unit_test(test_poison),
                                        cmocka_unit_test(test_refuses), cmocka_unit_test(test_many) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Sentences, failures and near words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <assay/error.h>

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

static void test_say(void **state)
{
    (void)state;
    const char *first = as_say("number %d", 0);
    for (int i = 1; i < 8; i++)
        as_say("number %d", i);
    assert_string_equal(first, "number 0");
    setlocale(LC_ALL, "de_DE.UTF-8");            /* where there is one: a comma */
    assert_string_equal(as_say("%g and %.2f", 1.5, 0.25), "1.5 and 0.25");
    setlocale(LC_ALL, "C");
    char large[5000];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    assert_true(strlen(as_say("%s", large)) > 1000);
}

static int depth;

static void fails(void *ctx)
{
    as_fail(AS_REFUSED, "%s with %g", (const char *)ctx, 0.5);
}

static void nests(void *ctx)
{
    assert_int_equal(as_try(fails, ctx), AS_REFUSED);
    assert_string_equal(as_failure_text(), "inside with 0.5");
    depth++;
    as_fail(AS_NO_MEMORY, "again: %s", as_failure_text());
}

static void succeeds(void *ctx)
{
    *(int *)ctx = 5;
}

static void test_try(void **state)
{
    (void)state;
    int got = 0;
    assert_int_equal(as_try(succeeds, &got), AS_OK);
    assert_int_equal(got, 5);
    assert_string_equal(as_failure_text(), "");
    assert_int_equal(as_try(nests, (void *)(uintptr_t)"inside"), AS_NO_MEMORY);
    assert_int_equal(depth, 1);
    assert_string_equal(as_failure_text(), "again: inside with 0.5");
}

static void *other_thread(void *ctx)
{
    (void)ctx;
    return (void *)(uintptr_t)(as_try(fails, (void *)(uintptr_t)"other") == AS_REFUSED);
}

/* Attempts belong to a thread: a failure elsewhere leaves ours alone. */
static void starts_thread(void *ctx)
{
    pthread_t thread;
    void *caught = NULL;
    assert_int_equal(pthread_create(&thread, NULL, other_thread, NULL), 0);
    pthread_join(thread, &caught);
    assert_non_null(caught);
    assert_string_equal(as_failure_text(), "");
    *(int *)ctx = 1;
}

static void test_threads(void **state)
{
    (void)state;
    int done = 0;
    assert_int_equal(as_try(starts_thread, &done), AS_OK);
    assert_int_equal(done, 1);
}

static void test_nearest(void **state)
{
    (void)state;
    static const char *const names[] = { "deltanet", "gated-deltanet", "lstm", "gru", "heads", "lr", NULL };
    assert_string_equal(as_nearest("deltanett", names), "deltanet");
    assert_string_equal(as_nearest("detlanet", names), "deltanet");
    assert_string_equal(as_nearest("gated_deltanet", names), "gated-deltanet");
    assert_string_equal(as_nearest("head", names), "heads");
    assert_string_equal(as_nearest("ltsm", names), "lstm");
    assert_string_equal(as_nearest("lrr", names), "lr");
    assert_null(as_nearest("transformer", names));
    assert_null(as_nearest("", names));
    assert_null(as_nearest("x", names));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_say), cmocka_unit_test(test_try),
                                        cmocka_unit_test(test_threads), cmocka_unit_test(test_nearest) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

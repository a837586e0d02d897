/* What a configuration says about its data: the hash follows the options, wrong requests get a sentence. */
#include <driver/data.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void hash_of(const char *source_name, const char *key, const char *text, char out[65])
{
    struct as_config *cfg = as_config_new();
    const char *why;
    as_config_set(cfg, "data.source", source_name, true);
    if (key)
        as_config_set(cfg, key, text, true);
    why = data_hash(cfg, out);
    if (why)
        fail_msg("%s", why);
    assert_null(data_stored(cfg, &why));                 /* generators have nothing stored, and that is no error */
    assert_null(why);
    as_config_free(cfg);
}

static void generators_hash_by_their_options(void **state)
{
    char a[65], b[65], c[65], d[65];
    (void)state;
    hash_of("parity", NULL, NULL, a);
    hash_of("parity", "data.length", "3..40", b);        /* the default, said */
    hash_of("parity", "data.length", "3..41", c);
    hash_of("recall", NULL, NULL, d);
    assert_string_equal(a, b);
    assert_string_not_equal(a, c);
    assert_string_not_equal(a, d);
}

static void wrong_requests_are_sentences(void **state)
{
    static const char *const wrong[][4] = {
        { "parit", NULL, NULL, "parity" }, { "parity", "data.length", "0", "length" },
        { "recall", "data.length", "16", "pairs" },
    };
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct as_config *cfg = as_config_new();
        const char *why;
        as_config_set(cfg, "data.source", wrong[i][0], true);
        if (wrong[i][1])
            as_config_set(cfg, wrong[i][1], wrong[i][2], true);
        assert_null(data_stored(cfg, &why));
        assert_non_null(why);
        assert_non_null(strstr(why, wrong[i][3]));
        as_config_free(cfg);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(generators_hash_by_their_options),
        cmocka_unit_test(wrong_requests_are_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

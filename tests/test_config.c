/* Configurations, options, numbers as text, and the registry's checks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../core/number.h"

#include <assay/config.h>
#include <assay/error.h>
#include <assay/layer.h>
#include <assay/option.h>
#include <assay/parallel.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define has(text, part) \
    do { \
        const char *t_ = (text); \
        if (!t_ || !strstr(t_, part)) \
            fail_msg("\"%s\" does not say \"%s\"", t_ ? t_ : "(nothing)", part); \
    } while (0)

struct opt { int heads, norm, on; double beta; struct as_range length; };
static const struct as_option table[] = {
    { "heads", AS_INT, offsetof(struct opt, heads), 4, 1, 64, NULL, NULL, "heads" },
    { "norm", AS_WORD, offsetof(struct opt, norm), 1, 0, 0, "none|layer|rms", NULL, "normalisation" },
    { "on", AS_BOOL, offsetof(struct opt, on), 1, 0, 0, NULL, NULL, "switch" },
    { "beta", AS_NUM, offsetof(struct opt, beta), 0.1, 0, 2, NULL, NULL, "beta" },
    { "length", AS_RANGE, offsetof(struct opt, length), 0, 1, 1000, "3..40", NULL, "length" },
    { 0 }
};

static void numbers(void **state)
{
    (void)state;
    double v;
    long n;
    char buf[40];
    assert_true(as_parse_num("1e-3", &v) && v == 1e-3);
    assert_true(as_parse_num("-.5", &v) && v == -0.5);
    static const char *const bad[] = { "", "x", "1,5", "1 ", " 1", "nan", "inf", "0x10", "1e999", "1..2", "e", "-" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(as_parse_num(bad[i], &v));
    assert_true(as_parse_whole("1e4", &n) && n == 10000);
    assert_false(as_parse_whole("1.5", &n));
    as_number_text(buf, sizeof buf, 0.1);
    assert_string_equal(buf, "0.1");
    as_number_text(buf, sizeof buf, -0.0);
    assert_string_equal(buf, "0");
    static const double odd[] = { 1.0 / 3, 2e-308, 1e300, 123456789.123456789, 0.1 + 0.2 };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        as_number_text(buf, sizeof buf, odd[i]);
        assert_true(as_parse_num(buf, &v) && v == odd[i]);
    }
}

static void any_locale(void **state)
{
    (void)state;
    static const char *const comma[] = { "de_DE.UTF-8", "fr_FR.UTF-8", "de_DE", "fr_FR" };
    double v;
    char buf[40];
    for (size_t i = 0; i < sizeof comma / sizeof *comma && !setlocale(LC_ALL, comma[i]); i++)
        ;
    bool tried = strcmp(localeconv()->decimal_point, ",") == 0;
    bool parsed = as_parse_num("2.5", &v);
    as_number_text(buf, sizeof buf, 2.5);
    setlocale(LC_ALL, "C");
    assert_true(parsed && v == 2.5);
    assert_string_equal(buf, "2.5");
    if (!tried)
        print_message("# no locale with a decimal comma is installed here\n");
}

static void defaults_are_written_back(void **state)
{
    (void)state;
    struct as_config *cfg = as_config_new();
    struct opt o;
    as_config_set(cfg, "mixer.beta", "2e0", true);
    assert_null(as_options_read(table, &o, sizeof o, cfg, "mixer"));
    assert_int_equal(o.heads, 4);
    assert_int_equal(o.norm, 1);
    assert_true(o.beta == 2 && o.length.lo == 3 && o.length.hi == 40 && o.on == 1);
    char *text = as_config_text(cfg);
    assert_string_equal(text, "mixer.beta = 2\nmixer.heads = 4\nmixer.length = 3..40\nmixer.norm = layer\n"
                              "mixer.on = on\n");
    free(text);
    /* Reading what was written gives the same again. */
    struct opt again;
    assert_null(as_options_read(table, &again, sizeof again, cfg, "mixer"));
    assert_memory_equal(&o, &again, sizeof o);
    assert_null(as_config_unread(cfg));
    as_config_free(cfg);
}

static const char *refusal(const char *key, const char *text)
{
    struct as_config *cfg = as_config_new();
    struct opt o;
    as_config_set(cfg, key, text, true);
    const char *why = as_options_read(table, &o, sizeof o, cfg, "mixer");
    as_config_free(cfg);
    return why;
}

static void refusals(void **state)
{
    (void)state;
    has(refusal("mixer.heads", "0"), "mixer.heads = 0 is out of range: 1 to 64");
    has(refusal("mixer.heads", "2.5"), "no whole number");
    has(refusal("mixer.heads", "many"), "no whole number");
    has(refusal("mixer.norm", "layr"), "did you mean layer");
    has(refusal("mixer.norm", "zzzzzzzzz"), "none, layer or rms");
    has(refusal("mixer.on", "maybe"), "neither on nor off");
    has(refusal("mixer.beta", "2.0001"), "out of range: 0 to 2");
    has(refusal("mixer.length", "40..3"), "backwards");
    has(refusal("mixer.length", "3..2000"), "out of range: 1 to 1000");
    has(refusal("mixer.length", "3..4..5"), "no range");
    assert_null(refusal("mixer.heads", "64"));
    assert_null(refusal("mixer.length", "7"));
}

static void unread_key(void **state)
{
    (void)state;
    struct as_config *cfg = as_config_new();
    struct opt o;
    as_config_set(cfg, "mixer.haeds", "2", true);
    as_config_set(cfg, "made.by.core", "2", false);
    assert_null(as_options_read(table, &o, sizeof o, cfg, "mixer"));
    has(as_config_unread(cfg), "\"mixer.haeds\": did you mean \"mixer.heads\"?");
    as_config_free(cfg);
}

static void typed_reads(void **state)
{
    (void)state;
    struct as_config *cfg = as_config_new();
    as_config_set(cfg, "a", "1e1", true);
    assert_int_equal(as_config_int(cfg, "a", 3, 0, 10), 10);
    assert_string_equal(as_config_get(cfg, "a"), "10");
    assert_true(as_config_num(cfg, "b", 0.25, 0, 1) == 0.25);
    assert_string_equal(as_config_get(cfg, "b"), "0.25");
    assert_true(as_config_bool(cfg, "c", true));
    assert_null(as_config_word(cfg, "d", NULL));
    assert_string_equal(as_config_word(cfg, "d", "adamw"), "adamw");
    struct as_config *copy = as_config_copy(cfg);
    as_config_set(copy, "a", "11", false);
    assert_true(copy->entry[0].given && copy->entry[0].read);
    assert_string_equal(as_config_get(cfg, "a"), "10");
    as_config_free(copy);
    as_config_free(cfg);
}

static void read_too_large(void *ctx)
{
    as_config_int(ctx, "a", 0, 0, 10);
}

static void raised(void **state)
{
    (void)state;
    struct as_config *cfg = as_config_new();
    as_config_set(cfg, "a", "11", true);
    assert_int_equal(as_try(read_too_large, cfg), AS_REFUSED);
    has(as_failure_text(), "a = 11 is out of range: 0 to 10");
    as_config_free(cfg);
}

/* --- the registry -------------------------------------------------------------------------------------------- */

static void nothing(const struct as_call *c) { (void)c; }
static void no_update(const struct as_update *u) { (void)u; }
static struct as_node *same(struct as_graph *g, struct as_node *x) { (void)g; return x; }

static const struct as_variant good = { .abi = ASSAY_ABI, .summary = "s", .options = table,
    .opt_size = sizeof(struct opt), .graph = same,
    .paper = { .key = "k", .title = "t", .where = "w", .departs = "nothing" } };

static const char *check_variant(const struct as_variant *v)
{
    struct as_plugin p = { .abi = ASSAY_ABI, .variant = v };
    struct as_entry t[] = { { "ffn", "x", "", 0, "impl/ffn/x.c", "h", &p }, { 0 } };
    return as_registry_check(t);
}

static void descriptors(void **state)
{
    (void)state;
    static const struct as_option twice[] = { { "a", AS_INT, 0, 0, 0, 0, NULL, NULL, "h" },
                                              { "a", AS_INT, 0, 0, 0, 0, NULL, NULL, "h" }, { 0 } };
    static const struct as_option beyond[] = { { "a", AS_NUM, 4, 0, 0, 0, NULL, NULL, "h" }, { 0 } };
    static const struct as_option outside[] = { { "a", AS_INT, 0, 0, 1, 2, NULL, NULL, "h" }, { 0 } };
    assert_null(check_variant(&good));
    struct as_variant v = good;
    v.abi++;
    has(check_variant(&v), "impl/ffn/x.c: the variant has abi");
    v = good, v.summary = NULL;
    has(check_variant(&v), "summary");
    v = good, v.paper.departs = NULL;
    has(check_variant(&v), "departs");
    v = good, v.graph = NULL;
    has(check_variant(&v), "neither a graph nor");
    v = good, v.options = twice;
    has(check_variant(&v), "twice");
    v = good, v.options = beyond, v.opt_size = 8;
    has(check_variant(&v), "outside its struct");
    v = good, v.options = outside;
    has(check_variant(&v), "out of its own range");
    v = good, v.slots = (const struct as_slot[]){ { "heads", "x", "h" }, { 0 } };
    has(check_variant(&v), "an option and a slot");
}

static void tables(void **state)
{
    (void)state;
    static const struct as_rule rule = { .abi = ASSAY_ABI, .summary = "s", .update = no_update };
    static const struct as_impl impl = { .abi = ASSAY_ABI, .name = "chunk", .rank = 1, .forward = nothing };
    struct as_plugin a = { .abi = ASSAY_ABI, .variant = &good }, r = { .abi = ASSAY_ABI, .rule = &rule };
    struct as_plugin k = { .abi = ASSAY_ABI, .impl = { &impl } }, both = { .abi = ASSAY_ABI, .variant = &good,
                                                                            .rule = &rule };
    struct as_entry same_name[] = { { "ffn", "x", "", 0, "impl/ffn/x.c", "h", &a },
                                    { "core", "x", "", 0, "impl/core/x.c", "h", &a }, { 0 } };
    has(as_registry_check(same_name), "same name");
    struct as_entry two_kinds[] = { { "ffn", "x", "", 0, "impl/ffn/x.c", "h", &a },
                                    { "rule", "x", "", 0, "impl/rule/x.c", "h", &r }, { 0 } };
    assert_null(as_registry_check(two_kinds));
    struct as_entry folder[] = { { "ffn", "x", "", 0, "impl/ffn/x.c", "h", &r }, { 0 } };
    has(as_registry_check(folder), "does not belong into the folder");
    struct as_entry orphan[] = { { "ffn", "x", "chunk", 0, "impl/ffn/x.chunk.c", "h", &k }, { 0 } };
    has(as_registry_check(orphan), "there is no layer ffn/x");
    struct as_entry levels[] = { { "ffn", "x", "", 0, "impl/ffn/x.c", "h", &a },
                                 { "ffn", "x", "chunk", 0, "impl/ffn/x.chunk.c", "h", &k },
                                 { "ffn", "x", "chunk", 1, "impl/ffn/x.chunk.c", "h", &k }, { 0 } };
    assert_null(as_registry_check(levels));
    levels[2].path = "impl/ffn/x.other.c";
    has(as_registry_check(levels), "has an implementation called chunk too");
    struct as_entry mixed[] = { { "ffn", "x", "", 0, "impl/ffn/x.c", "h", &both }, { 0 } };
    has(as_registry_check(mixed), "there are 2");
}

/* What the build put together: sound, found by both names, and one level per kernel file. */
static void the_real_one(void **state)
{
    (void)state;
    const char *nearest = NULL;
    assert_null(as_registry_check(as_entries));
    assert_null(as_registry_check(as_entries_d));
    const struct as_entry *e = as_registry_find("layer", "lstm", NULL);
    assert_non_null(e);
    assert_ptr_equal(e, as_registry_find("layer", "recurrent/lstm", NULL));
    assert_null(as_registry_find("rule", "lstm", NULL));
    assert_null(as_registry_find("layer", "lstn", &nearest));
    assert_string_equal(nearest, "lstm");
    for (e = as_entries; e->path; e++) {
        struct as_choice c[16];
        int n = *e->kernel || !e->plugin->variant ? 0 : as_registry_impls(e, c, 16);
        for (int i = 0; i < n && i < 16; i++) {
            assert_true(c[i].entry->level <= (int)as_level());
            for (const struct as_entry *o = as_entries; o->path; o++)      /* no build for a higher level is left out */
                if (!strcmp(o->path, c[i].entry->path) && o->level <= (int)as_level())
                    assert_true(o->level <= c[i].entry->level);
            for (int j = 0; j < i; j++) {
                assert_string_not_equal(c[i].impl->name, c[j].impl->name);
                assert_true(c[j].impl->rank >= c[i].impl->rank);
            }
        }
        if (n > 1) {              /* less room: the best ones, and the true count */
            struct as_choice best;
            assert_int_equal(as_registry_impls(e, &best, 1), n);
            assert_ptr_equal(best.impl, c[0].impl);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers), cmocka_unit_test(any_locale), cmocka_unit_test(defaults_are_written_back),
        cmocka_unit_test(refusals), cmocka_unit_test(unread_key), cmocka_unit_test(typed_reads),
        cmocka_unit_test(raised), cmocka_unit_test(descriptors), cmocka_unit_test(tables),
        cmocka_unit_test(the_real_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

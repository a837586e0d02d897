/* test_core_rules.c: the kernels of the linear rule and the delta rule against the references in double; the
 * references against central differences and the graphs. How and how near: core_case.h.
 */
#include "core_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

extern const struct as_plugin as_plugin_core__linear_rule, as_plugin_core__linear_rule_d, as_plugin_core__delta_rule,
    as_plugin_core__delta_rule_d, as_plugin_core__gated_linear_rule, as_plugin_core__gated_linear_rule_d;
extern const struct as_plugin as_plugin_core__gated_linear_rule__chunk__portable;
extern const struct as_plugin as_plugin_core__linear_rule__chunk__portable, as_plugin_core__delta_rule__chunk__portable,
    as_plugin_core__delta_rule__steps__portable;
#ifdef __x86_64__
extern const struct as_plugin as_plugin_core__linear_rule__chunk__avx2, as_plugin_core__linear_rule__chunk__avx512;
extern const struct as_plugin as_plugin_core__delta_rule__chunk__avx2, as_plugin_core__delta_rule__chunk__avx512;
extern const struct as_plugin as_plugin_core__delta_rule__steps__avx2, as_plugin_core__delta_rule__steps__avx512;
extern const struct as_plugin as_plugin_core__gated_linear_rule__chunk__avx2, as_plugin_core__gated_linear_rule__chunk__avx512;
#define LEVELS(kernel) { &as_plugin_core__##kernel##__portable, &as_plugin_core__##kernel##__avx2, \
                         &as_plugin_core__##kernel##__avx512 }
#else
#define LEVELS(kernel) { &as_plugin_core__##kernel##__portable, NULL, NULL }
#endif

static const struct core_case cases[] = {
    { .name = "linear-rule.chunk", .ports = "qkv", .ref = &as_plugin_core__linear_rule_d,
      .variant = &as_plugin_core__linear_rule, .kernel = LEVELS(linear_rule__chunk) },
    { .name = "linear-rule.chunk with decay", .ports = "qkvg", .ref = &as_plugin_core__linear_rule_d,
      .variant = &as_plugin_core__linear_rule, .kernel = LEVELS(linear_rule__chunk), .forget = 0.2 },
    { .name = "gated-linear-rule.chunk", .ports = "qkva", .ref = &as_plugin_core__gated_linear_rule_d,
      .variant = &as_plugin_core__gated_linear_rule, .kernel = LEVELS(gated_linear_rule__chunk), .forget = 0.2 },
    { .name = "delta-rule.chunk", .ports = "qkvb", .ref = &as_plugin_core__delta_rule_d,
      .variant = &as_plugin_core__delta_rule, .kernel = LEVELS(delta_rule__chunk), .unit_keys = true, .beta_max = 2 },
    { .name = "delta-rule.chunk with decay", .ports = "qkvbg", .ref = &as_plugin_core__delta_rule_d,
      .variant = &as_plugin_core__delta_rule, .kernel = LEVELS(delta_rule__chunk), .unit_keys = true, .beta_max = 2,
      .forget = 0.2 },
    { .name = "delta-rule.steps", .ports = "qkvb", .ref = &as_plugin_core__delta_rule_d,
      .variant = &as_plugin_core__delta_rule, .kernel = LEVELS(delta_rule__steps), .unit_keys = true, .beta_max = 2 },
    { .name = "delta-rule.steps with decay", .ports = "qkvbg", .ref = &as_plugin_core__delta_rule_d,
      .variant = &as_plugin_core__delta_rule, .kernel = LEVELS(delta_rule__steps), .unit_keys = true, .beta_max = 2,
      .forget = 0.2 },
};
enum { CASES = sizeof cases / sizeof *cases };

static const ptrdiff_t times[] = { 1, 7, 63, 64, 65, 130 };
static const ptrdiff_t widths[][2] = { { 8, 8 }, { 16, 16 }, { 24, 24 }, { 33, 33 }, { 8, 16 }, { 16, 8 }, { 1, 1 },
                                       { 5, 13 }, { 33, 8 } };
enum { TIMES = sizeof times / sizeof *times, WIDTHS = sizeof widths / sizeof *widths };

static struct core_case sized(int i, ptrdiff_t batch, ptrdiff_t time, ptrdiff_t heads, ptrdiff_t dk, ptrdiff_t dv)
{
    struct core_case c = cases[i];

    c.batch = batch;
    c.time = time;
    c.heads = heads;
    c.dk = dk;
    c.dv = dv;
    return c;
}

static void kernels_against_reference(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++)
        for (int t = 0; t < TIMES; t++)
            for (int w = 0; w < WIDTHS; w++) {
                struct core_case c = sized(i, 2, times[t], 2, widths[w][0], widths[w][1]);

                core_compare(&c);
            }
}

/* Memories that forget everything within a few steps, and ones that never do. */
static void extreme_decays(void **state)
{
    static const double forget[] = { 0, 1e-3, 5, 60 };

    (void)state;
    for (int i = 0; i < CASES; i++)
        for (int f = 0; cases[i].forget > 0 && f < 4; f++) {
            struct core_case c = sized(i, 2, 130, 2, 16, 16), narrow = sized(i, 2, 130, 2, 5, 13);

            c.forget = narrow.forget = forget[f];
            core_compare(&c);
            core_compare(&narrow);
        }
    print_message("largest error: %.2f of what is allowed\n", core_worst());
}

/* The same key, or its opposite, written again and again: with beta near 2 the state is reflected, not forgotten. */
static void one_key(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, 3, 200, 2, 1, 8);

        core_compare(&c);
    }
}

static void references_against_differences(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, 2, 5, 2, 3, 4);

        core_slopes(&c);
    }
}

static void graphs_against_reference(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, 2, 19, 3, 5, 7);

        if (c.variant->variant->graph)
            core_compare_graph(&c);
    }
}

static void same_bits_at_any_team(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, 7, 150, 5, 16, 16);

        core_same_bits(&c);
    }
}

static void later_inputs_change_nothing_earlier(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, 2, 150, 2, 8, 16);

        core_is_causal(&c);
    }
}

static void padding_changes_nothing_valid(void **state)
{
    static const int32_t length[] = { 150, 1, 0, 64, 77 };

    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, 5, 150, 2, 16, 8);

        c.length = length;
        core_ignores_padding(&c);
    }
}

static void gradients_one_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < CASES; i++) {
        struct core_case c = sized(i, 2, 70, 2, 16, 8);

        core_leaves_frozen(&c);
    }
}

static void fresh_gradients_are_written_whole(void **state)
{
    static const int32_t length[] = { 150, 1, 0, 64, 77 };
    int seen = 0;

    (void)state;
    for (int i = 0; i < CASES; i++)
        for (int w = 0; w < WIDTHS && cases[i].kernel[0]->impl[0]->fresh; w++, seen++) {
            struct core_case c = sized(i, 5, 150, 2, widths[w][0], widths[w][1]);

            c.length = w % 2 ? length : NULL;
            core_writes_fresh(&c);
        }
    assert_int_equal(seen, 5 * WIDTHS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(references_against_differences), cmocka_unit_test(graphs_against_reference),
        cmocka_unit_test(kernels_against_reference),      cmocka_unit_test(extreme_decays),
        cmocka_unit_test(one_key),                        cmocka_unit_test(same_bits_at_any_team),
        cmocka_unit_test(later_inputs_change_nothing_earlier), cmocka_unit_test(padding_changes_nothing_valid),
        cmocka_unit_test(gradients_one_at_a_time),        cmocka_unit_test(fresh_gradients_are_written_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

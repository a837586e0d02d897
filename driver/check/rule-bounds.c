/* rule-bounds: a rule writes its weight and its moments, and nothing else: not its input, its options, nor beside. */
#include "rule.h"

static void run(struct check_run *r)
{
    static const ptrdiff_t sizes[] = { 1, 3, 16, 67, 18, 18 }, rows[] = { 0, 0, 0, 0, 3, 6 };
    struct check_setting s[RULE_SETTINGS];
    int n = rule_settings(r, s);
    for (int k = 0; k < n; k++)
        for (int z = 0; z < 6; z++) {
            struct rule_case c = rule_case_new(r, sizes[z], 2);
            c.setting = k ? &s[k] : NULL;
            c.shift = z;
            c.rows = rows[z];
            c.decay = 0.1;
            if (rule_run(r, &c)) {
                check_did(r);
                if (c.broken)
                    check_fail(r, "with %s and a weight of %td elements: %s", rule_setting_text(c.setting), sizes[z], c.broken);
            }
            rule_case_free(&c);
            if (r->failures)
                return;
        }
}

const struct as_check AS_CHECK(rule_bounds) = {
    .name = "rule-bounds", .of = CHECK_RULE,
    .proves = "an update writes its weight and moments only; gradient, options and what lies beside stay",
    .cannot = "writes further than 24 elements away (run under AddressSanitizer for those)",
    .run = run,
};

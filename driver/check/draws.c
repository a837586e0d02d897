/* draws: random numbers come from the key: same key, same draw; without the promise, none at all. */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

static bool same(const struct form_result *a, const struct form_result *b)
{
    return a->n == b->n && memcmp(a->value, b->value, a->n * sizeof *a->value) == 0;
}

/* Two runs that may differ in key and training. -1: one did not run, 0: they differ, 1: the same bits. */
static int equal(struct check_run *r, const struct check_case *c, const struct form *a, const struct form *b)
{
    struct form_result x, y = { 0 };
    int is = -1;

    if (check_run_form(r, c, a, &x) && check_run_form(r, c, b, &y))
        is = same(&x, &y);
    free(x.value);
    free(y.value);
    return is;
}

/* What must hold in any case; *drew: another key gave other numbers. */
static void one_setting(struct check_run *r, const struct check_case *c, const struct form *f, bool promised,
                        bool *drew)
{
    struct form train = *f, other = *f, still = *f, quiet = *f;
    int is;

    train.training = other.training = true;
    other.key = quiet.key = f->key + 1;
    is = equal(r, c, &train, &train);
    if (is >= 0)
        check_did(r);
    if (is == 0)
        check_fail(r, "while training, the same key gave other numbers the second time: draws come from the key only "
                   "(%s)",
                   check_where(c, &train));
    if (equal(r, c, &still, &quiet) == 0)
        check_fail(r, "in evaluation, another key gave other numbers: nothing is drawn there (%s)",
                   check_where(c, &still));
    is = equal(r, c, &train, &other);
    *drew = *drew || is == 0;
    if (is == 0 && !promised)
        check_fail(r, "while training, another key gave other numbers, and it does not promise AS_DRAWS (%s)",
                   check_where(c, &train));
}

static void run(struct check_run *r)
{
    struct check_forms forms = check_forms_of(r);
    struct check_setting s[256];
    int n = check_settings(check_variant(r)->options, s, 256);
    bool promised = false, drew = false;
    static struct check_case c;

    for (int i = -1; i < n && i < 256; i++) {
        struct form_layout layout;

        if ((i >= 0 && s[i].beyond) || !check_case(r, CHECK_FEW, 0, &c) || c.why[0])
            continue;
        if (i >= 0)
            check_case_option(&c, s[i].row->key, s[i].value);
        layout = form_plan(&c.form);
        if (layout.why[0] || !check_is_small(&layout, 60000))
            continue;
        promised = layout.draws;
        for (int k = 0; k < forms.n; k++) {
            struct form f = c.form;

            f.impl = forms.form[k].name;
            one_setting(r, &c, &f, promised, &drew);
        }
    }
    if (check_variant(r)->promises & AS_DRAWS && !drew)
        check_fail(r, "it promises AS_DRAWS, and with no value of any option did another key give other numbers");
}

const struct as_check AS_CHECK(draws) = {
    .name = "draws", .of = CHECK_LAYER, .run = run,
    .proves = "the same key gives the same bits, evaluation draws nothing, another key changes what promises to draw "
              "and nothing else, with each option at its ends",
    .cannot = "the distribution of what is drawn",
};

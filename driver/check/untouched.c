/* untouched: nothing is written outside of what was given: inputs and weights stay, and red zones round every array. */
#include "layer.h"

#include <stdlib.h>

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form g = *f;
    struct form_result got;

    g.guard = true;
    if (check_run_form(r, c, &g, &got)) {
        check_did(r);
        if (got.broken[0])
            check_fail(r, "it %s (%s%s%s)", got.broken, c->text, c->text[0] ? ": " : "", check_where(c, f));
    }
    free(got.value);
}

static void run(struct check_run *r) { check_each(r, CHECK_SHAPES, true, one_form); }

const struct as_check AS_CHECK(untouched) = {
    .name = "untouched", .of = CHECK_LAYER, .run = run,
    .proves = "no form writes to its inputs or weights, or up to 128 bytes before or 192 past any array: inputs, "
              "weights, gradients, results, what is saved, scratch",
    .cannot = "writes further away, and reads outside (a build with --enable-sanitize sees those)",
};

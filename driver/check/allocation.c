/* allocation: after the first pass over a shape, a pass asks for no memory. */
#include "layer.h"

#include <stdlib.h>

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form g = *f;
    struct form_result got;

    g.repeat = 1;
    if (check_run_form(r, c, &g, &got)) {
        check_did(r);
        if (got.allocations > 0)
            check_fail(r, "the second pass over the same shape called malloc or its like %ld times; expected never "
                       "(%s)",
                       got.allocations, check_where(c, f));
        if (got.commits > 0)
            check_fail(r, "the second pass over the same shape took more of the tape than the first: its memory grew "
                       "%ld times (%s)", got.commits, check_where(c, f));
    }
    free(got.value);
}

static void run(struct check_run *r) { check_each(r, CHECK_FEW, true, one_form); }

const struct as_check AS_CHECK(allocation) = {
    .name = "allocation", .of = CHECK_LAYER, .run = run,
    .proves = "forward and backward allocate nothing after the first pass over a shape, in every form",
    .cannot = "what shared libraries allocate among themselves, which is not counted",
};

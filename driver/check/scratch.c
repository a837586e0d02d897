/* scratch: memory that was not initialised is not read: whatever it holds, the result has the same bits. */
#include "layer.h"

#include <stdlib.h>

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form g = *f;
    struct form_result want, got = { 0 };

    g.poison = 0x41;                     /* 12.08 in float, two millions in double */
    if (check_run_form(r, c, f, &want) && check_run_form(r, c, &g, &got))
        check_differ(r, c, f, "memory that it did not initialise held NaNs, then 12.08", &got, &want, 0);
    free(want.value);
    free(got.value);
}

static void run(struct check_run *r) { check_each(r, CHECK_SHAPES, true, one_form); }

const struct as_check AS_CHECK(scratch) = {
    .name = "scratch", .of = CHECK_LAYER, .run = run,
    .proves = "results do not depend on what scratch, saved arrays and new results hold before they are written",
    .cannot = "what is kept in static variables: state does that",
};

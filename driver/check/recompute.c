/* recompute: as a recomputed segment of the tape the layer gives the same bits. */
#include "layer.h"

#include <stdlib.h>

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form g = *f;
    struct form_result want, got = { 0 };

    g.training = true;
    g.recompute = false;
    if (f->n_in > 1)                     /* a segment has one input */
        return;
    if (check_run_form(r, c, &g, &want)) {
        g.recompute = true;
        if (check_run_form(r, c, &g, &got))
            check_differ(r, c, &g, "recomputed on the way back against kept", &want, &got, 0);
    }
    free(want.value);
    free(got.value);
}

static void run(struct check_run *r)
{
    if (check_variant(r)->ports)
        check_no_matter(r, "it takes several inputs, a recomputed segment takes one");
    else if (check_variant(r)->promises & AS_EXTRAS)
        check_no_matter(r, "it hands over auxiliary losses or further outputs, which a recomputed segment cannot");
    else
        check_each(r, CHECK_FEW, true, one_form);
}

const struct as_check AS_CHECK(recompute) = {
    .name = "recompute", .of = CHECK_LAYER, .run = run,
    .proves = "recomputing the layer on the way back gives the same bits of outputs and gradients, draws included",
    .cannot = "segments of more than this layer",
};

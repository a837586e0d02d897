/* state: all that a layer remembers is in its declared state, which starts afresh with each stream. */
#include "layer.h"

#include <stdlib.h>

static void streams(struct check_run *r, const struct check_case *c)
{
    struct form f = c->form, cut, again;
    struct form_result want, got = { 0 }, second = { 0 };

    f.stream = true;
    cut = again = f;
    cut.cut = f.time / 2;
    again.again = true;
    if (check_run_form(r, c, &f, &want)) {
        if (cut.cut > 0 && check_run_form(r, c, &cut, &got))
            check_differ(r, c, &f, "the state was moved elsewhere in the middle of the stream", &want, &got, 0);
        if (check_run_form(r, c, &again, &second))
            check_differ(r, c, &f, "a second stream after a first", &want, &second, 0);
    }
    free(want.value);
    free(got.value);
    free(second.value);
}

/* A pass over whole sequences leaves nothing behind for the next. */
static void passes(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form g = *f;
    struct form_result want, got = { 0 };

    g.repeat = 1;
    if (check_run_form(r, c, f, &want) && check_run_form(r, c, &g, &got))
        check_differ(r, c, f, "a second pass over the same batch", &want, &got, 0);
    free(want.value);
    free(got.value);
}

static void run(struct check_run *r)
{
    bool streaming = (check_promises(r) & (AS_CAUSAL | AS_POINTWISE)) != 0;
    static struct check_case c;

    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c) && streaming; k++)
        if (!c.why[0] && !c.form.length)
            streams(r, &c);
    check_each(r, CHECK_FEW, true, passes);
}

const struct as_check AS_CHECK(state) = {
    .name = "state", .of = CHECK_LAYER, .run = run,
    .proves = "a stream goes on with the same bits after its state was moved to other memory, a second stream starts "
              "afresh, and a second pass gives the bits of the first",
    .cannot = "that the state is as small as the paper's",
};

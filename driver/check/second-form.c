/* second-form: is there a second, independently written form, or are there arrays from another program? */
#include "layer.h"

#include <string.h>

static void run(struct check_run *r)
{
    const struct as_variant *v = check_variant(r);
    struct as_choice choice[32];
    int n = as_registry_impls(r->entry, choice, 32), whole = 0;

    for (int i = 0; i < n && i < 32; i++)
        whole += choice[i].impl->forward != NULL || choice[i].impl->step != NULL;
    check_did(r);
    if (whole + (v->graph != NULL) >= 2)
        check_note(r, "%d forms", whole + (v->graph != NULL));
    else
        check_unproved(r, "it has one form only (%s); a reference or kernel written from the paper would prove it, "
                       "or golden arrays", v->graph ? "its graph" : choice[0].impl->name);
}

const struct as_check AS_CHECK(second_form) = {
    .name = "second-form", .of = CHECK_LAYER, .run = run,
    .proves = "there are two forms of it, written separately, for the oracle to compare",
    .cannot = "that they were written by people who did not share a mistake; golden arrays are the better proof",
};

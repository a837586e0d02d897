/* frozen: weights and inputs that want no gradient get none, and the others' gradients stay the same. */
#include "layer.h"

#include <stdlib.h>
#include <string.h>

/* Parts of `got` against those of the same kind and name in `want`, bit for bit. */
static void compare(struct check_run *r, const struct check_case *c, const struct form *f, const char *what,
                    const struct form_result *want, const struct form_result *got)
{
    for (int p = 0; p < got->n_parts; p++)
        for (int q = 0; q < want->n_parts; q++) {
            size_t at = p ? got->end[p - 1] : 0, of = q ? want->end[q - 1] : 0, n = got->end[p] - at;

            if (want->kind[q] != got->kind[p] || strcmp(want->part[q], got->part[p]) != 0)
                continue;
            check_did(r);
            for (size_t i = 0; i < n; i++)
                if (want->value[of + i] != got->value[at + i]) {
                    check_fail(r, "%s: expected %.9g as before, got %.9g at %s%s (%s)", what, want->value[of + i],
                               got->value[at + i], got->kind[p] == FORM_OUTPUT ? "" : "gradient of ",
                               check_element(f, got, p, i), check_where(c, f));
                    break;
                }
        }
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    struct form frozen = *f, deaf = *f;
    struct form_result want, got = { 0 }, other = { 0 };
    bool weights = false, inputs = false;

    frozen.frozen = deaf.deaf = true;
    if (check_run_form(r, c, f, &want)) {
        for (int p = 0; p < want.n_parts; p++) {
            weights = weights || want.kind[p] == FORM_WEIGHT;
            inputs = inputs || want.kind[p] == FORM_INPUT;
        }
        if (weights && inputs && check_run_form(r, c, &frozen, &got))
            compare(r, c, f, "with all weights frozen (dw NULL)", &want, &got);
        if (weights && check_run_form(r, c, &deaf, &other))
            compare(r, c, f, "with no input that wants a gradient (dx NULL)", &want, &other);
        if (!weights)
            check_no_matter(r, "it has no weights");
    }
    free(want.value);
    free(got.value);
    free(other.value);
}

static void run(struct check_run *r) { check_each(r, CHECK_FEW, true, one_form); }

const struct as_check AS_CHECK(frozen) = {
    .name = "frozen", .of = CHECK_LAYER, .run = run,
    .proves = "frozen weights (dw NULL) and inputs that want no gradient (dx NULL) are left alone, and change "
              "nothing else",
    .cannot = "some weights frozen and others not",
};

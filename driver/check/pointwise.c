/* pointwise: each position by itself: a change at one position changes no other. */
#include "layer.h"

#include <stdlib.h>

static void edit_one(void *ctx, const struct form_values *v)
{
    ptrdiff_t at = *(const ptrdiff_t *)ctx;

    for (ptrdiff_t j = 0; j < v->unit; j++)
        v->x[at * v->unit + j] = 0.25 - v->x[at * v->unit + j];
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f)
{
    ptrdiff_t at = (f->batch - 1) * f->time + f->time / 2;       /* row, step */
    struct form g = *f, h;
    struct form_result want, got = { 0 };

    g.forward = true;
    h = g;
    h.edit = edit_one;
    h.ctx = &at;
    if (f->batch * f->time > 1 && check_run_form(r, c, &g, &want)) {
        size_t n = want.end[0], inner = n / (size_t)(f->batch * f->time);    /* the first output */

        if (check_run_form(r, c, &h, &got) && want.rank > 2)
            for (size_t i = 0; i < n; i++) {
                check_did(r);
                if (i / inner == (size_t)at || want.value[i] == got.value[i])
                    continue;
                check_fail(r, "the input at row %td, step %td was changed, and expected %.9g, got %.9g at %s (%s)",
                           at / f->time, at % f->time, want.value[i], got.value[i], check_element(f, &want, 0, i),
                           check_where(c, f));
                break;
            }
        free(want.value);
        free(got.value);
    }
}

static void run(struct check_run *r)
{
    if (!(check_variant(r)->promises & AS_POINTWISE))
        check_no_matter(r, "it makes no promise to work at each position by itself");
    else
        check_each(r, CHECK_SHAPES, false, one_form);
}

const struct as_check AS_CHECK(pointwise) = {
    .name = "pointwise", .of = CHECK_LAYER, .run = run,
    .proves = "a change of the input at one row and step changes no bit of the output at any other",
    .cannot = "a dependence on the position itself",
};

/* padding: what stands in the padding, and how much of it there is, changes no valid output and no gradient. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>

enum { MORE = 4 };                       /* further steps of padding */
static const double far = 3;             /* what stands in the padding: unlike the rest, and not so large that memories
                                            of products overflow over the padding */

static void edit_padding(void *ctx, const struct form_values *v)
{
    const int32_t *length = ctx;

    for (ptrdiff_t r = 0; r < v->batch; r++)
        for (ptrdiff_t j = length[r] * v->unit; j < v->time * v->unit; j++) {
            v->x[r * v->time * v->unit + j] = j % 2 ? far : -far;
            v->i[r * v->time * v->unit + j] = 0;
        }
}

/* Inputs whose range is declared keep to it. */
static void edit_within(void *ctx, const struct form_values *v)
{
    const struct { const int32_t *length; const struct form *f; } *e = ctx;
    const struct form_input *in = &e->f->in[v->port];
    struct form_values copy = *v;

    if (in->lo == 0 && in->hi == 0) {
        edit_padding((void *)e->length, &copy);
        return;
    }
    for (ptrdiff_t r = 0; r < v->batch; r++)
        for (ptrdiff_t j = e->length[r] * v->unit; j < v->time * v->unit; j++)
            v->x[r * v->time * v->unit + j] = in->lo + (in->hi - in->lo) * 0.75;
}

/* Gradients of the inputs in the padding are zero. */
static void zeros(struct check_run *r, const struct check_case *c, const struct form *f, const struct form_result *got)
{
    for (int p = 0; p < got->n_parts; p++) {
        size_t from = p ? got->end[p - 1] : 0, n = got->end[p] - from, inner = n / (size_t)(f->batch * f->time);

        if (got->kind[p] != FORM_INPUT)
            continue;
        check_did(r);
        for (size_t i = 0; i < n; i++)
            if (got->value[from + i] != 0 &&
                i / inner % (size_t)f->time >= (size_t)f->length[i / inner / (size_t)f->time]) {
                check_fail(r, "a gradient in the padding: expected 0, got %.9g at gradient of %s (%s)",
                           got->value[from + i],
                           check_element(f, got, p, i), check_where(c, f));
                break;
            }
    }
}

/* The valid steps of two runs of different time, one after the other as if of the shorter. */
static void shorten(const struct form *g, ptrdiff_t time, struct form_result *got)
{
    size_t to = 0, before = 0;

    for (int p = 0; p < got->n_parts; p++) {
        size_t from = before, n = got->end[p] - from, inner = n / (size_t)(g->batch * g->time);
        bool timed = got->kind[p] == FORM_INPUT ||
                     (got->kind[p] == FORM_OUTPUT && got->rank > 2 && got->dim[1] == g->time) ||
                     (got->kind[p] == FORM_EXTRA && n % (size_t)(g->batch * g->time) == 0);

        for (size_t i = 0; i < n; i++)
            if (!timed || i / inner % (size_t)g->time < (size_t)time)
                got->value[to++] = got->value[from + i];
        before = got->end[p];
        got->end[p] = to;
    }
    got->n = to;
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *f, double tolerance)
{
    struct { const int32_t *length; const struct form *f; } e = { f->length, f };
    struct form g = *f, longer = *f, truth_form = *f;
    struct form_result want, got = { 0 }, more = { 0 }, truth = { 0 };

    g.edit = edit_within;
    g.ctx = &e;
    longer.time += MORE;
    truth_form.impl = check_truth_of(r);
    if (check_run_form(r, c, f, &want) && check_run_form(r, c, &g, &got)) {
        check_differ(r, c, f, "values in the padding were changed", &want, &got, 0);
        zeros(r, c, f, &want);
        if (check_run_form(r, c, &longer, &more) && check_run_form_d(r, c, &truth_form, &truth)) {
            struct check_noise noise = check_noise(r, c, &truth_form, &truth);

            zeros(r, c, &longer, &more);
            shorten(&longer, f->time, &more);
            check_compare(r, c, &longer, "four more steps of padding", &truth, &more, &noise, 0, tolerance);
            free(noise.element);
        }
    }
    free(want.value);
    free(got.value);
    free(more.value);
    free(truth.value);
}

static void run(struct check_run *r)
{
    struct check_forms forms = check_forms_of(r);
    static struct check_case c;

    if (!(check_promises(r) & AS_PADDING_SAFE)) {
        check_no_matter(r, "it makes no promise to be safe against padding");
        return;
    }
    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++)
        for (int i = 0; i < forms.n && c.form.length; i++) {
            struct form f = c.form;

            f.impl = forms.form[i].name;
            one_form(r, &c, &f, forms.form[i].tolerance);
        }
}

const struct as_check AS_CHECK(padding) = {
    .name = "padding", .of = CHECK_LAYER, .run = run,
    .proves = "neither the values in the padding nor its amount change a valid output or a gradient; gradients there "
              "are zero",
    .cannot = "NaNs in the padding, which no source may write",
};

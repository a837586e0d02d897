/* cost: the declared operations grow with batch and time, and are about those of the matrix products.
 *
 * Products are counted while the graph runs in double over a short sequence. A graph may do up to some times more (a
 * parallel form of a recurrence) or less (a first step without state) than what a good kernel does, which is what the
 * descriptor declares: so the two agree within a factor. */
#include "layer.h"

#include <assay/error.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double factor = 4;

/* What the layer declares for this batch and time; its own, without children. */
static double declared(const struct check_run *r, const struct check_case *c, ptrdiff_t batch, ptrdiff_t time)
{
    const struct as_variant *v = check_variant(r);
    struct as_spec in[FORM_PORTS] = { { 0 } };
    struct as_cost cost = { 0, 0 };
    void *opt = calloc(1, v->opt_size ? v->opt_size : 1);

    if (!opt || (v->options && check_options_with(v->options, NULL, opt, v->opt_size)))
        as_fail(AS_FAILED, "its options cannot be read with their defaults");
    for (int i = 0; i < c->form.n_in; i++) {
        in[i] = (struct as_spec){ .dtype = c->form.in[i].vocab ? AS_INTS : AS_REALS, .rank = c->form.in[i].rank + 2,
                                  .dim = { batch, time }, .vocab = c->form.in[i].vocab };
        memcpy(in[i].dim + 2, c->form.in[i].dim, sizeof c->form.in[i].dim);
    }
    cost = v->cost(opt, c->form.n_in, in);
    free(opt);
    return cost.flop;
}

static void growth(struct check_run *r, const struct check_case *c)
{
    double once = declared(r, c, 2, 8), batch = declared(r, c, 4, 8), time = declared(r, c, 2, 16);

    check_did(r);
    if (!(once > 0) || !isfinite(once))
        check_fail(r, "cost() declares %g operations (batch 2, time 8)", once);
    else if (fabs(batch - 2 * once) > 1e-9 * batch)
        check_fail(r, "cost(): batch 2 takes %.0f operations, batch 4 should take %.0f, and it says %.0f",
                   once, 2 * once, batch);
    else if (time < 2 * once * (1 - 1e-9))
        check_fail(r, "cost(): time 8 takes %.0f operations, time 16 should take at least %.0f, and it says %.0f", once,
                   2 * once, time);
}

static void products(struct check_run *r, const struct check_case *c)
{
    struct form f = c->form;
    struct form_result got;

    f.forward = true;
    f.impl = check_truth_of(r);
    f.time = 5;
    f.length = NULL;
    for (int i = 0; i < c->n_children; i++)
        if (c->child[i].entry->plugin->variant->graph && c->child[i].entry->plugin->impl[0])
            check_case_option((struct check_case *)c, as_say("%s.impl", c->child[i].key), "graph");
    memcpy(f.options, c->form.options, sizeof f.options);
    if (check_run_form_d(r, c, &f, &got)) {
        if (got.products == 0) {
            if (got.flop == 0)
                check_no_matter(r, "it has no products, and declares no cost");
        } else {
            check_did(r);
            if (got.flop < got.products / factor || got.flop > got.products * factor)
                check_fail(r, "it is said to take %.0f operations, and its matrix products alone took %.0f: more "
                           "than %g times apart (%s)", got.flop, got.products, factor, check_where(c, &f));
            else
                check_note(r, "declared over counted: %.3g", got.flop / got.products);
        }
    }
    free(got.value);
}

static void run(struct check_run *r)
{
    static struct check_case c;

    if (!check_case(r, CHECK_FEW, 0, &c) || c.why[0])
        return;
    if (check_variant(r)->cost)
        growth(r, &c);
    products(r, &c);
}

const struct as_check AS_CHECK(cost) = {
    .name = "cost", .of = CHECK_LAYER, .run = run,
    .proves = "declared operations are proportional to the batch, at least to the time, and within a factor of 4 of "
              "the matrix products that the graph makes",
    .cannot = "the cost of element-wise work, and an error below that factor",
};

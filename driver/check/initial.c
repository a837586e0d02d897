/* initial: initial weights are finite and complete, come from the key alone, and are spread as declared. */
#include "layer.h"

#include <assay/error.h>

#include "core/lib/allocation.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static ptrdiff_t size_of(const struct form_weight *w)
{
    ptrdiff_t n = 1;

    for (int i = 0; i < w->rank; i++)
        n *= w->dim[i];
    return n;
}

/* Two models of one seed in memory that held NaNs, and one of another seed. */
static void from_the_key(struct check_run *r, const struct check_case *c, const struct form_layout *layout)
{
    struct form f = c->form;
    ptrdiff_t n = 0, m = 0;
    double *a, *b;

    as_allocations_fill(0xff);
    a = form_weights(&f, &n);
    as_allocations_fill(0x41);
    b = form_weights(&f, &m);
    as_allocations_fill(0);
    check_did(r);
    if (!a || !b || n != m || n != layout->store)
        as_fail(AS_FAILED, "its weights could not be made twice (%td and %td numbers, planned %td)",
                n, m, layout->store);
    for (int i = 0; i < layout->n; i++) {
        const struct form_weight *w = &layout->weight[i];

        for (ptrdiff_t j = w->at; !w->state && j < w->at + size_of(w); j++) {
            if (isfinite(a[j]) && a[j] == b[j])
                continue;
            if (!isfinite(a[j]))
                check_fail(r, "element %td of %td of %s: expected an initial value, got %g: it was never written, or "
                           "not a number (%s)", j - w->at, size_of(w), w->name, a[j], check_where(c, &f));
            else
                check_fail(r, "element %td of %s: the same seed gave %.9g, then %.9g; weights come from the key "
                           "alone (%s)",
                           j - w->at, w->name, a[j], b[j], check_where(c, &f));
            break;
        }
    }
    free(a);
    free(b);
}

/* Mean and deviation that the row declares; false: nothing to compare, or not drawn. */
static bool expected(const struct form_weight *w, double *mean, double *sd)
{
    double in = 1, out = w->rank ? (double)w->dim[0] : 1, a = w->init.a, b = w->init.b, gain = a == 0 ? 1 : a;

    for (int i = 1; i < w->rank; i++)
        in *= (double)w->dim[i];
    if (w->rank < 2)
        in = out;
    *mean = 0;
    switch (w->init.spread) {
    case AS_NORMAL:
        *mean = a;
        *sd = fabs(b);
        return true;
    case AS_UNIFORM:
        *mean = (a + b) / 2;
        *sd = fabs(b - a) / sqrt(12);
        return true;
    case AS_GLOROT:
        *sd = gain * sqrt(2 / (in + out));
        return true;
    case AS_FAN_IN:
        *sd = gain / sqrt(3 * in);
        return true;
    default:
        return false;
    }
}

/* Moments over 16 seeds. The mean of N draws is off by sd/sqrt(N), the mean square by at most sqrt(2/N) of itself
 * (normal draws; uniform ones less): five times that happens once in two millions. */
static void spread(struct check_run *r, const struct check_case *c, const struct form_layout *layout)
{
    enum { SEEDS = 16 };
    double *w[SEEDS];
    ptrdiff_t n;

    for (int s = 0; s < SEEDS; s++) {
        struct form f = c->form;

        f.seed += (uint64_t)s;
        w[s] = form_weights(&f, &n);
    }
    for (int i = 0; i < layout->n; i++) {
        const struct form_weight *p = &layout->weight[i];
        double mean, sd, sum = 0, square = 0, count = (double)size_of(p) * SEEDS;

        if (p->state || !expected(p, &mean, &sd) || count < 64)
            continue;
        for (int s = 0; s < SEEDS && w[s]; s++)
            for (ptrdiff_t j = p->at; j < p->at + size_of(p); j++) {
                sum += w[s][j] - mean;
                square += (w[s][j] - mean) * (w[s][j] - mean);
            }
        check_did(r);
        if (fabs(sum / count) > 5 * sd / sqrt(count) || fabs(square / count - sd * sd) > 5 * sd * sd * sqrt(2 / count))
            check_fail(r, "%s: expected draws of mean %.4g and deviation %.4g, got mean %.4g and deviation %.4g (%s)",
                       p->name,
                       mean, sd, mean + sum / count, sqrt(square / count), check_where(c, &c->form));
    }
    for (int s = 0; s < SEEDS; s++)
        free(w[s]);
}

/* A matrix that the input itself is multiplied with: the gradient of one step is an outer product, and the side that is
 * proportional to the input is the fan in, which has to be the second size. */
static void orientation(struct check_run *r, const struct check_case *c, const struct form_layout *layout)
{
    struct form f = c->form;
    struct form_result g;
    ptrdiff_t d = f.in[0].dim[0];

    f.batch = f.time = 1;
    f.length = NULL;
    if (f.n_in != 1 || f.in[0].rank != 1 || !check_run_form_d(r, c, &f, &g))
        return;
    for (int i = 0; i < layout->n; i++) {
        const struct form_weight *w = &layout->weight[i];
        bool fans = w->init.spread == AS_GLOROT || w->init.spread == AS_FAN_IN;

        if (w->state || w->statistic || w->rank != 2 || !fans || w->dim[0] == 1 || w->dim[1] == 1 || w->dim[0] != d)
            continue;
        for (int p = 0; p < g.n_parts; p++) {
            const double *dw = g.value + (p ? g.end[p - 1] : 0);
            double dot = 0, xx = 0, col = 0;

            if (g.kind[p] != FORM_WEIGHT || strcmp(g.part[p], w->name) != 0)
                continue;
            for (ptrdiff_t k = 0; k < d; k++) {
                struct as_key key = { f.seed, AS_ROLE_TEST_HARNESS, 0 };
                double x = (double)as_normal(key, (uint64_t)k);

                dot += x * dw[k * w->dim[1]];
                xx += x * x;
                col += dw[k * w->dim[1]] * dw[k * w->dim[1]];
            }
            check_did(r);
            if (col > 0 && dot * dot > (1 - 1e-9) * xx * col)
                check_fail(r, "%s (%td, %td): its columns follow the input, so it is stored (in, out); fan-based "
                           "initialisers read (out, in)", w->name, w->dim[0], w->dim[1]);
        }
    }
    free(g.value);
}

static void run(struct check_run *r)
{
    static struct check_case c;
    static struct form_layout layout;

    for (int k = 0; check_case(r, CHECK_SHAPES, k, &c); k++) {
        if (c.why[0] || (c.form.gain > 0 && c.form.gain != 1) || c.form.length)
            continue;
        layout = form_plan(&c.form);
        if (layout.store == 0) {
            check_no_matter(r, "it has no weights");
            return;
        }
        from_the_key(r, &c, &layout);
        if (k == 0)
            spread(r, &c, &layout);
        if (k == 0)
            orientation(r, &c, &layout);
    }
}

const struct as_check AS_CHECK(initial) = {
    .name = "initial", .of = CHECK_LAYER, .run = run,
    .proves = "initial weights are complete, finite, the same for the same seed, of the declared mean and spread, "
              "and what meets the input is stored (out, in)",
    .cannot = "that the declared initialiser is the paper's; the form of a distribution beyond its first two moments",
};

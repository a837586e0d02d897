/* gradient: in double, the gradient of every input and weight along random directions against central differences.
 *
 * The loss moves along a direction w that lies in one part (one input, one weight). Fourth-order differences with steps
 * h and h/2 give two slopes; what they differ by bounds the error of cutting the series off, and rounding adds an
 * epsilon of the terms of the loss over h. Both follow from the run itself, so the tolerance is not chosen. */
#include "layer.h"

#include <assay/random.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* h is small against numbers of size one; rounding is then 1e-11 of the loss. Two directions for each part; where the
 * function has kinks, up to three more, since a kink may lie within h. */
static const double step_size = 1e-4;
enum { DIRECTIONS = 2, KINKED = 5 };

/* Which part moves, along which direction, how far. element >= 0: this one alone. */
struct move { int port; const char *weight; uint64_t draw; double by; ptrdiff_t element; };

static double way(const struct move *m, ptrdiff_t i)
{
    struct as_key key = { m->draw, AS_ROLE_TEST_HARNESS, 4242 };

    return m->element >= 0 ? (double)(i == m->element) : 2 * (double)as_uniform(key, (uint64_t)i) - 1;
}

static void edit(void *ctx, const struct form_values *v)
{
    const struct move *m = ctx;

    if (m->port == v->port)
        for (ptrdiff_t i = 0; i < v->batch * v->time * v->unit; i++)
            v->x[i] += m->by * way(m, i);
}

static void edit_weight(void *ctx, const char *name, ptrdiff_t n, double *w)
{
    const struct move *m = ctx;

    if (m->weight && strncmp(m->weight, name, 63) == 0)
        for (ptrdiff_t i = 0; i < n; i++)
            w[i] += m->by * way(m, i);
}

static double loss_at(const struct form *f, struct move *m, double by)
{
    struct form g = *f;
    struct form_result r;
    double loss;

    m->by = by;
    g.edit = edit;
    g.edit_weight = edit_weight;
    g.ctx = m;
    r = form_run_d(&g);
    loss = r.why[0] ? (double)NAN : r.loss;
    free(r.value);
    return loss;
}

static double slope(const struct form *f, struct move *m, double h)
{
    double near = loss_at(f, m, h) - loss_at(f, m, -h), far = loss_at(f, m, 2 * h) - loss_at(f, m, -2 * h);

    return (8 * near - far) / (12 * h);
}

struct verdict { double want, got, allowed; bool sharp; };

/* One direction of one part, with steps of h. */
static struct verdict with_step(const struct form *f, const struct form_result *r, int part, struct move *m,
                                double terms, double h)
{
    size_t from = part ? r->end[part - 1] : 0, n = r->end[part] - from;
    double a = slope(f, m, h), b = slope(f, m, h / 2), size = 0;
    struct verdict v = { .want = b };

    for (size_t i = 0; i < n; i++) {
        double t = r->value[from + i] * way(m, (ptrdiff_t)i);

        v.got += t;
        size += t * t;
    }
    v.allowed = 2 * fabs(a - b) + 64 * 2.2e-16 * terms / h;
    v.sharp = v.allowed <= 1e-5 * fmax(sqrt(size), fabs(b)) || sqrt(size) + fabs(b) < 1e-9 * terms;
    return v;
}

/* Where the function bends within the step, a step a hundred times shorter is tried. */
static struct verdict one_direction(const struct form *f, const struct form_result *r, int part, struct move *m,
                                    double terms)
{
    struct verdict v = with_step(f, r, part, m, terms, step_size);

    return v.sharp ? v : with_step(f, r, part, m, terms, step_size / 100);
}

/* The size of what the loss is added up from. */
static double terms_of(const struct form_result *r)
{
    double sum = 1;

    for (size_t i = 0; i < r->end[0]; i++)
        sum += fabs(r->value[i]);
    return sum;
}

static void one_part(struct check_run *r, const struct check_case *c, const struct form *f, const struct form_result *g,
                     int part, int port, double *worst)
{
    int tries = g->kinks[0] ? KINKED : DIRECTIONS, good = 0;
    struct verdict bad = { 0 };
    bool off = false;

    for (int t = 0; t < tries && good < DIRECTIONS; t++) {
        struct move m = { .port = g->kind[part] == FORM_INPUT ? port : -1, .draw = (uint64_t)(100 * part + t) + r->seed,
                          .weight = g->kind[part] == FORM_WEIGHT ? g->part[part] : NULL, .element = -1 };
        struct verdict v = one_direction(f, g, part, &m, terms_of(g));

        if (v.sharp && fabs(v.want - v.got) <= v.allowed) {
            *worst = fmax(*worst, fabs(v.want - v.got) / v.allowed);
            good++;
            check_did(r);
        } else if (!off || v.sharp) {
            bad = v;
            off = true;
        }
    }
    if (good >= (g->kinks[0] ? 1 : DIRECTIONS))
        return;
    if (!bad.sharp && !isnan(bad.want))
        check_not_tested(r, "the loss is not smooth enough along %s for differences: they give %.12g +- %.2g, the "
                         "gradient says %.12g%s (%s)", g->part[part], bad.want, bad.allowed, bad.got,
                         g->kinks[0] ? "" : "; if it has kinks, the descriptor should say where (.kinks)",
                                            check_where(c, f));
    else
        check_fail(r, "gradient of %s along a random direction: differences give %.12g, the gradient says %.12g; off "
                   "by %.3g, allowed %.2g (%s; with --elements each number is tried)", g->part[part], bad.want, bad.got,
                   fabs(bad.want - bad.got), bad.allowed, check_where(c, f));
}

static void one_by_one(struct check_run *r, const struct check_case *c, const struct form *f,
                       const struct form_result *g, int part, int port)
{
    size_t n = g->end[part] - (part ? g->end[part - 1] : 0);

    for (size_t i = 0; i < n; i++) {
        struct move m = { .port = g->kind[part] == FORM_INPUT ? port : -1, .element = (ptrdiff_t)i,
                          .weight = g->kind[part] == FORM_WEIGHT ? g->part[part] : NULL };
        struct verdict v = one_direction(f, g, part, &m, terms_of(g));

        check_did(r);
        if (fabs(v.want - v.got) > v.allowed)
            check_fail(r, "gradient of %s: differences give %.12g, the gradient says %.12g; off by %.3g, allowed "
                       "%.2g (%s)",
                       check_element(f, g, part, i), v.want, v.got, fabs(v.want - v.got), v.allowed, check_where(c, f));
    }
}

/* The port that a part of the result belongs to: integer ports have none. */
static int port_of(const struct form *f, const struct form_result *g, int part)
{
    int port = 0;

    for (int p = 0; p <= part; p++)
        if (g->kind[p] == FORM_INPUT) {
            while (f->in[port].vocab)
                port++;
            if (p == part)
                return port;
            port++;
        }
    return -1;
}

static void one_form(struct check_run *r, const struct check_case *c, const struct form *given, double *worst)
{
    struct form ready = check_ready(r, given), *f = &ready;
    struct form_result g;

    if (check_run_form_d(r, c, f, &g))
        for (int p = 0; p < g.n_parts; p++) {
            if (g.kind[p] != FORM_INPUT && g.kind[p] != FORM_WEIGHT)
                continue;
            if (r->elements)
                one_by_one(r, c, f, &g, p, port_of(f, &g, p));
            else
                one_part(r, c, f, &g, p, port_of(f, &g, p), worst);
        }
    free(g.value);
}

static void run(struct check_run *r)
{
    struct check_forms forms = check_forms_of(r);
    static struct check_case c;
    double worst = 0;

    for (int k = 0; check_case(r, CHECK_FEW, k, &c); k++)
        for (int i = 0; i < forms.n && !c.why[0]; i++) {
            struct form f = c.form;

            f.batch = f.length ? f.batch : 2;
            f.time = f.length ? f.time : 5;
            f.impl = forms.form[i].name;
            if (check_is_in_double(r, f.impl))
                one_form(r, &c, &f, &worst);
        }
    check_note(r, "worst %.2g of what is allowed", worst);
}

const struct as_check AS_CHECK(gradient) = {
    .name = "gradient", .of = CHECK_LAYER, .run = run,
    .proves = "in double, the gradient of every input and weight is the slope of the loss along random directions, "
              "within the error of the differences themselves",
    .cannot = "kernels, which exist in float only (the oracle compares them), and points at a kink",
};

/* bench_flop.c: operations as formulas. The counts come from the variant's own cost() (or its matrices) and from what an
 * implementation says of its products; for nearly all that is a polynomial in time and width of degree two at most, so
 * nine values give it in letters, which is what a reader can check. Where the polynomial does not give the count at the
 * shape at hand, the number is printed. */
#include "bench.h"

#include <assay/error.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum { N = 3 };

typedef double count(const struct runner *r, ptrdiff_t batch, ptrdiff_t time);

struct probing { const struct bench_item *item; count *of; double value[N][N], t[N], d[N]; };

static void probe(void *ctx)
{
    struct probing *p = ctx;
    ptrdiff_t unit = p->item->heads > 0 ? 16 * p->item->heads : 16;

    for (int i = 0; i < N; i++) {
        struct runner_ask ask = bench_ask(p->item);
        struct runner *r;

        ask.time = 2;
        ask.room = 0;
        ask.width = unit * (i + 1);
        if (p->item->facts.counted)          /* the same form at every size */
            ask.impl = p->item->facts.impl;
        p->d[i] = (double)ask.width;
        r = runner_new(&ask);
        for (int j = 0; j < N; j++) {
            p->t[j] = 64.0 * (j + 1);
            p->value[i][j] = p->of(r, p->item->batch, 64 * (j + 1)) / (double)p->item->batch;
        }
        runner_free(r);
    }
}

/* Coefficients c of c0 + c1 x + c2 x^2 through three points, by divided differences. */
static void through(const double *x, const double *y, double *c)
{
    double a = (y[1] - y[0]) / (x[1] - x[0]), b = ((y[2] - y[1]) / (x[2] - x[1]) - a) / (x[2] - x[0]);

    c[2] = b;
    c[1] = a - b * (x[0] + x[1]);
    c[0] = y[0] - x[0] * (c[1] + b * x[0]);
}

static void polynomial(const struct probing *p, double c[N][N])     /* c[power of D][power of T] */
{
    double in_t[N][N];

    for (int i = 0; i < N; i++)
        through(p->t, p->value[i], in_t[i]);
    for (int j = 0; j < N; j++) {
        double y[N] = { in_t[0][j], in_t[1][j], in_t[2][j] }, out[N];

        through(p->d, y, out);
        for (int i = 0; i < N; i++)
            c[i][j] = fabs(out[i]) > 1e-6 ? out[i] : 0;
    }
}

/* One of the two counts of a run. `passes`: how often the formula is taken. */
static void formula(const struct bench_item *i, count *of, double flop, int passes, char *to, size_t room)
{
    struct probing p = { .item = i, .of = of };
    static const char *const power_d[N] = { "", "*D", "*D^2" }, *const power_t[N] = { "", "*T", "*T^2" };
    double c[N][N], at = 0, t = i->mode == RUN_STEP ? 1 : (double)i->time;
    const char *times = passes == 1 ? "" : as_say("%d*", passes);
    size_t n = 0;

    if (as_try(probe, &p) == AS_OK) {
        polynomial(&p, c);
        for (int d = 0; d < N; d++)
            for (int k = 0; k < N; k++)
                at += c[d][k] * pow((double)i->width, d) * pow(t, k);
        at *= (double)i->batch;
        if (flop > 0 && fabs(at - flop) <= 1e-9 * flop) {
            n += (size_t)snprintf(to + n, room - n, "%sB*(", times);
            for (int d = N - 1, first = 1; d >= 0; d--)
                for (int k = N - 1; k >= 0; k--)
                    if (c[d][k] > 0 || c[d][k] < 0) {
                        n += (size_t)snprintf(to + n, room - n, "%s%.8g%s%s", first || c[d][k] < 0 ? "" : "+",
                                              c[d][k] / passes, power_d[d], power_t[k]);
                        first = 0;
                    }
            snprintf(to + n, room - n, ")%s", i->mode == RUN_STEP ? " at T=1" : "");
            return;
        }
    }
    snprintf(to, room, "%s%.17g", times, flop / passes);
}

void bench_formula(struct bench_item *i)
{
    int passes = i->mode == RUN_TRAIN ? 3 : 1;

    formula(i, runner_useful, i->useful, passes, i->useful_formula, sizeof i->useful_formula);
    if (i->facts.counted)
        formula(i, runner_flop, i->flop, 1, i->formula, sizeof i->formula);
    else
        memcpy(i->formula, i->useful_formula, sizeof i->formula);
}

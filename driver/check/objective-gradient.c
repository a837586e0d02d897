/* objective-gradient: in double, the gradient of the weighted sum of losses against central differences of that sum, for
 * every output in turn.
 */
#include "objective.h"

#include <math.h>

static const double step = 1.0 / 1024;               /* exact in float, in which outputs cross */

static double total(const struct objective_try *t, ptrdiff_t n)
{
    double sum = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += t->weight[i] * t->c.loss[i];
    return sum;
}

static void slopes(struct check_run *r, const struct check_setting *s, bool classes)
{
    enum { BATCH = 2, TIME = 3, K = 5, N = BATCH * TIME };
    double expected[N * K];
    struct objective_try t = objective_try_new(r, classes, BATCH, TIME, K, 1);
    t.c.setting = s;
    for (ptrdiff_t i = 0; i < N; i++)
        t.weight[i] = 0.25 + 0.125 * (double)i;
    for (ptrdiff_t i = 0; i < N * K; i++)
        t.output[i] = round(t.output[i] * 1024) / 1024;
    bool ran = true;
    for (ptrdiff_t i = 0; i < N * K && ran; i++) {
        double at = t.output[i], f[4];
        static const double where[] = { -2, -1, 1, 2 };
        for (int p = 0; p < 4 && ran; p++) {
            t.output[i] = at + where[p] * step;
            ran = objective_run_double(r, &t);
            f[p] = total(&t, N);
        }
        t.output[i] = at;
        expected[i] = (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);      /* error of order step^4 */
    }
    ran = ran && objective_run_double(r, &t);
    for (ptrdiff_t i = 0; i < N * K && ran && !r->failures; i++) {
        double off = fabs(t.c.gradient[i] - expected[i]), allowed = 1e-8 * (1 + fabs(expected[i]));
        check_did(r);
        if (!(off <= allowed))
            check_fail(r, "%s: the gradient of output %td is %.9g, central differences of the loss give %.9g; off by %.3g, "
                          "allowed %.3g", objective_text(&t), i, t.c.gradient[i], expected[i], off, allowed);
    }
    objective_try_free(&t);
}

static void run(struct check_run *r) { objective_each(r, slopes); }

const struct as_check AS_CHECK(objective_gradient) = {
    .name = "objective-gradient", .of = CHECK_OBJECTIVE,
    .proves = "the gradient is that of the losses, by central differences in double, output by output",
    .cannot = "objectives with kinks exactly where the drawn outputs lie",
    .run = run,
};

/* ode.c: see assay/ode.h. One loop for all methods: stage s evaluates at x + h at[s] k_(s-1), time t + h at[s], and a step
 * ends at x + h sum_s weight[s] k_s. */
#include <assay/error.h>
#include <assay/ode.h>

enum { STAGES = 4 };

static const struct method { int stages; double at[STAGES], weight[STAGES]; } table[] = {
    [AS_EULER] = { 1, { 0 }, { 1 } },
    [AS_HEUN] = { 2, { 0, 1 }, { 0.5, 0.5 } },
    [AS_RK4] = { 4, { 0, 0.5, 0.5, 1 }, { 1.0 / 6, 1.0 / 3, 1.0 / 3, 1.0 / 6 } },
};

long as_ode_solve(const struct as_ode *o, struct as_arena *a, enum as_ode_method method, double from, double to, int steps,
                  real *x)
{
    const struct method *m = &table[method];
    if (steps < 1)
        as_fail(AS_FAILED, "as_ode_solve: %d steps", steps);
    size_t mark = as_arena_mark(a);
    real *slope = as_arena_take(a, as_size(3 * (size_t)o->n, sizeof *slope)), *sum = slope + o->n, *y = sum + o->n;
    double h = (to - from) / steps;
    for (int i = 0; i < steps; i++)
        for (int s = 0; s < m->stages; s++) {
            const real *point = x;
            if (s > 0) {
                for (ptrdiff_t k = 0; k < o->n; k++)
                    y[k] = x[k] + (real)(h * m->at[s]) * slope[k];
                point = y;
            }
            o->slope(o->ctx, from + (i + m->at[s]) * h, point, slope);
            for (ptrdiff_t k = 0; k < o->n; k++)
                sum[k] = (s > 0 ? sum[k] : 0) + (real)(h * m->weight[s]) * slope[k];
            for (ptrdiff_t k = 0; k < o->n && s + 1 == m->stages; k++)
                x[k] += sum[k];
        }
    as_arena_reset(a, mark);
    return (long)steps * m->stages;
}

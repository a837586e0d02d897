/* ode.h: ordinary differential equations with a fixed step, for studies of flows and of models in continuous time.
 */
#ifndef ASSAY_ODE_H
#define ASSAY_ODE_H

#include <assay/arena.h>
#include <assay/real.h>

/* Explicit Runge-Kutta methods of order 1, 2 (trapezoid) and 4 (the classical one), with as many evaluations a step. */
enum as_ode_method { AS_EULER, AS_HEUN, AS_RK4 };

/* dx/dt = slope(t, x): the hook writes dx (n) for x (n). Euler evaluates at the points of the path itself, in order. */
struct as_ode { ptrdiff_t n; void (*slope)(void *ctx, double t, const real *x, real *dx); void *ctx; };

/* Takes x (n) from time `from` to time `to`, which may be the earlier one, in `steps` >= 1 equal steps. Returns how often
 * the slope was evaluated. Scratch is taken from `a` and given back. */
#define as_ode_solve AS_REAL(as_ode_solve)
long as_ode_solve(const struct as_ode *o, struct as_arena *a, enum as_ode_method method, double from, double to, int steps,
                  real *x);

#endif

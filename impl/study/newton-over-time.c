/* newton-over-time.c: how many iterations Newton's method needs to evaluate a nonlinear recurrence at all steps at once
 * (Lim et al. 2024, "Parallelizing non-linear sequential models over the sequence length", DEER; Danieli et al. 2025,
 * "ParaRNN"). The states of h_t = f(h_{t-1}, x_t), h_0 = 0, are the root of r_t = h_t - f(h_{t-1}, x_t):
 *
 *   dh_t = J_t dh_{t-1} - r_t,  J_t = df/dh at h_{t-1};   h_t <- h_t + dh_t,   until max |dh| <= tolerance
 *
 * from h_t = f(0, x_t) (ParaRNN) or 0 (DEER). solver = quasi keeps the diagonal of J_t only (Gonzalez et al. 2024,
 * quasi-DEER), picard nothing of it. The cells are those of cells.h, with x ~ N(0, 1), W_ij ~ N(0, scale^2 / inputs), and
 * U_ij ~ N(0, scale^2 / hidden), or a vector with u_i ~ N(0, scale^2) (recurrence = diagonal; r may then as well meet h
 * before the product, as in ParaGRU).
 *
 * Backward is one reverse linear recurrence at the states found, g_t = v_t + J_{t+1}' g_{t+1}, for the loss
 * sum_t v_t h_t; it is compared with backpropagation through the gates at the states of the sequential evaluation. The
 * gradients compared are those of U and of W x at each step, from which those of W and x follow by products.
 *
 * Everything is in double, whatever the build: 1e-6 in float over thousands of steps tells rounding from convergence no
 * more. The kernels rnn.newton.c and gru.newton.c, in float, stop by their residuals instead.
 *
 * Departs: random weights only; the linear recurrence runs step after step, for the count does not depend on how it is
 * solved (`span` says what a parallel scan would make of it).
 */
#include <assay/arena.h>
#include <assay/parallel.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <math.h>
#include <string.h>
#include "cells.h"

enum { GRU, RNN };
enum { FULL, DIAGONAL };
enum { NEWTON, QUASI, PICARD };
enum { F0, ZERO };
enum { DRAW_W, DRAW_U, DRAW_X, DRAW_V };

struct opt { int cell, recurrence, solver, guess, hidden, inputs, time, rows, most; double scale, tolerance; };

static const struct as_option options[] = {
    { "cell", AS_WORD, offsetof(struct opt, cell), GRU, 0, 0, "gru|rnn", "gru,rnn", "f" },
    { "recurrence", AS_WORD, offsetof(struct opt, recurrence), DIAGONAL, 0, 0, "full|diagonal", "full,diagonal",
      "U: a matrix, or a vector" },
    { "solver", AS_WORD, offsetof(struct opt, solver), NEWTON, 0, 0, "newton|quasi|picard", "newton,quasi,picard",
      "what is used of J: all, its diagonal, nothing" },
    { "guess", AS_WORD, offsetof(struct opt, guess), F0, 0, 0, "f0|zero", "f0,zero", "first states: f(0, x), or 0" },
    { "hidden", AS_INT, offsetof(struct opt, hidden), 8, 1, MOST_UNITS, NULL, "4,8,16", "n, units" },
    { "inputs", AS_INT, offsetof(struct opt, inputs), 8, 1, 1024, NULL, NULL, "width of x" },
    { "time", AS_INT, offsetof(struct opt, time), 64, 1, 1000000, NULL, "128,1024,4096", "L, steps" },
    { "rows", AS_INT, offsetof(struct opt, rows), 2, 1, 1000, NULL, NULL, "sequences, each with its own weights" },
    { "most", AS_INT, offsetof(struct opt, most), 50, 1, 1000000, NULL, NULL, "iterations after which it has failed" },
    { "scale", AS_NUM, offsetof(struct opt, scale), 1, 0, 100, NULL, "0.5,1,2,4", "standard deviation of the weights" },
    { "tolerance", AS_NUM, offsetof(struct opt, tolerance), 1e-6, 1e-14, 1, NULL, "1e-4,1e-6,1e-9",
      "largest |dh| of the last iteration" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "iterations", "raw", "mean over sequences; one that fails counts as `most`" },
    { "failed", "raw", "share of sequences that have not converged after `most` iterations" },
    { "output_error", "raw", "largest |h - h of the sequential evaluation|, over sequences that converged" },
    { "gradient_error", "raw", "largest error of a gradient over the largest gradient, over sequences that converged" },
    { "span", "raw", "steps of the sequential evaluation over dependent steps of all iterations with a parallel scan" },
    { "update", "raw", "of the first sequence: largest |dh| of the last iteration, at most 1e30; as a curve, of each" },
    { 0 }
};

/* --- one sequence -------------------------------------------------------------------------------------------- */

struct row {
    struct net w;
    double *u, *in;                          /* U and W */
    double *p, *v, *h, *truth;               /* (time, gates n), (time, n) */
    double *du[2], *dp[2];                   /* gradients: the reverse scan's, backpropagation's */
    double *jac, *update;                    /* (n, n); (most) */
    int iterations;
    bool converged;
    double output_error, gradient_error;
};

struct study { const struct opt *o; struct row *row; uint64_t seed; };

static size_t count_u(const struct opt *o)
{
    ptrdiff_t gates = o->cell == GRU ? 3 : 1;

    return (size_t)(gates * o->hidden * (o->recurrence == FULL ? o->hidden : 1));
}

/* The arrays of one sequence, of which nothing is allocated in parallel. */
static void make(const struct opt *o, struct as_arena *a, struct row *s)
{
    ptrdiff_t n = o->hidden, gates = o->cell == GRU ? 3 : 1, time = o->time, nu = (ptrdiff_t)count_u(o);
    struct { double **x; ptrdiff_t n; } each[] = {
        { &s->u, nu }, { &s->in, gates * n * o->inputs }, { &s->p, time * gates * n }, { &s->v, time * n }, { &s->h, time * n },
        { &s->truth, time * n }, { &s->dp[0], time * gates * n }, { &s->dp[1], time * gates * n }, { &s->du[0], nu },
        { &s->du[1], nu }, { &s->jac, n * n }, { &s->update, o->most },
    };

    for (size_t k = 0; k < sizeof each / sizeof *each; k++)
        *each[k].x = as_arena_zero(a, as_size((size_t)each[k].n, sizeof **each[k].x));
    s->w = (struct net){ n, (int)gates, o->recurrence == DIAGONAL, s->u };
}

static void draw(const struct opt *o, uint64_t seed, ptrdiff_t k, struct row *s)
{
    ptrdiff_t n = o->hidden, gates = o->cell == GRU ? 3 : 1, d = o->inputs, time = o->time, nu = (ptrdiff_t)count_u(o);
    struct as_key base = as_subkey((struct as_key){ seed, AS_ROLE_STUDY, 0 }, (uint64_t)k);
    struct as_key key_x = as_subkey(base, DRAW_X);
    double sd = o->recurrence == FULL ? o->scale / sqrt((double)n) : o->scale;

    for (ptrdiff_t i = 0; i < nu; i++)
        s->u[i] = sd * (double)as_normal(as_subkey(base, DRAW_U), (uint64_t)i);
    for (ptrdiff_t i = 0; i < gates * n * d; i++)
        s->in[i] = o->scale / sqrt((double)d) * (double)as_normal(as_subkey(base, DRAW_W), (uint64_t)i);
    for (ptrdiff_t i = 0; i < time * n; i++)
        s->v[i] = (double)as_normal(as_subkey(base, DRAW_V), (uint64_t)i);
    for (ptrdiff_t t = 0; t < time; t++)
        for (ptrdiff_t j = 0; j < d; j++) {
            double x = (double)as_normal(key_x, (uint64_t)(t * d + j));

            for (ptrdiff_t i = 0; i < gates * n; i++)
                s->p[t * gates * n + i] += s->in[i * d + j] * x;
        }
}

/* States one after the other, or f(0, x) of each step. */
static void sequential(const struct row *s, ptrdiff_t time, bool from_zero, double *h)
{
    const double zero[MOST_UNITS] = { 0 };
    ptrdiff_t n = s->w.n;
    struct gates q;

    for (ptrdiff_t t = 0; t < time; t++)
        step(&s->w, s->p + t * s->w.gates * n, t && !from_zero ? h + (t - 1) * n : zero, &q, h + t * n);
}

/* One iteration: new_t = f(old_{t-1}) + J_t (new_{t-1} - old_{t-1}). Returns the largest |dh|; a NaN is infinite. */
static double iterate(const struct row *s, int solver, ptrdiff_t time)
{
    ptrdiff_t n = s->w.n;
    double old[MOST_UNITS] = { 0 }, moved[MOST_UNITS] = { 0 }, f[MOST_UNITS], most = 0;
    bool diagonal = s->w.diagonal || solver == QUASI;
    struct gates q;

    for (ptrdiff_t t = 0; t < time; t++) {
        double *h = s->h + t * n;

        step(&s->w, s->p + t * s->w.gates * n, old, &q, f);
        if (solver != PICARD)
            jacobian(&s->w, old, &q, diagonal, s->jac);
        for (ptrdiff_t i = 0; i < n && solver != PICARD; i++)
            for (ptrdiff_t k = diagonal ? i : 0, end = diagonal ? i + 1 : n; k < end; k++)
                f[i] += s->jac[diagonal ? i : i * n + k] * moved[k];
        for (ptrdiff_t i = 0; i < n; i++) {
            old[i] = h[i];
            h[i] = f[i];
            moved[i] = h[i] - old[i];
            if (!(fabs(moved[i]) <= most))
                most = isnan(moved[i]) ? (double)INFINITY : fabs(moved[i]);
        }
    }
    return most;
}

static void solve(const struct opt *o, struct row *s)
{
    if (o->guess == F0)
        sequential(s, o->time, true, s->h);
    else
        memset(s->h, 0, (size_t)(o->time * s->w.n) * sizeof *s->h);
    s->converged = false;
    for (s->iterations = 0; s->iterations < o->most && !s->converged; s->iterations++) {
        s->update[s->iterations] = iterate(s, o->solver, o->time);
        s->converged = s->update[s->iterations] <= o->tolerance;
    }
}

/* Gradients of sum_t v_t h_t at the states h: those of W x to dp, of U to du. scan: g goes back by J', else by the
 * gates. */
static void gradient(const struct row *s, ptrdiff_t time, const double *h, bool scan, double *du, double *dp)
{
    const double zero[MOST_UNITS] = { 0 };
    ptrdiff_t n = s->w.n, width = s->w.gates * n, each = s->w.diagonal ? n : n * n;
    double g[MOST_UNITS] = { 0 }, back[MOST_UNITS], f[MOST_UNITS], meets[3][MOST_UNITS];
    struct gates q;

    memset(du, 0, (size_t)(s->w.gates * each) * sizeof *du);
    for (ptrdiff_t t = time - 1; t >= 0; t--) {
        const double *old = t ? h + (t - 1) * n : zero;
        double *d = dp + t * width;

        step(&s->w, s->p + t * width, old, &q, f);
        for (ptrdiff_t i = 0; i < n; i++)
            g[i] += s->v[t * n + i];
        step_back(&s->w, old, &q, g, d, meets, back);
        for (int k = 0; k < s->w.gates; k++)
            for (ptrdiff_t i = 0; i < n; i++)
                for (ptrdiff_t j = s->w.diagonal ? i : 0, end = s->w.diagonal ? i + 1 : n; j < end; j++) {
                    ptrdiff_t at = k * each + (s->w.diagonal ? i : i * n + j);

                    du[at] += meets[k][i] * old[j];
                    back[j] += meets[k][i] * s->w.u[at];
                }
        if (scan) {
            jacobian(&s->w, old, &q, s->w.diagonal, s->jac);
            memset(back, 0, sizeof back);
            for (ptrdiff_t i = 0; i < n; i++)
                for (ptrdiff_t j = s->w.diagonal ? i : 0, end = s->w.diagonal ? i + 1 : n; j < end; j++)
                    back[j] += s->jac[s->w.diagonal ? i : i * n + j] * g[i];
        }
        memcpy(g, back, (size_t)n * sizeof *g);
    }
}

/* Largest difference, and largest |b|. */
static double apart(ptrdiff_t n, const double *a, const double *b, double *most)
{
    double worst = 0;

    for (ptrdiff_t i = 0; i < n; i++) {
        worst = fmax(worst, fabs(a[i] - b[i]));
        *most = fmax(*most, fabs(b[i]));
    }
    return worst;
}

static void one_row(void *ctx, ptrdiff_t k)
{
    const struct study *st = ctx;
    const struct opt *o = st->o;
    struct row *s = &st->row[k];
    ptrdiff_t n = o->hidden, gates = o->cell == GRU ? 3 : 1;
    double most = 0, most_u = 0, most_p = 0, u, p;

    draw(o, st->seed, k, s);
    solve(o, s);
    if (!s->converged)
        return;
    sequential(s, o->time, false, s->truth);
    gradient(s, o->time, s->h, true, s->du[0], s->dp[0]);
    gradient(s, o->time, s->truth, false, s->du[1], s->dp[1]);
    s->output_error = apart(o->time * n, s->h, s->truth, &most);
    u = apart((ptrdiff_t)count_u(o), s->du[0], s->du[1], &most_u);
    p = apart(o->time * gates * n, s->dp[0], s->dp[1], &most_p);
    s->gradient_error = fmax(most_u > 0 ? u / most_u : 0, most_p > 0 ? p / most_p : 0);
}

/* --- the study ------------------------------------------------------------------------------------------------ */

static void report(struct as_study_run *r, const struct study *st)
{
    const struct opt *o = st->o;
    const struct row *first = &st->row[0];
    double iterations = 0, failed = 0, output = 0, gradients = 0, depth = 1 + ceil(log2((double)o->time));

    for (int k = 0; k < o->rows; k++) {
        const struct row *s = &st->row[k];

        iterations += s->iterations;
        failed += !s->converged;
        output = fmax(output, s->output_error);
        gradients = fmax(gradients, s->gradient_error);
    }
    iterations /= o->rows;
    r->record(r->ctx, "iterations", iterations);
    r->record(r->ctx, "failed", failed / o->rows);
    r->record(r->ctx, "output_error", output);
    r->record(r->ctx, "gradient_error", gradients);
    r->record(r->ctx, "span", o->time / (iterations * depth));
    for (int i = 0; i < first->iterations; i++)
        r->curve(r->ctx, "update", i + 1, fmin(first->update[i], 1e30));
    r->record(r->ctx, "update", fmin(first->update[first->iterations - 1], 1e30));
}

static void run(struct as_study_run *r)
{
    struct as_arena *a = as_arena_new();
    const struct opt *o = r->opt;
    struct study st = { .o = o, .seed = r->seed };

    st.row = as_arena_zero(a, as_size((size_t)o->rows, sizeof *st.row));
    for (int k = 0; k < o->rows; k++)
        make(o, a, &st.row[k]);
    as_parallel(o->rows, 1e9, one_row, &st);
    report(r, &st);
    as_arena_free(a);
}

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "iterations of Newton's method for a nonlinear recurrence at all steps at once",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics, .run = run,
    .axes = (const char *const[]){ "update", "iteration", NULL },
};

const struct as_plugin AS_PLUGIN(study__newton_over_time) = { .abi = ASSAY_ABI, .study = &study };

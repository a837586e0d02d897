/* gradcheck.h: gradients against differences, for tests/real/ (include after cmocka.h).
 *
 * A case is a function of up to GC_INPUTS nodes with their sizes and ranges. gc_check() draws the inputs, sums
 * the result under random weights, and compares the gradient along a random direction with central differences
 * (fourth order). Gradients start at 1, not 0: they have to be added to. Then the same function goes through
 * as_recompute() and has to give the same bits.
 */
#ifndef ASSAY_TEST_GRADCHECK_H
#define ASSAY_TEST_GRADCHECK_H

#include <assay/error.h>
#include <assay/ops.h>
#include <assay/random.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GC_INPUTS = 6, GC_CHECKS = 2 };

/* lo == hi == 0: from -1.5 to 1.5. */
struct gc_input { int rank; ptrdiff_t dim[AS_MAX_RANK]; double lo, hi; bool constant; };

struct gc_case {
    const char *name;
    struct as_node *(*f)(struct as_tape *t, struct as_node *const *in);
    struct gc_input in[GC_INPUTS];   /* ends with rank 0 (or all) */
    const int32_t *length;           /* of in[0]; NULL: none */
    bool kinks;                      /* not smooth: differences in float say nothing */
    bool nothing;                    /* result depends on no input: the gradient is zero */
};

/* All arrays of one run. */
struct gc_run { int n; ptrdiff_t size[GC_INPUTS]; real *x[GC_INPUTS], *dx[GC_INPUTS], *way[GC_INPUTS]; };

static inline double gc_draw(uint64_t stream, ptrdiff_t i, double lo, double hi)
{
    const struct as_key key = { 7, AS_ROLE_TEST_HARNESS, stream };
    return lo + (hi - lo) * (double)as_uniform(key, (uint64_t)i);
}

static inline void gc_open(const struct gc_case *c, struct gc_run *r, uint64_t seed)
{
    memset(r, 0, sizeof *r);
    for (; r->n < GC_INPUTS && c->in[r->n].rank > 0; r->n++) {
        const struct gc_input *in = &c->in[r->n];
        const bool usual = in->lo == 0.0 && in->hi == 0.0;
        ptrdiff_t size = 1;
        for (int j = 0; j < in->rank; j++)
            size *= in->dim[j];
        const size_t bytes = (size_t)(size ? size : 1) * sizeof(real);
        r->size[r->n] = size;
        r->x[r->n] = malloc(bytes);
        r->dx[r->n] = malloc(bytes);
        r->way[r->n] = malloc(bytes);
        for (ptrdiff_t i = 0; i < size; i++) {
            r->x[r->n][i] = (real)gc_draw(seed * 100 + (uint64_t)r->n, i, usual ? -1.5 : in->lo, usual ? 1.5 : in->hi);
            r->way[r->n][i] = (real)gc_draw(seed * 100 + 50 + (uint64_t)r->n, i, -1.0, 1.0);
        }
    }
}

static inline void gc_close(struct gc_run *r)
{
    for (int k = 0; k < r->n; k++) {
        free(r->x[k]);
        free(r->dx[k]);
        free(r->way[k]);
    }
}

struct gc_body { const struct gc_case *c; struct as_node **in; };

static inline struct as_node *gc_call(struct as_tape *t, void *ctx, struct as_node *x)
{
    const struct gc_body *b = ctx;
    struct as_node *in[GC_INPUTS + 1];
    memcpy(in, b->in, sizeof in);
    in[0] = x;
    return b->c->f(t, in);
}

/* The inputs moved by h along the way; the result, with dx as leaves' gradients when `gradients`. */
static inline struct as_node *gc_forward(const struct gc_case *c, const struct gc_run *r, struct as_tape *t, double h,
                                         bool gradients, bool again)
{
    struct as_node *in[GC_INPUTS + 1] = { NULL };
    struct as_arena *arena = as_tape_arena(t);
    for (int k = 0; k < r->n; k++) {
        const bool wants = gradients && !c->in[k].constant;
        real *x = as_arena_take(arena, (size_t)r->size[k] * sizeof *x);
        for (ptrdiff_t i = 0; i < r->size[k]; i++)
            x[i] = c->in[k].constant ? r->x[k][i] : (real)((double)r->x[k][i] + h * (double)r->way[k][i]);
        in[k] = as_node_wrap(t, c->in[k].rank, c->in[k].dim, x, wants ? r->dx[k] : NULL);
    }
    if (in[0])
        in[0]->length = c->length;
    struct gc_body *body = as_arena_take(arena, sizeof *body);
    *body = (struct gc_body){ c, as_arena_take(arena, sizeof in) };
    memcpy(body->in, in, sizeof in);
    return again ? as_recompute(t, gc_call, body, in[0]) : gc_call(t, body, in[0]);
}

static inline double gc_loss(const struct as_node *out)
{
    double sum = 0.0;
    for (ptrdiff_t i = 0; i < as_node_size(out); i++)
        sum += (double)out->x[i] * gc_draw(9999, i, -1.0, 1.0);
    return sum;
}

static inline double gc_value(const struct gc_case *c, const struct gc_run *r, struct as_tape *t, double h)
{
    as_tape_reset(t);
    const bool was = as_tape_record(t, false);
    const double loss = gc_loss(gc_forward(c, r, t, h, false, false));
    as_tape_record(t, was);
    return loss;
}

/* Gradients into r->dx, starting from 1; a copy of the result in *out (malloc'd). */
static inline ptrdiff_t gc_gradient(const struct gc_case *c, const struct gc_run *r, struct as_tape *t, bool again,
                                    real **out)
{
    as_tape_reset(t);
    for (int k = 0; k < r->n; k++)
        for (ptrdiff_t i = 0; i < r->size[k]; i++)
            r->dx[k][i] = 1;
    struct as_node *y = gc_forward(c, r, t, 0.0, true, again), *w = as_node_new(t, y->rank, y->dim);
    const ptrdiff_t n = as_node_size(y);
    for (ptrdiff_t i = 0; i < n; i++)
        w->x[i] = (real)gc_draw(9999, i, -1.0, 1.0);
    *out = malloc((size_t)(n ? n : 1) * sizeof **out);
    memcpy(*out, y->x, (size_t)n * sizeof **out);
    as_backward(t, as_sum_all(t, as_mul(t, y, w)), 1);
    return n;
}

/* NULL, or what is wrong. */
static inline const char *gc_check_seed(const struct gc_case *c, struct as_tape *t, uint64_t seed)
{
    struct gc_run r;
    real *plain, *again, *first[GC_INPUTS];
    const char *why = NULL;
    gc_open(c, &r, seed);
    const ptrdiff_t n = gc_gradient(c, &r, t, false, &plain);
    double along = 0.0, size = 0.0;
    for (int k = 0; k < r.n; k++) {
        first[k] = malloc((size_t)(r.size[k] ? r.size[k] : 1) * sizeof *first[k]);
        memcpy(first[k], r.dx[k], (size_t)r.size[k] * sizeof *first[k]);
        for (ptrdiff_t i = 0; i < r.size[k] && !c->in[k].constant; i++) {
            const double d = ((double)r.dx[k][i] - 1.0) * (double)r.way[k][i];
            along += d;
            size += fabs(d);
        }
    }
    if (gc_gradient(c, &r, t, true, &again) != n || memcmp(plain, again, (size_t)n * sizeof *plain) != 0)
        why = as_say("%s: other values when recomputed", c->name);
    for (int k = 0; k < r.n; k++)
        if (memcmp(first[k], r.dx[k], (size_t)r.size[k] * sizeof *first[k]) != 0)
            why = as_say("%s: another gradient of input %d when recomputed", c->name, k);
    const double h = sizeof(real) == sizeof(double) ? 1e-3 : 1.0 / 32.0;
    const double slope = (8.0 * (gc_value(c, &r, t, h) - gc_value(c, &r, t, -h)) -
                          (gc_value(c, &r, t, 2.0 * h) - gc_value(c, &r, t, -2.0 * h))) / (12.0 * h);
    const double allowed = sizeof(real) == sizeof(double) ? 2e-9 : 3e-3;
    if (!(c->kinks && sizeof(real) == sizeof(float)) && !(fabs(slope - along) <= allowed * (size + 1.0)))
        why = as_say("%s: slope %.12g, but gradient %.12g (seed %d)", c->name, slope, along, (int)seed);
    if (!c->nothing && n > 0 && r.n > 0 && size == 0.0)
        why = as_say("%s: no gradient at all", c->name);
    for (int k = 0; k < r.n; k++)
        free(first[k]);
    free(plain);
    free(again);
    gc_close(&r);
    return why;
}

struct gc_job { const struct gc_case *c; struct as_tape *t; const char *why; };

static inline void gc_job(void *ctx)
{
    struct gc_job *job = ctx;
    for (uint64_t seed = 1; seed <= GC_CHECKS && !job->why; seed++)
        job->why = gc_check_seed(job->c, job->t, seed);
}

/* Number of cases that are wrong; says which on standard error. */
static inline int gc_check(const struct gc_case *cases, size_t n)
{
    int wrong = 0;
    for (size_t i = 0; i < n; i++) {
        struct gc_job job = { &cases[i], as_tape_new(), NULL };
        as_arena_poison(as_tape_arena(job.t), 1);
        if (as_try(gc_job, &job) != AS_OK)
            job.why = as_say("%s: %s", cases[i].name, as_failure_text());
        if (job.why) {
            fprintf(stderr, "%s\n", job.why);
            wrong++;
        }
        as_tape_free(job.t);
    }
    return wrong;
}

#endif

/* ops_loss.c: losses per position, from logits, in nats. */
#include "ops_private.h"

static struct as_node *per_position(struct as_tape *t, const char *op, struct as_node *a)
{
    as_op_reals(op, a);
    int last = as_op_axis(op, a, -1);
    struct as_node *out = as_node_new(t, last, a->dim);
    as_op_lengths(out, 1, &a);
    return out;
}

/* --- cross-entropy: log sum exp(logits) - logits[target] --------------------------------------------------- */

/* Kept for the way back: the largest logit and the logarithm of the sum beyond it, apart. Added up, they lose the digits
 * that tell probabilities near one from each other when logits are in the hundreds. */

enum { FEW = 16 };                   /* classes up to which several rows share a block */

struct entropy { ptrdiff_t d; const real *x, *dy; const int32_t *target; real *y, *dx, *top, *level; bool fresh; };

/* Rows of few classes go through exp() and log() many at a time; a row without a target is left as zeros. */
static void few_run(struct entropy *c, ptrdiff_t from, ptrdiff_t rows)
{
    const ptrdiff_t d = c->d;
    real block[AS_BLOCK] = { 0 }, top[AS_BLOCK], total[AS_BLOCK];
    for (ptrdiff_t r = 0; r < rows; r++) {
        const real *x = c->x + (from + r) * d;
        top[r] = as_op_top(d, x);
        for (ptrdiff_t j = 0; j < d; j++)
            block[r * d + j] = x[j] - top[r];
    }
    as_vexp(rows * d, block, block);
    for (ptrdiff_t r = 0; r < rows; r++) {
        total[r] = 0;
        for (ptrdiff_t j = 0; j < d; j++)
            total[r] += block[r * d + j];
    }
    as_vlog(rows, total, total);
    for (ptrdiff_t r = 0; r < rows; r++) {
        const int32_t target = c->target[from + r];
        c->top[from + r] = top[r];
        c->level[from + r] = total[r];
        c->y[from + r] = target < 0 ? R(0.0) : total[r] - (c->x[(from + r) * d + target] - top[r]);
    }
}

static void many_run(struct entropy *c, ptrdiff_t r)
{
    real block[AS_BLOCK];
    const real *x = c->x + r * c->d;
    if (c->target[r] < 0) {
        c->y[r] = 0;
        return;
    }
    const real top = as_op_top(c->d, x);
    real total = 0;
    for (ptrdiff_t at = 0, m; at < c->d; at += m) {
        m = c->d - at < AS_BLOCK ? c->d - at : AS_BLOCK;
        as_op_shift(m, x + at, top, block);
        as_vexp(m, block, block);
        total += as_op_sum(m, block);
    }
    const real level = log(total);
    c->top[r] = top;
    c->level[r] = level;
    c->y[r] = level - (x[c->target[r]] - top);
}

static void entropy_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct entropy *c = ctx;
    const ptrdiff_t few = c->d <= FEW ? AS_BLOCK / c->d : 1;
    for (ptrdiff_t r = from; r < to; r += few)
        if (c->d <= FEW)
            few_run(c, r, to - r < few ? to - r : few);
        else
            many_run(c, r);
}

/* dx = dy (softmax - one at the target), in blocks of m numbers from `at` on, which may be several rows */
static void entropy_back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct entropy *c = ctx;
    const ptrdiff_t d = c->d, rows = d <= FEW ? AS_BLOCK / d : 1;
    real block[AS_BLOCK];
    for (ptrdiff_t first = from; first < to; first += rows) {
        ptrdiff_t last = first + rows < to ? first + rows : to;
        if (d > FEW && c->target[first] < 0) {
            if (c->fresh)
                memset(c->dx + first * d, 0, (size_t)d * sizeof *c->dx);
            continue;
        }
        for (ptrdiff_t at = 0, m; at < d; at += m) {
            m = d - at < AS_BLOCK ? d - at : AS_BLOCK;
            for (ptrdiff_t r = first; r < last; r++)
                as_op_shift(m, c->x + r * d + at, c->top[r], block + (r - first) * m);
            for (ptrdiff_t r = first; r < last; r++)
                as_op_shift(m, block + (r - first) * m, c->level[r], block + (r - first) * m);
            as_vexp((last - first) * m, block, block);
            for (ptrdiff_t r = first; r < last; r++) {
                const ptrdiff_t target = c->target[r];
                if (target < 0) {
                    if (c->fresh)
                        memset(c->dx + r * d + at, 0, (size_t)m * sizeof *c->dx);
                    continue;
                }
                if (target >= at && target < at + m)
                    block[(r - first) * m + target - at] -= R(1.0);
                as_op_more(m, block + (r - first) * m, c->dy[r], c->dx + r * d + at, c->fresh);
            }
        }
    }
}

static void entropy_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *logits = note->in[0];
    struct entropy c = { .d = note->k[0], .x = logits->x, .dy = note->out->dx, .target = note->in[1]->i,
                         .top = note->saved };
    c.level = c.top + as_node_size(note->out);
    c.dx = as_gradient_open(t, logits, &c.fresh);
    as_op_rows(as_node_size(note->out), c.d, 15, entropy_back_run, &c);
}

struct as_node *as_cross_entropy(struct as_tape *t, struct as_node *logits, struct as_node *target)
{
    struct as_node *out = per_position(t, "cross_entropy", logits);
    as_op_ints("cross_entropy", target);
    bool fits = target->rank == out->rank;
    for (int j = 0; fits && j < out->rank; j++)
        fits = target->dim[j] == out->dim[j];
    if (!fits)
        as_fail(AS_FAILED, "cross_entropy: targets of sizes %s do not fit logits of sizes %s", as_op_dims(target),
                as_op_dims(logits));
    as_op_lengths(out, 1, &target);
    ptrdiff_t n = as_node_size(out), classes = logits->dim[logits->rank - 1];
    for (ptrdiff_t r = 0; r < n; r++)
        if (target->i[r] >= classes)
            as_fail(AS_FAILED, "cross_entropy: target %d at place %td, but logits of sizes %s have %td classes",
                    (int)target->i[r], r, as_op_dims(logits), classes);
    struct entropy c = { .d = classes, .x = logits->x, .target = target->i, .y = out->x };
    c.top = as_arena_take(as_tape_arena(t), as_size(2 * (size_t)n, sizeof *c.top));
    c.level = c.top + n;
    as_op_rows(n, c.d, 15, entropy_run, &c);
    struct as_note *note = as_note_new(t, entropy_back, out, 2, (struct as_node *[]){ logits, target });
    if (note) {
        note->k[0] = classes;
        note->saved = c.top;
    }
    return out;
}

/* --- losses that add up over the last axis ----------------------------------------------------------------- */

/* term: loss of n numbers; slope: its derivatives by x and by the target. */
struct pairwise {
    const char *name;
    double cost;
    void (*term)(ptrdiff_t n, const real *x, const real *target, real *loss);
    void (*slope)(ptrdiff_t n, const real *x, const real *target, real *to_x, real *to_target);
};

static inline real times(real factor, real x)    /* 0 times anything is 0 */
{
    return factor == 0 ? R(0.0) : factor * x;
}

/* softplus(x) - target x = softplus(-|x|) + (x >= 0 ? (1 - target) x : -target x): nothing cancels */
static void bernoulli_term(ptrdiff_t n, const real *x, const real *target, real *loss)
{
    for (ptrdiff_t j = 0; j < n; j++)
        loss[j] = -fabs(x[j]);
    as_vsoftplus(n, loss, loss);
    for (ptrdiff_t j = 0; j < n; j++)
        loss[j] += x[j] >= 0 ? times(R(1.0) - target[j], x[j]) : times(target[j], -x[j]);
}

/* sigmoid(x) - target, in the same way */
static void bernoulli_slope(ptrdiff_t n, const real *x, const real *target, real *to_x, real *to_target)
{
    for (ptrdiff_t j = 0; j < n; j++)
        to_x[j] = -fabs(x[j]);
    as_vsigmoid(n, to_x, to_x);
    for (ptrdiff_t j = 0; j < n; j++) {
        to_x[j] = x[j] >= 0 ? (R(1.0) - target[j]) - to_x[j] : to_x[j] - target[j];
        to_target[j] = -x[j];
    }
}

static void squared_term(ptrdiff_t n, const real *x, const real *target, real *loss)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++)
        loss[j] = (x[j] - target[j]) * (x[j] - target[j]);
}

static void squared_slope(ptrdiff_t n, const real *x, const real *target, real *to_x, real *to_target)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++) {
        to_x[j] = R(2.0) * (x[j] - target[j]);
        to_target[j] = R(-2.0) * (x[j] - target[j]);
    }
}

struct pairs { const struct pairwise *op; ptrdiff_t d; const real *x, *target, *dy; real *y, *dx, *dt; };

static void pairs_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct pairs *c = ctx;
    real loss[AS_BLOCK];
    for (ptrdiff_t r = from; r < to; r++) {
        c->y[r] = 0;
        for (ptrdiff_t at = r * c->d, m; at < (r + 1) * c->d; at += m) {
            m = (r + 1) * c->d - at < AS_BLOCK ? (r + 1) * c->d - at : AS_BLOCK;
            c->op->term(m, c->x + at, c->target + at, loss);
            c->y[r] += as_op_sum(m, loss);
        }
    }
}

static void pairs_back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct pairs *c = ctx;
    real to_x[AS_BLOCK], to_target[AS_BLOCK];
    for (ptrdiff_t r = from; r < to; r++)
        for (ptrdiff_t at = r * c->d, m; at < (r + 1) * c->d; at += m) {
            m = (r + 1) * c->d - at < AS_BLOCK ? (r + 1) * c->d - at : AS_BLOCK;
            c->op->slope(m, c->x + at, c->target + at, to_x, to_target);
            for (ptrdiff_t j = 0; c->dx && j < m; j++)
                c->dx[at + j] += c->dy[r] * to_x[j];
            for (ptrdiff_t j = 0; c->dt && j < m; j++)
                c->dt[at + j] += times(c->dy[r], to_target[j]);
        }
}

static void pairs_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0], *target = note->in[1];
    struct pairs c = { .op = note->saved, .d = note->k[0], .x = a->x, .target = target->x, .dy = note->out->dx };
    c.dx = as_gradient(t, a);
    c.dt = as_gradient(t, target);
    as_op_rows(as_node_size(note->out), c.d, c.op->cost, pairs_back_run, &c);
}

static struct as_node *pairs(struct as_tape *t, const struct pairwise *op, struct as_node *a, struct as_node *target)
{
    struct as_node *out = per_position(t, op->name, a);
    as_op_reals(op->name, target);
    bool fits = target->rank == a->rank;
    for (int j = 0; fits && j < a->rank; j++)
        fits = target->dim[j] == a->dim[j];
    if (!fits)
        as_fail(AS_FAILED, "%s: targets of sizes %s do not fit %s", op->name, as_op_dims(target), as_op_dims(a));
    as_op_lengths(out, 1, &target);
    struct pairs c = { .op = op, .d = a->dim[a->rank - 1], .x = a->x, .target = target->x, .y = out->x };
    as_op_rows(as_node_size(out), c.d, op->cost, pairs_run, &c);
    struct as_note *note = as_note_new(t, pairs_back, out, 2, (struct as_node *[]){ a, target });
    if (note) {
        note->saved = (void *)(uintptr_t)op;     /* constant; only read */
        note->k[0] = c.d;
    }
    return out;
}

static const struct pairwise bernoulli = { "bernoulli_nll", 25, bernoulli_term, bernoulli_slope };
static const struct pairwise squared = { "squared_error", 3, squared_term, squared_slope };

struct as_node *as_bernoulli_nll(struct as_tape *t, struct as_node *logits, struct as_node *target)
{
    return pairs(t, &bernoulli, logits, target);
}

struct as_node *as_squared_error(struct as_tape *t, struct as_node *a, struct as_node *target)
{
    return pairs(t, &squared, a, target);
}

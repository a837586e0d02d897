/* ops_cumulate.c: running sums, products and log-sums along one axis.
 *
 * Lanes run side by side, each along the axis. Backward, for one lane:
 *   sum      dx_i = sum over j >= i of dy_j
 *   product  dx_i = y_{i-1} S_i,          S_i = dy_i + x_{i+1} S_{i+1}: no division, so zeros do no harm
 *   log-sum  dx_i = exp(x_i - y_i) G_i,   G_i = dy_i + exp(y_i - y_{i+1}) G_{i+1}: exponents never above 0
 */
#include "ops_private.h"

enum { APART = 16 };                  /* lanes at a time when each is far from the next */

/* Up to AS_BLOCK lanes: lane l, step i is at l * lane + i * step. */
struct lanes { ptrdiff_t n, m, lane, step; const real *x, *y, *dy; real *out; };

struct kind {
    const char *name;
    double cost;
    void (*value)(const struct lanes *c);        /* out = y */
    void (*back)(const struct lanes *c);         /* out = dx, added to */
};

static void sum_value(const struct lanes *c)
{
    real total[AS_BLOCK] = { 0 };
    for (ptrdiff_t i = 0; i < c->m; i++)
        for (ptrdiff_t l = 0; l < c->n; l++)
            c->out[l * c->lane + i * c->step] = total[l] += c->x[l * c->lane + i * c->step];
}

static void sum_back(const struct lanes *c)
{
    real total[AS_BLOCK] = { 0 };
    for (ptrdiff_t i = c->m - 1; i >= 0; i--)
        for (ptrdiff_t l = 0; l < c->n; l++)
            c->out[l * c->lane + i * c->step] += total[l] += c->dy[l * c->lane + i * c->step];
}

static void product_value(const struct lanes *c)
{
    real total[AS_BLOCK];
    for (ptrdiff_t l = 0; l < c->n; l++)
        total[l] = R(1.0);
    for (ptrdiff_t i = 0; i < c->m; i++)
        for (ptrdiff_t l = 0; l < c->n; l++)
            c->out[l * c->lane + i * c->step] = total[l] *= c->x[l * c->lane + i * c->step];
}

static void product_back(const struct lanes *c)
{
    real s[AS_BLOCK] = { 0 };
    for (ptrdiff_t i = c->m - 1; i >= 0; i--)
        for (ptrdiff_t l = 0; l < c->n; l++) {
            const ptrdiff_t at = l * c->lane + i * c->step;
            s[l] = c->dy[at] + (i + 1 < c->m ? c->x[at + c->step] * s[l] : R(0.0));
            c->out[at] += s[l] * (i > 0 ? c->y[at - c->step] : R(1.0));
        }
}

/* y_i = log(e^y_{i-1} + e^x_i) = max + softplus(-|difference|) */
static void logsum_value(const struct lanes *c)
{
    real y[AS_BLOCK], d[AS_BLOCK], top[AS_BLOCK];
    for (ptrdiff_t l = 0; l < c->n; l++)
        y[l] = -(real)INFINITY;
    for (ptrdiff_t i = 0; i < c->m; i++) {
        for (ptrdiff_t l = 0; l < c->n; l++) {
            const real x = c->x[l * c->lane + i * c->step];
            top[l] = x > y[l] || x != x ? x : y[l];
            d[l] = x == y[l] ? (x == -(real)INFINITY ? x : R(0.0)) : -fabs(x - y[l]);
        }
        as_vsoftplus(c->n, d, d);
        for (ptrdiff_t l = 0; l < c->n; l++)
            c->out[l * c->lane + i * c->step] = y[l] = top[l] + d[l];
    }
}

/* a - b <= 0, with weight 0 where a is -inf and weight 1 where both are +inf. */
static inline real drop(real a, real b)
{
    return a == b ? (a == -(real)INFINITY ? a : R(0.0)) : a - b;
}

static void logsum_back(const struct lanes *c)
{
    real g[AS_BLOCK] = { 0 }, d[AS_BLOCK];
    for (ptrdiff_t i = c->m - 1; i >= 0; i--) {
        for (ptrdiff_t l = 0; l < c->n; l++) {
            const ptrdiff_t at = l * c->lane + i * c->step;
            d[l] = i + 1 < c->m ? drop(c->y[at], c->y[at + c->step]) : R(0.0);
        }
        as_vexp(c->n, d, d);
        for (ptrdiff_t l = 0; l < c->n; l++) {
            const ptrdiff_t at = l * c->lane + i * c->step;
            g[l] = c->dy[at] + d[l] * g[l];
            d[l] = drop(c->x[at], c->y[at]);
        }
        as_vexp(c->n, d, d);
        for (ptrdiff_t l = 0; l < c->n; l++)
            c->out[l * c->lane + i * c->step] += d[l] * g[l];
    }
}

static const struct kind cumsum = { "cumsum", 1, sum_value, sum_back };
static const struct kind cumprod = { "cumprod", 3, product_value, product_back };
static const struct kind logcumsumexp = { "logcumsumexp", 30, logsum_value, logsum_back };

/* --- lanes of a node: (outer, m, inner) ------------------------------------------------------------------- */

struct call { ptrdiff_t m, inner, lanes; const real *x, *y, *dy; real *out; void (*run)(const struct lanes *); };

/* Lanes from..to-1, counted over (outer, inner). Those that lie next to each other run together; with inner
 * size 1 all do, a whole axis apart. */
static void lanes_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    const struct call *c = ctx;
    while (from < to) {
        const ptrdiff_t in_row = c->inner == 1 ? c->lanes : c->inner, k = from % in_row;
        ptrdiff_t n = in_row - k < to - from ? in_row - k : to - from;
        const ptrdiff_t most = c->inner == 1 ? APART : AS_BLOCK;
        n = n < most ? n : most;
        const ptrdiff_t at = from / c->inner * c->m * c->inner + from % c->inner;
        const struct lanes l = { n, c->m, c->inner == 1 ? c->m : 1, c->inner, c->x ? c->x + at : NULL,
                                 c->y ? c->y + at : NULL, c->dy ? c->dy + at : NULL, c->out + at };
        c->run(&l);
        from += n;
    }
}

static void cumulate_back(struct as_tape *t, struct as_note *note)
{
    const struct kind *kind = note->saved;
    struct call c = { note->k[1], note->k[2], note->k[0] * note->k[2], note->in[0]->x, note->out->x, note->out->dx,
                      as_gradient(t, note->in[0]), kind->back };
    as_op_rows(c.lanes, c.m, 2 * kind->cost, lanes_run, &c);
}

static struct as_node *cumulate(struct as_tape *t, const struct kind *kind, struct as_node *a, int axis)
{
    ptrdiff_t outer = 1, inner = 1;
    as_op_reals(kind->name, a);
    axis = as_op_axis(kind->name, a, axis);
    for (int j = 0; j < a->rank; j++) {
        outer *= j < axis ? a->dim[j] : 1;
        inner *= j > axis ? a->dim[j] : 1;
    }
    struct as_node *out = as_node_like(t, a);
    struct call c = { a->dim[axis], inner, outer * inner, a->x, NULL, NULL, out->x, kind->value };
    as_op_rows(c.lanes, c.m, kind->cost, lanes_run, &c);
    struct as_note *note = as_note_new(t, cumulate_back, out, 1, &a);
    if (note) {
        note->saved = (void *)(uintptr_t)kind;   /* constant; only read */
        note->k[0] = outer;
        note->k[1] = a->dim[axis];
        note->k[2] = inner;
    }
    return out;
}

struct as_node *as_cumsum(struct as_tape *t, struct as_node *a, int axis)
{
    return cumulate(t, &cumsum, a, axis);
}

struct as_node *as_cumprod(struct as_tape *t, struct as_node *a, int axis)
{
    return cumulate(t, &cumprod, a, axis);
}

struct as_node *as_logcumsumexp(struct as_tape *t, struct as_node *a, int axis)
{
    return cumulate(t, &logcumsumexp, a, axis);
}

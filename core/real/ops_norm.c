/* ops_norm.c: normalisations over the last axis, with gradients by hand.
 *
 * Written for one row x of width d, z the normalised row, g = dy * gain:
 *   layer norm   z = (x - mean) r, r = 1/sqrt(var + eps);     dx = r (g - mean(g) - z mean(g z))
 *   RMS norm     z = x r,          r = 1/sqrt(mean(x^2)+eps); dx = r (g - z mean(g z))
 *   l2 norm      z = x r,          r = 1/sqrt(sum(x^2)+eps);  dx = r (g - z sum(g z))
 * dgain = sum over rows of dy z, dbias = sum over rows of dy: pieces of rows, added in index order.
 */
#include "ops_private.h"

#include "../kernel/kernels.h"

enum kind { LAYER, RMS, L2 };

struct norm {
    enum kind kind;
    ptrdiff_t rows, d, each;         /* each: rows a piece of the sums for gain and bias */
    const real *x, *gain, *bias, *dy;
    real *y, *dx, *mean, *r, *sums;  /* mean, r (rows); sums (pieces, 2, d) */
    real eps;
    bool fresh;
};

/* The loops in double read the gradient twice; rows that end within a register are slower over each other. */
#ifdef ASSAY_DOUBLE
#define IN_PLACE(d) false
#else
#define IN_PLACE(d) ((d) == 8 || (d) % 16 == 0)
#endif

#ifdef ASSAY_DOUBLE

static void norm_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct norm *c = ctx;
    const ptrdiff_t d = c->d;
    const real n = c->kind == L2 ? R(1.0) : (real)d;
    for (ptrdiff_t row = from; row < to; row++) {
        const real *x = c->x + row * d;
        real *y = c->y + row * d;
        const real mean = c->kind == LAYER ? as_op_sum(d, x) / n : R(0.0);
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++)
            y[j] = x[j] - mean;
        const real r = R(1.0) / sqrt(as_op_dot(d, y, y) / n + c->eps);
        c->mean[row] = mean;
        c->r[row] = r;
        if (c->gain && c->bias) {
#pragma omp simd
            for (ptrdiff_t j = 0; j < d; j++)
                y[j] = y[j] * r * c->gain[j] + c->bias[j];
            continue;
        }
        for (ptrdiff_t j = 0; j < d; j++)
            y[j] = y[j] * r * (c->gain ? c->gain[j] : R(1.0)) + (c->bias ? c->bias[j] : R(0.0));
    }
}

/* Blocks of a row: z normalised, g = dy * gain. */
static ptrdiff_t block(const struct norm *c, ptrdiff_t row, ptrdiff_t at, real *z, real *g)
{
    const ptrdiff_t m = c->d - at < AS_BLOCK ? c->d - at : AS_BLOCK;
    const real *x = c->x + row * c->d + at, *dy = c->dy + row * c->d + at, mean = c->mean[row], r = c->r[row];
#pragma omp simd
    for (ptrdiff_t j = 0; j < m; j++)
        z[j] = (x[j] - mean) * r;
    if (c->gain) {
#pragma omp simd
        for (ptrdiff_t j = 0; j < m; j++)
            g[j] = dy[j] * c->gain[at + j];
    } else {
        memcpy(g, dy, (size_t)m * sizeof *g);
    }
    return m;
}

static void input_run(const struct norm *c, ptrdiff_t from, ptrdiff_t to)
{
    real z[AS_BLOCK], g[AS_BLOCK];
    const real n = c->kind == L2 ? R(1.0) : (real)c->d;
    for (ptrdiff_t row = from; row < to; row++) {
        real along = 0, level = 0;
        for (ptrdiff_t at = 0, m; at < c->d; at += m) {
            m = block(c, row, at, z, g);
            along += as_op_dot(m, g, z);
            level += c->kind == LAYER ? as_op_sum(m, g) : R(0.0);
        }
        along /= n;
        level /= n;
        for (ptrdiff_t at = 0, m; at < c->d; at += m) {
            m = block(c, row, at, z, g);
            real *dx = c->dx + row * c->d + at;
            const real r = c->r[row];
            if (c->fresh)
                memset(dx, 0, (size_t)m * sizeof *dx);
#pragma omp simd
            for (ptrdiff_t j = 0; j < m; j++)
                dx[j] += r * (g[j] - level - z[j] * along);
        }
    }
}

static void sums_piece(const struct norm *c, ptrdiff_t i)
{
    const ptrdiff_t d = c->d, from = i * c->each, to = from + c->each < c->rows ? from + c->each : c->rows;
    real *dgain = c->sums + 2 * i * d, *dbias = dgain + d;
    memset(dgain, 0, 2 * (size_t)d * sizeof *dgain);
    for (ptrdiff_t row = from; row < to; row++) {
        const real *x = c->x + row * d, *dy = c->dy + row * d, mean = c->mean[row], r = c->r[row];
#pragma omp simd
        for (ptrdiff_t j = 0; j < d; j++) {
            dgain[j] += dy[j] * ((x[j] - mean) * r);
            dbias[j] += dy[j];
        }
    }
}

static void back_piece(void *ctx, ptrdiff_t i)
{
    struct norm *c = ctx;
    const ptrdiff_t from = i * c->each, to = from + c->each < c->rows ? from + c->each : c->rows;
    if (c->dx)
        input_run(c, from, to);
    if (c->sums)
        sums_piece(c, i);
}

#else

static struct as_norm_rows rows_of(const struct norm *c)
{
    return (struct as_norm_rows){ .d = c->d, .centred = c->kind == LAYER, .count = c->kind == L2 ? 1.0f : (real)c->d,
                                  .eps = c->eps, .x = c->x, .gain = c->gain, .bias = c->bias, .y = c->y,
                                  .mean = c->kind == LAYER ? c->mean : NULL, .r = c->r, .dy = c->dy, .dx = c->dx, .fresh = c->fresh };
}

static void norm_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct as_norm_rows rows = rows_of(ctx);
    as_row_kernels()->norm_forward(&rows, from, to);
}

static void back_piece(void *ctx, ptrdiff_t i)
{
    struct norm *c = ctx;
    const ptrdiff_t from = i * c->each, to = from + c->each < c->rows ? from + c->each : c->rows;
    struct as_norm_rows rows = rows_of(c);
    rows.past = as_op_goes_past(3, c->rows * c->d);
    if (c->sums) {
        real *dgain = c->sums + 2 * i * c->d;
        memset(dgain, 0, 2 * (size_t)c->d * sizeof *dgain);
        rows.dgain = dgain;
        rows.dbias = c->bias ? dgain + c->d : NULL;
    }
    as_row_kernels()->norm_backward(&rows, from, to);
}

#endif

static void norm_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0], *gain = note->in[1], *bias = note->in[2];
    struct norm c = *(struct norm *)note->saved;
    c.dy = note->out->dx;
    c.dx = IN_PLACE(c.d) ? as_gradient_over(t, a, note->out, &c.fresh) : as_gradient_open(t, a, &c.fresh);
    real *dgain = gain ? as_gradient(t, gain) : NULL, *dbias = bias ? as_gradient(t, bias) : NULL;
    if (c.rows == 0 || c.d == 0)
        return;
    struct as_arena *arena = as_tape_arena(t);
    size_t mark = as_arena_mark(arena);
    c.each = 2 * AS_CUT / c.d > 8 ? 2 * AS_CUT / c.d : 8;
    ptrdiff_t pieces = (c.rows + c.each - 1) / c.each;
    if (dgain || dbias)
        c.sums = as_arena_take(arena, as_size((size_t)(2 * pieces * c.d), sizeof *c.sums));
    as_parallel(pieces, 16 * (double)c.rows * (double)c.d, back_piece, &c);
    for (ptrdiff_t i = 0; c.sums && i < pieces; i++) {
        if (dgain)
            as_op_add(c.d, c.sums + 2 * i * c.d, dgain, false);
        if (dbias)
            as_op_add(c.d, c.sums + (2 * i + 1) * c.d, dbias, false);
    }
    as_arena_reset(arena, mark);
}

static void check_vector(const char *op, const struct as_node *a, const struct as_node *v, const char *what)
{
    if (!v)
        return;
    as_op_reals(op, v);
    if (v->rank != 1 || v->dim[0] != a->dim[a->rank - 1])
        as_fail(AS_FAILED, "%s: the %s of sizes %s does not fit the last axis of %s", op, what, as_op_dims(v),
                as_op_dims(a));
}

static struct as_node *normalise(struct as_tape *t, const char *op, enum kind kind, struct as_node *a,
                                 struct as_node *gain, struct as_node *bias, double eps)
{
    as_op_reals(op, a);
    int last = as_op_axis(op, a, -1);
    check_vector(op, a, gain, "gain");
    check_vector(op, a, bias, "bias");
    struct as_node *out = as_node_like(t, a);
    struct as_arena *arena = as_tape_arena(t);
    ptrdiff_t d = a->dim[last], rows = d > 0 ? as_node_size(a) / d : 0;
    struct norm *c = as_arena_zero(arena, sizeof *c);
    *c = (struct norm){ .kind = kind, .rows = rows, .d = d, .x = a->x, .y = out->x, .eps = (real)eps };
    c->gain = gain ? gain->x : NULL;
    c->bias = bias ? bias->x : NULL;
    c->mean = as_arena_take(arena, as_size((size_t)rows, sizeof *c->mean));
    c->r = as_arena_take(arena, as_size((size_t)rows, sizeof *c->r));
    as_op_rows(rows, d, 6, norm_run, c);
    struct as_note *note = as_note_new(t, norm_back, out, 3, (struct as_node *[]){ a, gain, bias });
    if (note)
        note->saved = c;
    return out;
}

struct as_node *as_layernorm(struct as_tape *t, struct as_node *a, struct as_node *gain, struct as_node *bias,
                             double eps)
{
    return normalise(t, "layernorm", LAYER, a, gain, bias, eps);
}

struct as_node *as_rmsnorm(struct as_tape *t, struct as_node *a, struct as_node *gain, double eps)
{
    return normalise(t, "rmsnorm", RMS, a, gain, NULL, eps);
}

struct as_node *as_l2norm(struct as_tape *t, struct as_node *a, double eps)
{
    return normalise(t, "l2norm", L2, a, NULL, NULL, eps);
}

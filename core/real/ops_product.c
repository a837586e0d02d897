/* ops_product.c: matrix products as operators. Leading sizes of the left operand are rows of one tall matrix.
 *
 * Gradients of Y = A B: dA = dY B^T, dB = A^T dY, and the bias gets the column sums of dY.
 */
#include "ops_private.h"

#include "gemm.h"

/* Y = A B on the way back: the sizes, and what stands where. */
struct back {
    ptrdiff_t rows, k, n;                /* k: inner size, n: width of the result */
    bool stored_t;                       /* B is stored (n, k) */
    const real *a, *b, *dy;
};

static void back_to_left(const struct back *c, bool fresh, real *da)
{
    as_gemm(0, !c->stored_t, c->rows, c->k, c->n, R(1.0), c->dy, c->n, c->b, c->stored_t ? c->k : c->n,
            fresh ? R(0.0) : R(1.0), da, c->k);
}

static void back_to_right(const struct back *c, bool fresh, real *db)
{
    const real beta = fresh ? R(0.0) : R(1.0);
    if (c->stored_t)
        as_gemm(1, 0, c->n, c->k, c->rows, R(1.0), c->dy, c->n, c->a, c->k, beta, db, c->k);
    else
        as_gemm(1, 0, c->k, c->n, c->rows, R(1.0), c->a, c->k, c->dy, c->n, beta, db, c->n);
}

/* --- few labels: most rows of dY are zero, and add nothing to any gradient ---------------------------------- */

static bool is_zero(ptrdiff_t n, const real *x)
{
    for (ptrdiff_t j = 0; j < n; j++)
        if (x[j] != R(0.0))
            return false;
    return true;
}

/* A look at some rows: whether it is worth while to look at all. */
static bool seems_sparse(const struct back *c)
{
    enum { LOOKS = 32 };
    ptrdiff_t zero = 0;
    for (ptrdiff_t i = 0; c->rows >= 8 * LOOKS && i < LOOKS; i++)
        zero += is_zero(c->n, c->dy + c->rows * i / LOOKS * c->n);
    return zero > LOOKS / 2;
}

/* Copies the rows `which` of dY and A to dense matrices; c becomes the product of these. */
static void gather(struct back *c, struct as_arena *arena, const ptrdiff_t *which, ptrdiff_t some)
{
    real *dy = as_arena_take(arena, as_size((size_t)(some * c->n), sizeof *dy));
    real *a = as_arena_take(arena, as_size((size_t)(some * c->k), sizeof *a));
    for (ptrdiff_t i = 0; i < some; i++) {
        memcpy(dy + i * c->n, c->dy + which[i] * c->n, (size_t)c->n * sizeof *dy);
        memcpy(a + i * c->k, c->a + which[i] * c->k, (size_t)c->k * sizeof *a);
    }
    c->rows = some;
    c->dy = dy;
    c->a = a;
}

/* The gradient of A from its rows `which` alone; the others get none. */
static void scatter(const struct back *c, struct as_arena *arena, const ptrdiff_t *which, ptrdiff_t all, bool fresh,
                    real *da)
{
    real *part = as_arena_take(arena, as_size((size_t)(c->rows * c->k), sizeof *part));
    back_to_left(c, true, part);
    if (fresh)
        memset(da, 0, (size_t)(all * c->k) * sizeof *da);
    for (ptrdiff_t i = 0; i < c->rows; i++)
        as_op_add_here(c->k, part + i * c->k, da + which[i] * c->k, false);
}

/* note: k[0] rows, k[1] inner size, k[2] width, k[3] the right operand is stored (width, inner). */
static void product_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0], *b = note->in[1], *bias = note->in[2];
    struct back c = { note->k[0], note->k[1], note->k[2], note->k[3] != 0, a->x, b->x, note->out->dx };
    bool fresh_a, fresh_b;
    real *da = as_gradient_open(t, a, &fresh_a), *db = as_gradient_open(t, b, &fresh_b);
    real *dbias = bias ? as_gradient(t, bias) : NULL;
    struct as_arena *arena = as_tape_arena(t);
    size_t mark = as_arena_mark(arena);
    ptrdiff_t *which = NULL, some = 0, all = c.rows;
    if (seems_sparse(&c)) {
        which = as_arena_take(arena, as_size((size_t)all, sizeof *which));
        for (ptrdiff_t i = 0; i < all; i++)
            if (!is_zero(c.n, c.dy + i * c.n))
                which[some++] = i;
        gather(&c, arena, which, some);
    }
    if (da && which)
        scatter(&c, arena, which, all, fresh_a, da);
    else if (da)
        back_to_left(&c, fresh_a, da);
    if (db)
        back_to_right(&c, fresh_b, db);
    if (dbias)
        as_op_reduce(t, 1, c.rows, c.n, c.dy, R(1.0), dbias, true);
    as_arena_reset(arena, mark);
}

static struct as_node *product(struct as_tape *t, const char *op, struct as_node *a, struct as_node *b, bool stored_t,
                               struct as_node *bias)
{
    as_op_reals(op, a);
    as_op_reals(op, b);
    if (a->rank < 1 || b->rank != 2 || a->dim[a->rank - 1] != b->dim[stored_t])
        as_fail(AS_FAILED, stored_t ? "%s: the last size of %s must be the last size of the (out, in) matrix %s"
                                    : "%s: the last size of %s must be the first size of the matrix %s",
                op, as_op_dims(a), as_op_dims(b));
    ptrdiff_t k = b->dim[stored_t], n = b->dim[!stored_t], rows = 1, dims[AS_MAX_RANK];
    for (int j = 0; j < a->rank - 1; j++)
        rows *= dims[j] = a->dim[j];
    dims[a->rank - 1] = n;
    if (bias) {
        as_op_reals(op, bias);
        if (as_node_size(bias) != n)
            as_fail(AS_FAILED, "%s: the bias %s must have the %td entries of the output", op, as_op_dims(bias), n);
    }
    struct as_node *out = as_node_new(t, a->rank, dims);
    as_op_lengths(out, 1, &a);
    as_gemm_bias(stored_t, rows, n, k, a->x, k, b->x, stored_t ? k : n, bias ? bias->x : NULL, out->x, n);
    struct as_note *note = as_note_new(t, product_back, out, 3, (struct as_node *[]){ a, b, bias });
    if (note) {
        note->k[0] = rows;
        note->k[1] = k;
        note->k[2] = n;
        note->k[3] = stored_t;
    }
    return out;
}

struct as_node *as_matmul(struct as_tape *t, struct as_node *a, struct as_node *b)
{
    return product(t, "matmul", a, b, false, NULL);
}

struct as_node *as_matmul_t(struct as_tape *t, struct as_node *a, struct as_node *w)
{
    return product(t, "matmul_t", a, w, true, NULL);
}

struct as_node *as_linear(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias)
{
    return product(t, "linear", x, w, true, bias);
}

/* ---- Batched ---- */

/* note: k[0] count, k[1] m, k[2] n, k[3] k, k[4] ta, k[5] tb. */
static void bmm_back(struct as_tape *t, struct as_note *note)
{
    struct as_node *a = note->in[0], *b = note->in[1];
    ptrdiff_t count = note->k[0], m = note->k[1], n = note->k[2], k = note->k[3];
    int ta = note->k[4] != 0, tb = note->k[5] != 0;
    ptrdiff_t lda = ta ? m : k, ldb = tb ? k : n;
    const real *dc = note->out->dx;
    bool fresh;
    real *da = as_gradient_open(t, a, &fresh);
    if (da && !ta)                       /* (m, k): dC op(B)^T */
        as_bgemm(count, 0, !tb, m, k, n, R(1.0), dc, n, m * n, b->x, ldb, k * n, fresh ? R(0.0) : R(1.0), da, k, m * k);
    else if (da)                         /* (k, m): op(B) dC^T */
        as_bgemm(count, tb, 1, k, m, n, R(1.0), b->x, ldb, k * n, dc, n, m * n, fresh ? R(0.0) : R(1.0), da, m, m * k);
    real *db = as_gradient_open(t, b, &fresh);
    if (db && !tb)                       /* (k, n): op(A)^T dC */
        as_bgemm(count, !ta, 0, k, n, m, R(1.0), a->x, lda, m * k, dc, n, m * n, fresh ? R(0.0) : R(1.0), db, n, k * n);
    else if (db)                         /* (n, k): dC^T op(A) */
        as_bgemm(count, 1, ta, n, k, m, R(1.0), dc, n, m * n, a->x, lda, m * k, fresh ? R(0.0) : R(1.0), db, k, k * n);
}

struct as_node *as_bmm(struct as_tape *t, struct as_node *a, bool ta, struct as_node *b, bool tb)
{
    int r = a->rank;
    as_op_reals("bmm", a);
    as_op_reals("bmm", b);
    bool fits = r >= 2 && b->rank == r && a->dim[ta ? r - 2 : r - 1] == b->dim[tb ? r - 1 : r - 2];
    ptrdiff_t count = 1, dims[AS_MAX_RANK];
    for (int j = 0; fits && j < r - 2; j++) {
        fits = a->dim[j] == b->dim[j];
        count *= dims[j] = a->dim[j];
    }
    if (!fits)
        as_fail(AS_FAILED, "bmm: %s%s and %s%s do not fit: leading sizes must be equal, and inner sizes too",
                as_op_dims(a), ta ? " transposed" : "", as_op_dims(b), tb ? " transposed" : "");
    ptrdiff_t m = dims[r - 2] = a->dim[ta ? r - 1 : r - 2], n = dims[r - 1] = b->dim[tb ? r - 2 : r - 1];
    ptrdiff_t k = a->dim[ta ? r - 2 : r - 1];
    struct as_node *out = as_node_new(t, r, dims);
    if (r > 3 || !ta)                    /* at rank 3 dimension 1 of the result is that of a, untransposed */
        as_op_lengths(out, r > 3 ? 2 : 1, (struct as_node *[]){ a, b });
    as_bgemm(count, ta, tb, m, n, k, R(1.0), a->x, ta ? m : k, m * k, b->x, tb ? k : n, k * n, R(0.0), out->x, n,
             m * n);
    struct as_note *note = as_note_new(t, bmm_back, out, 2, (struct as_node *[]){ a, b });
    if (note) {
        const ptrdiff_t saved[] = { count, m, n, k, ta, tb };
        memcpy(note->k, saved, sizeof saved);
    }
    return out;
}

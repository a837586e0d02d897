/* ops_index.c: operators that pick by integers: gather, embed, scatter_add, topk. */
#include "ops_private.h"

/* n picks of rows of `width` numbers. Columns are cut, never the picks: each number is added in index order. */
struct picks { ptrdiff_t n, width; const int32_t *at; const real *from; real *to; };

enum { COLUMNS = 64 };

static void gather_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct picks *c = ctx;
    for (ptrdiff_t j = from; j < to; j++)
        memcpy(c->to + j * c->width, c->from + c->at[j] * c->width, (size_t)c->width * sizeof *c->to);
}

/* to[j] += from[at[j]] */
static void gather_add_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct picks *c = ctx;
    for (ptrdiff_t j = from; j < to; j++) {
        const real *f = c->from + c->at[j] * c->width;
        real *t = c->to + j * c->width;
#pragma omp simd
        for (ptrdiff_t k = 0; k < c->width; k++)
            t[k] += f[k];
    }
}

/* to[at[j]] += from[j], in order of j, for one block of columns */
static void scatter_piece(void *ctx, ptrdiff_t i)
{
    struct picks *c = ctx;
    ptrdiff_t k0 = i * COLUMNS, k1 = k0 + COLUMNS < c->width ? k0 + COLUMNS : c->width;
    for (ptrdiff_t j = 0; j < c->n; j++) {
        const real *f = c->from + j * c->width;
        real *t = c->to + c->at[j] * c->width;
#pragma omp simd
        for (ptrdiff_t k = k0; k < k1; k++)
            t[k] += f[k];
    }
}

static void scatter(struct picks *c)
{
    as_parallel((c->width + COLUMNS - 1) / COLUMNS, 2 * (double)c->n * (double)c->width, scatter_piece, c);
}

static void check_range(const char *op, const struct as_node *index, ptrdiff_t rows)
{
    ptrdiff_t n = as_node_size(index);
    for (ptrdiff_t j = 0; j < n; j++)
        if (index->i[j] < 0 || index->i[j] >= rows)
            as_fail(AS_FAILED, "%s: index %d at place %td is outside of 0..%td", op, (int)index->i[j], j, rows - 1);
}

static void gather_back(struct as_tape *t, struct as_note *note)
{
    struct picks c = { note->k[0], note->k[1], note->in[1]->i, note->out->dx, as_gradient(t, note->in[0]) };
    scatter(&c);
}

static struct as_node *gather(struct as_tape *t, const char *op, struct as_node *a, struct as_node *index)
{
    as_op_reals(op, a);
    as_op_ints(op, index);
    if (a->rank < 1 || index->rank + a->rank - 1 > AS_MAX_RANK)
        as_fail(AS_FAILED, "%s: picks of sizes %s from %s would have more than %d sizes", op, as_op_dims(index),
                as_op_dims(a), AS_MAX_RANK);
    check_range(op, index, a->dim[0]);
    ptrdiff_t dims[AS_MAX_RANK], width = 1;
    memcpy(dims, index->dim, (size_t)index->rank * sizeof *dims);
    for (int j = 1; j < a->rank; j++) {
        dims[index->rank + j - 1] = a->dim[j];
        width *= a->dim[j];
    }
    struct as_node *out = as_node_new(t, index->rank + a->rank - 1, dims);
    as_op_lengths(out, 1, &index);
    struct picks c = { as_node_size(index), width, index->i, a->x, out->x };
    as_op_rows(c.n, width, 1, gather_run, &c);
    struct as_note *note = as_note_new(t, gather_back, out, 2, (struct as_node *[]){ a, index });
    if (note) {
        note->k[0] = c.n;
        note->k[1] = width;
    }
    return out;
}

struct as_node *as_gather(struct as_tape *t, struct as_node *a, struct as_node *index)
{
    return gather(t, "gather", a, index);
}

struct as_node *as_embed(struct as_tape *t, struct as_node *index, struct as_node *table)
{
    if (table->rank != 2)
        as_fail(AS_FAILED, "embed: a table is (vocabulary, width), not %s", as_op_dims(table));
    return gather(t, "embed", table, index);
}

static void scatter_add_back(struct as_tape *t, struct as_note *note)
{
    struct picks c = { note->k[0], note->k[1], note->in[1]->i, note->out->dx, as_gradient(t, note->in[0]) };
    as_op_rows(c.n, c.width, 1, gather_add_run, &c);
}

struct as_node *as_scatter_add(struct as_tape *t, struct as_node *a, struct as_node *index, ptrdiff_t rows)
{
    as_op_reals("scatter_add", a);
    as_op_ints("scatter_add", index);
    bool fits = index->rank <= a->rank && a->rank - index->rank + 1 <= AS_MAX_RANK;
    for (int j = 0; fits && j < index->rank; j++)
        fits = index->dim[j] == a->dim[j];
    if (!fits)
        as_fail(AS_FAILED, "scatter_add: places of sizes %s do not begin the sizes %s of what is added",
                as_op_dims(index), as_op_dims(a));
    check_range("scatter_add", index, rows);
    ptrdiff_t dims[AS_MAX_RANK] = { rows }, width = 1;
    for (int j = index->rank; j < a->rank; j++) {
        dims[j - index->rank + 1] = a->dim[j];
        width *= a->dim[j];
    }
    struct as_node *out = as_node_new(t, a->rank - index->rank + 1, dims);
    memset(out->x, 0, (size_t)as_node_size(out) * sizeof *out->x);
    struct picks c = { as_node_size(index), width, index->i, a->x, out->x };
    scatter(&c);
    struct as_note *note = as_note_new(t, scatter_add_back, out, 2, (struct as_node *[]){ a, index });
    if (note) {
        note->k[0] = c.n;
        note->k[1] = width;
    }
    return out;
}

/* --- top k ------------------------------------------------------------------------------------------------ */

struct top { ptrdiff_t n, k; const real *x, *dy; real *y, *dx; int32_t *at; };

/* Order: larger first; what is not a number comes last. */
static bool before(real a, real b)
{
    return a > b || (b != b && a == a);
}

static void topk_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct top *c = ctx;
    for (ptrdiff_t r = from; r < to; r++) {
        const real *x = c->x + r * c->n;
        real *y = c->y + r * c->k;
        int32_t *at = c->at + r * c->k;
        ptrdiff_t have = 0;
        for (ptrdiff_t j = 0; j < c->n; j++) {
            if (have == c->k && (c->k == 0 || !before(x[j], y[have - 1])))
                continue;
            ptrdiff_t lo = 0, hi = have;         /* first kept number that x[j] comes before */
            while (lo < hi) {
                ptrdiff_t mid = (lo + hi) / 2;
                if (before(x[j], y[mid]))
                    hi = mid;
                else
                    lo = mid + 1;
            }
            have += have < c->k;
            memmove(y + lo + 1, y + lo, (size_t)(have - 1 - lo) * sizeof *y);
            memmove(at + lo + 1, at + lo, (size_t)(have - 1 - lo) * sizeof *at);
            y[lo] = x[j];
            at[lo] = (int32_t)j;
        }
    }
}

static void topk_back_run(void *ctx, ptrdiff_t from, ptrdiff_t to)
{
    struct top *c = ctx;
    for (ptrdiff_t r = from; r < to; r++)
        for (ptrdiff_t j = 0; j < c->k; j++)
            c->dx[r * c->n + c->at[r * c->k + j]] += c->dy[r * c->k + j];
}

static void topk_back(struct as_tape *t, struct as_note *note)
{
    struct top c = { note->k[0], note->k[1], NULL, note->out->dx, NULL, as_gradient(t, note->in[0]), note->saved };
    as_op_rows(note->k[2], c.n, 1, topk_back_run, &c);
}

struct as_node *as_topk(struct as_tape *t, struct as_node *a, ptrdiff_t k, struct as_node **index)
{
    as_op_reals("topk", a);
    int last = as_op_axis("topk", a, -1);
    if (k < 0 || k > a->dim[last] || a->dim[last] > INT32_MAX)
        as_fail(AS_FAILED, "topk: there are no %td largest along the last axis of %s", k, as_op_dims(a));
    ptrdiff_t dims[AS_MAX_RANK], rows = 1;
    memcpy(dims, a->dim, sizeof dims);
    for (int j = 0; j < last; j++)
        rows *= dims[j];
    dims[last] = k;
    struct as_node *out = as_node_new(t, a->rank, dims), *places = as_node_ints(t, a->rank, dims);
    if (last >= 2)
        as_op_lengths(out, 1, &a);
    places->length = out->length;
    struct top c = { .n = a->dim[last], .k = k, .x = a->x, .y = out->x, .at = places->i };
    as_op_rows(rows, c.n, 4, topk_run, &c);
    struct as_note *note = as_note_new(t, topk_back, out, 1, &a);
    if (note) {
        note->saved = places->i;
        memcpy(note->k, (ptrdiff_t[]){ c.n, k, rows }, 3 * sizeof *note->k);
    }
    if (index)
        *index = places;
    return out;
}

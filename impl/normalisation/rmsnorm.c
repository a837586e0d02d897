/* rmsnorm.c: y = x / sqrt(mean(x^2) + eps) * gain, over the last axis (Zhang and Sennrich 2019, eq. 4). */
#include "rows.h"
#include <string.h>
#include <tgmath.h>

struct rmsnorm { double eps; int gain; };
enum { GAIN };

static const struct as_option options[] = {
    { "eps", AS_NUM, offsetof(struct rmsnorm, eps), 1e-5, 0, 1, NULL, NULL, "added to the mean square" },
    { "gain", AS_BOOL, offsetof(struct rmsnorm, gain), 1, 0, 0, NULL, "0,1", "with a learned gain" },
    { 0 }
};

static void plan(struct as_plan *p)
{
    if (((const struct rmsnorm *)p->opt)->gain)
        rows_gain(p, GAIN);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct rmsnorm *o = g->opt;

    return as_rmsnorm(g->t, x, o->gain ? as_w(g, GAIN) : NULL, o->eps);
}

/* --- rows, one after the other ---------------------------------------------------------------------------- */

struct rows { const struct as_call *call; ptrdiff_t n, d; const real *gain; };

static struct rows rows_of(const struct as_call *c)
{
    const struct rmsnorm *o = c->opt;

    return (struct rows){ c, rows_count(c->in), rows_width(c->in), o->gain ? c->w[GAIN] : NULL };
}

static void ref_plan(struct as_room *room)
{
    room->scratch[0] = (size_t)(rows_pieces(room->in) * rows_width(room->in));  /* the pieces' gradients of the gain */
}

static real scale_of(const struct rows *r, const real *x)
{
    real sum = 0;

#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t j = 0; j < r->d; j++)
        sum += x[j] * x[j];
    return 1 / sqrt(sum / (real)r->d + (real)((const struct rmsnorm *)r->call->opt)->eps);
}

static void forward_rows(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;

    for (ptrdiff_t i = piece * ROWS; i < r->n && i < (piece + 1) * ROWS; i++) {
        const real *x = r->call->x[0] + i * r->d;
        real *y = r->call->y + i * r->d, s = scale_of(r, x);

        for (ptrdiff_t j = 0; j < r->d; j++)
            y[j] = x[j] * s * (r->gain ? r->gain[j] : 1);
    }
}

/* With u = x s: dx = s (v - u mean(v u)), where v = dy gain. */
static void backward_rows(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;
    real *dgain = (real *)r->call->scratch[0] + piece * r->d;

    memset(dgain, 0, (size_t)r->d * sizeof *dgain);
    for (ptrdiff_t i = piece * ROWS; i < r->n && i < (piece + 1) * ROWS; i++) {
        const real *x = r->call->x[0] + i * r->d, *dy = r->call->dy + i * r->d;
        real s = scale_of(r, x), dot = 0, *dx = r->call->dx[0] ? r->call->dx[0] + i * r->d : NULL;

#pragma omp simd reduction(+ : dot)
        for (ptrdiff_t j = 0; j < r->d; j++)
            dot += dy[j] * (r->gain ? r->gain[j] : 1) * x[j];
        dot *= s * s / (real)r->d;
        for (ptrdiff_t j = 0; dx && j < r->d; j++)
            dx[j] += s * (dy[j] * (r->gain ? r->gain[j] : 1) - x[j] * dot);
        for (ptrdiff_t j = 0; j < r->d; j++)
            dgain[j] += dy[j] * x[j] * s;
    }
}

static void forward(const struct as_call *c)
{
    struct rows r = rows_of(c);

    as_parallel(rows_pieces(c->in), 4.0 * (double)r.n * (double)r.d, forward_rows, &r);
}

static void backward(const struct as_call *c)
{
    struct rows r = rows_of(c);
    ptrdiff_t pieces = rows_pieces(c->in);

    as_parallel(pieces, 10.0 * (double)r.n * (double)r.d, backward_rows, &r);
    rows_add(r.gain ? c->dw[GAIN] : NULL, c->scratch[0], pieces, r.d, r.d);
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .rank = -1, .plan = ref_plan, .forward = forward, .backward = backward,
};

static const struct as_variant rmsnorm = {
    .abi = ASSAY_ABI,
    .summary = "division by the root mean square, with a gain",
    .paper = { .key = "zhang2019rmsnorm", .title = "Root mean square layer normalization",
               .url = "https://arxiv.org/abs/1910.07467", .year = 2019, .where = "eq. 4",
               .departs = "eps under the root, as is usual" },
    .options = options, .opt_size = sizeof(struct rmsnorm),
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = rows_check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(normalisation__rmsnorm) = { .abi = ASSAY_ABI, .variant = &rmsnorm, .impl = { &ref } };

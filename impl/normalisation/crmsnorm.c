/* crmsnorm.c: the normalisation of vectors whose numbers add up to zero, and of which the last is left out:
 *
 *   y = x / sqrt((|x|^2 + (sum_j x_j)^2) / d + eps) * gain,   x in R^(d-1)
 *
 * Jiang et al. 2023, "Pre-RMSNorm and Pre-CRMSNorm Transformers", section 3.2: of a zero-mean vector in R^d the last
 * number is minus the sum of the others, so d - 1 of them are all of it, and y holds the first d - 1 numbers of what
 * RMSNorm, and LayerNorm, make of the whole. The width of this layer is d - 1. In the equations, the authors' code and
 * here eps stands under the root. Departs: a gain for each number that is kept, off by default, as the authors' code
 * has none: a gain on the whole vector would leave zero-mean vectors.
 */
#include "rows.h"
#include <string.h>
#include <tgmath.h>

struct crmsnorm { double eps; int gain; };
enum { GAIN };

static const struct as_option options[] = {
    { "eps", AS_NUM, offsetof(struct crmsnorm, eps), 1e-5, 0, 1, NULL, NULL, "added to the mean square of all d" },
    { "gain", AS_BOOL, offsetof(struct crmsnorm, gain), 0, 0, 0, NULL, "0,1", "with a learned gain" },
    { 0 }
};

static void plan(struct as_plan *p)
{
    if (((const struct crmsnorm *)p->opt)->gain)
        rows_gain(p, GAIN);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct crmsnorm *o = g->opt;
    double d = (double)x->dim[x->rank - 1] + 1;
    struct as_node *last = as_sum(g->t, x, -1, true);            /* minus the number that is left out */
    struct as_node *square = as_add(g->t, as_sum(g->t, as_square(g->t, x), -1, true), as_square(g->t, last));
    struct as_node *y = as_mul(g->t, x, as_rsqrt(g->t, as_shift_by(g->t, as_scale(g->t, square, 1 / d), o->eps)));

    return o->gain ? as_mul(g->t, y, as_w(g, GAIN)) : y;
}

/* --- rows, one after the other ---------------------------------------------------------------------------- */

struct rows { const struct as_call *call; ptrdiff_t n, width; const real *gain; };
struct moments { real last, scale; };

static struct rows rows_of(const struct as_call *c)
{
    const struct crmsnorm *o = c->opt;

    return (struct rows){ c, rows_count(c->in), rows_width(c->in), o->gain ? c->w[GAIN] : NULL };
}

static void rows_plan(struct as_room *room)
{
    room->scratch[0] = (size_t)(rows_pieces(room->in) * rows_width(room->in));  /* the pieces' gradients of the gain */
}

static struct moments moments_of(const struct rows *r, const real *x)
{
    real sum = 0, square = 0;

#pragma omp simd reduction(+ : sum, square)
    for (ptrdiff_t j = 0; j < r->width; j++) {
        sum += x[j];
        square += x[j] * x[j];
    }
    square = (square + sum * sum) / (real)(r->width + 1);
    return (struct moments){ sum, 1 / sqrt(square + (real)((const struct crmsnorm *)r->call->opt)->eps) };
}

static void forward_rows(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;

    for (ptrdiff_t i = piece * ROWS; i < r->n && i < (piece + 1) * ROWS; i++) {
        const real *x = r->call->x[0] + i * r->width;
        real *y = r->call->y + i * r->width, s = moments_of(r, x).scale;

        for (ptrdiff_t j = 0; j < r->width; j++)
            y[j] = x[j] * s * (r->gain ? r->gain[j] : 1);
    }
}

/* With v = dy gain and s the scale: dx_j = s (v_j - (x_j + sum x) s^2 (v . x) / d). */
static void backward_rows(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;
    real *dgain = (real *)r->call->scratch[0] + piece * r->width;

    memset(dgain, 0, (size_t)r->width * sizeof *dgain);
    for (ptrdiff_t i = piece * ROWS; i < r->n && i < (piece + 1) * ROWS; i++) {
        const real *x = r->call->x[0] + i * r->width, *dy = r->call->dy + i * r->width;
        struct moments m = moments_of(r, x);
        real dot = 0, *dx = r->call->dx[0] ? r->call->dx[0] + i * r->width : NULL;

#pragma omp simd reduction(+ : dot)
        for (ptrdiff_t j = 0; j < r->width; j++)
            dot += dy[j] * (r->gain ? r->gain[j] : 1) * x[j];
        dot *= m.scale * m.scale / (real)(r->width + 1);
        for (ptrdiff_t j = 0; dx && j < r->width; j++)
            dx[j] += m.scale * (dy[j] * (r->gain ? r->gain[j] : 1) - (x[j] + m.last) * dot);
        for (ptrdiff_t j = 0; j < r->width; j++)
            dgain[j] += dy[j] * x[j] * m.scale;
    }
}

static void forward(const struct as_call *c)
{
    struct rows r = rows_of(c);

    as_parallel(rows_pieces(c->in), 5.0 * (double)r.n * (double)r.width, forward_rows, &r);
}

static void backward(const struct as_call *c)
{
    struct rows r = rows_of(c);
    ptrdiff_t pieces = rows_pieces(c->in);

    as_parallel(pieces, 12.0 * (double)r.n * (double)r.width, backward_rows, &r);
    rows_add(r.gain ? c->dw[GAIN] : NULL, c->scratch[0], pieces, r.width, r.width);
}

static const struct as_impl rows = {
    .abi = ASSAY_ABI, .name = "rows", .rank = 1, .plan = rows_plan, .forward = forward, .backward = backward,
};

static const struct as_variant crmsnorm = {
    .abi = ASSAY_ABI,
    .summary = "RMSNorm of zero-mean vectors of which the last number is left out",
    .paper = { .key = "jiang2023prermsnorm", .title = "Pre-RMSNorm and Pre-CRMSNorm Transformers: Equivalent and "
               "Efficient Pre-LN Transformers", .url = "https://arxiv.org/abs/2305.14858", .year = 2023, .id = 133,
               .where = "section 3.2, CRMSNorm", .departs = "a gain as an option" },
    .options = options, .opt_size = sizeof(struct crmsnorm),
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = rows_check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(normalisation__crmsnorm) = {
    .abi = ASSAY_ABI, .variant = &crmsnorm, .impl = { &rows },
};

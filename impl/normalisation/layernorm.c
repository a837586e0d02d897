/* layernorm.c: y = (x - mean) / sqrt(var + eps) * gain + bias, over the last axis (Ba, Kiros and Hinton 2016,
 * eq. 3-4), mean and variance of each position by itself.
 */
#include "rows.h"
#include <string.h>
#include <tgmath.h>

struct layernorm { double eps; int gain, bias; };
enum { GAIN, BIAS };

static const struct as_option options[] = {
    { "eps", AS_NUM, offsetof(struct layernorm, eps), 1e-5, 0, 1, NULL, NULL, "added to the variance" },
    { "gain", AS_BOOL, offsetof(struct layernorm, gain), 1, 0, 0, NULL, "0,1", "with a learned gain" },
    { "bias", AS_BOOL, offsetof(struct layernorm, bias), 1, 0, 0, NULL, "0,1", "with a learned bias" },
    { 0 }
};

static void plan(struct as_plan *p)
{
    const struct layernorm *o = p->opt;

    if (o->gain)
        rows_gain(p, GAIN);
    if (o->bias)
        as_weight(p, BIAS, "bias", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ rows_width(p->in) });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct layernorm *o = g->opt;

    return as_layernorm(g->t, x, o->gain ? as_w(g, GAIN) : NULL, o->bias ? as_w(g, BIAS) : NULL, o->eps);
}

/* --- rows, one after the other ---------------------------------------------------------------------------- */

struct rows { const struct as_call *call; ptrdiff_t n, d; const real *gain, *bias; };
struct moments { real mean, scale; };

static struct rows rows_of(const struct as_call *c)
{
    const struct layernorm *o = c->opt;

    return (struct rows){ c, rows_count(c->in), rows_width(c->in), o->gain ? c->w[GAIN] : NULL,
                          o->bias ? c->w[BIAS] : NULL };
}

static void ref_plan(struct as_room *room)
{
    room->scratch[0] = (size_t)(rows_pieces(room->in) * 2 * rows_width(room->in));  /* gradients of gain and bias */
}

/* Two passes: the variance is free of cancellation. */
static struct moments moments_of(const struct rows *r, const real *x)
{
    real sum = 0, var = 0, mean;

#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t j = 0; j < r->d; j++)
        sum += x[j];
    mean = sum / (real)r->d;
#pragma omp simd reduction(+ : var)
    for (ptrdiff_t j = 0; j < r->d; j++)
        var += (x[j] - mean) * (x[j] - mean);
    return (struct moments){ mean, 1 / sqrt(var / (real)r->d + (real)((const struct layernorm *)r->call->opt)->eps) };
}

static void forward_rows(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;

    for (ptrdiff_t i = piece * ROWS; i < r->n && i < (piece + 1) * ROWS; i++) {
        const real *x = r->call->x[0] + i * r->d;
        struct moments m = moments_of(r, x);
        real *y = r->call->y + i * r->d;

        for (ptrdiff_t j = 0; j < r->d; j++)
            y[j] = (x[j] - m.mean) * m.scale * (r->gain ? r->gain[j] : 1) + (r->bias ? r->bias[j] : 0);
    }
}

/* With u = (x - mean) scale and v = dy gain: dx = scale (v - mean(v) - u mean(v u)). */
static void backward_rows(void *ctx, ptrdiff_t piece)
{
    const struct rows *r = ctx;
    real *dgain = (real *)r->call->scratch[0] + piece * 2 * r->d, *dbias = dgain + r->d;

    memset(dgain, 0, 2 * (size_t)r->d * sizeof *dgain);
    for (ptrdiff_t i = piece * ROWS; i < r->n && i < (piece + 1) * ROWS; i++) {
        const real *x = r->call->x[0] + i * r->d, *dy = r->call->dy + i * r->d;
        struct moments m = moments_of(r, x);
        real v_sum = 0, vu_sum = 0, *dx = r->call->dx[0] ? r->call->dx[0] + i * r->d : NULL;

#pragma omp simd reduction(+ : v_sum, vu_sum)
        for (ptrdiff_t j = 0; j < r->d; j++) {
            real v = dy[j] * (r->gain ? r->gain[j] : 1);

            v_sum += v;
            vu_sum += v * (x[j] - m.mean) * m.scale;
        }
        v_sum /= (real)r->d;
        vu_sum /= (real)r->d;
        for (ptrdiff_t j = 0; j < r->d; j++) {
            real u = (x[j] - m.mean) * m.scale;

            if (dx)
                dx[j] += m.scale * (dy[j] * (r->gain ? r->gain[j] : 1) - v_sum - u * vu_sum);
            dgain[j] += dy[j] * u;
            dbias[j] += dy[j];
        }
    }
}

static void forward(const struct as_call *c)
{
    struct rows r = rows_of(c);

    as_parallel(rows_pieces(c->in), 6.0 * (double)r.n * (double)r.d, forward_rows, &r);
}

static void backward(const struct as_call *c)
{
    struct rows r = rows_of(c);
    ptrdiff_t pieces = rows_pieces(c->in);
    const real *part = c->scratch[0];

    as_parallel(pieces, 16.0 * (double)r.n * (double)r.d, backward_rows, &r);
    rows_add(r.gain ? c->dw[GAIN] : NULL, part, pieces, 2 * r.d, r.d);
    rows_add(r.bias ? c->dw[BIAS] : NULL, part + r.d, pieces, 2 * r.d, r.d);
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .rank = -1, .plan = ref_plan, .forward = forward, .backward = backward,
};

static const struct as_variant layernorm = {
    .abi = ASSAY_ABI,
    .summary = "mean 0 and variance 1 over the width of each position, with gain and bias",
    .paper = { .key = "ba2016layernorm", .title = "Layer normalization", .url = "https://arxiv.org/abs/1607.06450",
               .year = 2016, .id = 123, .where = "eq. 3-4",
               .departs = "a layer of its own, not inside a cell; eps under the root" },
    .options = options, .opt_size = sizeof(struct layernorm),
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = rows_check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(normalisation__layernorm) = {
    .abi = ASSAY_ABI, .variant = &layernorm, .impl = { &ref },
};

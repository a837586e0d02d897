/* softmax-attention.h: what softmax-attention.c (causal) and full-attention.c (not) share. Each file says which it
 * is by `enum { CAUSAL = 1 };` or 0 before it includes this header: causality is a promise, and promises belong to
 * a variant, so the two are variants and not values of an option.
 *
 * Per head, at the valid steps i < length:
 *     s_ij = scale q_i.k_j                          over the keys j < length; causal: j <= i
 *     p_ij = exp(s_ij) / sum_j' exp(s_ij')          o_i = sum_j p_ij v_j
 * and back: dv_j = sum_i p_ij do_i, dp_ij = do_i.v_j, D_i = sum_j p_ij dp_ij, ds_ij = p_ij (dp_ij - D_i),
 *     dq_i = scale sum_j ds_ij k_j, dk_j = scale sum_i ds_ij q_i.
 * Steps in the padding read nothing, are read by nobody, and give 0.
 */
#ifndef ASSAY_SOFTMAX_ATTENTION_H
#define ASSAY_SOFTMAX_ATTENTION_H

#include <assay/layer.h>
#include <string.h>
#include <tgmath.h>

struct opt { double scale; int ranks; };     /* ranks: full-attention.c only */

#define SCALE_OPTION                                                                                                  \
    { .key = "scale", .type = AS_NUM, .offset = offsetof(struct opt, scale), .def = 0, .min = 0, .max = 1e4,          \
      .help = "factor of the scores q.k; 0: 1 / sqrt(d_k)" }

enum { Q, K, V, PORTS };                     /* q, k (batch, time, heads, dk), v (batch, time, heads, dv) */

static const char *const ports[] = { "q", "k", "v", NULL };
static const struct as_sample samples[] = {
    { .rank = 2, .dim = { 2, 5 } }, { .rank = 2, .dim = { 2, 5 } }, { .rank = 2, .dim = { 2, 3 } },
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (n_in != PORTS)
        return "attention takes q, k, v";
    for (int i = 0; i < PORTS; i++)
        if (in[i].dtype != AS_REALS || in[i].rank != 4 || in[i].dim[1] != in[Q].dim[1] || in[i].dim[2] != in[Q].dim[2])
            return "attention takes q, k, v as (batch, time, heads, width), all with one time and one number of heads";
    return in[K].dim[3] == in[Q].dim[3] ? NULL : "q and k of attention have the same width";
}

static double scale_of(const void *opt, ptrdiff_t dk)
{
    double scale = ((const struct opt *)opt)->scale;

    return scale > 0 ? scale : 1 / sqrt((double)dk);
}

/* --- the graph ------------------------------------------------------------------------------------------- */

/* Which key each query may see: (time, time), or (batch, 1, time, time) when rows have lengths; NULL: every one. */
static struct as_node *visible(struct as_tape *t, const struct as_node *q)
{
    ptrdiff_t time = q->dim[1], rows = q->length ? q->dim[0] : 1;
    struct as_node *mask;

    if (!CAUSAL && !q->length)
        return NULL;
    mask = as_node_ints(t, 4, (ptrdiff_t[]){ rows, 1, time, time });
    for (ptrdiff_t b = 0; b < rows; b++)
        for (ptrdiff_t i = 0; i < time; i++)
            for (ptrdiff_t j = 0; j < time; j++) {
                ptrdiff_t length = q->length ? q->length[b] : time;

                mask->i[(b * time + i) * time + j] = i < length && j < length && (!CAUSAL || j <= i);
            }
    return mask;
}

/* q (batch, heads, time, dk), k, v the same over the keys -> (batch, time, heads, dv). */
static struct as_node *attend(struct as_tape *t, struct as_node *q, struct as_node *k, struct as_node *v,
                              struct as_node *mask, double scale)
{
    struct as_node *scores = as_scale(t, as_bmm(t, q, false, k, true), scale), *none;

    if (mask) {
        none = as_node_new(t, 1, (ptrdiff_t[]){ 1 });
        none->x[0] = -(real)INFINITY;
        scores = as_where(t, mask, scores, none);
    }
    return as_swap(t, as_bmm(t, as_softmax(t, scores), false, v, false), 1, 2);
}

static struct as_node *attend_all(struct as_graph *g, struct as_node *q)
{
    struct as_tape *t = g->t;
    struct as_node *y = attend(t, as_swap(t, q, 1, 2), as_swap(t, g->in[K], 1, 2), as_swap(t, g->in[V], 1, 2),
                               visible(t, q), scale_of(g->opt, q->dim[3]));

    y->length = q->length;
    return y;
}

/* --- ref: row by row, the scores made again on the way back ------------------------------------------------ */

struct size { ptrdiff_t batch, time, heads, dk, dv; };

static struct size size_of(const struct as_spec *in)
{
    return (struct size){ in[Q].dim[0], in[Q].dim[1], in[Q].dim[2], in[Q].dim[3], in[V].dim[3] };
}

static void ref_plan(struct as_room *r)
{
    r->scratch[0] = as_size(2, (size_t)r->in[Q].dim[1]);
}

static real inner(const real *a, const real *b, ptrdiff_t n)
{
    real sum = 0;

    for (ptrdiff_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* p_i over the keys it sees; returns how many those are. q: row i; k: row 0, rows `ld` apart. */
static ptrdiff_t weights(const real *q, const real *k, ptrdiff_t ld, ptrdiff_t dk, ptrdiff_t i, ptrdiff_t length,
                         real scale, real *p)
{
    ptrdiff_t n = CAUSAL ? i + 1 : length;
    real most = -(real)INFINITY, sum = 0;

    for (ptrdiff_t j = 0; j < n; j++) {
        p[j] = scale * inner(q, k + j * ld, dk);
        most = p[j] > most ? p[j] : most;
    }
    for (ptrdiff_t j = 0; j < n; j++)
        sum += p[j] = exp(p[j] - most);
    for (ptrdiff_t j = 0; j < n; j++)
        p[j] /= sum;
    return n;
}

static ptrdiff_t length_of(const struct as_call *c, struct size z, ptrdiff_t row)
{
    return c->length ? c->length[row / z.heads] : z.time;
}

static void ref_forward(const struct as_call *c)
{
    struct size z = size_of(c->in);
    ptrdiff_t ldk = z.heads * z.dk, ldv = z.heads * z.dv;
    real scale = (real)scale_of(c->opt, z.dk), *p = c->scratch[0];

    for (ptrdiff_t row = 0; row < z.batch * z.heads; row++) {
        ptrdiff_t first = row / z.heads * z.time * z.heads + row % z.heads, length = length_of(c, z, row);

        for (ptrdiff_t i = 0; i < z.time; i++) {
            real *y = c->y + first * z.dv + i * ldv;
            ptrdiff_t n = i < length ? weights(c->x[Q] + first * z.dk + i * ldk, c->x[K] + first * z.dk, ldk, z.dk, i,
                                               length, scale, p) : 0;

            memset(y, 0, (size_t)z.dv * sizeof *y);
            for (ptrdiff_t j = 0; j < n; j++)
                for (ptrdiff_t l = 0; l < z.dv; l++)
                    y[l] += p[j] * c->x[V][first * z.dv + j * ldv + l];
        }
    }
}

/* The way back through one query. first: element of head and row at step 0; p, dp: scratch (time). */
static void retreat(const struct as_call *c, struct size z, ptrdiff_t first, ptrdiff_t i, ptrdiff_t length, real *p,
                    real *dp)
{
    ptrdiff_t ldk = z.heads * z.dk, ldv = z.heads * z.dv, n;
    const real *q = c->x[Q] + first * z.dk + i * ldk, *k = c->x[K] + first * z.dk, *v = c->x[V] + first * z.dv;
    const real *dy = c->dy + first * z.dv + i * ldv;
    real scale = (real)scale_of(c->opt, z.dk), mean = 0;

    n = weights(q, k, ldk, z.dk, i, length, scale, p);
    for (ptrdiff_t j = 0; j < n; j++) {
        dp[j] = inner(dy, v + j * ldv, z.dv);
        mean += p[j] * dp[j];
        for (ptrdiff_t l = 0; c->dx[V] && l < z.dv; l++)
            c->dx[V][first * z.dv + j * ldv + l] += p[j] * dy[l];
    }
    for (ptrdiff_t j = 0; j < n; j++) {
        real ds = scale * p[j] * (dp[j] - mean);

        for (ptrdiff_t l = 0; c->dx[Q] && l < z.dk; l++)
            c->dx[Q][first * z.dk + i * ldk + l] += ds * k[j * ldk + l];
        for (ptrdiff_t l = 0; c->dx[K] && l < z.dk; l++)
            c->dx[K][first * z.dk + j * ldk + l] += ds * q[l];
    }
}

static void ref_backward(const struct as_call *c)
{
    struct size z = size_of(c->in);
    real *p = c->scratch[0];

    for (ptrdiff_t row = 0; row < z.batch * z.heads; row++) {
        ptrdiff_t first = row / z.heads * z.time * z.heads + row % z.heads, length = length_of(c, z, row);

        for (ptrdiff_t i = 0; i < length; i++)
            retreat(c, z, first, i, length, p, p + z.time);
    }
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    struct size z = size_of(in);
    double rows = (double)z.batch * (double)z.heads, time = (double)z.time, width = (double)(z.dk + z.dv);

    (void)opt;
    (void)n_in;
    return (struct as_cost){ .flop = rows * time * (CAUSAL ? time + 1 : 2 * time) * (width + 2),
                             .bytes = rows * time * 4.0 * 2.0 * width };
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI,
    .name = "ref",
    .plan = ref_plan,
    .forward = ref_forward,
    .backward = ref_backward,
};

#endif

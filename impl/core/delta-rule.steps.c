/* The (gated) delta rule step by step, for small heads whose state stays in registers and the nearest cache.
 *
 * The recurrence of delta-rule.c as it stands, one (batch, head) after the other, vectorised over the value's
 * width. On the way back states are made again from one kept every SPAN steps. At widths of 16 and less the
 * products of the chunked form are too small to pay for themselves.
 */
#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>

enum { Q, K, V, BETA, G };
enum { SPAN = 16, WIDEST = 16, GROUP = 8 };  /* rows a piece of parallel work handles */

struct size { ptrdiff_t batch, time, heads, dk, dv, spans; };

static struct size size_of(const struct as_spec *in)
{
    ptrdiff_t time = in[Q].dim[1];

    return (struct size){ in[Q].dim[0], time, in[Q].dim[2], in[Q].dim[3], in[V].dim[3], (time + SPAN - 1) / SPAN };
}

static const char *can(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in[Q].dim[3] <= WIDEST && in[V].dim[3] <= WIDEST ? NULL : "its state is held for widths up to 16";
}

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);

    if (r->gradients)
        r->saved[0] = as_size(as_size((size_t)(z.batch * z.heads), (size_t)z.spans), (size_t)(z.dk * z.dv));
    if (r->n_in > G)
        r->scratch[0] = as_size((size_t)(z.batch * z.time), (size_t)z.heads);    /* a = exp(g) */
}

/* S (dk, dv): S <- a S; u = beta (v - k S); S <- S + k^T u. e = k S before. */
static inline __attribute__((always_inline)) void advance(ptrdiff_t dk, ptrdiff_t dv, const float *k, const float *v,
                                                          float beta, float a, float *s)
{
    float e[WIDEST] = { 0 }, u[WIDEST];

    for (ptrdiff_t i = 0; i < dk; i++)
        for (ptrdiff_t j = 0; j < dv; j++) {
            float x = s[i * dv + j] * a;

            s[i * dv + j] = x;
            e[j] = AS_FMA(k[i], x, e[j]);
        }
    for (ptrdiff_t j = 0; j < dv; j++)
        u[j] = beta * (v[j] - e[j]);
    for (ptrdiff_t i = 0; i < dk; i++)
        for (ptrdiff_t j = 0; j < dv; j++)
            s[i * dv + j] = AS_FMA(k[i], u[j], s[i * dv + j]);
}

static inline __attribute__((always_inline)) void read_out(ptrdiff_t dk, ptrdiff_t dv, const float *q, const float *s,
                                                           float *o)
{
    float sum[WIDEST] = { 0 };

    for (ptrdiff_t i = 0; i < dk; i++)
        for (ptrdiff_t j = 0; j < dv; j++)
            sum[j] = AS_FMA(q[i], s[i * dv + j], sum[j]);
    for (ptrdiff_t j = 0; j < dv; j++)
        o[j] = sum[j];
}

static inline __attribute__((always_inline)) void forward_row(const struct as_call *c, struct size z, ptrdiff_t row,
                                                              ptrdiff_t dk, ptrdiff_t dv)
{
    const float *decay = c->scratch[0];
    ptrdiff_t b = row / z.heads, h = row % z.heads;
    float s[WIDEST * WIDEST] = { 0 };

    for (ptrdiff_t t = 0; t < z.time; t++) {
        ptrdiff_t p = (b * z.time + t) * z.heads + h;

        if (c->saved && t % SPAN == 0)
            memcpy((float *)c->saved[0] + (row * z.spans + t / SPAN) * dk * dv, s, (size_t)(dk * dv) * sizeof *s);
        advance(dk, dv, c->x[K] + p * dk, c->x[V] + p * dv, c->x[BETA][p], c->n_in > G ? decay[p] : 1, s);
        read_out(dk, dv, c->x[Q] + p * dk, s, c->y + p * dv);
    }
}

/* Gradients of one step into g (one row each, dense); ds: dS_t in, dS_{t-1} out. old: S_{t-1}, new: S_t. */
struct gradient { float q[WIDEST], k[WIDEST], v[WIDEST], beta, g; };

static inline __attribute__((always_inline)) void retreat(ptrdiff_t dk, ptrdiff_t dv, const float *q, const float *k,
                                                          const float *v, float beta, float a, const float *dy,
                                                          const float *old, const float *new, float *ds,
                                                          struct gradient *out)
{
    float e[WIDEST] = { 0 }, du[WIDEST] = { 0 }, u[WIDEST], de[WIDEST], dbeta = 0, dg = 0;

    for (ptrdiff_t i = 0; i < dk; i++) {
        float sum = 0;

        for (ptrdiff_t j = 0; j < dv; j++) {
            float d = AS_FMA(q[i], dy[j], ds[i * dv + j]);

            sum += new[i * dv + j] * dy[j];
            ds[i * dv + j] = d;
            e[j] = AS_FMA(k[i], a * old[i * dv + j], e[j]);
            du[j] = AS_FMA(k[i], d, du[j]);
        }
        out->q[i] = sum;
    }
    for (ptrdiff_t j = 0; j < dv; j++) {
        u[j] = v[j] - e[j];
        dbeta += du[j] * u[j];
        u[j] *= beta;
        out->v[j] = beta * du[j];
        de[j] = -out->v[j];
    }
    for (ptrdiff_t i = 0; i < dk; i++) {
        float sum = 0;

        for (ptrdiff_t j = 0; j < dv; j++) {
            float before = a * old[i * dv + j], d = ds[i * dv + j];

            sum += u[j] * d + de[j] * before;
            d = AS_FMA(k[i], de[j], d);
            dg += d * before;
            ds[i * dv + j] = d * a;
        }
        out->k[i] = sum;
    }
    out->beta = dbeta;
    out->g = dg;
}

static inline __attribute__((always_inline)) void add_gradient(const struct as_call *c, ptrdiff_t p, ptrdiff_t dk,
                                                               ptrdiff_t dv, const struct gradient *g)
{
    for (ptrdiff_t i = 0; c->dx[Q] && i < dk; i++)
        c->dx[Q][p * dk + i] += g->q[i];
    for (ptrdiff_t i = 0; c->dx[K] && i < dk; i++)
        c->dx[K][p * dk + i] += g->k[i];
    for (ptrdiff_t j = 0; c->dx[V] && j < dv; j++)
        c->dx[V][p * dv + j] += g->v[j];
    if (c->dx[BETA])
        c->dx[BETA][p] += g->beta;
    if (c->n_in > G && c->dx[G])
        c->dx[G][p] += g->g;
}

static inline __attribute__((always_inline)) void backward_row(const struct as_call *c, struct size z, ptrdiff_t row,
                                                               ptrdiff_t dk, ptrdiff_t dv)
{
    const float *decay = c->scratch[0];
    ptrdiff_t b = row / z.heads, h = row % z.heads, ss = dk * dv;
    float state[(SPAN + 1) * WIDEST * WIDEST], ds[WIDEST * WIDEST] = { 0 };

    for (ptrdiff_t span = z.spans - 1; span >= 0; span--) {
        ptrdiff_t from = span * SPAN, n = z.time - from < SPAN ? z.time - from : SPAN;

        memcpy(state, (const float *)c->saved[0] + (row * z.spans + span) * ss, (size_t)ss * sizeof *state);
        for (ptrdiff_t i = 0; i < n; i++) {
            ptrdiff_t p = (b * z.time + from + i) * z.heads + h;

            memcpy(state + (i + 1) * ss, state + i * ss, (size_t)ss * sizeof *state);
            advance(dk, dv, c->x[K] + p * dk, c->x[V] + p * dv, c->x[BETA][p], c->n_in > G ? decay[p] : 1,
                    state + (i + 1) * ss);
        }
        for (ptrdiff_t i = n - 1; i >= 0; i--) {
            ptrdiff_t p = (b * z.time + from + i) * z.heads + h;
            struct gradient g;

            retreat(dk, dv, c->x[Q] + p * dk, c->x[K] + p * dk, c->x[V] + p * dv, c->x[BETA][p],
                    c->n_in > G ? decay[p] : 1, c->dy + p * dv, state + i * ss, state + (i + 1) * ss, ds, &g);
            add_gradient(c, p, dk, dv, &g);
        }
    }
}

/* The common widths as constants, so that the inner loops unroll. */
static void piece(const struct as_call *c, ptrdiff_t group, bool back)
{
    struct size z = size_of(c->in);
    ptrdiff_t end = (group + 1) * GROUP < z.batch * z.heads ? (group + 1) * GROUP : z.batch * z.heads;

    for (ptrdiff_t row = group * GROUP; row < end; row++) {
        if (z.dk == 8 && z.dv == 8)
            back ? backward_row(c, z, row, 8, 8) : forward_row(c, z, row, 8, 8);
        else if (z.dk == 16 && z.dv == 16)
            back ? backward_row(c, z, row, 16, 16) : forward_row(c, z, row, 16, 16);
        else if (z.dk == 8 && z.dv == 16)
            back ? backward_row(c, z, row, 8, 16) : forward_row(c, z, row, 8, 16);
        else
            back ? backward_row(c, z, row, z.dk, z.dv) : forward_row(c, z, row, z.dk, z.dv);
    }
}

static void forward_piece(void *ctx, ptrdiff_t i) { piece(ctx, i, false); }
static void backward_piece(void *ctx, ptrdiff_t i) { piece(ctx, i, true); }

static void run(const struct as_call *c, double flop, void (*body)(void *, ptrdiff_t))
{
    struct size z = size_of(c->in);
    ptrdiff_t n = z.batch * z.time * z.heads;

    if (c->n_in > G)
        as_vexp(n, c->x[G], c->scratch[0]);
    as_parallel((z.batch * z.heads + GROUP - 1) / GROUP, (double)n * (double)(z.dk * z.dv) * flop, body, (void *)c);
}

static void forward(const struct as_call *c) { run(c, 8, forward_piece); }
static void backward(const struct as_call *c) { run(c, 26, backward_piece); }

static const struct as_impl steps = {
    .abi = ASSAY_ABI,
    .name = "steps",
    .rank = 30,
    .can = can,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

const struct as_plugin AS_PLUGIN(core__delta_rule__steps) = { .abi = ASSAY_ABI, .impl = { &steps } };

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
        r->saved[0] = as_size(as_size((size_t)(z.batch * z.heads), (size_t)z.spans), (size_t)(z.dk * (z.dv > 8 ? 16 : 8)));
    if (r->n_in > G)
        r->scratch[0] = as_size((size_t)(z.batch * z.time), (size_t)z.heads);    /* a = exp(g) */
}

/* Eight values side by side: the compiler's vectors, so that short inner loops are not unrolled into scalars.
 * A state row of dv <= 16 values is one or two of them; lanes beyond dv hold zeros. */
typedef float lane8 __attribute__((vector_size(32)));
#pragma GCC diagnostic ignored "-Wpsabi"     /* everything that passes one is inlined: no call, no ABI */
#define INLINE static inline __attribute__((always_inline))

INLINE lane8 load(const float *x, ptrdiff_t n)
{
    lane8 v = { 0 };

    memcpy(&v, x, n >= 8 ? 32 : (size_t)n * sizeof *x);
    return v;
}

INLINE void store_add(float *x, ptrdiff_t n, lane8 v)
{
    if (n >= 8) {
        lane8 old;

        memcpy(&old, x, 32);
        old += v;
        memcpy(x, &old, 32);
        return;
    }
    for (ptrdiff_t j = 0; j < n; j++)
        x[j] += v[j];
}

INLINE float sum8(lane8 v)
{
    lane8 w = v + __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3);

    w += __builtin_shufflevector(w, w, 2, 3, 0, 1, 6, 7, 4, 5);
    return w[0] + w[1];
}

/* State: dk rows of `nb` lanes. One step: S <- a S; u = beta (v - k S); S <- S + k^T u. new may be old. */
INLINE void advance(ptrdiff_t dk, int nb, const float *k, const lane8 *v, float beta, float a, const lane8 *old,
                    lane8 *new)
{
    lane8 u[2];

    for (int l = 0; l < nb; l++) {
        lane8 e = { 0 };

        for (ptrdiff_t i = 0; i < dk; i++)
            e += k[i] * (a * old[i * nb + l]);
        u[l] = beta * (v[l] - e);
    }
    for (ptrdiff_t i = 0; i < dk; i++)
        for (int l = 0; l < nb; l++)
            new[i * nb + l] = a * old[i * nb + l] + k[i] * u[l];
}

INLINE void forward_row(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t dk, int nb)
{
    const float *decay = c->scratch[0];
    ptrdiff_t b = row / z.heads, h = row % z.heads, dv = z.dv, time = c->length ? c->length[b] : z.time;
    lane8 s[WIDEST * 2] = { { 0 } };

    for (ptrdiff_t t = 0; t < z.time; t++) {
        ptrdiff_t p = (b * z.time + t) * z.heads + h;
        const float *q = c->x[Q] + p * dk;
        float *y = c->y + p * dv;
        lane8 v[2];

        if (t >= time) {
            memset(y, 0, (size_t)dv * sizeof *y);
            continue;
        }
        if (c->saved && t % SPAN == 0)
            memcpy((float *)c->saved[0] + (row * z.spans + t / SPAN) * dk * nb * 8, s, (size_t)(dk * nb) * sizeof *s);
        for (int l = 0; l < nb; l++)
            v[l] = load(c->x[V] + p * dv + 8 * l, dv - 8 * l);
        advance(dk, nb, c->x[K] + p * dk, v, c->x[BETA][p], c->n_in > G ? decay[p] : 1, s, s);
        for (int l = 0; l < nb; l++) {
            lane8 o = { 0 };

            for (ptrdiff_t i = 0; i < dk; i++)
                o += q[i] * s[i * nb + l];
            memcpy(y + 8 * l, &o, dv - 8 * l >= 8 ? 32 : (size_t)(dv - 8 * l) * sizeof *y);
        }
    }
}

/* The way back through one step at position p; ds: dS_t in, dS_{t-1} out. old: S_{t-1}, new: S_t. */
INLINE void retreat(const struct as_call *c, ptrdiff_t p, ptrdiff_t dk, int nb, ptrdiff_t dv, float a,
                    const lane8 *old, const lane8 *new, lane8 *ds)
{
    const float *q = c->x[Q] + p * dk, *k = c->x[K] + p * dk;
    float beta = c->x[BETA][p], dbeta = 0, dg = 0;
    lane8 u[2], de[2], dy[2], sum = { 0 };

    for (int l = 0; l < nb; l++) {
        lane8 e = { 0 }, du = { 0 }, v = load(c->x[V] + p * dv + 8 * l, dv - 8 * l);

        dy[l] = load(c->dy + p * dv + 8 * l, dv - 8 * l);
        for (ptrdiff_t i = 0; i < dk; i++) {
            ds[i * nb + l] += q[i] * dy[l];
            e += k[i] * (a * old[i * nb + l]);
            du += k[i] * ds[i * nb + l];
        }
        u[l] = beta * (v - e);
        de[l] = -beta * du;
        dbeta += sum8(du * (v - e));
        if (c->dx[V])
            store_add(c->dx[V] + p * dv + 8 * l, dv - 8 * l, -de[l]);
    }
    for (ptrdiff_t i = 0; i < dk; i++) {
        lane8 dq = { 0 }, dkey = { 0 };

        for (int l = 0; l < nb; l++) {
            lane8 before = a * old[i * nb + l], d = ds[i * nb + l];

            dq += dy[l] * new[i * nb + l];
            dkey += u[l] * d + de[l] * before;
            d += k[i] * de[l];
            sum += d * before;
            ds[i * nb + l] = d * a;
        }
        if (c->dx[Q])
            c->dx[Q][p * dk + i] += sum8(dq);
        if (c->dx[K])
            c->dx[K][p * dk + i] += sum8(dkey);
    }
    dg = sum8(sum);
    if (c->dx[BETA])
        c->dx[BETA][p] += dbeta;
    if (c->n_in > G && c->dx[G])
        c->dx[G][p] += dg;
}

INLINE void backward_row(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t dk, int nb)
{
    const float *decay = c->scratch[0];
    ptrdiff_t b = row / z.heads, h = row % z.heads, ss = dk * nb, dv = z.dv, time = c->length ? c->length[b] : z.time;
    lane8 state[(SPAN + 1) * WIDEST * 2], ds[WIDEST * 2] = { { 0 } };

    for (ptrdiff_t span = (time - 1) / SPAN; time > 0 && span >= 0; span--) {
        ptrdiff_t from = span * SPAN, n = time - from < SPAN ? time - from : SPAN;

        memcpy(state, (const float *)c->saved[0] + (row * z.spans + span) * ss * 8, (size_t)ss * sizeof *state);
        for (ptrdiff_t i = 0; i < n; i++) {
            ptrdiff_t p = (b * z.time + from + i) * z.heads + h;
            lane8 v[2];

            for (int l = 0; l < nb; l++)
                v[l] = load(c->x[V] + p * dv + 8 * l, dv - 8 * l);
            advance(dk, nb, c->x[K] + p * dk, v, c->x[BETA][p], c->n_in > G ? decay[p] : 1, state + i * ss,
                    state + (i + 1) * ss);
        }
        for (ptrdiff_t i = n - 1; i >= 0; i--) {
            ptrdiff_t p = (b * z.time + from + i) * z.heads + h;

            retreat(c, p, dk, nb, dv, c->n_in > G ? decay[p] : 1, state + i * ss, state + (i + 1) * ss, ds);
        }
    }
}

/* The common widths as constants, so that the loops over the key unroll. */
static void piece(const struct as_call *c, ptrdiff_t group, bool back)
{
    struct size z = size_of(c->in);
    ptrdiff_t end = (group + 1) * GROUP < z.batch * z.heads ? (group + 1) * GROUP : z.batch * z.heads;
    int nb = z.dv > 8 ? 2 : 1;

    for (ptrdiff_t row = group * GROUP; row < end; row++) {
        if (z.dk == 8 && nb == 1)
            back ? backward_row(c, z, row, 8, 1) : forward_row(c, z, row, 8, 1);
        else if (z.dk == 16 && nb == 2)
            back ? backward_row(c, z, row, 16, 2) : forward_row(c, z, row, 16, 2);
        else
            back ? backward_row(c, z, row, z.dk, nb) : forward_row(c, z, row, z.dk, nb);
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

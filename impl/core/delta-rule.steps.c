/* The (gated) delta rule step by step, for small heads whose state stays in registers and the nearest cache.
 *
 * The recurrence of delta-rule.c as it stands, one (batch, head) after the other, vectorised over the value's
 * width. On the way back states are made again from one kept every SPAN steps. At widths of 16 and less the
 * products of the chunked form are too small to pay for themselves.
 */
#include <assay/kernel.h>
#include <assay/lanes.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>

enum { Q, K, V, BETA, G };
enum { SPAN = 16, WIDEST = 16, GROUP = 8, MOST_HEADS = 2 };      /* GROUP: rows a piece of parallel work handles */

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
AS_INLINED as_eight load_first(const float *x, ptrdiff_t n)
{
    as_eight v = { 0 };

    memcpy(&v, x, n >= 8 ? 32 : (size_t)n * sizeof *x);
    return v;
}

AS_INLINED void store_add(float *x, ptrdiff_t n, as_eight v)
{
    if (n >= 8) {
        as_eight old;

        memcpy(&old, x, 32);
        old += v;
        memcpy(x, &old, 32);
        return;
    }
    for (ptrdiff_t j = 0; j < n; j++)
        x[j] += v[j];
}

/* sum_i f_i x_i for i < n, rows `step` apart: four chains, since each would wait for itself. */
AS_INLINED as_eight combine(ptrdiff_t n, const float *f, const as_eight *x, int step)
{
    as_eight sum[4] = { { 0 }, { 0 }, { 0 }, { 0 } };

    AS_UNROLLED for (ptrdiff_t i = 0; i < n; i++)
        sum[i & 3] = as_eight_fma(as_eight_all(f[i]), x[i * step], sum[i & 3]);
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* State: dk rows of `nb` lanes. One step: S <- a S; u = beta (v - k S); S <- S + k^T u. new may be old. */
AS_INLINED void advance(ptrdiff_t dk, int nb, const float *k, const as_eight *v, float beta, float a, const as_eight *old,
                        as_eight *new, as_eight *u)
{
    AS_UNROLLED for (int l = 0; l < nb; l++)
        u[l] = as_eight_all(beta) * as_eight_fma(as_eight_all(-a), combine(dk, k, old + l, nb), v[l]);
    AS_UNROLLED for (ptrdiff_t i = 0; i < dk; i++)
        AS_UNROLLED for (int l = 0; l < nb; l++)
            new[i * nb + l] = as_eight_fma(as_eight_all(k[i]), u[l], as_eight_all(a) * old[i * nb + l]);
}

/* The rows of one piece of work that have the same length are independent: `heads` of them are carried side by side,
 * so that one's arithmetic fills the other's waiting. All stand at the same batch, head by head. */
AS_INLINED void forward_rows(const struct as_call *c, struct size z, ptrdiff_t row, const int heads, ptrdiff_t dk,
                             int nb)
{
    const float *decay = c->scratch[0];
    ptrdiff_t b = row / z.heads, h = row % z.heads, dv = z.dv, time = c->length ? c->length[b] : z.time;
    as_eight s[MOST_HEADS][WIDEST * 2] = { { { 0 } } };

    for (ptrdiff_t t = 0; t < time; t++)
        AS_UNROLLED for (int r = 0; r < heads; r++) {
            ptrdiff_t p = (b * z.time + t) * z.heads + h + r;
            float *y = c->y + p * dv;
            as_eight v[2], u[2];

            if (c->saved && t % SPAN == 0)
                AS_UNROLLED for (ptrdiff_t i = 0; i < dk * nb; i++)
                    memcpy((float *)c->saved[0] + (((row + r) * z.spans + t / SPAN) * dk * nb + i) * 8, &s[r][i], sizeof **s);
            AS_UNROLLED for (int l = 0; l < nb; l++)
                v[l] = load_first(c->x[V] + p * dv + 8 * l, dv - 8 * l);
            advance(dk, nb, c->x[K] + p * dk, v, c->x[BETA][p], c->n_in > G ? decay[p] : 1, s[r], s[r], u);
            AS_UNROLLED for (int l = 0; l < nb; l++) {
                as_eight o = combine(dk, c->x[Q] + p * dk, s[r] + l, nb);

                memcpy(y + 8 * l, &o, dv - 8 * l >= 8 ? 32 : (size_t)(dv - 8 * l) * sizeof *y);
            }
        }
    for (ptrdiff_t t = time; t < z.time; t++)
        memset(c->y + ((b * z.time + t) * z.heads + h) * dv, 0, (size_t)(heads * dv) * sizeof *c->y);
}

/* Eight vectors of eight, each summed up: one vector. */
AS_INLINED as_eight sums(const as_eight *x)
{
    as_eight two[4], four[2];

    AS_UNROLLED for (int i = 0; i < 4; i++)
        two[i] = __builtin_shufflevector(x[2 * i], x[2 * i + 1], 0, 8, 2, 10, 4, 12, 6, 14) +
                 __builtin_shufflevector(x[2 * i], x[2 * i + 1], 1, 9, 3, 11, 5, 13, 7, 15);
    AS_UNROLLED for (int i = 0; i < 2; i++)
        four[i] = __builtin_shufflevector(two[2 * i], two[2 * i + 1], 0, 1, 8, 9, 4, 5, 12, 13) +
                  __builtin_shufflevector(two[2 * i], two[2 * i + 1], 2, 3, 10, 11, 6, 7, 14, 15);
    return __builtin_shufflevector(four[0], four[1], 0, 1, 2, 3, 8, 9, 10, 11) +
           __builtin_shufflevector(four[0], four[1], 4, 5, 6, 7, 12, 13, 14, 15);
}

/* The way back through one step at position p; ds: dS_t in, dS_{t-1} out. old: S_{t-1}, new: S_t, u as advance() had
 * it. */
AS_INLINED void retreat(const struct as_call *c, ptrdiff_t p, ptrdiff_t dk, int nb, ptrdiff_t dv, float a,
                    const as_eight *old, const as_eight *new, const as_eight *u, as_eight *ds)
{
    const float *q = c->x[Q] + p * dk, *k = c->x[K] + p * dk;
    float beta = c->x[BETA][p], dbeta = 0;
    as_eight de[2] = { { 0 } }, dy[2] = { { 0 } }, sum = { 0 }, dq[WIDEST] = { { 0 } }, dkey[WIDEST] = { { 0 } };

    AS_UNROLLED for (int l = 0; l < nb; l++) {
        as_eight du, v = load_first(c->x[V] + p * dv + 8 * l, dv - 8 * l);

        dy[l] = load_first(c->dy + p * dv + 8 * l, dv - 8 * l);
        AS_UNROLLED for (ptrdiff_t i = 0; i < dk; i++)
            ds[i * nb + l] = as_eight_fma(as_eight_all(q[i]), dy[l], ds[i * nb + l]);
        du = combine(dk, k, ds + l, nb);
        de[l] = as_eight_all(-beta) * du;
        dbeta += as_eight_sum(du * as_eight_fma(as_eight_all(-a), combine(dk, k, old + l, nb), v));
        if (c->dx[V])
            store_add(c->dx[V] + p * dv + 8 * l, dv - 8 * l, -de[l]);
    }
    AS_UNROLLED for (ptrdiff_t i = 0; i < dk; i++)
        AS_UNROLLED for (int l = 0; l < nb; l++) {
            as_eight before = as_eight_all(a) * old[i * nb + l], d = ds[i * nb + l];

            dq[i] = as_eight_fma(dy[l], new[i * nb + l], dq[i]);
            dkey[i] = as_eight_fma(u[l], d, as_eight_fma(de[l], before, dkey[i]));
            d = as_eight_fma(as_eight_all(k[i]), de[l], d);
            sum = as_eight_fma(d, before, sum);
            ds[i * nb + l] = d * as_eight_all(a);
        }
    AS_UNROLLED for (ptrdiff_t i = 0; i < dk; i += 8) {
        if (c->dx[Q])
            store_add(c->dx[Q] + p * dk + i, dk - i, sums(dq + i));
        if (c->dx[K])
            store_add(c->dx[K] + p * dk + i, dk - i, sums(dkey + i));
    }
    if (c->dx[BETA])
        c->dx[BETA][p] += dbeta;
    if (c->n_in > G && c->dx[G])
        c->dx[G][p] += as_eight_sum(sum);
}

AS_INLINED void backward_row(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t dk, int nb)
{
    const float *decay = c->scratch[0];
    ptrdiff_t b = row / z.heads, h = row % z.heads, ss = dk * nb, dv = z.dv, time = c->length ? c->length[b] : z.time;
    as_eight state[(SPAN + 1) * WIDEST * 2], u[SPAN * 2], ds[WIDEST * 2] = { { 0 } };

    for (ptrdiff_t span = (time - 1) / SPAN; time > 0 && span >= 0; span--) {
        ptrdiff_t from = span * SPAN, n = time - from < SPAN ? time - from : SPAN;

        memcpy(state, (const float *)c->saved[0] + (row * z.spans + span) * ss * 8, (size_t)ss * sizeof *state);
        for (ptrdiff_t i = 0; i < n; i++) {
            ptrdiff_t p = (b * z.time + from + i) * z.heads + h;
            as_eight v[2];

            for (int l = 0; l < nb; l++)
                v[l] = load_first(c->x[V] + p * dv + 8 * l, dv - 8 * l);
            advance(dk, nb, c->x[K] + p * dk, v, c->x[BETA][p], c->n_in > G ? decay[p] : 1, state + i * ss,
                    state + (i + 1) * ss, u + i * nb);
        }
        for (ptrdiff_t i = n - 1; i >= 0; i--) {
            ptrdiff_t p = (b * z.time + from + i) * z.heads + h;

            retreat(c, p, dk, nb, dv, c->n_in > G ? decay[p] : 1, state + i * ss, state + (i + 1) * ss, u + i * nb, ds);
        }
    }
}

/* The common widths as constants, so that the loops over the key unroll. */
static void forward_group(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t end)
{
    int nb = z.dv > 8 ? 2 : 1;

    while (row < end) {
        bool pair = row + 1 < end && row % z.heads + 1 < z.heads;

        if (z.dk == 8 && nb == 1)
            pair ? forward_rows(c, z, row, 2, 8, 1) : forward_rows(c, z, row, 1, 8, 1);
        else if (z.dk == 16 && nb == 2)
            forward_rows(c, z, row, 1, 16, 2), pair = false;
        else
            forward_rows(c, z, row, 1, z.dk, nb), pair = false;
        row += pair ? 2 : 1;
    }
}

static void backward_group(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t end)
{
    int nb = z.dv > 8 ? 2 : 1;

    for (; row < end; row++) {
        if (z.dk == 8 && nb == 1)
            backward_row(c, z, row, 8, 1);
        else if (z.dk == 16 && nb == 2)
            backward_row(c, z, row, 16, 2);
        else
            backward_row(c, z, row, z.dk, nb);
    }
}

static ptrdiff_t end_of(struct size z, ptrdiff_t group)
{
    return (group + 1) * GROUP < z.batch * z.heads ? (group + 1) * GROUP : z.batch * z.heads;
}

static void forward_piece(void *ctx, ptrdiff_t i)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);

    forward_group(c, z, i * GROUP, end_of(z, i));
}

static void backward_piece(void *ctx, ptrdiff_t i)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);

    backward_group(c, z, i * GROUP, end_of(z, i));
}

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

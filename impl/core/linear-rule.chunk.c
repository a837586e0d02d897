/* Linear attention with or without decay, a chunk of steps at a time by matrix products.
 *
 * Within a chunk with state S before it, b_i = g_1 + ... + g_i, A_ij = exp(b_i - b_j) q_i.k_j for j <= i:
 *     O = (e^b Q) S + A V          S <- e^{b_C} S + (e^{b_C - b} K)^T V
 * Only the states at the chunks' starts are kept for the way back.
 */
#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>

enum { Q, K, V, G };
enum { CHUNK = 64 };

struct size { ptrdiff_t batch, time, heads, dk, dv, chunks; };

static struct size size_of(const struct as_spec *in)
{
    ptrdiff_t time = in[Q].dim[1];

    return (struct size){ in[Q].dim[0], time, in[Q].dim[2], in[Q].dim[3], in[V].dim[3], (time + CHUNK - 1) / CHUNK };
}

struct space {                               /* scratch of one lane */
    float *f, *a, *da;                       /* (C, C) */
    float *qb, *kd, *dx;                     /* (C, dk) */
    float *s, *ds;                           /* (dk, dv) */
    float *e, *eb, *ed, *db;                 /* (C): e^g, e^b, e^{b_C - b}, the gradient of b */
};

static size_t space_size(struct size z)
{
    return 3 * CHUNK * CHUNK + 3 * CHUNK * (size_t)z.dk + 2 * (size_t)(z.dk * z.dv) + 4 * CHUNK;
}

static struct space space_at(float *p, struct size z)
{
    struct space w;
    ptrdiff_t cc = CHUNK * CHUNK, ck = CHUNK * z.dk, ss = z.dk * z.dv;

    w.f = p; w.a = p + cc; w.da = p + 2 * cc; p += 3 * cc;
    w.qb = p; w.kd = p + ck; w.dx = p + 2 * ck; p += 3 * ck;
    w.s = p; w.ds = p + ss; p += 2 * ss;
    w.e = p; w.eb = p + CHUNK; w.ed = p + 2 * CHUNK; w.db = p + 3 * CHUNK;
    return w;
}

static ptrdiff_t lanes(struct size z) { return z.batch * z.heads < 16 ? z.batch * z.heads : 16; }

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);

    if (r->gradients)
        r->saved[0] = as_size(as_size((size_t)(z.batch * z.heads), (size_t)z.chunks), (size_t)(z.dk * z.dv));
    r->scratch[0] = as_size((size_t)lanes(z), space_size(z));
}

struct piece { const float *q, *k, *v, *g; ptrdiff_t at, c, ldk, ldv, ldh; };

/* Steps of a row that are worked on: what stands in the padding is neither read nor given anything but 0. */
static ptrdiff_t steps_of(const struct as_call *c, struct size z, ptrdiff_t row)
{
    return c->length ? c->length[row / z.heads] : z.time;
}

static struct piece piece_at(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t t0)
{
    ptrdiff_t left = steps_of(c, z, row) - t0;
    ptrdiff_t p = (row / z.heads * z.time + t0) * z.heads + row % z.heads;

    return (struct piece){ .q = c->x[Q] + p * z.dk, .k = c->x[K] + p * z.dk, .v = c->x[V] + p * z.dv,
                           .g = c->n_in > G ? c->x[G] + p : NULL, .at = p,
                           .c = left < CHUNK ? left : CHUNK, .ldk = z.heads * z.dk,
                           .ldv = z.heads * z.dv, .ldh = z.heads };
}

/* a, its products from the chunk's start and to its end, the rows they scale, F and A. Products of a, not exponentials
 * of differences of sums of g: where much is forgotten those sums are large and their differences lose their digits. */
static void prepare(struct piece p, struct size z, struct space w)
{
    float before = 1, after = 1;

    for (ptrdiff_t i = 0; i < p.c; i++)
        w.e[i] = p.g ? p.g[i * p.ldh] : 0;
    as_vexp(p.c, w.e, w.e);
    for (ptrdiff_t i = 0; i < p.c; i++)
        w.eb[i] = before *= w.e[i];
    for (ptrdiff_t i = p.c - 1; i >= 0; i--) {
        w.ed[i] = after;
        after *= w.e[i];
    }
    for (ptrdiff_t i = 0; i < p.c; i++)
        for (ptrdiff_t j = 0; j < z.dk; j++) {
            w.qb[i * z.dk + j] = w.eb[i] * p.q[i * p.ldk + j];
            w.kd[i * z.dk + j] = w.ed[i] * p.k[i * p.ldk + j];
        }
    as_gemm_one(0, 1, p.c, p.c, z.dk, 1, p.q, p.ldk, p.k, p.ldk, 0, w.a, CHUNK);
    for (ptrdiff_t i = 0; i < p.c; i++) {
        float *a = w.a + i * CHUNK, *f = w.f + i * CHUNK;

        for (ptrdiff_t j = 0; j < i; j++)
            f[j] = p.g ? w.e[i] * f[j - CHUNK] : 1;
        f[i] = 1;
        for (ptrdiff_t j = 0; p.g && j < i; j++)
            a[j] *= f[j];
        memset(a + i + 1, 0, (size_t)(p.c - i - 1) * sizeof *a);
    }
}

static void scale(float *s, ptrdiff_t n, float a)
{
    for (ptrdiff_t i = 0; i < n; i++)
        s[i] *= a;
}

static void forward_row(const struct as_call *c, struct size z, struct space w, ptrdiff_t row)
{
    ptrdiff_t ss = z.dk * z.dv, steps = steps_of(c, z, row);

    memset(w.s, 0, (size_t)ss * sizeof *w.s);
    for (ptrdiff_t t0 = 0, n = 0; t0 < steps; t0 += CHUNK, n++) {
        struct piece p = piece_at(c, z, row, t0);
        float *y = c->y + p.at * z.dv;

        if (c->saved)
            memcpy((float *)c->saved[0] + (row * z.chunks + n) * ss, w.s, (size_t)ss * sizeof *w.s);
        prepare(p, z, w);
        as_gemm_one(0, 0, p.c, z.dv, z.dk, 1, w.qb, z.dk, w.s, z.dv, 0, y, p.ldv);
        as_gemm_one(0, 0, p.c, z.dv, p.c, 1, w.a, CHUNK, p.v, p.ldv, 1, y, p.ldv);
        scale(w.s, ss, w.eb[p.c - 1]);
        as_gemm_one(1, 0, z.dk, z.dv, p.c, 1, w.kd, z.dk, p.v, p.ldv, 1, w.s, z.dv);
    }
    for (ptrdiff_t t = steps; t < z.time; t++)
        memset(c->y + ((row / z.heads * z.time + t) * z.heads + row % z.heads) * z.dv, 0, (size_t)z.dv * sizeof *c->y);
}

static float dot(const float *x, const float *y, ptrdiff_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* Rows scaled by e: out_i += e_i d_i, db_i += sign d_i.x_i; returns the sum of d_i.x_i. */
static float unscale(ptrdiff_t c, ptrdiff_t n, const float *d, const float *x, const float *e, float sign, float *db,
                     float *out, ptrdiff_t ld)
{
    float all = 0;

    for (ptrdiff_t i = 0; i < c; i++) {
        float part = dot(d + i * n, x + i * n, n);

        db[i] += sign * part;
        all += part;
        for (ptrdiff_t j = 0; out && j < n; j++)
            out[i * ld + j] = AS_FMA(e[i], d[i * n + j], out[i * ld + j]);
    }
    return all;
}

/* dA over its triangle: to b, and scaled by the decays for q and k. */
static void back_scores(struct piece p, struct space w)
{
    for (ptrdiff_t i = 0; i < p.c; i++) {
        float *da = w.da + i * CHUNK;
        const float *a = w.a + i * CHUNK, *f = w.f + i * CHUNK;

        w.db[i] += dot(da, a, i);
        for (ptrdiff_t j = 0; j < i; j++) {
            w.db[j] -= da[j] * a[j];
            da[j] *= f[j];
        }
        memset(da + i + 1, 0, (size_t)(p.c - i - 1) * sizeof *da);
    }
}

static void back_chunk(const struct as_call *c, struct size z, struct space w, struct piece p, const float *s)
{
    const float *dout = c->dy + p.at * z.dv;
    float *dq = c->dx[Q] ? c->dx[Q] + p.at * z.dk : NULL, *dk = c->dx[K] ? c->dx[K] + p.at * z.dk : NULL;
    float *dv = c->dx[V] ? c->dx[V] + p.at * z.dv : NULL, *dg = p.g && c->dx[G] ? c->dx[G] + p.at : NULL, sum = 0, tail;
    ptrdiff_t n = p.c, ss = z.dk * z.dv;

    prepare(p, z, w);
    memset(w.db, 0, (size_t)n * sizeof *w.db);
    as_gemm_one(0, 1, n, n, z.dv, 1, dout, p.ldv, p.v, p.ldv, 0, w.da, CHUNK);
    back_scores(p, w);
    if (dv) {
        as_gemm_one(1, 0, n, z.dv, n, 1, w.a, CHUNK, dout, p.ldv, 1, dv, p.ldv);
        as_gemm_one(0, 0, n, z.dv, z.dk, 1, w.kd, z.dk, w.ds, z.dv, 1, dv, p.ldv);
    }
    if (dq)
        as_gemm_one(0, 0, n, z.dk, n, 1, w.da, CHUNK, p.k, p.ldk, 1, dq, p.ldk);
    if (dk)
        as_gemm_one(1, 0, n, z.dk, n, 1, w.da, CHUNK, p.q, p.ldk, 1, dk, p.ldk);
    as_gemm_one(0, 1, n, z.dk, z.dv, 1, dout, p.ldv, s, z.dv, 0, w.dx, z.dk);
    unscale(n, z.dk, w.dx, w.qb, w.eb, 1, w.db, dq, p.ldk);
    as_gemm_one(0, 1, n, z.dk, z.dv, 1, p.v, p.ldv, w.ds, z.dv, 0, w.dx, z.dk);
    tail = unscale(n, z.dk, w.dx, w.kd, w.ed, -1, w.db, dk, p.ldk);
    w.db[n - 1] += tail + w.eb[n - 1] * dot(w.ds, s, ss);
    scale(w.ds, ss, w.eb[n - 1]);
    as_gemm_one(1, 0, z.dk, z.dv, n, 1, w.qb, z.dk, dout, p.ldv, 1, w.ds, z.dv);
    for (ptrdiff_t i = n - 1; dg && i >= 0; i--) {
        sum += w.db[i];
        dg[i * p.ldh] += sum;
    }
}

static void backward_row(const struct as_call *c, struct size z, struct space w, ptrdiff_t row)
{
    ptrdiff_t ss = z.dk * z.dv;

    memset(w.ds, 0, (size_t)ss * sizeof *w.ds);
    for (ptrdiff_t n = (steps_of(c, z, row) + CHUNK - 1) / CHUNK - 1; n >= 0; n--)
        back_chunk(c, z, w, piece_at(c, z, row, n * CHUNK), (const float *)c->saved[0] + (row * z.chunks + n) * ss);
}

static void forward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);
    struct space w = space_at((float *)c->scratch[0] + (size_t)lane * space_size(z), z);

    for (ptrdiff_t row = lane; row < z.batch * z.heads; row += lanes(z))
        forward_row(c, z, w, row);
}

static void backward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);
    struct space w = space_at((float *)c->scratch[0] + (size_t)lane * space_size(z), z);

    for (ptrdiff_t row = lane; row < z.batch * z.heads; row += lanes(z))
        backward_row(c, z, w, row);
}

static double work(struct size z)
{
    return (double)z.batch * (double)z.heads * (double)z.time *
           (4.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(2 * z.dk + 2 * z.dv));
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    as_parallel(lanes(z), work(z), forward_lane, (void *)c);
}

static void backward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    as_parallel(lanes(z), 3 * work(z), backward_lane, (void *)c);
}

static const struct as_impl chunk = {
    .abi = ASSAY_ABI,
    .name = "chunk",
    .rank = 20,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

const struct as_plugin AS_PLUGIN(core__linear_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunk } };

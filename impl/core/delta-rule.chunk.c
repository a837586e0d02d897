/* The (gated) delta rule a chunk of steps at a time, by matrix products.
 *
 * Within a chunk of C steps with state S before it, b_i = g_1 + ... + g_i and G_ij = exp(b_i - b_j):
 *     Y = V - (e^b K) S                         what each key holds, decayed, before the chunk
 *     (I + M) N = beta Y                        M_ij = beta_i G_ij k_i.k_j for j < i: unit lower triangular
 *     O = (e^b Q) S + A N                       A_ij = G_ij q_i.k_j for j <= i
 *     S <- e^{b_C} S + (e^{b_C - b} K)^T N
 * Solving for N directly, with S at hand, spares the W and U of the papers: heads and sequences give work enough
 * to run side by side, so chunks need not. States at the chunks' starts, N and nothing else are kept; M and A
 * are made again on the way back. A chunk's numbers depend on sizes only, so any team gives the same bits.
 */
#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <math.h>
#include <string.h>

enum { Q, K, V, BETA, G };
enum { CHUNK = 64 };
enum { STATES, NEW };                        /* (batch, heads, chunks, dk, dv), (batch, heads, time, dv) */

struct size { ptrdiff_t batch, time, heads, dk, dv, chunks; };

static struct size size_of(const struct as_spec *in)
{
    ptrdiff_t time = in[Q].dim[1];

    return (struct size){ in[Q].dim[0], time, in[Q].dim[2], in[Q].dim[3], in[V].dim[3], (time + CHUNK - 1) / CHUNK };
}

/* Scratch of one (batch, head): a set of chunk-sized matrices. */
struct space {
    float *f, *l, *m, *a, *dm, *da;          /* (C, C): G, G k.k, M, A and gradients */
    float *kb, *qb, *kd, *dk1, *dk2;         /* (C, dk) */
    float *n, *y, *dn, *dy;                  /* (C, dv) */
    float *s, *ds, *s2;                      /* (dk, dv) */
    float *e, *eb, *ed, *db, *beta;          /* (C): e^g, e^b, e^{b_C - b}, the gradient of b, beta */
};

static size_t space_size(struct size z)
{
    return 6 * CHUNK * CHUNK + 5 * CHUNK * (size_t)z.dk + 4 * CHUNK * (size_t)z.dv + 3 * (size_t)(z.dk * z.dv) +
           5 * CHUNK;
}

static struct space space_at(float *p, struct size z)
{
    struct space w;
    ptrdiff_t cc = CHUNK * CHUNK, ck = CHUNK * z.dk, cv = CHUNK * z.dv, ss = z.dk * z.dv;

    w.f = p; w.l = p + cc; w.m = p + 2 * cc; w.a = p + 3 * cc; w.dm = p + 4 * cc; w.da = p + 5 * cc; p += 6 * cc;
    w.kb = p; w.qb = p + ck; w.kd = p + 2 * ck; w.dk1 = p + 3 * ck; w.dk2 = p + 4 * ck; p += 5 * ck;
    w.n = p; w.y = p + cv; w.dn = p + 2 * cv; w.dy = p + 3 * cv; p += 4 * cv;
    w.s = p; w.ds = p + ss; w.s2 = p + 2 * ss; p += 3 * ss;
    w.e = p; w.eb = p + CHUNK; w.ed = p + 2 * CHUNK; w.db = p + 3 * CHUNK; w.beta = p + 4 * CHUNK;
    return w;
}

/* Rows (batch times heads) are dealt to at most 16 lanes; each lane has one scratch, warm from row to row. */
static ptrdiff_t lanes(struct size z) { return z.batch * z.heads < 16 ? z.batch * z.heads : 16; }

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);
    size_t rows = as_size((size_t)z.batch, (size_t)z.heads);

    if (r->gradients) {
        r->saved[STATES] = as_size(as_size(rows, (size_t)z.chunks), (size_t)(z.dk * z.dv));
        r->saved[NEW] = as_size(as_size(rows, (size_t)z.time), (size_t)z.dv);
    }
    r->scratch[0] = as_size((size_t)lanes(z), space_size(z));
}

/* One chunk of one head: where its rows stand. Row i of q is q + i * ldk. */
struct piece { const float *q, *k, *v, *beta, *g; ptrdiff_t c, ldk, ldv, ldh; };

/* Steps of a sequence that are worked on: what stands in the padding is neither read nor given anything but 0. */
static ptrdiff_t steps_of(const struct as_call *c, struct size z, ptrdiff_t b) { return c->length ? c->length[b] : z.time; }

static struct piece piece_at(const struct as_call *c, struct size z, ptrdiff_t b, ptrdiff_t h, ptrdiff_t t0)
{
    ptrdiff_t left = steps_of(c, z, b) - t0, p = (b * z.time + t0) * z.heads + h;

    return (struct piece){ .q = c->x[Q] + p * z.dk, .k = c->x[K] + p * z.dk, .v = c->x[V] + p * z.dv,
                           .beta = c->x[BETA] + p, .g = c->n_in > G ? c->x[G] + p : NULL,
                           .c = left < CHUNK ? left : CHUNK, .ldk = z.heads * z.dk,
                           .ldv = z.heads * z.dv, .ldh = z.heads };
}

/* e^g, e^b, e^{b_C - b}, beta, and the rows scaled by them. Products of e^g, not exponentials of sums and of their
 * differences: where much is forgotten the sums are large, and their differences lose their digits. */
static void decays(struct piece p, struct size z, struct space w)
{
    float before = 1, after = 1;

    for (ptrdiff_t i = 0; i < p.c; i++) {
        w.e[i] = p.g ? p.g[i * p.ldh] : 0;
        w.beta[i] = p.beta[i * p.ldh];
    }
    as_vexp(p.c, w.e, w.e);
    for (ptrdiff_t i = 0; i < p.c; i++)
        w.eb[i] = before *= w.e[i];
    for (ptrdiff_t i = p.c - 1; i >= 0; i--) {
        w.ed[i] = after;
        after *= w.e[i];
    }
    for (ptrdiff_t i = 0; i < p.c; i++)
        for (ptrdiff_t j = 0; j < z.dk; j++) {
            float k = p.k[i * p.ldk + j];

            w.kb[i * z.dk + j] = w.eb[i] * k;
            w.kd[i * z.dk + j] = w.ed[i] * k;
            w.qb[i * z.dk + j] = w.eb[i] * p.q[i * p.ldk + j];
        }
}

/* G, M (strictly lower) and A (lower, zeros above). */
static void triangles(struct piece p, struct size z, struct space w)
{
    ptrdiff_t c = p.c;

    as_gemm_one(0, 1, c, c, z.dk, 1, p.k, p.ldk, p.k, p.ldk, 0, w.l, CHUNK);
    as_gemm_one(0, 1, c, c, z.dk, 1, p.q, p.ldk, p.k, p.ldk, 0, w.a, CHUNK);
    for (ptrdiff_t i = 0; i < c; i++) {
        float *l = w.l + i * CHUNK, *m = w.m + i * CHUNK, *a = w.a + i * CHUNK, *f = w.f + i * CHUNK;

        for (ptrdiff_t j = 0; j < i; j++) {
            f[j] = p.g ? w.e[i] * f[j - CHUNK] : 1;
            a[j] *= f[j];
            l[j] *= f[j];
            m[j] = w.beta[i] * l[j];
        }
        f[i] = 1;
        memset(a + i + 1, 0, (size_t)(c - i - 1) * sizeof *a);
    }
}

enum { BLOCK = 16 };

/* X <- (I + M)^-1 X by blocks of rows: products for what is above, substitution inside. X (c, d). */
static void solve_lower(const float *m, ptrdiff_t c, ptrdiff_t d, float *x)
{
    for (ptrdiff_t i0 = 0; i0 < c; i0 += BLOCK) {
        ptrdiff_t n = c - i0 < BLOCK ? c - i0 : BLOCK;

        if (i0)
            as_gemm_one(0, 0, n, d, i0, -1, m + i0 * CHUNK, CHUNK, x, d, 1, x + i0 * d, d);
        for (ptrdiff_t i = i0; i < i0 + n; i++)
            for (ptrdiff_t j = i0; j < i; j++) {
                float f = -m[i * CHUNK + j];

                for (ptrdiff_t l = 0; l < d; l++)
                    x[i * d + l] = AS_FMA(f, x[j * d + l], x[i * d + l]);
            }
    }
}

/* X <- (I + M)^-T X. */
static void solve_upper(const float *m, ptrdiff_t c, ptrdiff_t d, float *x)
{
    for (ptrdiff_t i0 = (c - 1) / BLOCK * BLOCK; i0 >= 0; i0 -= BLOCK) {
        ptrdiff_t n = c - i0 < BLOCK ? c - i0 : BLOCK, below = c - i0 - n;

        if (below)
            as_gemm_one(1, 0, n, d, below, -1, m + (i0 + n) * CHUNK + i0, CHUNK, x + (i0 + n) * d, d, 1, x + i0 * d, d);
        for (ptrdiff_t i = i0 + n - 1; i >= i0; i--)
            for (ptrdiff_t j = i + 1; j < i0 + n; j++) {
                float f = -m[j * CHUNK + i];

                for (ptrdiff_t l = 0; l < d; l++)
                    x[i * d + l] = AS_FMA(f, x[j * d + l], x[i * d + l]);
            }
    }
}

/* y = V - (e^b K) S, the part of the right side that beta multiplies. */
static void residual(struct piece p, struct size z, struct space w, const float *s, float *y)
{
    for (ptrdiff_t i = 0; i < p.c; i++)
        memcpy(y + i * z.dv, p.v + i * p.ldv, (size_t)z.dv * sizeof *y);
    as_gemm_one(0, 0, p.c, z.dv, z.dk, -1, w.kb, z.dk, s, z.dv, 1, y, z.dv);
}

static void next_state(struct piece p, struct size z, struct space w, const float *n, float *s)
{
    float a = w.eb[p.c - 1];

    for (ptrdiff_t i = 0; i < z.dk * z.dv; i++)
        s[i] *= a;
    as_gemm_one(1, 0, z.dk, z.dv, p.c, 1, w.kd, z.dk, n, z.dv, 1, s, z.dv);
}

static void forward_row(const struct as_call *c, struct size z, struct space w, ptrdiff_t row)
{
    ptrdiff_t b = row / z.heads, h = row % z.heads, ss = z.dk * z.dv, steps = steps_of(c, z, b);

    memset(w.s, 0, (size_t)ss * sizeof *w.s);
    for (ptrdiff_t t0 = 0, at = 0; t0 < steps; t0 += CHUNK, at++) {
        struct piece p = piece_at(c, z, b, h, t0);
        float *n = c->saved ? (float *)c->saved[NEW] + (row * z.time + t0) * z.dv : w.n;
        float *y = c->y + ((b * z.time + t0) * z.heads + h) * z.dv;

        if (c->saved)
            memcpy((float *)c->saved[STATES] + (row * z.chunks + at) * ss, w.s, (size_t)ss * sizeof *w.s);
        decays(p, z, w);
        triangles(p, z, w);
        residual(p, z, w, w.s, n);
        for (ptrdiff_t i = 0; i < p.c; i++)
            for (ptrdiff_t j = 0; j < z.dv; j++)
                n[i * z.dv + j] *= w.beta[i];
        solve_lower(w.m, p.c, z.dv, n);
        as_gemm_one(0, 0, p.c, z.dv, z.dk, 1, w.qb, z.dk, w.s, z.dv, 0, y, p.ldv);
        as_gemm_one(0, 0, p.c, z.dv, p.c, 1, w.a, CHUNK, n, z.dv, 1, y, p.ldv);
        next_state(p, z, w, n, w.s);
    }
    for (ptrdiff_t t = steps; t < z.time; t++)
        memset(c->y + ((b * z.time + t) * z.heads + h) * z.dv, 0, (size_t)z.dv * sizeof *c->y);
}

static double work(struct size z)
{
    return (double)z.batch * (double)z.heads * (double)z.time *
           (6.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(4 * z.dk + 3 * z.dv));
}

static void forward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);
    struct space w = space_at((float *)c->scratch[0] + (size_t)lane * space_size(z), z);

    for (ptrdiff_t row = lane; row < z.batch * z.heads; row += lanes(z))
        forward_row(c, z, w, row);
}

static void forward(const struct as_call *c)
{
    struct size z = size_of(c->in);

    as_parallel(lanes(z), work(z), forward_lane, (void *)c);
}

/* --- the way back ------------------------------------------------------------------------------------------ */

static float dot(const float *x, const float *y, ptrdiff_t n)
{
    float sum = 0;

#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t i = 0; i < n; i++)
        sum += x[i] * y[i];
    return sum;
}

/* Gradients through M and A: to k (into dk1), q, beta and b. On entry dm = dM, da = dA, any values above. */
static void back_triangles(struct piece p, struct size z, struct space w, float *dq, float *dbeta)
{
    ptrdiff_t c = p.c;

    for (ptrdiff_t i = 0; i < c; i++) {
        float *dm = w.dm + i * CHUNK, *da = w.da + i * CHUNK;
        const float *f = w.f + i * CHUNK, *l = w.l + i * CHUNK, *a = w.a + i * CHUNK;
        float beta = w.beta[i], held = dot(dm, l, i);

        if (dbeta)
            dbeta[i * p.ldh] += held;
        w.db[i] += beta * held + dot(da, a, i);
        for (ptrdiff_t j = 0; j < i; j++) {
            w.db[j] -= beta * dm[j] * l[j] + da[j] * a[j];
            dm[j] *= beta * f[j];
            da[j] *= f[j];
        }
        memset(dm + i, 0, (size_t)(c - i) * sizeof *dm);
        memset(da + i + 1, 0, (size_t)(c - i - 1) * sizeof *da);
    }
    as_gemm_one(0, 0, c, z.dk, c, 1, w.dm, CHUNK, p.k, p.ldk, 0, w.dk1, z.dk);
    as_gemm_one(1, 0, c, z.dk, c, 1, w.dm, CHUNK, p.k, p.ldk, 1, w.dk1, z.dk);
    as_gemm_one(1, 0, c, z.dk, c, 1, w.da, CHUNK, p.q, p.ldk, 1, w.dk1, z.dk);
    if (dq)
        as_gemm_one(0, 0, c, z.dk, c, 1, w.da, CHUNK, p.k, p.ldk, 1, dq, p.ldk);
}

/* Adds rows scaled by e to a gradient, and their products with the scaled rows x to db (e is inside of x):
 * out_i += e_i d_i;  db_i += sign d_i . x_i. Returns the sum of d_i . x_i. */
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

/* dN, then through the solve: dY (gradient of beta Y's inner part, signed) in w.dn; dV, dbeta. */
static void back_new(struct piece p, struct size z, struct space w, const float *s, const float *n, const float *dout,
                     float *dv, float *dbeta)
{
    ptrdiff_t c = p.c;

    as_gemm_one(1, 0, c, z.dv, c, 1, w.a, CHUNK, dout, p.ldv, 0, w.dn, z.dv);
    as_gemm_one(0, 0, c, z.dv, z.dk, 1, w.kd, z.dk, w.ds, z.dv, 1, w.dn, z.dv);
    as_gemm_one(0, 1, c, c, z.dv, 1, dout, p.ldv, n, z.dv, 0, w.da, CHUNK);
    solve_upper(w.m, c, z.dv, w.dn);
    as_gemm_one(0, 1, c, c, z.dv, -1, w.dn, z.dv, n, z.dv, 0, w.dm, CHUNK);
    residual(p, z, w, s, w.y);
    for (ptrdiff_t i = 0; i < c; i++) {
        float *dn = w.dn + i * z.dv;

        if (dbeta)
            dbeta[i * p.ldh] += dot(dn, w.y + i * z.dv, z.dv);
        for (ptrdiff_t j = 0; j < z.dv; j++) {
            dn[j] *= w.beta[i];
            if (dv)
                dv[i * p.ldv + j] += dn[j];
        }
    }
}

static void back_chunk(const struct as_call *c, struct size z, struct piece p, struct space w, ptrdiff_t at,
                       const float *s, const float *n)
{
    const float *dout = c->dy + at * z.dv;
    float *dq = c->dx[Q] ? c->dx[Q] + at * z.dk : NULL, *dk = c->dx[K] ? c->dx[K] + at * z.dk : NULL;
    float *dg = p.g && c->dx[G] ? c->dx[G] + at : NULL, tail, sum = 0;
    ptrdiff_t ss = z.dk * z.dv, len = p.c;

    decays(p, z, w);
    triangles(p, z, w);
    memset(w.db, 0, (size_t)len * sizeof *w.db);
    back_new(p, z, w, s, n, dout, c->dx[V] ? c->dx[V] + at * z.dv : NULL, c->dx[BETA] ? c->dx[BETA] + at : NULL);
    back_triangles(p, z, w, dq, c->dx[BETA] ? c->dx[BETA] + at : NULL);
    for (ptrdiff_t i = 0; dk && i < len; i++)
        for (ptrdiff_t j = 0; j < z.dk; j++)
            dk[i * p.ldk + j] += w.dk1[i * z.dk + j];
    /* Through e^b Q S, e^b K S and e^{b_C - b} K, in turn; dk2 holds the gradient of the scaled rows. */
    as_gemm_one(0, 1, len, z.dk, z.dv, 1, dout, p.ldv, s, z.dv, 0, w.dk2, z.dk);
    unscale(len, z.dk, w.dk2, w.qb, w.eb, 1, w.db, dq, p.ldk);
    as_gemm_one(0, 1, len, z.dk, z.dv, -1, w.dn, z.dv, s, z.dv, 0, w.dk2, z.dk);
    unscale(len, z.dk, w.dk2, w.kb, w.eb, 1, w.db, dk, p.ldk);
    as_gemm_one(0, 1, len, z.dk, z.dv, 1, n, z.dv, w.ds, z.dv, 0, w.dk2, z.dk);
    tail = unscale(len, z.dk, w.dk2, w.kd, w.ed, -1, w.db, dk, p.ldk);
    w.db[len - 1] += tail + w.eb[len - 1] * dot(w.ds, s, ss);
    /* dS of the chunk before. */
    for (ptrdiff_t i = 0; i < ss; i++)
        w.ds[i] *= w.eb[len - 1];
    as_gemm_one(1, 0, z.dk, z.dv, len, 1, w.qb, z.dk, dout, p.ldv, 1, w.ds, z.dv);
    as_gemm_one(1, 0, z.dk, z.dv, len, -1, w.kb, z.dk, w.dn, z.dv, 1, w.ds, z.dv);
    for (ptrdiff_t i = len - 1; dg && i >= 0; i--) {
        sum += w.db[i];
        dg[i * p.ldh] += sum;
    }
}

static void backward_row(const struct as_call *c, struct size z, struct space w, ptrdiff_t row)
{
    ptrdiff_t b = row / z.heads, h = row % z.heads, ss = z.dk * z.dv;

    memset(w.ds, 0, (size_t)ss * sizeof *w.ds);
    for (ptrdiff_t at = (steps_of(c, z, b) + CHUNK - 1) / CHUNK - 1; at >= 0; at--) {
        ptrdiff_t t0 = at * CHUNK;

        back_chunk(c, z, piece_at(c, z, b, h, t0), w, (b * z.time + t0) * z.heads + h,
                   (const float *)c->saved[STATES] + (row * z.chunks + at) * ss,
                   (const float *)c->saved[NEW] + (row * z.time + t0) * z.dv);
    }
}

static void backward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);
    struct space w = space_at((float *)c->scratch[0] + (size_t)lane * space_size(z), z);

    for (ptrdiff_t row = lane; row < z.batch * z.heads; row += lanes(z))
        backward_row(c, z, w, row);
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
    .tolerance_why = "the triangular solve adds up to 64 steps' corrections in another order than the recurrence",
    .tolerance = 60,
    .plan = plan,
    .forward = forward,
    .backward = backward,
};

const struct as_plugin AS_PLUGIN(core__delta_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunk } };

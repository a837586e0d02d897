/* ring_back.c: see assay/ring.h; the way back, which goes on from what the ranks hold. */
#include "ring_part.h"

/* What a rank has besides: gradients, and work: rows or blocks of ds and p, shares in others' gradients. */
struct back { real *g, *dq, *dk, *dv, *ds, *p, *share_k, *share_v, *dot; };

/* c (n, width) += alpha p^T x; p (m, n) with rows ld apart, x (m, width). */
static void mix_back(ptrdiff_t count, ptrdiff_t m, ptrdiff_t n, ptrdiff_t width, real alpha, const real *p,
                     ptrdiff_t ld, const real *x, real *c)
{
    if (m > 0 && n > 0)
        as_bgemm(count, 1, 0, n, width, m, alpha, p, ld, m * ld, x, width, m * width, R(1.0), c, width, n * width);
}

static real inner(ptrdiff_t n, const real *a, const real *b)
{
    real sum = 0;

    for (ptrdiff_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* The gradient of keys or values: every rank's share for all chunks, chunk after chunk, is all-reduced, and each keeps
 * its own chunk's. p or ds (steps, time) by x (steps, width). */
static void reduce_shares(struct ring *a, ptrdiff_t width, real alpha, real *const *p, real *const *x, real *const *to)
{
    const struct as_ring *z = a->z;
    ptrdiff_t cut[AS_MAX_RANKS + 1];
    real *share[AS_MAX_RANKS];

    for (int c = 0; c <= z->ranks; c++)
        cut[c] = rows(z) * start(z, c) * width;
    for (int r = 0; r < z->ranks; r++) {
        share[r] = as_rank_take(a->w, r, cut[z->ranks]);
        clear(share[r], cut[z->ranks]);
        for (int c = 0; c < z->ranks; c++)
            mix_back(rows(z), steps(z, r), steps(z, c), width, alpha, p[r] + start(z, c), z->time, x[r],
                     share[r] + cut[c]);
    }
    as_ranks_all_reduce(a->w, cut, share);
    for (int r = 0; r < z->ranks; r++) {
        memcpy(to[r], share[r] + cut[r], (size_t)(cut[r + 1] - cut[r]) * sizeof(real));
        as_rank_release(a->w, r, share[r]);
    }
}

/* ds = p (dp - D), D = sum_j p dp. */
static void back_softmax(ptrdiff_t n, const real *p, real dot, real *ds)
{
    for (ptrdiff_t j = 0; j < n; j++)
        ds[j] = p[j] * (ds[j] - dot);
}

static void back_rows(struct ring *a, struct back *b)
{
    const struct as_ring *z = a->z;
    real *p[AS_MAX_RANKS], *g[AS_MAX_RANKS], *q[AS_MAX_RANKS], *ds[AS_MAX_RANKS], *dk[AS_MAX_RANKS], *dv[AS_MAX_RANKS];

    for (int r = 0; r < z->ranks; r++) {
        p[r] = a->at[r].p;
        q[r] = a->at[r].q;
        g[r] = b[r].g;
        dk[r] = b[r].dk;
        dv[r] = b[r].dv;
        ds[r] = b[r].ds = as_rank_take(a->w, r, rows(z) * steps(z, r) * z->time);
    }
    reduce_shares(a, z->dv, R(1.0), p, g, dv);
    for (int s = 0; s < z->ranks; s++) {
        for (int r = 0; r < z->ranks; r++) {
            int c = chunk_at(z, r, s);
            const real *v = ring_go_round(a, r, s, TAG_V, z->dv, a->at[r].v);

            ring_scores(rows(z), steps(z, r), steps(z, c), z->dv, R(1.0), g[r], v, ds[r] + start(z, c), z->time);
        }
        as_ranks_deliver(a->w);
    }
    for (int r = 0; r < z->ranks; r++)
        for (ptrdiff_t i = 0; i < rows(z) * steps(z, r); i++)
            back_softmax(z->time, p[r] + i * z->time, inner(z->time, p[r] + i * z->time, ds[r] + i * z->time),
                         ds[r] + i * z->time);
    for (int s = 0; s < z->ranks; s++) {
        for (int r = 0; r < z->ranks; r++) {
            int c = chunk_at(z, r, s);
            const real *k = ring_go_round(a, r, s, TAG_K, z->dk, a->at[r].k);

            ring_mix(rows(z), steps(z, r), steps(z, c), z->dk, (real)z->scale, ds[r] + start(z, c), z->time, k,
                     b[r].dq);
        }
        as_ranks_deliver(a->w);
    }
    reduce_shares(a, z->dk, (real)z->scale, ds, q, dk);
}

/* p of a block again, from the same scores, and ds; 0 where a query or key is padding. */
static void weights_again(struct ring *a, int r, int c, const struct back *b)
{
    const struct as_ring *z = a->z;
    ptrdiff_t m = steps(z, r), n = steps(z, c);

    for (ptrdiff_t row = 0; row < rows(z); row++) {
        ptrdiff_t queries = valid(z, row, start(z, r), m), keys = valid(z, row, start(z, c), n);

        for (ptrdiff_t i = row * m; i < (row + 1) * m; i++) {
            ptrdiff_t seen = i - row * m < queries ? keys : 0;
            real *p = b->p + i * n;

            for (ptrdiff_t j = 0; j < seen; j++)
                p[j] -= a->at[r].most[i];
            as_vexp(seen, p, p);
            for (ptrdiff_t j = 0; j < seen; j++)
                p[j] *= a->at[r].part[i];
            clear(p + seen, n - seen);
            back_softmax(n, p, b->dot[i], b->ds + i * n);
        }
    }
}

/* dp (m, n) = g v^T of every row, added up in the order in which D = do.o is: where one weight is 1 the two are the
 * same number, and ds is 0. */
static void slopes(ptrdiff_t count, ptrdiff_t m, ptrdiff_t n, ptrdiff_t width, const real *g, const real *v, real *dp)
{
    for (ptrdiff_t row = 0; row < count; row++)
        for (ptrdiff_t i = row * m; i < (row + 1) * m; i++)
            for (ptrdiff_t j = 0; j < n; j++)
                dp[i * n + j] = inner(width, g + i * width, v + (row * n + j) * width);
}

/* Chunk c at rank r: dq grows by it; its own gradients, so far, came with it and go on. */
static void back_block(struct ring *a, int r, int s, struct back *b)
{
    const struct as_ring *z = a->z;
    int c = chunk_at(z, r, s), last = before(z, r), next = after(z, r);
    ptrdiff_t m = steps(z, r), n = steps(z, c), nk = rows(z) * n * z->dk, nv = rows(z) * n * z->dv;
    const struct kept *at = &a->at[r];
    const real *k = ring_go_round(a, r, s, TAG_K, z->dk, at->k), *v = ring_go_round(a, r, s, TAG_V, z->dv, at->v);
    real *dk = s ? b->share_k : b->dk, *dv = s ? b->share_v : b->dv;

    ring_scores(rows(z), m, n, z->dk, (real)z->scale, at->q, k, b->p, n);
    slopes(rows(z), m, n, z->dv, b->g, v, b->ds);
    weights_again(a, r, c, b);
    ring_mix(rows(z), m, n, z->dk, (real)z->scale, b->ds, n, k, b->dq);
    if (s > 1) {
        memcpy(dk, as_rank_read(a->w, r, last, TAG_DK, nk), (size_t)nk * sizeof *dk);
        memcpy(dv, as_rank_read(a->w, r, last, TAG_DV, nv), (size_t)nv * sizeof *dv);
    } else if (s == 1) {
        clear(dk, nk);
        clear(dv, nv);
    }
    mix_back(rows(z), m, n, z->dk, (real)z->scale, b->ds, n, at->q, dk);
    mix_back(rows(z), m, n, z->dv, R(1.0), b->p, n, b->g, dv);
    if (s > 0) {
        as_rank_send(a->w, r, next, TAG_DK, nk, dk);
        as_rank_send(a->w, r, next, TAG_DV, nv, dv);
    }
}

static void back_online(struct ring *a, struct back *b)
{
    const struct as_ring *z = a->z;

    for (int r = 0; r < z->ranks; r++) {
        ptrdiff_t m = rows(z) * steps(z, r);

        b[r].ds = as_rank_take(a->w, r, m * longest(z));
        b[r].p = as_rank_take(a->w, r, m * longest(z));
        b[r].share_k = as_rank_take(a->w, r, rows(z) * longest(z) * z->dk);
        b[r].share_v = as_rank_take(a->w, r, rows(z) * longest(z) * z->dv);
        b[r].dot = as_rank_take(a->w, r, m);
        for (ptrdiff_t i = 0; i < m; i++)
            b[r].dot[i] = inner(z->dv, b[r].g + i * z->dv, a->at[r].o + i * z->dv);
    }
    for (int s = 0; s < z->ranks; s++) {
        for (int r = 0; r < z->ranks; r++)
            back_block(a, r, s, &b[r]);
        as_ranks_deliver(a->w);
    }
    for (int r = 0; z->ranks > 1 && r < z->ranks; r++) {
        ptrdiff_t nk = rows(z) * steps(z, r) * z->dk, nv = rows(z) * steps(z, r) * z->dv;
        const real *dk = as_rank_read(a->w, r, before(z, r), TAG_DK, nk);
        const real *dv = as_rank_read(a->w, r, before(z, r), TAG_DV, nv);

        for (ptrdiff_t j = 0; j < nk; j++)
            b[r].dk[j] += dk[j];
        for (ptrdiff_t j = 0; j < nv; j++)
            b[r].dv[j] += dv[j];
    }
}

void as_ring_backward(const struct as_ring *z, struct as_ranks *w, const real *dy, real *dq, real *dk, real *dv,
                      real *memory)
{
    struct ring a;
    struct back b[AS_MAX_RANKS] = { 0 };

    ring_open(&a, z, w, as_ring_room(z, true), memory, true);
    for (int r = 0; r < z->ranks; r++) {
        ptrdiff_t n = rows(z) * steps(z, r);

        b[r].g = as_rank_take(w, r, n * z->dv);
        b[r].dq = as_rank_take(w, r, n * z->dk);
        b[r].dk = as_rank_take(w, r, n * z->dk);
        b[r].dv = as_rank_take(w, r, n * z->dv);
        ring_cut_out(z, r, z->dv, dy, b[r].g);
        clear(b[r].dq, n * z->dk);
        clear(b[r].dk, n * z->dk);
        clear(b[r].dv, n * z->dv);
    }
    if (z->online)
        back_online(&a, b);
    else
        back_rows(&a, b);
    for (int r = 0; r < z->ranks; r++) {
        ring_put_back(z, r, z->dk, b[r].dq, dq);
        ring_put_back(z, r, z->dk, b[r].dk, dk);
        ring_put_back(z, r, z->dv, b[r].dv, dv);
    }
}

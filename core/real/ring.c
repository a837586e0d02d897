/* ring.c: see assay/ring.h; forward, and what the ranks hold. Chunks are (batch, heads, steps, width); a superstep is
 * one loop over the ranks and one delivery. At superstep s rank r works on chunk r - s: its own first, then what its
 * neighbour r - 1 had before.
 */
#include "ring_part.h"

#include <math.h>

/* --- memory ---------------------------------------------------------------------------------------------------- */

static ptrdiff_t mail_of(const struct as_ring *z, bool back)
{
    ptrdiff_t chunk = rows(z) * longest(z), widest = z->dk > z->dv ? z->dk : z->dv;

    if (!z->online)
        return chunk * widest;
    return chunk * (z->dk + z->dv) * (back ? 2 : 1);
}

static ptrdiff_t kept_size(const struct as_ring *z)
{
    ptrdiff_t chunk = rows(z) * longest(z);

    return chunk * (2 * z->dk + 2 * z->dv) + (z->online ? 2 * chunk : chunk * z->time);
}

ptrdiff_t as_ring_room(const struct as_ring *z, bool both)
{
    ptrdiff_t chunk = rows(z) * longest(z), widest = z->dk > z->dv ? z->dk : z->dv, block = chunk * longest(z);
    ptrdiff_t forward = 2 * mail_of(z, false) + (z->online ? block : 0), back = 2 * mail_of(z, true);

    back += chunk * (2 * z->dk + 2 * z->dv + 1);
    back += z->online ? 2 * block + chunk * (z->dk + z->dv) : chunk * z->time + rows(z) * z->time * widest;
    return kept_size(z) + (both && back > forward ? back : forward);
}

void ring_open(struct ring *a, const struct as_ring *z, struct as_ranks *w, ptrdiff_t room, real *memory, bool back)
{
    a->z = z;
    a->w = w;
    as_ranks_open(w, z->ranks, room, memory);
    for (int r = 0; r < z->ranks; r++) {
        ptrdiff_t n = rows(z) * steps(z, r);
        struct kept *at = &a->at[r];

        at->q = as_rank_take(w, r, n * z->dk);
        at->k = as_rank_take(w, r, n * z->dk);
        at->v = as_rank_take(w, r, n * z->dv);
        at->o = as_rank_take(w, r, n * z->dv);
        at->p = z->online ? NULL : as_rank_take(w, r, n * z->time);
        at->most = z->online ? as_rank_take(w, r, n) : NULL;
        at->part = z->online ? as_rank_take(w, r, n) : NULL;
    }
    as_ranks_mail(w, mail_of(z, back));
}

void ring_cut_out(const struct as_ring *z, int r, ptrdiff_t width, const real *x, real *chunk)
{
    ptrdiff_t n = steps(z, r);

    for (ptrdiff_t row = 0; row < rows(z); row++)
        for (ptrdiff_t i = 0; i < n; i++) {
            ptrdiff_t at = (row / z->heads * z->time + start(z, r) + i) * z->heads + row % z->heads;

            memcpy(chunk + (row * n + i) * width, x + at * width, (size_t)width * sizeof *x);
        }
}

void ring_put_back(const struct as_ring *z, int r, ptrdiff_t width, const real *chunk, real *x)
{
    ptrdiff_t n = steps(z, r);

    for (ptrdiff_t row = 0; x && row < rows(z); row++)
        for (ptrdiff_t i = 0; i < n; i++) {
            ptrdiff_t at = (row / z->heads * z->time + start(z, r) + i) * z->heads + row % z->heads;

            for (ptrdiff_t j = 0; j < width; j++)
                x[at * width + j] += chunk[(row * n + i) * width + j];
        }
}

/* --- messages and products ------------------------------------------------------------------------------------- */

const real *ring_go_round(struct ring *a, int r, int s, int tag, ptrdiff_t width, const real *own)
{
    const struct as_ring *z = a->z;
    ptrdiff_t n = rows(z) * steps(z, chunk_at(z, r, s)) * width;
    const real *x = s ? as_rank_read(a->w, r, before(z, r), tag, n) : own;

    if (s + 1 < z->ranks)
        as_rank_send(a->w, r, after(z, r), tag, n, x);
    return x;
}

void ring_scores(ptrdiff_t count, ptrdiff_t m, ptrdiff_t n, ptrdiff_t width, real alpha, const real *a, const real *b,
                 real *c, ptrdiff_t ld)
{
    if (m > 0 && n > 0)
        as_bgemm(count, 0, 1, m, n, width, alpha, a, width, m * width, b, width, n * width, R(0.0), c, ld, m * ld);
}

void ring_mix(ptrdiff_t count, ptrdiff_t m, ptrdiff_t n, ptrdiff_t width, real alpha, const real *p, ptrdiff_t ld,
              const real *x, real *c)
{
    if (m > 0 && n > 0)
        as_bgemm(count, 0, 0, m, width, n, alpha, p, ld, m * ld, x, width, n * width, R(1.0), c, width, m * width);
}

/* --- forward --------------------------------------------------------------------------------------------------- */

static void softmax_row(real *p, ptrdiff_t n, ptrdiff_t time)
{
    real most = n > 0 ? p[0] : 0, sum = 0;

    for (ptrdiff_t j = 1; j < n; j++)
        most = p[j] > most ? p[j] : most;
    for (ptrdiff_t j = 0; j < n; j++)
        p[j] -= most;
    as_vexp(n, p, p);
    for (ptrdiff_t j = 0; j < n; j++)
        sum += p[j];
    for (ptrdiff_t j = 0; j < n; j++)
        p[j] /= sum;
    clear(p + n, time - n);
}

static void softmax_rows(const struct as_ring *z, int r, real *p)
{
    ptrdiff_t n = steps(z, r);

    for (ptrdiff_t row = 0; row < rows(z); row++) {
        ptrdiff_t queries = valid(z, row, start(z, r), n);

        for (ptrdiff_t i = 0; i < n; i++)
            softmax_row(p + (row * n + i) * z->time, i < queries ? valid(z, row, 0, z->time) : 0, z->time);
    }
}

/* Ring self-attention: keys round, softmax, values round. */
static void forward_rows(struct ring *a)
{
    const struct as_ring *z = a->z;

    for (int s = 0; s < z->ranks; s++) {
        for (int r = 0; r < z->ranks; r++) {
            const real *k = ring_go_round(a, r, s, TAG_K, z->dk, a->at[r].k);
            int c = chunk_at(z, r, s);

            ring_scores(rows(z), steps(z, r), steps(z, c), z->dk, (real)z->scale, a->at[r].q, k,
                        a->at[r].p + start(z, c), z->time);
        }
        as_ranks_deliver(a->w);
    }
    for (int r = 0; r < z->ranks; r++)
        softmax_rows(z, r, a->at[r].p);
    for (int s = 0; s < z->ranks; s++) {
        for (int r = 0; r < z->ranks; r++) {
            const real *v = ring_go_round(a, r, s, TAG_V, z->dv, a->at[r].v);
            int c = chunk_at(z, r, s);

            ring_mix(rows(z), steps(z, r), steps(z, c), z->dv, R(1.0), a->at[r].p + start(z, c), z->time, v,
                     a->at[r].o);
        }
        as_ranks_deliver(a->w);
    }
}

/* A query's block of scores (n, of which `seen` are keys that it may see) to weights relative to the largest score so
 * far; o and l are moved to that. */
static void carry(real *p, ptrdiff_t n, ptrdiff_t seen, real *most, real *sum, real *o, ptrdiff_t dv)
{
    real top = *most, factor, block = 0;

    for (ptrdiff_t j = 0; j < seen; j++)
        top = p[j] > top ? p[j] : top;
    for (ptrdiff_t j = 0; j < seen; j++)
        p[j] -= top;
    as_vexp(seen, p, p);
    clear(p + seen, n - seen);
    if (seen == 0)
        return;
    for (ptrdiff_t j = 0; j < seen; j++)
        block += p[j];
    factor = (real)exp((double)(*most - top));
    *sum = *sum * factor + block;
    *most = top;
    for (ptrdiff_t j = 0; j < dv; j++)
        o[j] *= factor;
}

static void forward_block(struct ring *a, int r, int s, real *p)
{
    const struct as_ring *z = a->z;
    int c = chunk_at(z, r, s);
    ptrdiff_t m = steps(z, r), n = steps(z, c);
    const struct kept *at = &a->at[r];
    const real *k = ring_go_round(a, r, s, TAG_K, z->dk, at->k), *v = ring_go_round(a, r, s, TAG_V, z->dv, at->v);

    ring_scores(rows(z), m, n, z->dk, (real)z->scale, at->q, k, p, n);
    for (ptrdiff_t row = 0; row < rows(z); row++) {
        ptrdiff_t queries = valid(z, row, start(z, r), m), keys = valid(z, row, start(z, c), n);

        for (ptrdiff_t i = row * m; i < (row + 1) * m; i++)
            carry(p + i * n, n, i - row * m < queries ? keys : 0, at->most + i, at->part + i, at->o + i * z->dv, z->dv);
    }
    ring_mix(rows(z), m, n, z->dv, R(1.0), p, n, v, at->o);
}

static void forward_online(struct ring *a)
{
    const struct as_ring *z = a->z;
    real *p[AS_MAX_RANKS];

    for (int r = 0; r < z->ranks; r++) {
        p[r] = as_rank_take(a->w, r, rows(z) * steps(z, r) * longest(z));
        for (ptrdiff_t i = 0; i < rows(z) * steps(z, r); i++) {
            a->at[r].most[i] = -(real)INFINITY;
            a->at[r].part[i] = 0;
        }
    }
    for (int s = 0; s < z->ranks; s++) {
        for (int r = 0; r < z->ranks; r++)
            forward_block(a, r, s, p[r]);
        as_ranks_deliver(a->w);
    }
    for (int r = 0; r < z->ranks; r++)
        for (ptrdiff_t i = 0; i < rows(z) * steps(z, r); i++) {
            real *part = a->at[r].part + i, *o = a->at[r].o + i * z->dv;

            *part = *part > 0 ? 1 / *part : 0;
            for (ptrdiff_t j = 0; j < z->dv; j++)
                o[j] *= *part;
        }
}

void as_ring_forward(const struct as_ring *z, struct as_ranks *w, bool both, const real *q, const real *k,
                     const real *v, real *y, real *memory)
{
    struct ring a;

    ring_open(&a, z, w, as_ring_room(z, both), memory, false);
    for (int r = 0; r < z->ranks; r++) {
        ring_cut_out(z, r, z->dk, q, a.at[r].q);
        ring_cut_out(z, r, z->dk, k, a.at[r].k);
        ring_cut_out(z, r, z->dv, v, a.at[r].v);
        clear(a.at[r].o, rows(z) * steps(z, r) * z->dv);
    }
    if (z->online)
        forward_online(&a);
    else
        forward_rows(&a);
    clear(y, rows(z) * z->time * z->dv);
    for (int r = 0; r < z->ranks; r++)
        ring_put_back(z, r, z->dv, a.at[r].o, y);
}

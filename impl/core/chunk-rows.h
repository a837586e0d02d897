/* chunk-rows.h: how the chunked forms of the fast-weight memories go through their work. A row is one head of one
 * sequence, and goes from chunk to chunk with its state S, or back with dS. The heads of a sequence take turns chunk by
 * chunk where there are sequences enough: what they read stands side by side in memory. Sequences, or rows, are dealt to
 * at most LANES lanes, each with one scratch that stays warm. A row's numbers depend on sizes only, so any team gives the
 * same bits.
 */
#ifndef ASSAY_CHUNK_ROWS_H
#define ASSAY_CHUNK_ROWS_H

#include "chunk.h"

enum { Q, K, V };                            /* ports: q, k (batch, time, heads, dk), v (batch, time, heads, dv) */
enum { STATES };                             /* saved: S at the chunks' starts, (batch, heads, chunks, kw, vw) */
enum { LANES = 16 };
enum { ENOUGH = 4 };                         /* sequences: with fewer, heads would leave threads without work */

struct size { ptrdiff_t batch, time, heads, dk, dv, chunks, kw, vw; };   /* kw, vw: widths rounded up */

static inline struct size size_of(const struct as_spec *in)
{
    ptrdiff_t time = in[Q].dim[1], dk = in[Q].dim[3], dv = in[V].dim[3];

    return (struct size){ in[Q].dim[0], time, in[Q].dim[2], dk, dv, up(time, CHUNK) / CHUNK, up(dk, WIDE), up(dv, WIDE) };
}

/* Rows that take turns, and how many such groups there are. */
static inline ptrdiff_t turns(struct size z) { return z.batch >= ENOUGH ? z.heads : 1; }
static inline ptrdiff_t groups(struct size z) { return z.batch * z.heads / (z.heads ? turns(z) : 1); }
static inline ptrdiff_t lanes(struct size z) { return least(groups(z), LANES); }
static inline size_t all_chunks(struct size z)
{
    return as_size(as_size((size_t)z.batch, (size_t)z.heads), (size_t)z.chunks);
}

/* Scratch of a lane: `scratch` floats and the states of the rows that take turns. */
static inline size_t lane_size(struct size z, size_t scratch) { return scratch + (size_t)(turns(z) * z.kw * z.vw); }

/* Room for the kept states and for `scratch` floats a lane. */
static inline void plan_rows(struct as_room *r, struct size z, size_t scratch)
{
    if (r->gradients)
        r->saved[STATES] = as_size(all_chunks(z), (size_t)(z.kw * z.vw));
    r->scratch[0] = as_size((size_t)lanes(z), lane_size(z, scratch));
}

/* Steps of a sequence that are worked on: what stands in the padding is neither read nor given anything but 0. */
static inline ptrdiff_t steps_of(const struct as_call *c, struct size z, ptrdiff_t row)
{
    return c->length ? c->length[row / z.heads] : z.time;
}

/* The place of a row's step in (batch, time, heads). */
static inline ptrdiff_t place_of(struct size z, ptrdiff_t row, ptrdiff_t t)
{
    return (row / z.heads * z.time + t) * z.heads + row % z.heads;
}

/* The padding behind a row's steps, in x (batch, time, heads, width). */
static inline void clear_rest(const struct as_call *c, struct size z, ptrdiff_t row, float *x, ptrdiff_t width)
{
    for (ptrdiff_t t = steps_of(c, z, row); t < z.time; t++)
        memset(x + place_of(z, row, t) * width, 0, (size_t)width * sizeof *x);
}

/* One chunk of a row, the one that begins at step t0. `s` is the row's: (kw, vw), zeros before its first chunk; the rest
 * of the scratch is the lane's. `kept`: S before the chunk; NULL without gradients. */
typedef void each_chunk(const struct as_call *c, struct size z, float *scratch, float *s, float *kept, ptrdiff_t row,
                        ptrdiff_t t0);

/* scratch: floats a lane, as planned; back: from the last chunk to the first; unread: a port that the way back does not
 * read, or -1. */
struct rows { const struct as_call *c; size_t scratch; each_chunk *body; bool back; int unread; };

static inline ptrdiff_t port_width(const struct as_call *c, int port)
{
    return c->in[port].rank == 4 ? c->in[port].dim[3] : 1;
}

/* Lists what the rows that take turns read and write in their chunk `next`: this turn's part of its steps. Where all
 * heads take turns, that is one piece of memory, which processors foresee. */
static void list_ahead(const struct rows *r, struct size z, ptrdiff_t first, ptrdiff_t turn, ptrdiff_t next)
{
    const struct as_call *c = r->c;
    ptrdiff_t left = steps_of(c, z, first) - next * CHUNK, all = least(left, CHUNK), ss = z.kw * z.vw;
    ptrdiff_t from = all * turn / turns(z), n = all * (turn + 1) / turns(z) - from;
    ptrdiff_t at = place_of(z, first, next * CHUNK + from);

    begin_asking();
    if (next < 0 || left <= 0)
        return;
    for (int p = 0; p < c->n_in; p++) {
        ptrdiff_t width = port_width(c, p), ld = z.heads * width;

        if (!r->back || p != r->unread)
            ask(c->x[p] + at * width, ld, n, turns(z) * width, false);
        if (r->back && c->dx[p])
            ask(c->dx[p] + at * width, ld, n, turns(z) * width, true);
    }
    ask((r->back ? c->dy : c->y) + at * z.dv, z.heads * z.dv, n, turns(z) * z.dv, !r->back);
    if (c->saved)
        ask((const float *)c->saved[STATES] + ((first + turn) * z.chunks + next) * ss, ss, 1, ss, !r->back);
}

static void run_turn(const struct rows *r, struct size z, float *scratch, ptrdiff_t first, ptrdiff_t chunk)
{
    ptrdiff_t ss = z.kw * z.vw;

    for (ptrdiff_t i = 0; i < turns(z); i++) {
        ptrdiff_t row = first + i;
        float *kept = r->c->saved ? (float *)r->c->saved[STATES] + (row * z.chunks + chunk) * ss : NULL;
        float *s = scratch + r->scratch + i * ss;

        if (kept && !r->back)
            memcpy(kept, s, (size_t)ss * sizeof *s);
        list_ahead(r, z, first, i, r->back ? chunk - 1 : chunk + 1);
        r->body(r->c, z, scratch, s, kept, row, chunk * CHUNK);
    }
}

static void clear_padding(const struct rows *r, struct size z, ptrdiff_t row)
{
    const struct as_call *c = r->c;

    if (!r->back)
        clear_rest(c, z, row, c->y, z.dv);
    for (int p = 0; r->back && p < c->n_in; p++)
        if (c->dx[p] && c->fresh[p])
            clear_rest(c, z, row, c->dx[p], port_width(c, p));
}

static void run_lane(void *ctx, ptrdiff_t lane)
{
    const struct rows *r = ctx;
    struct size z = size_of(r->c->in);
    float *scratch = (float *)r->c->scratch[0] + (size_t)lane * lane_size(z, r->scratch);

    for (ptrdiff_t group = lane; group < groups(z); group += lanes(z)) {
        ptrdiff_t first = group * turns(z), chunks = up(steps_of(r->c, z, first), CHUNK) / CHUNK;

        memset(scratch + r->scratch, 0, (size_t)(turns(z) * z.kw * z.vw) * sizeof *scratch);
        for (ptrdiff_t i = 0; i < chunks; i++)
            run_turn(r, z, scratch, first, r->back ? chunks - 1 - i : i);
        for (ptrdiff_t i = 0; i < turns(z); i++)
            clear_padding(r, z, first + i);
    }
}

/* flop: of a step of a head, about. */
static void run_rows(struct rows r, double flop)
{
    struct size z = size_of(r.c->in);

    as_parallel(lanes(z), (double)z.batch * (double)z.heads * (double)z.time * flop / 8, run_lane, &r);
}

/* Operations of all chunks: `of` is that of one with n steps, there or there and back, without the products of (n, dk)
 * and (dk, dv) with a state: so many of them are not made in the first chunk, and so many not in the last. */
struct state_products { double but_in_first, but_in_last; };

static inline double flop_of_chunks(struct size z, double (*of)(struct size z, double n, bool train), bool train,
                                    struct state_products s)
{
    double whole = (double)(z.time / CHUNK), rest = (double)(z.time % CHUNK), first = (double)least(z.time, CHUNK);
    double last = rest > 0 ? rest : first, steps = (double)z.time;

    return (double)(z.batch * z.heads) *
           (whole * of(z, CHUNK, train) + of(z, rest, train) +
            2 * (double)(z.dk * z.dv) * (s.but_in_first * (steps - first) + s.but_in_last * (steps - last)));
}

/* Of the forms without a correction within the chunk: each product over a triangle has n (n + 1) / 2 pairs. q k^T and A V
 * there; q k^T, A^T dO, dO V^T and two from dA back. One product with the state at either end there, three there and
 * back. */
static inline double flop_of_triangles(struct size z, double n, bool train)
{
    double k = (double)z.dk, v = (double)z.dv, triangle = n * (n + 1) / 2;

    return 2 * triangle * (train ? 4 * k + 3 * v : k + v);
}

static inline double flop_by_triangles(const void *opt, int n_in, const struct as_spec *in, bool train)
{
    double each = train ? 3 : 1;

    (void)opt;
    (void)n_in;
    return flop_of_chunks(size_of(in), flop_of_triangles, train, (struct state_products){ each, each });
}

/* A gradient of one number. */
static inline void give_one(float *to, float x, bool fresh) { *to = fresh ? x : *to + x; }

#endif

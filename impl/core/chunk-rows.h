/* chunk-rows.h: how the chunked forms of the fast-weight memories go through their work. A row is one head of one
 * sequence; rows are dealt to at most LANES lanes, each with one scratch that stays warm from row to row. A row's
 * numbers depend on sizes only, so any team gives the same bits.
 */
#ifndef ASSAY_CHUNK_ROWS_H
#define ASSAY_CHUNK_ROWS_H

#include "chunk.h"

enum { Q, K, V };                            /* ports: q, k (batch, time, heads, dk), v (batch, time, heads, dv) */
enum { STATES };                             /* saved: S at the chunks' starts, (batch, heads, chunks, kw, vw) */
enum { LANES = 16 };

struct size { ptrdiff_t batch, time, heads, dk, dv, chunks, kw, vw; };   /* kw, vw: widths rounded up */

static inline struct size size_of(const struct as_spec *in)
{
    ptrdiff_t time = in[Q].dim[1], dk = in[Q].dim[3], dv = in[V].dim[3];

    return (struct size){ in[Q].dim[0], time, in[Q].dim[2], dk, dv, up(time, CHUNK) / CHUNK, up(dk, WIDE), up(dv, WIDE) };
}

static inline ptrdiff_t lanes(struct size z) { return least(z.batch * z.heads, LANES); }
static inline size_t all_chunks(struct size z)
{
    return as_size(as_size((size_t)z.batch, (size_t)z.heads), (size_t)z.chunks);
}

/* Room for the kept states and for `scratch` floats a lane. */
static inline void plan_rows(struct as_room *r, struct size z, size_t scratch)
{
    if (r->gradients)
        r->saved[STATES] = as_size(all_chunks(z), (size_t)(z.kw * z.vw));
    r->scratch[0] = as_size((size_t)lanes(z), scratch);
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

/* The padding behind a row's steps. */
static inline void clear_rest(const struct as_call *c, struct size z, ptrdiff_t row)
{
    for (ptrdiff_t t = steps_of(c, z, row); t < z.time; t++)
        memset(c->y + place_of(z, row, t) * z.dv, 0, (size_t)z.dv * sizeof *c->y);
}

/* Everything for one row; `scratch` is the lane's. */
typedef void each_row(const struct as_call *c, struct size z, float *scratch, ptrdiff_t row);

struct rows { const struct as_call *c; size_t scratch; each_row *body; };

static void run_lane(void *ctx, ptrdiff_t lane)
{
    const struct rows *r = ctx;
    struct size z = size_of(r->c->in);

    for (ptrdiff_t row = lane; row < z.batch * z.heads; row += lanes(z))
        r->body(r->c, z, (float *)r->c->scratch[0] + (size_t)lane * r->scratch, row);
}

/* scratch: floats a lane, as planned; flop: of a step of a head, about. */
static void run_rows(const struct as_call *c, size_t scratch, double flop, each_row *body)
{
    struct size z = size_of(c->in);
    struct rows r = { c, scratch, body };

    as_parallel(lanes(z), (double)z.batch * (double)z.heads * (double)z.time * flop / 8, run_lane, &r);
}

#endif

/* memory.h: what the fast-weight memories (linear-rule, gated-linear-rule, delta-rule) have in common: sizes, output
 * and state, and their reference form, which goes through the steps one by one with every state kept for the way back.
 * A rule brings the mathematics of one step, forward and back.
 *
 * Ports begin with q, k (batch, time, heads, dk) and v (batch, time, heads, dv). A row is one head of one sequence.
 */
#ifndef ASSAY_MEMORY_H
#define ASSAY_MEMORY_H

#include <assay/layer.h>
#include <string.h>

enum { Q, K, V };
enum { S };                                  /* state (batch, heads, dk, dv) */
enum { STATES };                             /* saved: (batch, heads, time + 1, dk, dv), S_0 = 0 first */
enum { SCRATCH_S, SCRATCH_STEP };            /* scratch: one state; what a rule asks for */

struct memory { ptrdiff_t batch, time, heads, dk, dv; };

/* One step at position p, a place in (batch, time, heads): from S_{t-1} in s to S_t, and the output. */
typedef void memory_advance(const struct as_call *c, struct memory z, ptrdiff_t p, real *s);
/* The way back through it. before, after: S_{t-1}, S_t; ds: dS_t, becomes dS_{t-1}. */
typedef void memory_retreat(const struct as_call *c, struct memory z, ptrdiff_t p, const real *before,
                            const real *after, real *ds);

static inline struct memory memory_of(const struct as_spec *in)
{
    return (struct memory){ in[Q].dim[0], in[Q].dim[1], in[Q].dim[2], in[Q].dim[3], in[V].dim[3] };
}

static void memory_plan(struct as_plan *p)
{
    ptrdiff_t out[] = { AS_ANY, AS_ANY, p->in[V].dim[2], p->in[V].dim[3] };
    ptrdiff_t state[] = { AS_ANY, p->in[K].dim[2], p->in[K].dim[3], p->in[V].dim[3] };

    as_output(p, 0, 4, out);
    as_state(p, S, "S", (struct as_init){ .spread = AS_ZERO }, 4, state);
}

/* flop: of one step, by the size of the state; keys: further ports as wide as the key. */
static struct as_cost memory_cost(const struct as_spec *in, double flop, double keys)
{
    struct memory z = memory_of(in);
    double steps = (double)z.batch * (double)z.time * (double)z.heads;

    return (struct as_cost){ .flop = steps * flop * (double)z.dk * (double)z.dv,
                             .bytes = steps * 4.0 * ((2.0 + keys) * (double)z.dk + 2.0 * (double)z.dv) };
}

static void memory_room(struct as_room *r)
{
    struct memory z = memory_of(r->in);
    size_t s = as_size((size_t)z.dk, (size_t)z.dv);

    if (r->gradients)
        r->saved[STATES] = as_size(as_size(s, (size_t)(z.batch * z.heads)), (size_t)(z.time + 1));
    r->scratch[SCRATCH_S] = s;
}

static inline ptrdiff_t memory_position(struct memory z, ptrdiff_t row, ptrdiff_t t)
{
    return (row / z.heads * z.time + t) * z.heads + row % z.heads;
}

static void memory_forward(const struct as_call *c, memory_advance *advance)
{
    struct memory z = memory_of(c->in);
    ptrdiff_t ss = z.dk * z.dv;
    real *s = c->scratch[SCRATCH_S];

    for (ptrdiff_t row = 0; row < z.batch * z.heads; row++) {
        real *all = c->saved ? (real *)c->saved[STATES] + row * (z.time + 1) * ss : NULL;

        memset(s, 0, (size_t)ss * sizeof *s);
        if (all)
            memset(all, 0, (size_t)ss * sizeof *all);
        for (ptrdiff_t t = 0; t < z.time; t++) {
            advance(c, z, memory_position(z, row, t), s);
            if (all)
                memcpy(all + (t + 1) * ss, s, (size_t)ss * sizeof *s);
        }
    }
}

static void memory_backward(const struct as_call *c, memory_retreat *retreat)
{
    struct memory z = memory_of(c->in);
    ptrdiff_t ss = z.dk * z.dv;
    real *ds = c->scratch[SCRATCH_S];

    for (ptrdiff_t row = 0; row < z.batch * z.heads; row++) {
        const real *all = (const real *)c->saved[STATES] + row * (z.time + 1) * ss;

        memset(ds, 0, (size_t)ss * sizeof *ds);
        for (ptrdiff_t t = z.time - 1; t >= 0; t--)
            retreat(c, z, memory_position(z, row, t), all + t * ss, all + (t + 1) * ss, ds);
    }
}

/* One step of all rows from the states of a stream. */
static void memory_step(const struct as_call *c, memory_advance *advance)
{
    struct memory z = memory_of(c->in);

    for (ptrdiff_t row = 0; row < z.batch * z.heads; row++)
        advance(c, z, row, c->state[S] + row * z.dk * z.dv);
}

#endif

/* The gated linear rule a chunk of steps at a time by matrix products, and chunks in blocks, so that no decay is ever
 * divided by (Yang et al. 2024, section 4.3: "secondary-level chunking").
 *
 * Within a chunk with state S before it, D(j, i) = a_{j+1} o ... o a_i (per dimension of the key):
 *     O = (D(0, i) o Q) S + A V            A_ij = sum_d q_id D(j, i)_d k_jd for j <= i
 *     S <- D(0, C) o S + (D(j, C) o K)^T V
 * For i in a block that starts behind step r and j in an earlier one that ends with step e: D(j, i) = D(j, e) D(e, r)
 * D(r, i), and each factor is a product of numbers up to 1, kept with the rows of K (`kr`, carried on from block to
 * block) and of Q (`qr`). Inside a block of 16 steps the decayed keys are carried along from step to step, 16 keys to
 * a register. Gradients go back the same way; with dq, dk free of the terms j = i, b the sum of log_a in the chunk:
 *     db_i = q_i o dq_i - k_i o dk_i       and to the last b what goes through the state
 * Only the states at the chunks' starts are kept for the way back.
 */
#include "chunk.h"

enum { Q, K, V, LOG_A };
enum { SUB = 16, REGISTERS = SUB / LANE };   /* steps of a block */

struct size { ptrdiff_t batch, time, heads, dk, dv, chunks, kw, vw; };   /* kw, vw: widths rounded up */

static struct size size_of(const struct as_spec *in)
{
    ptrdiff_t time = in[Q].dim[1], dk = in[Q].dim[3], dv = in[V].dim[3];

    return (struct size){ in[Q].dim[0], time, in[Q].dim[2], dk, dv, up(time, CHUNK) / CHUNK, up(dk, WIDE), up(dv, WIDE) };
}

/* Scratch of one lane. r, e: the ends of the blocks before and of the block of i. */
struct space {
    float *a, *da;                           /* (C, C): A and its gradient */
    float *q, *k, *gate;                     /* (C, kw): q, k, a = exp(log_a) */
    float *begin, *end;                      /* (C, kw): D(r, i), D(i, e) */
    float *before, *after;                   /* (C, kw): D(0, i), D(i, C) */
    float *qr, *kr;                          /* (C, kw): D(r, i) q_i; D(i, e) k_i, carried on */
    float *qb, *kd;                          /* (C, kw): D(0, i) q_i, D(i, C) k_i */
    float *dq, *dk, *dx;                     /* (C, kw) */
    float *v, *y, *dv;                       /* (C, vw); y: dO on the way back */
    float *s, *ds, *st;                      /* (kw, vw), S^T (vw, kw) */
    float *turned;                           /* K^T (kw, C) or V^T (vw, C) */
    float *key, *carried;                    /* (kw, SUB): keys of a block, one a column, and decayed up to a step */
    float *tail;                             /* (kw) */
};

enum { KEYS = 14, VALUES = 3 };

static size_t space_size(struct size z)
{
    return (size_t)(2 * CHUNK * CHUNK + KEYS * CHUNK * z.kw + VALUES * CHUNK * z.vw + 3 * z.kw * z.vw +
                    CHUNK * (z.kw > z.vw ? z.kw : z.vw) + 2 * SUB * z.kw + z.kw);
}

static struct space space_at(const struct as_call *c, struct size z, ptrdiff_t lane)
{
    float *p = (float *)c->scratch[0] + (size_t)lane * space_size(z), *key[KEYS];
    struct space w;

    w.a = cut(&p, CHUNK * CHUNK);
    w.da = cut(&p, CHUNK * CHUNK);
    for (int i = 0; i < KEYS; i++)
        key[i] = cut(&p, CHUNK * z.kw);
    w.q = key[0]; w.k = key[1]; w.gate = key[2]; w.begin = key[3]; w.end = key[4]; w.before = key[5]; w.after = key[6];
    w.qr = key[7]; w.kr = key[8]; w.qb = key[9]; w.kd = key[10]; w.dq = key[11]; w.dk = key[12]; w.dx = key[13];
    w.v = cut(&p, CHUNK * z.vw);
    w.y = cut(&p, CHUNK * z.vw);
    w.dv = cut(&p, CHUNK * z.vw);
    w.s = cut(&p, z.kw * z.vw);
    w.ds = cut(&p, z.kw * z.vw);
    w.st = cut(&p, z.kw * z.vw);
    w.turned = cut(&p, CHUNK * (z.kw > z.vw ? z.kw : z.vw));
    w.key = cut(&p, SUB * z.kw);
    w.carried = cut(&p, SUB * z.kw);
    w.tail = p;
    return w;
}

static ptrdiff_t lanes(struct size z) { return least(z.batch * z.heads, 16); }

static void plan(struct as_room *r)
{
    struct size z = size_of(r->in);
    size_t chunks = as_size(as_size((size_t)z.batch, (size_t)z.heads), (size_t)z.chunks);

    if (r->gradients)
        r->saved[0] = as_size(chunks, (size_t)(z.kw * z.vw));
    r->scratch[0] = as_size((size_t)lanes(z), space_size(z));
}

/* One chunk of one head: position `at` of its first step, steps, and the distance of its rows. */
struct piece { ptrdiff_t at, n, ldk, ldv; };

static ptrdiff_t steps_of(const struct as_call *c, struct size z, ptrdiff_t row)
{
    return c->length ? c->length[row / z.heads] : z.time;
}

static struct piece piece_at(const struct as_call *c, struct size z, ptrdiff_t row, ptrdiff_t t0)
{
    return (struct piece){ .at = (row / z.heads * z.time + t0) * z.heads + row % z.heads,
                           .n = least(CHUNK, steps_of(c, z, row) - t0), .ldk = z.heads * z.dk, .ldv = z.heads * z.dv };
}

/* Rows copied, with rows of zeros up to a whole block. */
static void take_block(const float *x, ptrdiff_t ld, ptrdiff_t n, ptrdiff_t width, float *out)
{
    ptrdiff_t wide = up(width, WIDE);

    take(x, ld, n, width, NULL, out);
    memset(out + n * wide, 0, (size_t)((up(n, SUB) - n) * wide) * sizeof *out);
}

/* out = x o y over n numbers, a multiple of LANE. */
INLINED void times(const float *x, const float *y, ptrdiff_t n, float *out)
{
    for (ptrdiff_t i = 0; i < n; i += LANE)
        store(out + i, load(x + i) * load(y + i));
}

/* The products of a: from and to the ends of blocks and of the chunk. */
static void decays_of_keys(struct space w, ptrdiff_t n, ptrdiff_t d)
{
    ptrdiff_t rows = up(n, SUB);

    for (ptrdiff_t i = 0; i < rows; i++) {
        float *a = w.gate + i * d;

        memcpy(w.begin + i * d, a, (size_t)d * sizeof *a);
        if (i % SUB)
            times(w.begin + (i - 1) * d, a, d, w.begin + i * d);
        memcpy(w.before + i * d, a, (size_t)d * sizeof *a);
        if (i)
            times(w.before + (i - 1) * d, a, d, w.before + i * d);
    }
    for (ptrdiff_t i = rows - 1; i >= 0; i--)
        for (ptrdiff_t j = 0; j < d; j += LANE) {
            ptrdiff_t at = i * d + j, next = at + d;

            store(w.after + at, i == rows - 1 ? all(1) : load(w.after + next) * load(w.gate + next));
            store(w.end + at, i % SUB == SUB - 1 ? all(1) : load(w.end + next) * load(w.gate + next));
        }
}

/* A inside the block of rows that starts with i0, zeros above the diagonal. */
static void scores_inside(struct space w, ptrdiff_t i0, ptrdiff_t d)
{
    transpose(w.k + i0 * d, d, SUB, d, w.key, SUB);
    memset(w.carried, 0, (size_t)(SUB * d) * sizeof *w.carried);
    for (ptrdiff_t i = 0; i < SUB; i++) {
        const float *q = w.q + (i0 + i) * d, *a = w.gate + (i0 + i) * d;
        float is_i[SUB] = { 0 };
        vec sum[REGISTERS], one[REGISTERS];

        is_i[i] = 1;
        for (int r = 0; r < REGISTERS; r++) {
            sum[r] = (vec){ 0 };
            one[r] = load(is_i + r * LANE);
        }
        for (ptrdiff_t j = 0; j < d; j++)
            UNROLLED for (int r = 0; r < REGISTERS; r++) {
                float *at = w.carried + j * SUB + r * LANE;
                vec x = fma_of(load(w.key + j * SUB + r * LANE), one[r], all(a[j]) * load(at));

                store(at, x);
                sum[r] = fma_of(all(q[j]), x, sum[r]);
            }
        for (int r = 0; r < REGISTERS; r++)
            store(w.a + (i0 + i) * CHUNK + i0 + r * LANE, sum[r]);
    }
}

/* kr of the blocks before the one that starts with i0, carried on to its start. */
static void carry_keys(struct space w, ptrdiff_t i0, ptrdiff_t d)
{
    for (ptrdiff_t j = 0; j < i0 - SUB; j++)
        times(w.kr + j * d, w.begin + (i0 - 1) * d, d, w.kr + j * d);
    for (ptrdiff_t j = i0 - SUB; j < i0; j++)
        times(w.k + j * d, w.end + j * d, d, w.kr + j * d);
}

static void prepare(const struct as_call *c, struct size z, struct piece p, struct space w)
{
    ptrdiff_t d = z.kw, rows = up(p.n, SUB);

    take_block(c->x[Q] + p.at * z.dk, p.ldk, p.n, z.dk, w.q);
    take_block(c->x[K] + p.at * z.dk, p.ldk, p.n, z.dk, w.k);
    take_block(c->x[V] + p.at * z.dv, p.ldv, p.n, z.dv, w.v);
    take_block(c->x[LOG_A] + p.at * z.dk, p.ldk, p.n, z.dk, w.gate);
    as_vexp(rows * d, w.gate, w.gate);
    decays_of_keys(w, p.n, d);
    times(w.q, w.begin, rows * d, w.qr);
    times(w.q, w.before, rows * d, w.qb);
    times(w.k, w.after, rows * d, w.kd);
    for (ptrdiff_t i = 0; i < rows; i += SUB) {
        for (ptrdiff_t r = i; r < i + SUB; r++)
            memset(w.a + r * CHUNK + i + SUB, 0, (size_t)(CHUNK - i - SUB) * sizeof *w.a);
        scores_inside(w, i, d);
        if (i == 0)
            continue;
        carry_keys(w, i, d);
        transpose(w.kr, d, i, d, w.turned, CHUNK);
        product(WHOLE, SUB, i, d, plain(w.qr + i * d, d), (struct right){ w.turned, CHUNK },
                (struct result){ w.a + i * CHUNK, CHUNK }, false);
    }
}

/* Row i of s times by[i]. */
static void scale_rows(float *s, ptrdiff_t rows, ptrdiff_t d, const float *by)
{
    for (ptrdiff_t i = 0; i < rows; i++)
        scale(s + i * d, d, by[i]);
}

static void forward_chunk(const struct as_call *c, struct size z, struct piece p, struct space w)
{
    ptrdiff_t n = p.n, d = z.vw;
    float *y = c->y + p.at * z.dv;
    struct result o = d == z.dv ? (struct result){ y, p.ldv } : (struct result){ w.y, d };

    prepare(c, z, p, w);
    product(WHOLE, n, d, z.kw, plain(w.qb, z.kw), (struct right){ w.s, d }, o, false);
    product(LOWER, n, d, n, plain(w.a, CHUNK), (struct right){ w.v, d }, o, true);
    for (ptrdiff_t i = 0; d != z.dv && i < n; i++)
        memcpy(y + i * p.ldv, w.y + i * d, (size_t)z.dv * sizeof *y);
    scale_rows(w.s, z.kw, d, w.before + (n - 1) * z.kw);
    product(WHOLE, z.kw, d, n, flipped(w.kd, z.kw), (struct right){ w.v, d }, (struct result){ w.s, d }, true);
}

static void forward_row(const struct as_call *c, struct size z, struct space w, ptrdiff_t row)
{
    ptrdiff_t ss = z.kw * z.vw, steps = steps_of(c, z, row);

    memset(w.s, 0, (size_t)ss * sizeof *w.s);
    for (ptrdiff_t t0 = 0, at = row * z.chunks; t0 < steps; t0 += CHUNK, at++) {
        if (c->saved)
            memcpy((float *)c->saved[0] + at * ss, w.s, (size_t)ss * sizeof *w.s);
        forward_chunk(c, z, piece_at(c, z, row, t0), w);
    }
    for (ptrdiff_t t = steps; t < z.time; t++)
        memset(c->y + piece_at(c, z, row, t).at * z.dv, 0, (size_t)z.dv * sizeof *c->y);
}

/* --- the way back ------------------------------------------------------------------------------------------ */

/* dq, dk += what goes through A inside a block, without j = i. */
static void back_inside(struct space w, ptrdiff_t i0, ptrdiff_t d)
{
    for (ptrdiff_t l = 0; l < d; l += LANE)
        for (ptrdiff_t j = i0; j < i0 + SUB - 1; j++) {
            vec decay = all(1), k = load(w.k + j * d + l), dk = { 0 };

            for (ptrdiff_t i = j + 1; i < i0 + SUB; i++) {
                vec part;

                decay *= load(w.gate + i * d + l);
                part = all(w.da[i * CHUNK + j]) * decay;
                dk = fma_of(part, load(w.q + i * d + l), dk);
                store(w.dq + i * d + l, fma_of(part, k, load(w.dq + i * d + l)));
            }
            store(w.dk + j * d + l, load(w.dk + j * d + l) + dk);
        }
}

/* to_i += by_i o x_i over n rows of d. */
static void add_times(const float *x, const float *by, ptrdiff_t n, float *to)
{
    for (ptrdiff_t i = 0; i < n; i += LANE)
        store(to + i, fma_of(load(x + i), load(by + i), load(to + i)));
}

/* dq, dk += what goes through A from block to block. */
static void back_across(struct space w, ptrdiff_t rows, ptrdiff_t d)
{
    struct result dx = { w.dx, d };

    for (ptrdiff_t i = SUB; i < rows; i += SUB) {
        carry_keys(w, i, d);
        product(WHOLE, SUB, d, i, plain(w.da + i * CHUNK, CHUNK), (struct right){ w.kr, d }, dx, false);
        add_times(w.dx, w.begin + i * d, SUB * d, w.dq + i * d);
    }
    for (ptrdiff_t j = rows - 2 * SUB; j >= 0; j -= SUB) {
        ptrdiff_t next = j + SUB;

        for (ptrdiff_t i = next + SUB; i < rows; i++)       /* qr, carried back to the end of the block of j */
            times(w.qr + i * d, w.begin + (next + SUB - 1) * d, d, w.qr + i * d);
        product(WHOLE, SUB, d, rows - next, flipped(w.da + next * CHUNK + j, CHUNK), (struct right){ w.qr + next * d, d },
                dx, false);
        add_times(w.dx, w.end + j * d, SUB * d, w.dk + j * d);
    }
}

/* Gradients of q, k, log_a from dq and dk without the terms j = i, the terms themselves, and w.tail. */
static void give_keys(const struct as_call *c, struct size z, struct piece p, struct space w)
{
    ptrdiff_t d = z.kw;

    for (ptrdiff_t i = p.n - 1; i >= 0; i--) {
        const float *q = w.q + i * d, *k = w.k + i * d, *dq = w.dq + i * d, *dk = w.dk + i * d;
        ptrdiff_t at = (p.at * z.dk) + i * p.ldk;
        float own = w.da[i * CHUNK + i];

        for (ptrdiff_t j = 0; j < z.dk; j++)
            w.tail[j] += q[j] * dq[j] - k[j] * dk[j];
        for (ptrdiff_t j = 0; c->dx[LOG_A] && j < z.dk; j++)
            c->dx[LOG_A][at + j] += w.tail[j];
        for (ptrdiff_t j = 0; c->dx[Q] && j < z.dk; j++)
            c->dx[Q][at + j] += AS_FMA(own, k[j], dq[j]);
        for (ptrdiff_t j = 0; c->dx[K] && j < z.dk; j++)
            c->dx[K][at + j] += AS_FMA(own, q[j], dk[j]);
    }
}

/* What goes through the states before (s) and after (ds), and the gradient of the last b: dq, dk, tail are set. */
static void back_states(struct size z, struct space w, ptrdiff_t n, const float *s)
{
    ptrdiff_t d = z.kw, rows = up(n, SUB);

    memset(w.dq, 0, (size_t)(rows * d) * sizeof *w.dq);
    memset(w.dk, 0, (size_t)(rows * d) * sizeof *w.dk);
    transpose(s, z.vw, d, z.vw, w.st, d);
    product(WHOLE, n, d, z.vw, plain(w.y, z.vw), (struct right){ w.st, d }, (struct result){ w.dx, d }, false);
    add_times(w.dx, w.before, n * d, w.dq);
    transpose(w.ds, z.vw, d, z.vw, w.st, d);
    product(WHOLE, n, d, z.vw, plain(w.v, z.vw), (struct right){ w.st, d }, (struct result){ w.dx, d }, false);
    add_times(w.dx, w.after, n * d, w.dk);
    for (ptrdiff_t j = 0; j < d; j++)
        w.tail[j] = w.before[(n - 1) * d + j] * dot(w.ds + j * z.vw, s + j * z.vw, z.vw);
    for (ptrdiff_t i = 0; i < n; i++)
        add_times(w.k + i * d, w.dk + i * d, d, w.tail);
}

static void back_chunk(const struct as_call *c, struct size z, struct piece p, struct space w, const float *s)
{
    ptrdiff_t n = p.n, d = z.vw, rows = up(n, SUB);
    struct right dout = { w.y, d };

    prepare(c, z, p, w);
    take_block(c->dy + p.at * z.dv, p.ldv, n, z.dv, w.y);
    if (c->dx[V]) {
        product(UPPER, n, d, n, flipped(w.a, CHUNK), dout, (struct result){ w.dv, d }, false);
        product(WHOLE, n, d, z.kw, plain(w.kd, z.kw), (struct right){ w.ds, d }, (struct result){ w.dv, d }, true);
        give(w.dv, n, z.dv, NULL, c->dx[V] + p.at * z.dv, p.ldv);
    }
    transpose(w.v, d, rows, d, w.turned, CHUNK);
    product(TRIANGLE, rows, rows, d, plain(w.y, d), (struct right){ w.turned, CHUNK }, (struct result){ w.da, CHUNK },
            false);
    back_states(z, w, n, s);
    for (ptrdiff_t i = 0; i < rows; i += SUB)
        back_inside(w, i, z.kw);
    back_across(w, rows, z.kw);
    give_keys(c, z, p, w);
    scale_rows(w.ds, z.kw, d, w.before + (n - 1) * z.kw);
    product(WHOLE, z.kw, d, n, flipped(w.qb, z.kw), dout, (struct result){ w.ds, d }, true);
}

static void backward_row(const struct as_call *c, struct size z, struct space w, ptrdiff_t row)
{
    ptrdiff_t ss = z.kw * z.vw;

    memset(w.ds, 0, (size_t)ss * sizeof *w.ds);
    for (ptrdiff_t n = up(steps_of(c, z, row), CHUNK) / CHUNK - 1; n >= 0; n--)
        back_chunk(c, z, piece_at(c, z, row, n * CHUNK), w, (const float *)c->saved[0] + (row * z.chunks + n) * ss);
}

static void forward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);
    struct space w = space_at(c, z, lane);

    for (ptrdiff_t row = lane; row < z.batch * z.heads; row += lanes(z))
        forward_row(c, z, w, row);
}

static void backward_lane(void *ctx, ptrdiff_t lane)
{
    const struct as_call *c = ctx;
    struct size z = size_of(c->in);
    struct space w = space_at(c, z, lane);

    for (ptrdiff_t row = lane; row < z.batch * z.heads; row += lanes(z))
        backward_row(c, z, w, row);
}

static double work(struct size z)
{
    return (double)z.batch * (double)z.heads * (double)z.time *
           (4.0 * (double)(z.dk * z.dv) + (double)CHUNK * (double)(2 * z.dk + z.dv)) / 8;
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

const struct as_plugin AS_PLUGIN(core__gated_linear_rule__chunk) = { .abi = ASSAY_ABI, .impl = { &chunk } };

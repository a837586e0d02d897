/* gru.c: gated recurrent unit.
 *
 *   r_t = sigmoid(W_r x_t + U_r h_{t-1} + b_r)
 *   z_t = sigmoid(W_z x_t + U_z h_{t-1} + b_z)
 *   reset = before:  n_t = tanh(W_n x_t + U_n (r_t * h_{t-1}) + b_n)          Cho et al. 2014, eq. 5-8
 *   reset = after:   n_t = tanh(W_n x_t + r_t * (U_n h_{t-1} + c) + b_n)      as in cuDNN and PyTorch
 *   h_t = z_t * h_{t-1} + (1 - z_t) * n_t,   h_0 = 0
 *
 * Cho et al. let z keep the old state, as here; Chung et al. 2014 exchange z and 1 - z, which is the same family
 * of functions. Matrices start uniform in +-1/sqrt(hidden), biases at zero.
 *
 * recurrence = diagonal: U_r, U_z and U_n are vectors u_r, u_z, u_n and their products with h are element by element
 * (ParaGRU: Danieli et al. 2025, eq. 3.1a with 3.3; there z and 1 - z are exchanged, and u is bounded in training).
 * Each unit then meets its own state only, so all steps can be solved at once: gru.newton.c. u starts uniform in +-1.
 */
#include "gru.h"

#include <string.h>
#include <tgmath.h>

enum { RESET, Z, N };                    /* blocks of rows */

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct gru, hidden), 0, 0, 65536, NULL, "32,64,128",
      "units of h; 0: the width of the input" },
    { "bias", AS_BOOL, offsetof(struct gru, bias), 1, 0, 0, NULL, NULL, "with b (and c, when reset = after)" },
    { "reset", AS_WORD, offsetof(struct gru, reset), GRU_BEFORE, 0, 0, "before|after", "before,after",
      "whether r meets h before or after the product with U_n" },
    { "recurrence", AS_WORD, offsetof(struct gru, recurrence), GRU_FULL, 0, 0, "full|diagonal", "full,diagonal",
      "U: matrices, or vectors, with which each unit meets its own state only" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on (batch, time, width)";
    return NULL;
}

static void plan(struct as_plan *p)
{
    const struct gru *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->hidden ? o->hidden : d;
    double limit = 1 / sqrt((double)h);
    struct as_init uniform = { .spread = AS_UNIFORM, .a = -limit, .b = limit }, zero = { .spread = AS_ZERO };

    as_weight(p, GRU_W, "W", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ 3 * h, d });
    if (o->recurrence == GRU_DIAGONAL)
        as_weight(p, GRU_U, "U", AS_RECURRENCE, (struct as_init){ .spread = AS_UNIFORM, .a = -1, .b = 1 }, 1,
                  (ptrdiff_t[]){ 3 * h });
    else
        as_weight(p, GRU_U, "U", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ 3 * h, h });
    if (o->bias)
        as_weight(p, GRU_B, "b", AS_BIAS, zero, 1, (ptrdiff_t[]){ 3 * h });
    if (o->bias && o->reset == GRU_AFTER)
        as_weight(p, GRU_C, "c", AS_BIAS, zero, 1, (ptrdiff_t[]){ h });
    as_state(p, 0, "h", zero, 2, (ptrdiff_t[]){ AS_ANY, h });
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, h });
}

/* h times one gate's rows of U. */
static struct as_node *recurrent(struct as_graph *g, struct as_node *h, int gate)
{
    ptrdiff_t n = h->dim[1];
    struct as_node *u = as_slice(g->t, as_w(g, GRU_U), 0, gate * n, n);

    return ((const struct gru *)g->opt)->recurrence == GRU_DIAGONAL ? as_mul(g->t, h, u) : as_matmul_t(g->t, h, u);
}

/* n_t from its part of W x + b, the gate r and h_{t-1}. */
static struct as_node *candidate(struct as_graph *g, struct as_node *a, struct as_node *r, struct as_node *h)
{
    const struct gru *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *c = o->bias && o->reset == GRU_AFTER ? as_w(g, GRU_C) : NULL, *u;
    ptrdiff_t n = h->dim[1];

    if (o->reset == GRU_BEFORE)
        return as_tanh(t, as_add(t, a, recurrent(g, as_mul(t, r, h), N)));
    if (o->recurrence == GRU_FULL)
        u = as_linear(t, h, as_slice(t, as_w(g, GRU_U), 0, N * n, n), c);
    else
        u = c ? as_add(t, recurrent(g, h, N), c) : recurrent(g, h, N);
    return as_tanh(t, as_add(t, a, as_mul(t, r, u)));
}

/* U's part of the gates r and z, before the sigmoid. u: the rows of both, or NULL when U is diagonal. */
static struct as_node *gates(struct as_graph *g, struct as_node *h, struct as_node *u)
{
    if (u)
        return as_matmul_t(g->t, h, u);
    return as_concat(g->t, 2, (struct as_node *[]){ recurrent(g, h, RESET), recurrent(g, h, Z) }, 1);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    ptrdiff_t batch = x->dim[0], time = x->dim[1], n = as_w(g, GRU_W)->dim[0] / 3;
    struct as_node *b = ((const struct gru *)g->opt)->bias ? as_w(g, GRU_B) : NULL;
    struct as_node *pre = as_linear(t, x, as_w(g, GRU_W), b), *y, *h = as_node_new(t, 2, (ptrdiff_t[]){ batch, n });
    struct as_node *u = ((const struct gru *)g->opt)->recurrence == GRU_FULL ? as_slice(t, as_w(g, GRU_U), 0, 0, 2 * n)
                                                                             : NULL;
    struct as_node **all = as_arena_take(as_tape_arena(t), (size_t)(time + 1) * sizeof *all);

    memset(h->x, 0, (size_t)(batch * n) * sizeof *h->x);
    for (ptrdiff_t s = 0; s < time; s++) {
        struct as_node *a = as_reshape(t, as_slice(t, pre, 1, s, 1), 2, (ptrdiff_t[]){ batch, 3 * n }), *rz, *z, *new;

        rz = as_sigmoid(t, as_add(t, as_slice(t, a, 1, 0, 2 * n), gates(g, h, u)));
        z = as_slice(t, rz, 1, Z * n, n);
        new = candidate(g, as_slice(t, a, 1, N * n, n), as_slice(t, rz, 1, RESET * n, n), h);
        all[s] = h = as_add(t, as_mul(t, z, h), as_sub(t, new, as_mul(t, z, new)));
    }
    y = as_stack(t, (int)time, all, 1);
    y->length = x->length;
    return y;
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    const struct gru *o = opt;
    double d = (double)in->dim[2], h = o->hidden ? o->hidden : d;

    (void)n_in;
    return (struct as_cost){ .flop = (double)in->dim[0] * (double)in->dim[1] * h
                                     * (6 * d + (o->recurrence == GRU_DIAGONAL ? 6 : 6 * h) + 12) };
}

/* --- reference: one row after the other, one step after the other ----------------------------------------- */

struct sizes { ptrdiff_t batch, time, d, h; };

static struct sizes sizes_of(const struct as_spec *in, const struct as_spec *out)
{
    return (struct sizes){ in->dim[0], in->dim[1], in->dim[in->rank - 1], out->dim[out->rank - 1] };
}

static void ref_plan(struct as_room *r)
{
    struct sizes s = sizes_of(r->in, r->out);
    size_t steps = (size_t)(s.batch * s.time), h = (size_t)s.h;

    if (r->gradients) {
        r->saved[0] = 4 * steps * h;     /* r, z, n, and U_n h + c (after) or r * h (before) */
        r->saved[1] = steps * h;         /* h */
    }
    r->scratch[0] = 7 * h;
}

static real logistic(real x)
{
    return 1 / (1 + exp(-x));
}

static real dot(ptrdiff_t n, const real *a, const real *b)
{
    real sum = 0;

    for (ptrdiff_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

/* Row `row` of U times h. */
static real recurrence(const struct as_call *c, struct sizes s, ptrdiff_t row, const real *h)
{
    if (((const struct gru *)c->opt)->recurrence == GRU_DIAGONAL)
        return c->w[GRU_U][row] * h[row % s.h];
    return dot(s.h, c->w[GRU_U] + row * s.h, h);
}

/* h becomes the next one; k (4h) gets r, z, n and what meets the reset gate. */
static void advance(const struct as_call *c, struct sizes s, const real *x, real *h, real *k)
{
    const struct gru *o = c->opt;
    const real *w = c->w[GRU_W];
    real *r = k, *n = k + N * s.h, *met = k + 3 * s.h;

    for (ptrdiff_t i = 0; i < 3 * s.h; i++)
        k[i] = (o->bias ? c->w[GRU_B][i] : 0) + dot(s.d, w + i * s.d, x);
    for (ptrdiff_t i = 0; i < 2 * s.h; i++)
        k[i] = logistic(k[i] + recurrence(c, s, i, h));
    for (ptrdiff_t i = 0; i < s.h; i++)
        met[i] = o->reset == GRU_BEFORE ? r[i] * h[i]
                                        : recurrence(c, s, N * s.h + i, h) + (o->bias ? c->w[GRU_C][i] : 0);
    for (ptrdiff_t i = 0; i < s.h; i++)
        n[i] = tanh(n[i] + (o->reset == GRU_BEFORE ? recurrence(c, s, N * s.h + i, met) : r[i] * met[i]));
    for (ptrdiff_t i = 0; i < s.h; i++)
        h[i] = k[Z * s.h + i] * h[i] + (1 - k[Z * s.h + i]) * n[i];
}

static void ref_forward(const struct as_call *c)
{
    struct sizes s = sizes_of(c->in, c->out);
    real *k = c->scratch[0], *h = k + 4 * s.h;
    size_t row = (size_t)s.h * sizeof *h;

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(h, 0, row);
        for (ptrdiff_t t = b * s.time; t < (b + 1) * s.time; t++) {
            advance(c, s, c->x[0] + t * s.d, h, k);
            memcpy(c->y + t * s.h, h, row);
            if (!c->saved)
                continue;
            memcpy((real *)c->saved[0] + 4 * t * s.h, k, 4 * row);
            memcpy((real *)c->saved[1] + t * s.h, h, row);
        }
    }
}

static void ref_step(const struct as_call *c)
{
    struct sizes s = sizes_of(c->in, c->out);

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        advance(c, s, c->x[0] + b * s.d, c->state[0] + b * s.h, c->scratch[0]);
        memcpy(c->y + b * s.h, c->state[0] + b * s.h, (size_t)s.h * sizeof *c->y);
    }
}

/* y (n) += a' M for the row vector a (m) and M (m, n); dm += a b' when dm is there. */
static void back_through(ptrdiff_t m, ptrdiff_t n, const real *a, const real *mat, const real *b, real *dm, real *y)
{
    for (ptrdiff_t i = 0; i < m; i++)
        for (ptrdiff_t j = 0; j < n; j++) {
            if (dm)
                dm[i * n + j] += a[i] * b[j];
            if (y)
                y[j] += a[i] * mat[i * n + j];
        }
}

/* y (h) += a' U for `rows` rows of U from `first` on, whose factor was b; and its gradient. */
static void back_recurrence(const struct as_call *c, struct sizes s, ptrdiff_t first, ptrdiff_t rows, const real *a,
                            const real *b, real *y)
{
    const real *u = c->w[GRU_U];
    real *du = c->dw[GRU_U];

    if (((const struct gru *)c->opt)->recurrence == GRU_FULL)
        back_through(rows, s.h, a, u + first * s.h, b, du ? du + first * s.h : NULL, y);
    else
        for (ptrdiff_t i = 0; i < rows; i++) {
            if (du)
                du[first + i] += a[i] * b[i % s.h];
            y[i % s.h] += a[i] * u[first + i];
        }
}

/* One step back for one row. dh: gradient of h_t on entry, of h_{t-1} on exit. room: 6h. */
static void retreat(const struct as_call *c, struct sizes s, ptrdiff_t t, const real *old, real *dh, real *room)
{
    const struct gru *o = c->opt;
    const real *k = (const real *)c->saved[0] + 4 * t * s.h, *met = k + 3 * s.h;
    real *dk = room, *dr = dk, *dz = dk + s.h, *dn = dk + 2 * s.h, *dmet = dk + 3 * s.h, *dold = dk + 4 * s.h;
    bool before = o->reset == GRU_BEFORE;

    for (ptrdiff_t j = 0; j < s.h; j++) {
        real z = k[s.h + j], n = k[2 * s.h + j];

        dz[j] = dh[j] * (old[j] - n) * z * (1 - z);
        dn[j] = dh[j] * (1 - z) * (1 - n * n);
        dold[j] = dh[j] * z;
        dmet[j] = before ? 0 : dn[j] * k[j];
    }
    back_recurrence(c, s, N * s.h, s.h, before ? dn : dmet, before ? met : old, before ? dmet : dold);
    for (ptrdiff_t j = 0; j < s.h; j++) {
        real r = k[j];

        dr[j] = (before ? dmet[j] * old[j] : dn[j] * met[j]) * r * (1 - r);
        dold[j] += before ? dmet[j] * r : 0;
        if (o->bias && !before && c->dw[GRU_C])
            c->dw[GRU_C][j] += dmet[j];
    }
    back_recurrence(c, s, 0, 2 * s.h, dk, old, dold);
    back_through(3 * s.h, s.d, dk, c->w[GRU_W], c->x[0] + t * s.d, c->dw[GRU_W],
                 c->dx[0] ? c->dx[0] + t * s.d : NULL);
    for (ptrdiff_t i = 0; o->bias && c->dw[GRU_B] && i < 3 * s.h; i++)
        c->dw[GRU_B][i] += dk[i];
    memcpy(dh, dold, (size_t)s.h * sizeof *dh);
}

static void ref_backward(const struct as_call *c)
{
    struct sizes s = sizes_of(c->in, c->out);
    const real *saved_h = c->saved[1];
    real *dh = c->scratch[0], *zero = dh + s.h;

    memset(zero, 0, (size_t)s.h * sizeof *zero);
    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(dh, 0, (size_t)s.h * sizeof *dh);
        for (ptrdiff_t t = (b + 1) * s.time - 1; t >= b * s.time; t--) {
            for (ptrdiff_t j = 0; j < s.h; j++)
                dh[j] += c->dy[t * s.h + j];
            retreat(c, s, t, t == b * s.time ? zero : saved_h + (t - 1) * s.h, dh, zero + s.h);
        }
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = ref_forward, .backward = ref_backward,
    .step = ref_step,
};

static const struct as_variant gru = {
    .abi = ASSAY_ABI,
    .summary = "gated recurrent unit, reset gate before or after the product, with a full or a diagonal recurrence",
    .paper = { .key = "cho2014gru", .title = "Learning phrase representations using RNN encoder-decoder for "
                                             "statistical machine translation",
               .url = "https://arxiv.org/abs/1406.1078", .year = 2014,
               .where = "eq. 5-8; reset = after: the form of cuDNN and PyTorch",
               .departs = "biases; recurrence = diagonal puts vectors for U (ParaGRU: Danieli et al. 2025, arXiv "
                          "2510.21450, eq. 3.1a with 3.3, where z and 1 - z are exchanged and vectors are bounded)" },
    .options = options, .opt_size = sizeof(struct gru),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(recurrent__gru) = { .abi = ASSAY_ABI, .variant = &gru, .impl = { &ref } };

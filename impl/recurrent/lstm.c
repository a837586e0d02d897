/* lstm.c: long short-term memory with a forget gate, and peepholes as an option.
 *
 *   i_t = sigmoid(W_i x_t + U_i h_{t-1} + p_i * c_{t-1} + b_i)
 *   f_t = sigmoid(W_f x_t + U_f h_{t-1} + p_f * c_{t-1} + b_f)
 *   g_t = tanh   (W_g x_t + U_g h_{t-1}                 + b_g)
 *   c_t = f_t * c_{t-1} + i_t * g_t
 *   o_t = sigmoid(W_o x_t + U_o h_{t-1} + p_o * c_t     + b_o)
 *   h_t = o_t * tanh(c_t),   h_0 = c_0 = 0
 *
 * Hochreiter and Schmidhuber 1997; forget gate of Gers, Schmidhuber and Cummins 2000; peepholes of Gers and
 * Schmidhuber 2000, in the form of Graves 2013, eq. 7-11. Matrices start uniform in +-1/sqrt(hidden), biases
 * at zero but for the forget gate's.
 */
#include "lstm.h"

#include <string.h>
#include <tgmath.h>

enum { IN, FORGET, OUT, NEW };                 /* blocks of rows */

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct lstm, hidden), 0, 0, 65536, NULL, "32,64,128",
      "units of h and c; 0: the width of the input" },
    { "bias", AS_BOOL, offsetof(struct lstm, bias), 1, 0, 0, NULL, NULL, "with b" },
    { "forget_bias", AS_NUM, offsetof(struct lstm, forget_bias), 1, -20, 20, NULL, "0,1", "initial b_f" },
    { "peepholes", AS_BOOL, offsetof(struct lstm, peepholes), 0, 0, 0, NULL, "0,1", "gates see c through p" },
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

static void draw_bias(const void *opt, struct as_key key, ptrdiff_t n, float *w)
{
    const struct lstm *o = opt;

    (void)key;
    for (ptrdiff_t i = 0; i < n; i++)
        w[i] = i / (n / 4) == FORGET ? (float)o->forget_bias : 0.0f;
}

static void plan(struct as_plan *p)
{
    const struct lstm *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->hidden ? o->hidden : d;
    double limit = 1 / sqrt((double)h);
    struct as_init uniform = { .spread = AS_UNIFORM, .a = -limit, .b = limit }, zero = { .spread = AS_ZERO };

    as_weight(p, LSTM_W, "W", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ 4 * h, d });
    as_weight(p, LSTM_U, "U", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ 4 * h, h });
    if (o->bias)
        as_weight(p, LSTM_B, "b", AS_BIAS, (struct as_init){ .spread = AS_DRAWN, .draw = draw_bias }, 1,
                  (ptrdiff_t[]){ 4 * h });
    if (o->peepholes)
        as_weight(p, LSTM_P, "p", AS_GAIN, uniform, 2, (ptrdiff_t[]){ 3, h });
    as_state(p, LSTM_H, "h", zero, 2, (ptrdiff_t[]){ AS_ANY, h });
    as_state(p, LSTM_C, "c", zero, 2, (ptrdiff_t[]){ AS_ANY, h });
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, h });
}

/* Block `which` of a (batch, 4h), with its peephole on c where there is one. */
static struct as_node *gate(struct as_graph *g, struct as_node *a, int which, struct as_node *c)
{
    ptrdiff_t h = a->dim[1] / 4;
    struct as_node *z = as_slice(g->t, a, 1, which * h, h);

    if (((const struct lstm *)g->opt)->peepholes && which != NEW && c)
        z = as_add(g->t, z, as_mul(g->t, c, as_slice(g->t, as_w(g, LSTM_P), 0, which, 1)));
    return which == NEW ? as_tanh(g->t, z) : as_sigmoid(g->t, z);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    ptrdiff_t batch = x->dim[0], time = x->dim[1], h4 = as_w(g, LSTM_U)->dim[0];
    struct as_node *b = ((const struct lstm *)g->opt)->bias ? as_w(g, LSTM_B) : NULL;
    struct as_node *pre = as_linear(t, x, as_w(g, LSTM_W), b), *h = NULL, *c = NULL, *y;
    struct as_node **all = as_arena_take(as_tape_arena(t), (size_t)(time + 1) * sizeof *all);

    for (ptrdiff_t s = 0; s < time; s++) {
        struct as_node *a = as_reshape(t, as_slice(t, pre, 1, s, 1), 2, (ptrdiff_t[]){ batch, h4 }), *in;

        if (h)
            a = as_add(t, a, as_matmul_t(t, h, as_w(g, LSTM_U)));
        in = as_mul(t, gate(g, a, IN, c), gate(g, a, NEW, c));
        c = c ? as_add(t, as_mul(t, gate(g, a, FORGET, c), c), in) : in;
        all[s] = h = as_mul(t, gate(g, a, OUT, c), as_tanh(t, c));
    }
    y = as_stack(t, (int)time, all, 1);
    y->length = x->length;
    return y;
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    const struct lstm *o = opt;
    double d = (double)in->dim[2], h = o->hidden ? o->hidden : d;

    (void)n_in;
    return (struct as_cost){ .flop = (double)in->dim[0] * (double)in->dim[1] * h * (8 * d + 8 * h + 13) };
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
        r->saved[0] = 4 * steps * h;     /* i, f, o, g */
        r->saved[1] = steps * h;         /* c */
        r->saved[2] = steps * h;         /* h */
    }
    r->scratch[0] = 6 * h;
}

static real logistic(real x)
{
    return 1 / (1 + exp(-x));
}

/* h and c become the next ones; z (4h) gets the gates. */
static void advance(const struct as_call *call, struct sizes s, const real *x, real *h, real *c, real *z)
{
    const struct lstm *o = call->opt;
    const real *p = o->peepholes ? call->w[LSTM_P] : NULL;

    for (ptrdiff_t i = 0; i < 4 * s.h; i++) {
        z[i] = o->bias ? call->w[LSTM_B][i] : 0;
        for (ptrdiff_t j = 0; j < s.d; j++)
            z[i] += call->w[LSTM_W][i * s.d + j] * x[j];
        for (ptrdiff_t j = 0; j < s.h; j++)
            z[i] += call->w[LSTM_U][i * s.h + j] * h[j];
    }
    for (ptrdiff_t j = 0; j < s.h; j++) {
        real *zi = z + IN * s.h + j, *zf = z + FORGET * s.h + j, *zo = z + OUT * s.h + j, *zg = z + NEW * s.h + j;

        *zi = logistic(*zi + (p ? p[j] * c[j] : 0));
        *zf = logistic(*zf + (p ? p[s.h + j] * c[j] : 0));
        *zg = tanh(*zg);
        c[j] = *zf * c[j] + *zi * *zg;
        *zo = logistic(*zo + (p ? p[2 * s.h + j] * c[j] : 0));
        h[j] = *zo * tanh(c[j]);
    }
}

static void ref_forward(const struct as_call *call)
{
    struct sizes s = sizes_of(call->in, call->out);
    real *z = call->scratch[0], *h = z + 4 * s.h, *c = h + s.h;
    size_t row = (size_t)s.h * sizeof *h;

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(h, 0, 2 * row);
        for (ptrdiff_t t = b * s.time; t < (b + 1) * s.time; t++) {
            advance(call, s, call->x[0] + t * s.d, h, c, z);
            memcpy(call->y + t * s.h, h, row);
            if (!call->saved)
                continue;
            memcpy((real *)call->saved[0] + 4 * t * s.h, z, 4 * row);
            memcpy((real *)call->saved[1] + t * s.h, c, row);
            memcpy((real *)call->saved[2] + t * s.h, h, row);
        }
    }
}

static void ref_step(const struct as_call *call)
{
    struct sizes s = sizes_of(call->in, call->out);

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        real *h = call->state[LSTM_H] + b * s.h, *c = call->state[LSTM_C] + b * s.h;

        advance(call, s, call->x[0] + b * s.d, h, c, call->scratch[0]);
        memcpy(call->y + b * s.h, h, (size_t)s.h * sizeof *h);
    }
}

/* From dh and dc at step t to the gradients of the gates' sums (dz), dc before the step, and dp. */
static void gates_back(const struct as_call *call, struct sizes s, ptrdiff_t t, bool first, const real *dh, real *dc,
                       real *dz)
{
    const real *z = (const real *)call->saved[0] + 4 * t * s.h, *c = (const real *)call->saved[1] + t * s.h;
    bool peep = ((const struct lstm *)call->opt)->peepholes;
    const real *p = peep ? call->w[LSTM_P] : NULL;
    real *dp = peep ? call->dw[LSTM_P] : NULL;

    for (ptrdiff_t j = 0; j < s.h; j++) {
        real i = z[IN * s.h + j], f = z[FORGET * s.h + j], o = z[OUT * s.h + j], g = z[NEW * s.h + j];
        real old = first ? 0 : c[j - s.h], tc = tanh(c[j]), d_o = dh[j] * tc * o * (1 - o);
        real d = dc[j] + dh[j] * o * (1 - tc * tc) + (p ? p[2 * s.h + j] * d_o : 0);
        real di = d * g * i * (1 - i), df = d * old * f * (1 - f);

        dz[IN * s.h + j] = di;
        dz[FORGET * s.h + j] = df;
        dz[OUT * s.h + j] = d_o;
        dz[NEW * s.h + j] = d * i * (1 - g * g);
        dc[j] = d * f + (p ? p[j] * di + p[s.h + j] * df : 0);
        if (dp) {
            dp[j] += di * old;
            dp[s.h + j] += df * old;
            dp[2 * s.h + j] += d_o * c[j];
        }
    }
}

/* From dz to the gradients of weights and input, and dh before the step. */
static void products_back(const struct as_call *call, struct sizes s, ptrdiff_t t, const real *before,
                          const real *dz, real *dh)
{
    const real *x = call->x[0] + t * s.d;

    memset(dh, 0, (size_t)s.h * sizeof *dh);
    for (ptrdiff_t i = 0; i < 4 * s.h; i++) {
        for (ptrdiff_t j = 0; j < s.d; j++) {
            if (call->dw[LSTM_W])
                call->dw[LSTM_W][i * s.d + j] += dz[i] * x[j];
            if (call->dx[0])
                call->dx[0][t * s.d + j] += dz[i] * call->w[LSTM_W][i * s.d + j];
        }
        for (ptrdiff_t j = 0; before && j < s.h; j++) {
            if (call->dw[LSTM_U])
                call->dw[LSTM_U][i * s.h + j] += dz[i] * before[j];
            dh[j] += dz[i] * call->w[LSTM_U][i * s.h + j];
        }
        if (((const struct lstm *)call->opt)->bias && call->dw[LSTM_B])
            call->dw[LSTM_B][i] += dz[i];
    }
}

static void ref_backward(const struct as_call *call)
{
    struct sizes s = sizes_of(call->in, call->out);
    const real *saved_h = call->saved[2];
    real *dz = call->scratch[0], *dh = dz + 4 * s.h, *dc = dh + s.h;

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(dh, 0, 2 * (size_t)s.h * sizeof *dh);
        for (ptrdiff_t t = (b + 1) * s.time - 1; t >= b * s.time; t--) {
            bool first = t == b * s.time;

            for (ptrdiff_t j = 0; j < s.h; j++)
                dh[j] += call->dy[t * s.h + j];
            gates_back(call, s, t, first, dh, dc, dz);
            products_back(call, s, t, first ? NULL : saved_h + (t - 1) * s.h, dz, dh);
        }
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = ref_forward, .backward = ref_backward,
    .step = ref_step,
};

static const struct as_variant lstm = {
    .abi = ASSAY_ABI,
    .summary = "long short-term memory with a forget gate; peepholes as an option",
    .paper = { .key = "hochreiter1997lstm", .title = "Long short-term memory",
               .url = "https://doi.org/10.1162/neco.1997.9.8.1735", .year = 1997,
               .where = "with the forget gate of Gers et al. 2000; equations 7-11 of Graves 2013 (arXiv 1308.0850)",
               .departs = "one cell a block; the forget bias starts at 1; no peepholes by default" },
    .options = options, .opt_size = sizeof(struct lstm),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(recurrent__lstm) = { .abi = ASSAY_ABI, .variant = &lstm, .impl = { &ref } };

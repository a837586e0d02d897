/* act.c: adaptive computation time: at each input a recurrent network takes as many inner steps as it decides to.
 *
 *   s^n = S(s^{n-1}, x_t, [n = 1]),  s^0 = s_{t-1}               S: rnn or lstm; the flag says that the input is new
 *   h^n = sigmoid(w_h h(s^n) + b_h)                              b_h starts at 1, so that steps are few at first
 *   N   = min { n : h^1 + ... + h^n >= 1 - eps },  at most `max`;   R = 1 - (h^1 + ... + h^{N-1})
 *   p^n = h^n for n < N,  p^N = R                                the p^n add up to one
 *   s_t = sum p^n s^n,    y_t = h(s_t)                           an affine read-out of y_t is the mean of read-outs
 *   auxiliary loss "ponder": N + R, with gradient through R;  further output "ponder_time": N
 *
 * Graves 2016, section 2, eq. 1-14. h(s) is s for rnn and the hidden half of s = (h, c) for lstm. All rows of a batch
 * go on until the last has halted; those that have, have p = 0. fixed = k instead takes k steps and s_t = s^k, without
 * halting: the control.
 */
#include <assay/layer.h>
#include <string.h>
#include <tgmath.h>

enum { RNN, LSTM };
struct act { int cell, hidden, max, fixed; double eps, halt_bias; };
enum { W, U, B, FLAG, W_H, B_H };         /* (rows, d), (rows, h), (rows), (rows); (1, h), (1). lstm rows: i, f, o, g */

static const struct as_option options[] = {
    { "cell", AS_WORD, offsetof(struct act, cell), RNN, 0, 0, "rnn|lstm", "rnn,lstm", "S: tanh units, or LSTM" },
    { "hidden", AS_INT, offsetof(struct act, hidden), 0, 0, 65536, NULL, "32,64,128", "units of h; 0: the width" },
    { "max", AS_INT, offsetof(struct act, max), 20, 1, 1000, NULL, "10,20,100", "most inner steps (the paper's M)" },
    { "fixed", AS_INT, offsetof(struct act, fixed), 0, 0, 100, NULL, "1,4,8", "k inner steps always; 0: adaptive" },
    { "eps", AS_NUM, offsetof(struct act, eps), 0.01, 0, 0.5, NULL, "0.001,0.01,0.1",
      "halting probabilities need to reach 1 - eps only, so that one step can do" },
    { "halt_bias", AS_NUM, offsetof(struct act, halt_bias), 1, -20, 20, NULL, "-1,0,1", "initial b_h" },
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

struct sizes { ptrdiff_t d, h, rows, state; };

static struct sizes sizes_of(const struct act *o, const struct as_spec *in)
{
    ptrdiff_t d = in->dim[in->rank - 1], h = o->hidden ? o->hidden : d;

    return (struct sizes){ d, h, o->cell == LSTM ? 4 * h : h, o->cell == LSTM ? 2 * h : h };
}

static void draw_bias(const void *opt, struct as_key key, ptrdiff_t n, float *b)
{
    (void)key;
    for (ptrdiff_t i = 0; i < n; i++)
        b[i] = ((const struct act *)opt)->cell == LSTM && i / (n / 4) == 1 ? 1.0f : 0.0f;
}

static void plan(struct as_plan *p)
{
    const struct act *o = p->opt;
    struct sizes s = sizes_of(o, p->in);
    double limit = 1 / sqrt((double)s.h);
    struct as_init uniform = { .spread = AS_UNIFORM, .a = -limit, .b = limit };
    struct as_init bias = { .spread = AS_DRAWN, .draw = draw_bias };

    as_weight(p, W, "W", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ s.rows, s.d });
    as_weight(p, U, "U", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ s.rows, s.h });
    as_weight(p, B, "b", AS_BIAS, bias, 1, (ptrdiff_t[]){ s.rows });
    as_weight(p, FLAG, "w_flag", AS_BIAS, uniform, 1, (ptrdiff_t[]){ s.rows });
    if (!o->fixed) {
        as_weight(p, W_H, "w_halt", AS_MATRIX, uniform, 2, (ptrdiff_t[]){ 1, s.h });
        as_weight(p, B_H, "b_halt", AS_BIAS, (struct as_init){ .spread = AS_CONSTANT, .a = o->halt_bias }, 1,
                  (ptrdiff_t[]){ 1 });
    }
    as_state(p, 0, "s", (struct as_init){ .spread = AS_ZERO }, 2, (ptrdiff_t[]){ AS_ANY, s.state });
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, s.h });
}

/* --- the graph ---------------------------------------------------------------------------------------------- */

static struct as_node *constant(struct as_tape *t, ptrdiff_t batch, ptrdiff_t n, double value)
{
    struct as_node *a = as_node_new(t, 2, (ptrdiff_t[]){ batch, n });

    for (ptrdiff_t i = 0; i < batch * n; i++)
        a->x[i] = (real)value;
    return a;
}

static struct as_node *hidden(struct as_graph *g, struct as_node *s)
{
    return as_slice(g->t, s, 1, 0, as_w(g, U)->dim[1]);
}

/* S: a (batch, rows) is what input, bias and flag give; s (batch, state) -> the next s. */
static struct as_node *cell(struct as_graph *g, struct as_node *a, struct as_node *s)
{
    struct as_tape *t = g->t;
    ptrdiff_t h = as_w(g, U)->dim[1];
    struct as_node *c, *o;

    a = as_add(t, a, as_matmul_t(t, hidden(g, s), as_w(g, U)));
    if (((const struct act *)g->opt)->cell == RNN)
        return as_tanh(t, a);
    c = as_mul(t, as_sigmoid(t, as_slice(t, a, 1, h, h)), as_slice(t, s, 1, h, h));
    c = as_add(t, c, as_mul(t, as_sigmoid(t, as_slice(t, a, 1, 0, h)), as_tanh(t, as_slice(t, a, 1, 3 * h, h))));
    o = as_sigmoid(t, as_slice(t, a, 1, 2 * h, h));
    return as_concat(t, 2, (struct as_node *[]){ as_mul(t, o, as_tanh(t, c)), c }, 1);
}

struct pondered { struct as_node *s, *time, *cost; };      /* s_t (batch, state); N, N + R (batch, 1) */

static struct pondered ponder_fixed(struct as_graph *g, struct as_node *first, struct as_node *a, struct as_node *s)
{
    int k = ((const struct act *)g->opt)->fixed;
    struct as_node *n = constant(g->t, a->dim[0], 1, k);

    for (int i = 0; i < k; i++)
        s = cell(g, i == 0 ? first : a, s);
    return (struct pondered){ s, n, n };
}

/* Which rows halt at this step (halt) and which go on (on); returns whether any does. sum (batch): of the h so far. */
static bool decide(const struct act *o, int n, const struct as_node *h, real *sum, struct as_node *halt,
                   struct as_node *on, real *count)
{
    bool any = false;

    for (ptrdiff_t r = 0; r < h->dim[0]; r++) {
        bool running = on->i[r] != 0;

        sum[r] += running ? h->x[r] : 0;
        count[r] += running;
        halt->i[r] = running && ((double)sum[r] >= 1 - o->eps || n == o->max);
        on->i[r] = running && !halt->i[r];
        any = any || on->i[r];
    }
    return any;
}

static struct pondered ponder(struct as_graph *g, struct as_node *first, struct as_node *a, struct as_node *s)
{
    const struct act *o = g->opt;
    struct as_tape *t = g->t;
    ptrdiff_t batch = a->dim[0], one[] = { batch, 1 };
    struct as_node *left = constant(t, batch, 1, 1), *zero = constant(t, batch, 1, 0), *R = zero, *mix = NULL;
    struct as_node *time = constant(t, batch, 1, 0), *on = as_node_ints(t, 2, one);
    real *sum = as_arena_zero(as_tape_arena(t), as_size((size_t)batch, sizeof *sum));
    bool more = true;

    for (ptrdiff_t r = 0; r < batch; r++)
        on->i[r] = 1;
    for (int n = 1; more; n++) {
        struct as_node *h, *halt = as_node_ints(t, 2, one), *go = as_node_ints(t, 2, one), *p;

        s = cell(g, n == 1 ? first : a, s);
        h = as_sigmoid(t, as_linear(t, hidden(g, s), as_w(g, W_H), as_w(g, B_H)));
        memcpy(go->i, on->i, (size_t)batch * sizeof *go->i);       /* a mask of its own, for the way back */
        more = decide(o, n, h, sum, halt, go, time->x);
        on = go;
        h = as_where(t, go, h, zero);
        p = as_where(t, halt, left, h);
        mix = mix ? as_add(t, mix, as_mul(t, p, s)) : as_mul(t, p, s);
        R = as_add(t, R, as_where(t, halt, left, zero));
        left = as_sub(t, left, h);
    }
    return (struct pondered){ mix, time, as_add(t, time, R) };
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct act *o = g->opt;
    struct as_tape *t = g->t;
    ptrdiff_t batch = x->dim[0], time = x->dim[1], rows = as_w(g, U)->dim[0], h = as_w(g, U)->dim[1];
    struct as_node *all = as_linear(t, x, as_w(g, W), as_w(g, B));
    struct as_node *s = constant(t, batch, o->cell == LSTM ? 2 * h : h, 0);
    struct as_node **y = as_arena_take(as_tape_arena(t), as_size((size_t)(3 * time), sizeof *y)), *out, *N, *cost;

    for (ptrdiff_t at = 0; at < time; at++) {
        struct as_node *a = as_reshape(t, as_slice(t, all, 1, at, 1), 2, (ptrdiff_t[]){ batch, rows });
        struct as_node *first = as_add(t, a, as_w(g, FLAG));
        struct pondered p = o->fixed ? ponder_fixed(g, first, a, s) : ponder(g, first, a, s);

        s = p.s;
        y[at] = hidden(g, s);
        y[time + at] = p.time;
        y[2 * time + at] = p.cost;
    }
    out = as_stack(t, (int)time, y, 1);
    out->length = x->length;
    N = as_concat(t, (int)time, y + time, 1);
    cost = as_concat(t, (int)time, y + 2 * time, 1);
    N->length = cost->length = x->length;
    as_extra_output(g, "ponder_time", N);
    as_auxiliary(g, "ponder", cost);
    return out;
}

/* Two inner steps where they are not fixed: what halting begins with. The metric ponder_time has the number. */
static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    const struct act *o = opt;
    struct sizes s = sizes_of(o, in);
    double rows = (double)s.rows, h = (double)s.h, n = o->fixed ? o->fixed : 2;
    double inner = 2 * rows * h + 6 * rows + (o->fixed ? 0 : 4 * h);

    (void)n_in;
    return (struct as_cost){ .flop = (double)in->dim[0] * (double)in->dim[1] * (2 * rows * (double)s.d + n * inner) };
}

/* --- ref: one row, one input, as the equations stand --------------------------------------------------------- */

static void ref_plan(struct as_room *r)
{
    struct sizes s = sizes_of(r->opt, r->in);

    r->scratch[0] = (size_t)(2 * s.rows + s.state);
}

static real logistic(real x) { return 1 / (1 + exp(-x)); }

/* s becomes the next s; pre (rows): input and bias; z (rows): room. */
static void advance(const struct as_call *c, struct sizes z_of, bool first, const real *pre, real *s, real *z)
{
    ptrdiff_t h = z_of.h;

    for (ptrdiff_t i = 0; i < z_of.rows; i++) {
        z[i] = pre[i] + (first ? c->w[FLAG][i] : 0);
        for (ptrdiff_t j = 0; j < h; j++)
            z[i] += c->w[U][i * h + j] * s[j];
    }
    for (ptrdiff_t j = 0; j < h; j++) {
        if (z_of.rows == h) {
            s[j] = tanh(z[j]);
            continue;
        }
        s[h + j] = logistic(z[h + j]) * s[h + j] + logistic(z[j]) * tanh(z[3 * h + j]);
        s[j] = logistic(z[2 * h + j]) * tanh(s[h + j]);
    }
}

/* s (state) goes on by one input; mix (state) and z (rows): room. */
static void ponder_row(const struct as_call *c, struct sizes z_of, const real *pre, real *s, real *mix, real *z)
{
    const struct act *o = c->opt;
    real halted = 0;

    memset(mix, 0, (size_t)z_of.state * sizeof *mix);
    for (int n = 1; ; n++) {
        real logit = o->fixed ? 0 : c->w[B_H][0], h, p;

        advance(c, z_of, n == 1, pre, s, z);
        if (o->fixed && n == o->fixed)
            return;
        for (ptrdiff_t j = 0; j < z_of.h && !o->fixed; j++)
            logit += c->w[W_H][j] * s[j];
        if (o->fixed)
            continue;
        h = logistic(logit);
        p = (double)(halted + h) >= 1 - o->eps || n == o->max ? 1 - halted : h;
        for (ptrdiff_t j = 0; j < z_of.state; j++)
            mix[j] += p * s[j];
        if ((double)(halted + h) >= 1 - o->eps || n == o->max)
            break;
        halted += h;
    }
    memcpy(s, mix, (size_t)z_of.state * sizeof *s);
}

static void step(const struct as_call *c)
{
    struct sizes z = sizes_of(c->opt, c->in);
    real *pre = c->scratch[0], *room = pre + z.rows, *mix = room + z.rows;

    for (ptrdiff_t r = 0; r < c->in->dim[0]; r++) {
        real *s = c->state[0] + r * z.state;

        for (ptrdiff_t i = 0; i < z.rows; i++) {
            pre[i] = c->w[B][i];
            for (ptrdiff_t j = 0; j < z.d; j++)
                pre[i] += c->w[W][i * z.d + j] * c->x[0][r * z.d + j];
        }
        ponder_row(c, z, pre, s, mix, room);
        memcpy(c->y + r * z.h, s, (size_t)z.h * sizeof *s);
    }
}

static const struct as_impl ref = { .abi = ASSAY_ABI, .name = "ref", .rank = -1, .plan = ref_plan, .step = step };

static const struct as_variant act = {
    .abi = ASSAY_ABI,
    .summary = "recurrent network that decides itself on its inner steps at each input",
    .paper = { .key = "graves2016act", .title = "Adaptive Computation Time for Recurrent Neural Networks",
               .url = "https://arxiv.org/abs/1603.08983", .year = 2016, .id = 342, .where = "section 2, eq. 1-14",
               .departs = "the ponder loss is a mean over the steps of a sequence, not a sum; the read-out is another "
                          "layer; at most 20 inner steps (100)" },
    .options = options, .opt_size = sizeof(struct act),
    .kinks = "where the number of inner steps changes",
    .promises = AS_CAUSAL | AS_PADDING_SAFE | AS_EXTRAS,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(recurrent__act) = { .abi = ASSAY_ABI, .variant = &act, .impl = { &ref } };

/* minlstm.c: minimal LSTM: gates that see the input only, so that time runs in parallel.
 *
 *   f_t = sigmoid(W_f x_t + b_f),   i_t = sigmoid(W_i x_t + b_i)
 *   f'_t = f_t / (f_t + i_t),   i'_t = i_t / (f_t + i_t)
 *   c_t = g(W_h x_t + b_h),   g(x) = x + 1/2 for x >= 0, else sigmoid(x)
 *   h_t = f'_t * h_{t-1} + i'_t * c_t,   h_0 = 0
 *
 * Feng et al. 2024, section 3.2 and appendix B; form = plain leaves g out (c_t = W_h x_t + b_h), as the paper's
 * plain-space version. Rows of W and b: f, i, then the candidate. With d = log f - log i, f' = sigmoid(d). The
 * graph works in log-space (Heinsen 2023); its sums of logarithms lose digits in float over long times, which the
 * recurrence itself does not.
 */
#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>
#include <tgmath.h>

enum { LOG, PLAIN };
struct minlstm { int hidden, bias, form; };
enum { W, B };

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct minlstm, hidden), 0, 0, 65536, NULL, "64,128", "units of h; 0: the width" },
    { "bias", AS_BOOL, offsetof(struct minlstm, bias), 1, 0, 0, NULL, NULL, "with biases" },
    { "form", AS_WORD, offsetof(struct minlstm, form), LOG, 0, 0, "log|plain", "log,plain",
      "log: candidates through g, so that h stays positive; plain: without g" },
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

static ptrdiff_t units(const void *opt, ptrdiff_t d)
{
    return ((const struct minlstm *)opt)->hidden ? ((const struct minlstm *)opt)->hidden : d;
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2], h = units(p->opt, d);

    as_weight(p, W, "W", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ 3 * h, d });
    if (((const struct minlstm *)p->opt)->bias)
        as_weight(p, B, "b", AS_BIAS, (struct as_init){ .spread = AS_ZERO }, 1, (ptrdiff_t[]){ 3 * h });
    as_state(p, 0, "h", (struct as_init){ .spread = AS_ZERO }, 2, (ptrdiff_t[]){ AS_ANY, h });
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, h });
}

/* --- the graph: parallel over time, in log-space or by a scan --------------------------------------------- */

/* log g(x): log(x + 1/2) for x >= 0, else log sigmoid(x). */
static struct as_node *log_g(struct as_tape *t, struct as_node *x)
{
    struct as_node *sign = as_node_ints(t, x->rank, x->dim), *zero = as_node_like(t, x), *up;
    ptrdiff_t n = as_node_size(x);

    for (ptrdiff_t i = 0; i < n; i++)
        sign->i[i] = x->x[i] >= 0;
    memset(zero->x, 0, (size_t)n * sizeof *zero->x);
    up = as_log(t, as_shift_by(t, as_where(t, sign, x, zero), 0.5));
    return as_where(t, sign, up, as_logsigmoid(t, x));
}

/* h_t = exp(log_a_t) h_(t-1) + exp(log_b_t), h_0 = 0 (Heinsen 2023). */
static struct as_node *scan_log(struct as_tape *t, struct as_node *log_a, struct as_node *log_b)
{
    struct as_node *sum = as_cumsum(t, log_a, 1);

    return as_exp(t, as_add(t, sum, as_logcumsumexp(t, as_sub(t, log_b, sum), 1)));
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct minlstm *o = g->opt;
    struct as_tape *t = g->t;
    struct as_node *all = as_linear(t, x, as_w(g, W), o->bias ? as_w(g, B) : NULL), *y;
    ptrdiff_t h = all->dim[2] / 3;
    struct as_node *f = as_logsigmoid(t, as_slice(t, all, 2, 0, h)), *i = as_logsigmoid(t, as_slice(t, all, 2, h, h));
    struct as_node *c = as_slice(t, all, 2, 2 * h, h), *d = as_sub(t, f, i);

    if (o->form == LOG)
        y = scan_log(t, as_logsigmoid(t, d), as_add(t, as_logsigmoid(t, as_neg(t, d)), log_g(t, c)));
    else
        y = as_scan(t, as_sigmoid(t, d), as_mul(t, as_sigmoid(t, as_neg(t, d)), c), NULL);
    y->length = x->length;
    return y;
}

/* --- one product over all steps, then the recurrence as it stands, row by row ----------------------------- */

struct job {
    const struct as_call *call;
    ptrdiff_t batch, time, d, h;
    bool log;
    real *k, *y_kept, *dk;               /* W x + b (batch, time, 3h); h_t (batch, time, h); gradient of k */
};

static struct job sizes_of(const void *opt, const struct as_spec *in)
{
    ptrdiff_t d = in->dim[in->rank - 1];

    return (struct job){ .batch = in->dim[0], .time = in->dim[1], .d = d, .h = units(opt, d),
                         .log = ((const struct minlstm *)opt)->form == LOG };
}

static void ref_plan(struct as_room *r)
{
    struct job j = sizes_of(r->opt, r->in);
    size_t n = (size_t)(j.batch * j.time * j.h);

    if (r->gradients) {
        r->saved[0] = 3 * n;
        r->saved[1] = n;
    }
    r->scratch[0] = 3 * n;               /* W x + b, or its gradient */
    r->scratch[1] = (size_t)(j.batch * j.h);
}

static real logistic(real x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static real g_of(real x)
{
    return x >= 0 ? x + R(0.5) : logistic(x);
}

static real g_slope(real x)
{
    real s = logistic(x);

    return x >= 0 ? 1 : s * (1 - s);
}

/* log sigmoid(f) - log sigmoid(i) = log1p(e^-i) - log1p(e^-f), without overflow. */
static real gap(real f, real i)
{
    real soft_i = i >= 0 ? log1p(exp(-i)) : log1p(exp(i)) - i;
    real soft_f = f >= 0 ? log1p(exp(-f)) : log1p(exp(f)) - f;

    return soft_i - soft_f;
}

/* One unit, one step: k has f, i and the candidate, h apart, before sigmoid and g. */
static real advance(const struct job *j, const real *k, real h)
{
    real keep = logistic(gap(k[0], k[j->h])), c = k[2 * j->h];

    c = j->log ? g_of(c) : c;
    return c + keep * (h - c);
}

static void forward_row(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;

    for (ptrdiff_t t = b * j->time; t < (b + 1) * j->time; t++) {
        real *y = j->call->y + t * j->h;
        bool first = t == b * j->time;

        for (ptrdiff_t i = 0; i < j->h; i++)
            y[i] = advance(j, j->k + 3 * t * j->h + i, first ? 0 : y[i - j->h]);
        if (j->y_kept)
            memcpy(j->y_kept + t * j->h, y, (size_t)j->h * sizeof *y);
    }
}

static void product(const struct job *j, ptrdiff_t rows, const struct as_call *c, real *k)
{
    as_gemm(0, 1, rows, 3 * j->h, j->d, 1, c->x[0], j->d, c->w[W], j->d, 0, k, 3 * j->h);
    for (ptrdiff_t r = 0; ((const struct minlstm *)c->opt)->bias && r < rows; r++)
        for (ptrdiff_t i = 0; i < 3 * j->h; i++)
            k[r * 3 * j->h + i] += c->w[B][i];
}

static void forward(const struct as_call *c)
{
    struct job j = sizes_of(c->opt, c->in);

    j.call = c;
    j.k = c->saved ? c->saved[0] : c->scratch[0];
    j.y_kept = c->saved ? c->saved[1] : NULL;
    product(&j, j.batch * j.time, c, j.k);
    as_parallel(j.batch, 40.0 * (double)(j.batch * j.time * j.h), forward_row, &j);
}

/* One unit, one step back: d is the gradient of h_t; returns that of h_{t-1}. */
static real retreat(const struct job *j, const real *k, real old, real d, real *dk)
{
    real keep = logistic(gap(k[0], k[j->h])), c = k[2 * j->h], dgap;

    dgap = d * (old - (j->log ? g_of(c) : c)) * keep * (1 - keep);
    dk[0] = dgap * logistic(-k[0]);
    dk[j->h] = -dgap * logistic(-k[j->h]);
    dk[2 * j->h] = d * (1 - keep) * (j->log ? g_slope(c) : 1);
    return d * keep;
}

static void backward_row(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;
    real *dh = (real *)j->call->scratch[1] + b * j->h;

    memset(dh, 0, (size_t)j->h * sizeof *dh);
    for (ptrdiff_t t = (b + 1) * j->time - 1; t >= b * j->time; t--) {
        const real *old = t > b * j->time ? j->y_kept + (t - 1) * j->h : NULL;

        for (ptrdiff_t i = 0; i < j->h; i++)
            dh[i] = retreat(j, j->k + 3 * t * j->h + i, old ? old[i] : 0, dh[i] + j->call->dy[t * j->h + i],
                            j->dk + 3 * t * j->h + i);
    }
}

static void backward(const struct as_call *c)
{
    struct job j = sizes_of(c->opt, c->in);
    ptrdiff_t n = j.batch * j.time, m = 3 * j.h;

    j.call = c;
    j.k = c->saved[0];
    j.y_kept = c->saved[1];
    j.dk = c->scratch[0];
    as_parallel(j.batch, 60.0 * (double)(n * j.h), backward_row, &j);
    if (c->dw[W])
        as_gemm(1, 0, m, j.d, n, 1, j.dk, m, c->x[0], j.d, 1, c->dw[W], j.d);
    for (ptrdiff_t i = 0; ((const struct minlstm *)c->opt)->bias && c->dw[B] && i < n * m; i++)
        c->dw[B][i % m] += j.dk[i];
    if (c->dx[0])
        as_gemm(0, 0, n, j.d, m, 1, j.dk, m, c->w[W], j.d, 1, c->dx[0], j.d);
}

static void step(const struct as_call *c)
{
    struct job j = sizes_of(c->opt, c->in);
    real *k = c->scratch[0];

    product(&j, j.batch, c, k);
    for (ptrdiff_t b = 0; b < j.batch; b++)
        for (ptrdiff_t i = 0; i < j.h; i++) {
            real *h = c->state[0] + b * j.h + i;

            *h = advance(&j, k + 3 * b * j.h + i, *h);
            c->y[b * j.h + i] = *h;
        }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = forward, .backward = backward, .step = step,
};

static const struct as_variant minlstm = {
    .abi = ASSAY_ABI,
    .summary = "minimal LSTM: input-only normalised gates, parallel over time",
    .paper = { .key = "feng2024minimal", .title = "Were RNNs all we needed?",
               .url = "https://arxiv.org/abs/2410.01201", .year = 2024, .where = "section 3.2, appendix B",
               .departs = "h_0 = 0; the gradient of g at 0 is 1" },
    .options = options, .opt_size = sizeof(struct minlstm),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
    .graph_tolerance_why = "log-space: a sum of logarithms as large as the time is taken from each term and "
                           "added again, and each digit before the point costs one behind it",
    .graph_tolerance = 600,
};

const struct as_plugin AS_PLUGIN(linear_recurrence__minlstm) = {
    .abi = ASSAY_ABI, .variant = &minlstm, .impl = { &ref },
};

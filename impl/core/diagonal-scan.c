/* diagonal-scan.c: a diagonal linear recurrence on given coefficients and inputs, real or complex.
 *
 *   h_t = a_t * h_{t-1} + x_t,   h_0 = 0,   channel by channel
 *
 * The prefix sum with weights of Blelloch 1990, section 1.4, and the core of linear recurrences (Martin and Cundy
 * 2018). a has the sizes of x, or the sizes 1 for batch and time: then one coefficient a channel serves all steps.
 * Complex numbers are pairs: x (batch, time, width, 2).
 *
 * `graph` is the operator of core, one pass each way, vectorised over channels; `ref` the recurrence as it stands,
 * with g_t = dh_t + conj(a_{t+1}) g_{t+1}, dx_t = g_t, da_t = g_t conj(h_{t-1}).
 */
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>

enum { X, A, PORTS };                        /* (batch, time, width) or (batch, time, width, 2) */
enum { H };

static const char *const ports[] = { "x", "a", NULL };
static const struct as_sample samples[] = { { 1, { 5 }, .sd = 1 }, { 1, { 5 }, .lo = -1, .hi = 1 } };

/* One coefficient a channel; a batch of one step is read as coefficients of its own, which comes to the same. */
static bool constant(const struct as_spec *in)
{
    return in[A].dim[0] == 1 && in[A].dim[1] == 1;
}

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (n_in != PORTS)
        return "the diagonal scan takes x and a";
    for (int i = 0; i < PORTS; i++)
        if (in[i].dtype != AS_REALS || in[i].rank != in[X].rank || (in[X].rank != 3 && in[X].rank != 4))
            return "the diagonal scan takes x and a as (batch, time, width), or with pairs as (batch, time, width, 2)";
    if (in[X].rank == 4 && in[X].dim[3] != 2)
        return as_say("the last size of complex inputs is 2, not %td", in[X].dim[3]);
    for (int j = 2; j < in[X].rank; j++)
        if (in[A].dim[j] != in[X].dim[j])
            return "x and a of the diagonal scan have the same width";
    if (!constant(in) && (in[A].dim[0] != in[X].dim[0] || in[A].dim[1] != in[X].dim[1]))
        return "a of the diagonal scan has the sizes of x, or 1 for batch and time";
    return NULL;
}

static void plan(struct as_plan *p)
{
    ptrdiff_t state[] = { AS_ANY, p->in[X].dim[2], 2 };

    as_state(p, H, "h", (struct as_init){ .spread = AS_ZERO }, p->in[X].rank - 1, state);
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_node *a = g->in[A], *h, *before = g->streaming ? as_graph_state(g, H) : NULL;
    bool pairs = x->rank == 4, shared = a->dim[0] == 1 && a->dim[1] == 1;

    if (shared)
        a = as_reshape(g->t, a, x->rank - 2, (ptrdiff_t[]){ x->dim[2], 2 });
    h = pairs ? as_scan_complex(g->t, a, x, before) : as_scan(g->t, a, x, before);
    if (g->streaming)
        as_graph_state_set(g, H, h);
    h->length = x->length;
    return h;
}

/* --- ref: the recurrence as it stands, a row of the batch a piece ------------------------------------------- */

struct scan { const struct as_call *call; ptrdiff_t time, width, step_a, row_a; bool pairs; real *h, *g, *da; };

static struct scan scan_of(const struct as_call *c)
{
    struct scan s = { .call = c, .time = c->in[X].dim[1], .width = c->in[X].dim[2], .pairs = c->in[X].rank == 4 };

    s.width *= s.pairs ? 2 : 1;
    s.step_a = constant(c->in) ? 0 : s.width;
    s.row_a = s.step_a * s.time;
    return s;
}

/* h' = a h + x for one channel. */
static void advance(bool pairs, const real *a, const real *x, const real *before, real *h)
{
    real re = before[0];

    if (!pairs) {
        h[0] = a[0] * re + x[0];
        return;
    }
    h[0] = a[0] * re - a[1] * before[1] + x[0];
    h[1] = a[0] * before[1] + a[1] * re + x[1];
}

static void ref_plan(struct as_room *r)
{
    ptrdiff_t row = r->in[X].dim[2] * (r->in[X].rank == 4 ? 2 : 1);

    if (r->gradients)
        r->saved[0] = as_size(as_size((size_t)r->in[X].dim[0], (size_t)r->in[X].dim[1]), (size_t)row);
    r->scratch[0] = r->scratch[1] = as_size((size_t)r->in[X].dim[0], (size_t)row);
}

static void forward_row(void *ctx, ptrdiff_t b)
{
    const struct scan *s = ctx;
    static const real zero[2];
    ptrdiff_t step = s->pairs ? 2 : 1;

    for (ptrdiff_t t = 0; t < s->time; t++)
        for (ptrdiff_t c = 0; c < s->width; c += step) {
            ptrdiff_t at = (b * s->time + t) * s->width + c;

            advance(s->pairs, s->call->x[A] + b * s->row_a + t * s->step_a + c, s->call->x[X] + at,
                    t ? s->call->y + at - s->width : zero, s->call->y + at);
        }
}

static void ref_forward(const struct as_call *c)
{
    struct scan s = scan_of(c);
    size_t n = (size_t)(c->in[X].dim[0] * s.time * s.width);

    as_parallel(c->in[X].dim[0], 2 * (double)n, forward_row, &s);
    if (c->saved)
        memcpy(c->saved[0], c->y, n * sizeof(real));
}

/* One channel back: g becomes a* g, after its shares of dx and da are given. */
static void retreat(bool pairs, const real *a, const real *before, real *g, real *dx, real *da)
{
    real re = g[0], im = pairs ? g[1] : 0;

    for (int j = 0; dx && j < (pairs ? 2 : 1); j++)
        dx[j] += g[j];
    if (da && before)
        da[0] += pairs ? re * before[0] + im * before[1] : re * before[0];
    if (da && before && pairs)
        da[1] += im * before[0] - re * before[1];
    g[0] = pairs ? a[0] * re + a[1] * im : a[0] * re;
    if (pairs)
        g[1] = a[0] * im - a[1] * re;
}

static void backward_row(void *ctx, ptrdiff_t b)
{
    const struct scan *s = ctx;
    ptrdiff_t step = s->pairs ? 2 : 1;
    real *g = s->g + b * s->width, *da = s->da + b * s->width;

    memset(g, 0, (size_t)s->width * sizeof *g);
    memset(da, 0, (size_t)s->width * sizeof *da);
    for (ptrdiff_t t = s->time - 1; t >= 0; t--)
        for (ptrdiff_t c = 0; c < s->width; c += step) {
            ptrdiff_t at = (b * s->time + t) * s->width + c;
            real *own = s->call->dx[A] ? s->call->dx[A] + at : NULL;

            for (ptrdiff_t j = 0; j < step; j++)
                g[c + j] += s->call->dy[at + j];
            retreat(s->pairs, s->call->x[A] + b * s->row_a + t * s->step_a + c, t ? s->h + at - s->width : NULL, g + c,
                    s->call->dx[X] ? s->call->dx[X] + at : NULL, s->step_a ? own : da + c);
        }
}

static void ref_backward(const struct as_call *c)
{
    struct scan s = scan_of(c);

    s.h = c->saved[0];
    s.g = c->scratch[0];
    s.da = c->scratch[1];
    as_parallel(c->in[X].dim[0], 6 * (double)(c->in[X].dim[0] * s.time * s.width), backward_row, &s);
    for (ptrdiff_t b = 0; !s.step_a && c->dx[A] && b < c->in[X].dim[0]; b++)
        for (ptrdiff_t i = 0; i < s.width; i++)
            c->dx[A][i] += s.da[b * s.width + i];
}

static void ref_step(const struct as_call *c)
{
    bool pairs = c->in[X].rank == 4;
    ptrdiff_t step = pairs ? 2 : 1, width = c->in[X].dim[2] * step;
    ptrdiff_t row_a = c->in[A].dim[0] == c->in[X].dim[0] ? width : 0;

    for (ptrdiff_t b = 0; b < c->in[X].dim[0]; b++)
        for (ptrdiff_t i = 0; i < width; i += step) {
            real *h = c->state[H] + b * width + i;

            advance(pairs, c->x[A] + b * row_a + i, c->x[X] + b * width + i, h, h);
            memcpy(c->y + b * width + i, h, (size_t)step * sizeof *h);
        }
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    double n = (double)in->dim[0] * (double)in->dim[1] * (double)in->dim[2], flop = in->rank == 4 ? 8 : 2;

    (void)opt;
    (void)n_in;
    return (struct as_cost){ .flop = flop * n, .bytes = (in->rank == 4 ? 8 : 4) * n * (constant(in) ? 2 : 3) };
}

static const struct as_variant variant = {
    .abi = ASSAY_ABI,
    .summary = "diagonal linear recurrence h = a h + x on given a and x, real or complex",
    .paper = { .key = "martin2018parallel", .title = "Parallelizing Linear Recurrent Neural Nets Over Sequence Length",
               .url = "https://arxiv.org/abs/1709.04057", .where = "section 2",
               .departs = "computed in order of time, many channels at once, not as a tree", .year = 2018 },
    .ports = ports, .samples = samples,
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check,
    .plan = plan,
    .graph = graph,
    .cost = cost,
};

static const struct as_impl ref = {
    .abi = ASSAY_ABI,
    .name = "ref",
    .rank = -1,
    .plan = ref_plan,
    .forward = ref_forward,
    .backward = ref_backward,
    .step = ref_step,
};

const struct as_plugin AS_PLUGIN(core__diagonal_scan) = { .abi = ASSAY_ABI, .variant = &variant, .impl = { &ref } };

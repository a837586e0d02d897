/* long-conv.c: a causal convolution with a learned filter as long as the sequence, one a channel.
 *
 *   y_t = sum over l = 0..min(t, L-1) of h_l * x_{t-l}         h (L, width)
 *
 * Fu et al. 2023, section 3: the filters themselves are the weights, as in their long convolutions, where S4 and
 * Hyena compute them. They start as N(0, 1/L), so that y has the variance of x. Steps L = `length` or more apart do
 * not see each other; of a filter longer than the sequence the first taps are used.
 *
 * `graph` is the product as it stands; long-conv.fft.c goes through Fourier transforms from some length on.
 */
#include <assay/layer.h>
#include <assay/parallel.h>
#include <math.h>
#include <string.h>

struct longconv { int length; };
enum { FILTER };
enum { PAST };

static const struct as_option options[] = {
    { "length", AS_INT, offsetof(struct longconv, length), 1024, 1, 1 << 24, NULL, "256,1024",
      "L, taps of each filter" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it works on (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    ptrdiff_t taps = ((const struct longconv *)p->opt)->length, d = p->in->dim[2];

    as_weight(p, FILTER, "h", AS_MATRIX, (struct as_init){ .spread = AS_NORMAL, .b = 1 / sqrt((double)taps) }, 2,
              (ptrdiff_t[]){ taps, d });
    as_state(p, PAST, "past", (struct as_init){ .spread = AS_ZERO }, 3, (ptrdiff_t[]){ AS_ANY, taps, d });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_node *h = as_w(g, FILTER);
    ptrdiff_t taps = h->dim[0], d = h->dim[1];

    h = as_flip(g->t, as_reshape(g->t, h, 3, (ptrdiff_t[]){ 1, taps, d }));      /* the oldest tap first */
    return as_conv_causal(g->t, x, as_swap(g->t, as_reshape(g->t, h, 2, (ptrdiff_t[]){ taps, d }), 0, 1), NULL);
}

/* --- ref: the sum as it stands ----------------------------------------------------------------------------- */

struct job { const struct as_call *call; ptrdiff_t batch, time, d, taps; };

static struct job job_of(const struct as_call *c)
{
    ptrdiff_t time = c->in->dim[1], taps = ((const struct longconv *)c->opt)->length;

    return (struct job){ c, c->in->dim[0], time, c->in->dim[2], taps < time ? taps : time };
}

static void forward_row(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;

    for (ptrdiff_t t = 0; t < j->time; t++) {
        real *y = j->call->y + (b * j->time + t) * j->d;

        memset(y, 0, (size_t)j->d * sizeof *y);
        for (ptrdiff_t l = 0; l <= t && l < j->taps; l++)
            for (ptrdiff_t c = 0; c < j->d; c++)
                y[c] += j->call->w[FILTER][l * j->d + c] * j->call->x[0][(b * j->time + t - l) * j->d + c];
    }
}

static void forward(const struct as_call *c)
{
    struct job j = job_of(c);

    as_parallel(j.batch, 2 * (double)(j.batch * j.time * j.d) * (double)j.taps, forward_row, &j);
}

/* dx_s = sum over t of h_{t-s} dy_t */
static void backward_row(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;

    for (ptrdiff_t t = 0; t < j->time; t++)
        for (ptrdiff_t l = 0; l <= t && l < j->taps; l++)
            for (ptrdiff_t c = 0; c < j->d; c++)
                j->call->dx[0][(b * j->time + t - l) * j->d + c] +=
                    j->call->w[FILTER][l * j->d + c] * j->call->dy[(b * j->time + t) * j->d + c];
}

/* dh_l = sum over rows and t of dy_t x_{t-l} */
static void backward_tap(void *ctx, ptrdiff_t l)
{
    const struct job *j = ctx;
    real *dh = j->call->dw[FILTER] + l * j->d;

    for (ptrdiff_t b = 0; b < j->batch; b++)
        for (ptrdiff_t t = l; t < j->time; t++)
            for (ptrdiff_t c = 0; c < j->d; c++)
                dh[c] += j->call->dy[(b * j->time + t) * j->d + c] * j->call->x[0][(b * j->time + t - l) * j->d + c];
}

static void backward(const struct as_call *c)
{
    struct job j = job_of(c);
    double cost = 2 * (double)(j.batch * j.time * j.d) * (double)j.taps;

    if (c->dx[0])
        as_parallel(j.batch, cost, backward_row, &j);
    if (c->dw[FILTER])
        as_parallel(j.taps, cost, backward_tap, &j);
}

/* The state is a ring: step t stands in row t mod L. */
static void step(const struct as_call *c)
{
    ptrdiff_t batch = c->in->dim[0], d = c->in->dim[2], taps = ((const struct longconv *)c->opt)->length;

    for (ptrdiff_t b = 0; b < batch; b++) {
        real *past = c->state[PAST] + b * taps * d, *y = c->y + b * d;

        memcpy(past + c->position % taps * d, c->x[0] + b * d, (size_t)d * sizeof *past);
        memset(y, 0, (size_t)d * sizeof *y);
        for (ptrdiff_t l = 0; l < taps && l <= c->position; l++)
            for (ptrdiff_t i = 0; i < d; i++)
                y[i] += c->w[FILTER][l * d + i] * past[(c->position - l) % taps * d + i];
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .forward = forward, .backward = backward, .step = step,
};

/* Of the product as it stands. */
static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    double time = (double)in->dim[1], taps = (double)((const struct longconv *)opt)->length;
    double n = (double)in->dim[0] * (double)in->dim[2], pairs = taps < time ? taps * (time - taps / 2) : time * time / 2;

    (void)n_in;
    return (struct as_cost){ .flop = 2 * n * pairs, .bytes = 8 * n * time };
}

static const struct as_variant longconv = {
    .abi = ASSAY_ABI,
    .summary = "causal convolution with a learned filter as long as the sequence, one a channel",
    .paper = { .key = "fu2023longconv", .title = "Simple Hardware-Efficient Long Convolutions for Sequence Modeling",
               .url = "https://arxiv.org/abs/2302.06646", .year = 2023, .where = "section 3",
               .departs = "causal; without the squash of the filter and without the skip D x; plain normal start" },
    .options = options, .opt_size = sizeof(struct longconv),
    .promises = AS_CAUSAL | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(convolution__long_conv) = { .abi = ASSAY_ABI, .variant = &longconv, .impl = { &ref } };

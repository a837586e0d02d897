/* TEMPLATE.c: the smallest complete mixer, to be copied. A copy named impl/recurrent/mine.c needs one change, the
 * symbol in its last line (recurrent__mine), and is then listed, described, checked and trainable
 * (mixer = mine): `make` finds it, nothing is registered by hand. The file is read from top to bottom: head comment,
 * options, weights, mathematics, a second way to compute it, descriptor.
 *
 * If the recurrence of your mixer is in impl/core/ already (`assay list`, and `assay describe` for its inputs), copy
 * impl/linear-attention/gla.c instead: such a layer is projections around a slot, and has its graph only.
 *
 * The head comment says what is computed, from which paper, in plain text. Here: linear leaky integrators.
 *
 *   u_t = W_in x_t                                   x (width), u (hidden)
 *   h_t = a * h_{t-1} + (1 - a) * u_t,   h_0 = 0     a = sigmoid(alpha), one leak a unit
 *   y_t = W_out h_t
 *
 * Jaeger et al. 2007, eq. 2, without the recurrent matrix and the nonlinearity, and with trained leaks. At the
 * start the time constants 1 / (1 - a) are spread evenly on a log scale from 2 to `slowest` steps.
 */
#include <assay/layer.h>          /* the contract; plug-ins include <assay/...> and C standard headers only */
#include <string.h>
#include <tgmath.h>               /* exp() and friends in the type of their argument */

/* Options: a struct of this file, and one row for each field. The row does parsing, range, default, help,
 * the values worth an ablation, and what the record says. In an experiment file: mixer.hidden = 32. */
struct leaky { int hidden; double slowest; };

/* `assay check` tries the layer at width 16: defaults have to fit that. */
static const struct as_option options[] = {
    { .key = "hidden", .type = AS_INT, .offset = offsetof(struct leaky, hidden), .def = 0, .min = 0, .max = 65536,
      .sweep = "32,64", .help = "units; 0: the width" },
    { .key = "slowest", .type = AS_NUM, .offset = offsetof(struct leaky, slowest), .def = 64, .min = 2, .max = 1e6,
      .sweep = "16,64,256", .help = "largest time constant at the start, in steps" },
    { 0 }
};

/* Weights and states are named by their place in an enum, in plan(), in the graph and in implementations. */
enum { W_IN, W_OUT, ALPHA };
enum { H };

static ptrdiff_t units(const struct leaky *o, ptrdiff_t width)
{
    return o->hidden ? o->hidden : width;
}

/* May this shape be? NULL, or one sentence for the user. */
static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on (batch, time, width)";
    return NULL;
}

/* An initialiser of one's own (AS_DRAWN): fills w. Random numbers come from `key` only; these need none. */
static void draw_alpha(const void *opt, struct as_key key, ptrdiff_t n, float *w)
{
    const struct leaky *o = opt;

    (void)key;
    for (ptrdiff_t i = 0; i < n; i++) {
        double tau = 2 * pow(o->slowest / 2, n > 1 ? (double)i / (double)(n - 1) : 0);

        w[i] = (float)log(tau - 1 + 1e-6);           /* sigmoid of it is 1 - 1 / tau */
    }
}

/* Weights with kind and initialiser, states of step(), and the output's sizes if they differ from the input's.
 * AS_ANY stands for sizes known at run time only: batch and time. */
static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[2], h = units(p->opt, d);

    as_weight(p, W_IN, "W_in", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ h, d });
    as_weight(p, W_OUT, "W_out", AS_MATRIX, (struct as_init){ .spread = AS_FAN_IN }, 2, (ptrdiff_t[]){ d, h });
    as_weight(p, ALPHA, "alpha", AS_RECURRENCE, (struct as_init){ .spread = AS_DRAWN, .draw = draw_alpha }, 1,
              (ptrdiff_t[]){ h });
    as_state(p, H, "h", (struct as_init){ .spread = AS_ZERO }, 2, (ptrdiff_t[]){ AS_ANY, h });
}

/* The mathematics, in operators (assay/ops.h): this gives the gradient for free and is what the variant *is*. */
static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    struct as_node *a = as_sigmoid(t, as_w(g, ALPHA)), *stay = as_sigmoid(t, as_neg(t, as_w(g, ALPHA)));
    struct as_node *u = as_mul(t, as_linear(t, x, as_w(g, W_IN), NULL), stay);      /* 1 - sigmoid(alpha) */

    return as_linear(t, as_scan(t, a, u, NULL), as_w(g, W_OUT), NULL);
}

/* --- a second way to compute it ------------------------------------------------------------------------------
 * Every variant needs one, written independently, against which the graph is tested; faster ones go to files of
 * their own (mine.fused.c). Hooks own nothing: sizes are declared here, the caller allocates. A layer with slots has
 * none: its second witness is arrays that another program computed (tests/golden/README.md: one call in a script
 * there); without them `assay check` says "unproved". */

struct sizes { ptrdiff_t batch, time, d, h; };

static struct sizes sizes_of(const void *opt, const struct as_spec *in)
{
    ptrdiff_t d = in->dim[in->rank - 1];

    return (struct sizes){ in->dim[0], in->dim[1], d, units(opt, d) };
}

static void ref_plan(struct as_room *r)
{
    struct sizes s = sizes_of(r->opt, r->in);

    if (r->gradients) {
        r->saved[0] = (size_t)(s.batch * s.time * s.h);         /* h_t, kept from forward to backward */
        r->saved[1] = (size_t)(s.batch * s.time * s.h);         /* u_t */
    }
    r->scratch[0] = (size_t)(2 * s.h);                          /* not kept, not initialised */
}

/* 1 - sigmoid(x) as sigmoid(-x): where a leak is small, the difference would have lost its digits. */
static real one_minus_sigmoid(real x)
{
    return 1 / (1 + exp(x));
}

/* One time step of one row: h (h) is read and written, u (h) gets W_in x. */
static void advance(const struct as_call *c, struct sizes s, const real *x, real *h, real *u, real *y)
{
    for (ptrdiff_t i = 0; i < s.h; i++) {
        real a = 1 / (1 + exp(-c->w[ALPHA][i])), stay = one_minus_sigmoid(c->w[ALPHA][i]);

        u[i] = 0;
        for (ptrdiff_t j = 0; j < s.d; j++)
            u[i] += c->w[W_IN][i * s.d + j] * x[j];
        h[i] = a * h[i] + stay * u[i];
    }
    for (ptrdiff_t j = 0; j < s.d; j++) {
        y[j] = 0;
        for (ptrdiff_t i = 0; i < s.h; i++)
            y[j] += c->w[W_OUT][j * s.h + i] * h[i];
    }
}

/* forward() writes the whole output. `saved` is NULL when no gradient will be asked for. */
static void forward(const struct as_call *c)
{
    struct sizes s = sizes_of(c->opt, c->in);
    real *h = c->scratch[0], *u = h + s.h;

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(h, 0, (size_t)s.h * sizeof *h);
        for (ptrdiff_t t = b * s.time; t < (b + 1) * s.time; t++) {
            advance(c, s, c->x[0] + t * s.d, h, u, c->y + t * s.d);
            if (c->saved) {
                memcpy((real *)c->saved[0] + t * s.h, h, (size_t)s.h * sizeof *h);
                memcpy((real *)c->saved[1] + t * s.h, u, (size_t)s.h * sizeof *u);
            }
        }
    }
}

/* backward() adds to gradients, never overwrites; a NULL entry of dw or dx wants none. */
static void backward(const struct as_call *c)
{
    struct sizes s = sizes_of(c->opt, c->in);
    const real *h = c->saved[0], *u = c->saved[1];
    real *dh = c->scratch[0];

    for (ptrdiff_t b = 0; b < s.batch; b++) {
        memset(dh, 0, (size_t)s.h * sizeof *dh);
        for (ptrdiff_t t = (b + 1) * s.time - 1; t >= b * s.time; t--)
            for (ptrdiff_t i = 0; i < s.h; i++) {
                real a = 1 / (1 + exp(-c->w[ALPHA][i])), stay = one_minus_sigmoid(c->w[ALPHA][i]);
                real old = t > b * s.time ? h[(t - 1) * s.h + i] : 0;

                for (ptrdiff_t j = 0; j < s.d; j++) {
                    dh[i] += c->w[W_OUT][j * s.h + i] * c->dy[t * s.d + j];
                    if (c->dw[W_OUT])
                        c->dw[W_OUT][j * s.h + i] += c->dy[t * s.d + j] * h[t * s.h + i];
                }
                if (c->dw[ALPHA])
                    c->dw[ALPHA][i] += dh[i] * (old - u[t * s.h + i]) * a * stay;
                for (ptrdiff_t j = 0; j < s.d; j++) {
                    if (c->dw[W_IN])
                        c->dw[W_IN][i * s.d + j] += dh[i] * stay * c->x[0][t * s.d + j];
                    if (c->dx[0])
                        c->dx[0][t * s.d + j] += dh[i] * stay * c->w[W_IN][i * s.d + j];
                }
                dh[i] *= a;
            }
    }
}

/* step(): one time step from a state, for streaming; x and y are (batch, width). Sizes other than the batch and
 * the last one are not to be trusted here. */
static void step(const struct as_call *c)
{
    struct sizes s = sizes_of(c->opt, c->in);

    for (ptrdiff_t b = 0; b < s.batch; b++)
        advance(c, s, c->x[0] + b * s.d, c->state[H] + b * s.h, c->scratch[0], c->y + b * s.d);
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = forward, .backward = backward, .step = step,
};

/* What is computed. Promises are tested: causal, linear in x, and what stands in the padding changes nothing.
 * paper.id is the row of doc/catalogue.tsv (here none): `assay papers` lists the mechanism by it. Further fields, all in
 * layer.h: slots, ports with samples for several inputs, kinks, cost. */
static const struct as_variant leaky = {
    .abi = ASSAY_ABI,
    .summary = "linear leaky integrators with trained leaks",
    .paper = { .key = "jaeger2007leaky",
               .title = "Optimization and applications of echo state networks with leaky-integrator neurons",
               .url = "https://doi.org/10.1016/j.neunet.2007.04.016", .year = 2007, .where = "eq. 2",
               .departs = "no recurrent matrix, no nonlinearity; leaks and both matrices are trained" },
    .options = options, .opt_size = sizeof(struct leaky),
    .promises = AS_CAUSAL | AS_LINEAR | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

/* The one external constant. Its symbol is the path below impl/ without .c, `/` and `.` written `__`, `-` as `_`. */
const struct as_plugin AS_PLUGIN(TEMPLATE) = { .abi = ASSAY_ABI, .variant = &leaky, .impl = { &ref } };

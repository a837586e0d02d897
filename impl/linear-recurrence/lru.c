/* lru.c: linear recurrent unit, a diagonal complex recurrence with stable exponential parameters.
 *
 *   lambda_j = exp(-exp(nu_j) + i exp(theta_j)),   gamma_j = exp(g_j)
 *   h_t = lambda * h_{t-1} + gamma * (B u_t),   h_0 = 0        h complex (hidden), B complex (hidden, width)
 *   y_t = Re(C h_t) + D * u_t                                  C complex (width, hidden), D (width)
 *
 * Orvieto et al. 2023, eq. 5-7 and appendix A. At the start |lambda| is uniform in the ring [r_min, r_max] by
 * area, its phase uniform in [0, max_phase], gamma = sqrt(1 - |lambda|^2), B ~ N / sqrt(2 width),
 * C ~ N / sqrt(hidden), D ~ N(0, 1). The rows of `lambda` are nu, theta, g: one weight, for g starts from nu.
 */
#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>
#include <tgmath.h>

struct lru { int hidden; double r_min, r_max, max_phase; };
enum { LAMBDA, B_RE, B_IM, C_RE, C_IM, D };

static const struct as_option options[] = {
    { "hidden", AS_INT, offsetof(struct lru, hidden), 0, 0, 65536, NULL, "64,128", "complex units; 0: the width" },
    { "r_min", AS_NUM, offsetof(struct lru, r_min), 0, 0, 1, NULL, "0,0.9", "least |lambda| at the start" },
    { "r_max", AS_NUM, offsetof(struct lru, r_max), 1, 0, 1, NULL, "0.9,0.999,1", "largest |lambda| at the start" },
    { "max_phase", AS_NUM, offsetof(struct lru, max_phase), 6.28, 1e-6, 6.2831853, NULL, "0.314,6.28",
      "largest phase of lambda at the start" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    const struct lru *o = opt;

    (void)n_in;
    if (in->dtype != AS_REALS || in->rank != 3)
        return "it works on (batch, time, width)";
    if (!(o->r_min < o->r_max))
        return as_say("r_min = %g must be below r_max = %g", o->r_min, o->r_max);
    return NULL;
}

static void draw_lambda(const void *opt, struct as_key key, ptrdiff_t n, float *w)
{
    const struct lru *o = opt;
    ptrdiff_t h = n / 3;

    for (ptrdiff_t j = 0; j < h; j++) {
        double u1 = (double)as_uniform(key, (uint64_t)(2 * j)), u2 = (double)as_uniform(key, (uint64_t)(2 * j + 1));
        double square = u1 * (o->r_max * o->r_max - o->r_min * o->r_min) + o->r_min * o->r_min;

        square = fmin(fmax(square, 1e-12), 1 - 1e-7);        /* both logarithms below stay finite in float */
        w[j] = (float)log(-0.5 * log(square));
        w[h + j] = (float)log(o->max_phase * u2);
        w[2 * h + j] = (float)(0.5 * log1p(-square));
    }
}

static void plan(struct as_plan *p)
{
    const struct lru *o = p->opt;
    ptrdiff_t d = p->in->dim[2], h = o->hidden ? o->hidden : d;
    struct as_init b = { .spread = AS_NORMAL, .b = 1 / sqrt(2 * (double)d) };
    struct as_init c = { .spread = AS_NORMAL, .b = 1 / sqrt((double)h) };

    as_weight(p, LAMBDA, "lambda", AS_RECURRENCE, (struct as_init){ .spread = AS_DRAWN, .draw = draw_lambda }, 2,
              (ptrdiff_t[]){ 3, h });
    as_weight(p, B_RE, "B_re", AS_MATRIX, b, 2, (ptrdiff_t[]){ h, d });
    as_weight(p, B_IM, "B_im", AS_MATRIX, b, 2, (ptrdiff_t[]){ h, d });
    as_weight(p, C_RE, "C_re", AS_MATRIX, c, 2, (ptrdiff_t[]){ d, h });
    as_weight(p, C_IM, "C_im", AS_MATRIX, c, 2, (ptrdiff_t[]){ d, h });
    as_weight(p, D, "D", AS_GAIN, (struct as_init){ .spread = AS_NORMAL, .b = 1 }, 1, (ptrdiff_t[]){ d });
    as_state(p, 0, "h", (struct as_init){ .spread = AS_ZERO }, 3, (ptrdiff_t[]){ AS_ANY, h, 2 });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_tape *t = g->t;
    ptrdiff_t h = as_w(g, LAMBDA)->dim[1];
    struct as_node *row[3], *size, *a, *v, *re, *im, *y;

    for (int i = 0; i < 3; i++)
        row[i] = as_exp(t, as_reshape(t, as_slice(t, as_w(g, LAMBDA), 0, i, 1), 1, (ptrdiff_t[]){ h }));
    size = as_exp(t, as_neg(t, row[0]));
    a = as_stack(t, 2, (struct as_node *[]){ as_mul(t, size, as_cos(t, row[1])), as_mul(t, size, as_sin(t, row[1])) },
                 1);
    re = as_mul(t, as_linear(t, x, as_w(g, B_RE), NULL), row[2]);
    im = as_mul(t, as_linear(t, x, as_w(g, B_IM), NULL), row[2]);
    v = as_scan_complex(t, a, as_stack(t, 2, (struct as_node *[]){ re, im }, 3), NULL);
    re = as_reshape(t, as_slice(t, v, 3, 0, 1), 3, (ptrdiff_t[]){ x->dim[0], x->dim[1], h });
    im = as_reshape(t, as_slice(t, v, 3, 1, 1), 3, (ptrdiff_t[]){ x->dim[0], x->dim[1], h });
    y = as_sub(t, as_linear(t, re, as_w(g, C_RE), NULL), as_linear(t, im, as_w(g, C_IM), NULL));
    y = as_add(t, y, as_mul(t, x, as_w(g, D)));
    y->length = x->length;
    return y;
}

/* --- by rows: products over all steps, one loop over time per row ----------------------------------------- */

struct job {
    const struct as_call *call;
    ptrdiff_t batch, time, d, h;
    real *lambda;                        /* (3, h): Re, Im, gamma */
    real *v_re, *v_im, *h_re, *h_im;     /* B u before gamma; states: (batch, time, h) */
    real *g_re, *g_im, *part;            /* gradients of h, then of B u; (batch, 3, h): of Re, Im, gamma */
};

enum { V_RE, V_IM, H_RE, H_IM, KEPT };   /* saved, or the first scratch */
enum { G_RE = KEPT, G_IM, PART, SMALL };

static struct job sizes_of(const struct as_spec *in, const void *opt)
{
    ptrdiff_t d = in->dim[in->rank - 1];

    return (struct job){ .batch = in->dim[0], .time = in->dim[1], .d = d,
                         .h = ((const struct lru *)opt)->hidden ? ((const struct lru *)opt)->hidden : d };
}

static void ref_plan(struct as_room *r)
{
    struct job j = sizes_of(r->in, r->opt);
    size_t n = (size_t)(j.batch * j.time * j.h);

    for (int i = 0; i < KEPT; i++)
        *(r->gradients ? &r->saved[i] : &r->scratch[i]) = n;
    r->scratch[G_RE] = r->scratch[G_IM] = r->gradients ? n : 0;
    r->scratch[PART] = (size_t)(3 * j.batch * j.h);
    r->scratch[SMALL] = (size_t)(3 * j.h);
}

static void eigenvalues(const struct as_call *c, ptrdiff_t h, real *lambda)
{
    const real *w = c->w[LAMBDA];

    for (ptrdiff_t j = 0; j < h; j++) {
        real size = exp(-exp(w[j])), angle = exp(w[h + j]);

        lambda[j] = size * cos(angle);
        lambda[h + j] = size * sin(angle);
        lambda[2 * h + j] = exp(w[2 * h + j]);
    }
}

static struct job job_of(const struct as_call *c)
{
    struct job j = sizes_of(c->in, c->opt);
    void *const *kept = c->saved ? c->saved : c->scratch;

    j.call = c;
    j.lambda = c->scratch[SMALL];
    j.v_re = kept[V_RE];
    j.v_im = kept[V_IM];
    j.h_re = kept[H_RE];
    j.h_im = kept[H_IM];
    j.g_re = c->scratch[G_RE];
    j.g_im = c->scratch[G_IM];
    j.part = c->scratch[PART];
    eigenvalues(c, j.h, j.lambda);
    return j;
}

static void forward_row(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;
    const real *re = j->lambda, *im = re + j->h, *gamma = im + j->h;

    for (ptrdiff_t t = 0; t < j->time; t++) {
        ptrdiff_t at = (b * j->time + t) * j->h;

        for (ptrdiff_t i = 0; i < j->h; i++) {
            real p = t ? j->h_re[at - j->h + i] : 0, q = t ? j->h_im[at - j->h + i] : 0;

            j->h_re[at + i] = re[i] * p - im[i] * q + gamma[i] * j->v_re[at + i];
            j->h_im[at + i] = re[i] * q + im[i] * p + gamma[i] * j->v_im[at + i];
        }
    }
}

static void forward(const struct as_call *c)
{
    struct job j = job_of(c);
    ptrdiff_t n = j.batch * j.time;

    as_gemm(0, 1, n, j.h, j.d, 1, c->x[0], j.d, c->w[B_RE], j.d, 0, j.v_re, j.h);
    as_gemm(0, 1, n, j.h, j.d, 1, c->x[0], j.d, c->w[B_IM], j.d, 0, j.v_im, j.h);
    as_parallel(j.batch, 12.0 * (double)n * (double)j.h, forward_row, &j);
    for (ptrdiff_t i = 0; i < n; i++)
        for (ptrdiff_t k = 0; k < j.d; k++)
            c->y[i * j.d + k] = c->w[D][k] * c->x[0][i * j.d + k];
    as_gemm(0, 1, n, j.d, j.h, 1, j.h_re, j.h, c->w[C_RE], j.h, 1, c->y, j.d);
    as_gemm(0, 1, n, j.d, j.h, -1, j.h_im, j.h, c->w[C_IM], j.h, 1, c->y, j.d);
}

/* g_t = dL/dh_t + conj(lambda) g_{t+1}; from g the gradients of lambda and gamma of this row, and of B u. */
static void backward_row(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;
    const real *re = j->lambda, *im = re + j->h, *gamma = im + j->h;
    real *d_re = j->part + 3 * b * j->h, *d_im = d_re + j->h, *d_gamma = d_im + j->h;

    memset(d_re, 0, 3 * (size_t)j->h * sizeof *d_re);
    for (ptrdiff_t t = j->time - 1; t >= 0; t--) {
        ptrdiff_t at = (b * j->time + t) * j->h;

        for (ptrdiff_t i = 0; i < j->h; i++) {
            real g = j->g_re[at + i], k = j->g_im[at + i];

            if (t) {
                real p = j->h_re[at - j->h + i], q = j->h_im[at - j->h + i];

                d_re[i] += g * p + k * q;
                d_im[i] += k * p - g * q;
                j->g_re[at - j->h + i] += re[i] * g + im[i] * k;
                j->g_im[at - j->h + i] += re[i] * k - im[i] * g;
            }
            d_gamma[i] += g * j->v_re[at + i] + k * j->v_im[at + i];
            j->g_re[at + i] = g * gamma[i];
            j->g_im[at + i] = k * gamma[i];
        }
    }
}

static void lambda_gradient(const struct job *j, real *dw)
{
    for (ptrdiff_t i = 0; i < j->h; i++) {
        real re = 0, im = 0, gamma = 0, l_re = j->lambda[i], l_im = j->lambda[j->h + i];

        for (ptrdiff_t b = 0; b < j->batch; b++) {
            re += j->part[3 * b * j->h + i];
            im += j->part[(3 * b + 1) * j->h + i];
            gamma += j->part[(3 * b + 2) * j->h + i];
        }
        dw[i] -= (re * l_re + im * l_im) * exp(j->call->w[LAMBDA][i]);
        dw[j->h + i] += (im * l_re - re * l_im) * exp(j->call->w[LAMBDA][j->h + i]);
        dw[2 * j->h + i] += gamma * j->lambda[2 * j->h + i];
    }
}

static void backward(const struct as_call *c)
{
    struct job j = job_of(c);
    ptrdiff_t n = j.batch * j.time, d = j.d, h = j.h;

    as_gemm(0, 0, n, h, d, 1, c->dy, d, c->w[C_RE], h, 0, j.g_re, h);
    as_gemm(0, 0, n, h, d, -1, c->dy, d, c->w[C_IM], h, 0, j.g_im, h);
    if (c->dw[C_RE])
        as_gemm(1, 0, d, h, n, 1, c->dy, d, j.h_re, h, 1, c->dw[C_RE], h);
    if (c->dw[C_IM])
        as_gemm(1, 0, d, h, n, -1, c->dy, d, j.h_im, h, 1, c->dw[C_IM], h);
    as_parallel(j.batch, 24.0 * (double)n * (double)h, backward_row, &j);
    if (c->dw[LAMBDA])
        lambda_gradient(&j, c->dw[LAMBDA]);
    if (c->dw[B_RE])
        as_gemm(1, 0, h, d, n, 1, j.g_re, h, c->x[0], d, 1, c->dw[B_RE], d);
    if (c->dw[B_IM])
        as_gemm(1, 0, h, d, n, 1, j.g_im, h, c->x[0], d, 1, c->dw[B_IM], d);
    for (ptrdiff_t i = 0; i < n * d; i++) {
        if (c->dw[D])
            c->dw[D][i % d] += c->dy[i] * c->x[0][i];
        if (c->dx[0])
            c->dx[0][i] += c->dy[i] * c->w[D][i % d];
    }
    if (c->dx[0]) {
        as_gemm(0, 0, n, d, h, 1, j.g_re, h, c->w[B_RE], d, 1, c->dx[0], d);
        as_gemm(0, 0, n, d, h, 1, j.g_im, h, c->w[B_IM], d, 1, c->dx[0], d);
    }
}

static void step(const struct as_call *c)
{
    struct job j = sizes_of(c->in, c->opt);
    real *lambda = c->scratch[SMALL], *re = lambda, *im = re + j.h, *gamma = im + j.h;

    eigenvalues(c, j.h, lambda);
    for (ptrdiff_t b = 0; b < j.batch; b++) {
        const real *x = c->x[0] + b * j.d;
        real *h = c->state[0] + 2 * b * j.h;

        for (ptrdiff_t i = 0; i < j.h; i++) {
            real p = h[2 * i], q = h[2 * i + 1], v = 0, u = 0;

            for (ptrdiff_t k = 0; k < j.d; k++) {
                v += c->w[B_RE][i * j.d + k] * x[k];
                u += c->w[B_IM][i * j.d + k] * x[k];
            }
            h[2 * i] = re[i] * p - im[i] * q + gamma[i] * v;
            h[2 * i + 1] = re[i] * q + im[i] * p + gamma[i] * u;
        }
        for (ptrdiff_t k = 0; k < j.d; k++) {
            real y = c->w[D][k] * x[k];

            for (ptrdiff_t i = 0; i < j.h; i++)
                y += c->w[C_RE][k * j.h + i] * h[2 * i] - c->w[C_IM][k * j.h + i] * h[2 * i + 1];
            c->y[b * j.d + k] = y;
        }
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = forward, .backward = backward, .step = step,
};

static const struct as_variant lru = {
    .abi = ASSAY_ABI,
    .summary = "linear recurrent unit: diagonal complex recurrence, stable by its parameters",
    .paper = { .key = "orvieto2023lru", .title = "Resurrecting recurrent neural networks for long sequences",
               .url = "https://arxiv.org/abs/2303.06349", .year = 2023, .where = "eq. 5-7, appendix A",
               .departs = "the recurrence alone: its block has BatchNorm, GELU and GLU, ours is the wiring's; the "
                          "smaller rate on lambda, gamma and B is the rule's to give" },
    .options = options, .opt_size = sizeof(struct lru),
    .promises = AS_CAUSAL | AS_LINEAR | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(linear_recurrence__lru) = { .abi = ASSAY_ABI, .variant = &lru, .impl = { &ref } };

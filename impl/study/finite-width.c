/* finite-width.c: ensembles of random networks, without training (Roberts, Yaida and Hanin 2022, "The Principles of Deep
 * Learning Theory"). A multi-layer perceptron of width n, one input x with |x|^2 = n, no biases:
 *
 *   z^1_i = sum_j W^1_ij x_j,   z^(l+1)_i = sum_j W^(l+1)_ij sigma(z^l_j),   W_ij ~ N(0, C_W / n)
 *
 * Over networks: the kernel K_l = E[z_i^2], and the connected four-point correlator of two neurons of one layer,
 *
 *   V_l = E[z_i^2 z_j^2] / K_l^2 - 1,  i != j.
 *
 * z^(l+1) given z^l is Gaussian with variance G = C_W/n sum_j sigma(z^l_j)^2, the same for all neurons, so K = E[G] and
 * V = Var(G) / K^2. For sigma that is linear on each side of 0, G is G of the layer before times a mean of n independent
 * terms, and so exactly 1 + V_l = (1 + c/n)^(l-1) with c = A4/A2^2 E[g^4] - 1 for g ~ N(0, 1):
 * 3 - 1 = 2 for the linear network, 2 * 3 - 1 = 5 for ReLU; to first order V_l = c (l-1)/n, the book's result at
 * criticality (chapters 3 to 5). Critical are C_W = 1 (linear, tanh) and 2 (ReLU): K_l then stays (linear, ReLU), or falls
 * as a power: for tanh, K' = K - 2 K^2 + ..., so that 2 l K_l -> 1.
 *
 * Measured: K_l from the mean over nets and neurons; E[z_i^2 z_j^2] from all pairs, ((sum z^2)^2 - sum z^4) / (n (n-1)).
 * vertex_slope is the least-squares slope through the origin of V_l over (l-1)/n, over the layers with (l-1)/n <= range.
 * `draw = preactivations` uses that a layer, given the one before, is n independent normal draws of variance G: the same
 * law as drawing the n^2 weights, n times cheaper; `draw = weights` draws them.
 *
 * Departs: one input instead of a data set, so correlators of different inputs are not measured; without the
 * neural tangent kernel, and without the book's trained networks.
 */
#include <assay/arena.h>
#include <assay/error.h>
#include <assay/parallel.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <math.h>

enum { RELU, LINEAR, TANH };
enum { WEIGHTS, PREACTIVATIONS };
enum { TOGETHER = 16 };              /* nets in one piece of work */

struct opt { int act, draw, width, depth, nets; double factor, range; };

static const struct as_option options[] = {
    { "act", AS_WORD, offsetof(struct opt, act), RELU, 0, 0, "relu|linear|tanh", NULL, "sigma" },
    { "width", AS_INT, offsetof(struct opt, width), 32, 2, 4096, NULL, "64,128,256", "n, of all layers" },
    { "depth", AS_INT, offsetof(struct opt, depth), 3, 2, 1000, NULL, NULL, "layers l measured, from 1" },
    { "nets", AS_INT, offsetof(struct opt, nets), 200, 2, 1000000, NULL, NULL, "networks in the ensemble" },
    { "factor", AS_NUM, offsetof(struct opt, factor), 1, 0.01, 100, NULL, "0.9,1,1.1", "C_W over its critical value" },
    { "range", AS_NUM, offsetof(struct opt, range), 0.1, 0.0001, 10, NULL, NULL,
      "largest (l-1)/n that the slope is taken over" },
    { "draw", AS_WORD, offsetof(struct opt, draw), WEIGHTS, 0, 0, "weights|preactivations", "weights,preactivations",
      "draw every weight, or each layer from its law given the one before" },
    { 0 }
};

static const struct as_study_metric metrics[] = {
    { "vertex_slope", "raw", "slope of V_l over (l-1)/n" },
    { "four_point", "raw", "V_l of the last layer; as a curve, of each layer" },
    { "kernel", "log", "K_l / K_1 of the last layer; as a curve, of each layer" },
    { "two_l_kernel", "log", "2 l K_l of the last layer; as a curve, of each layer" },
    { 0 }
};

struct ensemble {
    const struct opt *o;
    struct as_key key;
    double weight_variance;          /* C_W */
    float *room;                     /* (pieces, 2 n): sigma of the layer before, z of this one */
    double *two, *four;              /* (pieces, depth): sums over nets of mean z_i^2 and of mean z_i^2 z_j^2 */
};

static double activate(int act, double z)
{
    return act == RELU ? (z > 0 ? z : 0) : act == TANH ? tanh(z) : z;
}

/* One layer from the activations s of the one before. */
static void layer(const struct ensemble *e, struct as_key key, const float *s, float *z)
{
    int n = e->o->width;
    double sum = 0, scale = sqrt(e->weight_variance / n);

    if (e->o->draw == PREACTIVATIONS) {
        for (int j = 0; j < n; j++)
            sum += (double)s[j] * (double)s[j];
        for (int i = 0; i < n; i++)
            z[i] = (float)(scale * sqrt(sum) * (double)as_normal(key, (uint64_t)i));
        return;
    }
    for (int i = 0; i < n; i++) {
        sum = 0;
        for (int j = 0; j < n; j++)
            sum += (double)as_normal(key, (uint64_t)i * (uint64_t)n + (uint64_t)j) * (double)s[j];
        z[i] = (float)(scale * sum);
    }
}

/* Adds what one net has to say. */
static void net(const struct ensemble *e, uint64_t number, float *s, float *z, double *two, double *four)
{
    struct as_key key = as_subkey(e->key, number);
    int n = e->o->width;

    for (int i = 0; i < n; i++)
        s[i] = 1;                    /* Gaussian weights see nothing of x but its length */
    for (int l = 0; l < e->o->depth; l++) {
        double second = 0, fourth = 0;

        layer(e, as_subkey(key, (uint64_t)l), s, z);
        for (int i = 0; i < n; i++) {
            double square = (double)z[i] * (double)z[i];

            second += square;
            fourth += square * square;
            s[i] = (float)activate(e->o->act, (double)z[i]);
        }
        two[l] += second / n;
        four[l] += (second * second - fourth) / ((double)n * (n - 1));
    }
}

static void piece(void *ctx, ptrdiff_t at)
{
    const struct ensemble *e = ctx;
    ptrdiff_t n = e->o->width, depth = e->o->depth;
    float *s = e->room + at * 2 * n;

    for (ptrdiff_t k = at * TOGETHER; k < (at + 1) * TOGETHER && k < e->o->nets; k++)
        net(e, (uint64_t)k, s, s + n, e->two + at * depth, e->four + at * depth);
}

/* Means over the ensemble, from the pieces in order: K_l in k, V_l in v. */
static void moments(const struct ensemble *e, ptrdiff_t pieces, double *k, double *v)
{
    for (ptrdiff_t l = 0; l < e->o->depth; l++) {
        double two = 0, four = 0;

        for (ptrdiff_t p = 0; p < pieces; p++) {
            two += e->two[p * e->o->depth + l];
            four += e->four[p * e->o->depth + l];
        }
        k[l] = two / e->o->nets;
        v[l] = four / e->o->nets / (k[l] * k[l]) - 1;
    }
}

static void report(struct as_study_run *r, const struct opt *o, const double *k, const double *v)
{
    int last = o->depth - 1;
    double xy = 0, xx = 0;

    for (int l = 0; l <= last; l++) {
        double x = (double)l / o->width;

        if (x <= o->range) {
            xy += x * v[l];
            xx += x * x;
        }
        r->curve(r->ctx, "four_point", l + 1, v[l]);
        r->curve(r->ctx, "kernel", l + 1, k[l] / k[0]);
        r->curve(r->ctx, "two_l_kernel", l + 1, 2 * (l + 1) * k[l]);
    }
    r->record(r->ctx, "vertex_slope", xy / xx);
    r->record(r->ctx, "four_point", v[last]);
    r->record(r->ctx, "kernel", k[last] / k[0]);
    r->record(r->ctx, "two_l_kernel", 2 * o->depth * k[last]);
}

static void measure(struct as_study_run *r, struct as_arena *a)
{
    const struct opt *o = r->opt;
    ptrdiff_t pieces = (o->nets + TOGETHER - 1) / TOGETHER, n = o->width, depth = o->depth;
    size_t sums = as_size((size_t)(pieces * depth), sizeof(double));
    struct ensemble e = { .o = o, .key = { r->seed, AS_ROLE_STUDY, 0 } };
    double each = (double)depth * (double)n * (o->draw == WEIGHTS ? (double)n : 1), *k, *v;

    e.weight_variance = o->factor * (o->act == RELU ? 2 : 1);
    e.room = as_arena_take(a, as_size((size_t)(pieces * 2 * n), sizeof(float)));
    e.two = as_arena_zero(a, sums);
    e.four = as_arena_zero(a, sums);
    k = as_arena_take(a, as_size((size_t)depth, sizeof(double)));
    v = as_arena_take(a, as_size((size_t)depth, sizeof(double)));
    as_parallel(pieces, 40 * each * o->nets, piece, &e);
    moments(&e, pieces, k, v);
    report(r, o, k, v);
}

static void run(struct as_study_run *r)
{
    const struct opt *o = r->opt;
    struct as_arena *a;

    if (1.0 / o->width > o->range)
        as_fail(AS_REFUSED, "study.range = %g leaves the slope no layer: the second one has (l-1)/n = %g", o->range,
                1.0 / o->width);
    a = as_arena_new();
    measure(r, a);
    as_arena_free(a);
}

static const struct as_study study = {
    .abi = ASSAY_ABI,
    .summary = "ensembles of random networks: kernel and four-point correlator by layer",
    .options = options, .opt_size = sizeof(struct opt),
    .metrics = metrics,
    .run = run,
    .axes = (const char *const[]){ "four_point", "layer", "kernel", "layer", "two_l_kernel", "layer", NULL },
};

const struct as_plugin AS_PLUGIN(study__finite_width) = { .abi = ASSAY_ABI, .study = &study };

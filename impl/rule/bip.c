/* Bi-level pruning: which weights stay is learned together with the weights, as the upper of two levels.
 *
 * Zhang et al. 2022, "Advancing model pruning via bi-level optimization" (BiP). With masks m and weights theta
 *     min over m of l(m o theta*(m)),   theta*(m) = argmin over theta of l(m o theta) + gamma/2 |theta|^2,   |m|_0 = k
 * Both meet the loss in the product z = m o theta only. With g = dl/dz, and the Hessian of l left out, the lower
 * level's m o g + gamma theta = 0 gives dtheta / dm = -(1/gamma) diag(g), so that the upper gradient is of first order:
 *     dl/dm = (theta - (1/gamma) m o g) o g
 * A step alternates, each level on data of its own:
 *     lower, N times   theta <- theta - alpha (m o g + decay theta)
 *     upper            s <- clip(s - beta dl/dm, 0, 1),   m = 1 for the k largest s of all matrices together
 * s are the masks relaxed to [0, 1]; the forward pass has the hard ones. Start: theta as it is found (trained), s =
 * |theta| up to 1. What the model holds is z, so whatever evaluates it sees the pruned network; theta is with the rule.
 * Matrices are pruned; everything else has the lower level only. The batch is cut into N + 1 equal parts, the last of
 * which is the upper level's. Both levels have the momentum of the authors' code.
 *
 * Departs: beta is given by its ratio to alpha, so both follow one schedule; gamma of the upper gradient is a number of
 * its own, apart from the decay of the lower level, as in the authors' code (there 1e4 and 1e-4).
 */
#include <assay/rule.h>
#include <assay/sparse.h>
#include <assay/train.h>
#include <math.h>
#include <string.h>

struct opt { double sparsity, ratio, gamma, momentum; int steps; };

static const struct as_option options[] = {
    { .key = "sparsity", .type = AS_NUM, .offset = offsetof(struct opt, sparsity), .def = 0.9, .min = 0, .max = 0.9999,
      .sweep = "0.8,0.9,0.95", .help = "share of the elements of all matrices together that are cut" },
    { .key = "steps", .type = AS_INT, .offset = offsetof(struct opt, steps), .def = 1, .min = 1, .max = 100,
      .sweep = "1,3", .help = "N: steps of the lower level to one of the upper" },
    { .key = "ratio", .type = AS_NUM, .offset = offsetof(struct opt, ratio), .def = 10, .min = 0, .max = 1e6,
      .sweep = "1,10,100", .help = "beta / alpha: rate of the upper level over that of the lower" },
    { .key = "gamma", .type = AS_NUM, .offset = offsetof(struct opt, gamma), .def = 1e4, .min = 1e-6, .max = 1e12,
      .sweep = "0.01,1,1e4", .help = "gamma: the implicit term of the upper gradient is divided by it" },
    { .key = "momentum", .type = AS_NUM, .offset = offsetof(struct opt, momentum), .def = 0.9, .min = 0, .max = 1,
      .sweep = "0,0.9", .help = "mu: share of the velocity that is kept, on both levels" },
    { 0 }
};

/* CUT is 1 where an element is pruned and 0 where it stays, so that moments that are still zero prune nothing. */
enum { THETA, SCORE, CUT, V_LOWER, V_UPPER, MOMENTS };
enum { MOST = 256 };                     /* matrices */

static int moments(const void *opt)
{
    (void)opt;
    return MOMENTS;
}

static bool is_pruned(const struct as_update *u) { return u->kind == AS_MATRIX && u->rank > 1; }

/* The lower level: theta goes down the gradient where it is used. */
static void update(const struct as_update *u)
{
    const struct opt *o = u->opt;
    real *theta = u->moment[THETA], *v = u->moment[V_LOWER], mu = (real)o->momentum, eta = (real)u->rate;
    real decay = (real)u->decay;

    for (ptrdiff_t i = 0; i < u->n; i++) {
        bool cut = u->moment[CUT][i] > 0;

        if (u->step == 1 && !cut)
            theta[i] = u->w[i];
        v[i] = mu * v[i] + (cut ? 0 : u->g[i]) + decay * theta[i];
        theta[i] -= eta * v[i];
        u->w[i] = cut ? 0 : theta[i];
    }
}

static void start(const struct as_update *u)
{
    memcpy(u->moment[THETA], u->w, (size_t)u->n * sizeof *u->w);
    for (ptrdiff_t i = 0; i < u->n; i++)
        u->moment[SCORE][i] = (real)fmin(fabs((double)u->w[i]), 1);
}

/* The upper level's step for the scores, by the gradient at z. */
static void step_scores(const struct opt *o, const struct as_update *u)
{
    real *s = u->moment[SCORE], *v = u->moment[V_UPPER], mu = (real)o->momentum, over = (real)(1 / o->gamma);
    real beta = (real)(o->ratio * u->rate);

    for (ptrdiff_t i = 0; i < u->n; i++) {
        real m = u->moment[CUT][i] > 0 ? R(0.0) : R(1.0), g = u->g[i];

        v[i] = mu * v[i] + (u->moment[THETA][i] - over * m * g) * g;
        s[i] -= beta * v[i];
        s[i] = s[i] < 0 ? 0 : s[i] > 1 ? 1 : s[i];
    }
}

/* Masks from the scores of all matrices; the model gets z. */
static void prune(const struct opt *o, struct as_pass *pass)
{
    struct as_scores part[MOST];
    struct as_update u;
    real *moment[AS_MAX_MOMENTS];
    ptrdiff_t all = 0;
    int n = 0;

    for (int i = 0; as_pass_weight(pass, i, &u, moment); i++) {
        if (!is_pruned(&u))
            continue;
        if (n == MOST)
            as_fail(AS_REFUSED, "rule bip prunes at most %d matrices, and this model has more", MOST);
        part[n++] = (struct as_scores){ u.n, u.moment[SCORE], u.moment[CUT] };
        all += u.n;
    }
    as_keep_largest(n, part, all - (ptrdiff_t)llround(o->sparsity * (double)all));
    for (int i = 0; as_pass_weight(pass, i, &u, moment); i++)
        for (ptrdiff_t k = 0; k < u.n && is_pruned(&u); k++) {
            u.moment[CUT][k] = 1 - u.moment[CUT][k];
            u.w[k] = u.moment[CUT][k] > 0 ? 0 : u.moment[THETA][k];
        }
}

/* Rows from..from+n-1 of a batch, in place. */
static struct as_batch rows_of(const struct as_batch *b, ptrdiff_t from, ptrdiff_t n)
{
    struct as_batch part = *b;

    part.batch = n;
    part.length = b->length + from;
    for (int f = 0; f < b->n_fields; f++) {
        ptrdiff_t unit = 1;

        for (int j = 0; j < b->field[f].rank; j++)
            unit *= b->field[f].dim[j] == AS_TIME ? b->time : b->field[f].dim[j];
        if (b->field[f].integer)
            part.i[f] = b->i[f] + from * unit;
        else
            part.x[f] = b->x[f] + from * unit;
    }
    return part;
}

static void gradient(const void *opt, struct as_pass *pass)
{
    const struct opt *o = opt;
    const struct as_batch *whole = pass->batch;
    ptrdiff_t n = whole->batch / (o->steps + 1);
    struct as_update u;
    real *moment[AS_MAX_MOMENTS];

    if (n < 1)
        as_fail(AS_REFUSED, "rule bip cuts each batch into rule.steps + 1 = %d parts, and train.batch is %td",
                o->steps + 1, whole->batch);
    if (as_pass_weight(pass, 0, &u, moment) && u.step == 0) {
        for (int i = 0; as_pass_weight(pass, i, &u, moment); i++)
            start(&u);
        prune(o, pass);
    }
    for (int k = 0; k <= o->steps; k++) {
        struct as_batch part = rows_of(whole, k * n, n);

        pass->batch = &part;
        as_pass_backprop(pass);
        pass->batch = whole;
        if (k < o->steps)
            as_pass_update(pass);
    }
    for (int i = 0; as_pass_weight(pass, i, &u, moment); i++)
        if (is_pruned(&u))
            step_scores(o, &u);
    prune(o, pass);
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "bi-level pruning: gradient descent on the weights that stay, and on masks over which ones do",
    .paper = { .key = "zhang2022bip", .title = "Advancing Model Pruning via Bi-level Optimization",
               .url = "https://arxiv.org/abs/2210.04092", .where = "the theta-step and m-step; the authors' code",
               .departs = "beta follows alpha's schedule; unstructured pruning only", .year = 2022, .id = 217 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .moments = moments,
    .update = update,
    .gradient = gradient,
};

const struct as_plugin AS_PLUGIN(rule__bip) = { .abi = ASSAY_ABI, .rule = &rule };

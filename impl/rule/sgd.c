/* Stochastic gradient descent with momentum.
 *
 * Polyak 1964, "Some methods of speeding up the convergence of iteration methods"; in the form of
 * Sutskever et al. 2013, eq. 1-4, with the rate outside of the velocity, as most programs have it:
 *     v <- mu v + g            w <- w - eta v                 (heavy ball)
 *     v <- mu v + g            w <- w - eta (g + mu v)        (Nesterov)
 * Decay is added to the gradient (L2). Departs: the rate multiplies the velocity when it is used, not when it is
 * gathered; with a constant rate the two are the same.
 */
#include <assay/rule.h>

struct opt { double momentum; int nesterov; };

static const struct as_option options[] = {
    { .key = "momentum", .type = AS_NUM, .offset = offsetof(struct opt, momentum), .def = 0.9, .min = 0, .max = 1,
      .sweep = "0,0.9,0.99", .help = "mu: share of the velocity that is kept" },
    { .key = "nesterov", .type = AS_BOOL, .offset = offsetof(struct opt, nesterov), .def = 0,
      .help = "look ahead along the velocity" },
    { 0 }
};

enum { V };

static int moments(const void *opt)
{
    const struct opt *o = opt;

    return o->momentum > 0 ? 1 : 0;
}

static void update(const struct as_update *u)
{
    const struct opt *o = u->opt;
    real mu = (real)o->momentum, eta = (real)u->rate, decay = (real)u->decay;

    for (ptrdiff_t i = 0; i < u->n; i++) {
        real g = u->g[i] + decay * u->w[i], v = g;

        if (o->momentum > 0)
            v = u->moment[V][i] = mu * u->moment[V][i] + g;
        u->w[i] -= eta * (o->nesterov ? g + mu * v : v);
    }
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "gradient descent with (Nesterov) momentum",
    .paper = { .key = "polyak1964heavyball", .title = "Some methods of speeding up the convergence of iteration methods",
               .url = "https://doi.org/10.1016/0041-5553(64)90137-5", .where = "eq. 9; Sutskever et al. 2013, eq. 1-4",
               .departs = "the rate multiplies the velocity, not the gradient that enters it", .year = 1964 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .moments = moments,
    .update = update,
};

const struct as_plugin AS_PLUGIN(rule__sgd) = { .abi = ASSAY_ABI, .rule = &rule };

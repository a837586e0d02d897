/* AdamW: Adam whose weight decay does not pass through the moments.
 *
 * Loshchilov & Hutter 2019, "Decoupled weight decay regularization", algorithm 2:
 *     m <- beta1 m + (1 - beta1) g                 v <- beta2 v + (1 - beta2) g^2
 *     m^ = m / (1 - beta1^t)                       v^ = v / (1 - beta2^t)
 *     w <- w - eta (m^ / (sqrt(v^) + eps) + lambda w)
 * Departs: the decay is multiplied by the rate and its schedule, as in common programs; the paper multiplies it
 * by the schedule alone. Which weights decay is the trainer's `decay_on` (matrices only, unless told otherwise).
 */
#include <assay/kernel.h>
#include <assay/rule.h>
#include <tgmath.h>

struct opt { double beta1, beta2, eps; };

static const struct as_option options[] = {
    { .key = "beta1", .type = AS_NUM, .offset = offsetof(struct opt, beta1), .def = 0.9, .min = 0, .max = 0.999999,
      .sweep = "0.8,0.9,0.95", .help = "beta1: memory of the first moment" },
    { .key = "beta2", .type = AS_NUM, .offset = offsetof(struct opt, beta2), .def = 0.999, .min = 0,
      .max = 0.99999999, .sweep = "0.95,0.99,0.999", .help = "beta2: memory of the second moment" },
    { .key = "eps", .type = AS_NUM, .offset = offsetof(struct opt, eps), .def = 1e-8, .min = 0, .max = 1,
      .help = "epsilon, added to the root of the second moment" },
    { 0 }
};

enum { M, V, MOMENTS };

static int moments(const void *opt)
{
    (void)opt;
    return MOMENTS;
}

static void update(const struct as_update *u)
{
    const struct opt *o = u->opt;
    struct as_adam a = { .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .keep = 1 - u->rate * u->decay,
                         .rate = u->rate / (1 - pow(o->beta1, (double)u->step)),
                         .unbias = 1 / sqrt(1 - pow(o->beta2, (double)u->step)) };

    as_vadam(u->n, &a, u->g, u->moment[M], u->moment[V], u->w);
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "Adam with decoupled weight decay",
    .paper = { .key = "loshchilov2019adamw", .title = "Decoupled Weight Decay Regularization",
               .url = "https://arxiv.org/abs/1711.05101", .where = "algorithm 2", .departs = "decay is multiplied by rate and schedule, not by the schedule alone", .year = 2019 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .moments = moments,
    .update = update,
};

const struct as_plugin AS_PLUGIN(rule__adamw) = { .abi = ASSAY_ABI, .rule = &rule };

/* online.c: learning while a sequence is gone through, in pieces of `window` steps, with Adam.
 *
 * States are carried from piece to piece and gradients are not:
 *   window = 0   the whole sequence at once: back-propagation through time
 *   window = k   truncated back-propagation, k steps at most (Williams and Peng 1990, with h = h' = k)
 *   window = 1   and layers that carry their sensitivities (mixer = elstm, mixer.sensitivities = on): real-time
 *                recurrent learning (Williams and Zipser 1989), exact for one layer with an element-wise recurrence
 *                (Irie et al. 2023, section 3.2); memory does not grow with the length
 * update = sequence adds the pieces' gradients up and makes one step of the optimiser, as any rule; update = piece
 * makes one after each piece in which something was asked, so the second half of a sequence is met with other weights
 * than the first, and sensitivities are those of weights that have moved since (Irie et al. 2023, section 2.2).
 * The optimiser is Adam (Kingma and Ba 2015, algorithm 1); decay is L2, as in rule `adam`.
 */
#include <assay/kernel.h>
#include <assay/rule.h>
#include <assay/train.h>
#include <tgmath.h>

struct opt { int window, update; double beta1, beta2, eps; };
enum { SEQUENCE, PIECE };

static const struct as_option options[] = {
    { .key = "window", .type = AS_INT, .offset = offsetof(struct opt, window), .def = 1, .min = 0, .max = 1 << 20,
      .sweep = "0,1,10", .help = "k: steps of a piece; gradients go no further back; 0: the whole sequence" },
    { .key = "update", .type = AS_WORD, .offset = offsetof(struct opt, update), .words = "sequence|piece",
      .sweep = "sequence,piece", .help = "when the weights change: after the sequences, or each piece with targets" },
    { .key = "beta1", .type = AS_NUM, .offset = offsetof(struct opt, beta1), .def = 0.9, .min = 0, .max = 0.999999,
      .help = "beta1: memory of the first moment" },
    { .key = "beta2", .type = AS_NUM, .offset = offsetof(struct opt, beta2), .def = 0.999, .min = 0,
      .max = 0.99999999, .help = "beta2: memory of the second moment" },
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
    struct as_adam a = { .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .keep = 1, .couple = u->decay,
                         .rate = u->rate / (1 - pow(o->beta1, (double)u->step)),
                         .unbias = 1 / sqrt(1 - pow(o->beta2, (double)u->step)) };

    as_vadam(u->n, &a, u->g, u->moment[M], u->moment[V], u->w);
}

static void gradient(const void *opt, struct as_pass *pass)
{
    const struct opt *o = opt;
    ptrdiff_t time = pass->batch->time;

    if (o->window == 0) {
        as_pass_backprop(pass);
        return;
    }
    for (ptrdiff_t from = 0; from < time; from += o->window)
        if (as_pass_window(pass, from, o->window) > 0 && o->update == PIECE)
            as_pass_update(pass);
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "Adam on gradients had piece by piece: truncated back-propagation, or real-time recurrent learning",
    .paper = { .key = "irie2023rtrl", .title = "Exploring the Promise and Limits of Real-Time Recurrent Learning",
               .url = "https://arxiv.org/abs/2305.19044", .where = "sections 2.2 and 3.2",
               .departs = "supervised sequences instead of actor-critic; pieces of truncated back-propagation do not "
                          "overlap", .year = 2023, .id = 256 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .moments = moments,
    .update = update,
    .gradient = gradient,
};

const struct as_plugin AS_PLUGIN(rule__online) = { .abi = ASSAY_ABI, .rule = &rule };

/* conv-bn.h: what the two studies of convolution blocks in four modes share: models of one configuration in each mode
 * (model = convnet, block = conv-bn), and one model's weights handed to another, folded where the other is in deploy.
 */
#ifndef STUDY_CONV_BN_H
#define STUDY_CONV_BN_H

#include <assay/study.h>
#include <math.h>
#include <string.h>

enum { TRAIN, EVAL, DEPLOY, TUNE, MODES };
static const char *const mode_name[MODES] = { "train", "eval", "deploy", "tune" };

static inline struct as_model *model_in(const struct as_config *config, const struct as_data_shape *shape, int mode,
                                        uint64_t seed)
{
    struct as_config *cfg = as_config_copy(config);
    struct as_model *m;

    as_config_set(cfg, "block.mode", mode_name[mode], true);
    m = as_model_new(cfg, shape, seed);
    as_config_free(cfg);
    return m;
}

static inline struct as_named_weight weight_of(const struct as_model *m, const char *name, ptrdiff_t *n)
{
    struct as_named_weight w = as_model_weight(m, name);

    if (!w.w)
        as_fail(AS_REFUSED, "there is no weight %s: the study wants model = convnet with block = conv-bn", name);
    *n = 1;
    for (int i = 0; i < w.rank; i++)
        *n *= w.dim[i];
    return w;
}

static inline void hand_over(const struct as_model *from, struct as_model *to, const char *name)
{
    ptrdiff_t n, room;
    const real *w = weight_of(from, name, &n).w;
    real *v = weight_of(to, name, &room).w;

    if (n != room)
        as_fail(AS_FAILED, "%s has %td numbers in one model and %td in the other", name, n, room);
    memcpy(v, w, (size_t)n * sizeof *v);
}

/* gamma / sqrt(sigma2 + eps) of channel o of block i. */
static inline double coefficient_of(const struct as_model *m, int i, ptrdiff_t o, double eps)
{
    ptrdiff_t n;

    return (double)weight_of(m, as_say("block%d.gamma", i), &n).w[o] /
           sqrt((double)weight_of(m, as_say("block%d.variance", i), &n).w[o] + eps);
}

/* W' = c W, b' = beta - c mu. */
static inline void fold_block(const struct as_model *from, struct as_model *to, int i, double eps)
{
    ptrdiff_t all, out, n;
    const real *w = weight_of(from, as_say("block%d.W", i), &all).w;
    const real *beta = weight_of(from, as_say("block%d.beta", i), &out).w;
    const real *mean = weight_of(from, as_say("block%d.mean", i), &n).w;
    real *folded = weight_of(to, as_say("block%d.W", i), &n).w, *b = weight_of(to, as_say("block%d.b", i), &n).w;

    for (ptrdiff_t o = 0; o < out; o++) {
        double c = coefficient_of(from, i, o, eps);

        for (ptrdiff_t k = o * (all / out); k < (o + 1) * (all / out); k++)
            folded[k] = (real)(c * (double)w[k]);
        b[o] = (real)((double)beta[o] - c * (double)mean[o]);
    }
}

static inline int count_blocks(const struct as_model *m)
{
    int n = 0;

    while (as_model_weight(m, as_say("block%d.W", n)).w)
        n++;
    return n;
}

/* The geometric mean of all blocks' coefficients, by absolute value. */
static inline double mean_coefficient(const struct as_model *m, double eps)
{
    double sum = 0;
    ptrdiff_t out, n = 0;

    for (int i = 0; i < count_blocks(m); i++) {
        weight_of(m, as_say("block%d.gamma", i), &out);
        for (ptrdiff_t o = 0; o < out; o++)
            sum += log(fabs(coefficient_of(m, i, o, eps)) + 1e-12);
        n += out;
    }
    return exp(sum / (double)n);
}

/* A model that is not in deploy to one in `mode`, blocks and, where asked for, the head. */
static inline void hand_over_model(const struct as_model *from, struct as_model *to, int mode, bool head, double eps)
{
    const char *why = mode == DEPLOY ? NULL : as_model_adopt(to, from, head ? NULL : "W_head, b_head");

    if (why)
        as_fail(AS_FAILED, "%s", why);
    if (mode != DEPLOY)
        return;
    for (int i = 0; i < count_blocks(from); i++)
        fold_block(from, to, i, eps);
    if (head) {
        hand_over(from, to, "W_head");
        hand_over(from, to, "b_head");
    }
}

#endif

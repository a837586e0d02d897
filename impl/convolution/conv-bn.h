/* conv-bn.h: what conv-bn.c (the variant) and conv-bn-im2col.h (its implementation) share. */
#ifndef CONVOLUTION_CONV_BN_H
#define CONVOLUTION_CONV_BN_H

#include <assay/layer.h>

struct conv_bn { int channels, kernel, mode; double eps, momentum; };
enum { TRAIN, EVAL, DEPLOY, TUNE };
enum { W, GAMMA, BETA, MEAN, VARIANCE, B };      /* deploy has W and B, the other modes all but B */

static inline ptrdiff_t conv_bn_channels(const struct conv_bn *o, ptrdiff_t in)
{
    return o->channels ? o->channels : in;
}

#endif

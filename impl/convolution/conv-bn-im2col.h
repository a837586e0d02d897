/* conv-bn-im2col.h: the block by products of gathered pixels, with what each mode has to keep for the way back.
 *
 * The k x k surroundings of each pixel are gathered into a row of `seen` (im2col), a few images at a time; then
 *   eval     z = seen W^T is kept, for gamma's gradient; y = z c + s,  c = gamma / sqrt(sigma2 + eps), s = beta - mu c
 *   tune     y = seen (W c)^T + s: nothing is kept, W c is formed again on the way back:
 *            dW = c dW',  dgamma = (sum dW' W - mu sum dy) / sqrt(sigma2 + eps),  dbeta = sum dy
 *   deploy   y = seen W^T + b
 * so that the block holds its input and z, or its input alone. Training statistics are written by the graph only: a
 * kernel gets statistics to read.
 */
#ifndef CONVOLUTION_CONV_BN_IM2COL_H
#define CONVOLUTION_CONV_BN_IM2COL_H

#include "conv-bn.h"
#include <assay/kernel.h>
#include <assay/parallel.h>
#include <string.h>
#include <tgmath.h>

enum { Z };                                          /* saved, eval only */
enum { SEEN, FOLDED, DW, FACTOR, SUMS, DZ };         /* scratch */
enum { GATHERED = 1 << 18 };                         /* elements of `seen`, about */

struct job {
    const struct as_call *call;
    int mode;
    ptrdiff_t batch, height, width, in, out, side;
    ptrdiff_t image, seen, group;                    /* pixels an image; numbers a row; images at a time */
    ptrdiff_t first, n;                              /* the images under way */
    real *c, *s, *r;                                /* (out): c, s, 1 / sqrt(sigma2 + eps) */
    const real *w;                                  /* (out, seen): W, or W c */
};

static struct job job_of(const void *opt, const struct as_spec *in)
{
    const struct conv_bn *o = opt;
    struct job j = { .mode = o->mode, .batch = in->dim[0], .height = in->dim[1], .width = in->dim[2], .in = in->dim[3],
                     .out = conv_bn_channels(o, in->dim[3]), .side = o->kernel };

    j.image = j.height * j.width;
    j.seen = j.side * j.side * j.in;
    j.group = j.image * j.seen > 0 ? GATHERED / (j.image * j.seen) : 1;
    j.group = j.group < 1 ? 1 : j.group > j.batch ? j.batch : j.group;
    return j;
}

static const char *can(const void *opt, int n_in, const struct as_spec *in)
{
    (void)n_in;
    (void)in;
    return ((const struct conv_bn *)opt)->mode == TRAIN ? "mode = train writes running statistics; the graph does it"
                                                        : NULL;
}

static void room(struct as_room *r)
{
    struct job j = job_of(r->opt, r->in);

    r->scratch[SEEN] = (size_t)(j.group * j.image * j.seen);
    r->scratch[FOLDED] = (size_t)(j.mode == TUNE ? j.out * j.seen : 0);
    r->scratch[FACTOR] = (size_t)(3 * j.out);
    if (!r->gradients)
        return;
    r->saved[Z] = (size_t)(j.mode == EVAL ? j.batch * j.image * j.out : 0);
    r->scratch[DW] = (size_t)(j.out * j.seen);
    r->scratch[SUMS] = (size_t)(2 * j.batch * j.out);
    r->scratch[DZ] = (size_t)(j.mode == EVAL ? j.group * j.image * j.out : 0);
}

/* Factors, and the filters that are used. */
static struct job start(const struct as_call *call)
{
    struct job j = job_of(call->opt, call->in);
    const real *w = call->w[W];
    real *folded = call->scratch[FOLDED];
    double eps = ((const struct conv_bn *)call->opt)->eps;

    j.call = call;
    j.c = call->scratch[FACTOR];
    j.s = j.c + j.out;
    j.r = j.s + j.out;
    j.w = j.mode == TUNE ? folded : w;
    for (ptrdiff_t o = 0; o < j.out; o++) {
        if (j.mode == DEPLOY) {
            j.c[o] = 1;
            j.s[o] = call->w[B][o];
            continue;
        }
        j.r[o] = 1 / sqrt(call->w[VARIANCE][o] + (real)eps);
        j.c[o] = call->w[GAMMA][o] * j.r[o];
        j.s[o] = call->w[BETA][o] - call->w[MEAN][o] * j.c[o];
        for (ptrdiff_t i = 0; j.mode == TUNE && i < j.seen; i++)
            folded[o * j.seen + i] = w[o * j.seen + i] * j.c[o];
    }
    return j;
}

/* --- surroundings ----------------------------------------------------------------------------------------- */

static void gather_image(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;
    const real *x = j->call->x[0] + (j->first + b) * j->image * j->in;
    real *row = (real *)j->call->scratch[SEEN] + b * j->image * j->seen;
    ptrdiff_t pad = j->side / 2;

    for (ptrdiff_t p = 0; p < j->image; p++)
        for (ptrdiff_t t = 0; t < j->side * j->side; t++, row += j->in) {
            ptrdiff_t h = p / j->width + t / j->side - pad, v = p % j->width + t % j->side - pad;

            if (h < 0 || h >= j->height || v < 0 || v >= j->width)
                memset(row, 0, (size_t)j->in * sizeof *row);
            else
                for (ptrdiff_t i = 0; i < j->in; i++)
                    row[i] = x[(h * j->width + v) * j->in + i];
        }
}

/* The way back: rows of `seen` onto the pixels that they came from. */
static void scatter_image(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;
    real *dx = j->call->dx[0] + (j->first + b) * j->image * j->in;
    const real *row = (const real *)j->call->scratch[SEEN] + b * j->image * j->seen;
    ptrdiff_t pad = j->side / 2;

    for (ptrdiff_t p = 0; p < j->image; p++)
        for (ptrdiff_t t = 0; t < j->side * j->side; t++, row += j->in) {
            ptrdiff_t h = p / j->width + t / j->side - pad, v = p % j->width + t % j->side - pad;

            if (h >= 0 && h < j->height && v >= 0 && v < j->width)
                for (ptrdiff_t i = 0; i < j->in; i++)
                    dx[(h * j->width + v) * j->in + i] += row[i];
        }
}

static void over_images(struct job *j, void (*piece)(void *ctx, ptrdiff_t b))
{
    as_parallel(j->n, (double)(j->n * j->image * j->seen), piece, j);
}

/* --- forward ---------------------------------------------------------------------------------------------- */

/* y = z c + s for one image; z is y itself where the factor is in the filters already, or nothing is kept. */
static void affine_image(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;
    ptrdiff_t at = (j->first + b) * j->image * j->out;
    bool kept = j->mode == EVAL && j->call->saved;
    const real *z = kept ? (const real *)j->call->saved[Z] + at : j->call->y + at;
    real *y = j->call->y + at;

    for (ptrdiff_t p = 0; p < j->image; p++)
        for (ptrdiff_t o = 0; o < j->out; o++)
            y[p * j->out + o] = (j->mode == EVAL ? z[p * j->out + o] * j->c[o] : z[p * j->out + o]) + j->s[o];
}

static void forward(const struct as_call *call)
{
    struct job j = start(call);
    real *z = j.mode == EVAL && call->saved ? call->saved[Z] : call->y, *seen = call->scratch[SEEN];

    for (j.first = 0; j.first < j.batch; j.first += j.n) {
        j.n = j.batch - j.first < j.group ? j.batch - j.first : j.group;
        over_images(&j, gather_image);
        as_gemm(0, 1, j.n * j.image, j.out, j.seen, 1, seen, j.seen, j.w, j.seen, 0, z + j.first * j.image * j.out,
                j.out);
        over_images(&j, affine_image);
    }
}

/* --- back ------------------------------------------------------------------------------------------------- */

/* Sums over the pixels of one image: of dy, and of dy z where gamma wants it; and dz = dy c. */
static void sum_image(void *ctx, ptrdiff_t b)
{
    const struct job *j = ctx;
    ptrdiff_t at = (j->first + b) * j->image * j->out;
    const real *dy = j->call->dy + at, *z = j->mode == EVAL ? (const real *)j->call->saved[Z] + at : NULL;
    real *sum = (real *)j->call->scratch[SUMS] + 2 * (j->first + b) * j->out, *along = sum + j->out;
    real *dz = z ? (real *)j->call->scratch[DZ] + b * j->image * j->out : NULL;

    memset(sum, 0, 2 * (size_t)j->out * sizeof *sum);
    for (ptrdiff_t p = 0; p < j->image * j->out; p += j->out)
        for (ptrdiff_t o = 0; o < j->out; o++) {
            sum[o] += dy[p + o];
            if (z) {
                along[o] += dy[p + o] * z[p + o];
                dz[p + o] = dy[p + o] * j->c[o];
            }
        }
}

/* Gradients of the weights from dW', sum dy and sum dy z. */
static void finish(const struct job *j)
{
    real *const *dw = j->call->dw;
    const real *product = j->call->scratch[DW], *part = j->call->scratch[SUMS], *w = j->call->w[W];

    for (ptrdiff_t o = 0; o < j->out; o++) {
        real sum = 0, along = 0;

        for (ptrdiff_t b = 0; b < j->batch; b++) {
            sum += part[2 * b * j->out + o];
            along += part[(2 * b + 1) * j->out + o];
        }
        for (ptrdiff_t i = o * j->seen; i < (o + 1) * j->seen; i++) {
            along += j->mode == TUNE ? product[i] * w[i] : 0;
            if (dw[W])
                dw[W][i] += j->mode == TUNE ? product[i] * j->c[o] : product[i];
        }
        if (j->mode == DEPLOY && dw[B])
            dw[B][o] += sum;
        if (j->mode != DEPLOY && dw[GAMMA])
            dw[GAMMA][o] += (along - j->call->w[MEAN][o] * sum) * j->r[o];
        if (j->mode != DEPLOY && dw[BETA])
            dw[BETA][o] += sum;
    }
}

static void backward(const struct as_call *call)
{
    struct job j = start(call);
    real *seen = call->scratch[SEEN], *product = call->scratch[DW];

    memset(product, 0, (size_t)(j.out * j.seen) * sizeof *product);
    for (j.first = 0; j.first < j.batch; j.first += j.n) {
        const real *dz = j.mode == EVAL ? call->scratch[DZ] : call->dy + j.first * j.image * j.out;

        j.n = j.batch - j.first < j.group ? j.batch - j.first : j.group;
        over_images(&j, gather_image);
        over_images(&j, sum_image);
        as_gemm(1, 0, j.out, j.seen, j.n * j.image, 1, dz, j.out, seen, j.seen, 1, product, j.seen);
        if (!call->dx[0])
            continue;
        as_gemm(0, 0, j.n * j.image, j.seen, j.out, 1, dz, j.out, j.w, j.seen, 0, seen, j.seen);
        over_images(&j, scatter_image);
    }
    finish(&j);
}

static const struct as_impl im2col = {
    .abi = ASSAY_ABI, .name = "im2col", .rank = 10, .can = can, .plan = room, .forward = forward, .backward = backward,
};

#endif

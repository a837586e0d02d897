/* autoencoder.h: a small convolutional encoder of square grey images, for studies of what learns on frozen features.
 * Two 3 x 3 convolutions of stride 2 with ReLU; it is trained with a linear decoder on the squared error of the pixels,
 * by Adam. Features are centred and divided by their root mean square, both taken on the images that it was trained on.
 */
#include <assay/kernel.h>
#include <assay/ops.h>
#include <assay/random.h>
#include <string.h>
#include <tgmath.h>

enum { AE_BATCH = 100, AE_BLOCK = 500 };
enum { W1, B1, W2, B2, WD, BD, AE_PARTS };

struct autoencoder {
    ptrdiff_t side, channels, width; /* width: of the features */
    ptrdiff_t at[AE_PARTS + 1];      /* where each weight begins */
    real *w, *dw, *mean;             /* mean: (width) */
    double over;                     /* 1 / root mean square */
};

static struct as_node *ae_weight(const struct autoencoder *e, struct as_tape *t, int i, int rank, const ptrdiff_t *dims)
{
    return as_node_wrap(t, rank, dims, e->w + e->at[i], e->dw + e->at[i]);
}

/* x (rows, side * side) -> (rows, width). */
static struct as_node *ae_encode(const struct autoencoder *e, struct as_tape *t, struct as_node *x)
{
    struct as_conv c = { .stride = { 2, 2 }, .pad_before = { 1, 1 }, .pad_after = { 1, 1 } };
    ptrdiff_t n = e->channels, rows = x->dim[0];

    x = as_reshape(t, x, 4, (ptrdiff_t[]){ rows, e->side, e->side, 1 });
    x = as_conv2d(t, x, ae_weight(e, t, W1, 4, (ptrdiff_t[]){ n, 1, 3, 3 }), ae_weight(e, t, B1, 1, &n), c);
    x = as_relu(t, x);
    x = as_conv2d(t, x, ae_weight(e, t, W2, 4, (ptrdiff_t[]){ n, n, 3, 3 }), ae_weight(e, t, B2, 1, &n), c);
    return as_reshape(t, as_relu(t, x), 2, (ptrdiff_t[]){ rows, e->width });
}

static real *ae_raw(const struct autoencoder *e, struct as_arena *a, ptrdiff_t n, real *x)
{
    ptrdiff_t d = e->side * e->side;
    real *f = as_arena_take(a, as_size(as_size((size_t)n, (size_t)e->width), sizeof *f));
    struct as_tape *t = as_tape_new();

    as_tape_record(t, false);
    for (ptrdiff_t from = 0; from < n; from += AE_BLOCK) {
        ptrdiff_t rows = n - from < AE_BLOCK ? n - from : AE_BLOCK;
        struct as_node *in;

        as_tape_reset(t);
        in = as_node_wrap(t, 2, (ptrdiff_t[]){ rows, d }, x + from * d, NULL);
        memcpy(f + from * e->width, ae_encode(e, t, in)->x, (size_t)(rows * e->width) * sizeof *f);
    }
    as_tape_free(t);
    return f;
}

static void ae_scale(struct autoencoder *e, struct as_arena *a, ptrdiff_t n, real *x)
{
    const real *f = ae_raw(e, a, n, x);
    double square = 0;

    e->mean = as_arena_take(a, as_size((size_t)e->width, sizeof *e->mean));
    for (ptrdiff_t j = 0; j < e->width; j++) {
        double mean = 0;

        for (ptrdiff_t r = 0; r < n; r++)
            mean += (double)f[r * e->width + j] / (double)n;
        for (ptrdiff_t r = 0; r < n; r++)
            square += ((double)f[r * e->width + j] - mean) * ((double)f[r * e->width + j] - mean);
        e->mean[j] = (real)mean;
    }
    e->over = square > 0 ? sqrt((double)(n * e->width) / square) : 1;
}

static void ae_step(const struct autoencoder *e, struct as_tape *t, const struct as_adam *adam, real *x, real *moment)
{
    ptrdiff_t d = e->side * e->side, n = e->at[AE_PARTS];
    struct as_node *in, *y;

    as_tape_reset(t);
    in = as_node_wrap(t, 2, (ptrdiff_t[]){ AE_BATCH, d }, x, NULL);
    y = as_linear(t, ae_encode(e, t, in), ae_weight(e, t, WD, 2, (ptrdiff_t[]){ d, e->width }),
                  ae_weight(e, t, BD, 1, &d));
    y = as_scale(t, as_sum_all(t, as_squared_error(t, y, in)), 1 / (AE_BATCH * (double)d));
    memset(e->dw, 0, (size_t)n * sizeof *e->dw);
    as_backward(t, y, R(1.0));
    as_vadam(n, adam, e->dw, moment, moment + n, e->w);
}

/* Trained on x (n, side * side), `steps` steps of batches drawn from it; side at least 1. Lives in the arena. */
static struct autoencoder autoencoder_train(struct as_arena *a, struct as_key key, ptrdiff_t side, ptrdiff_t channels,
                                            int steps, ptrdiff_t n, real *x)
{
    ptrdiff_t c = channels, d = side * side, last = ((side + 1) / 2 + 1) / 2;
    struct autoencoder e = { .side = side, .channels = c, .width = last * last * c };
    ptrdiff_t size[AE_PARTS] = { 9 * c, c, 9 * c * c, c, d * e.width, d };
    ptrdiff_t fan[AE_PARTS] = { 9, 0, 9 * c, 0, e.width, 0 };      /* 0: begins at zero */
    struct as_tape *t = as_tape_new();
    real *moment, *batch = as_arena_take(a, as_size((size_t)(AE_BATCH * d), sizeof *batch));

    for (int i = 0; i < AE_PARTS; i++)
        e.at[i + 1] = e.at[i] + size[i];
    e.w = as_arena_zero(a, as_size((size_t)e.at[AE_PARTS], sizeof *e.w));
    e.dw = as_arena_zero(a, as_size((size_t)e.at[AE_PARTS], sizeof *e.dw));
    moment = as_arena_zero(a, as_size((size_t)(2 * e.at[AE_PARTS]), sizeof *moment));
    for (int i = 0; i < AE_PARTS; i++)
        for (ptrdiff_t j = e.at[i]; j < e.at[i + 1] && fan[i]; j++)
            e.w[j] = (real)(sqrt(2 / (double)fan[i]) * (double)as_normal(as_subkey(key, 0), (uint64_t)j));
    for (int s = 1; s <= steps; s++) {
        struct as_adam adam = { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .keep = 1,
                                .rate = 1e-3 / (1 - pow(0.9, s)), .unbias = 1 / sqrt(1 - pow(0.999, s)) };

        for (ptrdiff_t r = 0; r < AE_BATCH; r++)
            memcpy(batch + r * d, x + d * as_below(as_subkey(key, 1), (uint64_t)(s * AE_BATCH + r), (uint32_t)n),
                   (size_t)d * sizeof *x);
        ae_step(&e, t, &adam, batch, moment);
    }
    as_tape_free(t);
    ae_scale(&e, a, n, x);
    return e;
}

/* The features (n, width) of x (n, side * side), in the arena. */
static real *autoencoder_features(const struct autoencoder *e, struct as_arena *a, ptrdiff_t n, real *x)
{
    real *f = ae_raw(e, a, n, x);

    for (ptrdiff_t i = 0; i < n * e->width; i++)
        f[i] = (real)(((double)f[i] - (double)e->mean[i % e->width]) * e->over);
    return f;
}

/* long-conv.fft.c: the long convolution through Fourier transforms over time, of sixteen channels side by side.
 *
 * Zero-padded to n >= 2 time, a power of two, y = F^-1(F h . F x). Channels lie next to each other in memory, so each
 * butterfly works on sixteen of them at once and nothing is transposed. Two rows of the batch are one complex
 * signal: h is real, so real and imaginary part come out as the two rows' results, and sum over pairs of
 * F^-1(conj(F x) . F dy) has in its real part the gradient of h.
 * The forward transform decimates in frequency and leaves its numbers in digit-reversed order; the inverse takes them
 * as they are. Both go depth first, so that small transforms stay in the first cache.
 * These transforms are our own because FFTW's work on one sequence after another: of channels that lie side by side, or
 * once they are transposed, the transforms of x, y and their gradients alone took longer than the whole step here
 * (FFTW 3.3.10, one thread, 8 x 1,024 x 256: 296 and 56 ms against 54).
 * Nothing is kept from forward to backward. Steps behind a row's end count as zeros. What is earlier sees what is
 * later by rounding only.
 */
#include <assay/layer.h>
#include <assay/parallel.h>
#include <math.h>
#include <string.h>

enum { LANES = 16 };
typedef float lanes __attribute__((vector_size(LANES * sizeof(float))));
struct point { lanes re, im; };              /* one frequency, or one step, of sixteen channels */

#define INLINE static inline __attribute__((always_inline))

struct longconv { int length; };             /* as in long-conv.c */
enum { FILTER };
enum { TABLE, H, Z, X, S };                  /* scratch */
enum { PIECES = 8 };                         /* at least so many, when there are pairs to share out */

struct job {
    const struct as_call *call;
    ptrdiff_t batch, time, d, taps, n;       /* n: length of the transforms */
    ptrdiff_t blocks, pairs, groups;         /* of channels; of rows; parts that the pairs are cut into */
    const float *table;                      /* (n, 2): exp(-2 pi i k / n) */
    struct point *h, *z, *x, *s;             /* (blocks, n); (blocks, groups, n) */
};

static struct job sizes_of(const void *opt, const struct as_spec *in)
{
    ptrdiff_t taps = ((const struct longconv *)opt)->length;
    struct job j = { .batch = in->dim[0], .time = in->dim[1], .d = in->dim[2], .n = 2 };

    j.taps = taps < j.time ? taps : j.time;
    while (j.n < 2 * j.time)
        j.n *= 2;
    j.blocks = (j.d + LANES - 1) / LANES;
    j.pairs = (j.batch + 1) / 2;
    j.groups = j.blocks < PIECES && j.blocks > 0 ? PIECES / j.blocks : 1;
    j.groups = j.groups < j.pairs ? j.groups : j.pairs > 0 ? j.pairs : 1;
    return j;
}

static void plan(struct as_room *r)
{
    struct job j = sizes_of(r->opt, r->in);
    size_t block = as_size((size_t)(j.blocks * j.n), 2 * LANES), all = as_size(block, (size_t)j.groups);

    r->scratch[TABLE] = (size_t)(2 * j.n);
    r->scratch[H] = block;
    r->scratch[Z] = all;
    r->scratch[X] = r->scratch[S] = r->gradients ? all : 0;
}

/* ---- Transforms of n numbers, `step` apart in the table ---- */

INLINE struct point add(struct point a, struct point b)
{
    return (struct point){ a.re + b.re, a.im + b.im };
}

INLINE struct point sub(struct point a, struct point b)
{
    return (struct point){ a.re - b.re, a.im - b.im };
}

/* a w, or a conj(w); w is a number of the table. */
INLINE struct point turn(struct point a, const float *w, const int back)
{
    const float re = w[0], im = back ? -w[1] : w[1];

    return (struct point){ a.re * re - a.im * im, a.im * re + a.re * im };
}

/* -i a, or i a. */
INLINE struct point quarter(struct point a, const int back)
{
    return back ? (struct point){ -a.im, a.re } : (struct point){ a.im, -a.re };
}

static void two(struct point *z)
{
    struct point a = z[0], b = z[1];

    z[0] = add(a, b);
    z[1] = sub(a, b);
}

INLINE void four(struct point *z, const int back)
{
    struct point a = add(z[0], z[2]), b = sub(z[0], z[2]), c = add(z[1], z[3]), d = quarter(sub(z[1], z[3]), back);

    z[0] = add(a, c);
    z[1] = add(b, d);
    z[2] = sub(a, c);
    z[3] = sub(b, d);
}

static void transform(struct point *z, ptrdiff_t n, const float *table, ptrdiff_t step)
{
    ptrdiff_t q = n / 4;

    if (n <= 4) {
        if (n == 4)
            four(z, 0);
        else if (n == 2)
            two(z);
        return;
    }
    for (ptrdiff_t j = 0; j < q; j++) {
        struct point a = add(z[j], z[j + 2 * q]), b = sub(z[j], z[j + 2 * q]);
        struct point c = add(z[j + q], z[j + 3 * q]), d = quarter(sub(z[j + q], z[j + 3 * q]), 0);
        const float *w = table + 2 * j * step;

        z[j] = add(a, c);
        z[j + q] = turn(add(b, d), w, 0);
        z[j + 2 * q] = turn(sub(a, c), w + 2 * j * step, 0);
        z[j + 3 * q] = turn(sub(b, d), w + 4 * j * step, 0);
    }
    for (int k = 0; k < 4; k++)
        transform(z + k * q, q, table, 4 * step);
}

static void inverse(struct point *z, ptrdiff_t n, const float *table, ptrdiff_t step)
{
    ptrdiff_t q = n / 4;

    if (n <= 4) {
        if (n == 4)
            four(z, 1);
        else if (n == 2)
            two(z);
        return;
    }
    for (int k = 0; k < 4; k++)
        inverse(z + k * q, q, table, 4 * step);
    for (ptrdiff_t j = 0; j < q; j++) {
        const float *w = table + 2 * j * step;
        struct point a = z[j], b = turn(z[j + q], w, 1), c = turn(z[j + 2 * q], w + 2 * j * step, 1);
        struct point d = turn(z[j + 3 * q], w + 4 * j * step, 1);
        struct point s = add(a, c), t = sub(a, c), u = add(b, d), v = quarter(sub(b, d), 1);

        z[j] = add(s, u);
        z[j + q] = add(t, v);
        z[j + 2 * q] = sub(s, u);
        z[j + 3 * q] = sub(t, v);
    }
}

/* ---- From and to rows of numbers, `d` apart, of which m <= LANES channels count ---- */

INLINE lanes load(const float *x, ptrdiff_t m)
{
    lanes v = { 0 };

    if (m == LANES)
        memcpy(&v, x, sizeof v);
    else
        memcpy(&v, x, (size_t)m * sizeof *x);
    return v;
}

/* The transform of two signals of `re_n` and `im_n` <= n / 2 numbers, zeros behind them. */
static void from_rows(const struct job *j, const float *re, ptrdiff_t re_n, const float *im, ptrdiff_t im_n,
                      ptrdiff_t m, struct point *z)
{
    ptrdiff_t half = j->n / 2;
    const lanes zero = { 0 };

    for (ptrdiff_t t = 0; t < half; t++) {           /* the first step of decimation, whose second half is zeros */
        struct point a = { t < re_n ? load(re + t * j->d, m) : zero, t < im_n ? load(im + t * j->d, m) : zero };

        z[t] = a;
        z[t + half] = turn(a, j->table + 2 * t, 0);
    }
    transform(z, half, j->table, 2);
    transform(z + half, half, j->table, 2);
}

INLINE void give(float *y, ptrdiff_t m, lanes v, const bool onto)
{
    if (onto)
        v += load(y, m);
    if (m == LANES)
        memcpy(y, &v, sizeof v);
    else
        memcpy(y, &v, (size_t)m * sizeof *y);
}

/* The first re_n and im_n numbers of the two signals whose transform is z, written or added. */
INLINE void to_rows(const struct job *j, struct point *z, float *re, ptrdiff_t re_n, float *im, ptrdiff_t im_n,
                    ptrdiff_t m, const bool onto)
{
    ptrdiff_t half = j->n / 2, most = re_n > im_n ? re_n : im_n;
    const float scale = 1 / (float)j->n;

    inverse(z, half, j->table, 2);
    inverse(z + half, half, j->table, 2);
    for (ptrdiff_t t = 0; t < most; t++) {
        struct point a = add(z[t], turn(z[t + half], j->table + 2 * t, 1));

        if (t < re_n)
            give(re + t * j->d, m, a.re * scale, onto);
        if (t < im_n)
            give(im + t * j->d, m, a.im * scale, onto);
    }
}

/* ---- The pieces ---- */

static ptrdiff_t width_of(const struct job *j, ptrdiff_t block)
{
    return j->d - block * LANES < LANES ? j->d - block * LANES : LANES;
}

static void filter_piece(void *ctx, ptrdiff_t block)
{
    const struct job *j = ctx;

    from_rows(j, j->call->w[FILTER] + block * LANES, j->taps, NULL, 0, width_of(j, block), j->h + block * j->n);
}

/* Valid steps of a row; 0 for the row that makes a pair of the last one. */
static ptrdiff_t valid(const struct job *j, ptrdiff_t row)
{
    return row >= j->batch ? 0 : j->call->length ? j->call->length[row] : j->time;
}

static void rows_in(const struct job *j, const float *x, ptrdiff_t pair, ptrdiff_t block, bool whole, struct point *z)
{
    ptrdiff_t first = 2 * pair, size = j->time * j->d;
    const float *re = x + first * size + block * LANES;
    ptrdiff_t re_n = whole ? j->time : valid(j, first);
    ptrdiff_t im_n = first + 1 == j->batch ? 0 : whole ? j->time : valid(j, first + 1);

    from_rows(j, re, re_n, im_n ? re + size : NULL, im_n, width_of(j, block), z);
}

static void forward_piece(void *ctx, ptrdiff_t i)
{
    const struct job *j = ctx;
    ptrdiff_t block = i / j->groups, group = i % j->groups, size = j->time * j->d;
    const struct point *h = j->h + block * j->n;
    struct point *z = j->z + i * j->n;

    for (ptrdiff_t p = group * j->pairs / j->groups; p < (group + 1) * j->pairs / j->groups; p++) {
        float *y = j->call->y + 2 * p * size + block * LANES;
        bool two_rows = 2 * p + 1 < j->batch;

        rows_in(j, j->call->x[0], p, block, false, z);
        for (ptrdiff_t k = 0; k < j->n; k++)
            z[k] = (struct point){ z[k].re * h[k].re - z[k].im * h[k].im, z[k].re * h[k].im + z[k].im * h[k].re };
        to_rows(j, z, y, j->time, two_rows ? y + size : NULL, two_rows ? j->time : 0, width_of(j, block), false);
    }
}

static void backward_pair(const struct job *j, ptrdiff_t i, ptrdiff_t block, ptrdiff_t p)
{
    const struct point *h = j->h + block * j->n;
    struct point *z = j->z + i * j->n, *x = j->x + i * j->n, *s = j->s + i * j->n;

    rows_in(j, j->call->dy, p, block, true, z);
    if (j->call->dw[FILTER]) {
        rows_in(j, j->call->x[0], p, block, false, x);
        for (ptrdiff_t k = 0; k < j->n; k++) {
            s[k].re += x[k].re * z[k].re + x[k].im * z[k].im;
            s[k].im += x[k].re * z[k].im - x[k].im * z[k].re;
        }
    }
    if (j->call->dx[0]) {
        float *dx = j->call->dx[0] + 2 * p * j->time * j->d + block * LANES;

        for (ptrdiff_t k = 0; k < j->n; k++)
            z[k] = (struct point){ z[k].re * h[k].re + z[k].im * h[k].im, z[k].im * h[k].re - z[k].re * h[k].im };
        to_rows(j, z, dx, valid(j, 2 * p), dx + j->time * j->d, valid(j, 2 * p + 1), width_of(j, block), true);
    }
}

static void backward_piece(void *ctx, ptrdiff_t i)
{
    const struct job *j = ctx;
    ptrdiff_t block = i / j->groups, group = i % j->groups;

    memset(j->s + i * j->n, 0, (size_t)j->n * sizeof *j->s);
    for (ptrdiff_t p = group * j->pairs / j->groups; p < (group + 1) * j->pairs / j->groups; p++)
        backward_pair(j, i, block, p);
}

/* The groups' sums in their order, and back to taps. */
static void taps_piece(void *ctx, ptrdiff_t block)
{
    const struct job *j = ctx;
    struct point *s = j->s + block * j->groups * j->n;

    for (ptrdiff_t g = 1; g < j->groups; g++)
        for (ptrdiff_t k = 0; k < j->n; k++)
            s[k] = add(s[k], s[g * j->n + k]);
    to_rows(j, s, j->call->dw[FILTER] + block * LANES, j->taps, NULL, 0, width_of(j, block), true);
}

/* ---- The calls ---- */

/* exp(-2 pi i k / n) in double from two short tables: (k / 64) * 64 and k mod 64. */
static void fill(float *table, ptrdiff_t n)
{
    const double angle = -6.283185307179586 / (double)n;
    double re[64], im[64];

    for (ptrdiff_t k = 0; k < 64; k++) {
        re[k] = cos(angle * (double)k);
        im[k] = sin(angle * (double)k);
    }
    for (ptrdiff_t k = 0; k < n; k += 64) {
        double c = cos(angle * (double)k), s = sin(angle * (double)k);

        for (ptrdiff_t i = 0; i < 64 && k + i < n; i++) {
            table[2 * (k + i)] = (float)(c * re[i] - s * im[i]);
            table[2 * (k + i) + 1] = (float)(c * im[i] + s * re[i]);
        }
    }
}

static struct job start(const struct as_call *c)
{
    struct job j = sizes_of(c->opt, c->in);

    j.call = c;
    j.h = c->scratch[H];
    j.z = c->scratch[Z];
    j.x = c->scratch[X];
    j.s = c->scratch[S];
    j.table = c->scratch[TABLE];
    fill(c->scratch[TABLE], j.n);
    as_parallel(j.blocks, 60.0 * (double)(j.n * j.d), filter_piece, &j);
    return j;
}

static void forward(const struct as_call *c)
{
    struct job j = start(c);

    as_parallel(j.blocks * j.groups, 100.0 * (double)(j.n * j.d * j.batch), forward_piece, &j);
}

static void backward(const struct as_call *c)
{
    struct job j = start(c);

    as_parallel(j.blocks * j.groups, 150.0 * (double)(j.n * j.d * j.batch), backward_piece, &j);
    if (c->dw[FILTER])
        as_parallel(j.blocks, 60.0 * (double)(j.n * j.d), taps_piece, &j);
}

/* Transforms by the usual 5 n log2 n, products of frequencies by 6 and their sums by 8. There: the taps, and to and from
 * of each pair of rows; back: the taps again, two to and one from of each pair, and from the taps' sums. */
static double flop_of(const void *opt, int n_in, const struct as_spec *in, bool train)
{
    struct job j = sizes_of(opt, in);
    double n = (double)j.n, transform_of = 5 * n * log2(n), pairs = (double)j.pairs;
    double there = transform_of + pairs * (2 * transform_of + 6 * n);

    (void)n_in;
    return (double)j.d * (there + (train ? pairs * (3 * transform_of + 14 * n) + 2 * transform_of : 0));
}

static const struct as_impl fft = {
    .abi = ASSAY_ABI, .name = "fft", .rank = 10, .plan = plan, .forward = forward, .backward = backward,
    .flop = flop_of,
};

const struct as_plugin AS_PLUGIN(convolution__long_conv__fft) = { .abi = ASSAY_ABI, .impl = { &fft } };

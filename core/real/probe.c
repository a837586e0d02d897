/* probe.c: see assay/probe.h. The features are kept transposed, z (d, n), so that inner loops run along the rows of the
 * sample; work is cut by features and by blocks of rows.
 *
 * Both fits come down to H = c Z Z'/n + ridge I, c = 1 (ridge regression) or 1/2: the curvature of cross-entropy in the
 * logits, diag(p) - p p', is never above 1/2, so a step of -H^-1 gradient never overshoots. Features are centred, so the
 * bias goes by itself, with c alone.
 */
#include <assay/error.h>
#include <assay/parallel.h>
#include <assay/probe.h>
#include <math.h>
#include <string.h>

enum { ROWS = 512 };

struct fit {
    ptrdiff_t n, d;
    int classes;
    const real *x;
    const int32_t *label;
    struct as_probe *p;
    double *z;                       /* (d, n) */
    double *h;                       /* (d, d), then its factor L in the lower half, H = L L' */
    double *out;                     /* (classes, n): outputs, then what they are too much by */
    const double *w, *bias;          /* where the outputs are taken */
    double *step;                    /* (classes, d): gradient, then H^-1 gradient */
};

static void centre_feature(void *ctx, ptrdiff_t j)
{
    struct fit *f = ctx;
    double *z = f->z + j * f->n, mean = 0, square = 0;
    for (ptrdiff_t r = 0; r < f->n; r++)
        mean += z[r] = (double)f->x[r * f->d + j];
    mean /= (double)f->n;
    for (ptrdiff_t r = 0; r < f->n; r++)
        square += (z[r] - mean) * (z[r] - mean);
    double deviation = sqrt(square / (double)f->n);
    /* what is left of a constant is rounding */
    f->p->scale[j] = deviation > 1e-6 * fabs(mean) && deviation > 0 ? 1 / deviation : 0;
    f->p->mean[j] = mean;
    for (ptrdiff_t r = 0; r < f->n; r++)
        z[r] = (z[r] - mean) * f->p->scale[j];
    if (!isfinite(square))
        f->p->scale[j] = (double)NAN;
}

static double dot(ptrdiff_t n, const double *a, const double *b)
{
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (ptrdiff_t r = 0; r < n; r++)
        sum += a[r] * b[r];
    return sum;
}

static void gram_row(void *ctx, ptrdiff_t i)
{
    struct fit *f = ctx;
    for (ptrdiff_t j = 0; j <= i; j++)
        f->h[i * f->d + j] = dot(f->n, f->z + i * f->n, f->z + j * f->n) / (double)f->n;
}

/* H = L L' in place (Cholesky). The ridge keeps the pivots above zero. */
static void factorise(struct fit *f, double curvature, double ridge)
{
    double *h = f->h;
    for (ptrdiff_t i = 0; i < f->d; i++)
        for (ptrdiff_t j = 0; j <= i; j++) {
            double v = curvature * h[i * f->d + j] + (i == j ? ridge : 0) - dot(j, h + i * f->d, h + j * f->d);
            if (i == j && !(v > 0))
                as_fail(AS_FAILED, "as_probe_fit: a ridge of %g is too small for these %td features", ridge, f->d);
            h[i * f->d + j] = i == j ? sqrt(v) : v / h[j * f->d + j];
        }
}

static void solve_class(void *ctx, ptrdiff_t c)
{
    struct fit *f = ctx;
    double *b = f->step + c * f->d;
    for (ptrdiff_t i = 0; i < f->d; i++)
        b[i] = (b[i] - dot(i, f->h + i * f->d, b)) / f->h[i * f->d + i];
    for (ptrdiff_t i = f->d - 1; i >= 0; i--) {
        b[i] /= f->h[i * f->d + i];
        for (ptrdiff_t j = 0; j < i; j++)
            b[j] -= f->h[i * f->d + j] * b[i];
    }
}

/* A block of rows: outputs at w, softmax, less the one-hot label. */
static void excess_block(void *ctx, ptrdiff_t block)
{
    struct fit *f = ctx;
    ptrdiff_t from = block * ROWS, to = from + ROWS < f->n ? from + ROWS : f->n;
    for (int c = 0; c < f->classes; c++) {
        double *out = f->out + c * f->n;
        for (ptrdiff_t r = from; r < to; r++)
            out[r] = f->bias[c];
        for (ptrdiff_t j = 0; j < f->d; j++) {
            const double w = f->w[c * f->d + j], *z = f->z + j * f->n;
            for (ptrdiff_t r = from; r < to; r++)
                out[r] += w * z[r];
        }
    }
    for (ptrdiff_t r = from; r < to; r++) {
        double top = f->out[r], sum = 0;
        for (int c = 1; c < f->classes; c++)
            top = fmax(top, f->out[c * f->n + r]);
        for (int c = 0; c < f->classes; c++)
            sum += f->out[c * f->n + r] = exp(f->out[c * f->n + r] - top);
        for (int c = 0; c < f->classes; c++)
            f->out[c * f->n + r] = f->out[c * f->n + r] / sum - (f->label[r] == c);
    }
}

/* step (classes, d) = out Z' / n, feature by feature. */
static void gradient_feature(void *ctx, ptrdiff_t j)
{
    struct fit *f = ctx;
    for (int c = 0; c < f->classes; c++)
        f->step[c * f->d + j] = dot(f->n, f->out + c * f->n, f->z + j * f->n) / (double)f->n;
}

static void gradient(struct fit *f)
{
    as_parallel(f->d, 2.0 * f->classes * (double)(f->d * f->n), gradient_feature, f);
}

static void fit_ridge(struct fit *f)
{
    const ptrdiff_t n = f->n;
    for (int c = 0; c < f->classes; c++) {
        double count = 0;
        for (ptrdiff_t r = 0; r < n; r++)
            count += f->out[c * n + r] = f->label[r] == c;
        f->p->bias[c] = count / (double)n;
    }
    gradient(f);
    as_parallel(f->classes, 4.0 * f->classes * (double)(f->d * f->d), solve_class, f);
    memcpy(f->p->w, f->step, (size_t)(f->classes * f->d) * sizeof *f->step);
}

/* Nesterov's momentum in the metric H: outputs are taken at w + k/(k+3) (w - w before). */
static void fit_logistic(struct fit *f, struct as_arena *a, struct as_probe_how how)
{
    const ptrdiff_t n = f->n, size = f->classes * f->d, all = size + f->classes;
    double *w = as_arena_zero(a, as_size((size_t)all, 2 * sizeof *w)), *ahead = w + all;
    for (int k = 0; k < how.iterations; k++) {
        double push = (double)k / (k + 3);
        f->w = ahead;
        f->bias = ahead + size;
        as_parallel((n + ROWS - 1) / ROWS, 2.0 * f->classes * (double)(n * (f->d + 20)), excess_block, f);
        gradient(f);
        for (ptrdiff_t i = 0; i < size; i++)
            f->step[i] += how.ridge * ahead[i];
        as_parallel(f->classes, 4.0 * f->classes * (double)(f->d * f->d), solve_class, f);
        for (ptrdiff_t i = 0; i < all; i++) {
            double step = 0, was = w[i];
            if (i < size)
                step = f->step[i];
            else
                for (ptrdiff_t r = 0; r < n; r++)
                    step += 2 * f->out[(i - size) * n + r] / (double)n;
            w[i] = ahead[i] - step;
            ahead[i] = w[i] + push * (w[i] - was);
        }
    }
    memcpy(f->p->w, w, (size_t)size * sizeof *w);
    memcpy(f->p->bias, w + size, (size_t)f->classes * sizeof *w);
}

static void refuse(const struct fit *f, struct as_probe_how how)
{
    if (f->n < 1 || f->d < 1 || f->classes < 2 || !(how.ridge > 0) || how.iterations < 0)
        as_fail(AS_FAILED, "as_probe_fit: %td rows of %td features, %d classes, a ridge of %g, %d iterations", f->n, f->d,
                f->classes, how.ridge, how.iterations);
    for (ptrdiff_t r = 0; r < f->n; r++)
        if (f->label[r] < 0 || f->label[r] >= f->classes)
            as_fail(AS_FAILED, "as_probe_fit: label %td is %d, not in 0..%d", r, (int)f->label[r], f->classes - 1);
}

struct as_probe *as_probe_fit(struct as_arena *a, ptrdiff_t n, ptrdiff_t d, const real *x, const int32_t *label,
                              int classes, struct as_probe_how how)
{
    struct as_probe *p = as_arena_zero(a, sizeof *p);
    struct fit f = { .n = n, .d = d, .classes = classes, .x = x, .label = label, .p = p };
    refuse(&f, how);
    size_t outputs = as_size((size_t)classes, (size_t)d);
    *p = (struct as_probe){ d, classes, as_arena_take(a, as_size((size_t)d, sizeof(double))),
                            as_arena_take(a, as_size((size_t)d, sizeof(double))),
                            as_arena_take(a, as_size(outputs, sizeof(double))),
                            as_arena_take(a, as_size((size_t)classes, sizeof(double))) };
    size_t mark = as_arena_mark(a);
    f.z = as_arena_take(a, as_size(as_size((size_t)d, (size_t)n), sizeof *f.z));
    f.h = as_arena_zero(a, as_size(as_size((size_t)d, (size_t)d), sizeof *f.h));
    f.out = as_arena_take(a, as_size(as_size((size_t)classes, (size_t)n), sizeof *f.out));
    f.step = as_arena_take(a, as_size(outputs, sizeof *f.step));
    as_parallel(d, 6.0 * (double)(d * n), centre_feature, &f);
    for (ptrdiff_t j = 0; j < d; j++)
        if (!isfinite(p->scale[j]))
            as_fail(AS_FAILED, "as_probe_fit: feature %td is not finite on every row", j);
    as_parallel(d, (double)(d * d) * (double)n, gram_row, &f);
    factorise(&f, how.iterations ? 0.5 : 1, how.ridge);
    if (how.iterations)
        fit_logistic(&f, a, how);
    else
        fit_ridge(&f);
    as_arena_reset(a, mark);
    return p;
}

double as_probe_accuracy(const struct as_probe *p, ptrdiff_t n, const real *x, const int32_t *label)
{
    double right = 0;
    for (ptrdiff_t r = 0; r < n; r++) {
        double most = -(double)INFINITY;
        int best = 0;
        for (int c = 0; c < p->classes; c++) {
            double out = p->bias[c];
            for (ptrdiff_t j = 0; j < p->d; j++)
                out += p->w[c * p->d + j] * p->scale[j] * ((double)x[r * p->d + j] - p->mean[j]);
            if (out > most) {
                most = out;
                best = c;
            }
        }
        right += best == label[r];
    }
    return right / (double)n;
}

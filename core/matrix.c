/* matrix.c: see assay/matrix.h.
 *
 * One-sided Jacobi: pairs of vectors (the rows or the columns, whichever are fewer) are turned in their plane until they
 * stand at right angles, sweep after sweep over all pairs; their lengths are then the singular values. For x, y with
 *     zeta = (|y|^2 - |x|^2) / (2 x.y),   t = sign(zeta) / (|zeta| + sqrt(1 + zeta^2)),   c = 1 / sqrt(1 + t^2)
 * the turned pair is (c x - c t y, c t x + c y).
 */
#include <assay/matrix.h>
#include <float.h>
#include <math.h>

enum { SWEEPS = 60 };

/* Vector number i has `length` elements, `apart` apart, and begins at i * next. */
struct vectors { double *a; ptrdiff_t count, length, next, apart; };

static double product(const struct vectors *v, ptrdiff_t i, ptrdiff_t j)
{
    const double *x = v->a + i * v->next, *y = v->a + j * v->next;
    double sum = 0;
    for (ptrdiff_t k = 0; k < v->length; k++)
        sum += x[k * v->apart] * y[k * v->apart];
    return sum;
}

/* True when the pair was at right angles already, as far as rounding lets one see. */
static bool turn(const struct vectors *v, ptrdiff_t i, ptrdiff_t j)
{
    double *x = v->a + i * v->next, *y = v->a + j * v->next;
    double xx = product(v, i, i), yy = product(v, j, j), xy = product(v, i, j);
    if (fabs(xy) <= (double)v->length * DBL_EPSILON * sqrt(xx) * sqrt(yy))
        return true;
    double zeta = (yy - xx) / (2 * xy), t = copysign(1 / (fabs(zeta) + hypot(1, zeta)), zeta), c = 1 / hypot(1, t);
    for (ptrdiff_t k = 0; k < v->length * v->apart; k += v->apart) {
        double a = x[k], b = y[k];
        x[k] = c * (a - t * b);
        y[k] = c * (t * a + b);
    }
    return false;
}

/* Scales by the largest element, so that squares neither overflow nor vanish; 0: all zero; negative: not finite. */
static double scaled(ptrdiff_t n, double *a)
{
    double largest = 0;
    for (ptrdiff_t i = 0; i < n; i++) {
        if (!isfinite(a[i]))
            return -1;
        largest = fmax(largest, fabs(a[i]));
    }
    for (ptrdiff_t i = 0; i < n && largest > 0; i++)
        a[i] /= largest;
    return largest;
}

static void sort_falling(ptrdiff_t n, double *s)
{
    for (ptrdiff_t i = 1; i < n; i++)
        for (ptrdiff_t j = i; j > 0 && s[j] > s[j - 1]; j--) {
            double keep = s[j];
            s[j] = s[j - 1];
            s[j - 1] = keep;
        }
}

bool as_singular_values(ptrdiff_t m, ptrdiff_t n, double *a, double *s)
{
    struct vectors v = m <= n ? (struct vectors){ a, m, n, n, 1 } : (struct vectors){ a, n, m, 1, n };
    double unit = scaled(m * n, a);
    bool done = false;
    if (unit < 0)
        return false;
    for (int sweep = 0; sweep < SWEEPS && !done; sweep++) {
        done = true;
        for (ptrdiff_t i = 0; i < v.count; i++)
            for (ptrdiff_t j = i + 1; j < v.count; j++)
                done = turn(&v, i, j) && done;
    }
    for (ptrdiff_t i = 0; i < v.count; i++)
        s[i] = unit * sqrt(product(&v, i, i));
    sort_falling(v.count, s);
    return done;
}

double as_spectral_entropy(ptrdiff_t n, const double *s)
{
    double sum = 0, entropy = 0, largest = 0;
    for (ptrdiff_t i = 0; i < n; i++)
        largest = fmax(largest, s[i]);
    if (n < 2 || !(largest > 0))
        return 0;
    for (ptrdiff_t i = 0; i < n; i++)
        sum += s[i] / largest * (s[i] / largest);
    for (ptrdiff_t i = 0; i < n; i++) {
        double q = s[i] / largest * (s[i] / largest) / sum;
        entropy -= q > 0 ? q * log(q) : 0;
    }
    return entropy / log((double)n);
}

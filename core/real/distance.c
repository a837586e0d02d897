/* distance.c: see assay/distance.h. Work is cut by features and by directions, one a piece. */
#include <assay/distance.h>
#include <assay/error.h>
#include <assay/parallel.h>
#include <math.h>
#include <string.h>

/* --- maximum mean discrepancy ------------------------------------------------------------------------------- */

enum { MOST_OCTAVES = 32 };

struct embedding { const struct as_mmd *m; ptrdiff_t n; const real *x; const double *w; double *mean; };

/* One frequency w and its octaves: the angles double, so cos 2a = cos^2 a - sin^2 a and sin 2a = 2 sin a cos a. */
static void one_feature(void *ctx, ptrdiff_t i)
{
    const struct embedding *e = ctx;
    const ptrdiff_t d = e->m->d, octaves = e->m->octaves;
    const double *w = e->w + i * d;
    double sum[2 * MOST_OCTAVES] = { 0 };

    for (ptrdiff_t r = 0; r < e->n; r++) {
        double angle = 0;
        for (ptrdiff_t k = 0; k < d; k++)
            angle += w[k] * (double)e->x[r * d + k];
        double c = cos(angle), s = sin(angle);
        for (ptrdiff_t j = 0; j < octaves; j++) {
            sum[2 * j] += c;
            sum[2 * j + 1] += s;
            double doubled = c * c - s * s;
            s = 2 * s * c;
            c = doubled;
        }
    }
    for (ptrdiff_t j = 0; j < 2 * octaves; j++)
        e->mean[i * 2 * octaves + j] = sum[j] / (double)e->n;
}

void as_mmd_mean(const struct as_mmd *m, struct as_arena *a, ptrdiff_t n, const real *x, double *mean)
{
    if (m->octaves < 1 || m->octaves > MOST_OCTAVES || m->features < 1 || m->d < 1 || n < 1 || !(m->width > 0))
        as_fail(AS_FAILED, "as_mmd_mean: %d features in %d octaves (1..%d) of width %g, %td points in %td dimensions",
                m->features, m->octaves, MOST_OCTAVES, m->width, n, m->d);
    size_t mark = as_arena_mark(a);
    ptrdiff_t count = m->features * m->d;
    double *w = as_arena_take(a, as_size((size_t)count, sizeof *w));
    for (ptrdiff_t i = 0; i < count; i++)
        w[i] = (double)as_normal(m->key, (uint64_t)i) / m->width;
    struct embedding e = { m, n, x, w, mean };
    as_parallel(m->features, 60.0 * (double)m->features * (double)n, one_feature, &e);
    as_arena_reset(a, mark);
}

/* --- sliced Wasserstein --------------------------------------------------------------------------------------- */

struct slices { ptrdiff_t d, n; const real *x, *y; const double *direction; double *room, *cost; };

/* Merge sort, upwards from pairs; the result is in `a`. b: scratch (n). */
static void sort_rising(ptrdiff_t n, double *a, double *b)
{
    double *from = a, *to = b;
    for (ptrdiff_t width = 1; width < n; width *= 2) {
        for (ptrdiff_t low = 0; low < n; low += 2 * width) {
            ptrdiff_t mid = low + width < n ? low + width : n, high = mid + width < n ? mid + width : n;
            for (ptrdiff_t i = low, j = mid, k = low; k < high; k++)
                to[k] = i < mid && (j == high || from[i] <= from[j]) ? from[i++] : from[j++];
        }
        double *keep = from;
        from = to;
        to = keep;
    }
    if (from != a)
        memcpy(a, from, (size_t)n * sizeof *a);
}

static void project(const struct slices *s, const real *x, const double *direction, double *p)
{
    for (ptrdiff_t r = 0; r < s->n; r++) {
        p[r] = 0;
        for (ptrdiff_t k = 0; k < s->d; k++)
            p[r] += direction[k] * (double)x[r * s->d + k];
    }
}

static void one_direction(void *ctx, ptrdiff_t i)
{
    const struct slices *s = ctx;
    double *p = s->room + 3 * i * s->n, *q = p + s->n, *scratch = q + s->n, sum = 0;
    project(s, s->x, s->direction + i * s->d, p);
    project(s, s->y, s->direction + i * s->d, q);
    sort_rising(s->n, p, scratch);
    sort_rising(s->n, q, scratch);
    for (ptrdiff_t r = 0; r < s->n; r++)
        sum += (p[r] - q[r]) * (p[r] - q[r]);
    s->cost[i] = sum / (double)s->n;
}

double as_sliced_wasserstein(struct as_arena *a, ptrdiff_t d, ptrdiff_t n, const real *x, const real *y, int directions,
                             struct as_key key)
{
    if (d < 1 || n < 1 || directions < 1)
        as_fail(AS_FAILED, "as_sliced_wasserstein: %td points in %td dimensions, %d directions", n, d, directions);
    size_t mark = as_arena_mark(a);
    double *direction = as_arena_take(a, as_size((size_t)(directions * d), sizeof *direction)), sum = 0;
    double *cost = as_arena_take(a, as_size((size_t)directions, sizeof *cost));
    for (ptrdiff_t i = 0; i < directions; i++) {
        double *v = direction + i * d, length = 0;
        for (ptrdiff_t k = 0; k < d; k++) {
            v[k] = (double)as_normal(key, (uint64_t)(i * d + k));
            length += v[k] * v[k];
        }
        for (ptrdiff_t k = 0; k < d; k++)
            v[k] /= sqrt(length);
    }
    double *room = as_arena_take(a, as_size(as_size((size_t)(3 * directions), (size_t)n), sizeof *room));
    struct slices s = { d, n, x, y, direction, room, cost };
    as_parallel(directions, 200.0 * directions * (double)n, one_direction, &s);
    for (ptrdiff_t i = 0; i < directions; i++)
        sum += cost[i];
    as_arena_reset(a, mark);
    return sqrt(sum / directions);
}

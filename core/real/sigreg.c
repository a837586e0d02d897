/* sigreg.c: see assay/sigreg.h. The 9 frequencies are multiples of one, so a number needs one cosine and one sine; the
 * rest follows from cos(a + b), sin(a + b). Going back, with C_k, S_k the means of cos(t_k p), sin(t_k p) and
 * phi_k = exp(-t_k^2/2),
 *
 *   dT/dp_r = sum_k 2 weight_k t_k (S_k cos(t_k p_r) - (C_k - phi_k) sin(t_k p_r)).
 *
 * Work is cut into blocks of columns.
 */
#include "ops_private.h"

#include <assay/sigreg.h>

enum { KNOTS = 9, COLUMNS = 16 };
#define STEP 0.625                   /* 10 / 16 */

struct pulley {
    ptrdiff_t groups, n, m, blocks;
    const real *p, *dy;
    real *cosine, *sine;             /* (groups, n, m): of STEP p */
    real *even, *odd;                /* (groups, KNOTS, m): 2 weight_k t_k (C_k - phi_k), and of S_k */
    double *sum;                     /* (groups, blocks): of T over the columns of a block */
    real *dp;
    bool fresh;
};

/* weight_k of the integral over both sides: the point 0 counts once, the ends half. */
static double weight_of(int k)
{
    double t = STEP * k;
    return STEP * exp(-t * t / 2) * (k > 0 && k + 1 < KNOTS ? 2 : 1);
}

static void block_run(void *ctx, ptrdiff_t piece)
{
    struct pulley *c = ctx;
    const ptrdiff_t group = piece / c->blocks, from = piece % c->blocks * COLUMNS;
    const ptrdiff_t width = c->m - from < COLUMNS ? c->m - from : COLUMNS;
    real mean_c[KNOTS][COLUMNS] = { { 0 } }, mean_s[KNOTS][COLUMNS] = { { 0 } };
    double total = 0;
    for (ptrdiff_t r = 0; r < c->n; r++) {
        const ptrdiff_t at = (group * c->n + r) * c->m + from;
        real *c1 = c->cosine + at, *s1 = c->sine + at, ck[COLUMNS], sk[COLUMNS];
        for (ptrdiff_t j = 0; j < width; j++) {
            const real angle = R(STEP) * c->p[at + j];
            ck[j] = c1[j] = cos(angle);
            sk[j] = s1[j] = sin(angle);
        }
        for (int k = 1; k < KNOTS; k++)
            for (ptrdiff_t j = 0; j < width; j++) {
                const real next = ck[j] * c1[j] - sk[j] * s1[j];
                mean_c[k][j] += ck[j];
                mean_s[k][j] += sk[j];
                sk[j] = sk[j] * c1[j] + ck[j] * s1[j];
                ck[j] = next;
            }
    }
    for (int k = 1; k < KNOTS; k++)      /* at t = 0 both are 1 */
        for (ptrdiff_t j = 0; j < width; j++) {
            const double t = STEP * k, w = weight_of(k);
            const double even = (double)mean_c[k][j] / (double)c->n - exp(-t * t / 2);
            const double odd = (double)mean_s[k][j] / (double)c->n;
            const ptrdiff_t at = (group * KNOTS + k) * c->m + from + j;
            total += w * (even * even + odd * odd);
            c->even[at] = (real)(2 * w * t * even);
            c->odd[at] = (real)(2 * w * t * odd);
        }
    c->sum[piece] = total;
}

static void block_back(void *ctx, ptrdiff_t piece)
{
    const struct pulley *c = ctx;
    const ptrdiff_t group = piece / c->blocks, from = piece % c->blocks * COLUMNS;
    const ptrdiff_t width = c->m - from < COLUMNS ? c->m - from : COLUMNS;
    const real scale = (real)((double)c->dy[0] / ((double)c->groups * (double)c->m));
    for (ptrdiff_t r = 0; r < c->n; r++) {
        const ptrdiff_t at = (group * c->n + r) * c->m + from;
        const real *c1 = c->cosine + at, *s1 = c->sine + at;
        real ck[COLUMNS], sk[COLUMNS], slope[COLUMNS] = { 0 };
        for (ptrdiff_t j = 0; j < width; j++) {
            ck[j] = c1[j];
            sk[j] = s1[j];
        }
        for (int k = 1; k < KNOTS; k++) {
            const ptrdiff_t knot = (group * KNOTS + k) * c->m + from;
            const real *even = c->even + knot, *odd = c->odd + knot;
            for (ptrdiff_t j = 0; j < width; j++) {
                const real next = ck[j] * c1[j] - sk[j] * s1[j];
                slope[j] += odd[j] * ck[j] - even[j] * sk[j];
                sk[j] = sk[j] * c1[j] + ck[j] * s1[j];
                ck[j] = next;
            }
        }
        for (ptrdiff_t j = 0; j < width; j++)
            c->dp[at + j] = (c->fresh ? 0 : c->dp[at + j]) + scale * slope[j];
    }
}

static void pulley_back(struct as_tape *t, struct as_note *note)
{
    struct pulley *c = note->saved;
    c->dy = note->out->dx;
    c->dp = as_gradient_open(t, note->in[0], &c->fresh);
    as_parallel(c->groups * c->blocks, 40.0 * (double)as_node_size(note->in[0]), block_back, c);
}

struct as_node *as_epps_pulley(struct as_tape *t, struct as_node *p)
{
    struct as_arena *a = as_tape_arena(t);
    struct as_node *out = as_node_new(t, 1, (ptrdiff_t[]){ 1 });
    as_op_reals("epps_pulley", p);
    if ((p->rank != 2 && p->rank != 3) || as_node_size(p) == 0)
        as_fail(AS_FAILED, "epps_pulley: %s is not (n, columns) or (groups, n, columns), or is empty", as_op_dims(p));
    struct pulley *c = as_arena_zero(a, sizeof *c);
    c->groups = p->rank == 3 ? p->dim[0] : 1;
    c->n = p->dim[p->rank - 2];
    c->m = p->dim[p->rank - 1];
    c->blocks = (c->m + COLUMNS - 1) / COLUMNS;
    c->p = p->x;
    const size_t size = as_size((size_t)as_node_size(p), sizeof(real));
    const size_t knots = as_size((size_t)(c->groups * KNOTS * c->m), sizeof(real));
    c->cosine = as_arena_take(a, size);
    c->sine = as_arena_take(a, size);
    c->even = as_arena_take(a, knots);
    c->odd = as_arena_take(a, knots);
    c->sum = as_arena_take(a, as_size((size_t)(c->groups * c->blocks), sizeof *c->sum));
    as_parallel(c->groups * c->blocks, 80.0 * (double)as_node_size(p), block_run, c);
    double total = 0;
    for (ptrdiff_t i = 0; i < c->groups * c->blocks; i++)
        total += c->sum[i];
    out->x[0] = (real)(total * (double)c->n / ((double)c->groups * (double)c->m));
    struct as_note *note = as_note_new(t, pulley_back, out, 1, (struct as_node *[]){ p });
    if (note)
        note->saved = c;
    return out;
}

struct as_node *as_sigreg(struct as_tape *t, struct as_node *z, ptrdiff_t directions, struct as_key key)
{
    as_op_reals("sigreg", z);
    const ptrdiff_t width = z->dim[z->rank - 1];
    if (z->rank < 2 || directions < 1)
        as_fail(AS_FAILED, "sigreg: %s is not (n, width) or (groups, n, width), or %td directions", as_op_dims(z),
                directions);
    struct as_node *a = as_node_new(t, 2, (ptrdiff_t[]){ directions, width });
    for (ptrdiff_t i = 0; i < directions; i++) {
        double square = 0;
        for (ptrdiff_t k = 0; k < width; k++) {
            const double v = (double)as_normal(key, (uint64_t)(i * width + k));
            a->x[i * width + k] = (real)v;
            square += v * v;
        }
        for (ptrdiff_t k = 0; k < width; k++)
            a->x[i * width + k] = (real)((double)a->x[i * width + k] / sqrt(square));
    }
    return as_epps_pulley(t, as_matmul_t(t, z, a));
}

/* assignment.c: shortest augmenting paths with dual variables (Kuhn 1955, "The Hungarian method for the assignment
 * problem"; in the O(n^3) form of Jonker and Volgenant 1987): rows are matched one after the other. Each row grows a
 * tree of alternating paths by the column of least reduced cost
 *
 *   c[i][j] - u[i] - v[j],   c = -gain,
 *
 * until it meets a free column; the duals u, v are moved such that reduced costs stay >= 0 and are 0 along the tree, and
 * the path is flipped. At the end they prove that no other matching is better.
 */
#include <assay/assignment.h>
#include <assay/error.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

struct search {
    ptrdiff_t n;
    const double *gain;
    double *u, *v;                   /* (n + 1) duals of rows and columns; column 0 is the root of the tree */
    double *least;                   /* (n + 1) smallest reduced cost from the tree to each column */
    ptrdiff_t *row;                  /* (n + 1) the row that a column is matched with, 0: free; rows count from 1 */
    ptrdiff_t *from;                 /* (n + 1) the column before this one on its path */
    bool *in_tree;                   /* (n + 1) */
};

/* Looks from the row of column j at all columns outside the tree; returns the nearest, its distance in *step. */
static ptrdiff_t nearest(struct search *s, ptrdiff_t j, double *step)
{
    ptrdiff_t i = s->row[j], best = 0;
    const double *gain = s->gain + (i - 1) * s->n;

    *step = (double)INFINITY;
    for (ptrdiff_t k = 1; k <= s->n; k++) {
        double reduced;

        if (s->in_tree[k])
            continue;
        reduced = -gain[k - 1] - s->u[i] - s->v[k];
        if (reduced < s->least[k]) {
            s->least[k] = reduced;
            s->from[k] = j;
        }
        if (s->least[k] < *step) {
            *step = s->least[k];
            best = k;
        }
    }
    return best;
}

static void move_duals(struct search *s, double step)
{
    for (ptrdiff_t k = 0; k <= s->n; k++)
        if (s->in_tree[k]) {
            s->u[s->row[k]] += step;
            s->v[k] -= step;
        } else {
            s->least[k] -= step;
        }
}

static void match_row(struct search *s, ptrdiff_t i)
{
    ptrdiff_t j = 0;

    s->row[0] = i;
    for (ptrdiff_t k = 0; k <= s->n; k++) {
        s->least[k] = (double)INFINITY;
        s->in_tree[k] = false;
    }
    while (s->row[j]) {
        double step;
        ptrdiff_t next;

        s->in_tree[j] = true;
        next = nearest(s, j, &step);
        move_duals(s, step);
        j = next;
    }
    while (j) {
        ptrdiff_t before = s->from[j];

        s->row[j] = s->row[before];
        j = before;
    }
}

double as_assign(struct as_arena *a, ptrdiff_t n, const double *gain, int32_t *to)
{
    size_t mark = as_arena_mark(a), numbers = as_size((size_t)n + 1, sizeof(double));
    size_t places = as_size((size_t)n + 1, sizeof(ptrdiff_t));
    struct search s = { .n = n, .gain = gain };
    double sum = 0;

    for (ptrdiff_t i = 0; i < n * n; i++)
        if (!isfinite(gain[i]))
            as_fail(AS_FAILED, "assignment: the gain of row %td and column %td is %g", i / n, i % n, gain[i]);
    s.u = as_arena_zero(a, numbers);
    s.v = as_arena_zero(a, numbers);
    s.least = as_arena_take(a, numbers);
    s.row = as_arena_zero(a, places);
    s.from = as_arena_zero(a, places);
    s.in_tree = as_arena_take(a, (size_t)n + 1);
    for (ptrdiff_t i = 1; i <= n; i++)
        match_row(&s, i);
    for (ptrdiff_t j = 1; j <= n; j++)
        to[s.row[j] - 1] = (int32_t)(j - 1);
    for (ptrdiff_t i = 0; i < n; i++)
        sum += gain[i * n + to[i]];
    as_arena_reset(a, mark);
    return sum;
}

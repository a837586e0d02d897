/* layer_init.c: initial weights. Drawn once, in float, by (seed, weight's name, index), and widened: the double
 * build starts from the same numbers. */
#include "layer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Fan-based spreads read a weight as (out, in...): the first size is the fan out. */
static void fans(const struct as_node *w, double *in, double *out)
{
    double n = 1;

    for (int i = 1; i < w->rank; i++)
        n *= (double)w->dim[i];
    *out = w->rank ? (double)w->dim[0] : 1;
    *in = w->rank > 1 ? n : *out;
}

/* Rows (or columns, when there are more rows than columns) orthonormal: Gram-Schmidt on normal draws, twice, in
 * double. Square blocks of a weight that stacks several (dim[0] a multiple of the columns) are done one by one. */
static void orthogonal(float *w, ptrdiff_t rows, ptrdiff_t cols, double gain, struct as_key key, ptrdiff_t from)
{
    bool tall = rows > cols;
    ptrdiff_t n = tall ? cols : rows, len = tall ? rows : cols;
    double *q = malloc(as_size(as_size((size_t)n, (size_t)len), sizeof *q));

    if (!q)
        as_fail(AS_NO_MEMORY, "out of memory for an orthogonal initialiser");
    for (ptrdiff_t i = 0; i < n; i++) {
        double *v = q + i * len, norm = 0;

        for (ptrdiff_t j = 0; j < len; j++)
            v[j] = (double)as_normal(key, (uint64_t)(from + i * len + j));
        for (int pass = 0; pass < 2; pass++)
            for (ptrdiff_t p = 0; p < i; p++) {
                double dot = 0;

                for (ptrdiff_t j = 0; j < len; j++)
                    dot += v[j] * q[p * len + j];
                for (ptrdiff_t j = 0; j < len; j++)
                    v[j] -= dot * q[p * len + j];
            }
        for (ptrdiff_t j = 0; j < len; j++)
            norm += v[j] * v[j];
        for (ptrdiff_t j = 0; j < len; j++)
            v[j] *= gain / sqrt(norm);
    }
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t c = 0; c < cols; c++)
            w[r * cols + c] = (float)(tall ? q[c * len + r] : q[r * len + c]);
    free(q);
}

static void draw_orthogonal(const struct weight_slot *s, struct as_key key, ptrdiff_t n, float *w)
{
    ptrdiff_t cols = s->node.rank > 1 ? n / s->node.dim[0] : 1, rows = s->node.dim[0];
    double gain = s->init.a == 0 ? 1 : s->init.a;
    ptrdiff_t block = cols > 0 && rows % cols == 0 ? cols : rows;

    for (ptrdiff_t r = 0; r < rows; r += block)
        orthogonal(w + r * cols, block, cols, gain, key, r * cols);
}

static void draw(const struct as_layer *l, const struct weight_slot *s, struct as_key key, ptrdiff_t n, float *w)
{
    double in, out, a = s->init.a, b = s->init.b, limit;

    fans(&s->node, &in, &out);
    switch (s->init.spread) {
    case AS_ZERO:
        memset(w, 0, (size_t)n * sizeof *w);
        return;
    case AS_CONSTANT:
        for (ptrdiff_t i = 0; i < n; i++)
            w[i] = (float)a;
        return;
    case AS_NORMAL:
        for (ptrdiff_t i = 0; i < n; i++)
            w[i] = (float)(a + b * (double)as_normal(key, (uint64_t)i));
        return;
    case AS_UNIFORM:
        break;
    case AS_GLOROT:
    case AS_FAN_IN:
        limit = s->init.spread == AS_GLOROT ? sqrt(6 / (in + out)) : 1 / sqrt(in > 0 ? in : 1);
        limit *= s->init.a == 0 ? 1 : s->init.a;
        a = -limit;
        b = limit;
        break;
    case AS_ORTHOGONAL:
        draw_orthogonal(s, key, n, w);
        return;
    case AS_IDENTITY:
        for (ptrdiff_t i = 0; i < n; i++)
            w[i] = s->node.rank > 1 && i / s->node.dim[1] == i % s->node.dim[1] ? 1.0f : 0.0f;
        return;
    case AS_DRAWN:
        for (ptrdiff_t i = 0; i < n; i++)
            w[i] = NAN;                      /* what the hook leaves out must show, whatever memory held */
        s->init.draw(l->opt, key, n, w);
        return;
    }
    for (ptrdiff_t i = 0; i < n; i++)
        w[i] = (float)(a + (b - a) * (double)as_uniform(key, (uint64_t)i));
}

void layer_draw_weights(struct as_layer *l, uint64_t seed)
{
    for (int i = 0; i < l->n_weights; i++) {
        struct weight_slot *s = &l->weight[i];
        struct as_key key = { seed, AS_ROLE_INIT, as_hash(s->name) };
        ptrdiff_t n = as_node_size(&s->node);
        float *w;

        if (!s->used || n == 0)
            continue;
        w = malloc((size_t)n * sizeof *w);
        if (!w)
            as_fail(AS_NO_MEMORY, "out of memory for the initial weights of %s", s->name);
        draw(l, s, key, n, w);
        for (ptrdiff_t j = 0; j < n; j++)
            s->node.x[j] = (real)w[j];
        free(w);
    }
}

/* rrn.fused.c: the recurrent relational network on chunks of whole graphs, each of which goes through all steps by
 * itself.
 *
 * For perceptrons of one hidden layer, where an edge costs no product: its message is relu(a_i + b_j), with a and b
 * done once a node, and is added up at once (rrn.c says why this is the same). All else are products of the rows of a
 * chunk, which stay in the second-level cache. On the way back gradients of all sums are kept for all steps, and the
 * gradients of weights are a few long products at the end.
 */
#include "edges.h"
#include "rrn.h"

#include <assay/kernel.h>
#include <assay/parallel.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
enum { CHUNK_ROWS = 160 };                           /* nodes of a chunk, about */
enum { R_EDGES, R_ONCE, R_STEPS, R_SUMS };           /* scratch */

/* Arrays of all steps have (steps, rows, width) numbers, rows being the nodes of all graphs; or of one step only, which
 * each step overwrites, when there are no gradients: then `keep` is 0. */
struct job {
    const struct as_call *call;
    ptrdiff_t batch, nodes, edges, n, rows, per, chunks, keep, ldg;  /* per: graphs of a chunk; ldg: columns of W_g0 */
    int steps, lstm;
    int32_t *list, *count;                           /* (batch, edges, 2) those that count, first; (batch) how many */
    float *pack, *bias;                              /* (2 n, n): W_f0 as [from; to]; (2 n): zeros, b_f0 */
    float *degree, *given, *dh, *dc, *ds, *dgiven;   /* (rows); (rows, n) */
    float *h, *ab, *sum, *m, *z, *p;                 /* all steps: n, 2 n, n, n, n, n */
    float *gates, *c, *tanh_c;                       /* all steps, with an LSTM: 4 n, n, n */
    float *dgates, *dp, *dz, *dm, *dab;              /* all steps: 4 n, n, n, n, 2 n */
    float *sums;                                     /* (chunks, 8 n): gradients of biases */
};

static ptrdiff_t kept_width(ptrdiff_t n, int lstm) { return (lstm ? 13 : 7) * n; }
static ptrdiff_t back_width(ptrdiff_t n, int lstm) { return (lstm ? 9 : 5) * n; }

static struct job sizes_of(const void *opt, const struct as_spec *in)
{
    const struct rrn *o = opt;
    struct job w = { .batch = in[RRN_X].dim[0], .nodes = in[RRN_X].dim[1], .n = in[RRN_X].dim[2],
                     .edges = in[RRN_EDGES].dim[1], .steps = o->steps, .lstm = o->update == RRN_LSTM };

    w.rows = w.batch * w.nodes;
    w.per = w.nodes && w.nodes < CHUNK_ROWS ? CHUNK_ROWS / w.nodes : 1;
    w.chunks = (w.batch + w.per - 1) / w.per;
    w.ldg = w.lstm ? 2 * w.n : 3 * w.n;
    return w;
}

static const char *can(const void *opt, int n_in, const struct as_spec *in)
{
    (void)n_in;
    (void)in;
    return ((const struct rrn *)opt)->layers == 1 ? NULL : "it is for perceptrons of one hidden layer (layers = 1)";
}

static void plan(struct as_room *r)
{
    struct job w = sizes_of(r->opt, r->in);
    ptrdiff_t kept = w.rows * kept_width(w.n, w.lstm);

    if (r->gradients)
        r->saved[0] = (size_t)(w.steps * kept);
    r->scratch[R_EDGES] = (size_t)(w.batch * (2 * w.edges + 1)) * sizeof(int32_t) / sizeof(float);
    r->scratch[R_ONCE] = (size_t)(2 * w.n * w.n + 2 * w.n + w.rows + 5 * w.rows * w.n);
    r->scratch[R_STEPS] = (size_t)(r->gradients ? w.steps * w.rows * back_width(w.n, w.lstm) : kept);
    r->scratch[R_SUMS] = (size_t)(w.chunks * 8 * w.n);
}

/* The edges that count, with their ends as rows of their graph; and how many end at each node. */
static void list_edges(struct job *w)
{
    memset(w->degree, 0, (size_t)w->rows * sizeof *w->degree);
    for (ptrdiff_t b = 0; b < w->batch; b++) {
        const int32_t *edge = w->call->ix[RRN_EDGES] + b * w->edges * 2;
        int32_t *to = w->list + b * w->edges * 2;

        w->count[b] = 0;
        for (ptrdiff_t k = 0; k < w->edges; k++) {
            if (!is_edge(edge, k, w->nodes))
                continue;
            memcpy(to + 2 * w->count[b]++, edge + 2 * k, 2 * sizeof *to);
            w->degree[b * w->nodes + edge[2 * k + 1]] += 1.0f;
        }
    }
}

static float *cut(float **from, ptrdiff_t n)
{
    *from += n;
    return *from - n;
}

static struct job new_job(const struct as_call *c, int backward)
{
    struct job w = sizes_of(c->opt, c->in);
    float *once = c->scratch[R_ONCE], *kept = c->saved ? c->saved[0] : c->scratch[R_STEPS], *back = c->scratch[R_STEPS];
    ptrdiff_t n = w.n, all = (c->saved ? w.steps : 1) * w.rows * n;

    w.call = c;
    w.keep = c->saved != NULL;
    w.list = c->scratch[R_EDGES];
    w.count = w.list + w.batch * w.edges * 2;
    w.sums = c->scratch[R_SUMS];
    w.pack = cut(&once, 2 * n * n);
    w.bias = cut(&once, 2 * n);
    w.degree = cut(&once, w.rows);
    float **part[] = { &w.given, &w.dh, &w.dc, &w.ds, &w.dgiven };
    for (int i = 0; i < 5; i++)
        *part[i] = cut(&once, w.rows * n);
    w.h = cut(&kept, all);
    w.ab = cut(&kept, 2 * all);
    w.sum = cut(&kept, all);
    w.m = cut(&kept, all);
    w.z = cut(&kept, all);
    w.p = cut(&kept, all);
    w.gates = w.lstm ? cut(&kept, 4 * all) : NULL;
    w.c = w.lstm ? cut(&kept, all) : NULL;
    w.tanh_c = w.lstm ? kept : NULL;
    if (backward) {
        w.dp = cut(&back, all);
        w.dz = cut(&back, all);
        w.dm = cut(&back, all);
        w.dab = cut(&back, 2 * all);
        w.dgates = back;
    }
    for (ptrdiff_t i = 0; i < 2 * n * n; i++)
        w.pack[i] = c->w[RRN_F][i / n % n * 2 * n + i / (n * n) * n + i % n];
    memset(w.bias, 0, (size_t)n * sizeof *w.bias);
    memcpy(w.bias + n, c->w[RRN_F + 1], (size_t)n * sizeof *w.bias);
    list_edges(&w);
    return w;
}

/* Rows from `row` on of an array of all steps. */
static float *at(const struct job *w, float *array, int step, ptrdiff_t row, ptrdiff_t width)
{
    return array + (w->keep * step * w->rows + row) * width;
}

static double work(const struct job *w)
{
    return (double)w->steps * (double)w->rows * (double)w->n * (26.0 * (double)w->n + 100.0);
}

/* --- forward ----------------------------------------------------------------------------------------------------- */

/* out (rows, m) = bias + a (rows, k) b^T. */
static void affine(ptrdiff_t rows, ptrdiff_t m, ptrdiff_t k, const float *a, const float *b, ptrdiff_t ldb,
                   const float *bias, float *out)
{
    for (ptrdiff_t r = 0; r < rows; r++)
        memcpy(out + r * m, bias, (size_t)m * sizeof *out);
    as_gemm_one(0, 1, rows, m, k, 1.0f, a, k, b, ldb, 1.0f, out, m);
}

/* sum (nodes, n): what arrives at the nodes of one graph. ab (nodes, 2 n). Here and on the way back, widths that are
 * known when this is compiled save most of the time of such short loops. */
INLINE void send_of(ptrdiff_t n, ptrdiff_t edges, const int32_t *edge, const float *ab, float *sum)
{
    for (ptrdiff_t k = 0; k < edges; k++) {
        const float *restrict a = ab + 2 * n * edge[2 * k], *restrict b = ab + 2 * n * edge[2 * k + 1] + n;
        float *restrict s = sum + n * edge[2 * k + 1];

#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++) {
            float v = a[j] + b[j];

            s[j] += v > 0.0f ? v : 0.0f;
        }
    }
}

static void send(ptrdiff_t n, ptrdiff_t edges, const int32_t *edge, const float *ab, float *sum)
{
    if (n == 32)
        send_of(32, edges, edge, ab, sum);
    else if (n == 64)
        send_of(64, edges, edge, ab, sum);
    else
        send_of(n, edges, edge, ab, sum);
}

static void relu(ptrdiff_t n, float *restrict x)
{
#pragma omp simd
    for (ptrdiff_t j = 0; j < n; j++)
        x[j] = x[j] > 0.0f ? x[j] : 0.0f;
}

/* Gates from their sums, c from the one before (NULL: 0); c may be `before`. */
static void cell(ptrdiff_t rows, ptrdiff_t n, float *gates, const float *before, float *c)
{
    for (ptrdiff_t r = 0; r < rows; r++) {
        float *g = gates + r * 4 * n, *to = c + r * n;

        as_vsigmoid(3 * n, g, g);
        as_vtanh(n, g + 3 * n, g + 3 * n);
#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++)
            to[j] = AS_FMA(g[j], g[3 * n + j], before ? g[n + j] * before[r * n + j] : 0.0f);
    }
}

/* The product of messages added up, and the perceptron g: p (rows, n) of this step. */
static void think(const struct job *w, ptrdiff_t first, ptrdiff_t rows, int t)
{
    const struct as_call *c = w->call;
    ptrdiff_t n = w->n;
    float *h = at(w, w->h, t, first, n), *ab = at(w, w->ab, t, first, 2 * n), *sum = at(w, w->sum, t, first, n);
    float *m = at(w, w->m, t, first, n), *z = at(w, w->z, t, first, n);

    affine(rows, 2 * n, n, h, w->pack, n, w->bias, ab);
    memset(sum, 0, (size_t)(rows * n) * sizeof *sum);
    for (ptrdiff_t r = 0; r < rows; r += w->nodes) {
        ptrdiff_t b = (first + r) / w->nodes;

        send(n, w->count[b], w->list + b * w->edges * 2, ab + r * 2 * n, sum + r * n);
    }
    for (ptrdiff_t r = 0; r < rows; r++)
        for (ptrdiff_t j = 0; j < n; j++)
            m[r * n + j] = w->degree[first + r] * c->w[RRN_F + 3][j];
    as_gemm_one(0, 1, rows, n, n, 1.0f, sum, n, c->w[RRN_F + 2], n, 1.0f, m, n);
    memcpy(z, w->given + first * n, (size_t)(rows * n) * sizeof *z);
    as_gemm_one(0, 1, rows, n, n, 1.0f, m, n, c->w[RRN_G], w->ldg, 1.0f, z, n);
    if (!w->lstm)
        as_gemm_one(0, 1, rows, n, n, 1.0f, h, n, c->w[RRN_G] + 2 * n, w->ldg, 1.0f, z, n);
    relu(rows * n, z);
    affine(rows, n, n, z, c->w[RRN_G + 2], n, c->w[RRN_G + 3], at(w, w->p, t, first, n));
}

static void forward_chunk(void *ctx, ptrdiff_t chunk)
{
    const struct job *w = ctx;
    const struct as_call *c = w->call;
    ptrdiff_t n = w->n, graph = chunk * w->per, first = graph * w->nodes;
    ptrdiff_t rows = (w->batch - graph < w->per ? w->batch - graph : w->per) * w->nodes;

    memcpy(w->h + first * n, c->x[RRN_X] + first * n, (size_t)(rows * n) * sizeof *w->h);
    affine(rows, n, n, c->x[RRN_X] + first * n, c->w[RRN_G] + n, w->ldg, c->w[RRN_G + 1], w->given + first * n);
    for (int t = 0; t < w->steps; t++) {
        float *p = at(w, w->p, t, first, n), *gates = NULL, *tanh_c = NULL;
        float *next = t + 1 < w->steps ? at(w, w->h, t + 1, first, n) : NULL;

        think(w, first, rows, t);
        if (w->lstm) {
            float *now = at(w, w->c, t, first, n);

            gates = at(w, w->gates, t, first, 4 * n);
            tanh_c = at(w, w->tanh_c, t, first, n);
            affine(rows, 4 * n, n, p, c->w[RRN_W], n, c->w[RRN_B], gates);
            if (t)
                as_gemm_one(0, 1, rows, 4 * n, n, 1.0f, at(w, w->h, t, first, n), n, c->w[RRN_U], n, 1.0f, gates,
                            4 * n);
            cell(rows, n, gates, t ? at(w, w->c, t - 1, first, n) : NULL, now);
            as_vtanh(rows * n, now, tanh_c);
        }
        for (ptrdiff_t r = 0; r < rows; r++) {
            float *y = c->y + ((first + r) * w->steps + t) * n;

            for (ptrdiff_t j = 0; j < n; j++)
                y[j] = gates ? gates[r * 4 * n + 2 * n + j] * tanh_c[r * n + j] : p[r * n + j];
            if (next)
                memcpy(next + r * n, y, (size_t)n * sizeof *y);
        }
    }
}

static void forward(const struct as_call *c)
{
    struct job w = new_job(c, 0);

    as_parallel(w.chunks, work(&w), forward_chunk, &w);
}

/* --- backward ---------------------------------------------------------------------------------------------------- */

/* From ds (nodes, n) to dab (nodes, 2 n) of one graph, added to. */
INLINE void send_back_of(ptrdiff_t n, ptrdiff_t edges, const int32_t *edge, const float *ab, const float *ds, float *dab)
{
    for (ptrdiff_t k = 0; k < edges; k++) {
        ptrdiff_t from = 2 * n * edge[2 * k], to = 2 * n * edge[2 * k + 1] + n;
        const float *restrict a = ab + from, *restrict b = ab + to, *restrict s = ds + n * edge[2 * k + 1];
        float *restrict da = dab + from, *restrict db = dab + to;

#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++) {
            float v = a[j] + b[j] > 0.0f ? s[j] : 0.0f;

            da[j] += v;
            db[j] += v;
        }
    }
}

static void send_back(ptrdiff_t n, ptrdiff_t edges, const int32_t *edge, const float *ab, const float *ds, float *dab)
{
    if (n == 32)
        send_back_of(32, edges, edge, ab, ds, dab);
    else if (n == 64)
        send_back_of(64, edges, edge, ab, ds, dab);
    else
        send_back_of(n, edges, edge, ab, ds, dab);
}

/* dh, and dc of this step -> dg (rows, 4 n), gradients of the gates' sums, and dc of the step before. */
static void cell_back(ptrdiff_t rows, ptrdiff_t n, const float *gates, const float *before, const float *tanh_c,
                      const float *dh, float *dc, float *dg)
{
    for (ptrdiff_t r = 0; r < rows; r++) {
        const float *restrict g = gates + r * 4 * n, *restrict tc = tanh_c + r * n, *restrict d = dh + r * n;
        const float *restrict old = before ? before + r * n : NULL;
        float *restrict dcr = dc + r * n, *restrict dgr = dg + r * 4 * n;

#pragma omp simd
        for (ptrdiff_t j = 0; j < n; j++) {
            float i = g[j], f = g[n + j], o = g[2 * n + j], new = g[3 * n + j];
            float dcj = AS_FMA(d[j] * o, AS_FMA(-tc[j], tc[j], 1.0f), dcr[j]);

            dgr[j] = dcj * new * (i * (1.0f - i));
            dgr[n + j] = old ? dcj * old[j] * (f * (1.0f - f)) : 0.0f;
            dgr[2 * n + j] = d[j] * tc[j] * (o * (1.0f - o));
            dgr[3 * n + j] = dcj * i * AS_FMA(-new, new, 1.0f);
            dcr[j] = dcj * f;
        }
    }
}

/* sum (m) += rows of a (rows, m; leading lda), each times its factor (NULL: 1). */
static void add_rows(ptrdiff_t rows, ptrdiff_t m, const float *a, ptrdiff_t lda, const float *factor,
                     float *restrict sum)
{
    for (ptrdiff_t r = 0; r < rows; r++) {
        const float *restrict row = a + r * lda;
        float by = factor ? factor[r] : 1.0f;

#pragma omp simd
        for (ptrdiff_t j = 0; j < m; j++)
            sum[j] = AS_FMA(by, row[j], sum[j]);
    }
}

/* From dp of a step to dh of the step before, added to what stands there. */
static void think_back(const struct job *w, ptrdiff_t first, ptrdiff_t rows, int t)
{
    const struct as_call *c = w->call;
    ptrdiff_t n = w->n;
    float *dz = at(w, w->dz, t, first, n), *dm = at(w, w->dm, t, first, n), *dab = at(w, w->dab, t, first, 2 * n);
    float *ds = w->ds + first * n, *dgiven = w->dgiven + first * n, *dh = w->dh + first * n;
    const float *z = at(w, w->z, t, first, n), *ab = at(w, w->ab, t, first, 2 * n);

    as_gemm_one(0, 0, rows, n, n, 1.0f, at(w, w->dp, t, first, n), n, c->w[RRN_G + 2], n, 0.0f, dz, n);
    for (ptrdiff_t j = 0; j < rows * n; j++) {
        dz[j] = z[j] > 0.0f ? dz[j] : 0.0f;
        dgiven[j] += dz[j];
    }
    if (!w->lstm)
        as_gemm_one(0, 0, rows, n, n, 1.0f, dz, n, c->w[RRN_G] + 2 * n, w->ldg, 1.0f, dh, n);
    as_gemm_one(0, 0, rows, n, n, 1.0f, dz, n, c->w[RRN_G], w->ldg, 0.0f, dm, n);
    as_gemm_one(0, 0, rows, n, n, 1.0f, dm, n, c->w[RRN_F + 2], n, 0.0f, ds, n);
    memset(dab, 0, (size_t)(rows * 2 * n) * sizeof *dab);
    for (ptrdiff_t r = 0; r < rows; r += w->nodes) {
        ptrdiff_t b = (first + r) / w->nodes;

        send_back(n, w->count[b], w->list + b * w->edges * 2, ab + r * 2 * n, ds + r * n, dab + r * 2 * n);
    }
    as_gemm_one(0, 0, rows, n, 2 * n, 1.0f, dab, 2 * n, w->pack, n, 1.0f, dh, n);
}

static void backward_chunk(void *ctx, ptrdiff_t chunk)
{
    const struct job *w = ctx;
    const struct as_call *c = w->call;
    ptrdiff_t n = w->n, graph = chunk * w->per, first = graph * w->nodes;
    ptrdiff_t rows = (w->batch - graph < w->per ? w->batch - graph : w->per) * w->nodes, size = rows * n;
    float *dh = w->dh + first * n, *dc = w->dc + first * n;
    float *dgiven = w->dgiven + first * n, *sums = w->sums + chunk * 8 * n;

    memset(sums, 0, (size_t)(8 * n) * sizeof *sums);
    memset(dh, 0, (size_t)size * sizeof *dh);
    memset(dc, 0, (size_t)size * sizeof *dc);
    memset(dgiven, 0, (size_t)size * sizeof *dgiven);
    for (int t = w->steps - 1; t >= 0; t--) {
        float *dp = at(w, w->dp, t, first, n);

        for (ptrdiff_t r = 0; r < rows; r++)
            for (ptrdiff_t j = 0; j < n; j++)
                dh[r * n + j] += c->dy[((first + r) * w->steps + t) * n + j];
        if (w->lstm) {
            float *dg = at(w, w->dgates, t, first, 4 * n);

            cell_back(rows, n, at(w, w->gates, t, first, 4 * n), t ? at(w, w->c, t - 1, first, n) : NULL,
                      at(w, w->tanh_c, t, first, n), dh, dc, dg);
            as_gemm_one(0, 0, rows, n, 4 * n, 1.0f, dg, 4 * n, c->w[RRN_W], n, 0.0f, dp, n);
            if (t)
                as_gemm_one(0, 0, rows, n, 4 * n, 1.0f, dg, 4 * n, c->w[RRN_U], n, 0.0f, dh, n);
            add_rows(rows, 4 * n, dg, 4 * n, NULL, sums + 4 * n);
        } else
            memcpy(dp, dh, (size_t)size * sizeof *dp);
        if (!w->lstm || t == 0)
            memset(dh, 0, (size_t)size * sizeof *dh);
        think_back(w, first, rows, t);
        add_rows(rows, n, at(w, w->dab, t, first, 2 * n) + n, 2 * n, NULL, sums);
        add_rows(rows, n, at(w, w->dm, t, first, n), n, w->degree + first, sums + n);
        add_rows(rows, n, dp, n, NULL, sums + 3 * n);
    }
    add_rows(rows, n, dgiven, n, NULL, sums + 2 * n);
    if (!c->dx[RRN_X])
        return;
    for (ptrdiff_t j = 0; j < size; j++)
        c->dx[RRN_X][first * n + j] += dh[j];
    as_gemm_one(0, 0, rows, n, n, 1.0f, dgiven, n, c->w[RRN_G] + n, w->ldg, 1.0f, c->dx[RRN_X] + first * n, n);
}

/* dw (m, n; leading ld) += d^T a over k rows; d (k, m; leading ldd), a (k, n). */
static void matrix_gradient(ptrdiff_t k, ptrdiff_t m, ptrdiff_t n, const float *d, ptrdiff_t ldd, const float *a,
                            float *dw, ptrdiff_t ld)
{
    if (k)
        as_gemm(1, 0, m, n, k, 1.0f, d, ldd, a, n, 1.0f, dw, ld);
}

static void weight_gradients(const struct job *w)
{
    float *const *dw = w->call->dw;
    ptrdiff_t n = w->n, all = w->steps * w->rows, later = all - w->rows;

    if (dw[RRN_F]) {
        matrix_gradient(all, n, n, w->dab, 2 * n, w->h, dw[RRN_F], 2 * n);
        matrix_gradient(all, n, n, w->dab + n, 2 * n, w->h, dw[RRN_F] + n, 2 * n);
    }
    if (dw[RRN_F + 2])
        matrix_gradient(all, n, n, w->dm, n, w->sum, dw[RRN_F + 2], n);
    if (dw[RRN_G]) {
        matrix_gradient(all, n, n, w->dz, n, w->m, dw[RRN_G], w->ldg);
        matrix_gradient(w->rows, n, n, w->dgiven, n, w->call->x[RRN_X], dw[RRN_G] + n, w->ldg);
        if (!w->lstm)
            matrix_gradient(all, n, n, w->dz, n, w->h, dw[RRN_G] + 2 * n, w->ldg);
    }
    if (dw[RRN_G + 2])
        matrix_gradient(all, n, n, w->dp, n, w->z, dw[RRN_G + 2], n);
    if (w->lstm && dw[RRN_W])
        matrix_gradient(all, 4 * n, n, w->dgates, 4 * n, w->p, dw[RRN_W], n);
    if (w->lstm && dw[RRN_U])
        matrix_gradient(later, 4 * n, n, w->dgates + w->rows * 4 * n, 4 * n, w->h + w->rows * n, dw[RRN_U], n);
}

/* The chunks' sums, in their order. */
static void bias_gradients(const struct job *w)
{
    static const struct { int place, part, width; } biases[] = {
        { RRN_F + 1, 0, 1 }, { RRN_F + 3, 1, 1 }, { RRN_G + 1, 2, 1 }, { RRN_G + 3, 3, 1 }, { RRN_B, 4, 4 },
    };

    for (int i = 0; i < (w->lstm ? 5 : 4); i++) {
        float *db = w->call->dw[biases[i].place];

        for (ptrdiff_t chunk = 0; db && chunk < w->chunks; chunk++)
            for (ptrdiff_t j = 0; j < biases[i].width * w->n; j++)
                db[j] += w->sums[(chunk * 8 + biases[i].part) * w->n + j];
    }
}

static void backward(const struct as_call *c)
{
    struct job w = new_job(c, 1);

    as_parallel(w.chunks, 2 * work(&w), backward_chunk, &w);
    weight_gradients(&w);
    bias_gradients(&w);
}

static const struct as_impl fused = {
    .abi = ASSAY_ABI, .name = "fused", .rank = 10, .can = can, .plan = plan, .forward = forward, .backward = backward,
};

const struct as_plugin AS_PLUGIN(graph__rrn__fused) = { .abi = ASSAY_ABI, .impl = { &fused } };

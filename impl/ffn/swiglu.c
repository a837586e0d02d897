/* swiglu.c: a gated feed-forward layer, at each position:
 *
 *   y = W_2 (silu(W x) * (V x))              (Shazeer 2020, eq. 6)
 *
 * The hidden width is ratio * width, rounded up to a multiple; 8/3 gives the parameters of an ungated layer of
 * ratio 4. Matrices start uniform in +-1/sqrt(inputs).
 */
#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <math.h>

struct swiglu { double ratio; int multiple; };
enum { GATE, VALUE, OUT };

static const struct as_option options[] = {
    { "ratio", AS_NUM, offsetof(struct swiglu, ratio), 8.0 / 3, 0.001, 1024, NULL, "2,2.6666666666666665",
      "hidden width over width" },
    { "multiple", AS_INT, offsetof(struct swiglu, multiple), 8, 1, 4096, NULL, NULL,
      "the hidden width is rounded up to a multiple of this" },
    { 0 }
};

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    if (in->dtype != AS_REALS || in->rank < 2)
        return "it works on real (..., width)";
    return NULL;
}

/* The tolerance keeps 8/3 * 96 = 256 from becoming 257. */
static ptrdiff_t hidden_of(const struct swiglu *o, ptrdiff_t d)
{
    return (ptrdiff_t)ceil(o->ratio * (double)d / o->multiple - 1e-9) * o->multiple;
}

static void plan(struct as_plan *p)
{
    ptrdiff_t d = p->in->dim[p->in->rank - 1], h = hidden_of(p->opt, d);
    struct as_init matrix = { .spread = AS_FAN_IN };

    as_weight(p, GATE, "W", AS_MATRIX, matrix, 2, (ptrdiff_t[]){ h, d });
    as_weight(p, VALUE, "V", AS_MATRIX, matrix, 2, (ptrdiff_t[]){ h, d });
    as_weight(p, OUT, "W_2", AS_MATRIX, matrix, 2, (ptrdiff_t[]){ d, h });
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    struct as_node *gate = as_silu(g->t, as_linear(g->t, x, as_w(g, GATE), NULL));

    return as_linear(g->t, as_mul(g->t, gate, as_linear(g->t, x, as_w(g, VALUE), NULL)), as_w(g, OUT), NULL);
}

/* --- the same by products and loops ----------------------------------------------------------------------- */

#define ROWS 64

struct job { const struct as_call *call; ptrdiff_t n, d, h; real *gate, *value, *product, *dproduct; };

static struct job sizes_of(const void *opt, const struct as_spec *in)
{
    struct job j = { .n = 1, .d = in->dim[in->rank - 1] };

    for (int i = 0; i < in->rank - 1; i++)
        j.n *= in->dim[i];
    j.h = hidden_of(opt, j.d);
    return j;
}

/* Saved: W x, V x, and silu(W x) * (V x), each (rows, hidden); scratch: gradients of the three. */
static void ref_plan(struct as_room *r)
{
    struct job j = sizes_of(r->opt, r->in);

    for (int i = 0; i < 3; i++) {
        r->saved[i] = r->gradients ? (size_t)(j.n * j.h) : 0;
        r->scratch[i] = (size_t)(j.n * j.h);
    }
}

static void forward_rows(void *ctx, ptrdiff_t piece)
{
    const struct job *j = ctx;
    ptrdiff_t from = piece * ROWS * j->h, end = (piece + 1) * ROWS < j->n ? from + ROWS * j->h : j->n * j->h;

    as_vsigmoid(end - from, j->gate + from, j->product + from);
    for (ptrdiff_t i = from; i < end; i++)
        j->product[i] *= j->gate[i] * j->value[i];
}

static void forward(const struct as_call *c)
{
    struct job j = sizes_of(c->opt, c->in);
    void *const *room = c->saved ? c->saved : c->scratch;

    j.gate = room[0];
    j.value = room[1];
    j.product = room[2];
    as_gemm(0, 1, j.n, j.h, j.d, 1, c->x[0], j.d, c->w[GATE], j.d, 0, j.gate, j.h);
    as_gemm(0, 1, j.n, j.h, j.d, 1, c->x[0], j.d, c->w[VALUE], j.d, 0, j.value, j.h);
    as_parallel((j.n + ROWS - 1) / ROWS, 12.0 * (double)j.n * (double)j.h, forward_rows, &j);
    as_gemm(0, 1, j.n, j.d, j.h, 1, j.product, j.h, c->w[OUT], j.h, 0, c->y, j.d);
}

/* In: dproduct. Out: gradients of W x in `product`, of V x in `dproduct`. */
static void backward_rows(void *ctx, ptrdiff_t piece)
{
    const struct job *j = ctx;
    ptrdiff_t from = piece * ROWS * j->h, end = (piece + 1) * ROWS < j->n ? from + ROWS * j->h : j->n * j->h;

    as_vsigmoid(end - from, j->gate + from, j->product + from);
    for (ptrdiff_t i = from; i < end; i++) {
        real s = j->product[i], a = j->gate[i], d = j->dproduct[i];

        j->product[i] = d * j->value[i] * s * (1 + a * (1 - s));
        j->dproduct[i] = d * a * s;
    }
}

static void backward(const struct as_call *c)
{
    struct job j = sizes_of(c->opt, c->in);
    real *da, *dv;

    j.gate = c->saved[0];
    j.value = c->saved[1];
    j.product = da = c->scratch[0];
    j.dproduct = dv = c->scratch[1];
    as_gemm(0, 0, j.n, j.h, j.d, 1, c->dy, j.d, c->w[OUT], j.h, 0, dv, j.h);
    if (c->dw[OUT])
        as_gemm(1, 0, j.d, j.h, j.n, 1, c->dy, j.d, c->saved[2], j.h, 1, c->dw[OUT], j.h);
    as_parallel((j.n + ROWS - 1) / ROWS, 16.0 * (double)j.n * (double)j.h, backward_rows, &j);
    if (c->dw[GATE])
        as_gemm(1, 0, j.h, j.d, j.n, 1, da, j.h, c->x[0], j.d, 1, c->dw[GATE], j.d);
    if (c->dw[VALUE])
        as_gemm(1, 0, j.h, j.d, j.n, 1, dv, j.h, c->x[0], j.d, 1, c->dw[VALUE], j.d);
    if (c->dx[0]) {
        as_gemm(0, 0, j.n, j.d, j.h, 1, da, j.h, c->w[GATE], j.d, 1, c->dx[0], j.d);
        as_gemm(0, 0, j.n, j.d, j.h, 1, dv, j.h, c->w[VALUE], j.d, 1, c->dx[0], j.d);
    }
}

static const struct as_impl ref = {
    .abi = ASSAY_ABI, .name = "ref", .plan = ref_plan, .forward = forward, .backward = backward,
};

static const struct as_variant swiglu = {
    .abi = ASSAY_ABI,
    .summary = "gated feed-forward layer: W_2 (silu(W x) * (V x))",
    .paper = { .key = "shazeer2020glu", .title = "GLU variants improve transformer",
               .url = "https://arxiv.org/abs/2002.05202", .year = 2020, .where = "eq. 6",
               .departs = "the hidden width is rounded up to a multiple" },
    .options = options, .opt_size = sizeof(struct swiglu),
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(ffn__swiglu) = { .abi = ASSAY_ABI, .variant = &swiglu, .impl = { &ref } };

/* Muon: momentum whose matrix is brought near to the nearest (semi-)orthogonal one before it is used.
 *
 * Jordan et al. 2024, "Muon: an optimizer for hidden layers in neural networks", and the authors' code. For a matrix
 * w (r, c) with gradient g:
 *     M <- mu M + (1 - mu) g                     U = (1 - mu) g + mu M  (Nesterov), or M
 *     X <- U / (|U|_F + 1e-7), then `steps` times   A = X X',   X <- a X + (b A + c A A) X
 *     w <- w - eta lambda w - eta s X                  a, b, c = 3.4445, -4.7750, 2.0315
 * The polynomial takes a singular value of X to one between about 0.7 and 1.2, except those below about 1/500 of |U|_F,
 * which it cannot lift in 5 steps. `scale` says s:
 *     original   sqrt(max(1, r / c))             the authors' code
 *     rms        0.2 sqrt(max(r, c))             Liu et al. 2025 (Moonlight): updates as long as AdamW's
 *     none       1                               Wang et al. 2025 (tail memory)
 * A matrix is a weight of kind AS_MATRIX with two sizes or more; of more, the first is r, the product of the rest c, as
 * the authors view convolutions. Everything else (embeddings, biases, gains, recurrences) is moved by AdamW, or by plain
 * momentum with others = momentum; its own rate is the trainer's factor.KIND.
 * Departs: single precision where the authors iterate in bfloat16; when r > c, A = X'X multiplies from the right where
 * they transpose (the same polynomial). They leave the head to AdamW as well; the contract does not say which matrix
 * is the head, so `head` goes by the name, which ends in W_head in the models of this tree.
 */
#include <assay/kernel.h>
#include <assay/rule.h>
#include <string.h>
#include <tgmath.h>

struct opt { double momentum, beta1, beta2, eps; int nesterov, steps, scale, others, head; };
enum { ORIGINAL, RMS, NONE };
enum { ADAMW, MOMENTUM };
enum { HEAD_ADAMW, HEAD_MUON };

static const struct as_option options[] = {
    { .key = "momentum", .type = AS_NUM, .offset = offsetof(struct opt, momentum), .def = 0.95, .min = 0, .max = 0.9999,
      .sweep = "0,0.9,0.95", .help = "mu: share of the momentum that is kept" },
    { .key = "nesterov", .type = AS_BOOL, .offset = offsetof(struct opt, nesterov), .def = 1, .sweep = "0,1",
      .help = "look ahead along the momentum" },
    { .key = "steps", .type = AS_INT, .offset = offsetof(struct opt, steps), .def = 5, .min = 1, .max = 10,
      .sweep = "1,3,5", .help = "Newton-Schulz steps" },
    { .key = "scale", .type = AS_WORD, .offset = offsetof(struct opt, scale), .def = ORIGINAL,
      .words = "original|rms|none", .sweep = "original,rms", .help = "s: sqrt(max(1, r / c)), 0.2 sqrt(max(r, c)), 1" },
    { .key = "others", .type = AS_WORD, .offset = offsetof(struct opt, others), .def = ADAMW, .words = "adamw|momentum",
      .help = "what moves weights that are no matrices" },
    { .key = "head", .type = AS_WORD, .offset = offsetof(struct opt, head), .def = HEAD_ADAMW, .words = "adamw|muon",
      .sweep = "adamw,muon", .help = "what moves a matrix whose name ends in W_head: as `others`, or as a matrix" },
    { .key = "beta1", .type = AS_NUM, .offset = offsetof(struct opt, beta1), .def = 0.9, .min = 0, .max = 0.999999,
      .help = "beta1 of AdamW" },
    { .key = "beta2", .type = AS_NUM, .offset = offsetof(struct opt, beta2), .def = 0.999, .min = 0,
      .max = 0.99999999, .help = "beta2 of AdamW" },
    { .key = "eps", .type = AS_NUM, .offset = offsetof(struct opt, eps), .def = 1e-8, .min = 0, .max = 1,
      .help = "epsilon of AdamW" },
    { 0 }
};

/* M is the momentum (AdamW: the first moment), X the second moment or the matrix under way. A, B and NEXT are room for
 * the products: a rule has no scratch of its own, and what has the weight's size has the size of A as well. */
enum { M, X, A, B, NEXT, MOMENTS };

static int moments(const void *opt)
{
    (void)opt;
    return MOMENTS;
}

static int is_matrix(const struct as_update *u)
{
    const struct opt *o = u->opt;
    size_t n = strlen(u->name), end = strlen("W_head");

    if (u->kind != AS_MATRIX || u->rank < 2)
        return 0;
    return o->head == HEAD_MUON || n < end || strcmp(u->name + n - end, "W_head") != 0;
}

static void step_other(const struct as_update *u)
{
    const struct opt *o = u->opt;
    double t = (double)u->step;
    struct as_adam a = { .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .keep = 1 - u->rate * u->decay,
                         .rate = u->rate / (1 - pow(o->beta1, t)), .unbias = 1 / sqrt(1 - pow(o->beta2, t)) };
    real mu = (real)o->momentum, keep = (real)a.keep, eta = (real)u->rate;

    if (o->others == ADAMW) {
        as_vadam(u->n, &a, u->g, u->moment[M], u->moment[X], u->w);
        return;
    }
    for (ptrdiff_t i = 0; i < u->n; i++) {
        real m = u->moment[M][i] = mu * u->moment[M][i] + (1 - mu) * u->g[i];

        u->w[i] = keep * u->w[i] - eta * (o->nesterov ? (1 - mu) * u->g[i] + mu * m : m);
    }
}

/* X <- a X + (b A + c A A) X with A = X X', or X <- a X + X (b A + c A A) with A = X'X when that is smaller. Returns
 * where the result is: in `next`; x holds what is no longer needed. */
static void newton_schulz(ptrdiff_t r, ptrdiff_t c, const real *x, real *a, real *b, real *next)
{
    static const double poly[3] = { 3.4445, -4.7750, 2.0315 };
    int tall = r > c;
    ptrdiff_t k = tall ? c : r, other = tall ? r : c;

    as_gemm(tall, !tall, k, k, other, R(1.0), x, c, x, c, R(0.0), a, k);
    memcpy(b, a, (size_t)(k * k) * sizeof *b);
    as_gemm(0, 0, k, k, k, (real)poly[2], a, k, a, k, (real)poly[1], b, k);
    memcpy(next, x, (size_t)(r * c) * sizeof *next);
    if (tall)
        as_gemm(0, 0, r, c, c, R(1.0), x, c, b, c, (real)poly[0], next, c);
    else
        as_gemm(0, 0, r, c, r, R(1.0), b, r, x, c, (real)poly[0], next, c);
}

static double scale_of(const struct opt *o, ptrdiff_t r, ptrdiff_t c)
{
    if (o->scale == ORIGINAL)
        return sqrt(fmax(1.0, (double)r / (double)c));
    return o->scale == RMS ? 0.2 * sqrt((double)(r > c ? r : c)) : 1;
}

static void step_matrix(const struct as_update *u)
{
    const struct opt *o = u->opt;
    ptrdiff_t r = u->dim[0], c = u->n / (r > 0 ? r : 1);
    real *x = u->moment[X], *next = u->moment[NEXT], mu = (real)o->momentum;
    double sum = 0;

    if (u->n == 0)
        return;
    for (ptrdiff_t i = 0; i < u->n; i++) {
        real m = u->moment[M][i] = mu * u->moment[M][i] + (1 - mu) * u->g[i];

        x[i] = o->nesterov ? (1 - mu) * u->g[i] + mu * m : m;
        sum += (double)x[i] * (double)x[i];
    }
    for (ptrdiff_t i = 0; i < u->n; i++)
        x[i] = (real)((double)x[i] / (sqrt(sum) + 1e-7));
    for (int k = 0; k < o->steps; k++) {
        real *old = x;

        newton_schulz(r, c, x, u->moment[A], u->moment[B], next);
        x = next;
        next = old;
    }
    real eta = (real)(u->rate * scale_of(o, r, c)), keep = (real)(1 - u->rate * u->decay);
    for (ptrdiff_t i = 0; i < u->n; i++)
        u->w[i] = keep * u->w[i] - eta * x[i];
}

static void update(const struct as_update *u)
{
    if (is_matrix(u))
        step_matrix(u);
    else
        step_other(u);
}

static const struct as_rule rule = {
    .abi = ASSAY_ABI,
    .summary = "momentum orthogonalised by Newton-Schulz steps for matrices, AdamW for the rest",
    .paper = { .key = "jordan2024muon", .title = "Muon: An optimizer for hidden layers in neural networks",
               .url = "https://kellerjordan.github.io/posts/muon/", .where = "the algorithm, and the authors' code",
               .departs = "single precision instead of bfloat16; tall matrices are not transposed; the head goes by its name",
               .year = 2024 },
    .options = options,
    .opt_size = sizeof(struct opt),
    .moments = moments,
    .update = update,
};

const struct as_plugin AS_PLUGIN(rule__muon) = { .abi = ASSAY_ABI, .rule = &rule };

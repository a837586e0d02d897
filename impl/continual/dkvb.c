/* dkvb.c: the discrete key-value bottleneck. Between features and outputs stand C codebooks of K pairs (key, value); an
 * input picks one pair of each, and learning changes nothing but the values that were picked.
 *
 * Traeuble, Goyal, Rahaman, Mozer, Kawaguchi, Bengio and Schoelkopf 2023, "Discrete key-value bottleneck". For features
 * x
 *     z_c = R_c x,    i_c = argmin over i of |z_c - K_ci|^2,    y = 1/C sum over c of V_(c, i_c)
 * R_c (dk, d) is random and never trained, V_ci is as wide as the output, so y are logits and nothing is decoded. Keys
 * get no gradient: while `learn` is on and the layer trains, they follow the inputs without labels (van den Oord et al.
 * 2017, appendix A.1), N_ci the running count of its picks:
 *     N <- decay N + (1 - decay) n,    K <- (decay N K + (1 - decay) sum of its z) / N
 * A key that was never picked, or whose N falls below `expire`, moves to one of the inputs; so the first pass sets all
 * keys. What a pass picks is by the keys before it. `commitment`, the mean of |z_c - K_(c, i_c)|^2 over c, is an
 * auxiliary loss for who trains what is in front; V has no gradient into x.
 * Departs: expired keys take the rows of the batch in turn, where programs for vector quantisation draw them.
 */
#include <assay/kernel.h>
#include <assay/layer.h>
#include <assay/parallel.h>
#include <string.h>
#include <tgmath.h>

struct opt { int heads, keys, key_width, width, learn; double decay, expire; };

static const struct as_option options[] = {
    { "heads", AS_INT, offsetof(struct opt, heads), 8, 1, 4096, NULL, "1,16,64,256", "C: codebooks" },
    { "keys", AS_INT, offsetof(struct opt, keys), 16, 1, 65536, NULL, "64,256,1024", "K: pairs in each of them" },
    { "key_width", AS_INT, offsetof(struct opt, key_width), 4, 1, 4096, NULL, "4,8,16", "dk: size of a key" },
    { "width", AS_INT, offsetof(struct opt, width), 0, 0, 65536, NULL, NULL, "of a value; 0: a number for each class" },
    { "learn", AS_BOOL, offsetof(struct opt, learn), 1, 0, 0, NULL, "0,1", "keys follow the inputs while training" },
    { "decay", AS_NUM, offsetof(struct opt, decay), 0.95, 0, 0.999999, NULL, "0.9,0.95,0.99", "of the running counts" },
    { "expire", AS_NUM, offsetof(struct opt, expire), 0.1, 0, 1e6, NULL, "0,0.1,1", "least running count of a key" },
    { 0 }
};

enum { R_, KEY, COUNT, V };
enum { BLOCK = 64 };                     /* rows compared with all keys of a head at a time */

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    (void)n_in;
    return in->dtype == AS_REALS && in->rank == 3 ? NULL : "it reads real vectors (batch, time, width)";
}

static void plan(struct as_plan *p)
{
    const struct opt *o = p->opt;
    ptrdiff_t C = o->heads, K = o->keys, dk = o->key_width, d = p->in->dim[2], out = o->width ? o->width : p->classes;
    struct as_init zero = { .spread = AS_ZERO };

    if (out < 1)
        as_plan_refuse(p, "the data names no number of outputs: say width");
    as_statistic(p, R_, "R", (struct as_init){ .spread = AS_NORMAL, .b = 1 / sqrt((double)d) }, 2,
                 (ptrdiff_t[]){ C * dk, d });
    as_statistic(p, KEY, "K", (struct as_init){ .spread = AS_NORMAL, .b = 1 }, 3, (ptrdiff_t[]){ C, K, dk });
    as_statistic(p, COUNT, "N", zero, 2, (ptrdiff_t[]){ C, K });
    as_weight(p, V, "V", AS_EMBEDDING, zero, 2, (ptrdiff_t[]){ C * K, out });
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, out });
}

/* One head is one piece of work. */
struct codes {
    const struct opt *o;
    ptrdiff_t rows, n_valid;
    const ptrdiff_t *valid;              /* (n_valid): rows that are not padding */
    const real *z;                       /* (rows, C, dk) */
    real *key, *count;                   /* (C, K, dk), (C, K) */
    real *room;                          /* (C, BLOCK + dk + 1, K) */
    int32_t *at;                         /* (rows, C): c K + i_c */
};

static real *room_of(const struct codes *s, ptrdiff_t c)
{
    return s->room + c * (BLOCK + s->o->key_width + 1) * s->o->keys;
}

static void pick_head(void *ctx, ptrdiff_t c)
{
    struct codes *s = ctx;
    ptrdiff_t C = s->o->heads, K = s->o->keys, dk = s->o->key_width;
    const real *key = s->key + c * K * dk;
    real *square = room_of(s, c), *score = square + K;

    for (ptrdiff_t i = 0; i < K; i++) {
        square[i] = 0;
        for (ptrdiff_t j = 0; j < dk; j++)
            square[i] += key[i * dk + j] * key[i * dk + j];
    }
    for (ptrdiff_t from = 0; from < s->rows; from += BLOCK) {
        ptrdiff_t n = s->rows - from < BLOCK ? s->rows - from : BLOCK;

        as_gemm_one(0, 1, n, K, dk, R(-2.0), s->z + (from * C + c) * dk, C * dk, key, dk, R(0.0), score, K);
        for (ptrdiff_t r = 0; r < n; r++) {
            real least = score[r * K] + square[0];
            ptrdiff_t best = 0;

            for (ptrdiff_t i = 1; i < K; i++) {
                real far = score[r * K + i] + square[i];

                best = far < least ? i : best;
                least = far < least ? far : least;
            }
            s->at[(from + r) * C + c] = (int32_t)(c * K + best);
        }
    }
}

static void move_head(void *ctx, ptrdiff_t c)
{
    struct codes *s = ctx;
    ptrdiff_t C = s->o->heads, K = s->o->keys, dk = s->o->key_width;
    real *key = s->key + c * K * dk, *count = s->count + c * K, *n = room_of(s, c), *sum = n + K;
    real decay = (real)s->o->decay, expire = (real)s->o->expire;

    memset(n, 0, (size_t)(K * (dk + 1)) * sizeof *n);
    for (ptrdiff_t r = 0; r < s->n_valid; r++) {
        ptrdiff_t i = s->at[s->valid[r] * C + c] - c * K;

        n[i] += 1;
        for (ptrdiff_t j = 0; j < dk; j++)
            sum[i * dk + j] += s->z[(s->valid[r] * C + c) * dk + j];
    }
    for (ptrdiff_t i = 0; i < K; i++) {
        real old = count[i];

        count[i] = decay * old + (1 - decay) * n[i];
        if (old > 0 && count[i] >= expire && count[i] > 0) {
            for (ptrdiff_t j = 0; j < dk; j++)
                key[i * dk + j] = (decay * old * key[i * dk + j] + (1 - decay) * sum[i * dk + j]) / count[i];
            continue;
        }
        count[i] = 1;
        memcpy(key + i * dk, s->z + (s->valid[i % s->n_valid] * C + c) * dk, (size_t)dk * sizeof *key);
    }
}

static void find_valid(struct as_arena *a, struct codes *s, const struct as_node *x)
{
    ptrdiff_t *valid = as_arena_take(a, as_size((size_t)s->rows, sizeof *valid));

    for (ptrdiff_t r = 0; r < s->rows; r++)
        if (!x->length || r % x->dim[1] < x->length[r / x->dim[1]])
            valid[s->n_valid++] = r;
    s->valid = valid;
}

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct opt *o = g->opt;
    struct as_tape *t = g->t;
    struct as_arena *a = as_tape_arena(t);
    ptrdiff_t C = o->heads, K = o->keys, dk = o->key_width, dims[] = { x->dim[0], x->dim[1], C, dk };
    struct as_node *z = as_linear(t, x, as_w(g, R_), NULL), *at = as_node_ints(t, 3, dims), *key, *far, *y;
    struct codes s = { .o = o, .rows = dims[0] * dims[1], .z = z->x, .at = at->i,
                       .key = as_graph_statistic(g, KEY), .count = as_graph_statistic(g, COUNT) };
    double cost = 2 * (double)s.rows * (double)C * (double)K * (double)dk;

    s.room = as_arena_take(a, as_size(as_size((size_t)(C * K), (size_t)(BLOCK + dk + 1)), sizeof(real)));
    as_parallel(C, cost, pick_head, &s);
    at->length = x->length;
    key = as_node_wrap(t, 2, (ptrdiff_t[]){ C * K, dk }, s.key, NULL);
    far = as_squared_error(t, as_reshape(t, z, 4, dims), as_gather(t, key, at));
    as_auxiliary(g, "commitment", as_mean(t, far, 2, false));
    y = as_mean(t, as_gather(t, as_w(g, V), at), 2, false);
    if (g->training && o->learn) {       /* after the last look at the keys: gather has copied what was picked */
        find_valid(a, &s, x);
        if (s.n_valid > 0)
            as_parallel(C, cost, move_head, &s);
    }
    return y;
}

static struct as_cost cost(const void *opt, int n_in, const struct as_spec *in)
{
    const struct opt *o = opt;
    double rows = (double)in->dim[0] * (double)in->dim[1], C = o->heads, dk = o->key_width;

    (void)n_in;
    return (struct as_cost){ .flop = 2 * rows * C * dk * ((double)in->dim[2] + o->keys) };
}

static const struct as_variant dkvb = {
    .abi = ASSAY_ABI,
    .summary = "codebooks of keys that are not trained and values that are: the nearest pairs answer",
    .paper = { .key = "traeuble2023dkvb", .title = "Discrete Key-Value Bottleneck",
               .url = "https://arxiv.org/abs/2207.11240", .year = 2023, .id = 43, .where = "section 2, figure 1",
               .departs = "values as wide as the output, averaged: the decoder without parameters only" },
    .options = options, .opt_size = sizeof(struct opt),
    .kinks = "where another key becomes the nearest",
    .promises = AS_CAUSAL | AS_POINTWISE | AS_PADDING_SAFE | AS_EXTRAS,
    .check = check, .plan = plan, .graph = graph, .cost = cost,
};

const struct as_plugin AS_PLUGIN(continual__dkvb) = { .abi = ASSAY_ABI, .variant = &dkvb };

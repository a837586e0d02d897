/* blockwise.c: a language model that predicts the next k tokens at every step, to be decoded in blocks (decode.h).
 *
 * Stern, Shazeer and Uszkoreit 2018, "Blockwise parallel decoding for deep autoregressive models", sections 4 and 6. On
 * what the trunk gives, x (embedding, depth blocks, a norm, as in lm.c), stands one layer with k outputs, each beside
 * x, and the trunk's own projection serves them all:
 *
 *   h = max(0, W_1 x + b_1)                        (k ratio width)
 *   z_i = x + W_2i h + b_2i,    i = 1..k           (width) each; first = identity: z_1 = x, so p_1 is the trunk's own
 *   p_i = softmax(W_head z_i + b_head)             of the token i steps ahead
 *
 * p_1 is the output, p_2..p_k are the further outputs head2..headk. Where the data has the port `target`, the loss
 * `heads` is the mean of the k cross-entropies; loss = drawn takes one of them for each batch, drawn uniformly, as the
 * paper does for want of memory, and computes no other head. The heads learn at steps that have a target of their own,
 * which is where blocks begin. trunk = frozen: embedding, blocks, norm and projection get no gradient.
 * The weights of the trunk come first in the store, in the order that they have with heads = 1, first = identity.
 *
 * Departs: any stack of blocks in place of the Transformer's decoder; a loss is the mean over a sequence first, then
 * over the batch.
 */
#include "stack.h"

enum { MOST = 8 };
enum { W_1 = IN_B + 1, B_1, W_2, B_2 };
enum { X, TARGET };
enum { LEARNED, IDENTITY };
enum { TUNED, FROZEN };
enum { DRAWN, MEAN };

struct blockwise { struct stack s; int heads, first, trunk, loss; double ratio; };

static const struct as_option options[] = {
    STACK_OPTIONS(blockwise, 1),
    { "heads", AS_INT, offsetof(struct blockwise, heads), 2, 1, MOST, NULL, "1,2,4,8", "k: tokens predicted ahead" },
    { "ratio", AS_NUM, offsetof(struct blockwise, ratio), 1, 0.001, 16, NULL, "1,4",
      "hidden width a head over width; 4 in the paper" },
    { "first", AS_WORD, offsetof(struct blockwise, first), LEARNED, 0, 0, "learned|identity", "learned,identity",
      "what stands between the trunk and p_1" },
    { "trunk", AS_WORD, offsetof(struct blockwise, trunk), TUNED, 0, 0, "tuned|frozen", "tuned,frozen",
      "whether the trunk learns with the heads" },
    { "loss", AS_WORD, offsetof(struct blockwise, loss), DRAWN, 0, 0, "drawn|mean", "drawn,mean",
      "heads that learn from a batch: one, drawn, or all" },
    { 0 }
};

static const struct as_slot slots[] = { STACK_SLOTS };
static const char *const ports[] = { "x", "target", NULL };
static const struct as_sample samples[] = { { .vocab = 5 }, { .vocab = 3, .optional = true } };

static const char *check(const void *opt, int n_in, const struct as_spec *in)
{
    (void)opt;
    if (in[X].dtype != AS_INTS || in[X].rank != 2)
        return "it reads tokens (batch, time)";
    if (n_in > TARGET && (in[TARGET].dtype != AS_INTS || in[TARGET].rank != 2))
        return "its heads learn from a token at every step: target (batch, time)";
    return NULL;
}

static ptrdiff_t learned_heads(const struct blockwise *o) { return o->heads - (o->first == IDENTITY); }

static void plan(struct as_plan *p)
{
    const struct blockwise *o = p->opt;
    struct as_spec x = plan_input(p, &o->s, 1);
    struct as_init zero = { .spread = AS_ZERO };
    ptrdiff_t d, hidden, out;

    plan_blocks(p, &o->s, &x);
    plan_head(p, &o->s, &x);
    d = x.dim[2];
    hidden = o->heads * (ptrdiff_t)fmax(1, round(o->ratio * (double)d));
    out = learned_heads(o) * d;
    if (out) {
        as_weight(p, W_1, "W_1", AS_MATRIX, matrix_init(&o->s), 2, (ptrdiff_t[]){ hidden, d });
        as_weight(p, B_1, "b_1", AS_BIAS, zero, 1, (ptrdiff_t[]){ hidden });
        as_weight(p, W_2, "W_2", AS_MATRIX, matrix_init(&o->s), 2, (ptrdiff_t[]){ out, hidden });
        as_weight(p, B_2, "b_2", AS_BIAS, zero, 1, (ptrdiff_t[]){ out });
    }
    as_output(p, 0, 3, (ptrdiff_t[]){ AS_ANY, AS_ANY, p->classes });
}

/* A weight of the trunk, where it is used behind it. */
static struct as_node *of_trunk(struct as_graph *g, int place)
{
    const struct blockwise *o = g->opt;

    return o->trunk == FROZEN ? as_stop(g->t, as_w(g, place)) : as_w(g, place);
}

/* Logits of p_(i + 1) from x and the hidden layer. */
static struct as_node *logits(struct as_graph *g, struct as_node *x, struct as_node *h, int i)
{
    const struct blockwise *o = g->opt;
    ptrdiff_t d = x->dim[2], at = (i - (o->first == IDENTITY)) * d;

    if (at >= 0)
        x = as_add(g->t, x, as_linear(g->t, h, as_slice(g->t, as_w(g, W_2), 0, at, d),
                                      as_slice(g->t, as_w(g, B_2), 0, at, d)));
    return as_linear(g->t, x, of_trunk(g, HEAD), of_trunk(g, HEAD_B));
}

/* Cross-entropy of p_(i + 1), the mean of each row's steps that have both a target and one i steps later: (batch). */
static struct as_node *loss_of(struct as_graph *g, struct as_node *y, int i)
{
    const struct as_node *target = g->in[TARGET];
    ptrdiff_t batch = target->dim[0], time = target->dim[1];
    struct as_node *later = as_node_ints(g->t, 2, target->dim), *weight = as_node_new(g->t, 2, target->dim);

    for (ptrdiff_t r = 0; r < batch; r++) {
        ptrdiff_t length = target->length ? target->length[r] : time, count = 0;

        for (ptrdiff_t t = r * time; t < (r + 1) * time; t++) {
            bool there = t + i < r * time + length && target->i[t] >= 0 && target->i[t + i] >= 0;

            later->i[t] = there ? target->i[t + i] : -1;
            count += there;
        }
        for (ptrdiff_t t = r * time; t < (r + 1) * time; t++)
            weight->x[t] = later->i[t] >= 0 ? R(1.0) / (real)count : R(0.0);
    }
    return as_sum(g->t, as_mul(g->t, as_cross_entropy(g->t, y, later), weight), 1, false);
}

static const char *const name_of[MOST] = { "", "head2", "head3", "head4", "head5", "head6", "head7", "head8" };

static struct as_node *graph(struct as_graph *g, struct as_node *x)
{
    const struct blockwise *o = g->opt;
    bool learns = g->n_in > TARGET && !g->streaming, drawn = learns && g->training && o->loss == DRAWN;
    int one = drawn ? (int)as_below(as_subkey(g->key, 2), 0, (uint32_t)o->heads) : -1;
    struct as_node *y[MOST] = { NULL }, *loss = NULL, *h = NULL;

    x = run_blocks(g, &o->s, run_input(g, &o->s, x));
    if (o->trunk == FROZEN)
        x = as_stop(g->t, x);
    if (learned_heads(o))
        h = as_relu(g->t, as_linear(g->t, x, as_w(g, W_1), as_w(g, B_1)));
    for (int i = 0; i < o->heads; i++) {
        if (i > 0 && drawn && i != one)
            continue;
        y[i] = logits(g, x, h, i);
        if (i > 0 && !drawn)
            as_extra_output(g, name_of[i], y[i]);
        if (learns && (!drawn || i == one))
            loss = loss ? as_add(g->t, loss, loss_of(g, y[i], i)) : loss_of(g, y[i], i);
    }
    if (loss)
        as_auxiliary(g, "heads", drawn ? loss : as_scale(g->t, loss, 1.0 / o->heads));
    return y[0];
}

static const struct as_variant blockwise = {
    .abi = ASSAY_ABI,
    .summary = "language model with heads for the next k tokens, for decoding in blocks",
    .paper = { .key = "stern2018blockwise", .title = "Blockwise parallel decoding for deep autoregressive models",
               .url = "https://arxiv.org/abs/1811.03115", .year = 2018, .id = 287,
               .where = "sections 4 and 6, figure 3",
               .departs = "any stack of blocks; losses are means over a sequence first; first = identity after the "
                          "paper's footnote 1" },
    .options = options, .opt_size = sizeof(struct blockwise), .slots = slots, .ports = ports, .samples = samples,
    .kinks = "max(0, .) of the hidden layer at 0",
    .promises = AS_FLAT | AS_DRAWS | AS_EXTRAS,
    .check = check, .plan = plan, .graph = graph,
};

const struct as_plugin AS_PLUGIN(model__blockwise) = { .abi = ASSAY_ABI, .variant = &blockwise };

/* full-attention.ring.c: softmax attention in both directions over ranks in a ring, each with its chunk of the
 * sequence: sequence parallelism, with the ranks as data on one thread.
 *
 *   ring: Li et al. 2021, "Sequence parallelism: long sequence training from system perspective", ring self-attention.
 *     Rank r holds Q_r, K_r, V_r. R-1 times every rank hands on the keys that it had last and fills S_rc = Q_r K_c';
 *     P_r = softmax(S_r) over the full row; R-1 times the values go round, O_r = sum_c P_rc V_c.
 *     Back: dV_c = sum_r P_rc' dO_r and dK_c = sum_r dS_rc' Q_r are all-reduced; dP_rc = dO_r V_c' and
 *     dQ_r = sum_c dS_rc K_c take another round of values and of keys.
 *   ring-online: Liu et al. 2023, "Ring attention with blockwise transformers": one round of keys and values together,
 *     the softmax carried along; back one more, in which the gradients of a chunk travel with it.
 *
 * The work stands in assay/ring.h. Departs: chunks need not be of one length; padding is left out by masks, not from
 * messages. The authors' code divides the gradients by R; these are gradients. Never the default: named by
 * impl = ring. Counts are of forward passes.
 */
#include <assay/layer.h>
#include <assay/ring.h>

#include <math.h>

struct opt { double scale; int ranks; };     /* as in softmax-attention.h */

enum { Q, K, V };
enum { MEMORY };                             /* saved, or without gradients scratch: of all ranks */
enum { CALLS, SENT, MESSAGES, PEAK };

/* Calls; numbers and messages that all ranks sent; most numbers that a rank held, added up over calls. */
static const char *const counts[] = { "ring.calls", "ring.sent", "ring.messages", "ring.peak", NULL };

static struct as_ring ring_of(const void *opt, const struct as_spec *in, bool online)
{
    const struct opt *o = opt;
    double scale = o->scale > 0 ? o->scale : 1 / sqrt((double)in[Q].dim[3]);

    return (struct as_ring){ .ranks = o->ranks, .online = online, .batch = in[Q].dim[0], .time = in[Q].dim[1],
                             .heads = in[Q].dim[2], .dk = in[Q].dim[3], .dv = in[V].dim[3], .scale = scale };
}

static void plan(struct as_room *r, bool online)
{
    struct as_ring z = ring_of(r->opt, r->in, online);
    size_t all = as_size((size_t)z.ranks, (size_t)as_ring_room(&z, r->gradients));

    if (r->gradients)
        r->saved[MEMORY] = all;
    else
        r->scratch[MEMORY] = all;
}

static void forward(const struct as_call *c, bool online)
{
    struct as_ring z = ring_of(c->opt, c->in, online);
    struct as_ranks w;
    double peak = 0;

    z.length = c->length;
    as_ring_forward(&z, &w, c->saved != NULL, c->x[Q], c->x[K], c->x[V], c->y,
                    c->saved ? c->saved[MEMORY] : c->scratch[MEMORY]);
    if (!c->count)
        return;
    for (int r = 0; r < z.ranks; r++) {
        c->count[SENT] += w.rank[r].sent;
        c->count[MESSAGES] += w.rank[r].messages;
        peak = fmax(peak, (double)w.rank[r].peak);
    }
    c->count[CALLS]++;
    c->count[PEAK] += peak;
}

static void backward(const struct as_call *c, bool online)
{
    struct as_ring z = ring_of(c->opt, c->in, online);
    struct as_ranks w;

    z.length = c->length;
    as_ring_backward(&z, &w, c->dy, c->dx[Q], c->dx[K], c->dx[V], c->saved[MEMORY]);
}

static void rows_plan(struct as_room *r) { plan(r, false); }
static void rows_forward(const struct as_call *c) { forward(c, false); }
static void rows_backward(const struct as_call *c) { backward(c, false); }
static void online_plan(struct as_room *r) { plan(r, true); }
static void online_forward(const struct as_call *c) { forward(c, true); }
static void online_backward(const struct as_call *c) { backward(c, true); }

static const struct as_impl ring = {
    .abi = ASSAY_ABI, .name = "ring", .rank = -1, .plan = rows_plan, .forward = rows_forward,
    .backward = rows_backward, .counts = counts,
};

static const struct as_impl ring_online = {
    .abi = ASSAY_ABI, .name = "ring-online", .rank = -1, .plan = online_plan, .forward = online_forward,
    .backward = online_backward, .counts = counts,
};

const struct as_plugin AS_PLUGIN(core__full_attention__ring) = { .abi = ASSAY_ABI, .impl = { &ring, &ring_online } };

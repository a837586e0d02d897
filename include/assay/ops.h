/* ops.h: operators on nodes, each with its gradient. The catalogue's graphs are written in these.
 *
 * Broadcasting is NumPy's: sizes are aligned at the last dimension, 1 stretches. Negative `axis` counts from
 * the end. A wrong shape is raised with both shapes in the sentence. Where an operator has a kink its gradient
 * there is named. `t` is always the tape on which the result lives.
 */
#ifndef ASSAY_OPS_H
#define ASSAY_OPS_H

#include <assay/tape.h>

#define as_add AS_REAL(as_add)
#define as_sub AS_REAL(as_sub)
#define as_mul AS_REAL(as_mul)
#define as_div AS_REAL(as_div)
#define as_max2 AS_REAL(as_max2)
#define as_min2 AS_REAL(as_min2)
#define as_scale AS_REAL(as_scale)
#define as_shift_by AS_REAL(as_shift_by)
#define as_neg AS_REAL(as_neg)
#define as_exp AS_REAL(as_exp)
#define as_log AS_REAL(as_log)
#define as_sqrt AS_REAL(as_sqrt)
#define as_rsqrt AS_REAL(as_rsqrt)
#define as_square AS_REAL(as_square)
#define as_abs AS_REAL(as_abs)
#define as_sin AS_REAL(as_sin)
#define as_cos AS_REAL(as_cos)
#define as_tanh AS_REAL(as_tanh)
#define as_sigmoid AS_REAL(as_sigmoid)
#define as_logsigmoid AS_REAL(as_logsigmoid)
#define as_softplus AS_REAL(as_softplus)
#define as_log1mexp AS_REAL(as_log1mexp)
#define as_relu AS_REAL(as_relu)
#define as_silu AS_REAL(as_silu)
#define as_gelu AS_REAL(as_gelu)
#define as_gelu_tanh AS_REAL(as_gelu_tanh)
#define as_erf AS_REAL(as_erf)
#define as_elu AS_REAL(as_elu)
#define as_elu_one AS_REAL(as_elu_one)
#define as_clip AS_REAL(as_clip)
#define as_where AS_REAL(as_where)
#define as_stop AS_REAL(as_stop)

struct as_node *as_add(struct as_tape *t, struct as_node *a, struct as_node *b);
struct as_node *as_sub(struct as_tape *t, struct as_node *a, struct as_node *b);
struct as_node *as_mul(struct as_tape *t, struct as_node *a, struct as_node *b);
struct as_node *as_div(struct as_tape *t, struct as_node *a, struct as_node *b);
struct as_node *as_max2(struct as_tape *t, struct as_node *a, struct as_node *b);   /* ties: gradient to a */
struct as_node *as_min2(struct as_tape *t, struct as_node *a, struct as_node *b);   /* ties: gradient to a */
struct as_node *as_scale(struct as_tape *t, struct as_node *a, double factor);
struct as_node *as_shift_by(struct as_tape *t, struct as_node *a, double term);     /* a + term */
struct as_node *as_neg(struct as_tape *t, struct as_node *a);
struct as_node *as_exp(struct as_tape *t, struct as_node *a);
struct as_node *as_log(struct as_tape *t, struct as_node *a);
struct as_node *as_sqrt(struct as_tape *t, struct as_node *a);
struct as_node *as_rsqrt(struct as_tape *t, struct as_node *a);                     /* 1 / sqrt(a) */
struct as_node *as_square(struct as_tape *t, struct as_node *a);
struct as_node *as_abs(struct as_tape *t, struct as_node *a);                       /* gradient 0 at 0 */
struct as_node *as_sin(struct as_tape *t, struct as_node *a);
struct as_node *as_cos(struct as_tape *t, struct as_node *a);
struct as_node *as_tanh(struct as_tape *t, struct as_node *a);
struct as_node *as_sigmoid(struct as_tape *t, struct as_node *a);
struct as_node *as_logsigmoid(struct as_tape *t, struct as_node *a);                /* exact at -80, 0, 80, +-inf */
struct as_node *as_softplus(struct as_tape *t, struct as_node *a);                  /* log(1 + e^a); the same */
struct as_node *as_log1mexp(struct as_tape *t, struct as_node *a);                  /* log(1 - e^a), a < 0 */
struct as_node *as_relu(struct as_tape *t, struct as_node *a);                      /* gradient 0 at 0 */
struct as_node *as_silu(struct as_tape *t, struct as_node *a);
struct as_node *as_gelu(struct as_tape *t, struct as_node *a);                      /* a * Phi(a), by erf */
struct as_node *as_gelu_tanh(struct as_tape *t, struct as_node *a);                 /* the tanh form */
struct as_node *as_erf(struct as_tape *t, struct as_node *a);
struct as_node *as_elu(struct as_tape *t, struct as_node *a);                       /* a > 0: a, else e^a - 1 */
struct as_node *as_elu_one(struct as_tape *t, struct as_node *a);                   /* elu + 1: a > 0: a + 1, else e^a */
struct as_node *as_clip(struct as_tape *t, struct as_node *a, double lo, double hi);
/* mask: integer node, broadcast; where non-zero a, else b. */
struct as_node *as_where(struct as_tape *t, struct as_node *mask, struct as_node *a, struct as_node *b);
struct as_node *as_stop(struct as_tape *t, struct as_node *a);                      /* same values, no gradient */

#define as_matmul AS_REAL(as_matmul)
#define as_matmul_t AS_REAL(as_matmul_t)
#define as_bmm AS_REAL(as_bmm)
#define as_linear AS_REAL(as_linear)

/* (..., k) x (k, n) -> (..., n). */
struct as_node *as_matmul(struct as_tape *t, struct as_node *a, struct as_node *b);
/* (..., k) x (n, k)^T -> (..., n): weights stored (out, in), as in most papers. */
struct as_node *as_matmul_t(struct as_tape *t, struct as_node *a, struct as_node *w);
/* Batched: a (..., m, k) or transposed, b (..., k, n) or transposed; leading sizes equal. */
struct as_node *as_bmm(struct as_tape *t, struct as_node *a, bool ta, struct as_node *b, bool tb);
/* x (..., in), w (out, in), bias (out) or NULL -> (..., out). Lengths kept. */
struct as_node *as_linear(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias);

#define as_sum AS_REAL(as_sum)
#define as_mean AS_REAL(as_mean)
#define as_max AS_REAL(as_max)
#define as_sum_all AS_REAL(as_sum_all)
#define as_softmax AS_REAL(as_softmax)
#define as_logsoftmax AS_REAL(as_logsoftmax)
#define as_logsumexp AS_REAL(as_logsumexp)
#define as_cumsum AS_REAL(as_cumsum)
#define as_cumprod AS_REAL(as_cumprod)
#define as_logcumsumexp AS_REAL(as_logcumsumexp)
#define as_topk AS_REAL(as_topk)
#define as_layernorm AS_REAL(as_layernorm)
#define as_rmsnorm AS_REAL(as_rmsnorm)
#define as_l2norm AS_REAL(as_l2norm)
#define as_time_mean AS_REAL(as_time_mean)
#define as_time_last AS_REAL(as_time_last)

/* Reductions over one axis; keep: the axis stays with size 1. Sums are taken in one fixed order. */
struct as_node *as_sum(struct as_tape *t, struct as_node *a, int axis, bool keep);
struct as_node *as_mean(struct as_tape *t, struct as_node *a, int axis, bool keep);
struct as_node *as_max(struct as_tape *t, struct as_node *a, int axis, bool keep);  /* gradient to the first */
struct as_node *as_sum_all(struct as_tape *t, struct as_node *a);                   /* -> (1) */
/* Over the last axis. Entries of -inf get weight 0; a row of -inf only gives zeros. */
struct as_node *as_softmax(struct as_tape *t, struct as_node *a);
struct as_node *as_logsoftmax(struct as_tape *t, struct as_node *a);
struct as_node *as_logsumexp(struct as_tape *t, struct as_node *a, int axis, bool keep);  /* -inf only: -inf */
struct as_node *as_cumsum(struct as_tape *t, struct as_node *a, int axis);
struct as_node *as_cumprod(struct as_tape *t, struct as_node *a, int axis);               /* zeros allowed */
struct as_node *as_logcumsumexp(struct as_tape *t, struct as_node *a, int axis);          /* of logs; -inf allowed */
/* The k largest of the last axis in falling order (ties: lower index first). *index gets their places. */
struct as_node *as_topk(struct as_tape *t, struct as_node *a, ptrdiff_t k, struct as_node **index);
/* Over the last axis (width d): (a - mean) / sqrt(var + eps) * gain + bias; gain, bias (d) or NULL. */
struct as_node *as_layernorm(struct as_tape *t, struct as_node *a, struct as_node *gain, struct as_node *bias,
                             double eps);
/* a / sqrt(mean(a^2) + eps) * gain; gain (d) or NULL. */
struct as_node *as_rmsnorm(struct as_tape *t, struct as_node *a, struct as_node *gain, double eps);
/* a / sqrt(sum(a^2) + eps) over the last axis. */
struct as_node *as_l2norm(struct as_tape *t, struct as_node *a, double eps);
/* (batch, time, width) -> (batch, width), over valid steps only. A row of length 0 gives zeros. */
struct as_node *as_time_mean(struct as_tape *t, struct as_node *a);
struct as_node *as_time_last(struct as_tape *t, struct as_node *a);

#define as_reshape AS_REAL(as_reshape)
#define as_permute AS_REAL(as_permute)
#define as_swap AS_REAL(as_swap)
#define as_slice AS_REAL(as_slice)
#define as_concat AS_REAL(as_concat)
#define as_pad AS_REAL(as_pad)
#define as_time_shift AS_REAL(as_time_shift)
#define as_flip AS_REAL(as_flip)
#define as_repeat AS_REAL(as_repeat)
#define as_gather AS_REAL(as_gather)
#define as_embed AS_REAL(as_embed)
#define as_scatter_add AS_REAL(as_scatter_add)
#define as_stack AS_REAL(as_stack)

struct as_node *as_reshape(struct as_tape *t, struct as_node *a, int rank, const ptrdiff_t *dims); /* one -1 allowed */
struct as_node *as_permute(struct as_tape *t, struct as_node *a, const int *axes);    /* out axis j = in axes[j] */
struct as_node *as_swap(struct as_tape *t, struct as_node *a, int axis1, int axis2);
struct as_node *as_slice(struct as_tape *t, struct as_node *a, int axis, ptrdiff_t from, ptrdiff_t count);
struct as_node *as_concat(struct as_tape *t, int n, struct as_node *const *a, int axis);
struct as_node *as_stack(struct as_tape *t, int n, struct as_node *const *a, int axis); /* new axis of size n */
struct as_node *as_pad(struct as_tape *t, struct as_node *a, int axis, ptrdiff_t before, ptrdiff_t after, double value);
/* (batch, time, ...): out[t] = a[t - by], zeros (or `fill`, the rest of the sizes, or NULL) come in. by may be < 0. */
struct as_node *as_time_shift(struct as_tape *t, struct as_node *a, ptrdiff_t by, struct as_node *fill);
/* Reverses time within each row's valid steps; padding stays in place. */
struct as_node *as_flip(struct as_tape *t, struct as_node *a);
struct as_node *as_repeat(struct as_tape *t, struct as_node *a, int axis, ptrdiff_t times); /* a size of 1 repeated */
/* Along axis 0: out (n..., rest) = a[index[n...]]; an index outside is raised. Backward adds in index order. */
struct as_node *as_gather(struct as_tape *t, struct as_node *a, struct as_node *index);
/* index (...) integer, table (vocab, width) -> (..., width). Lengths of index kept. */
struct as_node *as_embed(struct as_tape *t, struct as_node *index, struct as_node *table);
/* out (rows, rest): out[index[j]] += a[j], in order of j. */
struct as_node *as_scatter_add(struct as_tape *t, struct as_node *a, struct as_node *index, ptrdiff_t rows);

#define as_conv1d AS_REAL(as_conv1d)
#define as_conv2d AS_REAL(as_conv2d)
#define as_conv_causal AS_REAL(as_conv_causal)
#define as_conv_silu AS_REAL(as_conv_silu)
#define as_scan AS_REAL(as_scan)
#define as_scan_complex AS_REAL(as_scan_complex)
#define as_normaliser AS_REAL(as_normaliser)
#define as_dropout AS_REAL(as_dropout)
#define as_rotary AS_REAL(as_rotary)

struct as_conv { ptrdiff_t stride[2], dilation[2], pad_before[2], pad_after[2], groups; };  /* zeros mean 1 (pads: 0) */
/* x (batch, time, in), w (out, in/groups, kernel), bias (out) or NULL -> (batch, time', out). */
struct as_node *as_conv1d(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias, struct as_conv c);
/* x (batch, height, width, in), w (out, in/groups, kh, kw), bias -> (batch, h', w', out). */
struct as_node *as_conv2d(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias, struct as_conv c);
/* Depthwise, causal: x (batch, time, d), w (d, kernel): y[t] = sum_j w[j] x[t - (kernel-1) + j]; bias (d) or NULL. */
struct as_node *as_conv_causal(struct as_tape *t, struct as_node *x, struct as_node *w, struct as_node *bias);
/* silu of it, without bias, in one pass. */
struct as_node *as_conv_silu(struct as_tape *t, struct as_node *x, struct as_node *w);
/* h[t] = a[t] * h[t-1] + x[t], per channel; a, x (batch, time, d) or a (d); h0 (batch, d) or NULL -> (batch, time, d). */
struct as_node *as_scan(struct as_tape *t, struct as_node *a, struct as_node *x, struct as_node *h0);
/* The same with complex a, x, h as pairs: sizes (..., d, 2), a (d, 2) or (batch, time, d, 2), h0 (batch, d, 2) or NULL. */
struct as_node *as_scan_complex(struct as_tape *t, struct as_node *a, struct as_node *x, struct as_node *h0);
/* What linear attention divides by, per head: out[t] = x[t] / (q[t] . z[t] + eps), z[t] = z0 + k[0] + ... + k[t]; x (batch,
 * time, heads, dv), q, k (batch, time, heads, dk), z0 (batch, heads, dk) or NULL. Padding is not read: zeros. */
struct as_node *as_normaliser(struct as_tape *t, struct as_node *x, struct as_node *q, struct as_node *k,
                              struct as_node *z0, double eps);
/* Inverted dropout with probability p; identity when p is 0. Draws by element index from `key`. */
struct as_node *as_dropout(struct as_tape *t, struct as_node *a, double p, struct as_key key);
/* Rotary positions: x (batch, time, heads, d), d even, pairs (j, j + d/2), angle (t + from) * base^(-2j/d). */
struct as_node *as_rotary(struct as_tape *t, struct as_node *x, double base, ptrdiff_t from);

#define as_cross_entropy AS_REAL(as_cross_entropy)
#define as_bernoulli_nll AS_REAL(as_bernoulli_nll)
#define as_squared_error AS_REAL(as_squared_error)

/* Losses per position: logits (..., classes), target (...) integer -> (...) nats; target < 0: loss 0, no gradient. */
struct as_node *as_cross_entropy(struct as_tape *t, struct as_node *logits, struct as_node *target);
/* logits, target (..., k) -> (...): -sum_k log p(target_k), from logits, safe at any size. */
struct as_node *as_bernoulli_nll(struct as_tape *t, struct as_node *logits, struct as_node *target);
/* (..., k) -> (...): sum over k of (a - target)^2. */
struct as_node *as_squared_error(struct as_tape *t, struct as_node *a, struct as_node *target);

#endif

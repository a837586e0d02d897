/* head.h: a small perceptron W_2 relu(W_1 x + b_1) + b_2 behind a model, on the same tape, with a store of its own: for
 * studies that train a model through what they throw away later. W ~ N(0, 2 / inputs), b = 0.
 */
#ifndef STUDY_HEAD_H
#define STUDY_HEAD_H

#include "descend.h"

struct head { struct descent d; ptrdiff_t in, hidden, out; };

/* Everything is in `a`. */
static inline struct head head_new(struct as_arena *a, ptrdiff_t in, ptrdiff_t hidden, ptrdiff_t out, struct as_key key)
{
    struct head h = { .in = in, .hidden = hidden, .out = out };
    ptrdiff_t n = hidden * (in + 1) + out * (hidden + 1);
    real *w = as_arena_zero(a, as_size(4 * (size_t)n, sizeof *w));
    h.d = (struct descent){ .s = { .n = n, .w = w, .dw = w + n }, .first = w + 2 * n, .second = w + 3 * n };
    for (ptrdiff_t i = 0; i < n; i++) {
        bool first = i < hidden * in, second = i >= hidden * (in + 1) && i < n - out;
        double sd = first ? sqrt(2 / (double)in) : second ? sqrt(2 / (double)hidden) : 0;
        w[i] = (real)(sd * (double)as_normal(key, (uint64_t)i));
    }
    return h;
}

/* x (n, in) -> (n, out). */
static inline struct as_node *head_run(const struct head *h, struct as_tape *t, struct as_node *x)
{
    real *w = h->d.s.w, *dw = h->d.s.dw;
    struct as_node *w1 = as_node_wrap(t, 2, (ptrdiff_t[]){ h->hidden, h->in }, w, dw);
    struct as_node *b1 = as_node_wrap(t, 1, &h->hidden, w + h->hidden * h->in, dw + h->hidden * h->in);
    ptrdiff_t at = h->hidden * (h->in + 1), end = at + h->out * h->hidden;
    struct as_node *w2 = as_node_wrap(t, 2, (ptrdiff_t[]){ h->out, h->hidden }, w + at, dw + at);
    struct as_node *b2 = as_node_wrap(t, 1, &h->out, w + end, dw + end);
    return as_linear(t, as_relu(t, as_linear(t, x, w1, b1)), w2, b2);
}

#endif

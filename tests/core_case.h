/* core_case.h: one case of a core layer (q, k, v and perhaps beta, g in; o out), run by its reference in double, by
 * its graph, and by a kernel at every processor level; the hooks are called directly. Sizes are
 * q, k (batch, time, heads, dk), v, o (batch, time, heads, dv), beta, g (batch, time, heads).
 *
 * How far a float form may be from the double reference is derived, not chosen: the inputs of the reference are
 * moved by up to one float epsilon (1.2e-7) of themselves, and what that moves an array, together with one epsilon of
 * the array's largest value, is what a single rounding a number does. A chain of n additions rounds partial sums that
 * are up to sqrt(n) times a term, so 2 sqrt(n) times that is allowed, n being the longest chain: time + dk + dv.
 */
#ifndef ASSAY_TESTS_CORE_CASE_H
#define ASSAY_TESTS_CORE_CASE_H

#include <assay/layer.h>
#include <stdbool.h>

struct core_case {
    const char *name;
    const char *ports;                   /* "qkvbg": which inputs, in order; b: beta */
    const struct as_plugin *ref;         /* double build */
    const struct as_plugin *variant;     /* float build: the graph */
    const struct as_plugin *kernel[3];   /* by processor level; NULL: not on this machine */
    const void *opt;
    ptrdiff_t batch, time, heads, dk, dv;
    const int32_t *length;               /* (batch), or NULL */
    double spread;                       /* standard deviation of q and k; 0: 1 */
    bool unit_keys;                      /* k has length 1 */
    double beta_max;                     /* beta uniform in (0, beta_max) */
    double forget;                       /* g = -forget |normal| */
};

void core_compare(const struct core_case *c);     /* the kernel, every level, against the reference */
void core_compare_graph(const struct core_case *c);
void core_slopes(const struct core_case *c);      /* the reference's gradient against central differences */
void core_same_bits(const struct core_case *c);   /* the kernel at 1 to 4 threads, and without gradients */
void core_is_causal(const struct core_case *c);   /* the kernel; inputs from half time on change nothing before */
void core_ignores_padding(const struct core_case *c); /* the kernel; NaN in the padding changes nothing valid */
void core_leaves_frozen(const struct core_case *c);   /* runs with no gradient wanted, and with one at a time */
void core_writes_fresh(const struct core_case *c);    /* the kernel, one with `fresh`: what adding to zeros gives */
double core_worst(void);                          /* largest error so far, as a part of what is allowed */

#endif

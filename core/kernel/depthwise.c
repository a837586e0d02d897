/* depthwise.c: the depthwise convolution of sequence.h in registers, for filters of up to four taps: a few channels
 * at a time run through the steps, with the last steps and the filter at hand, so that each number is read once; on
 * the way back dx may therefore be written over dy, given that one piece has all steps.
 * Longer filters go through the loops of sequence.h.
 */
#include "sequence.h"
#include "kernels.h"
#include "vector.h"

#define INLINE static inline __attribute__((always_inline))
enum { MOST = AS_DEPTHWISE_IN_PLACE };  /* taps */

void AS_LEVELLED(as_depthwise_forward)(const struct as_depthwise_piece *p);
void AS_LEVELLED(as_depthwise_backward)(const struct as_depthwise_piece *p);

/* m channels of a row: a whole register, unless `part`. */
INLINE vf get(const float *x, ptrdiff_t m, const bool part)
{
    return part ? vf_load_part(x, m) : vf_load(x);
}

INLINE void set(float *x, ptrdiff_t m, const bool part, vf v)
{
    if (part)
        vf_store_part(x, m, v);
    else
        vf_store(x, v);
}

/* Channels c.. of y; past[j] is step t - (taps - 1) + j, with zeros before the first. */
INLINE void forward_lanes(const struct as_depthwise_piece *p, ptrdiff_t c, ptrdiff_t m, const int taps, const bool part)
{
    const ptrdiff_t d = p->width;
    vf w[MOST], past[MOST], bias = p->bias ? get(p->bias + c, m, part) : vf_set1(0.0f);
    for (int j = 0; j < taps; j++) {
        ptrdiff_t t = p->start - taps + j;
        w[j] = get(p->w + j * d + c, m, part);
        past[j] = t >= 0 ? get(p->x + t * d + c, m, part) : vf_set1(0.0f);
    }
    for (ptrdiff_t t = p->start; t < p->stop; t++) {
        vf s = bias;
        for (int j = 0; j + 1 < taps; j++)
            past[j] = past[j + 1];
        past[taps - 1] = get(p->x + t * d + c, m, part);
        for (int j = 0; j < taps; j++)
            s = vf_fma(w[j], past[j], s);
        set(p->y + t * d + c, m, part, s);
    }
}

/* Backwards through the steps: next[i] is dy at step t + i, zero behind the last.
 *     dx[t] = sum over j of w[j] dy[t + taps-1-j];    dw[j] = sum over t of x[t] dy[t + taps-1-j] */
INLINE void backward_lanes(const struct as_depthwise_piece *p, ptrdiff_t c, ptrdiff_t m, const int taps,
                           const bool part)
{
    const ptrdiff_t d = p->width;
    const bool past = p->past && p->fresh_x && p->dx != p->dy && !part && d % VF_WIDTH == 0 && vf_fits(p->dx);
    vf w[MOST], next[MOST], sum[MOST], bias = vf_set1(0.0f);
    for (int j = 0; j < taps; j++) {
        ptrdiff_t t = p->stop + j;
        w[j] = get(p->w + j * d + c, m, part);
        next[j] = t < p->time ? get(p->dy + t * d + c, m, part) : vf_set1(0.0f);
        sum[j] = vf_set1(0.0f);
    }
    for (ptrdiff_t t = p->stop - 1; t >= p->start; t--) {
        for (int j = taps - 1; j > 0; j--)
            next[j] = next[j - 1];
        next[0] = get(p->dy + t * d + c, m, part);
        if (p->dx) {
            vf s = vf_set1(0.0f);
            for (int j = 0; j < taps; j++)
                s = vf_fma(w[j], next[taps - 1 - j], s);
            if (!p->fresh_x)
                s += get(p->dx + t * d + c, m, part);
            if (past)
                vf_store_past(p->dx + t * d + c, s);
            else
                set(p->dx + t * d + c, m, part, s);
        }
        if (p->part) {
            vf x = get(p->x + t * d + c, m, part);
            for (int j = 0; j < taps; j++)
                sum[j] = vf_fma(x, next[taps - 1 - j], sum[j]);
            bias += next[0];
        }
    }
    if (past)
        vf_past_done();
    for (int j = 0; p->part && j < taps; j++)
        set(p->part + j * d + c, m, part, sum[j]);
    if (p->part)
        set(p->part + taps * d + c, m, part, bias);
}

#define BY_TAPS(name, taps)                                             \
    static void name##_##taps(const struct as_depthwise_piece *p)       \
    {                                                                   \
        ptrdiff_t c = 0, d = p->width;                                  \
        for (; c + VF_WIDTH <= d; c += VF_WIDTH)                        \
            name##_lanes(p, c, VF_WIDTH, taps, false);                  \
        if (c < d)                                                      \
            name##_lanes(p, c, d - c, taps, true);                      \
    }

BY_TAPS(forward, 1)
BY_TAPS(forward, 2)
BY_TAPS(forward, 3)
BY_TAPS(forward, 4)
BY_TAPS(backward, 1)
BY_TAPS(backward, 2)
BY_TAPS(backward, 3)
BY_TAPS(backward, 4)

void AS_LEVELLED(as_depthwise_forward)(const struct as_depthwise_piece *p)
{
    switch (p->taps) {
    case 1: forward_1(p); break;
    case 2: forward_2(p); break;
    case 3: forward_3(p); break;
    case 4: forward_4(p); break;
    default: depthwise_forward(p);
    }
}

void AS_LEVELLED(as_depthwise_backward)(const struct as_depthwise_piece *p)
{
    switch (p->taps) {
    case 1: backward_1(p); break;
    case 2: backward_2(p); break;
    case 3: backward_3(p); break;
    case 4: backward_4(p); break;
    default: depthwise_backward(p);
    }
}

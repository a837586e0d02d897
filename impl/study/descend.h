/* descend.h: Adam on the whole store of a model, for studies whose loss no objective of the trainer is: clear the gradient,
 * go forward and back on a tape, step.
 */
#ifndef STUDY_DESCEND_H
#define STUDY_DESCEND_H

#include <assay/kernel.h>
#include <assay/train.h>
#include <math.h>
#include <string.h>

struct descent { struct as_weights s; real *first, *second; long step; double couple; };     /* decay in the gradient */

/* Its moments are in `a`; nothing decays in the gradient unless `couple` is set. */
static inline struct descent descend_from(struct as_arena *a, struct as_model *m)
{
    struct descent d = { .s = as_model_store(m) };
    d.first = as_arena_zero(a, as_size(2 * (size_t)d.s.n, sizeof *d.first));
    d.second = d.first + d.s.n;
    return d;
}

static inline void descend_clear(struct descent *d) { memset(d->s.dw, 0, (size_t)d->s.n * sizeof *d->s.dw); }

/* One step at this rate; decay is decoupled (AdamW). Raises AS_DIVERGED when the loss that was gone back from is not finite. */
static inline void descend_step(struct descent *d, const struct as_node *loss, double rate, double decay)
{
    double t = (double)++d->step;
    struct as_adam adam = { .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .keep = 1 - rate * decay, .couple = d->couple,
                            .rate = rate / (1 - pow(0.9, t)), .unbias = 1 / sqrt(1 - pow(0.999, t)) };
    if (!isfinite(loss->x[0]))
        as_fail(AS_DIVERGED, "the loss is not finite at step %ld", d->step);
    as_vadam(d->s.n, &adam, d->s.dw, d->first, d->second, d->s.w);
}

/* Up to 1 over the first share `up` of the steps, then half a cosine down to 0; step: 1 .. steps. */
static inline double descend_schedule(long step, long steps, double up)
{
    double done = (double)step - 1, rise = up * (double)steps;
    if (done < rise)
        return (done + 1) / (rise + 1);
    return 0.5 * (1 + cos(3.141592653589793 * (done - rise) / ((double)steps - rise)));
}

#endif

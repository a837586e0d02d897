/* objective-padding: a position without target (-1), or behind the end of its row, is nobody's business: the losses of the
 * others do not change with the amount of padding or what stands in it, and neither loss nor gradient there is anything
 * but finite and weightless. So a mean over valid positions is one over valid positions.
 */
#include "objective.h"

#include <assay/error.h>
#include <math.h>

enum { BATCH = 3, TIME = 5, LONGER = 9, K = 4 };
static const int32_t length[BATCH] = { 5, 3, 1 };

/* The first TIME steps are those of `from`, what is not valid is filled with `rubbish`. */
static void pad(struct objective_try *to, const struct objective_try *from, double rubbish, bool masked)
{
    for (ptrdiff_t b = 0; b < BATCH; b++)
        for (ptrdiff_t t = 0; t < to->c.time; t++) {
            ptrdiff_t at = b * to->c.time + t, was = b * TIME + t;
            bool valid = t < length[b];
            to->weight[at] = valid;
            to->target[at] = valid ? from->target[was] : masked ? -1 : 0;
            for (ptrdiff_t k = 0; k < K; k++) {
                to->output[at * K + k] = valid ? from->output[was * K + k] : rubbish;
                to->real_target[at * K + k] = valid ? from->real_target[was * K + k] : 0;
            }
        }
    to->c.length = length;
}

static void same(struct check_run *r, const struct objective_try *a, const struct objective_try *b)
{
    for (ptrdiff_t row = 0; row < BATCH && !r->failures; row++)
        for (ptrdiff_t t = 0; t < b->c.time && !r->failures; t++) {
            ptrdiff_t at = row * b->c.time + t, was = row * a->c.time + t;
            bool valid = t < length[row];
            check_did(r);
            if (valid && fabs(a->c.loss[was] - b->c.loss[at]) > 1e-12 * (1 + fabs(a->c.loss[was])))
                check_fail(r, "%s: the loss of row %td, step %td is %.12g with %td steps and %.12g when the padding ends at "
                              "%td; do not divide by padded counts: the trainer weighs", objective_text(b), row, t,
                           a->c.loss[was], a->c.time, b->c.loss[at], b->c.time);
            if (!valid && !isfinite(b->c.loss[at]))
                check_fail(r, "%s: the loss in the padding (row %td, step %td) is %g; the trainer multiplies it by 0, so it "
                              "must be finite", objective_text(b), row, t, b->c.loss[at]);
            for (ptrdiff_t k = 0; k < K && !r->failures; k++) {
                double slope = b->c.gradient[at * K + k], before = valid ? a->c.gradient[was * K + k] : 0;
                if (!(fabs(slope - before) <= 1e-12 * (1 + fabs(before))))
                    check_fail(r, "%s: the gradient of row %td, step %td, output %td is %.9g and should be %.9g%s",
                               objective_text(b), row, t, k, slope, before, valid ? "" : ", being padding");
            }
        }
}

static void padded(struct check_run *r, const struct check_setting *s, bool classes)
{
    static const double rubbish[] = { 0, 3, -40 };
    struct objective_try drawn = objective_try_new(r, classes, BATCH, TIME, K, 1);
    struct objective_try plain = objective_try_new(r, classes, BATCH, TIME, K, 1);
    plain.c.setting = s;
    pad(&plain, &drawn, 0, true);
    if (objective_run_double(r, &plain))
        for (int i = 0; i < 3 && !r->failures; i++) {
            struct objective_try more = objective_try_new(r, classes, BATCH, LONGER, K, 1);
            more.c.setting = s;
            pad(&more, &drawn, rubbish[i], i > 0);
            if (objective_run_double(r, &more))
                same(r, &plain, &more);
            objective_try_free(&more);
        }
    objective_try_free(&plain);
    objective_try_free(&drawn);
}

static void run(struct check_run *r) { objective_each(r, padded); }

const struct as_check AS_CHECK(objective_padding) = {
    .name = "objective-padding", .of = CHECK_OBJECTIVE,
    .proves = "padding and missing targets change no valid loss and get no gradient",
    .cannot = "that the data's own weights are right",
    .run = run,
};

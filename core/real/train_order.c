/* train_order.c: which examples a step learns from: a function of the seed and the step alone, so that a run which
 * goes on from a checkpoint sees the same. */
#include "train.h"

#include <stdlib.h>
#include <string.h>

static void *must(void *p)
{
    if (!p)
        as_fail(AS_NO_MEMORY, "out of memory for the order of examples");
    return p;
}

/* Examples sorted by class, and where each class begins, in the order drawn. Classes without an example are none. */
static void sort_by_class(struct as_trainer *tr, const int32_t *target, ptrdiff_t count, ptrdiff_t classes)
{
    struct as_key key = as_subkey((struct as_key){ tr->seed, AS_ROLE_ORDER, 0 }, as_hash("classes"));
    int32_t *rank = must(malloc(as_size((size_t)classes, sizeof *rank)));
    ptrdiff_t *end = must(calloc((size_t)classes + 1, sizeof *end)), at = 0;

    as_shuffle(key, classes, rank);
    for (ptrdiff_t e = 0; e < count; e++)
        if (target[e] >= 0 && target[e] < classes)
            end[rank[target[e]] + 1]++;
    for (ptrdiff_t k = 0; k < classes; k++)
        end[k + 1] += end[k];                       /* end[k]: where class k begins, and soon where it ends */
    tr->by_class = must(malloc(as_size((size_t)count + 1, sizeof *tr->by_class)));
    tr->class_start = must(malloc(as_size((size_t)classes + 1, sizeof *tr->class_start)));
    for (ptrdiff_t e = 0; e < count; e++)
        if (target[e] >= 0 && target[e] < classes)
            tr->by_class[end[rank[target[e]]]++] = (int32_t)e;
    for (ptrdiff_t k = 0; k < classes; k++) {
        if (end[k] > at)
            tr->class_start[tr->n_classes++] = at;
        at = end[k];
    }
    tr->class_start[tr->n_classes] = at;
    free(rank);
    free(end);
}

void order_set_up(struct as_trainer *tr)
{
    ptrdiff_t classes, count = as_data_describe(tr->train)->count[AS_TRAIN];
    const int32_t *target = data_class_targets(tr->train, &classes);

    if (!target)
        return;
    sort_by_class(tr, target, count, classes);
    if (tr->steps > 0 && (tr->n_classes == 0 || tr->steps < tr->n_classes))
        as_fail(AS_REFUSED, "train.steps = %ld is too few for data.order = classes: there are %td classes, and each takes "
                            "an equal share", tr->steps, tr->n_classes);
}

/* Place `at` of a sequence that goes through 0..n-1 again and again, each time in an order of its own: number
 * `stream` and those that follow by `stride`. */
static uint64_t place(struct as_trainer *tr, uint64_t at, ptrdiff_t n, struct as_key key, ptrdiff_t stride, ptrdiff_t stream)
{
    long round = (long)(at / (uint64_t)n), epoch = round * stride + stream;

    if (!tr->order)
        tr->order = must(malloc((size_t)as_data_describe(tr->train)->count[AS_TRAIN] * sizeof *tr->order));
    key.stream = (uint64_t)round;
    if (stride > 1)
        key = as_subkey(key, (uint64_t)stream);
    if (epoch != tr->epoch)
        as_shuffle(key, n, tr->order);
    tr->epoch = epoch;
    return (uint64_t)tr->order[at % (uint64_t)n];
}

/* Class k of n has the steps from ceil(k steps / n) on. */
static void pick_of_class(struct as_trainer *tr, struct as_key key, uint64_t *index)
{
    ptrdiff_t n = tr->n_classes, k = (ptrdiff_t)((int64_t)tr->step * n / tr->steps);
    int64_t first = ((int64_t)k * tr->steps + n - 1) / n;
    ptrdiff_t start = tr->class_start[k], size = tr->class_start[k + 1] - start;
    uint64_t at = (uint64_t)(tr->step - first) * (uint64_t)tr->batch;

    for (ptrdiff_t r = 0; r < tr->batch; r++)
        index[r] = (uint64_t)tr->by_class[start + (ptrdiff_t)place(tr, at + (uint64_t)r, size, key, n + 1, k)];
}

/* Stored data is gone through epoch by epoch, each in its own order; the last batch of an epoch runs on into the
 * next, so every batch is full. Generators are simply counted on. */
const uint64_t *order_pick(struct as_trainer *tr, uint64_t *index)
{
    struct as_key key = { tr->seed, AS_ROLE_ORDER, 0 };
    ptrdiff_t count = as_data_describe(tr->train)->count[AS_TRAIN];
    uint64_t at = (uint64_t)tr->step * (uint64_t)tr->batch;

    if (tr->by_class) {
        pick_of_class(tr, key, index);
        return index;
    }
    for (ptrdiff_t r = 0; r < tr->batch; r++, at++)
        index[r] = count ? place(tr, at, count, key, 1, 0) : tr->first + at;
    return index;
}

void as_trainer_begin(struct as_trainer *tr, uint64_t first) { tr->first = first; }

void order_free(struct as_trainer *tr)
{
    free(tr->order);
    free(tr->by_class);
    free(tr->class_start);
}

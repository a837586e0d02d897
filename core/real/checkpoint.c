/* checkpoint.c: the whole state of a training run as bytes. Data position and every random draw follow from the
 * step alone, so counters, weights, moments, selected weights and curves are all there is. */
#include "train.h"

#include <stdlib.h>
#include <string.h>

struct head {
    char magic[8];
    int64_t n_store, n_moments, real_size, n_points, step, updates, best_step, running_n;
    double best_score, best_tie, running;
};

static const char magic[8] = "assayC2";

static struct head head_of(const struct as_trainer *tr)
{
    struct head h = { .n_store = tr->model->n_store, .n_moments = tr->n_moments, .real_size = sizeof(real),
                      .n_points = tr->n_points, .step = tr->step, .updates = tr->updates, .best_step = tr->best_step,
                      .running_n = tr->running_n, .best_score = tr->best_score, .best_tie = tr->best_tie,
                      .running = tr->running };

    memcpy(h.magic, magic, sizeof magic);
    return h;
}

static size_t size_of(const struct head *h)
{
    size_t weights = as_size((size_t)h->n_store, sizeof(real));

    return sizeof *h + as_size((size_t)h->n_moments + 2, weights) +
           as_size((size_t)h->n_points, sizeof(struct as_point));
}

static void *put(void *to, const void *from, size_t n)
{
    if (n)
        memcpy(to, from, n);
    return (char *)to + n;
}

void *as_trainer_save(const struct as_trainer *tr, size_t *n)
{
    struct head h = head_of(tr);
    size_t weights = (size_t)h.n_store * sizeof(real);
    void *bytes, *p;

    *n = size_of(&h);
    bytes = p = malloc(*n);
    if (!bytes)
        as_fail(AS_NO_MEMORY, "out of memory for a checkpoint of %zu bytes", *n);
    p = put(p, &h, sizeof h);
    p = put(p, tr->model->store, weights);
    p = put(p, tr->best, weights);
    p = put(p, tr->moment, weights * (size_t)h.n_moments);
    put(p, tr->point, (size_t)h.n_points * sizeof *tr->point);
    return bytes;
}

const char *as_trainer_load(struct as_trainer *tr, const void *bytes, size_t n)
{
    struct head h, mine = head_of(tr);
    size_t weights = (size_t)mine.n_store * sizeof(real);
    const char *p = bytes;
    struct as_point *points;

    if (n < sizeof h)
        return "the checkpoint is cut short";
    memcpy(&h, p, sizeof h);
    if (memcmp(h.magic, magic, sizeof magic) != 0)
        return "this is not a checkpoint of this version";
    if (h.n_store != mine.n_store || h.n_moments != mine.n_moments || h.real_size != mine.real_size)
        return "the checkpoint belongs to another model or rule";
    if (h.n_points < 0 || h.n_points > 100000000 || h.step < 0 || h.step > tr->steps || n != size_of(&h))
        return "the checkpoint is damaged";
    points = malloc(((size_t)h.n_points + 1) * sizeof *points);
    if (!points)
        return "out of memory for the checkpoint's curves";
    p += sizeof h;
    memcpy(tr->model->store, p, weights);
    memcpy(tr->best, p += weights, weights);
    p += weights;
    if (h.n_moments)
        memcpy(tr->moment, p, weights * (size_t)h.n_moments);
    memcpy(points, p + weights * (size_t)h.n_moments, (size_t)h.n_points * sizeof *points);
    free(tr->point);
    tr->point = points;
    tr->n_points = (int)h.n_points;
    tr->room_points = (int)h.n_points + 1;
    tr->step = (long)h.step;
    tr->updates = (long)h.updates;
    tr->best_step = (long)h.best_step;
    tr->running_n = (long)h.running_n;
    tr->best_score = h.best_score;
    tr->best_tie = h.best_tie;
    tr->running = h.running;
    tr->epoch = -1;
    return NULL;
}

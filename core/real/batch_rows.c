/* batch_rows.c: some rows of a batch as a batch of their own: where they stand, or gathered by length and cut where the
 * longest of them ends, so that little of what a model does is padding.
 */
#include "train.h"

#include <string.h>

enum { GROUPS = 8, FEWEST = 4 };     /* sorted by length: so many groups, of so many rows or more */
#define SORTED 0.85                  /* of a batch's steps or fewer are valid: it is worth while to sort */

ptrdiff_t rows_sorted_group(ptrdiff_t batch) { return batch / GROUPS > FEWEST ? batch / GROUPS : FEWEST; }

bool rows_can_be_cut(const struct as_model *m, const struct as_data_shape *data)
{
    bool timed = false;

    for (int i = 0; i < data->n_fields; i++)
        for (int j = 0; j < data->field[i].rank; j++) {
            timed = timed || data->field[i].dim[j] == AS_TIME;
            if (j > 0 && data->field[i].dim[j] == AS_TIME)
                return false;
        }
    for (int i = 0; i < m->n_layers; i++) {
        unsigned promises = m->layer[i]->variant->promises;

        if (!(promises & (AS_PADDING_SAFE | AS_POINTWISE | AS_FLAT)) || promises & (AS_BATCH_STATISTICS | AS_EXTRAS))
            return false;
    }
    return timed;
}

struct as_batch rows_from(const struct as_batch *b, ptrdiff_t from, ptrdiff_t count)
{
    struct as_batch part = *b;

    part.batch = count;
    part.length = b->length + from;
    for (int i = 0; i < b->n_fields; i++) {
        const struct as_data_field *f = &b->field[i];
        ptrdiff_t each = 1;

        for (int j = 0; j < f->rank; j++)
            each *= f->dim[j] == AS_TIME ? b->time : f->dim[j];
        if (f->integer)
            part.i[i] = b->i[i] + from * each;
        else
            part.x[i] = b->x[i] + from * each;
    }
    return part;
}

struct as_batch batch_part(struct as_arena *a, const struct as_batch *b, const ptrdiff_t *row, ptrdiff_t rows,
                           ptrdiff_t from, ptrdiff_t steps)
{
    struct as_batch part = *b;

    part.batch = rows;
    part.time = steps;
    part.length = as_arena_take(a, as_size((size_t)rows, sizeof *part.length));
    for (ptrdiff_t r = 0; r < rows; r++) {
        ptrdiff_t left = b->length[row ? row[r] : r] - from;

        part.length[r] = (int32_t)(left < 0 ? 0 : left > steps ? steps : left);
    }
    for (int i = 0; i < b->n_fields; i++) {
        const struct as_data_field *f = &b->field[i];
        const char *all = f->integer ? (const void *)b->i[i] : b->x[i];
        size_t width = f->integer ? sizeof(int32_t) : sizeof(real);
        bool timed = f->rank > 0 && f->dim[0] == AS_TIME;
        ptrdiff_t time = timed ? b->time : 1, first = timed ? from : 0, kept = timed ? steps : 1;
        char *to;

        if (!timed && !row)
            continue;                        /* the same for all steps, and all rows as they stand */
        for (int j = timed; j < f->rank; j++)
            width *= (size_t)f->dim[j];
        to = as_arena_take(a, as_size((size_t)(rows * kept), width));
        for (ptrdiff_t r = 0; r < rows; r++)
            memcpy(to + (size_t)(r * kept) * width, all + (size_t)((row ? row[r] : r) * time + first) * width,
                   (size_t)kept * width);
        part.i[i] = f->integer ? (int32_t *)(void *)to : NULL;
        part.x[i] = f->integer ? NULL : (real *)(void *)to;
    }
    return part;
}

struct as_batch rows_gathered(struct as_arena *a, const struct as_batch *b, const ptrdiff_t *row, ptrdiff_t count)
{
    return batch_part(a, b, row, count, 0, b->length[row[0]] > 0 ? b->length[row[0]] : 1);
}

const ptrdiff_t *rows_sorted(struct as_arena *a, const struct as_batch *b)
{
    ptrdiff_t *order = as_arena_take(a, as_size((size_t)b->batch, sizeof *order));
    ptrdiff_t *place = as_arena_zero(a, as_size((size_t)b->time + 2, sizeof *place));

    for (ptrdiff_t i = 0; i < b->batch; i++)
        place[b->time - b->length[i] + 1]++;
    for (ptrdiff_t t = 0; t <= b->time; t++)
        place[t + 1] += place[t];
    for (ptrdiff_t i = 0; i < b->batch; i++)
        order[place[b->time - b->length[i]]++] = i;
    return order;
}

bool rows_are_ragged(const struct as_batch *b)
{
    double sum = 0;

    for (ptrdiff_t i = 0; i < b->batch; i++)
        sum += b->length[i];
    return sum <= SORTED * (double)b->batch * (double)b->time;
}

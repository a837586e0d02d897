/* evaluate.c: metrics of a model over a split. Sums go example by example, in order, in double: the value does
 * not depend on the evaluation batch size but for the products' own last bits. */
#include "train.h"

#include <math.h>
#include <string.h>

struct target { const struct as_batch *batch; int field; ptrdiff_t time, width; bool real_valued; };

static struct target find_target(const struct as_batch *b)
{
    struct target t = { .batch = b, .field = -1, .time = 1, .width = 1 };

    for (int i = 0; i < b->n_fields; i++)
        if (strcmp(b->field[i].name, "target") == 0)
            t.field = i;
    if (t.field < 0)
        as_fail(AS_REFUSED, "the data has no field 'target' to be measured against");
    t.real_valued = !b->field[t.field].integer;
    for (int i = 0; i < b->field[t.field].rank; i++)
        if (b->field[t.field].dim[i] == AS_TIME)
            t.time = b->time;
        else
            t.width *= b->field[t.field].dim[i];
    return t;
}

static void add_example(const struct target *t, const struct as_metric *metric, const struct as_node *output,
                        ptrdiff_t row, const real *weight, double *sum, double *total)
{
    ptrdiff_t k = output->dim[output->rank - 1];
    double least = (double)INFINITY;

    for (ptrdiff_t s = 0; s < t->time; s++) {
        ptrdiff_t at = row * t->time + s;
        double value;

        if (weight[at] == R(0.0))
            continue;
        value = metric->value(output->x + at * k, k, t->real_valued ? 0 : t->batch->i[t->field][at],
                              t->real_valued ? t->batch->x[t->field] + at * t->width : NULL);
        *sum += (double)weight[at] * value;
        *total += (double)weight[at];
        least = value < least ? value : least;
    }
    if (metric->whole && *total > 0) {
        *sum = least;
        *total = 1;
    }
}

/* A further output, (batch) or (batch, time): its sum over the valid positions of one row, and how many there are. */
static void add_extra(const struct as_model *m, const struct as_metric *metric, const struct as_batch *b, ptrdiff_t row,
                      double *sum, double *total)
{
    bool found = false;

    for (int i = 0; i < m->n_outputs; i++) {
        const struct as_node *e = m->output[i].node;
        ptrdiff_t n = as_node_size(e) / b->batch, valid = n == b->time && e->rank > 1 ? b->length[row] : n;

        if (strcmp(m->output[i].name, metric->extra) != 0)
            continue;
        for (ptrdiff_t s = 0; s < valid; s++)
            *sum += (double)e->x[row * n + s];
        if (!found)
            *total += (double)valid;
        found = true;
    }
    if (!found)
        as_fail(AS_REFUSED, "metric %s: no layer of this model gives an output called '%s'", metric->name,
                metric->extra);
}

static void check_shapes(const struct target *t, const struct as_metric *metric, const struct as_node *output)
{
    ptrdiff_t k = output->dim[output->rank - 1];

    if (as_node_size(output) / (k ? k : 1) != t->batch->batch * t->time)
        as_fail(AS_REFUSED, "metric %s: the model gives %td outputs a batch and the data has %td targets", metric->name,
                as_node_size(output) / (k ? k : 1), t->batch->batch * t->time);
    if (metric->real_target != t->real_valued)
        as_fail(AS_REFUSED, "metric %s wants %s and the data has %s", metric->name,
                metric->real_target ? "real targets" : "classes", t->real_valued ? "real targets" : "classes");
    if (t->real_valued && t->width != k)
        as_fail(AS_REFUSED, "metric %s: the model gives %td numbers and the target has %td", metric->name, k, t->width);
}

struct metrics { int n; const struct as_metric *const *metric; };

struct values { double *sum, *weight; ptrdiff_t all; };         /* of each row by each metric: (metrics, all) */

/* The rows of b, which are those numbered row[0], row[1], ... or, with NULL, 0, 1, ... */
static void measure(struct as_model *m, struct as_tape *t, struct as_arena *a, const struct as_batch *b,
                    const ptrdiff_t *row, const struct metrics *by, struct values v)
{
    struct as_node *output;
    struct target target = find_target(b);
    ptrdiff_t positions;
    double total;
    real *weight = position_weights(a, b, &positions, &total);

    as_tape_reset(t);
    output = as_model_forward(m, t, b, false, (struct as_key){ 0 });
    for (int i = 0; i < by->n; i++) {
        if (!by->metric[i]->extra)
            check_shapes(&target, by->metric[i], output);
        for (ptrdiff_t r = 0; r < b->batch; r++) {
            ptrdiff_t at = i * v.all + (row ? row[r] : r);

            if (by->metric[i]->extra)
                add_extra(m, by->metric[i], b, r, &v.sum[at], &v.weight[at]);
            else
                add_example(&target, by->metric[i], output, r, weight, &v.sum[at], &v.weight[at]);
        }
    }
}

/* A batch, whole or by groups of rows of about one length. */
static struct values measure_batch(struct as_model *m, struct as_tape *t, struct as_arena *a, const struct as_batch *b,
                                   const struct metrics *by, bool cut)
{
    size_t room = as_size((size_t)by->n * sizeof(double), (size_t)b->batch);
    struct values v = { as_arena_zero(a, room), as_arena_zero(a, room), b->batch };
    ptrdiff_t group = cut && rows_are_ragged(b) ? rows_sorted_group(b->batch) : b->batch;
    const ptrdiff_t *order = group < b->batch ? rows_sorted(a, b) : NULL;

    for (ptrdiff_t from = 0; order && from < b->batch; from += group) {
        size_t mark = as_arena_mark(a);
        struct as_batch part = rows_gathered(a, b, order + from, b->batch - from < group ? b->batch - from : group);

        measure(m, t, a, &part, order + from, by, v);
        as_arena_reset(a, mark);
    }
    if (!order)
        measure(m, t, a, b, NULL, by, v);
    return v;
}

void as_evaluate_all(struct as_model *m, struct as_data *d, enum as_split split, ptrdiff_t count, ptrdiff_t batch,
                     int n_metrics, const struct as_metric *const *metrics, struct as_score *scores,
                     float *const *per_example)
{
    const struct as_data_shape *shape = as_data_describe(d);
    struct as_tape *t = as_tape_new();
    struct as_arena *a = as_arena_new();
    struct metrics by = { n_metrics, metrics };
    bool cut = rows_can_be_cut(m, shape);

    if (count == 0 || (shape->count[split] && count > shape->count[split]))
        count = shape->count[split];
    if (count == 0)
        as_fail(AS_REFUSED, "a generator has no end: say how many examples are to be evaluated");
    as_tape_record(t, false);
    memset(scores, 0, (size_t)n_metrics * sizeof *scores);
    for (ptrdiff_t first = 0; first < count; first += batch) {
        ptrdiff_t n = count - first < batch ? count - first : batch;
        struct values v;

        as_arena_reset(a, 0);
        v = measure_batch(m, t, a, as_batch_fill(d, a, split, (uint64_t)first, n, NULL), &by, cut);
        for (int i = 0; i < n_metrics; i++)
            for (ptrdiff_t r = 0; r < n; r++) {
                double sum = v.sum[i * n + r], w = v.weight[i * n + r];

                scores[i].sum += sum;
                scores[i].weight += w;
                if (per_example && per_example[i])
                    per_example[i][first + r] = (float)(w > 0 ? sum / w : 0);
            }
    }
    for (int i = 0; i < n_metrics; i++) {
        scores[i].value = scores[i].weight > 0 ? scores[i].sum / scores[i].weight : (double)NAN;
        scores[i].examples = count;
    }
    as_tape_free(t);
    as_arena_free(a);
}

struct as_score as_evaluate(struct as_model *m, struct as_data *d, enum as_split split, ptrdiff_t count,
                            ptrdiff_t batch, const struct as_metric *metric, float *per_example)
{
    struct as_score score;

    as_evaluate_all(m, d, split, count, batch, 1, &metric, &score, &per_example);
    return score;
}

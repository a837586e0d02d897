/* pointing.h: what the studies of pointing share (datasets/pointing.h says how their data looks): they train the model of
 * the experiment and let it answer by itself, fed with what it said before, on test examples of n = near, near + by, ...,
 * far elements.
 *
 * Decoding goes over prefixes: step i is read off the model's output at step i for the prefix of i words. The `beam` most
 * probable prefixes are kept, those closed by the mark among them; 1 is greedy. Nothing keeps a prefix from naming an
 * element twice. Equal probabilities: the older prefix first, then the lower element.
 */
#ifndef STUDY_POINTING_H
#define STUDY_POINTING_H

#include <assay/metric.h>
#include <assay/registry.h>
#include <assay/study.h>
#include <math.h>
#include <string.h>

enum { POINTING_ROWS = 200 };                    /* of a batch, about */
struct pointing_opt { int near, by, far, examples, beam; };

static const struct as_option pointing_options[] = {
    { "near", AS_INT, offsetof(struct pointing_opt, near), 5, 2, 512, NULL, NULL, "fewest elements that are tested" },
    { "by", AS_INT, offsetof(struct pointing_opt, by), 5, 1, 512, NULL, NULL, "so many more at the next test" },
    { "far", AS_INT, offsetof(struct pointing_opt, far), 7, 2, 512, NULL, NULL, "most elements that are tested" },
    { "examples", AS_INT, offsetof(struct pointing_opt, examples), 20, 1, 10000000, NULL, NULL, "of each test" },
    { "beam", AS_INT, offsetof(struct pointing_opt, beam), 1, 1, 64, NULL, "1,3", "prefixes kept; 1: greedy" },
    { 0 }
};

/* An example, and what the model said: count rows, and whether it closed them with the mark. */
struct pointing_said {
    const real *x;                               /* (n + 1, width) */
    ptrdiff_t width, n, count, asked;
    const int32_t *target, *row;                 /* (asked), (count) */
    bool closed;
};

struct pointing {
    const struct pointing_opt *o;
    struct as_study_run *run;
    struct as_config *cfg;
    struct as_data *data;
    struct as_model *model;
    struct as_arena *a;
    struct as_tape *t;
};

/* Trains; records `accuracy`, and as a curve what selection saw. */
static struct pointing pointing_train(struct as_study_run *r)
{
    struct pointing p = { .o = r->opt, .run = r, .cfg = as_config_copy(r->config), .a = as_arena_new() };
    struct as_trainer *trainer;
    const struct as_data_shape *shape;
    const struct as_point *point;
    int points;

    if (p.o->far < p.o->near)
        as_fail(AS_REFUSED, "far = %d lies before near = %d", p.o->far, p.o->near);
    p.data = as_data_open(p.cfg, r->seed, r->stored);
    shape = as_data_describe(p.data);
    p.model = as_model_new(p.cfg, shape, r->seed);
    trainer = as_trainer_new(p.cfg, p.model, p.data, p.data, r->seed);
    as_trainer_run(trainer, NULL, NULL);
    points = as_trainer_curve(trainer, &point);
    for (int i = 0; i < points; i++)
        r->curve(r->ctx, "accuracy", (double)point[i].step, point[i].valid);
    as_trainer_select(trainer);
    as_trainer_free(trainer);
    r->record(r->ctx, "accuracy", as_evaluate(p.model, p.data, AS_TEST, p.o->examples, POINTING_ROWS,
                                              as_metric_find("accuracy", NULL), NULL).value);
    p.t = as_tape_new();
    as_tape_record(p.t, false);
    return p;
}

static void pointing_end(struct pointing *p)
{
    as_tape_free(p->t);
    as_model_free(p->model);
    as_data_close(p->data);
    as_config_free(p->cfg);
    as_arena_free(p->a);
}

/* --- decoding --------------------------------------------------------------------------------------------------- */

/* One prefix: its rows without the mark, and the logarithm of its probability; -infinity: there is none. */
struct pointing_prefix { int32_t *row; ptrdiff_t count; double log_p; bool closed; };
struct pointing_next { double log_p; int from; int32_t letter; };      /* letter -1: it was closed before */

static void pointing_offer(struct pointing_next *best, int beam, struct pointing_next one)
{
    int i = beam;

    for (; i > 0 && one.log_p > best[i - 1].log_p; i--)
        if (i < beam)
            best[i] = best[i - 1];
    if (i < beam)
        best[i] = one;
}

/* The best of what the prefixes of one example (old: (beam)) become by one more letter. log_p (beam, stride): of the
 * letters at this step, of which the first `letters` are there. Returns whether any of them is still open. */
static bool pointing_extend(int beam, const struct pointing_prefix *old, struct pointing_prefix *new, const real *log_p,
                            ptrdiff_t stride, ptrdiff_t letters)
{
    struct pointing_next best[64];
    bool open = false;

    for (int i = 0; i < beam; i++)
        best[i] = (struct pointing_next){ .log_p = -(double)INFINITY };
    for (int i = 0; i < beam; i++) {
        if (old[i].closed)
            pointing_offer(best, beam, (struct pointing_next){ old[i].log_p, i, -1 });
        for (int32_t j = 0; j < letters && !old[i].closed; j++)
            pointing_offer(best, beam, (struct pointing_next){ old[i].log_p + (double)log_p[i * stride + j], i, j });
    }
    for (int i = 0; i < beam; i++) {
        const struct pointing_prefix *from = &old[best[i].from];
        int32_t *row = new[i].row;

        memcpy(row, from->row, (size_t)from->count * sizeof *row);
        new[i] = (struct pointing_prefix){ row, from->count, best[i].log_p, best[i].letter <= 0 };
        if (best[i].letter > 0)
            row[new[i].count++] = best[i].letter;
        open = open || (!new[i].closed && new[i].log_p > -(double)INFINITY);
    }
    return open;
}

/* (rows) prefixes with room for `time` rows each, all empty, one of each example's `beam` there. */
static struct pointing_prefix *pointing_empty(struct as_arena *a, ptrdiff_t rows, ptrdiff_t time, int beam)
{
    struct pointing_prefix *all = as_arena_take(a, as_size((size_t)rows, sizeof *all));
    int32_t *row = as_arena_take(a, as_size(as_size((size_t)rows, (size_t)time), sizeof *row));

    for (ptrdiff_t i = 0; i < rows; i++)
        all[i] = (struct pointing_prefix){ row + i * time, 0, i % beam ? -(double)INFINITY : 0, false };
    return all;
}

static int pointing_field(const struct as_batch *b, const char *name)
{
    for (int i = 0; i < b->n_fields; i++)
        if (strcmp(b->field[i].name, name) == 0)
            return i;
    as_fail(AS_REFUSED, "the data has no field '%s'; take one for pointing (convex-hull, sorting)", name);
}

/* Answers of a batch whose rows are `beam` copies of each example: at place e * beam the most probable one of e. */
static const struct pointing_prefix *pointing_search(struct pointing *p, const struct as_batch *b)
{
    int beam = p->o->beam, fed = pointing_field(b, "prefix");
    ptrdiff_t width = b->field[0].dim[1], row = b->time * width;
    struct pointing_prefix *now = pointing_empty(p->a, b->batch, b->time, beam);
    struct pointing_prefix *next = pointing_empty(p->a, b->batch, b->time, beam), *was;
    bool open = true;

    memset(b->x[fed], 0, as_size((size_t)(b->batch * row), sizeof(real)));       /* the right answers were there */
    for (ptrdiff_t s = 0; s < b->time && open; s++) {
        const struct as_node *y;

        for (ptrdiff_t r = 0; r < b->batch; r++)
            for (ptrdiff_t i = 0; i < now[r].count && i + 1 < b->time; i++)
                memcpy(b->x[fed] + r * row + (i + 1) * width, b->x[0] + r * row + now[r].row[i] * width,
                       (size_t)width * sizeof(real));
        as_tape_reset(p->t);
        y = as_model_forward(p->model, p->t, b, false, (struct as_key){ 0 });
        open = false;
        for (ptrdiff_t r = 0; r < b->batch; r += beam)
            open |= pointing_extend(beam, now + r, next + r, y->x + (r * b->time + s) * y->dim[2], b->time * y->dim[2],
                                    y->dim[2] < b->length[r] ? y->dim[2] : b->length[r]);
        was = now;
        now = next;
        next = was;
    }
    return now;
}

/* Tests on examples of n elements: judge() sees each answer. */
static void pointing_test(struct pointing *p, int n, void (*judge)(void *ctx, const struct pointing_said *said), void *ctx)
{
    const char *key = "data.n", *text = as_say("%d", n);
    struct as_data *data = as_data_changed(p->cfg, p->run->seed, p->run->stored, &key, &text, 1);
    int beam = p->o->beam, group = beam < POINTING_ROWS ? POINTING_ROWS / beam : 1;

    for (int first = 0; first < p->o->examples; first += group) {
        int m = p->o->examples - first < group ? p->o->examples - first : group;
        const struct pointing_prefix *answer;
        const struct as_batch *b;
        uint64_t *index;

        as_arena_reset(p->a, 0);
        index = as_arena_take(p->a, as_size((size_t)(m * beam), sizeof *index));
        for (int i = 0; i < m * beam; i++)
            index[i] = (uint64_t)(first + i / beam);
        b = as_batch_fill(data, p->a, AS_TEST, 0, m * beam, index);
        answer = pointing_search(p, b);
        for (ptrdiff_t r = 0; r < b->batch; r += beam) {
            const int32_t *target = b->i[pointing_field(b, "target")] + r * b->time;
            struct pointing_said said = { .x = b->x[0] + r * b->time * b->field[0].dim[1], .width = b->field[0].dim[1],
                                          .n = b->length[r] - 1, .count = answer[r].count, .row = answer[r].row,
                                          .target = target, .closed = answer[r].closed };

            while (said.asked < said.n && target[said.asked] > 0)
                said.asked++;
            judge(ctx, &said);
        }
    }
    as_data_close(data);
}

/* Whether the answer is the right one, step by step. */
static bool pointing_exact(const struct pointing_said *s)
{
    return s->closed && s->count == s->asked && memcmp(s->row, s->target, (size_t)s->asked * sizeof *s->row) == 0;
}

#endif

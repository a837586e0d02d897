/* train_rows.c: a batch gone through a few rows at a time. What a small model leaves on the tape for a whole batch does
 * not fit into a core's cache, and its operators are too short to be worth a team each; a few rows' tape fits, and groups
 * of rows are what a team can share. Where sequences differ in length, groups are made of rows of about the same length
 * (batch_rows.c). Groups are dealt to LANES lanes, each with a tape and gradients of its own over the one store of
 * weights; the lanes' gradients are added in order. Groups and lanes depend on sizes and lengths alone, so any team
 * gives the same bits.
 */
#include "train.h"

#include <assay/parallel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANES = 4 };
#define ROOM (1.5 * 1024 * 1024)     /* bytes of layers' outputs in a group; what they save beside is two times that */

struct lane {
    struct as_model *model;          /* the first lane's is the trainer's own; the others share its weights */
    struct as_tape *tape;
    double loss;
    enum as_failure failed;
    char why[512];
};

struct row_lanes {
    ptrdiff_t rows, sorted_rows;     /* of a group, where lengths are much the same, and where they are not */
    ptrdiff_t group;                 /* of the batch under way */
    double flop;                     /* of a step, forward, about */
    const ptrdiff_t *order;          /* (batch) its rows, the longest first; NULL: as they stand */
    struct lane lane[LANES];
};

/* Bytes of what all layers hand on, a row. */
static double row_bytes(const struct as_model *m, ptrdiff_t time)
{
    double sum = 0;

    for (int i = 0; i < m->n_layers; i++) {
        double n = 1;

        for (int j = 1; j < m->layer[i]->out.rank; j++)
            n *= m->layer[i]->out.dim[j] == AS_ANY ? (double)time : (double)m->layer[i]->out.dim[j];
        sum += n * sizeof(real);
    }
    return sum;
}

/* NULL, or what in this model or objective wants a batch to be whole. */
static const char *wants_all_rows(const struct as_trainer *tr)
{
    const struct as_model *m = tr->model;

    for (int i = 0; i < tr->objective.n; i++)
        if (!tr->objective.term[i].objective || tr->objective.term[i].output[0])
            return "the objective has a term on something else than the output";
    if (tr->objective.pieces > 1)
        return "objective.pieces takes long sequences apart already";
    for (int i = 0; i < m->n_layers; i++) {
        const struct as_layer *l = m->layer[i];

        if (l->variant->promises & (AS_BATCH_STATISTICS | AS_EXTRAS))
            return as_say("%s/%s uses the whole batch, or hands over more than its output", l->entry->family,
                          l->entry->name);
        if (l->impl && l->impl->counts)
            return as_say("%s/%s counts its work a batch", l->entry->family, l->entry->name);
        for (int j = 0; j < l->n_weights; j++)
            if (l->weight[j].used && l->weight[j].statistic)
                return as_say("%s/%s keeps running statistics", l->entry->family, l->entry->name);
    }
    return NULL;
}

/* tr->batch stands for all rows at once. */
static void choose_rows(const struct as_trainer *tr, struct as_config *cfg, struct row_lanes *r)
{
    const struct as_data_shape *data = as_data_describe(tr->train);
    ptrdiff_t asked = as_config_int(cfg, "train.rows", 0, 0, 1 << 24), few = rows_sorted_group(tr->batch);
    const char *why = wants_all_rows(tr);
    double fit = ROOM / row_bytes(tr->model, data->max_length > 0 ? data->max_length : 1);

    if (asked > 0 && asked < tr->batch && why)
        as_fail(AS_REFUSED, "train.rows = %td: %s; leave it out", asked, why);
    r->rows = r->sorted_rows = tr->batch;
    if (why || asked >= tr->batch)
        return;
    r->rows = asked > 0 ? asked : fit < 2 || 2 * fit > (double)tr->batch ? tr->batch : (ptrdiff_t)fit;
    if (rows_can_be_cut(tr->model, data))
        r->sorted_rows = asked == 0 && few < r->rows ? few : r->rows;
}

void rows_set_up(struct as_trainer *tr, struct as_config *cfg)
{
    struct row_lanes r = { 0 };

    choose_rows(tr, cfg, &r);
    if (r.rows >= tr->batch && r.sorted_rows >= tr->batch)
        return;
    tr->lanes = calloc(1, sizeof *tr->lanes);
    if (!tr->lanes)
        as_fail(AS_NO_MEMORY, "out of memory for training");
    *tr->lanes = r;
    tr->lanes->flop = as_model_measure(tr->model, 1).flop;
    for (int i = 0; i < LANES && i * r.sorted_rows < tr->batch; i++) {
        struct lane *l = &tr->lanes->lane[i];

        l->model = i ? model_twin(tr->model, cfg) : tr->model;
        l->tape = i ? as_tape_new() : tr->tape;
    }
}

void rows_free(struct as_trainer *tr)
{
    for (int i = 1; tr->lanes && i < LANES; i++) {
        if (tr->lanes->lane[i].tape)
            as_tape_free(tr->lanes->lane[i].tape);
        as_model_free(tr->lanes->lane[i].model);
    }
    free(tr->lanes);
}

struct sharing { struct as_pass *pass; double weight; struct lane *lane; ptrdiff_t first; };

/* One lane's groups, in order. */
static void go_through(void *ctx)
{
    struct sharing *s = ctx;
    struct as_trainer *tr = s->pass->trainer;
    const struct as_batch *all = s->pass->batch;
    const struct row_lanes *r = tr->lanes;
    struct lane *l = s->lane;

    if (l->model != tr->model)
        memset(l->model->gradient, 0, (size_t)tr->model->n_store * sizeof(real));
    for (ptrdiff_t from = s->first * r->group, n; from < all->batch; from += LANES * r->group) {
        ptrdiff_t count = all->batch - from < r->group ? all->batch - from : r->group;
        struct as_batch part;
        struct as_pass pass = { .model = l->model, .batch = &part, .key = as_subkey(s->pass->key, (uint64_t)from),
                                .trainer = tr };
        struct as_node *loss;
        double weight;

        as_tape_reset(l->tape);
        part = r->order ? rows_gathered(as_tape_arena(l->tape), all, r->order + from, count)
                        : rows_from(all, from, count);
        position_weights(as_tape_arena(l->tape), &part, &n, &weight);
        if (!(weight > 0))
            continue;
        loss = as_scale(l->tape, pass_loss(&pass, l->tape), weight / s->weight);
        l->loss += (double)loss->x[0];
        as_backward(l->tape, loss, R(1.0));
    }
}

static void run_lane(void *ctx, ptrdiff_t i)
{
    struct sharing *all = ctx, s = *all;

    s.lane = &s.pass->trainer->lanes->lane[i];
    s.first = i;
    s.lane->loss = 0;
    s.lane->failed = as_try(go_through, &s);      /* nothing may be raised out of a team's piece */
    if (s.lane->failed)
        snprintf(s.lane->why, sizeof s.lane->why, "%s", as_failure_text());
}

bool rows_backprop(struct as_pass *p)
{
    struct as_trainer *tr = p->trainer;
    struct row_lanes *r = tr->lanes;
    struct as_batch b = *p->batch;
    struct sharing s = { .pass = p };
    bool sort = r->sorted_rows < b.batch && rows_are_ragged(&b);
    size_t mark = as_arena_mark(tr->batch_arena);
    ptrdiff_t n, lanes;

    r->group = sort ? r->sorted_rows : r->rows;
    if (r->group >= b.batch)
        return false;
    lanes = (b.batch + r->group - 1) / r->group;
    lanes = lanes < LANES ? lanes : LANES;
    r->order = sort ? rows_sorted(tr->batch_arena, &b) : NULL;
    as_tape_reset(tr->tape);
    position_weights(as_tape_arena(tr->tape), &b, &n, &s.weight);
    as_parallel(lanes, r->flop * (double)(b.batch * b.time), run_lane, &s);
    as_arena_reset(tr->batch_arena, mark);
    p->loss = 0;
    p->bytes = 0;
    for (ptrdiff_t i = 0; i < lanes; i++) {
        if (r->lane[i].failed)
            as_fail(r->lane[i].failed, "%s", r->lane[i].why);
        p->loss += r->lane[i].loss;
        p->bytes += as_arena_mark(as_tape_arena(r->lane[i].tape));
        for (ptrdiff_t j = 0; i > 0 && j < tr->model->n_store; j++)
            tr->model->gradient[j] += r->lane[i].model->gradient[j];
    }
    return true;
}

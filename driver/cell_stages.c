/* cell_stages.c: the stages of a cell, one after the other. A cell without stages is one. Stages whose weights are known
 * (from a checkpoint in a later one, or from a record whose evaluation is made anew) are built and measured again,
 * which gives the same numbers, and not trained. */
#include <driver/cell.h>

#include <assay/error.h>
#include <stdlib.h>

static void look_ahead(struct cell_run *c)
{
    c->past = calloc((size_t)c->stages.n, sizeof *c->past);
    if (!c->past) as_fail(AS_NO_MEMORY, "no memory for the stages");
    for (int i = 0; i < c->stages.n; i++)
        c->steps_all += as_config_int(c->stages.stage[i].config, "train.steps", 1000, 0, 1000000000);
}

void cell_stages(struct cell_run *c)
{
    c->stages = stages_resolved(c->job->config);
    look_ahead(c);
    if (c->job->evaluate_only) cell_find_record(c);
    else cell_find_state(c);
    for (c->stage = 0; c->stage < c->stages.n; c->stage++) {
        cell_open(c);
        if (c->stage < c->known.stages) cell_recall(c);
        else cell_train(c);
        if (cell_asked_to_stop) as_fail(AS_STOPPED, "asked to stop");
        cell_say("phase evaluating");
        cell_evaluate(c);
        if (c->stage + 1 < c->stages.n) cell_close(c);
    }
}

/* cell.h: private to the parts of `assay cell`: one cell from its job to its record. */
#ifndef ASSAY_DRIVER_CELL_H
#define ASSAY_DRIVER_CELL_H

#include <assay/train.h>
#include <driver/job.h>
#include <signal.h>

struct cell_run {
    struct job *job;
    struct record *record;
    struct as_config *cfg;           /* the job's; resolved further while the model is built */
    struct as_data *train, *valid;
    struct as_model *model;
    struct as_trainer *trainer;
    double started, before;          /* seconds: when training began here; spent before a resume */
    double told, saved, every;       /* when progress was last told and state last kept; how often to keep it */
    bool noted;                      /* that checkpoints fail has been said */
    long resumed_from;
    bool keep;                       /* a checkpoint is due */
};

extern volatile sig_atomic_t cell_asked_to_stop;

double cell_clock(void);                                  /* monotonic seconds */
void cell_say(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* one line to the supervisor */

/* All raise (error.h). */
void cell_open(struct cell_run *c);                       /* data, model, trainer */
void cell_train(struct cell_run *c);                      /* from the checkpoint if there is one, to the end */
void cell_weights(struct cell_run *c, const struct record *old);   /* weights of an earlier record, no training */
void cell_evaluate(struct cell_run *c);
void cell_study(struct cell_run *c);                      /* `study = NAME` in the configuration */
void cell_facts(struct cell_run *c);                      /* machine, build, plug-ins, data */

#endif

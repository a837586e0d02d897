/* cell.h: private to the parts of `assay cell`: one cell from its job to its record. */
#ifndef ASSAY_DRIVER_CELL_H
#define ASSAY_DRIVER_CELL_H

#include <assay/train.h>
#include <driver/job.h>
#include <driver/stages.h>
#include <signal.h>

/* Stages whose weights are there already: from a checkpoint, or from an earlier record. */
struct known {
    int stages;
    const float *weight; ptrdiff_t n, at;   /* one stage behind the other; at: where the next begins */
    char *bytes;                     /* what weight points into, or NULL */
    struct record *record;           /* likewise */
    const void *state; size_t n_state;      /* of the stage after them, under way; NULL: none */
    double seconds;                  /* of training that they hold */
};

struct cell_run {
    struct job *job;
    struct record *record;           /* the weights of the stages that are done stand here, one behind the other */
    struct stages stages;
    int stage;                       /* the one under way */
    struct as_config *cfg;           /* its configuration; resolved further while the model is built */
    struct as_data *train, *valid;
    struct as_model *model, *taught; /* taught: of the stage before */
    struct as_trainer *trainer;
    struct known known;
    struct past { struct as_point *point; int n; } *past;    /* (stages.n) curves of the stages that are done */
    long steps_before, steps_all;    /* of the stages before, and of all */
    uint64_t examples_before;
    double started, spent, before;   /* seconds: when training of this stage began here; of stages done here; before a
                                        resume */
    double told, saved, every;       /* when progress was last told and state last kept; how often to keep it */
    bool noted;                      /* that checkpoints fail has been said */
    long resumed_from;
    bool keep;                       /* a checkpoint is due */
};

extern volatile sig_atomic_t cell_asked_to_stop;

double cell_clock(void);                                  /* monotonic seconds */
void cell_say(const char *format, ...) __attribute__((format(printf, 1, 2)));   /* one line to the supervisor */
double cell_trained(const struct cell_run *c);            /* seconds of training so far, whenever they were */

/* All raise (error.h). */
void cell_stages(struct cell_run *c);                     /* every stage: opened, trained or recalled, measured */
void cell_open(struct cell_run *c);                       /* data, model, trainer of the stage under way */
void cell_train(struct cell_run *c);                      /* from the checkpoint if there is one, to the end */
void cell_recall(struct cell_run *c);                     /* its weights and curves are known: no training */
void cell_close(struct cell_run *c);                      /* all but its model, which teaches the next */
void cell_evaluate(struct cell_run *c);
void cell_study(struct cell_run *c);                      /* `study = NAME` in the configuration */
void cell_facts(struct cell_run *c);                      /* machine, build, plug-ins, data */

/* Checkpoints: finding says what is wrong with one and goes on without. */
void cell_find_state(struct cell_run *c);
void cell_keep_state(struct cell_run *c);
void cell_take_state(struct cell_run *c);                 /* into the trainer of the stage that was under way */
void cell_find_record(struct cell_run *c);                /* the weights of all stages, of an earlier record; raises */
void cell_forget(struct cell_run *c);                     /* frees what was found */

#endif

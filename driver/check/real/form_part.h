/* form_part.h: what the files of form.c share, in one precision. */
#ifndef ASSAY_CHECK_FORM_PART_H
#define ASSAY_CHECK_FORM_PART_H

#include "form.h"

#include "core/real/layer.h"

#define form_inputs AS_REAL(form_inputs)
#define form_set_weights AS_REAL(form_set_weights)
#define form_guard_check AS_REAL(form_guard_check)
#define form_free_arrays AS_REAL(form_free_arrays)
#define form_loss_weight AS_REAL(form_loss_weight)
#define form_take AS_REAL(form_take)
#define form_shape AS_REAL(form_shape)
#define form_configure AS_REAL(form_configure)
#define form_input_node AS_REAL(form_input_node)

/* An array of the check's own, with a red zone of NaNs on either side, and what it held at first. */
struct form_array { char what[96]; ptrdiff_t n; real *at, *block, *before; bool must_stay; };

struct form_running {
    const struct form *f;
    struct form_result *r;
    struct as_config *cfg;
    struct as_model *m;
    struct as_tape *t;
    real *x[FORM_PORTS], *dx[FORM_PORTS];        /* whole inputs, (batch, time, unit) */
    int32_t *i[FORM_PORTS];
    ptrdiff_t unit[FORM_PORTS];
    struct form_array array[2 * (FORM_PORTS + FORM_PARTS)];
    int n_arrays;
};

/* The keys that make this layer the model. */
void form_configure(struct as_config *cfg, const struct form *f);
/* The data that the layer is told of. */
struct as_data_shape form_shape(const struct form *f);
real *form_take(struct form_running *run, const char *kind, const char *what, ptrdiff_t n, bool must_stay);
void form_inputs(struct form_running *run);
void form_set_weights(struct form_running *run);
/* Steps from..from+time-1 of input i as a node; whole inputs stand where they are, with their gradient. */
struct as_node *form_input_node(struct form_running *run, int i, ptrdiff_t from, ptrdiff_t time);
void form_guard_check(struct form_running *run);
void form_free_arrays(struct form_running *run);
double form_loss_weight(const struct form *f, ptrdiff_t row, ptrdiff_t step, ptrdiff_t place);

#endif

/* experiment_impl.h: what the files that read an experiment share. Sentences carry no place; the caller adds it. */
#ifndef ASSAY_DRIVER_EXPERIMENT_IMPL_H
#define ASSAY_DRIVER_EXPERIMENT_IMPL_H

#include "experiment.h"
#include "ini.h"

#define FIRST_TUNE_SEED 1000000       /* below: reported seeds; from here: tuning seeds */

/* realloc of n entries of `size` to one more, which is cleared (all of them when array is NULL); never NULL. */
void *more(void *array, int n, size_t size);

/* "a, b, c" into texts. ranges: a piece "0..3" gives 0, 1, 2, 3. A list without a comma that is one range is always
 * expanded when `lone`. Empty pieces and repeated values are refused. */
const char *value_list(const char *text, bool ranges, bool lone, char ***value, int *n);
void texts_free(char **text, int n);

/* "lr" -> "train.lr"; everything else as it is. as_say() or the key itself. */
const char *full_key(const char *key);
/* Whether a key belongs to the model: it stands alone, without a section. */
bool is_model_key(const char *key);

struct axis *axis_find(struct axis *axis, int n, const char *key);
void axis_set(struct axis **axis, int *n, const char *key, char **value, int n_values);    /* takes the values */
void axis_remove(struct axis *axis, int *n, struct axis *a);

/* Removes a key. true when it was there. */
bool config_remove(struct as_config *cfg, const char *key);
const char *config_find(const struct as_config *cfg, const char *key);

/* Takes in `key = value` of a section ("train", "eval long"). create: sections with names may be new. */
const char *experiment_take(struct experiment *e, const char *section, const char *key, const char *value,
                            bool create);

/* The file of an experiment, malloc'd, or NULL; and the sentence when there is none. */
char *experiment_path(const char *name);
const char *experiment_missing(const char *name);

/* The stages of a file, in order, into e->stage. NULL, or the sentence with its place. */
const char *stages_find(struct experiment *e, const struct ini *ini);
/* Takes in a key of [stage NAME]; into e->base, as stage.NAME.KEY. */
const char *take_stage(struct experiment *e, const char *name, const char *key, const char *value);
/* Checks every key of a stage, wherever it stands. NULL, or the sentence with the file. */
const char *check_stages(const struct experiment *e);

/* Applies the overrides (key and value pairs), from [quick] or from the command line, in the right order. */
const char *experiment_override(struct experiment *e, const char *const *key, const char *const *value, int n);

/* Fills in e->settings from what --set says ("KEY=VALUE"): in one order, whatever the command line's. */
void keep_settings(struct experiment *e, const char *const *text, int n);

#endif

/* source.h: what the checks of sources share (check_source.c). */
#ifndef ASSAY_DRIVER_CHECK_SOURCES_H
#define ASSAY_DRIVER_CHECK_SOURCES_H

#include <assay/source.h>
#include <driver/check/check.h>

/* One generator under one setting, with room for one example between guards. */
struct source_try {
    const struct as_source *source;
    const struct check_setting *setting;     /* NULL: the defaults */
    void *opt;
    struct as_data_shape shape;
    struct as_example e;
    void *block[AS_MAX_FIELDS];              /* private */
    size_t bytes[AS_MAX_FIELDS];             /* of a longest example's field */
};

/* Calls body for the defaults and each value in range (and of the sweeps) of each option that check() lets pass; settings
 * whose longest example would not fit into 64 MiB are left out. Says "does not matter" of converters. Stops at the
 * first failure. */
void source_each(struct check_run *r, void (*body)(struct check_run *r, struct source_try *t));

/* Makes an example in arrays full of `rubbish`. False after the check was failed: an impossible length, or writing beside
 * its arrays. */
bool source_make(struct check_run *r, struct source_try *t, enum as_split split, uint64_t seed, uint64_t index,
                 int rubbish);

/* How many examples to look at: `most`, fewer when they are long, 2 at least. answer() may take the square of a length. */
int source_examples(const struct source_try *t, int most);

/* Sizes of what is valid of a field in the example just made. */
ptrdiff_t source_items(const struct source_try *t, int field);
int source_field(const struct source_try *t, const char *name);          /* -1: there is none */
/* A hash of the valid part of fields 0..fields-1, and of the length. */
uint64_t source_hash(const struct source_try *t, int fields);

/* "with length=3..40"; as_say(). */
const char *source_text(const struct source_try *t);
const char *source_split_name(enum as_split split);

/* NULL, or why the values of an example are not what the shape says. Also for converted examples. */
const char *source_misfit(const struct as_data_shape *shape, const struct as_example *e);

#endif

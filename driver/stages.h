/* stages.h: the stages of a cell as configurations.
 *
 * An experiment file has plain keys, and keys of a stage ("stage.fine.train.lr"), which change the plain ones for that
 * stage. Once resolved, each stage has a whole configuration of its own below stage.NAME, `stage.order` says in which
 * order they run, and nothing is plain but what is no stage's: `seed` and `test.*`. A cell without stages is one stage
 * without a name, whose configuration is the cell's. */
#ifndef ASSAY_DRIVER_STAGES_H
#define ASSAY_DRIVER_STAGES_H

#include <assay/config.h>
#include <stdint.h>

struct stage {
    char *name;                   /* NULL: the cell has no stages */
    struct as_config *config;
    char *fresh;                  /* names of weights that are drawn anew, as written; NULL: none */
};
struct stages { struct stage *stage; int n; };

/* What stands behind "stage.NAME." in a key, and the name in `name` (room bytes; may be NULL); any other key is given
 * back as it is, with an empty name. Borrowed from key. */
const char *stage_key(const char *key, char *name, size_t room);

/* The stages that a file asks for, in this order; keys of stages count as read. n = 0: the one without a name, whose
 * configuration is cfg itself. Only a stage's own keys are "given" in its configuration. */
struct stages stages_asked(struct as_config *cfg, char *const *name, int n);

/* Those of a resolved configuration. */
struct stages stages_resolved(struct as_config *cfg);

/* NULL, or a sentence about the first plain key that no stage has read as such. */
const char *stages_unread(const struct as_config *cfg, const struct stages *s);

/* Makes cfg the resolved form of completed stages. */
void stages_put(struct as_config *cfg, const struct stages *s);

void stages_free(struct stages *s);

/* The seed of what stage number i draws: weights, orders, noise. That of the first is the cell's. */
uint64_t stage_seed(long seed, int i);

#endif

/* golden.h: our numbers against a file that another program computed (tests/golden/). Both precisions.
 *
 * A file says what it is about (attributes `kind`, `of`, `options`) and holds inputs, weights by the names that a
 * model gives them, outputs, and gradients for one cotangent. Everything it holds must be compared and everything
 * that we compute must be in it.
 */
#ifndef ASSAY_DRIVER_CHECK_GOLDEN_H
#define ASSAY_DRIVER_CHECK_GOLDEN_H

#include <assay/ops.h>

#include "driver/h5.h"

struct golden_result {
    int runs, arrays, wrong;         /* of an implementation; compared; mistakes, and files that cannot be used */
    double worst;                    /* difference over the scale of its array */
    char where[200];                 /* of the worst one */
    char of[64];                     /* what the file is about: "recurrent/lstm" */
};

/* The file at `path` against every implementation that there is. A difference may be `tolerance` times the scale of
 * its array, the largest absolute value expected in it. say: gets a sentence for each mistake. */
#define golden_check AS_REAL(golden_check)
struct golden_result golden_check(const char *path, double tolerance, void (*say)(const char *sentence));

/* ---- for golden*.c ------------------------------------------------------------------------------------------ */

struct golden {
    struct h5 *file;
    const char *name, *of, *options; /* "lstm.h5", "recurrent/lstm", "hidden=5 bias=off" */
    const char *how;                 /* the implementation under way: "mixer.impl=ref" */
    double tolerance;
    struct as_arena *arena;          /* of the file */
    struct as_tape *tape;            /* of the file; layers have one a run */
    void (*say)(const char *sentence);
    struct golden_result result;
};

struct golden_array { int rank; ptrdiff_t dim[H5_MAX_RANK], n; const double *v; const int32_t *i; };

#define golden_mistake AS_REAL(golden_mistake)
#define golden_read AS_REAL(golden_read)
#define golden_node AS_REAL(golden_node)
#define golden_count AS_REAL(golden_count)
#define golden_option AS_REAL(golden_option)
#define golden_compare AS_REAL(golden_compare)
#define golden_layer AS_REAL(golden_layer)
#define golden_objective AS_REAL(golden_objective)
#define golden_rule AS_REAL(golden_rule)
#define golden_operator AS_REAL(golden_operator)

/* Counts a mistake and tells it, with the file and the implementation before it. */
void golden_mistake(struct golden *g, const char *sentence);
/* The array called `name`, real or integer; raises when it is absent. */
struct golden_array golden_read(struct golden *g, const char *name);
/* How many arrays there are in a group. */
int golden_count(struct golden *g, const char *group);
/* golden_read() as a node on the tape; a real one wants a gradient. */
struct as_node *golden_node(struct golden *g, struct as_tape *t, const char *name);
/* Goes through the words KEY=VALUE of `options`, *at starting as NULL; NULL at the end. In the arena. */
const char *golden_option(struct golden *g, const char **at, const char **value);
/* Ours (rank, dim) against the array called `name`. */
void golden_compare(struct golden *g, const char *name, const real *ours, int rank, const ptrdiff_t *dim);

/* One a kind of file. They may raise. */
void golden_layer(struct golden *g);
void golden_objective(struct golden *g);
void golden_rule(struct golden *g);
void golden_operator(struct golden *g);

#endif

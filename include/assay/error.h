/* error.h: how core and plug-ins say no. Nothing here prints or exits.
 *
 * Two ways, for two needs. A *refusal* is an answer ("this shape cannot be"): a hook returns a sentence, or
 * NULL when all is well; as_say() makes one with values in it. A *failure* is the end of the call under way
 * (out of memory, a shape that contradicts the plan): as_fail() unwinds to the nearest as_try(), which the
 * driver and the tests set up. Hooks never catch.
 */
#ifndef ASSAY_ERROR_H
#define ASSAY_ERROR_H

#include <stdbool.h>

/* A sentence in a buffer of this thread; valid until the eighth next call. printf format, C locale. */
const char *as_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum as_failure {
    AS_OK,
    AS_FAILED,          /* a contract was broken; the sentence says which */
    AS_REFUSED,         /* a check, plan or option said no */
    AS_NO_MEMORY,       /* the arena or the system has no more */
    AS_DIVERGED,        /* a loss or weight became NaN or infinite */
    AS_STOPPED          /* asked to stop (signal); state has been kept */
};

/* Ends the call under way: control returns from the innermost as_try() of this thread. Must not be called
 * inside a parallel region: collect the error and raise it after. */
_Noreturn void as_fail(enum as_failure what, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Runs body(ctx). Returns AS_OK, or what failed; then as_failure_text() has the sentence until the next try. */
enum as_failure as_try(void (*body)(void *ctx), void *ctx);
const char *as_failure_text(void);

/* The entry of `names` (ended by NULL) nearest to `word` by edit distance, or NULL when none is near. */
const char *as_nearest(const char *word, const char *const *names);

#endif

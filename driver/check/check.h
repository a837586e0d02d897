/* check.h: what a check of `assay check` is made of. One check is one file driver/check/NAME.c, which ends with
 *
 *     const struct as_check AS_CHECK(name) = { .name = "name", .of = CHECK_LAYER, .proves = "...", .run = run };
 *
 * The table of all checks is written by the build from the folder: dropping a file in adds a check, deleting it
 * takes the check away. Helpers that checks share stand in driver/ as check_*.c; helpers that run a layer in one
 * precision in driver/check/real/, compiled twice (form.h).
 *
 * Every plug-in is checked in a process of its own, so a check may crash, hang or raise as_fail(): that is a failure
 * of this check on this plug-in, and the next check goes on in a new process. Nothing is kept from one check to the
 * next. The process has one thread until a check asks for more by as_threads_set(), and puts it back to 1.
 */
#ifndef ASSAY_DRIVER_CHECK_H
#define ASSAY_DRIVER_CHECK_H

#include <assay/option.h>
#include <assay/registry.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct check_run;

/* What a check is for: one or several. */
enum { CHECK_LAYER = 1, CHECK_RULE = 2, CHECK_OBJECTIVE = 4, CHECK_SOURCE = 8, CHECK_STUDY = 16, CHECK_ALL = 31 };

struct as_check {
    const char *name;                /* required: the file's name; `--only NAME` */
    unsigned of;                     /* required */
    int order;                       /* lower runs first (default 0, ties by name); descriptor has -1 */
    const char *proves;              /* required: one sentence, printed by --list and in doc/conformance.md */
    const char *cannot;              /* required: one sentence: what a pass does not say */
    void (*run)(struct check_run *r);   /* required */
};

/* The symbol: the file's name with - as _. */
#define AS_CHECK(symbol) as_check_##symbol

extern const struct as_check *const as_checks[];       /* ends with NULL; generated (obj/checks.c) */

/* --- inside run() ------------------------------------------------------------------------------------------------- */

/* What became of one check of one plug-in, worst last. */
enum check_result {
    CHECK_NO_MATTER,                 /* does not apply: "makes no promise to be causal" */
    CHECK_PASS,
    CHECK_UNPROVED,                  /* listed, not a failure: there is nothing independent to compare with */
    CHECK_NOT_TESTED,                /* applies, and could not be tested: counts as a failure of the plug-in */
    CHECK_FAIL
};

struct check_run {
    const struct as_check *check;
    const struct as_entry *entry;    /* the plug-in: its NAME.c, never a kernel file */
    const char *name;                /* "linear-attention/deltanet", "rule/adam" */
    uint64_t seed;                   /* of all draws; --seed */
    bool elements;                   /* --elements: gradients element by element */
    /* private: */
    enum check_result result;
    long did;                        /* comparisons made */
    int failures;                    /* sentences so far */
    char text[2048], note[512];      /* the sentences, a line each */
};

/* One comparison was made. A run that ends without any, and without a verdict of its own, is "not tested". */
void check_did(struct check_run *r);

/* The four verdicts other than pass; printf formats. Several failures of one check may be said, the first three are
 * kept. Say what was expected, what came, at which element, with which options and shape; the line that repeats the
 * check is added by the engine. None of them returns control elsewhere: a check goes on, or returns. */
void check_fail(struct check_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_not_tested(struct check_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_unproved(struct check_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_no_matter(struct check_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What is worth knowing of a pass: the worst error and its place. The last one said is kept; --verbose and --json. */
void check_note(struct check_run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* --- option tables, of any kind of plug-in (check_settings.c) ---------------------------------------------------- */

/* One option at one value, as text for the configuration. */
struct check_setting {
    const struct as_option *row;
    char value[64];
    bool beyond;                     /* out of range, or not among the words: must be refused */
};

/* Each option at its default, minimum, maximum (every word; off and on), and one step beyond. Returns how many;
 * at most `room` are written. */
int check_settings(const struct as_option *table, struct check_setting *out, int room);

/* Reads the table with one option changed (NULL: defaults) into opt (opt_size bytes) as the program would, from
 * PREFIX.key. NULL, or the refusal. */
const char *check_options_with(const struct as_option *table, const struct check_setting *s, void *opt,
                               size_t opt_size);

/* --- the engine (check_engine.c) ---------------------------------------------------------------------------------- */

/* One line of the report: one check on one plug-in. */
struct check_line { const struct as_check *check; enum check_result result; const char *text; const char *note;
                    double seconds; };

struct check_how {
    uint64_t seed;
    bool elements;
    const char *only;                /* one check, or NULL: all that are for this kind */
    double limit;                    /* seconds for one check; 0: 60 */
    /* Told about each check when it is done, in order; may be NULL. */
    void (*line)(void *ctx, const struct as_entry *plugin, const struct check_line *line);
    void *ctx;
};

/* Runs the checks on one plug-in, in processes of their own: the caller must not have started threads. Returns the
 * worst result; CHECK_NO_MATTER when no check is for it. */
enum check_result check_plugin(const struct as_entry *plugin, const struct check_how *how);

/* CHECK_LAYER, ... of a NAME.c entry; 0 of a kernel file. */
unsigned check_kind_of(const struct as_entry *entry);
bool check_passed(enum check_result r);                /* neither a failure nor untested */
const char *check_result_word(enum check_result r);    /* "pass", "FAIL", "not tested", "unproved", "-" */

/* NULL, or a sentence: the source of this plug-in (or of a kernel of its) is not what this program was built from.
 * home: the top of the source tree. */
const char *check_stale(const struct as_entry *entry, const char *home);

#endif

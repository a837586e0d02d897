/* registry.h: what a plug-in file exports, and the table of all of them that the build writes. */
#ifndef ASSAY_REGISTRY_H
#define ASSAY_REGISTRY_H

#include <assay/real.h>

struct as_variant;
struct as_impl;
struct as_rule;
struct as_objective;
struct as_study;
struct as_source;

#define AS_MAX_IMPL 8

/* A plug-in in impl/mock/ is wrong on purpose: `assay check` of the program that has the mocks must refuse it. */
struct as_mock {
    const char *caught_by;                      /* the check that must fail: "causal" */
    const char *truth;                          /* what is right, in one sentence */
    const char *wrong;                          /* what this plug-in does instead */
};

/* The one external constant of each file in impl/ and datasets/. Designated initialisers; exactly one of
 * variant, rule, objective, study and source, or none in a kernel file (NAME.KERNEL.c), which has `impl` only. */
struct as_plugin {
    int abi;                                    /* required: ASSAY_ABI */
    const struct as_variant *variant;
    const struct as_rule *rule;
    const struct as_objective *objective;
    const struct as_study *study;
    const struct as_source *source;
    const struct as_impl *impl[AS_MAX_IMPL];    /* ends with NULL */
    const struct as_mock *mock;                 /* impl/mock/ only, and required there */
};

struct as_entry {
    const char *family;      /* the folder: "linear-attention"; "datasets" for sources; "template" */
    const char *name;        /* the file: "deltanet" */
    const char *kernel;      /* "" for NAME.c, "chunk" for NAME.chunk.c */
    int level;               /* processor level of this build of a kernel file (enum as_level) */
    const char *path;        /* from the top of the source tree */
    const char *hash;        /* SHA-256 of the source and the contracts */
    const struct as_plugin *plugin;
};

extern const struct as_entry as_entries[], as_entries_d[];      /* each ends with path == NULL; generated */
#define as_entries_real AS_REAL(as_entries)

/* NULL, or a sentence about the first descriptor that breaks the contract (version, required hooks, names). */
#define as_registry_check AS_REAL(as_registry_check)
const char *as_registry_check(const struct as_entry *table);
/* The same for one entry of the table; without its path. */
#define as_registry_check_one AS_REAL(as_registry_check_one)
const char *as_registry_check_one(const struct as_entry *table, const struct as_entry *entry);

/* The NAME.c entry called `name` ("deltanet" or "linear-attention/deltanet") that has a descriptor of the kind
 * asked for ("layer", "rule", "objective", "study", "source"); NULL when there is none, then *nearest (may be
 * NULL) gets the nearest name or NULL. */
#define as_registry_find AS_REAL(as_registry_find)
const struct as_entry *as_registry_find(const char *kind, const char *name, const char **nearest);

/* The implementations of a variant, best rank first, those above the processor level left out. Returns how
 * many there are; fills at most `room`. entry: the file that carries it (for level and hash). */
struct as_choice { const struct as_impl *impl; const struct as_entry *entry; };
#define as_registry_impls AS_REAL(as_registry_impls)
int as_registry_impls(const struct as_entry *variant, struct as_choice *out, int room);

#endif

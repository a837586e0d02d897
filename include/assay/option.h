/* option.h: one row of a table is one option: parsing, range, default, help, sweep and record in one line.
 *
 * The options struct belongs to the plug-in. Field types by kind: AS_INT, AS_BOOL, AS_WORD -> int (a word is
 * stored as its place in `words`), AS_NUM -> double, AS_RANGE -> struct as_range (default "def" for both ends,
 * or `words` as text). A value out of range is refused, never clamped; an
 * unknown key is an error that names the nearest key; a key that is set and never read is an error too.
 */
#ifndef ASSAY_OPTION_H
#define ASSAY_OPTION_H

#include <stddef.h>

enum as_option_type { AS_INT = 1, AS_NUM, AS_BOOL, AS_WORD, AS_RANGE };

struct as_range { int lo, hi; };  /* AS_RANGE: "3..40", or "40" for both */

struct as_option {
    const char *key;             /* required; NULL ends a table */
    enum as_option_type type;    /* required */
    size_t offset;               /* required: offsetof() in the plug-in's options struct */
    double def;                  /* default; for AS_WORD the place in `words` */
    double min, max;             /* inclusive; both 0: any value (AS_INT, AS_NUM) */
    const char *words;           /* AS_WORD: "none|rotary|learned" */
    const char *sweep;           /* optional: values worth an ablation, "1,2" */
    const char *help;            /* required: one line, with the paper's letter and the unit */
};

struct as_config;                /* the resolved configuration: key = text, see config.h */

/* Fills `opt` (opt_size bytes, zeroed first) from defaults and from the keys PREFIX.key of cfg (or `key` when
 * prefix is ""), marks them as read and writes the value used back into cfg. NULL, or the refusal. */
const char *as_options_read(const struct as_option *table, void *opt, size_t opt_size,
                            struct as_config *cfg, const char *prefix);

/* Sets one option from text; NULL or the refusal. */
const char *as_option_set(const struct as_option *row, void *opt, const char *text);

/* The value as text that as_option_set() reads back exactly (%.17g for AS_NUM). buf: n bytes. */
void as_option_text(const struct as_option *row, const void *opt, char *buf, size_t n);

#endif

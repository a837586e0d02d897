/* config.h: a flat, ordered list of `key = text`: one cell's configuration, before and after resolving.
 *
 * Plug-ins never see it; core reads it while it builds models, rules and data, and writes every default back,
 * so that what is hashed and recorded is complete. Keys carry their section where the grammar needs it:
 * "data.length", "train.steps", "rule.beta1"; the model's keys stand alone ("mixer", "mixer.heads", "width").
 */
#ifndef ASSAY_CONFIG_H
#define ASSAY_CONFIG_H

#include <stdbool.h>
#include <stddef.h>

struct as_config_entry { char *key, *text; bool given, read; };   /* given: by the user; read: by anybody */
struct as_config { struct as_config_entry *entry; size_t n, room; };

struct as_config *as_config_new(void);
void as_config_free(struct as_config *cfg);
struct as_config *as_config_copy(const struct as_config *cfg);

/* Sets (or replaces) a key. Copies both strings. */
void as_config_set(struct as_config *cfg, const char *key, const char *text, bool given);

/* The text of a key, marked as read; NULL when absent. */
const char *as_config_get(struct as_config *cfg, const char *key);

/* Typed reads with a default that is written back. A text that does not parse is raised as AS_REFUSED. */
double as_config_num(struct as_config *cfg, const char *key, double def, double min, double max);
long as_config_int(struct as_config *cfg, const char *key, long def, long min, long max);
const char *as_config_word(struct as_config *cfg, const char *key, const char *def);
bool as_config_bool(struct as_config *cfg, const char *key, bool def);

/* NULL, or a sentence about the first given key that nobody read, with the nearest key that somebody did. */
const char *as_config_unread(const struct as_config *cfg);

/* The whole as sorted `key = text` lines: what is hashed. malloc'd. */
char *as_config_text(const struct as_config *cfg);

/* Reads a number in the C locale whatever the process has set. true when the whole text was used. */
bool as_parse_num(const char *text, double *value);

#endif

/* key.h: what makes two cells the same cell. */
#ifndef ASSAY_DRIVER_KEY_H
#define ASSAY_DRIVER_KEY_H

#include <assay/config.h>
#include <assay/registry.h>
#include <stddef.h>

/* SHA-256 as 64 hexadecimal digits and a zero. */
void key_sha256(const void *bytes, size_t n, char hex[65]);

/* The plug-in files that a resolved configuration uses: every layer (with the file of its chosen implementation),
 * rule, objective and source. Sorted by path, each once. Returns how many there are; malloc'd, caller frees. */
int key_plugins(const struct as_config *cfg, const struct as_entry ***files);

/* Everything that decides a cell's bits, as lines: the resolved configuration (with its seed, without test.*), the
 * data_hash() of the data (data.h), plug-in files with theirs, core, compiler and flags, processor level. malloc'd. Its SHA-256 is
 * the cell's key. */
char *key_text(const struct as_config *cfg, const char *data_hash);

#endif

/* check_memory.h: what has passed before is not checked again; and what is on the disk is what was built.
 *
 * A pass is remembered in the cache folder (checks/), one small file, under a hash of all that decided it: the sources of
 * the plug-in, of its kernels and of the plug-ins that its slots hold by default, contracts and core, compiler and flags,
 * libraries, processor level, the checks themselves, and the golden arrays as they lie there. Failures are not remembered.
 */
#ifndef ASSAY_DRIVER_CHECK_MEMORY_H
#define ASSAY_DRIVER_CHECK_MEMORY_H

#include <driver/check/check.h>

/* Whether it passed all checks with this build before. unproved: room for what was said then; may be NULL. */
bool check_remembered(const struct as_entry *plugin, char *unproved, size_t room);
/* Remembers that it passed all checks (default draws). Silent when there is no cache folder to write to. */
void check_remember(const struct as_entry *plugin, const char *unproved);

/* NULL when what is built is what lies below $ASSAY_HOME (or that is no source tree). Else, in a build folder, makes this
 * program anew and starts it again with the same arguments, once; returns a sentence when that cannot be. missing: NULL, or
 * a sentence about a source that this program does not have at all, which is reason enough. */
const char *check_rebuild(const struct as_entry *const *plugin, int n, const char *missing);

/* The lines that are hashed; malloc'd. For tests. */
char *check_memory_text(const struct as_entry *plugin);

#endif

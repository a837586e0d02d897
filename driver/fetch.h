/* fetch.h: the raw files of converters: from a mirror, from the cache, or from their public address. */
#ifndef ASSAY_DRIVER_FETCH_H
#define ASSAY_DRIVER_FETCH_H

#include <assay/source.h>

/* Where caches live: $XDG_CACHE_HOME/assay, else $HOME/.cache/assay. malloc'd; NULL and *why when neither is set. */
char *fetch_cache(const char **why);

/* The content of a raw file, its checksum verified, then unpacked as far as the source says. Looked for in
 *   1. $ASSAY_MIRROR/PATH, or $ASSAY_MIRROR/PATH.gz, gunzipped;
 *   2. the cache, raw/PATH (a damaged one is fetched again);
 *   3. its address, with curl, into the cache.
 * malloc'd; NULL and *why: one line with what was wrong and what to do. */
unsigned char *fetch_raw(const struct as_file *file, size_t *n, const char **why);

/* SHA-256 of n bytes as 64 hexadecimal digits and a zero. */
void fetch_sha256(const void *bytes, size_t n, char hex[65]);

#endif

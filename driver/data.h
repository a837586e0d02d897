/* data.h: the data of a configuration: generators have none to load; converters' data are fetched, converted once to
 * HDF5 (doc/data-format.md) in $ASSAY_DATA, else in the cache folder, and checked each time that they are loaded. */
#ifndef ASSAY_DRIVER_DATA_H
#define ASSAY_DRIVER_DATA_H

#include <assay/config.h>
#include <assay/train.h>

/* The stored data that cfg asks for ("data.source", "data.*"; defaults are written back into cfg). Owned here, kept
 * until the process ends, the same pointer for the same data. NULL with *why NULL for a generator; NULL with *why, one
 * line with the remedy, when they cannot be had. A damaged file is said on standard error and made again. */
const struct as_stored *data_stored(struct as_config *cfg, const char **why);

/* Whether the last NULL of data_stored() was for data that cannot be had (not fetched, damaged, no room), and not for
 * a source or an option that cannot be. */
bool data_missing(void);

/* What makes data the same data: for stored data the digest of their content; for generators a hash of the file that
 * generates them, its version and the options. NULL, or why not (stored data that cannot be had). */
const char *data_hash(struct as_config *cfg, char out[65]);

#endif

/* h5.h: named arrays and attributes in an HDF5 file. h5.c is the only place that knows the library.
 *
 * A file under construction lives in memory until h5_commit() puts it in place as a whole, so a reader never sees
 * half a file and a failed write loses nothing. The same content always gives the same bytes: no time stamps, one
 * format version. Arrays and metadata carry checksums: damage is noticed when they are read.
 *
 * Names are paths: "train/offset" lies in the group "train", which is made when missing. Attributes belong to a
 * group (made when missing), an array, or "/" for the file itself. Arrays may be empty (a dimension of 0).
 *
 * Errors stick to the handle: after the first, writes do nothing and reads return nothing, so a caller may write
 * or read everything and ask once. Sentences name the file and the remedy; copy one to keep it beyond the handle.
 */
#ifndef ASSAY_DRIVER_H5_H
#define ASSAY_DRIVER_H5_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { H5_MAX_RANK = 8 };

struct h5;

/* ---- writing ------------------------------------------------------------------------------------------------ */

/* An empty file in memory. `path` is where h5_commit() will put it (copied). Never NULL. */
struct h5 *h5_create(const char *path);

/* The array is copied. dim: (rank) sizes, rank 0 is a single number. */
void h5_write_bytes(struct h5 *f, const char *name, int rank, const ptrdiff_t *dim, const uint8_t *v);
void h5_write_ints(struct h5 *f, const char *name, int rank, const ptrdiff_t *dim, const int32_t *v);
void h5_write_longs(struct h5 *f, const char *name, int rank, const ptrdiff_t *dim, const int64_t *v);
void h5_write_floats(struct h5 *f, const char *name, int rank, const ptrdiff_t *dim, const float *v);
void h5_write_doubles(struct h5 *f, const char *name, int rank, const ptrdiff_t *dim, const double *v);

/* Attributes. An existing one is replaced. */
void h5_write_text(struct h5 *f, const char *object, const char *attribute, const char *text);
void h5_write_number(struct h5 *f, const char *object, const char *attribute, double number);

/* Writes the file aside, syncs, renames, syncs the folder; frees f. NULL, or one line (as_say): path, cause, remedy.
 * The folder must exist. */
const char *h5_commit(struct h5 *f);

/* ---- reading ------------------------------------------------------------------------------------------------ */

/* NULL and *why when the file is not there, not readable, truncated or damaged. `remedy` completes that line:
 * "delete it and run again". */
struct h5 *h5_open(const char *path, const char *remedy, const char **why);

/* Whether there is an array or group of that name. No error either way. */
bool h5_has(struct h5 *f, const char *name);

/* The sizes of an array: returns the rank, or -1 and an error. */
int h5_shape(struct h5 *f, const char *name, ptrdiff_t dim[H5_MAX_RANK]);

/* The whole array, malloc'd (also when empty); *n: entries. NULL and an error when it is absent or of another type.
 * Integers of other sizes are not converted; a reader asks for what the writer wrote. */
uint8_t *h5_read_bytes(struct h5 *f, const char *name, ptrdiff_t *n);
int32_t *h5_read_ints(struct h5 *f, const char *name, ptrdiff_t *n);
int64_t *h5_read_longs(struct h5 *f, const char *name, ptrdiff_t *n);
float *h5_read_floats(struct h5 *f, const char *name, ptrdiff_t *n);
double *h5_read_doubles(struct h5 *f, const char *name, ptrdiff_t *n);

/* malloc'd; NULL, and no error, when there is no such attribute. */
char *h5_read_text(struct h5 *f, const char *object, const char *attribute);
/* `absent` when there is no such attribute. */
double h5_read_number(struct h5 *f, const char *object, const char *attribute, double absent);

/* Names in a group (arrays and groups), or of the attributes of an object, in alphabetical order. malloc'd, as are
 * the names; *n entries; h5_names_free() takes them. NULL and *n = 0 when there are none. */
char **h5_names(struct h5 *f, const char *group, int *n);
char **h5_attributes(struct h5 *f, const char *object, int *n);
void h5_names_free(char **names, int n);

/* ---- both --------------------------------------------------------------------------------------------------- */

/* NULL, or the first error as one line; borrowed from f. */
const char *h5_error(const struct h5 *f);

/* Forgets a file under construction, or ends reading. NULL is allowed. */
void h5_close(struct h5 *f);

const char *h5_version(void);           /* of the library that runs: "1.10.8"; as_say */

#endif

/* dataset.h: examples in memory and in an HDF5 file, as doc/data-format.md has it. Private to data*.c. */
#ifndef ASSAY_DRIVER_DATASET_H
#define ASSAY_DRIVER_DATASET_H

#include <assay/train.h>

struct dataset {
    struct as_stored stored;
    ptrdiff_t rows[AS_SPLITS];               /* steps of all examples of a split */
    char digest[65];                         /* of the content; once written or read */
    char *trouble;                           /* first thing wrong with what the sink was given, or NULL */
    struct dataset_note { char *name, *text; } *note;     /* what the converter said about the data */
    int n_notes;
    ptrdiff_t room_rows[AS_SPLITS], room_count[AS_SPLITS];
    struct as_example scratch;
};

/* What a file says about where it comes from, and what a reader insists on. */
struct dataset_label {
    const char *name, *options;              /* the source, and its options as lines `key = text` */
    const struct as_source *source;
    const char *plugin;                      /* hash of the source's file */
};

/* Names of the splits in files: "train", "valid", "test". */
extern const char *const dataset_split[AS_SPLITS];

/* An empty set; shape: from the source. Raises AS_NO_MEMORY. */
struct dataset *dataset_new(const struct as_data_shape *shape);
void dataset_free(struct dataset *d);

/* Where examples are put. What is out of the shape's bounds is refused: see `trouble`. */
struct as_sink dataset_sink(struct dataset *d);

/* Longest length. NULL, or what is wrong (trouble, an empty split). */
const char *dataset_finish(struct dataset *d);

/* Writes the file as a whole and sets the digest. NULL, or one line with path, cause and remedy. */
const char *dataset_write(struct dataset *d, const char *path, const struct dataset_label *label);

/* NULL and *why when the file is absent, damaged, or of something else than label says. */
struct dataset *dataset_read(const char *path, const struct as_data_shape *shape, const struct dataset_label *label,
                             const char **why);

/* Private to dataset*.c: elements of a field per step (fields with time) or per example. */
ptrdiff_t dataset_unit(const struct as_data_field *f);
bool dataset_timed(const struct as_data_field *f);
/* Private: the line of one array, "NAME TYPE SIZES SHA256"; the digest is the SHA-256 of all lines. malloc'd. */
char *dataset_line(const char *name, const char *type, int rank, const ptrdiff_t *dim, const void *v, size_t bytes);

#endif

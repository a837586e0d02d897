/* source.h: the contract of where data comes from: a generator, or a converter of a public file format.
 *
 * Data is examples; an example has fields. Field 0 is the model's input, then come `target` and `weight` and
 * whatever a model with several inputs needs, by name. Time is the first axis of a sequence field; the
 * framework batches, pads with zeros (targets with -1, weights with 0) and hands lengths along.
 */
#ifndef ASSAY_SOURCE_H
#define ASSAY_SOURCE_H

#include <assay/error.h>
#include <assay/option.h>
#include <assay/random.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum as_split { AS_TRAIN, AS_VALID, AS_TEST, AS_SPLITS };

#define AS_TIME (-2)                 /* this size is the example's length */
#define AS_MAX_FIELDS 8

/* One field of an example, without the batch axis. Target fields are called "target", loss weights "weight"
 * (absent: every valid position has a target, weight 1). */
struct as_data_field {
    const char *name;                /* "x", "target", "weight", ... */
    bool integer;
    int rank;                        /* 0: one number per example */
    ptrdiff_t dim[4];                /* AS_TIME allowed at dim[0] */
    ptrdiff_t vocab;                 /* integers: values are 0..vocab-1 (targets: -1 means none) */
};

/* What the data looks like, filled by shape() from the options. */
struct as_data_shape {
    int n_fields;
    struct as_data_field field[AS_MAX_FIELDS];
    ptrdiff_t max_length;            /* of any example under these options */
    ptrdiff_t classes;               /* number of outputs a model needs */
    ptrdiff_t count[AS_SPLITS];      /* stored data: examples per split; generators: 0 = unlimited */
    bool per_step;                   /* targets at steps (AS_TIME), not one per example */
    const char *metric;              /* the natural metric: "accuracy" */
    const char *objective;           /* the natural objective: "ce" */
};

/* One example being written: arrays of the caller's, large enough for max_length. */
struct as_example {
    ptrdiff_t length;
    int32_t *i[AS_MAX_FIELDS];       /* integer fields */
    float *x[AS_MAX_FIELDS];         /* real fields */
};

/* --- converters ------------------------------------------------------------------------------------------ */

struct as_file {                     /* one raw file */
    const char *path;                /* below the mirror's root: "polyphonic-music/JSB_Chorales.mat" */
    const char *url;                 /* public address (https) */
    const char *sha256;              /* of the content as published at `url` */
    const char *member;              /* optional: the member of an archive, or NULL */
};
struct as_bytes { const unsigned char *data; size_t n; };    /* verified, decompressed */

/* Where a converter writes. Examples of a split come in order; the sink copies. Implemented by the driver. */
struct as_sink {
    void *ctx;
    void (*example)(void *ctx, enum as_split split, const struct as_example *example);
    void (*attribute)(void *ctx, const char *name, const char *text);    /* vocabulary, class names, notes */
    struct as_example *scratch;      /* arrays for max_length, to be filled and passed to example() */
};

struct as_source {
    int abi;                         /* required: ASSAY_ABI */
    const char *summary;             /* required: what the task is */
    const char *origin;              /* required: paper or public address */
    const char *licence;             /* required: "generated", "public domain", "unclear: ..." */
    const char *surrogate;           /* set when it stands in for data out of reach: for what, and why */
    int version;                     /* raised when the bytes change */
    const struct as_option *options; /* optional; in the file: data.KEY */
    size_t opt_size;
    const char *(*check)(const void *opt);                                   /* optional */
    /* required; opt ranges resolved to their maximum. Converters: called after conversion, counts come from
     * the stored data. */
    void (*shape)(const void *opt, struct as_data_shape *s);
    /* Generators: example number `index` of a stream; a pure function of its arguments. Required for them. */
    void (*example)(const void *opt, enum as_split split, struct as_key key, uint64_t index, struct as_example *e);
    /* Generators, required: recomputes every target of e from its input alone, by another way than example().
     * NULL when all agree, else the sentence. */
    const char *(*answer)(const void *opt, const struct as_example *e);
    bool disjoint;                   /* promises that splits never share an input */
    /* Converters: */
    const struct as_file *files;     /* ends with path == NULL */
    const char *(*convert)(const void *opt, const struct as_bytes *files, const struct as_sink *sink);
};

/* A draw from a range option (option.h), uniform. */
static inline int as_range_draw(struct as_range r, struct as_key key, uint64_t index)
{
    return r.lo + (int)as_below(key, index, (uint32_t)(r.hi - r.lo + 1));
}

/* The content of a gzip or zlib stream, or of one member of a zip archive (member != NULL). malloc'd; NULL and
 * *why when it is damaged. For converters whose format nests compression (MATLAB 5 files do). */
unsigned char *as_inflate(struct as_bytes packed, const char *member, size_t *n, const char **why);

#endif

/* data_find.h: which data a configuration means, and where they are kept. Private to data*.c. */
#ifndef ASSAY_DRIVER_DATA_FIND_H
#define ASSAY_DRIVER_DATA_FIND_H

#include <assay/config.h>
#include <assay/registry.h>
#include <driver/dataset.h>

struct data_wanted {
    const struct as_entry *entry;
    const struct as_source *source;
    void *opt;                               /* the source's options, read */
    char *options;                           /* as lines `key = text` */
    struct as_data_shape shape;
};

/* NULL, or why not: no source, an unknown one (nearest named), options out of range. Writes defaults into cfg. */
const char *data_want(struct as_config *cfg, struct data_wanted *w);
void data_want_free(struct data_wanted *w);
struct dataset_label data_label(const struct data_wanted *w);

/* FOLDER/NAME-HASH SUFFIX.h5 in $ASSAY_DATA, else in the cache. malloc'd; NULL and *why. The folder may be missing. */
char *data_path(const struct data_wanted *w, const char *suffix, const char **why);

/* Fetches, converts and writes a converter's data. NULL and *why when that fails. */
struct dataset *data_convert(const struct data_wanted *w, const char *path, const char **why);

/* A converter's data from its file, made (again) when it is absent or damaged. Kept until the process ends. */
const struct dataset *data_load(const struct data_wanted *w, const char **why);

#endif

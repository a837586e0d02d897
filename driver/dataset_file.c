/* Data sets as HDF5 files. Numbers that are all integers of 0..255 are stored as bytes, which is what most are. */
#include <driver/dataset.h>

#include <assay/error.h>
#include <driver/fetch.h>
#include <driver/file.h>
#include <driver/h5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char FORMAT[] = "assay data", REMEDY[] = "delete it, and it will be made again";
enum { SCHEMA = 1, NAME = 64 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "digests are over little-endian bytes");

/* The text of the digest grows by one line an array. */
static void add_line(char **lines, char *line)
{
    char *longer = file_text("%s%s", *lines ? *lines : "", line);
    free(*lines);
    free(line);
    *lines = longer;
}

static void hash_lines(char **lines, char digest[65])
{
    fetch_sha256(*lines ? *lines : "", *lines ? strlen(*lines) : 0, digest);
    free(*lines);
    *lines = NULL;
}

static int dims_of(const struct as_data_field *field, ptrdiff_t count, ptrdiff_t rows, ptrdiff_t *dim)
{
    int rank = 0;
    dim[rank++] = dataset_timed(field) ? rows : count;
    for (int i = dataset_timed(field); i < field->rank; i++)
        dim[rank++] = field->dim[i];
    return rank;
}

static ptrdiff_t items_of(int rank, const ptrdiff_t *dim)
{
    ptrdiff_t n = 1;
    for (int i = 0; i < rank; i++)
        n *= dim[i];
    return n;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

/* The array as bytes, malloc'd; NULL when a value is no integer of 0..255. */
static uint8_t *as_bytes_of(const int32_t *i, const float *x, ptrdiff_t n)
{
    uint8_t *bytes = malloc((size_t)(n ? n : 1));
    if (!bytes)
        as_fail(AS_NO_MEMORY, "out of memory for data: %td items", n);
    for (ptrdiff_t j = 0; j < n; j++) {
        bool fits = i ? i[j] >= 0 && i[j] <= 255 : x[j] >= 0 && x[j] <= 255;
        bytes[j] = fits ? i ? (uint8_t)i[j] : (uint8_t)x[j] : 0;
        float back = (float)bytes[j];
        if (!fits || (!i && memcmp(&back, &x[j], sizeof back) != 0)) {
            free(bytes);
            return NULL;
        }
    }
    return bytes;
}

/* One array, and its line for the digest. */
static void write_field(struct h5 *f, const struct dataset *d, int s, int k, char **lines)
{
    const struct as_stored *stored = &d->stored;
    const struct as_data_field *field = &stored->shape.field[k];
    char name[NAME];
    ptrdiff_t dim[H5_MAX_RANK];
    int rank = dims_of(field, stored->shape.count[s], d->rows[s], dim);
    ptrdiff_t n = items_of(rank, dim);
    snprintf(name, sizeof name, "%s/%s", dataset_split[s], field->name);
    uint8_t *bytes = as_bytes_of(field->integer ? stored->i[s][k] : NULL, stored->x[s][k], n);
    const char *type = bytes ? "uint8" : field->integer ? "int32" : "float32";
    const void *v = bytes ? (const void *)bytes : field->integer ? (const void *)stored->i[s][k] : stored->x[s][k];
    add_line(lines, dataset_line(name, type, rank, dim, v, (size_t)n * (bytes ? 1 : 4)));
    if (bytes)
        h5_write_bytes(f, name, rank, dim, bytes);
    else if (field->integer)
        h5_write_ints(f, name, rank, dim, stored->i[s][k]);
    else
        h5_write_floats(f, name, rank, dim, stored->x[s][k]);
    h5_write_text(f, name, "type", type);
    free(bytes);
}

static void write_split(struct h5 *f, const struct dataset *d, int s, char **lines)
{
    ptrdiff_t n = d->stored.shape.count[s] + 1;
    int64_t *offset = malloc((size_t)n * sizeof *offset);
    char name[NAME];
    if (!offset)
        as_fail(AS_NO_MEMORY, "out of memory for data: %td offsets", n);
    for (ptrdiff_t e = 0; e < n; e++)
        offset[e] = d->stored.offset[s][e];
    snprintf(name, sizeof name, "%s/offset", dataset_split[s]);
    add_line(lines, dataset_line(name, "int64", 1, &n, offset, (size_t)n * sizeof *offset));
    h5_write_longs(f, name, 1, &n, offset);
    free(offset);
    for (int k = 0; k < d->stored.shape.n_fields; k++)
        write_field(f, d, s, k, lines);
}

static void write_label(struct h5 *f, const struct dataset_label *label)
{
    const struct as_source *source = label->source;
    h5_write_text(f, "/", "source", label->name);
    h5_write_number(f, "/", "version", source->version);
    h5_write_text(f, "/", "options", label->options);
    h5_write_text(f, "/", "plugin", label->plugin);
    h5_write_text(f, "/", "summary", source->summary);
    h5_write_text(f, "/", "origin", source->origin);
    h5_write_text(f, "/", "licence", source->licence);
    if (source->surrogate)
        h5_write_text(f, "/", "surrogate", source->surrogate);
    for (int i = 0; source->files && source->files[i].path; i++) {
        const struct as_file *file = &source->files[i];
        char at[NAME];
        snprintf(at, sizeof at, "raw/%d", i);
        h5_write_text(f, at, "path", file->path);
        h5_write_text(f, at, "url", file->url);
        h5_write_text(f, at, "sha256", file->sha256);
        if (file->member)
            h5_write_text(f, at, "member", file->member);
    }
}

static void write_shape(struct h5 *f, const struct as_data_shape *shape)
{
    h5_write_number(f, "/", "max_length", (double)shape->max_length);
    h5_write_number(f, "/", "classes", (double)shape->classes);
    h5_write_number(f, "/", "per_step", shape->per_step);
    h5_write_text(f, "/", "metric", shape->metric);
    h5_write_text(f, "/", "objective", shape->objective);
    for (int k = 0; k < shape->n_fields; k++) {
        const struct as_data_field *field = &shape->field[k];
        char at[NAME], dims[NAME] = "";
        snprintf(at, sizeof at, "fields/%d", k);
        for (int i = 0, n = 0; i < field->rank; i++)
            n += dataset_timed(field) && i == 0 ? snprintf(dims, sizeof dims, "time")
               : snprintf(dims + n, sizeof dims - (size_t)n, "%s%td", i ? "," : "", field->dim[i]);
        h5_write_text(f, at, "name", field->name);
        h5_write_text(f, at, "kind", field->integer ? "integer" : "real");
        h5_write_text(f, at, "dims", dims);
        h5_write_number(f, at, "vocab", (double)field->vocab);
    }
}

const char *dataset_write(struct dataset *d, const char *path, const struct dataset_label *label)
{
    struct h5 *f = h5_create(path);
    char *lines = NULL;
    h5_write_text(f, "/", "format", FORMAT);
    h5_write_number(f, "/", "schema", SCHEMA);
    write_label(f, label);
    write_shape(f, &d->stored.shape);
    for (int i = 0; i < d->n_notes; i++)
        h5_write_text(f, "notes", d->note[i].name, d->note[i].text);
    for (int s = 0; s < AS_SPLITS; s++)
        write_split(f, d, s, &lines);
    h5_write_text(f, "/", "arrays", lines);
    hash_lines(&lines, d->digest);
    h5_write_text(f, "/", "digest", d->digest);
    return h5_commit(f);
}

/* ---- reading -------------------------------------------------------------------------------------------------- */

/* An array of a split, widened into the stored form. NULL, or why not. */
static const char *read_field(struct h5 *f, struct dataset *d, int s, int k, char **lines)
{
    struct as_stored *stored = &d->stored;
    const struct as_data_field *field = &stored->shape.field[k];
    char name[NAME];
    ptrdiff_t want[H5_MAX_RANK], dim[H5_MAX_RANK], n = 0;
    int rank = dims_of(field, stored->shape.count[s], d->rows[s], want);
    snprintf(name, sizeof name, "%s/%s", dataset_split[s], field->name);
    char *type = h5_read_text(f, name, "type");
    if (h5_shape(f, name, dim) != rank || memcmp(dim, want, (size_t)rank * sizeof *dim) != 0 || !type) {
        free(type);
        return as_say("%s has other sizes than it should", name);
    }
    uint8_t *bytes = strcmp(type, "uint8") == 0 ? h5_read_bytes(f, name, &n) : NULL;
    if (!bytes && field->integer)
        stored->i[s][k] = h5_read_ints(f, name, &n);
    else if (!bytes)
        stored->x[s][k] = h5_read_floats(f, name, &n);
    const void *v = bytes ? (const void *)bytes : field->integer ? (const void *)stored->i[s][k] : stored->x[s][k];
    if (v)
        add_line(lines, dataset_line(name, type, rank, dim, v, (size_t)n * (bytes ? 1 : 4)));
    free(type);
    if (!v)
        return h5_error(f) ? as_say("%s", h5_error(f)) : as_say("%s cannot be read", name);
    if (bytes) {
        void *wide = malloc((size_t)(n ? n : 1) * 4);
        if (!wide)
            as_fail(AS_NO_MEMORY, "out of memory for data: %td items", n);
        if (field->integer)
            stored->i[s][k] = wide;
        else
            stored->x[s][k] = wide;
        for (ptrdiff_t j = 0; j < n; j++) {
            if (field->integer)
                stored->i[s][k][j] = bytes[j];
            else
                stored->x[s][k][j] = (float)bytes[j];
        }
        free(bytes);
    }
    return NULL;
}

static const char *read_split(struct h5 *f, struct dataset *d, int s, char **lines)
{
    char name[NAME];
    ptrdiff_t n = 0;
    snprintf(name, sizeof name, "%s/offset", dataset_split[s]);
    int64_t *offset = h5_read_longs(f, name, &n);
    const char *why = !offset ? as_say("%s cannot be read", name) : n < 2 ? as_say("%s is empty", name) : NULL;
    if (why) {
        free(offset);
        return why;
    }
    add_line(lines, dataset_line(name, "int64", 1, &n, offset, (size_t)n * sizeof *offset));
    free(d->stored.offset[s]);
    d->stored.offset[s] = malloc((size_t)n * sizeof *d->stored.offset[s]);
    if (!d->stored.offset[s])
        as_fail(AS_NO_MEMORY, "out of memory for data: %td offsets", n);
    for (ptrdiff_t e = 0; e < n; e++) {
        d->stored.offset[s][e] = (ptrdiff_t)offset[e];
        if (e == 0 ? offset[e] != 0 : offset[e] <= offset[e - 1])
            why = as_say("%s does not ascend from 0", name);
    }
    free(offset);
    d->stored.shape.count[s] = n - 1;
    d->rows[s] = d->stored.offset[s][n - 1];
    for (int k = 0; !why && k < d->stored.shape.n_fields; k++)
        why = read_field(f, d, s, k, lines);
    return why;
}

static bool text_is(struct h5 *f, const char *attribute, const char *want)
{
    char *text = h5_read_text(f, "/", attribute);
    bool same = text && strcmp(text, want) == 0;
    free(text);
    return same;
}

static const char *read_notes(struct h5 *f, struct dataset *d)
{
    int n;
    char **name = h5_has(f, "notes") ? h5_attributes(f, "notes", &n) : NULL;
    struct as_sink sink = dataset_sink(d);
    for (int i = 0; name && i < n; i++) {
        char *text = h5_read_text(f, "notes", name[i]);
        if (text)
            sink.attribute(sink.ctx, name[i], text);
        free(text);
    }
    if (name)
        h5_names_free(name, n);
    return h5_error(f) ? as_say("%s", h5_error(f)) : NULL;
}

static const char *read_all(struct h5 *f, struct dataset *d, const struct dataset_label *label)
{
    char *lines = NULL;
    const char *why = NULL;
    if (!text_is(f, "format", FORMAT))
        return as_say("this is no data set of Assay");
    if ((int)h5_read_number(f, "/", "schema", 0) != SCHEMA || !text_is(f, "source", label->name) ||
        (int)h5_read_number(f, "/", "version", -1) != label->source->version || !text_is(f, "options", label->options))
        return as_say("it was made by another version, or from other options");
    for (int s = 0; !why && s < AS_SPLITS; s++)
        why = read_split(f, d, s, &lines);
    hash_lines(&lines, d->digest);
    if (!why)
        why = read_notes(f, d);
    if (!why)
        why = dataset_finish(d);
    if (!why && !text_is(f, "digest", d->digest))
        why = as_say("its content does not have the digest that it states");
    return why;
}

struct dataset *dataset_read(const char *path, const struct as_data_shape *shape, const struct dataset_label *label,
                             const char **why)
{
    struct h5 *f = h5_open(path, REMEDY, why);
    if (!f)
        return NULL;
    struct dataset *d = dataset_new(shape);
    const char *wrong = read_all(f, d, label);
    *why = NULL;
    if (wrong)
        *why = strstr(wrong, path) ? wrong : as_say("%s: damaged or outdated: %s; %s", path, wrong, REMEDY);
    h5_close(f);
    if (!*why)
        return d;
    dataset_free(d);
    return NULL;
}

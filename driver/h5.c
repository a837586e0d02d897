#include <driver/h5.h>

#include <assay/error.h>
#include <driver/file.h>
#include <errno.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct h5 {
    hid_t file;
    char *path, *error;
    const char *remedy;              /* reading: what helps against damage */
};

const char *h5_version(void)
{
    unsigned major = 0, minor = 0, release = 0;
    H5get_libversion(&major, &minor, &release);      /* the one that runs, not the one that was compiled against */
    return as_say("%u.%u.%u", major, minor, release);
}

static void say(struct h5 *f, const char *sentence)
{
    if (!f->error) f->error = file_text("%s", sentence);
}
static void failed_write(struct h5 *f, const char *name)
{
    say(f, as_say("%s: %s cannot be written: out of memory, or the name is taken", f->path, name));
}
static void damaged(struct h5 *f, const char *name)
{
    say(f, as_say("%s: %s cannot be read: the file is damaged; %s", f->path, name, f->remedy));
}

const char *h5_error(const struct h5 *f) { return f->error; }

static struct h5 *handle_new(const char *path, const char *remedy)
{
    struct h5 *f = malloc(sizeof *f);
    if (!f) as_fail(AS_NO_MEMORY, "no memory for %s", path);
    *f = (struct h5){ .file = H5I_INVALID_HID, .path = file_text("%s", path), .remedy = remedy };
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    return f;
}

void h5_close(struct h5 *f)
{
    if (!f) return;
    if (f->file >= 0) H5Fclose(f->file);
    free(f->path);
    free(f->error);
    free(f);
}

/* ---- making a file ------------------------------------------------------------------------------------------ */

struct h5 *h5_create(const char *path)
{
    enum { GROW = 1 << 18 };
    struct h5 *f = handle_new(path, "");
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), create = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_fapl_core(access, GROW, false);
    /* One format whatever the library: the same bytes, and checksums over all metadata. */
    H5Pset_libver_bounds(access, H5F_LIBVER_V18, H5F_LIBVER_V18);
    H5Pset_obj_track_times(create, false);
    H5Pset_link_creation_order(create, 0);
    f->file = H5Fcreate(path, H5F_ACC_TRUNC, create, access);
    H5Pclose(access);
    H5Pclose(create);
    if (f->file < 0) say(f, as_say("%s: cannot be prepared: out of memory", path));
    return f;
}

/* Chunks of at most 1 MiB, cut along the leading axes: checksums need chunks. */
static void chunk_of(int rank, const hsize_t *size, size_t item, hsize_t *chunk)
{
    hsize_t left = ((hsize_t)1 << 20) / item;
    for (int i = rank - 1; i >= 0; i--) {
        chunk[i] = size[i] < left ? size[i] : left;
        left = left / chunk[i] ? left / chunk[i] : 1;
    }
}

/* How an array of this shape is stored; the space it has comes back in *space. */
static hid_t layout(int rank, const ptrdiff_t *dim, size_t item, hid_t *space)
{
    hsize_t size[H5_MAX_RANK], chunk[H5_MAX_RANK];
    bool empty = rank == 0;
    for (int i = 0; i < rank; i++) {
        size[i] = (hsize_t)dim[i];
        empty = empty || dim[i] == 0;
    }
    *space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    hid_t create = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_obj_track_times(create, false);
    if (!empty) {
        chunk_of(rank, size, item, chunk);
        H5Pset_chunk(create, rank, chunk);
        H5Pset_fletcher32(create);
    }
    return create;
}

/* The groups that the first n characters of a path name, as far as they are missing. One by one, because those that
 * HDF5 makes on the way carry the time of day, and the same content must give the same bytes. */
static void make_groups(struct h5 *f, const char *path, size_t n)
{
    hid_t create = H5Pcreate(H5P_GROUP_CREATE);
    H5Pset_obj_track_times(create, false);
    for (size_t i = 1; i <= n; i++) {
        if (i < n && path[i] != '/') continue;
        char *name = file_text("%.*s", (int)i, path);
        if (!h5_has(f, name)) {
            hid_t group = H5Gcreate2(f->file, name, H5P_DEFAULT, create, H5P_DEFAULT);
            if (group >= 0) H5Gclose(group);
        }
        free(name);
    }
    H5Pclose(create);
}

static void write_array(struct h5 *f, const char *name, int rank, const ptrdiff_t *dim, hid_t stored, hid_t memory,
                        const void *v)
{
    if (f->error) return;
    if (rank < 0 || rank > H5_MAX_RANK) {
        say(f, as_say("%s: %s has rank %d; at most %d can be stored", f->path, name, rank, H5_MAX_RANK));
        return;
    }
    hid_t space, create = layout(rank, dim, H5Tget_size(stored), &space);
    const char *slash = strrchr(name, '/');
    if (slash) make_groups(f, name, (size_t)(slash - name));
    hid_t set = H5Dcreate2(f->file, name, stored, space, H5P_DEFAULT, create, H5P_DEFAULT);
    bool done = set >= 0;
    if (done && H5Sget_simple_extent_npoints(space) > 0)
        done = H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) >= 0;
    if (!done) failed_write(f, name);
    if (set >= 0) H5Dclose(set);
    H5Pclose(create);
    H5Sclose(space);
}

/* One row a type; the readers are below. */
#define WRITER(name, type, stored, memory) \
    void h5_write_##name(struct h5 *f, const char *at, int rank, const ptrdiff_t *dim, const type *v) \
    { write_array(f, at, rank, dim, stored, memory, v); }
WRITER(bytes, uint8_t, H5T_STD_U8LE, H5T_NATIVE_UINT8)
WRITER(ints, int32_t, H5T_STD_I32LE, H5T_NATIVE_INT32)
WRITER(longs, int64_t, H5T_STD_I64LE, H5T_NATIVE_INT64)
WRITER(floats, float, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT)
WRITER(doubles, double, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE)

static bool is_root(const char *object) { return !strcmp(object, "/") || !*object; }

/* The object, made as a group when it is not there. */
static hid_t object_of(struct h5 *f, const char *object)
{
    if (is_root(object)) return H5Oopen(f->file, "/", H5P_DEFAULT);
    if (!h5_has(f, object)) make_groups(f, object, strlen(object));
    return H5Oopen(f->file, object, H5P_DEFAULT);
}

static void write_attribute(struct h5 *f, const char *object, const char *name, hid_t stored, hid_t memory,
                            const void *v)
{
    if (f->error) return;
    hid_t o = object_of(f, object), space = H5Screate(H5S_SCALAR);
    if (o >= 0 && H5Aexists(o, name) > 0) H5Adelete(o, name);
    hid_t a = o >= 0 ? H5Acreate2(o, name, stored, space, H5P_DEFAULT, H5P_DEFAULT) : H5I_INVALID_HID;
    if (a < 0 || H5Awrite(a, memory, v) < 0) failed_write(f, name);
    if (a >= 0) H5Aclose(a);
    H5Sclose(space);
    if (o >= 0) H5Oclose(o);
}

void h5_write_text(struct h5 *f, const char *object, const char *attribute, const char *text)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    write_attribute(f, object, attribute, type, type, text);
    H5Tclose(type);
}

void h5_write_number(struct h5 *f, const char *object, const char *attribute, double number)
{
    write_attribute(f, object, attribute, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, &number);
}

/* The bytes come from the memory driver itself: H5Fget_file_image() clears a flag in the superblock and, before HDF5 2,
 * leaves the checksum over it as it was, so that nobody can open the file (HDFGroup/hdf5 #1915). */
const char *h5_commit(struct h5 *f)
{
    const char *why = f->error ? as_say("%s", f->error) : NULL;
    void *handle = NULL;
    if (!why) {
        ssize_t n = H5Fflush(f->file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(f->file, NULL, 0);
        if (n <= 0 || H5Fget_vfd_handle(f->file, H5P_DEFAULT, &handle) < 0 || !handle)
            why = as_say("%s: cannot be put together: out of memory", f->path);
        else
            why = file_replace(f->path, *(void **)handle, (size_t)n);
    }
    h5_close(f);
    return why;
}

/* ---- reading a file ----------------------------------------------------------------------------------------- */

struct h5 *h5_open(const char *path, const char *remedy, const char **why)
{
    *why = NULL;
    if (access(path, R_OK)) {
        *why = file_error(path, "cannot be read", errno);
        return NULL;
    }
    struct h5 *f = handle_new(path, remedy);
    hid_t a = H5Pcreate(H5P_FILE_ACCESS);
#if H5_VERSION_GE(1, 10, 7)
    H5Pset_file_locking(a, false, true);      /* files never change in place, and folders may be read-only */
#endif
    f->file = H5Fopen(path, H5F_ACC_RDONLY, a);
    H5Pclose(a);
    if (f->file >= 0) return f;
    *why = as_say("%s: the file is truncated or damaged; %s", path, remedy);
    h5_close(f);
    return NULL;
}

bool h5_has(struct h5 *f, const char *name)
{
    if (f->file < 0) return false;
    if (is_root(name)) return true;
    /* A path exists when each part of it does. */
    char *part = file_text("%s", name);
    bool found = true;
    for (char *s = part + 1; found; s++) {
        if (*s != '/' && *s != 0) continue;
        char c = *s;
        *s = 0;
        found = H5Lexists(f->file, part, H5P_DEFAULT) > 0;
        *s = c;
        if (!c) break;
    }
    free(part);
    return found;
}

static hid_t open_array(struct h5 *f, const char *name)
{
    if (f->error) return H5I_INVALID_HID;
    if (!h5_has(f, name)) {
        say(f, as_say("%s: there is no %s in it; %s", f->path, name, f->remedy));
        return H5I_INVALID_HID;
    }
    hid_t set = H5Dopen2(f->file, name, H5P_DEFAULT);
    if (set < 0) damaged(f, name);
    return set;
}

int h5_shape(struct h5 *f, const char *name, ptrdiff_t dim[H5_MAX_RANK])
{
    hid_t set = open_array(f, name);
    if (set < 0) return -1;
    hsize_t size[H5_MAX_RANK] = { 0 };
    hid_t space = H5Dget_space(set);
    int rank = H5Sget_simple_extent_ndims(space);
    if (rank < 0 || rank > H5_MAX_RANK || H5Sget_simple_extent_dims(space, size, NULL) < 0) {
        damaged(f, name);
        rank = -1;
    }
    for (int i = 0; i < rank; i++) dim[i] = (ptrdiff_t)size[i];
    H5Sclose(space);
    H5Dclose(set);
    return rank;
}

static void *read_array(struct h5 *f, const char *name, hid_t stored, hid_t memory, ptrdiff_t *count)
{
    if (count) *count = 0;
    hid_t set = open_array(f, name);
    if (set < 0) return NULL;
    hid_t type = H5Dget_type(set), space = H5Dget_space(set);
    hssize_t n = H5Sget_simple_extent_npoints(space);
    void *v = NULL;
    if (H5Tequal(type, stored) <= 0)
        say(f, as_say("%s: %s has another type than expected; %s", f->path, name, f->remedy));
    else if (n < 0)
        damaged(f, name);
    else if (!(v = calloc(n ? (size_t)n : 1, H5Tget_size(memory))))
        say(f, as_say("%s: no memory to read %s", f->path, name));
    else if (n > 0 && H5Dread(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, v) < 0) {
        damaged(f, name);
        free(v);
        v = NULL;
    }
    if (v && count) *count = (ptrdiff_t)n;
    H5Tclose(type);
    H5Sclose(space);
    H5Dclose(set);
    return v;
}

#define READER(name, type, stored, memory) \
    type *h5_read_##name(struct h5 *f, const char *at, ptrdiff_t *n) { return read_array(f, at, stored, memory, n); }
READER(bytes, uint8_t, H5T_STD_U8LE, H5T_NATIVE_UINT8)
READER(ints, int32_t, H5T_STD_I32LE, H5T_NATIVE_INT32)
READER(longs, int64_t, H5T_STD_I64LE, H5T_NATIVE_INT64)
READER(floats, float, H5T_IEEE_F32LE, H5T_NATIVE_FLOAT)
READER(doubles, double, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE)

/* An attribute for reading, with its object; an invalid one when either is absent. */
static hid_t open_attribute(struct h5 *f, const char *object, const char *name, hid_t *o)
{
    *o = f->error || !h5_has(f, object) ? H5I_INVALID_HID : H5Oopen(f->file, is_root(object) ? "/" : object, H5P_DEFAULT);
    if (*o < 0 || H5Aexists(*o, name) <= 0) return H5I_INVALID_HID;
    hid_t a = H5Aopen(*o, name, H5P_DEFAULT);
    if (a < 0) damaged(f, name);
    return a;
}

char *h5_read_text(struct h5 *f, const char *object, const char *attribute)
{
    hid_t o, a = open_attribute(f, object, attribute, &o);
    char *text = NULL;
    if (a >= 0) {
        hid_t type = H5Aget_type(a);
        size_t n = H5Tget_size(type);
        bool plain = H5Tget_class(type) == H5T_STRING && !H5Tis_variable_str(type);
        text = plain ? calloc(n + 1, 1) : NULL;
        if (!text || H5Aread(a, type, text) < 0) {
            damaged(f, attribute);
            free(text);
            text = NULL;
        }
        H5Tclose(type);
        H5Aclose(a);
    }
    if (o >= 0) H5Oclose(o);
    return text;
}

double h5_read_number(struct h5 *f, const char *object, const char *attribute, double absent)
{
    hid_t o, a = open_attribute(f, object, attribute, &o);
    double number = absent;
    if (a >= 0) {
        if (H5Aread(a, H5T_NATIVE_DOUBLE, &number) < 0) damaged(f, attribute);
        H5Aclose(a);
    }
    if (o >= 0) H5Oclose(o);
    return number;
}

struct names { char **name; int n; };

static void keep_name(struct names *l, const char *name)
{
    char **more = realloc(l->name, (size_t)(l->n + 1) * sizeof *more);
    if (!more) as_fail(AS_NO_MEMORY, "no memory for a list of names");
    l->name = more;
    l->name[l->n++] = file_text("%s", name);
}
static herr_t keep_link(hid_t group, const char *name, const H5L_info_t *info, void *list)
{
    (void)group, (void)info;
    keep_name(list, name);
    return 0;
}
static herr_t keep_attribute(hid_t object, const char *name, const H5A_info_t *info, void *list)
{
    (void)object, (void)info;
    keep_name(list, name);
    return 0;
}

static char **names_of(struct h5 *f, const char *object, bool attributes, int *n)
{
    struct names l = { 0 };
    *n = 0;
    if (f->error || !h5_has(f, object)) return NULL;
    hid_t o = H5Oopen(f->file, is_root(object) ? "/" : object, H5P_DEFAULT);
    bool done = o >= 0;
    if (done && attributes) done = H5Aiterate2(o, H5_INDEX_NAME, H5_ITER_INC, NULL, keep_attribute, &l) >= 0;
    else if (done) done = H5Literate(o, H5_INDEX_NAME, H5_ITER_INC, NULL, keep_link, &l) >= 0;
    if (!done) damaged(f, object);
    if (o >= 0) H5Oclose(o);
    *n = l.n;
    return l.name;
}
char **h5_names(struct h5 *f, const char *group, int *n) { return names_of(f, group, false, n); }
char **h5_attributes(struct h5 *f, const char *object, int *n) { return names_of(f, object, true, n); }

void h5_names_free(char **names, int n)
{
    for (int i = 0; i < n; i++) free(names[i]);
    free(names);
}

/* Data sets as files: what is written is read back; cut or damaged files are noticed, said in one line and made again. */
#include <driver/data.h>
#include <driver/data_find.h>
#include <driver/fetch.h>
#include <driver/file.h>
#include <driver/h5.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* HDF5 1.10 itself forgets some memory when it meets a damaged file. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libhdf5"; }

enum { X, REALS, TARGET, CLASS };
static char *root;

/* A converter of our own: each line of "DIGITS" is an example; the split is the line's number modulo 3. */
static void shape(const void *opt, struct as_data_shape *s)
{
    (void)opt;
    s->field[X] = (struct as_data_field){ .name = "x", .integer = true, .rank = 1, .dim = { AS_TIME }, .vocab = 1000 };
    s->field[REALS] = (struct as_data_field){ .name = "reals", .rank = 2, .dim = { AS_TIME, 2 } };
    s->field[TARGET] = s->field[X];
    s->field[TARGET].name = "target";
    s->field[CLASS] = (struct as_data_field){ .name = "class", .integer = true, .rank = 0, .vocab = 10 };
    s->n_fields = 4;
    s->max_length = 64;
    s->classes = 1000;
    s->per_step = true;
    s->metric = "accuracy";
    s->objective = "ce";
}

static const char *convert(const void *opt, const struct as_bytes *files, const struct as_sink *sink)
{
    struct as_example *e = sink->scratch;
    int line = 0;
    (void)opt;
    e->length = 0;
    for (size_t i = 0; i < files[0].n; i++) {
        int digit = files[0].data[i] - '0';
        if (files[0].data[i] == '\n') {
            e->i[CLASS][0] = line % 10;
            sink->example(sink->ctx, (enum as_split)(line++ % 3), e);
            e->length = 0;
            continue;
        }
        e->i[X][e->length] = 100 * digit;                /* beyond a byte */
        e->x[REALS][2 * e->length] = (float)digit / 10;
        e->x[REALS][2 * e->length + 1] = -0.0F;
        e->i[TARGET][e->length++] = digit == 9 ? 10000 : digit - 1;
    }
    sink->attribute(sink->ctx, "alphabet", "digits");
    return NULL;
}

static char sha[65];
static struct as_file files[] = { { .path = "mine/raw.txt", .url = "https://example.invalid/raw.txt", .sha256 = sha },
                                  { 0 } };
static const struct as_source source = {
    .abi = ASSAY_ABI, .summary = "digits", .origin = "made here", .licence = "public domain", .version = 3,
    .shape = shape, .files = files, .convert = convert,
};
static const struct as_plugin plugin = { .abi = ASSAY_ABI, .source = &source };
static const struct as_entry entry = { "datasets", "mine", "", 0, "datasets/mine.c", "0", &plugin };

static struct data_wanted wanted(void)
{
    struct data_wanted w = { .entry = &entry, .source = &source, .opt = calloc(1, 1), .options = file_text("%s", "") };
    shape(w.opt, &w.shape);
    return w;
}

/* A fresh folder each time, for data_load() keeps what it has loaded by path. */
static int setup(void **state)
{
    static const char raw[] = "0123\n5\n678\n00\n1\n22222\n7777777\n1\n0\n";
    const char *tmp = getenv("TMPDIR");
    (void)state;
    root = file_text("%s/data set XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root))
        return -1;
    char *folder = file_text("%s/mirror/mine", root), *path = file_text("%s/raw.txt", folder);
    char *data = file_text("%s/the data", root), *mirror = file_text("%s/mirror", root);
    assert_null(file_make_folder(folder));
    assert_null(file_replace(path, raw, sizeof raw - 1));
    fetch_sha256(raw, sizeof raw - 1, sha);
    setenv("ASSAY_MIRROR", mirror, 1);
    setenv("ASSAY_DATA", data, 1);
    setenv("XDG_CACHE_HOME", root, 1);
    free(folder);
    free(path);
    free(data);
    free(mirror);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    file_remove_folder(root);
    free(root);
    return 0;
}

static void check_same(const struct dataset *a, const struct dataset *b)
{
    assert_string_equal(a->digest, b->digest);
    assert_int_equal(strlen(a->digest), 64);
    assert_memory_equal(a->rows, b->rows, sizeof a->rows);
    assert_int_equal(a->stored.shape.max_length, b->stored.shape.max_length);
    for (int s = 0; s < AS_SPLITS; s++) {
        size_t n = (size_t)a->stored.shape.count[s], rows = (size_t)a->rows[s];
        assert_int_equal(b->stored.shape.count[s], n);
        assert_memory_equal(a->stored.offset[s], b->stored.offset[s], (n + 1) * sizeof *a->stored.offset[s]);
        assert_memory_equal(a->stored.i[s][X], b->stored.i[s][X], rows * 4);
        assert_memory_equal(a->stored.x[s][REALS], b->stored.x[s][REALS], rows * 8);
        assert_memory_equal(a->stored.i[s][TARGET], b->stored.i[s][TARGET], rows * 4);
        assert_memory_equal(a->stored.i[s][CLASS], b->stored.i[s][CLASS], n * 4);
    }
    assert_int_equal(b->n_notes, 1);
    assert_string_equal(b->note[0].text, "digits");
}

static void what_is_written_is_read_back(void **state)
{
    struct data_wanted w = wanted();
    struct dataset_label label = data_label(&w);
    const char *why = NULL;
    char *path = data_path(&w, "", &why);
    (void)state;
    struct dataset *d = data_convert(&w, path, &why);
    if (!d)
        fail_msg("%s", why);
    assert_int_equal(d->stored.shape.count[AS_TRAIN], 3);
    assert_int_equal(d->rows[AS_TRAIN], 4 + 2 + 7);
    assert_int_equal(d->stored.shape.max_length, 7);
    assert_int_equal(d->stored.i[AS_TRAIN][X][3], 300);
    assert_int_equal(d->stored.i[AS_TEST][CLASS][1], 5);
    struct dataset *back = dataset_read(path, &w.shape, &label, &why);
    if (!back)
        fail_msg("%s", why);
    check_same(d, back);
    dataset_free(back);
    struct as_source newer = source;     /* another version of the converter: not what is in the file */
    newer.version = 4;
    label.source = &newer;
    assert_null(dataset_read(path, &w.shape, &label, &why));
    assert_non_null(strstr(why, "another version"));
    dataset_free(d);
    free(path);
    data_want_free(&w);
}

/* Cut at many places, and a byte flipped at many: an error that names the file, or the very same content (a byte that
 * carries no content). */
static void damage_is_noticed(void **state)
{
    struct data_wanted w = wanted();
    struct dataset_label label = data_label(&w);
    const char *why = NULL;
    char *path = data_path(&w, "", &why);
    size_t n;
    (void)state;
    struct dataset *d = data_convert(&w, path, &why), *back;
    char *whole = file_read(path, &n, &why);
    for (size_t cut = 0; cut < n; cut += 1 + n / 150) {
        assert_null(file_replace(path, whole, cut));
        assert_null(dataset_read(path, &w.shape, &label, &why));
        assert_true(strstr(why, path) && !strchr(why, '\n'));
    }
    int noticed = 0;
    for (size_t at = 0; at < n; at += 1 + n / 400) {
        whole[at] ^= 0x20;
        assert_null(file_replace(path, whole, n));
        back = dataset_read(path, &w.shape, &label, &why);
        if (back)
            assert_string_equal(back->digest, d->digest);
        else
            assert_true(strstr(why, path) && !strchr(why, '\n'));
        noticed += !back;
        dataset_free(back);
        whole[at] ^= 0x20;
    }
    assert_true(noticed > 20);
    free(whole);
    dataset_free(d);
    free(path);
    data_want_free(&w);
}

/* A well-formed file in which one number is another: only the digest can tell. */
static void changed_content_is_noticed_by_the_digest(void **state)
{
    static const char *const text[] = { "format", "source", "options", "digest" };
    struct data_wanted w = wanted();
    struct dataset_label label = data_label(&w);
    const char *why = NULL;
    char *path = data_path(&w, "", &why), name[64];
    (void)state;
    struct dataset *d = data_convert(&w, path, &why);
    for (int change = 0; change < 2; change++) {
        struct h5 *from = h5_open(path, "", &why), *to = h5_create(path);
        for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
            char *value = h5_read_text(from, "/", text[i]);
            h5_write_text(to, "/", text[i], value);
            free(value);
        }
        h5_write_number(to, "/", "schema", 1);
        h5_write_number(to, "/", "version", source.version);
        h5_write_text(to, "notes", "alphabet", "digits");
        for (int s = 0; s < AS_SPLITS; s++) {
            ptrdiff_t n = d->stored.shape.count[s] + 1, rows = d->rows[s], sizes[2] = { rows, 2 }, got;
            snprintf(name, sizeof name, "%s/offset", dataset_split[s]);
            int64_t *offset = h5_read_longs(from, name, &got);
            h5_write_longs(to, name, 1, &n, offset);
            free(offset);
            for (int f = 0; f < w.shape.n_fields; f++) {
                ptrdiff_t one = f == CLASS ? n - 1 : rows;
                snprintf(name, sizeof name, "%s/%s", dataset_split[s], w.shape.field[f].name);
                char *type = h5_read_text(from, name, "type");
                uint8_t *bytes = strcmp(type, "uint8") == 0 ? h5_read_bytes(from, name, &got) : NULL;
                if (bytes && change && s == 1 && f == CLASS)
                    bytes[0] ^= 1;
                if (bytes)
                    h5_write_bytes(to, name, 1, &one, bytes);
                else if (f == REALS)
                    h5_write_floats(to, name, 2, sizes, d->stored.x[s][f]);
                else
                    h5_write_ints(to, name, 1, &one, d->stored.i[s][f]);
                h5_write_text(to, name, "type", type);
                free(bytes);
                free(type);
            }
        }
        h5_close(from);
        assert_null(h5_commit(to));
        struct dataset *back = dataset_read(path, &w.shape, &label, &why);
        assert_int_equal(!back, change);
        if (change)
            assert_non_null(strstr(why, "digest"));
        dataset_free(back);
    }
    dataset_free(d);
    free(path);
    data_want_free(&w);
}

/* data_load() in a place where a file is cut short: made again, once the raw files can be had. */
static void damaged_data_are_made_again(void **state)
{
    struct data_wanted w = wanted();
    const char *why = NULL;
    char *path = data_path(&w, "", &why), digest[65];
    size_t n, m;
    (void)state;
    struct dataset *d = data_convert(&w, path, &why);
    memcpy(digest, d->digest, sizeof digest);
    dataset_free(d);
    char *whole = file_read(path, &n, &why);
    assert_null(file_replace(path, whole, n / 2));
    const char *mirror = getenv("ASSAY_MIRROR");
    char *kept = file_text("%s", mirror), *old = file_text("%s", getenv("PATH"));
    unsetenv("ASSAY_MIRROR");
    setenv("PATH", "/nowhere", 1);
    assert_null(data_load(&w, &why));    /* neither mirror nor network: said, and nothing is lost */
    assert_non_null(strstr(why, "ASSAY_MIRROR"));
    setenv("PATH", old, 1);
    setenv("ASSAY_MIRROR", kept, 1);
    const struct dataset *again = data_load(&w, &why);
    if (!again)
        fail_msg("%s", why);
    assert_string_equal(again->digest, digest);
    assert_ptr_equal(again, data_load(&w, &why));
    char *made = file_read(path, &m, &why);
    assert_int_equal(m, n);              /* the same content gives the same bytes */
    assert_memory_equal(made, whole, n);
    free(made);
    free(whole);
    free(kept);
    free(old);
    free(path);
    data_want_free(&w);
}

static void a_folder_that_cannot_be_made_is_said(void **state)
{
    struct data_wanted w = wanted();
    const char *why = NULL;
    char *file = file_text("%s/file", root), *below = file_text("%s/data", file);
    (void)state;
    assert_null(file_replace(file, "", 0));
    setenv("ASSAY_DATA", below, 1);
    assert_null(data_load(&w, &why));
    assert_non_null(strstr(why, file));
    free(file);
    free(below);
    data_want_free(&w);
}

/* A converter that gives what the shape does not allow is refused, with split and example. */
static void values_out_of_bounds_are_refused(void **state)
{
    struct data_wanted w = wanted();
    const char *why = NULL;
    char *path = file_text("%s/mirror/mine/raw.txt", root), *to = data_path(&w, "", &why);
    (void)state;
    assert_null(file_replace(path, "1\n2\n3\n49\n", 9));
    fetch_sha256("1\n2\n3\n49\n", 9, sha);
    assert_null(data_convert(&w, to, &why));
    assert_true(strstr(why, "train example 1") && strstr(why, "target holds 10000"));
    assert_false(file_exists(to));
    assert_null(file_replace(path, "1\n2\n", 4));
    fetch_sha256("1\n2\n", 4, sha);
    assert_null(data_convert(&w, to, &why));
    assert_non_null(strstr(why, "no examples for test"));
    free(path);
    free(to);
    data_want_free(&w);
}

static void works_under_a_tight_umask(void **state)
{
    mode_t old = umask(077);
    struct data_wanted w = wanted();
    const char *why = NULL;
    (void)state;
    const struct dataset *d = data_load(&w, &why);
    if (!d)
        fail_msg("%s", why);
    umask(old);
    data_want_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_written_is_read_back, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(changed_content_is_noticed_by_the_digest, setup, teardown),
        cmocka_unit_test_setup_teardown(damaged_data_are_made_again, setup, teardown),
        cmocka_unit_test_setup_teardown(a_folder_that_cannot_be_made_is_said, setup, teardown),
        cmocka_unit_test_setup_teardown(values_out_of_bounds_are_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(works_under_a_tight_umask, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

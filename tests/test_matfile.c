/* MATLAB 5 files made in memory, in both byte orders, plain and compressed; cut and damaged everywhere; and the real
 * piano rolls when ASSAY_MIRROR has them. Run under a sanitizer this finds every read beyond the end. */
#include <assay/matfile.h>
#include <assay/registry.h>
#include <driver/dataset.h>
#include <driver/file.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

enum { INT8 = 1, UINT8 = 2, INT32 = 5, UINT32 = 6, DOUBLE = 9, MATRIX = 14, COMPRESSED = 15 };
enum { KEYS = 88, ROOM = 1 << 18 };

/* ---- a writer --------------------------------------------------------------------------------------------------- */

struct writer { unsigned char *p; size_t n; bool big; };

static void put(struct writer *w, uint64_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        w->p[w->n++] = (unsigned char)(v >> 8 * (w->big ? bytes - 1 - i : i));
}
static void pad(struct writer *w) { while (w->n % 8) w->p[w->n++] = 0; }
static size_t open_element(struct writer *w, uint32_t type)
{
    put(w, type, 4);
    put(w, 0, 4);
    return w->n;
}
static void close_element(struct writer *w, size_t body)
{
    size_t end = w->n;
    w->n = body - 4;
    put(w, end - body, 4);
    w->n = end;
    pad(w);
}
static void put_head(struct writer *w, uint32_t class, int rows, int cols, const char *name)
{
    size_t e = open_element(w, UINT32);
    put(w, class, 4);
    put(w, 0, 4);
    close_element(w, e);
    e = open_element(w, INT32);
    put(w, (uint64_t)rows, 4);
    put(w, (uint64_t)cols, 4);
    close_element(w, e);
    size_t n = strlen(name);
    if (n > 0 && n <= 4) {                               /* short elements carry their content in the tag */
        put(w, n << 16 | INT8, 4);
        memcpy(w->p + w->n, name, n);
        w->n += n;
        pad(w);
        return;
    }
    e = open_element(w, INT8);
    memcpy(w->p + w->n, name, n);
    w->n += n;
    close_element(w, e);
}

/* Is key k struck in frame t of piece i? */
static int note(int split, int i, int t, int k) { return (7 * t + 3 * k + i + split) % 11 == 0; }

static void put_piece(struct writer *w, int split, int i, int rows, int type)
{
    size_t e = open_element(w, MATRIX), v;
    put_head(w, 6, rows, KEYS, "");
    v = open_element(w, (uint32_t)type);
    for (int k = 0; k < KEYS; k++)
        for (int t = 0; t < rows; t++)
            put(w, type == DOUBLE && note(split, i, t, k) ? 0x3ff0000000000000U : (uint64_t)note(split, i, t, k),
                type == DOUBLE ? 8 : 1);
    close_element(w, v);
    close_element(w, e);
}

/* A file like the real ones: pieces of 3 + i frames, `split` + 1 of them per split. */
static struct as_bytes make(bool big, bool packed, int type)
{
    static const char *const name[] = { "traindata", "validdata", "testdata" };
    unsigned char *buffer = calloc(1, ROOM), *part = calloc(1, ROOM), *exact;
    struct writer w = { buffer, 0, big };
    memset(buffer, ' ', 124);
    w.n = 124;
    put(&w, 0x0100, 2);
    put(&w, 'M' << 8 | 'I', 2);
    for (int split = 0; split < 3; split++) {
        struct writer one = { part, 0, big };
        size_t e = open_element(&one, MATRIX);
        put_head(&one, 1, 1, split + 1, name[split]);
        for (int i = 0; i <= split; i++)
            put_piece(&one, split, i, 3 + i, type);
        close_element(&one, e);
        uLongf n = ROOM;
        if (packed) {
            put(&w, COMPRESSED, 4);
            assert_int_equal(compress(w.p + w.n + 4, &n, part, one.n), Z_OK);
            put(&w, n, 4);
            w.n += n;
        } else {
            memcpy(w.p + w.n, part, one.n);
            w.n += one.n;
        }
    }
    exact = malloc(w.n);                                 /* so that a sanitizer sees the end */
    memcpy(exact, buffer, w.n);
    free(buffer);
    free(part);
    return (struct as_bytes){ exact, w.n };
}

/* ---- conversion ------------------------------------------------------------------------------------------------- */

/* Converts by one of the plug-ins. NULL and *why when it refuses. */
static struct dataset *convert(const char *source, int first, struct as_bytes file, const char **why)
{
    const struct as_source *s = as_registry_find("source", source, NULL)->plugin->source;
    struct as_data_shape shape = { 0 };
    int opt[16] = { 0 };
    assert_true(s->opt_size <= sizeof opt);
    assert_null(as_option_set(&s->options[0], opt, first ? "on" : "off"));
    s->shape(opt, &shape);
    struct dataset *d = dataset_new(&shape);
    struct as_sink sink = dataset_sink(d);
    *why = s->convert(opt, &file, &sink);
    if (!*why)
        *why = dataset_finish(d);
    if (!*why)
        return d;
    assert_true(strlen(*why) > 10 && !strchr(*why, '\n'));
    dataset_free(d);
    return NULL;
}

static void check_content(const struct dataset *d, int first)
{
    for (int split = 0; split < AS_SPLITS; split++) {
        ptrdiff_t row = 0;
        assert_int_equal(d->stored.shape.count[split], split + 1);
        for (int i = 0; i <= split; i++) {
            assert_int_equal(d->stored.offset[split][i], row);
            for (int t = 0; t < 2 + i + first; t++, row++)
                for (int k = 0; k < KEYS; k++) {
                    int before = t - first < 0 ? 0 : note(split, i, t - first, k);
                    assert_int_equal((int)d->stored.x[split][0][row * KEYS + k], before);
                    assert_int_equal((int)d->stored.x[split][1][row * KEYS + k], note(split, i, t - first + 1, k));
                }
        }
        assert_int_equal(d->rows[split], row);
    }
}

static void every_form_gives_the_same(void **state)
{
    (void)state;
    for (int form = 0; form < 16; form++) {
        struct as_bytes file = make(form & 1, form & 2, form & 4 ? DOUBLE : UINT8);
        const char *why;
        struct dataset *d = convert("jsb-chorales", form >> 3, file, &why);
        if (!d)
            fail_msg("form %d: %s", form, why);
        check_content(d, form >> 3);
        dataset_free(d);
        free((void *)(uintptr_t)file.data);
    }
}

static void cut_anywhere_is_a_sentence(void **state)
{
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct as_bytes file = make(form & 1, form & 2, UINT8);
        for (size_t n = 0; n < file.n; n += n < 200 || file.n < 4000 ? 1 : 97) {
            unsigned char *cut = malloc(n ? n : 1);
            const char *why;
            memcpy(cut, file.data, n);
            struct dataset *d = convert("jsb-chorales", 0, (struct as_bytes){ cut, n }, &why);
            /* only the padding behind the last element may be missing */
            assert_true(!d || file.n - n < 8);
            dataset_free(d);
            free(cut);
        }
        free((void *)(uintptr_t)file.data);
    }
}

static void damage_anywhere_is_survived(void **state)
{
    static const unsigned char flip[] = { 0x01, 0x80, 0xff };
    (void)state;
    for (int form = 0; form < 4; form++) {
        struct as_bytes file = make(form & 1, form & 2, UINT8);
        unsigned char *bytes = malloc(file.n);
        for (size_t at = 0; at < file.n; at += at < 512 ? 1 : 13)
            for (size_t k = 0; k < sizeof flip; k++) {
                const char *why;
                memcpy(bytes, file.data, file.n);
                bytes[at] ^= flip[k];
                dataset_free(convert("jsb-chorales", 0, (struct as_bytes){ bytes, file.n }, &why));
            }
        free(bytes);
        free((void *)(uintptr_t)file.data);
    }
}

static void find_names_what_is_wrong(void **state)
{
    struct as_bytes file = make(false, false, UINT8);
    struct as_mat_value cells, piece;
    const char *why;
    float x[3 * KEYS];
    (void)state;
    struct as_mat *m = as_mat_open(file, &why);
    assert_non_null(m);
    why = as_mat_find(m, "other", &cells);
    assert_true(why && strstr(why, "other") && strstr(why, "traindata"));
    assert_null(as_mat_find(m, "testdata", &cells));
    assert_true(cells.cell && cells.cells == 3);
    assert_non_null(as_mat_cell(&cells, 3, &piece));
    assert_non_null(as_mat_rows(&cells, 0, 1, x));
    assert_null(as_mat_cell(&cells, 2, &piece));
    assert_int_equal(piece.rows, 5);
    assert_non_null(as_mat_rows(&piece, 3, 3, x));
    assert_null(as_mat_rows(&piece, 2, 3, x));
    assert_int_equal((int)x[KEYS + 5], note(2, 2, 3, 5));
    as_mat_close(m);
    assert_null(as_mat_open((struct as_bytes){ (const unsigned char *)"GIF89a", 6 }, &why));
    assert_non_null(strstr(why, "not a MATLAB 5 file"));
    free((void *)(uintptr_t)file.data);
}

/* A header that announces far more than there is must not make us allocate it. */
static void announced_sizes_are_not_believed(void **state)
{
    struct as_bytes file = make(false, false, UINT8);
    unsigned char *bytes = malloc(file.n);
    const char *why;
    (void)state;
    memcpy(bytes, file.data, file.n);
    memset(bytes + 128 + 8 + 16 + 8, 0x7f, 8);           /* sizes of traindata */
    assert_null(convert("jsb-chorales", 0, (struct as_bytes){ bytes, file.n }, &why));
    free(bytes);
    free((void *)(uintptr_t)file.data);
}

/* ---- the real files --------------------------------------------------------------------------------------------- */

static unsigned char *from_mirror(const char *path, size_t *n)
{
    const char *mirror = getenv("ASSAY_MIRROR");
    if (!mirror || !*mirror)
        return NULL;
    char *full = file_text("%s/%s", mirror, path);
    unsigned char *bytes = file_exists(full) ? (unsigned char *)file_read(full, n, NULL) : NULL;
    free(full);
    return bytes;
}

static void real_files_have_their_frames(void **state)
{
    static const struct { const char *name; ptrdiff_t pieces[AS_SPLITS], frames[AS_SPLITS]; } set[] = {
        { "jsb-chorales", { 229, 76, 77 }, { 13807, 4602, 4725 } },
        { "nottingham", { 694, 173, 170 }, { 176561, 45513, 44463 } },
        { "muse-data", { 524, 135, 124 }, { 245202, 82755, 64339 } },
        { "piano-midi", { 87, 12, 25 }, { 75911, 8540, 19036 } },
    };
    (void)state;
    for (size_t i = 0; i < sizeof set / sizeof *set; i++) {
        struct as_bytes file;
        const struct as_source *s = as_registry_find("source", set[i].name, NULL)->plugin->source;
        unsigned char *bytes = from_mirror(s->files[0].path, &file.n);
        if (!bytes)
            skip();
        file.data = bytes;
        for (int first = 0; first < (i == 0 ? 2 : 1); first++) {
            const char *why;
            struct dataset *d = convert(set[i].name, first, file, &why);
            if (!d)
                fail_msg("%s: %s", set[i].name, why);
            for (int split = 0; split < AS_SPLITS; split++) {
                assert_int_equal(d->stored.shape.count[split], set[i].pieces[split]);
                assert_int_equal(d->rows[split], set[i].frames[split] - (first ? 0 : set[i].pieces[split]));
            }
            dataset_free(d);
        }
        free(bytes);
    }
}

static void real_file_cut_at_every_97th_byte(void **state)
{
    size_t n;
    unsigned char *bytes = from_mirror("polyphonic-music/JSB_Chorales.mat", &n);
    (void)state;
    if (!bytes)
        skip();
    for (size_t cut = 0; cut < n; cut += 97) {
        unsigned char *some = malloc(cut ? cut : 1);
        const char *why;
        memcpy(some, bytes, cut);
        assert_null(convert("jsb-chorales", 0, (struct as_bytes){ some, cut }, &why));
        free(some);
    }
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_gives_the_same),
        cmocka_unit_test(cut_anywhere_is_a_sentence),
        cmocka_unit_test(damage_anywhere_is_survived),
        cmocka_unit_test(find_names_what_is_wrong),
        cmocka_unit_test(announced_sizes_are_not_believed),
        cmocka_unit_test(real_files_have_their_frames),
        cmocka_unit_test(real_file_cut_at_every_97th_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Raw files from a mirror, from the cache, and from an address, where a script of our own stands in for curl; and
 * unpacking. All folders have spaces in their names. */
#include <driver/fetch.h>
#include <driver/file.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmocka.h>

static char *root;                       /* fresh for each test: root/mirror, root/cache, root/bin, root/log */
static char *old_path;
static const char content[] = "the bytes of a raw file\n";
static struct as_file file = { .path = "set/raw.txt", .url = "https://example.org/raw.txt" };
static char right[65];

static void write_text(const char *path, const void *text, size_t n)
{
    char *folder = file_text("%s", path);
    *strrchr(folder, '/') = '\0';
    assert_null(file_make_folder(folder));
    assert_null(file_replace(path, text, n));
    free(folder);
}
static char *below(const char *name) { return file_text("%s/%s", root, name); }
static void write_below(const char *name, const void *text, size_t n)
{
    char *path = below(name);
    write_text(path, text, n);
    free(path);
}

/* A curl that logs its arguments, each on a line, and then runs `does`, where "$out" is the file asked for. */
static void fake_curl(const char *does)
{
    char *path = below("bin/curl"), *log = below("log");
    char *script = file_text("#!/bin/sh\nfor a; do printf '%%s\\n' \"$a\"; [ \"$b\" != --output ] || out=$a; b=$a; done >>'%s'\n%s\n",
                             log, does);
    write_text(path, script, strlen(script));
    assert_int_equal(chmod(path, 0755), 0);
    free(script);
    free(path);
    free(log);
}

static int setup(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    root = file_text("%s/fetch test XXXXXX", tmp ? tmp : "/tmp");
    if (!mkdtemp(root))
        return -1;
    old_path = file_text("%s", getenv("PATH"));
    char *cache = below("cache"), *path = file_text("%s/bin:%s", root, old_path);
    setenv("XDG_CACHE_HOME", cache, 1);
    setenv("PATH", path, 1);
    unsetenv("ASSAY_MIRROR");
    free(cache);
    free(path);
    fetch_sha256(content, sizeof content - 1, right);
    file.sha256 = right;
    fake_curl("echo 'curl: (6) Could not resolve host: example.org' >&2; exit 6");
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    setenv("PATH", old_path, 1);
    file_remove_folder(root);
    free(root);
    free(old_path);
    return 0;
}

static void use_mirror(void)
{
    char *mirror = below("mirror");
    setenv("ASSAY_MIRROR", mirror, 1);
    free(mirror);
}

static void expect_content(void)
{
    size_t n = 0;
    const char *why;
    unsigned char *bytes = fetch_raw(&file, &n, &why);
    if (!bytes)
        fail_msg("%s", why);
    assert_null(why);
    assert_int_equal(n, sizeof content - 1);
    assert_memory_equal(bytes, content, n);
    free(bytes);
}

/* Refused, on one line, with all of these words in it. */
static void expect_refusal(const char *const *words)
{
    size_t n = 0;
    const char *why = NULL;
    assert_null(fetch_raw(&file, &n, &why));
    assert_non_null(why);
    assert_null(strchr(why, '\n'));
    for (; *words; words++)
        if (!strstr(why, *words))
            fail_msg("'%s' is not in: %s", *words, why);
}

/* A gzip stream of text. malloc'd. */
static unsigned char *gzipped(const char *text, size_t length, size_t *n)
{
    z_stream z = { .next_in = (z_const Bytef *)(uintptr_t)text, .avail_in = (uInt)length };
    unsigned char *out = malloc(1 << 16);
    z.next_out = out;
    z.avail_out = 1 << 16;
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    *n = z.total_out;
    deflateEnd(&z);
    return out;
}

/* ---- the mirror --------------------------------------------------------------------------------------------------- */

static void mirror_plain_and_gzipped(void **state)
{
    size_t n;
    unsigned char *packed = gzipped(content, sizeof content - 1, &n);
    (void)state;
    use_mirror();
    write_below("mirror/set/raw.txt.gz", packed, n);
    expect_content();
    write_below("mirror/set/raw.txt.gz", packed, n - 5);
    expect_refusal((const char *const[]){ "mirror/set/raw.txt.gz", "truncated", "ASSAY_MIRROR", NULL });
    write_below("mirror/set/raw.txt", content, sizeof content - 1);
    expect_content();
    free(packed);
}

static void wrong_checksum_names_file_expected_and_got(void **state)
{
    char got[65];
    (void)state;
    use_mirror();
    write_below("mirror/set/raw.txt", "other", 5);
    fetch_sha256("other", 5, got);
    expect_refusal((const char *const[]){ "mirror/set/raw.txt", right, got, "SHA-256", NULL });
}

static void mirror_that_is_no_folder(void **state)
{
    (void)state;
    setenv("ASSAY_MIRROR", "/nowhere/at all", 1);
    expect_refusal((const char *const[]){ "ASSAY_MIRROR=/nowhere/at all", "folder", NULL });
}

/* ---- the address -------------------------------------------------------------------------------------------------- */

static void offline_says_what_to_do(void **state)
{
    (void)state;
    expect_refusal((const char *const[]){ file.url, "Could not resolve host", "ASSAY_MIRROR", file.path, NULL });
    write_below("mirror/other", "x", 1);
    use_mirror();                        /* a mirror without the file: the same */
    expect_refusal((const char *const[]){ file.url, "ASSAY_MIRROR", file.path, NULL });
}

static void without_curl_says_so(void **state)
{
    char *empty = below("empty");
    (void)state;
    setenv("PATH", empty, 1);
    expect_refusal((const char *const[]){ "curl is not installed", "ASSAY_MIRROR", NULL });
    free(empty);
}

static void downloads_once_over_https_only(void **state)
{
    char *log = below("log");
    size_t n;
    (void)state;
    fake_curl("printf 'the bytes of a raw file\\n' >\"$out\"");
    expect_content();
    char *said = file_read(log, &n, NULL);
    assert_non_null(strstr(said, "--proto\n=https\n"));
    assert_non_null(strstr(said, "--proto-redir\n=https\n"));
    assert_non_null(strstr(said, "--fail\n"));
    assert_non_null(strstr(said, "--max-filesize\n"));
    assert_non_null(strstr(said, "https://example.org/raw.txt\n"));
    free(said);
    fake_curl("exit 1");
    expect_content();                    /* from the cache now */
    write_below("cache/assay/raw/set/raw.txt", "damaged", 7);
    expect_refusal((const char *const[]){ file.url, "ASSAY_MIRROR", NULL });
    fake_curl("printf 'the bytes of a raw file\\n' >\"$out\"");
    expect_content();                    /* a damaged one is fetched again */
    free(log);
}

static void wrong_download_is_not_kept(void **state)
{
    char got[65], *path = below("cache/assay/raw/set/raw.txt");
    (void)state;
    fake_curl("printf 'not found' >\"$out\"");
    fetch_sha256("not found", 9, got);
    expect_refusal((const char *const[]){ file.url, right, got, "ASSAY_MIRROR", NULL });
    assert_false(file_exists(path));
    fake_curl("printf 'half' >\"$out\"; kill -9 $$");
    expect_refusal((const char *const[]){ file.url, "signal 9", NULL });
    assert_false(file_exists(path));
    free(path);
}

static void no_home_says_so(void **state)
{
    char *home = file_text("%s", getenv("HOME") ? getenv("HOME") : "/");
    (void)state;
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    expect_refusal((const char *const[]){ "XDG_CACHE_HOME", "HOME", NULL });
    setenv("XDG_CACHE_HOME", "relative", 1);
    expect_refusal((const char *const[]){ "XDG_CACHE_HOME", "HOME", NULL });
    setenv("HOME", home, 1);
    free(home);
}

static void works_under_a_tight_umask_and_a_comma_locale(void **state)
{
    mode_t old = umask(077);
    (void)state;
    setlocale(LC_ALL, "de_DE.UTF-8");    /* where it is installed */
    fake_curl("printf 'the bytes of a raw file\\n' >\"$out\"");
    expect_content();
    expect_content();
    setlocale(LC_ALL, "C");
    umask(old);
}

/* ---- unpacking ---------------------------------------------------------------------------------------------------- */

static void put(unsigned char *p, size_t *at, uint32_t v, int bytes)
{
    for (int i = 0; i < bytes; i++)
        p[(*at)++] = (unsigned char)(v >> 8 * i);
}

/* A zip archive of one stored or deflated member. */
static size_t make_zip(unsigned char *zip, const char *name, bool deflated)
{
    unsigned char body[256];
    size_t at = 0, n = sizeof content - 1, length = strlen(name);
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)content, (uInt)n);
    memcpy(body, content, n);
    if (deflated) {
        uLongf packed = sizeof body;
        assert_int_equal(compress(body, &packed, (const Bytef *)content, n), Z_OK);
        n = packed - 6;                  /* raw: without header and checksum of zlib */
        memmove(body, body + 2, n);
    }
    for (int pass = 0; pass < 2; pass++) {
        size_t directory = at;
        put(zip, &at, pass ? 0x02014b50 : 0x04034b50, 4);
        put(zip, &at, 20, pass ? 4 : 2);
        put(zip, &at, 0, 2);
        put(zip, &at, deflated ? 8 : 0, 2);
        put(zip, &at, 0, 4);
        put(zip, &at, crc, 4);
        put(zip, &at, (uint32_t)n, 4);
        put(zip, &at, sizeof content - 1, 4);
        put(zip, &at, (uint32_t)length, 2);
        for (int i = 0; i < (pass ? 5 : 1); i++)
            put(zip, &at, 0, i == 4 ? 4 : 2);
        if (pass)
            put(zip, &at, 0, 4);
        memcpy(zip + at, name, length);
        at += length;
        if (!pass) {
            memcpy(zip + at, body, n);
            at += n;
            continue;
        }
        uint32_t size = (uint32_t)(at - directory);
        put(zip, &at, 0x06054b50, 4);
        put(zip, &at, 0, 4);
        put(zip, &at, 1, 2);
        put(zip, &at, 1, 2);
        put(zip, &at, size, 4);
        put(zip, &at, (uint32_t)directory, 4);
        put(zip, &at, 0, 2);
    }
    return at;
}

static void archives_give_their_members(void **state)
{
    unsigned char zip[1024];
    (void)state;
    for (int deflated = 0; deflated < 2; deflated++) {
        size_t size = make_zip(zip, "in/side.txt", deflated), n;
        const char *why;
        unsigned char *inside = as_inflate((struct as_bytes){ zip, size }, "in/side.txt", &n, &why);
        if (!inside)
            fail_msg("%s", why);
        assert_int_equal(n, sizeof content - 1);
        assert_memory_equal(inside, content, n);
        free(inside);
        assert_null(as_inflate((struct as_bytes){ zip, size }, "other", &n, &why));
        assert_non_null(strstr(why, "no member other"));
        for (size_t cut = 0; cut < size; cut++) {
            unsigned char *some = malloc(cut ? cut : 1);
            memcpy(some, zip, cut);
            assert_null(as_inflate((struct as_bytes){ some, cut }, "in/side.txt", &n, &why));
            assert_non_null(why);
            free(some);
        }
        zip[45] ^= 1;                    /* in the member: the checksum must notice */
        assert_null(as_inflate((struct as_bytes){ zip, size }, "in/side.txt", &n, &why));
    }
}

static void published_archives_are_unpacked(void **state)
{
    unsigned char zip[1024];
    char hex[65];
    size_t size = make_zip(zip, "raw.txt", true), n;
    (void)state;
    use_mirror();
    write_below("mirror/set/all.zip", zip, size);
    fetch_sha256(zip, size, hex);
    file = (struct as_file){ "set/all.zip", "https://example.org/all.zip", hex, "raw.txt" };
    expect_content();
    unsigned char *packed = gzipped(content, sizeof content - 1, &n);
    write_below("mirror/set/raw.gz", packed, n);
    fetch_sha256(packed, n, hex);
    file = (struct as_file){ "set/raw.gz", "https://example.org/raw.gz", hex, NULL };
    expect_content();
    free(packed);
    file = (struct as_file){ "set/raw.txt", "https://example.org/raw.txt", right, NULL };
}

static void streams_cut_or_followed_by_rubbish(void **state)
{
    size_t n, m;
    const char *why;
    unsigned char *packed = gzipped(content, sizeof content - 1, &n), *out;
    (void)state;
    for (size_t cut = 0; cut < n; cut++) {
        assert_null(as_inflate((struct as_bytes){ packed, cut }, NULL, &m, &why));
        assert_non_null(why);
    }
    memcpy(packed + n, packed, n);       /* two streams end to end are one text */
    out = as_inflate((struct as_bytes){ packed, 2 * n }, NULL, &m, &why);
    assert_int_equal(m, 2 * (sizeof content - 1));
    free(out);
    packed[n] = 'x';
    assert_null(as_inflate((struct as_bytes){ packed, n + 1 }, NULL, &m, &why));
    assert_non_null(strstr(why, "something else"));
    free(packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(mirror_plain_and_gzipped, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_checksum_names_file_expected_and_got, setup, teardown),
        cmocka_unit_test_setup_teardown(mirror_that_is_no_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(offline_says_what_to_do, setup, teardown),
        cmocka_unit_test_setup_teardown(without_curl_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(downloads_once_over_https_only, setup, teardown),
        cmocka_unit_test_setup_teardown(wrong_download_is_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(no_home_says_so, setup, teardown),
        cmocka_unit_test_setup_teardown(works_under_a_tight_umask_and_a_comma_locale, setup, teardown),
        cmocka_unit_test_setup_teardown(published_archives_are_unpacked, setup, teardown),
        cmocka_unit_test(archives_give_their_members),
        cmocka_unit_test(streams_cut_or_followed_by_rubbish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

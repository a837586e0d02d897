/* Records: what is written comes back; damage, a read-only folder and a full disk give one line and lose nothing. */
#include <assay/error.h>
#include <driver/file.h>
#include <driver/h5.h>
#include <driver/job.h>
#include <driver/record.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[256];

static int make_folder(void **state)
{
    const char *tmp = getenv("TMPDIR");
    (void)state;
    snprintf(folder, sizeof folder, "%s/record XXXXXX", tmp ? tmp : ".");
    return mkdtemp(folder) ? 0 : -1;
}
static int remove_folder(void **state)
{
    (void)state;
    chmod(folder, 0700);
    file_remove_folder(folder);
    return 0;
}

static char *in_folder(const char *name) { return file_text("%s/%s", folder, name); }

static struct record *example(int n)
{
    struct record *r = record_new("00ff");
    record_outcome(r, CELL_DIVERGED, "the loss\nbecame NaN");
    free(r->config);
    r->config = file_text("%s", "a = 1\nb = two\n");
    record_text(r, "plugin impl/linear-attention/deltanet.c", "abc");
    record_text(r, "host", "h");
    record_text(r, "host", "h2");
    record_number(r, "parameters", 4386);
    record_number(r, "chance", (double)NAN);
    float *each = calloc((size_t)n, sizeof *each);
    each[n - 1] = 0.1f;
    struct value *v = record_value(r, "long.accuracy", 0.1, n, each);
    value_key(v, "long.length", "160");
    value_key(v, "long.labels", "last");
    record_value(r, "accuracy", 1.0 / 3.0, 7, NULL);
    for (int i = 0; i < 70; i++) curve_point(record_curve(r, "train.loss"), i, 1.0 / (i + 1));
    r->n_weights = n;
    r->weight = calloc((size_t)n, sizeof *r->weight);
    r->weight[n / 2] = -1.5f;
    return r;
}

static void round_trip(void **state)
{
    (void)state;
    const char *why;
    char *path = in_folder("a.h5");
    struct record *r = example(1000);
    assert_null(record_write(r, path));
    struct record *b = record_read(path, true, &why);
    assert_non_null(b);
    assert_string_equal(b->key, "00ff");
    assert_int_equal(b->outcome, CELL_DIVERGED);
    assert_string_equal(b->reason, "the loss became NaN");
    assert_string_equal(b->config, r->config);
    assert_string_equal(record_text_of(b, "plugin impl/linear-attention/deltanet.c"), "abc");
    assert_string_equal(record_text_of(b, "host"), "h2");
    assert_true(record_number_of(b, "parameters") == 4386);
    assert_true(isnan(record_number_of(b, "chance")));
    const char *keys[] = { "long.labels", "long.length" }, *texts[] = { "last", "160" };
    const struct value *v = record_value_of(b, "long.accuracy", 2, keys, texts);
    assert_non_null(v);
    assert_true(v->value == 0.1 && v->examples == 1000 && v->per_example[999] == 0.1f);
    assert_null(record_value_of(b, "long.accuracy", 1, keys, texts));
    assert_true(record_value_of(b, "accuracy", 0, NULL, NULL)->value == 1.0 / 3.0);
    const struct curve *c = record_curve_of(b, "train.loss");
    assert_int_equal(c->n, 70);
    assert_true(c->y[69] == 1.0 / 70);
    assert_int_equal(b->n_weights, 1000);
    assert_true(b->weight[500] == -1.5f);
    record_free(r);
    record_free(b);
    free(path);
}

/* The same content gives the same bytes, whatever the time. */
static void same_bytes(void **state)
{
    (void)state;
    char *a = in_folder("a.h5"), *b = in_folder("b.h5");
    size_t n, m;
    struct record *r = example(10);
    assert_null(record_write(r, a));
    sleep(1);
    assert_null(record_write(r, b));
    char *x = file_read(a, &n, NULL), *y = file_read(b, &m, NULL);
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
    free(a);
    free(b);
    record_free(r);
}

static void damage_is_one_line(void **state)
{
    (void)state;
    char *path = in_folder("a.h5");
    struct record *r = example(5000);
    size_t n;
    assert_null(record_write(r, path));
    char *whole = file_read(path, &n, NULL);
    const size_t cut[] = { 0, 1, 50, n / 2, n - 1 };
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        const char *why = NULL;
        assert_null(file_replace(path, whole, cut[i]));
        assert_null(record_read(path, true, &why));
        assert_non_null(strstr(why, path));
        assert_non_null(strstr(why, "delete it"));
        assert_null(strchr(why, '\n'));
    }
    /* A flipped bit inside the weights: only a checksum sees it. */
    char *at = memmem(whole, n, &(float){ -1.5f }, sizeof(float));
    assert_non_null(at);
    at[0] ^= 1;
    const char *why = NULL;
    assert_null(file_replace(path, whole, n));
    assert_null(record_read(path, true, &why));
    assert_non_null(strstr(why, "damaged"));
    free(whole);
    free(path);
    record_free(r);
}

static void missing_file(void **state)
{
    (void)state;
    const char *why = NULL;
    char *path = in_folder("none.h5");
    assert_null(record_read(path, true, &why));
    assert_non_null(strstr(why, "No such file"));
    free(path);
}

/* A limit on file sizes stands for a full disk: the write fails half-way. */
static void full_disk_keeps_the_old(void **state)
{
    (void)state;
    char *path = in_folder("a.h5");
    const char *why;
    struct record *small = example(10), *large = example(200000);
    assert_null(record_write(small, path));
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_FSIZE, &(struct rlimit){ 100000, 100000 });
        const char *line = record_write(large, path);
        _exit(line && strstr(line, path) && strstr(line, "too large") && strstr(line, "ulimit") ? 0 : 1);
    }
    int status;
    waitpid(pid, &status, 0);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    struct record *b = record_read(path, true, &why);
    assert_non_null(b);
    assert_int_equal(b->n_weights, 10);
    char *aside = file_text("%s.new.%ld", path, (long)pid);
    assert_false(file_exists(aside));
    free(aside);
    record_free(small);
    record_free(large);
    record_free(b);
    free(path);
}

static void read_only_folder(void **state)
{
    (void)state;
    char *path = in_folder("a.h5"), *probe = in_folder("probe");
    struct record *r = example(10);
    chmod(folder, 0500);
    if (!file_replace(probe, "", 0)) {            /* root writes anywhere: use a file system that nobody writes to */
        free(path);
        path = file_text("%s", "/proc/a.h5");
    }
    const char *why = record_write(r, path);
    assert_non_null(why);
    assert_non_null(strstr(why, path));
    assert_non_null(strstr(why, "; "));
    assert_null(strchr(why, '\n'));
    chmod(folder, 0700);
    free(path);
    free(probe);
    record_free(r);
}

static void arrays_of_all_types(void **state)
{
    (void)state;
    char *path = in_folder("x.h5");
    const char *why;
    ptrdiff_t n, dim[H5_MAX_RANK];
    struct h5 *f = h5_create(path);
    h5_write_bytes(f, "train/x", 2, (ptrdiff_t[]){ 2, 3 }, (uint8_t[]){ 0, 1, 2, 3, 4, 255 });
    h5_write_ints(f, "train/y", 1, (ptrdiff_t[]){ 2 }, (int32_t[]){ -1, INT32_MAX });
    h5_write_longs(f, "train/offset", 1, (ptrdiff_t[]){ 1 }, (int64_t[]){ INT64_MIN });
    h5_write_ints(f, "empty", 2, (ptrdiff_t[]){ 0, 4 }, NULL);
    char *large = calloc(1, 200001);
    memset(large, 'x', 200000);
    h5_write_text(f, "train", "words", large);
    h5_write_text(f, "train", "words", large + 199000);
    h5_write_text(f, "/", "long", large);
    assert_null(h5_commit(f));
    f = h5_open(path, "make it again", &why);
    assert_non_null(f);
    uint8_t *x = h5_read_bytes(f, "train/x", &n);
    assert_true(n == 6 && x[5] == 255);
    assert_int_equal(h5_shape(f, "train/x", dim), 2);
    assert_true(dim[0] == 2 && dim[1] == 3);
    int32_t *y = h5_read_ints(f, "train/y", &n);
    assert_true(n == 2 && y[1] == INT32_MAX);
    int64_t *o = h5_read_longs(f, "train/offset", &n);
    assert_true(o[0] == INT64_MIN);
    int32_t *e = h5_read_ints(f, "empty", &n);
    assert_true(e && n == 0);
    char *words = h5_read_text(f, "train", "words"), *text = h5_read_text(f, "/", "long");
    assert_int_equal(strlen(words), 1000);
    assert_int_equal(strlen(text), 200000);
    assert_null(h5_read_text(f, "/", "absent"));
    assert_null(h5_error(f));
    assert_null(h5_read_ints(f, "train/x", &n));
    assert_non_null(strstr(h5_error(f), "another type"));
    h5_close(f);
    free(x);
    free(y);
    free(o);
    free(e);
    free(words);
    free(text);
    free(large);
    free(path);
}

static void job_round_trip(void **state)
{
    (void)state;
    const char *why;
    char *path = in_folder("a b.job");
    char *value[] = { (char *)(uintptr_t)"40", (char *)(uintptr_t)"80" };
    struct axis axis = { (char *)(uintptr_t)"data.length", value, 2 };
    struct job *j = job_new();
    j->experiment = strdup("parity");
    j->key = strdup("k");
    j->record = strdup("/a\tb/\\n\nc.h5");
    j->checkpoint = strdup("c");
    j->role = CELL_FINAL;
    j->seed = 3;
    j->memory = 123456789012.0;
    as_config_set(j->config, "mixer", "deltanet", true);
    job_fact(j, "commit", "");
    struct eval e = { .name = (char *)(uintptr_t)"long", .axis = &axis, .n_axes = 1, .examples = 5 };
    j->eval = &e;
    j->n_evals = 1;
    j->eval_key = strdup("");
    j->again = strdup("");
    assert_null(job_write(j, path));
    j->eval = NULL;
    j->n_evals = 0;
    struct job *b = job_read(path, &why);
    assert_non_null(b);
    assert_string_equal(b->record, j->record);
    assert_int_equal(b->role, CELL_FINAL);
    assert_int_equal(b->seed, 3);
    assert_true(b->memory == j->memory);
    assert_string_equal(as_config_get(b->config, "mixer"), "deltanet");
    assert_string_equal(b->eval[0].axis[0].value[1], "80");
    assert_int_equal(b->n_facts, 1);
    assert_null(file_replace(path, "nonsense\n", 9));
    assert_null(job_read(path, &why));
    assert_non_null(strstr(why, "nonsense"));
    job_free(j);
    job_free(b);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(same_bytes, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(damage_is_one_line, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(missing_file, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(full_disk_keeps_the_old, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(read_only_folder, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(arrays_of_all_types, make_folder, remove_folder),
        cmocka_unit_test_setup_teardown(job_round_trip, make_folder, remove_folder),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Our numbers against those that PyTorch computed: every file in tests/golden/, in double by the obvious form of each
 * layer and in both precisions by each of its implementations. Which files there are, the folder says. */
#include "driver/check/real/golden.h"

#include <assay/layer.h>
#include <assay/parallel.h>
#include <assay/registry.h>

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

extern struct golden_result golden_check_d(const char *path, double tolerance, void (*say)(const char *sentence));

static const double in_double = 1e-10, in_float = 3e-5;  /* of an array's largest value */

static void tell(const char *sentence) { print_error("%s\n", sentence); }

static int is_file(const struct dirent *d)
{
    size_t n = strlen(d->d_name);

    return n > 3 && strcmp(d->d_name + n - 3, ".h5") == 0;
}

static void add(struct golden_result *all, struct golden_result one)
{
    all->runs += one.runs;
    all->arrays += one.arrays;
    all->wrong += one.wrong + (one.arrays == 0 && one.wrong == 0);
    if (isnan(one.worst) || one.worst > all->worst) {    /* a NaN stays */
        all->worst = one.worst;
        memcpy(all->where, one.where, sizeof all->where);
    }
}

/* Plug-ins that no file is about: said, not judged, for PyTorch has no counterpart of everything. */
static void print_uncovered(char (*of)[64], int n)
{
    char text[1024] = "";

    for (const struct as_entry *e = as_entries; e->path; e++) {
        char name[64], full[128];
        int found = e->kernel[0] != '\0' || !(e->plugin->variant || e->plugin->rule || e->plugin->objective);

        snprintf(name, sizeof name, "%s", e->name);
        snprintf(full, sizeof full, "%s/%s", e->family, e->name);
        for (int i = 0; i < n && !found; i++)
            found = strcmp(of[i], e->plugin->variant ? full : name) == 0;
        if (!found)
            snprintf(text + strlen(text), sizeof text - strlen(text), " %s", full);
    }
    print_message("no file is about:%s\n", text[0] ? text : " none");
}

/* All files in one precision. */
static struct golden_result check_all(struct golden_result (*check)(const char *, double, void (*)(const char *)),
                                      double tolerance, const char *precision)
{
    const char *home = getenv("ASSAY_HOME");
    struct golden_result all = { 0 };
    struct dirent **file;
    char folder[1024], path[1400], (*of)[64];
    int n;

    snprintf(folder, sizeof folder, "%s/tests/golden", home ? home : ".");
    n = scandir(folder, &file, is_file, alphasort);
    of = calloc(n > 0 ? (size_t)n : 1, sizeof *of);
    if (n <= 0 || !of)
        fail_msg("%s: no files *.h5 there; set ASSAY_HOME to the source tree", folder);
    for (int i = 0; i < n; i++) {
        struct golden_result one;

        snprintf(path, sizeof path, "%s/%s", folder, file[i]->d_name);
        one = check(path, tolerance, tell);
        if (one.arrays == 0 && one.wrong == 0)
            print_error("%s: nothing was compared\n", path);
        memcpy(of[i], one.of, sizeof one.of);
        add(&all, one);
        free(file[i]);
    }
    free(file);
    print_uncovered(of, n);
    free(of);
    print_message("%s: %d files, %d runs, %d arrays; worst difference %.2g of the scale (%s), allowed %g\n", precision,
                  n, all.runs, all.arrays, all.worst, all.where, tolerance);
    return all;
}

static void test_double(void **state)
{
    (void)state;
    as_threads_set(1);
    assert_int_equal(check_all(golden_check_d, in_double, "double").wrong, 0);
}

static void test_float(void **state)
{
    (void)state;
    as_threads_set(1);
    assert_int_equal(check_all(golden_check, in_float, "float").wrong, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_double), cmocka_unit_test(test_float) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

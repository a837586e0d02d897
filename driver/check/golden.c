/* golden: the arrays in tests/golden/ that another program computed (PyTorch, in double; the scripts are beside them), for
 * the files that are about this plug-in: outputs, and all gradients for one cotangent, element by element, by each of its
 * implementations, in float and in double. They lie in the source tree; an installed program does not have them.
 */
#include "check.h"

#include <assay/error.h>
#include <dirent.h>
#include <driver/check/real/golden.h>
#include <driver/file.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern struct golden_result golden_check_d(const char *path, double tolerance, void (*say)(const char *sentence));

/* Of an array's largest value. Double: other orders of the same sums. Float: sums of some hundred terms. */
static const double in_double = 1e-10, in_float = 3e-5;

static struct check_run *told;                       /* golden_check() hands nothing along */
static void tell(const char *sentence) { check_fail(told, "%s", sentence); }

static int is_file(const struct dirent *d)
{
    size_t n = strlen(d->d_name);
    return n > 3 && !strcmp(d->d_name + n - 3, ".h5");
}

/* Whether the file says that it is of this plug-in: layers by family and name, others by name. */
static bool is_about(const struct check_run *r, const char *path)
{
    const char *why;
    struct h5 *f = h5_open(path, "make it again with its script", &why);
    if (!f) {
        check_fail(told, "%s", why);
        return false;
    }
    char *kind = h5_read_text(f, "/", "kind"), *of = h5_read_text(f, "/", "of");
    const char *mine = check_kind_of(r->entry) == CHECK_LAYER ? "layer" : r->entry->family;
    bool about = kind && of && !strcmp(kind, mine) &&
                 !strcmp(of, check_kind_of(r->entry) == CHECK_LAYER ? r->name : r->entry->name);
    free(kind);
    free(of);
    h5_close(f);
    return about;
}

static void compare(struct check_run *r, const char *path, int *files, double *worst)
{
    struct golden_result d = golden_check_d(path, in_double, tell), f = golden_check(path, in_float, tell);
    for (int i = 0; i < d.arrays + f.arrays; i++)
        check_did(r);
    if (!d.wrong && !f.wrong && d.arrays == 0)
        check_fail(r, "%s: nothing in it was compared", path);
    (*files)++;
    *worst = f.worst > *worst ? f.worst : *worst;
}

static void run(struct check_run *r)
{
    const char *home = getenv("ASSAY_HOME");
    const char *mock = strcmp(r->entry->family, "mock") ? "" : "/mock";      /* theirs are kept apart */
    char *folder = file_text("%s/tests/golden%s", home && *home ? home : ".", mock);
    struct dirent **file;
    int n = scandir(folder, &file, is_file, alphasort), files = 0;
    double worst = 0;
    told = r;
    for (int i = 0; i < n; i++) {
        char *path = file_text("%s/%s", folder, file[i]->d_name);
        if (is_about(r, path))
            compare(r, path, &files, &worst);
        free(path);
        free(file[i]);
    }
    if (n > 0)
        free(file);
    if (n <= 0)
        check_no_matter(r, "the arrays are in the source tree, which is not at hand; set ASSAY_HOME to it");
    else if (files)
        check_note(r, "%d files, worst difference %.2g of the scale in float", files, worst);
    else if (check_kind_of(r->entry) == CHECK_LAYER)
        check_no_matter(r, "no file in tests/golden is about it");
    else
        check_unproved(r, "no golden arrays are about it: its formula was compared with nothing independent");
    free(folder);
}

const struct as_check AS_CHECK(golden) = {
    .name = "golden", .of = CHECK_LAYER | CHECK_RULE | CHECK_OBJECTIVE,
    .proves = "outputs and all gradients are those that another program computed, element by element",
    .cannot = "anything where that program has no counterpart, and in an installed program without the source tree",
    .run = run,
};

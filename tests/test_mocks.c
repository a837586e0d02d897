/* The plug-ins of impl/mock/ are wrong on purpose: each names the check that must refuse it, and here that check is put
 * to it. And each check must be the one that some mock names: a check that catches nothing proves nothing, and one that
 * is deleted is missed. Other checks may refuse a mock, too; they are not asked.
 */
#include "driver/check/check.h"

#include <assay/error.h>
#include <assay/parallel.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct as_entry as_mock_entries[];

static int count, bad;
enum { NOT_CAUGHT = 0, CAUGHT = 1, NO_SUCH_LEVEL = 7 };     /* how a process for one level ends */

static void tell(bool well, const char *what)
{
    printf("%sok %d - %s\n", well ? "" : "not ", ++count, what);
    bad += !well;
    fflush(stdout);
}

static const struct as_check *find_check(const char *name)
{
    for (const struct as_check *const *c = as_checks; *c; c++)
        if (strcmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

struct seen { enum check_result result; char text[2048]; };

static void keep(void *ctx, const struct as_entry *e, const struct check_line *l)
{
    struct seen *s = ctx;

    (void)e;
    s->result = l->result;
    snprintf(s->text, sizeof s->text, "%s", l->text);
}

static bool out_of_time(const struct seen *s)
{
    return strncmp(s->text, "it did not end", 14) == 0;
}

static bool refused(const struct as_entry *e, const struct seen *s)
{
    if (strstr(e->plugin->mock->wrong, "unproved"))       /* a check that lists, and does not refuse */
        return s->result == CHECK_UNPROVED;
    return !check_passed(s->result);
}

/* A check that runs out of time has caught only the mock that is meant to: it says "never ends" in what is wrong with it.
 * The others are given more, for a machine may be slow. */
static bool caught(const struct as_entry *e, struct seen *s)
{
    const struct as_mock *m = e->plugin->mock;
    struct check_how how = { .only = m->caught_by, .limit = 8, .line = keep, .ctx = s };
    bool endless = strstr(m->wrong, "never ends") != NULL;

    check_plugin(e, &how);
    if (endless || !out_of_time(s))
        return refused(e, s) && endless == out_of_time(s);
    how.limit = 120;
    check_plugin(e, &how);
    return refused(e, s) && !out_of_time(s);
}

/* A mock with kernels may be wrong at one processor level only, and the level of a process does not change: so one
 * process each, whatever level this one was given. Returns at how many it was caught; *missing: levels that this
 * processor has not. */
static int caught_at_levels(const struct as_entry *e, int *missing)
{
    int n = 0;

    *missing = 0;
    for (int level = AS_PORTABLE; level <= (int)AS_AVX512; level++) {
        int status = 0;
        pid_t pid = fork();

        if (pid == 0) {
            setenv("ASSAY_ISA", as_level_name((enum as_level)level), 1);
            setenv("ASSAY_MOCK_LEVEL", "this", 1);
            execl("/proc/self/exe", "test_mocks", e->name, (char *)NULL);
            _exit(9);
        }
        if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
            continue;
        n += WEXITSTATUS(status) == CAUGHT;
        *missing += WEXITSTATUS(status) == NO_SUCH_LEVEL;
    }
    printf("# %s: caught at %d of %d levels\n", e->name, n, (int)AS_AVX512 + 1 - *missing);
    return n;
}

static bool has_kernels(const struct as_entry *e)
{
    for (const struct as_entry *o = as_mock_entries; o->path; o++)
        if (o->kernel[0] && strcmp(o->name, e->name) == 0)
            return true;
    return false;
}

static void one_mock(const struct as_entry *e)
{
    const struct as_mock *m = e->plugin->mock;
    struct seen s = { CHECK_NO_MATTER, "" };
    bool well;
    int missing = 0;

    if (!m || !m->caught_by || !m->truth || !m->wrong) {
        tell(false, as_say("%s says by which check it must be caught, what is true, and what it does", e->path));
        return;
    }
    if (!find_check(m->caught_by)) {
        tell(false, as_say("%s must be caught by the check %s, which is not there", e->path, m->caught_by));
        return;
    }
    well = has_kernels(e) ? caught_at_levels(e, &missing) > 0 : caught(e, &s);
    if (!well && missing > 0) {
        printf("ok %d - %s # SKIP this processor has not the level at which it is wrong\n", ++count, e->path);
        return;
    }
    tell(well, as_say("%s is caught by %s", e->path, m->caught_by));
    for (const char *at = s.text; *at && (!well || getenv("ASSAY_VERBOSE")); at += strcspn(at, "\n"), at += *at == '\n')
        printf("# %.*s\n", (int)strcspn(at, "\n"), at);
    if (!well)
        printf("# the check said: %s; wrong: %s; truth: %s\n", check_result_word(s.result), m->wrong, m->truth);
}

static bool is_named(const struct as_check *c)
{
    for (const struct as_entry *e = as_mock_entries; e->path; e++)
        if (e->plugin->mock && e->plugin->mock->caught_by && strcmp(e->plugin->mock->caught_by, c->name) == 0)
            return true;
    return false;
}

int main(int n, char **word)
{
    const char *home = getenv("ASSAY_HOME");
    bool found = false;

    setenv("ASSAY_MIRROR", as_say("%s/tests/mirror", home ? home : "."), 1);     /* raw files of mock converters */
    for (const struct as_entry *e = as_mock_entries; e->path; e++) {
        if (e->kernel[0] || (n > 1 && strcmp(e->name, word[1]) != 0))
            continue;
        found = true;
        if (n > 1 && has_kernels(e) && getenv("ASSAY_MOCK_LEVEL")) {
            struct seen s = { CHECK_NO_MATTER, "" };
            const char *asked = getenv("ASSAY_ISA");

            if (!asked || strcmp(asked, as_level_name(as_level())) != 0)
                return NO_SUCH_LEVEL;
            return caught(e, &s) ? CAUGHT : NOT_CAUGHT;
        }
        one_mock(e);
    }
    if (!found) {
        printf("Bail out! there is no such mock: %s\n", n > 1 ? word[1] : "the folder impl/mock is empty");
        return 9;
    }
    for (const struct as_check *const *c = as_checks; n == 1 && *c; c++)
        tell(is_named(*c), as_say("the check %s is the one that a mock must be caught by", (*c)->name));
    printf("1..%d\n", count);
    return bad > 0;
}

/* run_check.c: what a run checks before it starts: every plug-in of its plan that has not passed with this build. */
#include <driver/run.h>

#include <assay/error.h>
#include <driver/check_memory.h>
#include <driver/file.h>
#include <driver/key.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct checking {
    struct progress *progress;
    const struct as_entry *plugin;
    int failures;                    /* of this plug-in */
    char *list;                      /* "attention/x (causal), rule/y (rule-decay)": what becomes of `unchecked` */
    char unproved[256];
    bool failed;                     /* any */
};

static void grow(char **text, char *more)
{
    char *longer = file_text("%s%s", *text, more);
    free(*text);
    free(more);
    *text = longer;
}

/* A failure at once, with the line that repeats it. */
static void heard(void *ctx, const struct as_entry *e, const struct check_line *l)
{
    struct checking *c = ctx;
    if (l->result == CHECK_UNPROVED)
        snprintf(c->unproved, sizeof c->unproved, "%s", l->text);
    if (check_passed(l->result))
        return;
    progress_clear(c->progress);
    fprintf(stderr, "assay: %s/%s %s the check %s: %.*s\n       again: assay check %s/%s --only %s\n", e->family, e->name,
            l->result == CHECK_FAIL ? "fails" : "could not be tested by", l->check->name, (int)strcspn(l->text, "\n"),
            l->text, e->family, e->name, l->check->name);
    if (!c->failures++)
        grow(&c->list, file_text("%s%s/%s (%s", *c->list ? ", " : "", e->family, e->name, l->check->name));
    else
        grow(&c->list, file_text(", %s", l->check->name));
}

static const struct as_entry *main_of(const struct as_entry *e)
{
    if (!*e->kernel)
        return e;
    for (const struct as_entry *o = as_entries; o->path; o++)
        if (!*o->kernel && !strcmp(o->family, e->family) && !strcmp(o->name, e->name))
            return o;
    return e;
}

/* All plug-ins of all points, each once; malloc'd. */
static const struct as_entry **plugins_of(const struct plan *p, int *n)
{
    const struct as_entry **all = NULL;
    int points = p->n_points * plan_tune_count(p);
    *n = 0;
    for (int i = 0; i < points; i++) {
        const struct as_entry **file;
        int files = key_plugins(p->resolved[i], &file);
        const struct as_entry **longer = realloc(all, ((size_t)*n + (size_t)files + 1) * sizeof *longer);
        if (!longer)
            as_fail(AS_NO_MEMORY, "no memory for the list of plug-ins");
        all = longer;
        for (int k = 0; k < files; k++) {
            const struct as_entry *e = main_of(file[k]);
            int at = 0;
            while (at < *n && all[at] != e)
                at++;
            if (at == *n)
                all[(*n)++] = e;
        }
        free(file);
    }
    return all;
}

static void check_one(struct checking *c, const struct as_entry *e)
{
    struct check_how how = { .line = heard, .ctx = c };
    c->plugin = e;
    c->failures = 0;
    c->unproved[0] = 0;
    enum check_result result = check_plugin(e, &how);
    if (check_passed(result))
        check_remember(e, c->unproved);
    else
        grow(&c->list, file_text("%s", ")"));
    c->failed = c->failed || !check_passed(result);
}

char *run_check(const struct plan *plan, struct progress *progress)
{
    struct checking c = { .progress = progress };
    int n, left = 0;
    const struct as_entry **all = plugins_of(plan, &n);
    c.list = file_text("%s", "");
    for (int i = 0; i < n; i++)
        if (!check_remembered(all[i], NULL, 0))
            all[left++] = all[i];
    if (left && !progress->json && !progress->live)
        printf("checking %d plug-in%s that this build has not checked before\n", left, left == 1 ? "" : "s");
    for (int i = 0; i < left; i++) {
        if (progress->live) {
            printf("\r\033[Kchecking %d of %d: %s/%s", i + 1, left, all[i]->family, all[i]->name);
            fflush(stdout);
        }
        check_one(&c, all[i]);
        if (progress->live)
            fputs("\r\033[K", stdout);
    }
    fflush(stdout);
    free(all);
    if (c.failed)
        return c.list;
    free(c.list);
    return NULL;
}

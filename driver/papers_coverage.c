/* papers_coverage.c: how far the catalogue is covered, family by family; see papers.h. */
#include "experiment_impl.h"
#include "papers.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>

struct family { const char *name; int rows, mechanism, experiment, answered; };

static const char *const strange = "(not in the catalogue)";

static int by_name(const void *a, const void *b)
{
    const struct family *x = a, *y = b;
    int xs = x->name == strange, ys = y->name == strange;
    return xs != ys ? xs - ys : strcmp(x->name, y->name);
}

static struct family *family_of(struct family **list, int *n, const char *name)
{
    for (int i = 0; i < *n; i++)
        if (!strcmp((*list)[i].name, name))
            return &(*list)[i];
    *list = more(*list, *n, sizeof **list);
    (*list)[*n].name = name;
    return &(*list)[(*n)++];
}

static void print_row(const struct family *f)
{
    printf("%-24s %5d %10d %11d %9d\n", f->name, f->rows, f->mechanism, f->experiment, f->answered);
}

static void print_object(const struct family *f, const char *behind)
{
    fputs(" {\"family\": ", stdout);
    text_json(stdout, f->name);
    printf(", \"rows\": %d, \"mechanism\": %d, \"experiment\": %d, \"answered\": %d}%s\n", f->rows, f->mechanism,
           f->experiment, f->answered, behind);
}

void papers_coverage(const struct papers *p, bool json)
{
    struct family *list = NULL, all = { .name = "all" };
    int n = 0;
    for (int i = 0; i < p->n; i++) {
        const struct paper *paper = &p->paper[i];
        struct family *f = family_of(&list, &n, paper->family ? paper->family : strange);
        int mechanism = papers_mechanism(p, paper->id, NULL) != NULL, experiment = papers_asked(p, paper->id);
        int answered = papers_answered(p, paper->id);
        f->rows++;
        f->mechanism += mechanism;
        f->experiment += experiment;
        f->answered += answered;
        all.rows++;
        all.mechanism += mechanism;
        all.experiment += experiment;
        all.answered += answered;
    }
    qsort(list, (size_t)n, sizeof *list, by_name);
    puts(json ? "[" : "family                    rows  mechanism  experiment  answered");
    for (int i = 0; i < n; i++)
        if (json)
            print_object(&list[i], ",");
        else
            print_row(&list[i]);
    if (json) {
        print_object(&all, "");
        puts("]");
    } else {
        print_row(&all);
        puts("\nmechanism: a plug-in names the row, or is the study of an experiment about it. experiment: a file asks\n"
             "about it. answered: a claim about it was accepted into the ledger as upheld or refuted.");
    }
    free(list);
}

/* papers_read.c: see papers.h. */
#include "experiment_impl.h"
#include "file.h"
#include "papers.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/objective.h>
#include <assay/rule.h>
#include <stdlib.h>
#include <string.h>

#ifndef ASSAY_DATADIR
#define ASSAY_DATADIR "/usr/local/share/assay"
#endif

/* --- ids ------------------------------------------------------------------------------------------------------- */

static size_t id_length(const char *text) { return strcspn(text, ", \t"); }

bool papers_hold(const char *list, const char *id)
{
    for (const char *at = list; *at; at += id_length(at), at += strspn(at, ", \t"))
        if (id_length(at) == strlen(id) && !strncmp(at, id, strlen(id)))
            return true;
    return false;
}

static int by_id(const void *a, const void *b)
{
    const struct paper *x = a, *y = b;
    long m = strtol(x->id, NULL, 10), n = strtol(y->id, NULL, 10);
    return m != n ? (m > n) - (m < n) : strcmp(x->id, y->id);
}

static struct paper *paper_at(struct papers *p, const char *id, size_t n)
{
    for (int i = 0; i < p->n; i++)
        if (strlen(p->paper[i].id) == n && !strncmp(p->paper[i].id, id, n))
            return &p->paper[i];
    p->paper = more(p->paper, p->n, sizeof *p->paper);
    p->paper[p->n].id = file_text("%.*s", (int)n, id);
    return &p->paper[p->n++];
}

/* Rows that somebody speaks of and the catalogue has not. "0" is what the ledger says of an experiment about none. */
static void add_all(struct papers *p, const char *list)
{
    for (const char *at = list + strspn(list, ", \t"); *at; at += id_length(at), at += strspn(at, ", \t"))
        if (id_length(at) != 1 || *at != '0')
            paper_at(p, at, id_length(at));
}

/* --- tables ---------------------------------------------------------------------------------------------------- */

/* The next line of a table, cut at its tabs into at most `room` texts; how many there are, 0 at the end of the file. */
static int next_row(char **at, int *number, char **text, int room)
{
    while (**at) {
        char *line = *at, *end = strchr(line, '\n');
        int n = 0;
        *at = end ? end + 1 : line + strlen(line);
        if (end)
            *end = '\0';
        ++*number;
        if (*line == '#' || !*line || !strncmp(line, "id\t", 3))
            continue;                            /* the head */
        for (char *tab; line; line = tab ? tab + 1 : NULL, n++) {
            tab = strchr(line, '\t');
            if (tab)
                *tab = '\0';
            if (n < room)
                text[n] = line;
        }
        return n;
    }
    return 0;
}

static const char *read_catalogue(struct papers *p)
{
    const char *home = getenv("ASSAY_HOME"), *why = NULL;
    char *path = file_text("%s/doc/catalogue.tsv", home && *home ? home : ASSAY_DATADIR), *column[4];
    char *text = file_read(path, NULL, &why), *at = text;
    int number = 0;
    for (int n; !why && (n = next_row(&at, &number, column, 4));) {
        int before = p->n;
        struct paper *paper = paper_at(p, column[0], strlen(column[0]));
        if (n != 4 || p->n == before) {
            why = as_say("%s:%d: %s; a line has an id of its own, title, name and family", path, number,
                         n != 4 ? "not four columns" : "this id stands there twice");
            break;
        }
        paper->title = file_text("%s", column[1]);
        paper->name = file_text("%s", column[2]);
        paper->family = file_text("%s", column[3]);
    }
    if (!why && !p->n)
        why = as_say("%s: no rows; restore the file from git", path);
    free(text);
    free(path);
    return why;
}

static const char *read_ledger(struct papers *p, const char *results)
{
    char *path = file_text("%s/ledger.tsv", results), *column[LEDGER_COLUMNS], *text = NULL, *at;
    const char *why = NULL;
    int number = 0;
    if (file_exists(path))                       /* else nothing was accepted yet */
        text = file_read(path, NULL, &why);
    at = text;
    for (int n; text && !why && (n = next_row(&at, &number, column, LEDGER_COLUMNS));) {
        if (n < LEDGER_COLUMNS) {
            why = as_say("%s:%d: %d columns, there should be %d; restore the file from git", path, number, n,
                         LEDGER_COLUMNS);
            break;
        }
        p->verdict = more(p->verdict, p->n_verdicts, sizeof *p->verdict);
        for (int k = 0; k < LEDGER_COLUMNS; k++)
            p->verdict[p->n_verdicts].text[k] = file_text("%s", column[k]);
        add_all(p, column[LEDGER_ID]);
        p->n_verdicts++;
    }
    free(text);
    free(path);
    return why;
}

/* --- what is about them ---------------------------------------------------------------------------------------- */

/* The study that an experiment runs, through what it includes; NULL when it trains one model, or is broken, which its
 * title says then. */
static char *study_of(const char *name)
{
    const char *why, *study;
    struct experiment *e = experiment_read(name, NULL, 0, false, &why);
    char *text;
    if (!e)
        return NULL;
    study = config_find(e->base, "study");
    text = study ? file_text("%s", study) : NULL;
    experiment_free(e);
    return text;
}

static void read_experiments(struct papers *p)
{
    int n;
    struct experiment_line *line = experiment_list(&n);
    for (int i = 0; i < n; i++) {
        p->experiment = more(p->experiment, p->n_experiments, sizeof *p->experiment);
        p->experiment[p->n_experiments++] =
            (struct asked){ .name = file_text("%s", line[i].name), .title = file_text("%s", line[i].title),
                            .papers = file_text("%s", line[i].papers), .minutes = line[i].minutes,
                            .study = *line[i].papers ? study_of(line[i].name) : NULL };
        add_all(p, line[i].papers);
    }
    experiment_list_free(line, n);
}

static const struct as_paper *paper_of(const struct as_plugin *p)
{
    return p->variant ? &p->variant->paper : p->rule ? &p->rule->paper : p->objective ? &p->objective->paper : NULL;
}

static bool is_listed(const struct as_entry *e) { return !*e->kernel && strcmp(e->family, "template"); }

static void read_descriptors(struct papers *p)
{
    for (const struct as_entry *e = as_entries; e->path; e++) {
        const struct as_paper *of = is_listed(e) ? paper_of(e->plugin) : NULL;
        char *id = of && of->id ? file_text("%d", of->id) : NULL;
        struct paper *paper = id ? paper_at(p, id, strlen(id)) : NULL;
        if (paper && !paper->title)
            paper->title = file_text("%s", of->title);
        free(id);
    }
}

const char *papers_open(struct papers *p, const char *results)
{
    memset(p, 0, sizeof *p);
    const char *why = read_catalogue(p);
    if (!why)
        why = read_ledger(p, results);
    if (why)
        return why;
    read_experiments(p);
    read_descriptors(p);
    qsort(p->paper, (size_t)p->n, sizeof *p->paper, by_id);
    return NULL;
}

void papers_close(struct papers *p)
{
    for (int i = 0; i < p->n; i++) {
        free(p->paper[i].id);
        free(p->paper[i].title);
        free(p->paper[i].name);
        free(p->paper[i].family);
    }
    for (int i = 0; i < p->n_verdicts; i++)
        for (int k = 0; k < LEDGER_COLUMNS; k++)
            free(p->verdict[i].text[k]);
    for (int i = 0; i < p->n_experiments; i++) {
        free(p->experiment[i].name);
        free(p->experiment[i].title);
        free(p->experiment[i].papers);
        free(p->experiment[i].study);
    }
    free(p->paper);
    free(p->verdict);
    free(p->experiment);
}

/* --- questions ------------------------------------------------------------------------------------------------- */

static bool implements(const struct papers *p, const char *id, const struct as_entry *e)
{
    const struct as_paper *of = paper_of(e->plugin);
    if (of && of->id)
        return !strcmp(as_say("%d", of->id), id);
    for (int i = 0; i < p->n_experiments && e->plugin->study; i++) {
        const struct asked *x = &p->experiment[i];
        if (x->study && papers_hold(x->papers, id) && as_registry_find("study", x->study, NULL) == e)
            return true;
    }
    return false;
}

const struct as_entry *papers_mechanism(const struct papers *p, const char *id, const struct as_entry *e)
{
    for (e = e ? e + 1 : as_entries; e->path; e++)
        if (is_listed(e) && implements(p, id, e))
            return e;
    return NULL;
}

bool papers_asked(const struct papers *p, const char *id)
{
    for (int i = 0; i < p->n_experiments; i++)
        if (papers_hold(p->experiment[i].papers, id))
            return true;
    return false;
}

bool papers_answered(const struct papers *p, const char *id)
{
    for (int i = 0; i < p->n_verdicts; i++) {
        const char *verdict = p->verdict[i].text[LEDGER_VERDICT];
        if (papers_hold(p->verdict[i].text[LEDGER_ID], id) &&
            (!strncmp(verdict, "upheld", 6) || !strncmp(verdict, "refuted", 7)))
            return true;
    }
    return false;
}

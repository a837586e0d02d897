/* papers.c: `assay papers`: every paper of the catalogue that something here is about: what implements it, which
 * experiment asks about it, and the verdicts that were accepted into the ledger. */
#include "commands.h"
#include "experiment_impl.h"
#include "file.h"
#include "text.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/objective.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* results/ledger.tsv, one line an accepted verdict; columns in this order. */
enum { ID, EXPERIMENT, CLAIM, VERDICT, ESTIMATE, LOW, HIGH, SEEDS, MINUTES, COMMIT, COLUMNS };
struct verdict { char *text[COLUMNS]; };

struct paper { int id; const char *title; };

struct papers {
    struct paper *paper; int n;
    struct verdict *verdict; int n_verdicts;
    struct experiment_line *experiment; int n_experiments;
};

static void add_paper(struct papers *p, int id, const char *title)
{
    int i = 0;
    while (i < p->n && p->paper[i].id != id)
        i++;
    if (i == p->n) {
        p->paper = more(p->paper, p->n, sizeof *p->paper);
        p->paper[p->n++].id = id;
    }
    if (title && !p->paper[i].title)
        p->paper[i].title = title;
}

static const struct as_paper *paper_of(const struct as_plugin *p)
{
    return p->variant ? &p->variant->paper : p->rule ? &p->rule->paper : p->objective ? &p->objective->paper : NULL;
}

/* Whether a list such as "16, 15" holds an id. */
static bool holds(const char *list, int id)
{
    for (const char *at = list; *at;) {
        char *end;
        long v = strtol(at, &end, 10);
        if (end == at)
            at++;
        else if (v == id)
            return true;
        else
            at = end;
    }
    return false;
}

static int by_id(const void *a, const void *b)
{
    const struct paper *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

static void gather(struct papers *p)
{
    for (const struct as_entry *e = as_entries; e->path; e++) {
        const struct as_paper *paper = *e->kernel ? NULL : paper_of(e->plugin);
        if (paper && paper->id && strcmp(e->family, "template"))
            add_paper(p, paper->id, paper->title);
    }
    p->experiment = experiment_list(&p->n_experiments);
    for (int i = 0; i < p->n_experiments; i++)
        for (const char *at = p->experiment[i].papers; *at;) {
            char *end;
            long v = strtol(at, &end, 10);
            if (end > at && v > 0)
                add_paper(p, (int)v, NULL);
            at = end > at ? end : at + 1;
        }
    for (int i = 0; i < p->n_verdicts; i++)
        if (atoi(p->verdict[i].text[ID]) > 0)
            add_paper(p, atoi(p->verdict[i].text[ID]), NULL);
    if (p->n)
        qsort(p->paper, (size_t)p->n, sizeof *p->paper, by_id);
}

/* --- the ledger ------------------------------------------------------------------------------------------------ */

static const char *read_ledger(struct papers *p, const char *path)
{
    const char *why;
    if (!file_exists(path))
        return NULL;                             /* nothing accepted yet */
    char *text = file_read(path, NULL, &why);
    if (!text)
        return why;
    int number = 0;
    for (char *line = text, *end; line && *line; line = end) {
        struct verdict v = { { NULL } };
        int n = 0;
        end = strchr(line, '\n');
        if (end)
            *end++ = '\0';
        number++;
        if (*line == '#' || !*line || !isdigit((unsigned char)*line))
            continue;                            /* the head */
        for (char *at = line; at && n < COLUMNS; n++) {
            char *tab = strchr(at, '\t');
            v.text[n] = file_text("%.*s", (int)(tab ? tab - at : (long)strlen(at)), at);
            at = tab ? tab + 1 : NULL;
        }
        if (n < COLUMNS) {
            free(text);
            return as_say("%s:%d: %d columns, there should be %d; restore the file from git", path, number, n, COLUMNS);
        }
        p->verdict = more(p->verdict, p->n_verdicts, sizeof *p->verdict);
        p->verdict[p->n_verdicts++] = v;
    }
    free(text);
    return NULL;
}

static bool is_plain(const char *text)
{
    for (const char *s = text; *s; s++)
        if (!isalnum((unsigned char)*s) && !strchr("._-", *s))
            return false;
    return *text && *text != '-';
}

/* A claim must be older than its result: it stands in the experiment file of the commit that was run. "" when it
 * does, else a remark. */
static const char *age_of(const struct verdict *v)
{
    if (!is_plain(v->text[COMMIT]) || !is_plain(v->text[EXPERIMENT]) || !is_plain(v->text[CLAIM]))
        return "; age of the claim unknown: no commit";
    char *command = file_text("cd \"${ASSAY_HOME:-.}\" 2>/dev/null && git show %s:experiments/%s.ini 2>/dev/null",
                              v->text[COMMIT], v->text[EXPERIMENT]);
    char head[128], line[512];
    snprintf(head, sizeof head, "[claim %s]", v->text[CLAIM]);
    FILE *out = popen(command, "r");
    bool any = false, found = false;
    while (out && fgets(line, sizeof line, out)) {
        any = true;
        found = found || !strncmp(line, head, strlen(head));
    }
    if (out)
        pclose(out);
    free(command);
    return found ? "" : any ? "; NOT OLDER: the claim is not in the commit that was run"
                            : "; age of the claim unknown: no such commit here";
}

/* --- printing -------------------------------------------------------------------------------------------------- */

static void print_paper(const struct papers *p, const struct paper *paper)
{
    printf("%-4d ", paper->id);
    text_wrap(stdout, paper->title ? paper->title : "(no plug-in names it)", 5, 5);
    for (const struct as_entry *e = as_entries; e->path; e++) {
        const struct as_paper *of = *e->kernel ? NULL : paper_of(e->plugin);
        if (of && of->id == paper->id && strcmp(e->family, "template"))
            printf("     implemented  %s/%s\n", e->family, e->name);
    }
    for (int i = 0; i < p->n_experiments; i++)
        if (holds(p->experiment[i].papers, paper->id))
            printf("     experiment   %s: %s\n", p->experiment[i].name, p->experiment[i].title);
    for (int i = 0; i < p->n_verdicts; i++) {
        char *const *t = p->verdict[i].text;
        if (holds(t[ID], paper->id))
            printf("     %-12s %s/%s: %s [%s, %s], %s seeds%s\n", t[VERDICT], t[EXPERIMENT], t[CLAIM], t[ESTIMATE],
                   t[LOW], t[HIGH], t[SEEDS], age_of(&p->verdict[i]));
    }
}

static void print_json(const struct papers *p)
{
    puts("[");
    for (int i = 0; i < p->n; i++) {
        printf(" {\"id\": %d, \"title\": ", p->paper[i].id);
        text_json(stdout, p->paper[i].title ? p->paper[i].title : "");
        printf(", \"verdicts\": [");
        for (int k = 0, n = 0; k < p->n_verdicts; k++) {
            if (!holds(p->verdict[k].text[ID], p->paper[i].id))
                continue;
            printf("%s{\"experiment\": ", n++ ? ", " : "");
            text_json(stdout, p->verdict[k].text[EXPERIMENT]);
            printf(", \"claim\": ");
            text_json(stdout, p->verdict[k].text[CLAIM]);
            printf(", \"verdict\": ");
            text_json(stdout, p->verdict[k].text[VERDICT]);
            putchar('}');
        }
        printf("]}%s\n", i + 1 < p->n ? "," : "");
    }
    puts("]");
}

int command_papers(struct command_line *line)
{
    struct papers p = { NULL, 0, NULL, 0, NULL, 0 };
    char *path = file_text("%s/ledger.tsv", line->results);
    const char *why = read_ledger(&p, path);
    free(path);
    int status = why ? complain(EXIT_CANNOT, why) : EXIT_ALL_WELL;
    gather(&p);
    if (!why && line->json)
        print_json(&p);
    for (int i = 0; !why && !line->json && i < p.n; i++)
        print_paper(&p, &p.paper[i]);
    for (int i = 0; i < p.n_verdicts; i++)
        for (int k = 0; k < COLUMNS; k++)
            free(p.verdict[i].text[k]);
    experiment_list_free(p.experiment, p.n_experiments);
    free(p.verdict);
    free(p.paper);
    return status;
}

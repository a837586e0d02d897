/* papers.c: `assay papers`: every row of the catalogue: what implements it, which experiment asks about it, and the
 * verdicts that were accepted into the ledger; with --coverage, how many rows of each family have them. */
#include "commands.h"
#include "file.h"
#include "papers.h"
#include "text.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    if (!is_plain(v->text[LEDGER_COMMIT]) || !is_plain(v->text[LEDGER_EXPERIMENT]) || !is_plain(v->text[LEDGER_CLAIM]))
        return "; age of the claim unknown: no commit";
    char *command = file_text("cd \"${ASSAY_HOME:-.}\" 2>/dev/null && git show %s:experiments/%s.ini 2>/dev/null",
                              v->text[LEDGER_COMMIT], v->text[LEDGER_EXPERIMENT]);
    char head[128], line[512];
    snprintf(head, sizeof head, "[claim %s]", v->text[LEDGER_CLAIM]);
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
    int at = printf("%-4s ", paper->id);
    char *head = file_text("%s [%s]", paper->title ? paper->title : "(no plug-in names it)",
                           paper->family ? paper->family : "not in the catalogue");
    text_wrap(stdout, head, 5, at);
    free(head);
    for (const struct as_entry *e = NULL; (e = papers_mechanism(p, paper->id, e));)
        printf("     mechanism    %s/%s\n", e->family, e->name);
    for (int i = 0; i < p->n_experiments; i++) {
        const struct asked *x = &p->experiment[i];
        if (papers_hold(x->papers, paper->id) && isnan(x->minutes))
            printf("     experiment   %s: %s\n", x->name, x->title);
        else if (papers_hold(x->papers, paper->id))
            printf("     experiment   %s: %s, about %g min\n", x->name, x->title, x->minutes);
    }
    for (int i = 0; i < p->n_verdicts; i++) {
        char *const *t = p->verdict[i].text;
        if (papers_hold(t[LEDGER_ID], paper->id))
            printf("     %-12s %s/%s: %s [%s, %s], %s seeds, %s min%s\n", t[LEDGER_VERDICT], t[LEDGER_EXPERIMENT],
                   t[LEDGER_CLAIM], t[LEDGER_ESTIMATE], t[LEDGER_LOW], t[LEDGER_HIGH], t[LEDGER_SEEDS],
                   t[LEDGER_MINUTES], age_of(&p->verdict[i]));
    }
}

static void put_text(const char *key, const char *text, const char *behind)
{
    printf("\"%s\": ", key);
    text_json(stdout, text ? text : "");
    fputs(behind, stdout);
}

static void put_verdict(const struct verdict *v)
{
    static const struct { const char *key; enum ledger_column column; } part[] = {
        { "experiment", LEDGER_EXPERIMENT }, { "claim", LEDGER_CLAIM }, { "verdict", LEDGER_VERDICT },
        { "estimate", LEDGER_ESTIMATE }, { "low", LEDGER_LOW }, { "high", LEDGER_HIGH }, { "seeds", LEDGER_SEEDS },
        { "minutes", LEDGER_MINUTES }, { "commit", LEDGER_COMMIT },
    };
    enum { PARTS = sizeof part / sizeof *part };
    for (int i = 0; i < PARTS; i++) {
        putchar(i ? ' ' : '{');
        put_text(part[i].key, v->text[part[i].column], i + 1 < PARTS ? "," : "}");
    }
}

/* All values are texts, as the files have them. */
static void put_paper(const struct papers *p, const struct paper *paper, const char *behind)
{
    int n = 0;
    fputs(" {", stdout);
    put_text("id", paper->id, ", ");
    put_text("title", paper->title, ", ");
    put_text("name", paper->name, ", ");
    put_text("family", paper->family, ", \"mechanisms\": [");
    for (const struct as_entry *e = NULL; (e = papers_mechanism(p, paper->id, e)); n++) {
        char *path = file_text("%s/%s", e->family, e->name);
        fputs(n ? ", " : "", stdout);
        text_json(stdout, path);
        free(path);
    }
    fputs("], \"experiments\": [", stdout);
    n = 0;
    for (int i = 0; i < p->n_experiments; i++)
        if (papers_hold(p->experiment[i].papers, paper->id)) {
            fputs(n++ ? ", " : "", stdout);
            text_json(stdout, p->experiment[i].name);
        }
    fputs("], \"verdicts\": [", stdout);
    n = 0;
    for (int i = 0; i < p->n_verdicts; i++)
        if (papers_hold(p->verdict[i].text[LEDGER_ID], paper->id)) {
            fputs(n++ ? ", " : "", stdout);
            put_verdict(&p->verdict[i]);
        }
    printf("]}%s\n", behind);
}

int command_papers(struct command_line *line)
{
    struct papers p;
    const char *why = papers_open(&p, line->results);
    int status = why ? complain(EXIT_CANNOT, why) : EXIT_ALL_WELL;
    if (!why && line->coverage)
        papers_coverage(&p, line->json);
    else if (!why && line->json) {
        puts("[");
        for (int i = 0; i < p.n; i++)
            put_paper(&p, &p.paper[i], i + 1 < p.n ? "," : "");
        puts("]");
    } else
        for (int i = 0; !why && i < p.n; i++)
            print_paper(&p, &p.paper[i]);
    papers_close(&p);
    return status;
}

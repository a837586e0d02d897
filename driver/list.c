/* list.c: `assay list`. */
#include "commands.h"
#include "experiment.h"
#include "text.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/metric.h>
#include <assay/objective.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <assay/source.h>
#include <assay/study.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* One line of the list, whatever it is about. */
struct line { const char *kind, *group, *name, *text; };

static const char *summary_of(const struct as_plugin *p)
{
    return p->variant ? p->variant->summary : p->rule ? p->rule->summary : p->objective ? p->objective->summary
         : p->study ? p->study->summary : p->source ? p->source->summary : "";
}

static const char *kind_of(const struct as_plugin *p)
{
    return p->variant ? "layers" : p->rule ? "rules" : p->objective ? "objectives" : p->study ? "studies" : "sources";
}

static void print_line(const struct line *l, bool json, const char **group, int *printed)
{
    if (json) {
        printf("%s{\"kind\": ", *printed ? ",\n " : " ");
        text_json(stdout, l->kind);
        printf(", \"group\": ");
        text_json(stdout, l->group);
        printf(", \"name\": ");
        text_json(stdout, l->name);
        printf(", \"summary\": ");
        text_json(stdout, l->text);
        putchar('}');
    } else {
        if (!*group || strcmp(*group, l->group))
            printf("%s%s\n", *printed ? "\n" : "", l->group);
        printf("  %-22s ", l->name);
        text_wrap(stdout, l->text, 25, strlen(l->name) > 22 ? 3 + (int)strlen(l->name) : 25);
    }
    *group = l->group;
    ++*printed;
}

static void list_plugins(const char *kind, bool json, const char **group, int *printed)
{
    for (const struct as_entry *e = as_entries; e->path; e++) {
        if (*e->kernel || strcmp(kind_of(e->plugin), kind) || !strcmp(e->family, "template"))
            continue;
        const char *head = !strcmp(kind, "layers") ? e->family : kind;
        print_line(&(struct line){ kind, head, e->name, summary_of(e->plugin) }, json, group, printed);
    }
}

static void list_metrics(bool json, const char **group, int *printed)
{
    for (const struct as_metric *m = as_metrics; m->name; m++)
        print_line(&(struct line){ "metrics", "metrics", m->name,
                                   as_say("%s (%s; %s is better)", m->help, m->unit && *m->unit ? m->unit : "no unit",
                                          m->higher_is_better ? "more" : "less") },
                   json, group, printed);
}

static void list_experiments(bool json, const char **group, int *printed)
{
    int n;
    struct experiment_line *line = experiment_list(&n);
    for (int i = 0; i < n; i++) {
        const char *minutes = isnan(line[i].minutes) ? "" : as_say(" (%.3g minutes)", line[i].minutes);
        const char *text = as_say("%s%s", line[i].title, minutes);
        print_line(&(struct line){ "experiments", "experiments", line[i].name, text }, json, group, printed);
    }
    experiment_list_free(line, n);
}

int command_list(struct command_line *line)
{
    static const char *const kinds[] = { "layers", "rules", "objectives", "studies", "sources", "metrics",
                                         "experiments", NULL };
    const char *want = line->n_words ? line->word[0] : NULL, *group = NULL;
    int printed = 0, known = !want;
    for (int i = 0; kinds[i] && want; i++)
        known = known || !strcmp(kinds[i], want);
    if (!known) {
        const char *nearest = as_nearest(want, kinds);
        if (!nearest)
            nearest = "one of layers, rules, objectives, studies, sources, metrics and experiments";
        return complain(EXIT_WRONG_USE, as_say("there is no list of %s: did you mean %s?", want, nearest));
    }
    if (line->json)
        puts("[");
    for (int i = 0; kinds[i]; i++) {
        if (want && strcmp(want, kinds[i]))
            continue;
        if (!strcmp(kinds[i], "metrics"))
            list_metrics(line->json, &group, &printed);
        else if (!strcmp(kinds[i], "experiments"))
            list_experiments(line->json, &group, &printed);
        else
            list_plugins(kinds[i], line->json, &group, &printed);
    }
    if (line->json)
        puts("\n]");
    return EXIT_ALL_WELL;
}

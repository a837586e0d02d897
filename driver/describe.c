/* describe.c: `assay describe THING`: whatever has that name, in full, from its descriptor. */
#include "commands.h"
#include "experiment.h"
#include "file.h"
#include "text.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/metric.h>
#include <assay/objective.h>
#include <assay/parallel.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <assay/source.h>
#include <assay/study.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void field(const char *name, const char *text)
{
    if (!text || !*text)
        return;
    printf("  %-11s ", name);
    text_wrap(stdout, text, 14, 14);
}

static void print_paper(const struct as_paper *p)
{
    if (!p->title)
        return;
    field("paper", p->year ? as_say("%s (%d)", p->title, p->year) : p->title);
    field("", p->url);
    field("equations", p->where);
    field("departs", p->departs);
    if (p->id)
        field("catalogue", as_say("%d", p->id));
}

/* --- options --------------------------------------------------------------------------------------------------- */

/* The default, as it would stand in a file. */
static const char *default_of(const struct as_option *o)
{
    char word[64];
    if (o->type == AS_RANGE && o->words)
        return o->words;
    if (o->type == AS_BOOL)
        return o->def != 0 ? "on" : "off";
    if (o->type != AS_WORD)
        return as_say("%.10g", o->def);
    const char *at = o->words;
    for (int i = (int)o->def; i > 0 && strchr(at, '|'); i--)
        at = strchr(at, '|') + 1;
    snprintf(word, sizeof word, "%.*s", (int)strcspn(at, "|"), at);
    return as_say("%s", word);
}

static const char *values_of(const struct as_option *o)
{
    bool any = o->min == 0 && o->max == 0;
    switch (o->type) {
    case AS_WORD: return o->words;
    case AS_BOOL: return "on|off";
    case AS_INT: return any ? "whole number" : as_say("%.10g to %.10g", o->min, o->max);
    case AS_NUM: return any ? "number" : as_say("number, %.10g to %.10g", o->min, o->max);
    case AS_RANGE: return any ? "range" : as_say("range within %.10g to %.10g", o->min, o->max);
    }
    return "";
}

static void print_options(const struct as_option *table)
{
    if (!table || !table->key)
        return;
    puts("  options     key, default, values");
    for (const struct as_option *o = table; o->key; o++) {
        printf("    %-14s %-10s ", o->key, default_of(o));
        text_wrap(stdout, as_say("%s: %s%s%s", values_of(o), o->help, o->sweep ? "; worth a sweep: " : "",
                                 o->sweep ? o->sweep : ""), 30, 30);
    }
}

/* --- layers ---------------------------------------------------------------------------------------------------- */

static void print_slots(const struct as_slot *s)
{
    if (!s || !s->name)
        return;
    puts("  slots       key, default filler");
    for (; s->name; s++) {
        printf("    %-14s %-14s ", s->name, s->def ? s->def : "(must be given)");
        text_wrap(stdout, s->help ? s->help : "", 34, 34);
    }
}

/* Equal numbers stand for sizes that must be equal. */
static void print_inputs(const struct as_variant *v)
{
    if (!v->ports)
        return;
    puts("  inputs, with the sizes of its checks");
    for (int i = 0; v->ports[i]; i++) {
        const struct as_sample *s = &v->samples[i];
        printf("    %-14s (batch, time", v->ports[i]);
        for (int k = 0; k < s->rank; k++)
            printf(", %td", s->dim[k]);
        printf(")%s%s\n", s->vocab ? as_say(", integers below %td", s->vocab) : "", s->optional ? ", may be left out" : "");
    }
}

static void print_promises(unsigned promises)
{
    static const struct { unsigned bit; const char *words; } row[] = {
        { AS_CAUSAL, "causal" }, { AS_POINTWISE, "pointwise" }, { AS_LINEAR, "linear" },
        { AS_PADDING_SAFE, "padding-safe" }, { AS_DRAWS, "draws random numbers while training" },
        { AS_BATCH_STATISTICS, "uses batch statistics" }, { AS_EXTRAS, "hands over losses or outputs" },
        { AS_FLAT, "its slots' keys stand at its own level" },
    };
    const char *all = "";
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        if (promises & row[i].bit)
            all = as_say("%s%s%s", all, *all ? ", " : "", row[i].words);
    field("promises", all);
}

static void print_impls(const struct as_entry *e)
{
    enum { MOST = 32 };
    struct as_choice c[MOST];
    int n = as_registry_impls(e, c, MOST);
    if (!n) {
        field("computed", "by its graph");
        return;
    }
    puts("  computed    by the first of these that can");
    for (int i = 0; i < n && i < MOST; i++) {
        const struct as_impl *m = c[i].impl;
        const char *level = *c[i].entry->kernel ? as_level_name((enum as_level)c[i].entry->level) : "any level";
        printf("    %-14s rank %-4d %-10s %s%s%s  %s\n", m->name, m->rank, level, m->forward ? "forward" : "",
               m->backward ? " backward" : "", m->step ? " step" : "", c[i].entry->path);
    }
    if (e->plugin->variant->graph)
        puts("    graph          the gradient's last resort, and the reference");
}

static void describe_layer(const struct as_entry *e)
{
    const struct as_variant *v = e->plugin->variant;
    print_paper(&v->paper);
    print_options(v->options);
    print_slots(v->slots);
    print_inputs(v);
    print_promises(v->promises);
    print_impls(e);
}

/* --- the others ------------------------------------------------------------------------------------------------ */

static void describe_source(const struct as_source *s)
{
    field("origin", s->origin);
    field("licence", s->licence);
    field("stands for", s->surrogate);
    field("kind", s->example ? "generated" : "converted from public files");
    for (const struct as_file *f = s->files; f && f->path; f++) {
        field("file", as_say("%s%s%s", f->path, f->member ? ", member " : "", f->member ? f->member : ""));
        field("", f->url);
        field("SHA-256", f->sha256);
    }
    print_options(s->options);
}

static void describe_study(const struct as_study *s)
{
    print_options(s->options);
    puts("  metrics");
    for (const struct as_study_metric *m = s->metrics; m->name; m++)
        printf("    %-14s %-6s %s\n", m->name, m->scale, m->help);
    for (int i = 0; s->axes && s->axes[i] && s->axes[i + 1]; i += 2)
        printf("%s%s over %s", i ? ", " : "  curves\n    ", s->axes[i], s->axes[i + 1]);
    if (s->axes && s->axes[0])
        putchar('\n');
}

static void describe_entry(const struct as_entry *e, const char *kind)
{
    const struct as_plugin *p = e->plugin;
    printf("%s: %s %s/%s\n", e->name, kind, e->family, e->name);
    field("", p->variant ? p->variant->summary : p->rule ? p->rule->summary : p->objective ? p->objective->summary
              : p->study ? p->study->summary : p->source->summary);
    if (p->variant)
        describe_layer(e);
    if (p->rule) {
        print_paper(&p->rule->paper);
        print_options(p->rule->options);
    }
    if (p->objective) {
        print_paper(&p->objective->paper);
        print_options(p->objective->options);
    }
    if (p->source)
        describe_source(p->source);
    if (p->study)
        describe_study(p->study);
    field("file", e->path);
}

static void describe_metric(const struct as_metric *m)
{
    static const char *const scale[] = { "raw", "logit", "log" };
    printf("%s: metric\n", m->name);
    field("", m->help);
    field("unit", m->unit);
    field("better", m->higher_is_better ? "more" : "less");
    field("verdicts", as_say("on the %s scale%s", scale[m->scale], m->proportion ? "; a proportion" : ""));
}

static void print_axes(const char *name, const struct axis *a, int n)
{
    for (int i = 0; i < n; i++) {
        const char *all = "";
        for (int k = 0; k < a[i].n && strlen(all) < 300; k++)
            all = as_say("%s%s%s", all, k ? ", " : "", a[i].value[k]);
        field(i ? "" : name, as_say("%s = %s", a[i].key, all));
    }
}

static int describe_experiment(const char *name)
{
    const char *why;
    struct experiment *e = experiment_read(name, NULL, 0, false, &why);
    if (!e)
        return complain(EXIT_WRONG_USE, why);
    printf("%s: experiment\n", e->name);
    field("", e->title);
    field("catalogue", e->papers);
    if (!isnan(e->minutes))
        field("minutes", as_say("%.3g on two cores", e->minutes));
    for (int i = 0; i < e->n_arms; i++) {
        const char *all = e->arm[i].name;
        for (size_t k = 0; k < e->arm[i].set->n; k++)
            all = as_say("%s%s %s = %s", all, k ? "," : ":", e->arm[i].set->entry[k].key, e->arm[i].set->entry[k].text);
        field(i ? "" : "arms", all);
    }
    print_axes("varied", e->vary, e->n_vary);
    print_axes("tuned", e->tune, e->n_tune);
    for (int i = 0; i < e->n_evals; i++)
        print_axes(as_say("eval %s", e->eval[i].name), e->eval[i].axis, e->eval[i].n_axes);
    field("seeds", as_say("%d", e->n_seeds));
    for (int i = 0; i < e->n_claims; i++) {
        field(i ? "" : "claims", e->claim[i].name);
        field("", e->claim[i].that);
        if (e->claim[i].given)
            field("", as_say("given %s", e->claim[i].given));
        field("", as_say("source: %s", e->claim[i].source));
    }
    field("file", e->path);
    experiment_free(e);
    return EXIT_ALL_WELL;
}

/* --- finding it ------------------------------------------------------------------------------------------------ */

static const char *nearest_of_all(const char *name)
{
    int n, k = 0, m = 0;
    struct experiment_line *line = experiment_list(&n);
    while (as_entries[m].path)
        m++;
    const char **names = calloc((size_t)(n + m) + 1, sizeof *names), *nearest = NULL;
    for (int i = 0; names && i < m; i++)
        if (!*as_entries[i].kernel)
            names[k++] = as_entries[i].name;
    for (int i = 0; names && i < n; i++)
        names[k++] = line[i].name;
    if (names)
        nearest = as_nearest(name, names);
    nearest = nearest ? as_say("%s", nearest) : NULL;
    free(names);
    experiment_list_free(line, n);
    return nearest;
}

static bool experiment_exists(const char *name)
{
    int n;
    bool found = strchr(name, '/') && strstr(name, ".ini") && file_exists(name);
    struct experiment_line *line = experiment_list(&n);
    for (int i = 0; i < n; i++)
        found = found || !strcmp(line[i].name, name);
    experiment_list_free(line, n);
    return found;
}

int command_describe(struct command_line *line)
{
    static const char *const kind[] = { "layer", "rule", "objective", "study", "source" };
    const char *name = line->word[0];
    int found = 0, status = EXIT_ALL_WELL;
    for (int i = 0; i < 5; i++) {
        const struct as_entry *e = as_registry_find(kind[i], name, NULL);
        if (!e)
            continue;
        if (found++)
            putchar('\n');
        describe_entry(e, kind[i]);
    }
    const struct as_metric *m = as_metric_find(name, NULL);
    if (m) {
        if (found++)
            putchar('\n');
        describe_metric(m);
    }
    if (experiment_exists(name)) {
        if (found++)
            putchar('\n');
        status = describe_experiment(name);
    }
    if (found)
        return status;
    const char *nearest = nearest_of_all(name);
    return complain(EXIT_WRONG_USE, nearest ? as_say("nothing here is called %s: did you mean %s?", name, nearest)
                                            : as_say("nothing here is called %s; `assay list` shows all", name));
}

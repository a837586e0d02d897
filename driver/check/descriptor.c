/* descriptor: version, required hooks, names, paper, options, of the plug-in and of every kernel file beside it. */
#include "check.h"

#include <assay/error.h>
#include <assay/layer.h>
#include <assay/objective.h>
#include <assay/rule.h>
#include <assay/source.h>
#include <assay/study.h>

#include <math.h>
#include <string.h>

extern const struct as_entry as_mock_entries[] __attribute__((weak));

/* The table that the entry stands in. */
static const struct as_entry *table_of(const struct as_entry *entry)
{
    for (const struct as_entry *e = as_mock_entries; e && e->path; e++)
        if (e == entry)
            return as_mock_entries;
    return as_entries;
}

static void sentence(struct check_run *r, const char *what, const char *text)
{
    size_t n = text ? strlen(text) : 0;

    check_did(r);
    if (n == 0)
        check_fail(r, "%s is missing", what);
    else if (strchr(text, '\n') || text[0] == ' ' || text[n - 1] == ' ' || n > 400)
        check_fail(r, "%s should be one line of up to 400 characters, without blanks at its ends: '%.60s'", what, text);
}

/* A sweep names values that the option takes. */
static void sweep(struct check_run *r, const struct as_option *o)
{
    for (const char *at = o->sweep; at && *at; at += strcspn(at, ","), at += *at == ',') {
        union { int i; double d; struct as_range range; char bytes[64]; } room = { 0 };
        struct as_option row = *o;
        const char *why;

        while (*at == ' ')
            at++;
        row.offset = 0;
        why = as_option_set(&row, &room, as_say("%.*s", (int)strcspn(at, ","), at));
        check_did(r);
        if (why)
            check_fail(r, "option %s: its sweep has a value that it does not take: %s", o->key, why);
    }
}

static void options(struct check_run *r, const struct as_option *table)
{
    for (const struct as_option *o = table; o && o->key; o++) {
        sentence(r, as_say("the help of option %s", o->key), o->help);
        if (o->min > o->max || isnan(o->def) || isnan(o->min) || isnan(o->max))
            check_fail(r, "option %s: its range is %g to %g", o->key, o->min, o->max);
        for (const char *c = o->key; *c; c++)
            if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789_", *c))
                check_fail(r, "option %s: keys are made of a-z, 0-9 and _", o->key);
        sweep(r, o);
    }
}

static void paper(struct check_run *r, const struct as_paper *p)
{
    sentence(r, "paper.title", p->title);
    sentence(r, "paper.where (the equations used)", p->where);
    sentence(r, "paper.departs", p->departs);
    if (p->year && (p->year < 1700 || p->year > 2100))
        check_fail(r, "paper.year is %d", p->year);
}

static void layer(struct check_run *r, const struct as_variant *v)
{
    int ports = 0;

    paper(r, &v->paper);
    sentence(r, "summary", v->summary);
    options(r, v->options);
    while (v->ports && v->ports[ports])
        ports++;
    if (v->ports && !v->samples)
        check_fail(r, "a layer with ports says what their inputs look like: .samples, a row a port (struct as_sample)");
    for (int i = 0; v->samples && i < (ports ? ports : 1); i++)
        if (v->samples[i].rank < 0 || v->samples[i].rank > 3 || v->samples[i].lo > v->samples[i].hi)
            check_fail(r, "row %d of .samples: rank %d, range %g to %g", i, v->samples[i].rank, v->samples[i].lo,
                       v->samples[i].hi);
    if (v->graph_tolerance > 0 && !v->graph_tolerance_why)
        check_fail(r, "a graph_tolerance of %g needs a graph_tolerance_why", v->graph_tolerance);
    for (const struct as_slot *s = v->slots; s && s->name; s++)
        if (s->def && strcmp(s->def, "none") != 0 && !as_registry_find("layer", s->def, NULL))
            check_fail(r, "slot %s: its default, %s, is no layer", s->name, s->def);
}

static void run(struct check_run *r)
{
    const struct as_plugin *p = r->entry->plugin;
    const struct as_entry *table = table_of(r->entry);

    for (const struct as_entry *e = table; e->path; e++)
        if (strcmp(e->family, r->entry->family) == 0 && strcmp(e->name, r->entry->name) == 0) {
            const char *why = as_registry_check_one(table, e);

            check_did(r);
            if (why)
                check_fail(r, "%s: %s", e->path, why);
        }
    if (p->mock && (strcmp(r->entry->family, "mock") != 0 || !p->mock->caught_by || !p->mock->truth || !p->mock->wrong))
        check_fail(r, "a mock stands in impl/mock/ and says caught_by, truth and wrong");
    if (r->result == CHECK_FAIL)
        return;
    if (p->variant)
        layer(r, p->variant);
    if (p->rule)
        options(r, p->rule->options);
    if (p->objective)
        options(r, p->objective->options);
    if (p->source)
        options(r, p->source->options);
    if (p->study)
        options(r, p->study->options);
}

const struct as_check AS_CHECK(descriptor) = {
    .name = "descriptor", .of = CHECK_ALL, .order = -1, .run = run,
    .proves = "the descriptor has this program's version, all required hooks and texts, sound options and unique names",
    .cannot = "that what its texts say is true",
};

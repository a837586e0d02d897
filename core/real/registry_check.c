/* registry_check.c: every descriptor against the contracts. Each check returns NULL or what is wrong, without the
 * path of the plug-in, which as_registry_check() adds. */
#include <assay/error.h>
#include <assay/layer.h>
#include <assay/objective.h>
#include <assay/registry.h>
#include <assay/rule.h>
#include <assay/source.h>
#include <assay/study.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static bool is_empty(const char *text)
{
    return !text || !*text;
}

static int count_words(const char *words)
{
    int n = 1;
    for (; *words; words++)
        n += *words == '|';
    return n;
}

static size_t field_size(enum as_option_type type)
{
    return type == AS_NUM ? sizeof(double) : type == AS_RANGE ? sizeof(struct as_range) : sizeof(int);
}

static const char *check_option(const struct as_option *o, size_t opt_size)
{
    if (o->type < AS_INT || o->type > AS_RANGE)
        return as_say("option %s has no type", o->key);
    if (is_empty(o->help))
        return as_say("option %s has no help", o->key);
    if (o->offset + field_size(o->type) > opt_size)
        return as_say("option %s lies outside its struct (opt_size %zu)", o->key, opt_size);
    if (o->type == AS_WORD && (is_empty(o->words) || o->def < 0 || o->def >= count_words(o->words)))
        return as_say("option %s: its default is not one of its words", o->key);
    if ((o->type == AS_INT || o->type == AS_BOOL || o->type == AS_WORD) && o->def != rint(o->def))
        return as_say("option %s: its default is no whole number", o->key);
    bool ranged = o->type == AS_INT || o->type == AS_NUM || (o->type == AS_RANGE && !o->words);
    if (ranged && (o->min != 0 || o->max != 0) && !(o->def >= o->min && o->def <= o->max))
        return as_say("option %s: its default is out of its own range", o->key);
    return NULL;
}

static const char *check_options(const struct as_option *table, size_t opt_size)
{
    for (const struct as_option *o = table; o && o->key; o++) {
        const char *why = check_option(o, opt_size);
        if (why)
            return why;
        if (!strcmp(o->key, "impl"))
            return "option impl: that key chooses the implementation";
        for (const struct as_option *p = table; p != o; p++)
            if (!strcmp(p->key, o->key))
                return as_say("option %s stands there twice", o->key);
    }
    return NULL;
}

static const char *check_paper(const struct as_paper *p)
{
    return is_empty(p->key) ? "paper.key is missing" : is_empty(p->title) ? "paper.title is missing"
         : is_empty(p->where) ? "paper.where is missing"
         : is_empty(p->departs) ? "paper.departs is missing (\"nothing\" when it does not)" : NULL;
}

static const char *check_impl(const struct as_impl *i)
{
    if (i->abi != ASSAY_ABI)
        return as_say("an implementation has abi %d, this is %d", i->abi, ASSAY_ABI);
    if (is_empty(i->name))
        return "an implementation has no name";
    if (i->rank < -1 || i->tolerance < 0)
        return as_say("implementation %s: the rank is -1 or more, and the tolerance not negative", i->name);
    if (!i->forward && !i->step)
        return as_say("implementation %s has neither forward nor step", i->name);
    if (i->backward && !i->forward)
        return as_say("implementation %s has a backward without a forward", i->name);
    if (i->tolerance > 0 && is_empty(i->tolerance_why))
        return as_say("implementation %s: tolerance_why must say why", i->name);
    return NULL;
}

static const char *check_impls(const struct as_plugin *p)
{
    for (int i = 0; i < AS_MAX_IMPL && p->impl[i]; i++) {
        const char *why = check_impl(p->impl[i]);
        if (why)
            return why;
    }
    return NULL;
}

/* A reference that can stand in for the graph. */
static bool has_reference(const struct as_plugin *p)
{
    for (int i = 0; i < AS_MAX_IMPL && p->impl[i]; i++)
        if (!strcmp(p->impl[i]->name, "ref") && ((p->impl[i]->forward && p->impl[i]->backward) || p->impl[i]->step))
            return true;
    return false;
}

static const char *check_slots(const struct as_variant *v)
{
    for (const struct as_slot *s = v->slots; s && s->name; s++) {
        for (const struct as_slot *t = v->slots; t != s; t++)
            if (!strcmp(t->name, s->name))
                return as_say("slot %s stands there twice", s->name);
        for (const struct as_option *o = v->options; o && o->key; o++)
            if (!strcmp(o->key, s->name))
                return as_say("%s is an option and a slot", s->name);
    }
    if (v->slots && v->slots->name && !v->graph)
        return "a layer with slots needs a graph";
    return NULL;
}

static const char *check_variant(const struct as_plugin *p)
{
    const struct as_variant *v = p->variant;
    if (v->abi != ASSAY_ABI)
        return as_say("the variant has abi %d, this is %d", v->abi, ASSAY_ABI);
    if (is_empty(v->summary))
        return "summary is missing";
    const char *why = check_paper(&v->paper);
    if (!why)
        why = check_options(v->options, v->opt_size);
    if (!why)
        why = check_slots(v);
    if (!why && !v->graph && !has_reference(p))
        why = "there is neither a graph nor an implementation \"ref\" with forward and backward, or with step";
    return why;
}

static const char *check_rule(const struct as_rule *r)
{
    if (r->abi != ASSAY_ABI)
        return as_say("the rule has abi %d, this is %d", r->abi, ASSAY_ABI);
    if (is_empty(r->summary))
        return "summary is missing";
    if (!r->update)
        return "update is missing";
    return check_options(r->options, r->opt_size);
}

static const char *check_objective(const struct as_objective *o)
{
    if (o->abi != ASSAY_ABI)
        return as_say("the objective has abi %d, this is %d", o->abi, ASSAY_ABI);
    if (is_empty(o->summary))
        return "summary is missing";
    if (!o->graph)
        return "graph is missing";
    return check_options(o->options, o->opt_size);
}

static const char *check_study(const struct as_study *s)
{
    if (s->abi != ASSAY_ABI)
        return as_say("the study has abi %d, this is %d", s->abi, ASSAY_ABI);
    if (is_empty(s->summary))
        return "summary is missing";
    if (!s->run)
        return "run is missing";
    if (!s->metrics || !s->metrics->name)
        return "metrics are missing";
    for (const struct as_study_metric *m = s->metrics; m->name; m++)
        if (is_empty(m->help) || is_empty(m->scale)
            || (strcmp(m->scale, "raw") && strcmp(m->scale, "log") && strcmp(m->scale, "logit")))
            return as_say("metric %s needs a help and a scale (raw, log or logit)", m->name);
    return check_options(s->options, s->opt_size);
}

static const char *check_source(const struct as_source *s)
{
    if (s->abi != ASSAY_ABI)
        return as_say("the source has abi %d, this is %d", s->abi, ASSAY_ABI);
    if (is_empty(s->summary) || is_empty(s->origin) || is_empty(s->licence))
        return "summary, origin and licence are all required";
    if (!s->shape)
        return "shape is missing";
    if (!s->example == !s->convert)
        return "a source has either example (a generator) or convert (a converter)";
    if (s->example && !s->answer)
        return "a generator needs answer";
    if (s->convert && (!s->files || !s->files->path))
        return "a converter needs files";
    for (const struct as_file *f = s->files; f && f->path; f++)
        if (is_empty(f->url) || is_empty(f->sha256) || strlen(f->sha256) != 64)
            return as_say("file %s needs a url and a SHA-256 of 64 digits", f->path);
    return check_options(s->options, s->opt_size);
}

/* The folder says what a plug-in is; a variant may stand in any other. */
static const char *check_folder(const struct as_entry *e, const char *kind)
{
    static const char *const folder[] = { "rule", "objective", "study", "datasets" };
    static const char *const held[] = { "rule", "objective", "study", "source" };
    if (!strcmp(e->family, "mock"))
        return NULL;
    for (int i = 0; i < 4; i++)
        if (!strcmp(e->family, folder[i]) != !strcmp(kind, held[i]))
            return as_say("a %s does not belong into the folder %s", kind, e->family);
    return NULL;
}

static const char *check_main(const struct as_entry *e)
{
    const struct as_plugin *p = e->plugin;
    int n = !!p->variant + !!p->rule + !!p->objective + !!p->study + !!p->source;
    if (n != 1)
        return as_say("exactly one of variant, rule, objective, study and source must be set, there are %d", n);
    const char *why = check_folder(e, p->variant ? "layer" : p->rule ? "rule" : p->objective ? "objective"
                                                  : p->study ? "study" : "source");
    if (why)
        return why;
    if (!p->variant && p->impl[0])
        return "only layers have implementations";
    return p->variant ? check_variant(p) : p->rule ? check_rule(p->rule) : p->objective ? check_objective(p->objective)
         : p->study ? check_study(p->study) : check_source(p->source);
}

static const char *check_kernel(const struct as_entry *table, const struct as_entry *e)
{
    const struct as_plugin *p = e->plugin;
    if (p->variant || p->rule || p->objective || p->study || p->source)
        return "a kernel file has implementations only";
    if (!p->impl[0])
        return "a kernel file without an implementation";
    for (const struct as_entry *o = table; o->path; o++)
        if (!*o->kernel && !strcmp(o->family, e->family) && !strcmp(o->name, e->name) && o->plugin->variant)
            return NULL;
    return as_say("there is no layer %s/%s that it could be an implementation of", e->family, e->name);
}

/* Files of one layer must not give two implementations one name; builds of one file for several levels may. */
static const char *check_names(const struct as_entry *table, const struct as_entry *e)
{
    for (const struct as_entry *o = table; o->path; o++) {
        if (o == e || !strcmp(o->path, e->path))
            continue;
        bool same_layer = !strcmp(o->family, e->family) && !strcmp(o->name, e->name);
        for (int i = 0; same_layer && i < AS_MAX_IMPL && e->plugin->impl[i]; i++)
            for (int j = 0; j < AS_MAX_IMPL && o->plugin->impl[j]; j++)
                if (!strcmp(e->plugin->impl[i]->name, o->plugin->impl[j]->name))
                    return as_say("%s has an implementation called %s too", o->path, e->plugin->impl[i]->name);
        bool same_kind = !*e->kernel && !*o->kernel && !e->plugin->variant == !o->plugin->variant
                      && !e->plugin->rule == !o->plugin->rule && !e->plugin->objective == !o->plugin->objective
                      && !e->plugin->study == !o->plugin->study;
        if (same_kind && !strcmp(o->name, e->name))
            return as_say("%s has the same name: names are unique among layers, rules, objectives, studies and sources",
                          o->path);
    }
    return NULL;
}

const char *as_registry_check_one(const struct as_entry *table, const struct as_entry *e)
{
    const struct as_plugin *p = e->plugin;
    const char *why;
    if (p->abi != ASSAY_ABI)
        return as_say("its abi is %d, this is %d", p->abi, ASSAY_ABI);
    why = *e->kernel ? check_kernel(table, e) : check_main(e);
    if (!why)
        why = check_impls(p);
    return why ? why : check_names(table, e);
}

const char *as_registry_check(const struct as_entry *table)
{
    for (const struct as_entry *e = table; e->path; e++) {
        const char *why = as_registry_check_one(table, e);
        if (why)
            return as_say("%s: %s", e->path, why);
    }
    return NULL;
}

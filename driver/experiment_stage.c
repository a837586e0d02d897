/* experiment_stage.c: the sections [stage NAME]: their names in order, and what their keys may be. */
#include "experiment_impl.h"
#include "file.h"
#include "stages.h"

#include <assay/error.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

enum { NAME = 64 };

static int stage_at(const struct experiment *e, const char *name)
{
    for (int i = 0; i < e->n_stages; i++)
        if (!strcmp(e->stage[i], name))
            return i;
    return -1;
}

static const char *bad_name(const struct experiment *e, const char *name)
{
    /* What stands before the dot in names of metrics, curves and numbers of every record. */
    static const char *const taken[] = { "valid", "train", "test", "chance", "worst", "steps", "eval", "peak", "cpu", NULL };
    for (const char *s = name; *s; s++)
        if (!isalnum((unsigned char)*s) && *s != '_' && *s != '-')
            return as_say("[stage %s]: a stage's name is made of letters, digits, '_' and '-'", name);
    for (int i = 0; taken[i]; i++)
        if (!strcmp(taken[i], name))
            return as_say("[stage %s]: %s.accuracy and the like would mean two things; choose another name", name, name);
    for (int i = 0; i < e->n_evals; i++)
        if (!strcmp(e->eval[i].name, name))
            return as_say("[stage %s] and [eval %s]: %s.accuracy would mean two things; rename one", name, name, name);
    return NULL;
}

static bool has_entries(const struct ini *ini, const char *section)
{
    for (int i = 0; i < ini->n; i++)
        if (!strcmp(ini->entry[i].section, section))
            return true;
    return false;
}

/* What a file includes comes before what it adds: included files stand behind it in the list. */
const char *stages_find(struct experiment *e, const struct ini *ini)
{
    for (int f = ini->n_files - 1; f >= 0; f--)
        for (int i = 0; i < ini->n_sections; i++) {
            const struct ini_section *s = &ini->section[i];
            if (s->file != ini->file[f] || strncmp(s->name, "stage ", 6) || stage_at(e, s->name + 6) >= 0)
                continue;
            const char *why = bad_name(e, s->name + 6);
            if (!why && !has_entries(ini, s->name))
                why = as_say("[%s] is empty; say what it changes (steps = N, for one), or remove it", s->name);
            if (why)
                return as_say("%s:%d: %s", s->file, s->line, why);
            e->stage = more(e->stage, e->n_stages + 1, sizeof *e->stage);    /* NULL behind the last */
            e->stage[e->n_stages++] = file_text("%s", s->name + 6);
        }
    return NULL;
}

/* NULL, or why no stage can change this key. */
static const char *refused(const char *key)
{
    static const char *const whole[] = { "seed", "study", "test", "stage", "eval", NULL };
    for (int i = 0; whole[i]; i++) {
        size_t n = strlen(whole[i]);
        if (!strncmp(key, whole[i], n) && (!key[n] || key[n] == '.'))
            return as_say("%s is one for all stages and cannot be a stage's", key);
    }
    return NULL;
}

const char *take_stage(struct experiment *e, const char *name, const char *key, const char *value)
{
    const char *why = refused(key);
    if (why)
        return as_say("[stage %s]: %s", name, why);
    as_config_set(e->base, as_say("stage.%s.%s", name, full_key(key)), value, true);
    return NULL;
}

/* A plain key that every section [stage NAME] replaces decides nothing, wherever it stands. */
static const char *check_plain(const struct experiment *e, const char *key)
{
    int own = 0;
    while (own < e->n_stages && config_find(e->base, as_say("stage.%s.%s", e->stage[own], key)))
        own++;
    if (own < e->n_stages || own == 0)
        return NULL;
    return as_say("every stage sets %s itself, so that it decides nothing where it stands alone; remove it", key);
}

static const char *check_key(const struct experiment *e, const char *key)
{
    char name[NAME];
    if (strncmp(key, "stage.", 6))
        return check_plain(e, key);
    const char *rest = stage_key(key, name, sizeof name), *why;
    if (rest == key || !*rest)
        return as_say("%s: a key of a stage is stage.NAME.KEY", key);
    int i = stage_at(e, name);
    if (i < 0) {
        const char *const *names = (const char *const *)e->stage, *nearest = e->n_stages ? as_nearest(name, names) : NULL;
        return as_say("%s: there is no [stage %s]%s%s%s", key, name, nearest ? ": did you mean [stage " : "",
                      nearest ? nearest : "", nearest ? "]?" : "");
    }
    if (!strcmp(rest, "fresh") && i == 0)
        return as_say("%s: the first stage draws all its weights anyway; remove it", key);
    why = refused(rest);
    return why ? as_say("%s: %s", key, why) : NULL;
}

static const char *check_set(const struct experiment *e, const struct as_config *set)
{
    const char *why = NULL;
    for (size_t i = 0; i < set->n && !why; i++)
        why = check_key(e, set->entry[i].key);
    return why;
}

const char *check_stages(const struct experiment *e)
{
    const char *why = check_set(e, e->base);
    for (int i = 0; i < e->n_arms && !why; i++)
        why = check_set(e, e->arm[i].set);
    for (int i = 0; i < e->n_vary && !why; i++)
        why = check_key(e, e->vary[i].key);
    for (int i = 0; i < e->n_tune && !why; i++)
        why = check_key(e, e->tune[i].key);
    for (int i = 0; i < e->n_stages && !why; i++)
        why = bad_name(e, e->stage[i]);
    if (!why && e->n_stages && config_find(e->base, "study"))
        why = "[stage NAME] and [study] do not go together: a study trains as it says itself; remove one of them";
    return why ? as_say("%s: %s", e->path, why) : NULL;
}
